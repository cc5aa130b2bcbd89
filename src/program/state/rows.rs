//! Records and their evidence as rows, both ways.

use super::{Origins, Source};
use kaspector::capture::Timestamp;
use kaspector::matching::{ConnectionOutcome, Field, HostKey, Role, SeenAs, SignatureSet, StoredHost};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Numbers of inputs in the file, and in [`Origins`].
pub struct Inputs(HashMap<i64, u32>);

impl Inputs {
    /// The number of an input of the file; one that is none of its inputs has the last.
    pub fn number(&self, input: i64) -> u32 {
        self.0.get(&input).copied().unwrap_or(u32::MAX)
    }

    /// Gives all inputs of the file numbers, in the order of their names.
    pub fn read(connection: &Connection, origins: &mut Origins) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare("SELECT id, name FROM input ORDER BY name")?;
        let mut rows = statement.query([])?;
        let mut numbers = HashMap::new();
        while let Some(row) = rows.next()? {
            numbers.insert(row.get(0)?, origins.intern(&row.get::<_, String>(1)?));
        }
        Ok(Self(numbers))
    }
}

/// What decides whether a line of evidence can be read: names, some of which a later program or another set may have brought in.
pub struct LineKind {
    pub indicator: String,
    pub seen_as: String,
    pub connection_outcome: String,
    pub field: String,
    pub role: String,
}

impl LineKind {
    /// Their columns, in the order in which they are read.
    pub const COLUMNS: &str = "indicator, seen_as, reached, field, role";

    /// Out of a row that has them as its columns, of which `first` is the first.
    pub fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            indicator: row.get(first)?,
            seen_as: row.get(first + 1)?,
            connection_outcome: row.get(first + 2)?,
            field: row.get(first + 3)?,
            role: row.get(first + 4)?,
        })
    }

    /// Whether `signatures`, and this program, know them all.
    pub fn is_known(&self, signatures: &SignatureSet) -> bool {
        signatures.index_of(&self.indicator).is_some() && self.named().is_some()
    }

    /// What they name, if this program knows them all.
    pub fn named(&self) -> Option<(SeenAs, ConnectionOutcome, Field, Role)> {
        Some((
            SeenAs::from_name(&self.seen_as)?,
            ConnectionOutcome::from_name(&self.connection_outcome)?,
            Field::from_name(&self.field)?,
            Role::from_name(&self.role)?,
        ))
    }
}

/// The number of a source, if it is in the file.
pub fn source_id(transaction: &Transaction<'_>, source: &Source) -> rusqlite::Result<Option<i64>> {
    transaction
        .query_row("SELECT id FROM source WHERE kind = ?1 AND key = ?2", params![source.kind(), source.key()], |row| {
            row.get(0)
        })
        .optional()
}

/// Notes that a source is being saved; its number.
pub fn write_source(
    transaction: &Transaction<'_>,
    source: &Source,
    signatures: &SignatureSet,
    at: Timestamp,
) -> rusqlite::Result<i64> {
    transaction.query_row(
        "INSERT INTO source (kind, key, name, filter, signatures, program, saved_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (kind, key) DO UPDATE SET name = ?3, signatures = ?5, program = ?6, saved_at = ?7
         RETURNING id",
        params![
            source.kind(),
            source.key(),
            source.name(),
            source.filter(),
            signatures.sha256(),
            env!("CARGO_PKG_VERSION"),
            signed(at.0)
        ],
        |row| row.get(0),
    )
}

/// Takes the evidence of a source out of the file, but for what is set aside.
pub fn forget_source(transaction: &Transaction<'_>, source: i64) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM evidence WHERE set_aside = 0 AND record IN (SELECT id FROM record WHERE source = ?1)",
        [source],
    )?;
    transaction.execute("DELETE FROM asked WHERE record IN (SELECT id FROM record WHERE source = ?1)", [source])?;
    Ok(())
}

/// Takes records of a source out of the file that have no evidence.
pub fn drop_empty_records(transaction: &Transaction<'_>, source: i64) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM record WHERE source = ?1 AND NOT EXISTS (SELECT 1 FROM evidence WHERE evidence.record = record.id)",
        [source],
    )?;
    Ok(())
}

/// Puts what a source knows of a host in the place of what it knew. `inputs`: the numbers in the file that inputs were found to have.
pub fn write_record(
    transaction: &Transaction<'_>,
    source: i64,
    host: HostKey,
    stored: &StoredHost,
    origins: &Origins,
    inputs: &mut BTreeMap<u32, i64>,
) -> rusqlite::Result<()> {
    let record = record_id(transaction, source, host)?;
    let [hop_64, hop_128, hop_255] = stored.hop_limits.map(|(last, _)| last.map(|at| signed(at.0)));
    let together = stored.hop_limits.iter().rev().fold(0, |bits, (_, together)| bits << 1 | i64::from(*together));
    let first_seen = stored.lines.iter().map(|line| line.first_seen).min().unwrap_or_default();
    let last_seen = stored.lines.iter().map(|line| line.last_seen).max().unwrap_or_default();
    transaction
        .prepare_cached(
            "UPDATE record SET first_seen = ?2, last_seen = ?3, flows = ?4, bytes_sent = ?5, bytes_received = ?6,
             given_up = ?7, resolves_more = ?8, connects_more = ?9, hop_64 = ?10, hop_128 = ?11, hop_255 = ?12,
             hops_together = ?13 WHERE id = ?1",
        )?
        .execute(params![
            record,
            signed(first_seen.0),
            signed(last_seen.0),
            signed(stored.flows),
            signed(stored.bytes_sent),
            signed(stored.bytes_received),
            signed(stored.dropped),
            stored.resolves.overflowed,
            stored.connects.overflowed,
            hop_64,
            hop_128,
            hop_255,
            together
        ])?;
    transaction.prepare_cached("DELETE FROM evidence WHERE record = ?1 AND set_aside = 0")?.execute([record])?;
    for line in &stored.lines {
        let input = input_id(transaction, line.example.input, origins, inputs)?;
        transaction
            .prepare_cached(
                "INSERT INTO evidence (record, indicator, seen_as, reached, field, observed, count, first_seen, last_seen,
                 server, server_port, relayed, role, input, packet)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?
            .execute(params![
                record,
                line.indicator,
                line.seen_as.name(),
                line.connection_outcome.name(),
                line.field.name(),
                line.observed,
                signed(line.count),
                signed(line.first_seen.0),
                signed(line.last_seen.0),
                line.server.to_string(),
                line.server_port,
                line.relayed,
                line.role.name(),
                input,
                signed(line.example.packet)
            ])?;
    }
    transaction.prepare_cached("DELETE FROM link_address WHERE record = ?1")?.execute([record])?;
    for link in &stored.links {
        transaction
            .prepare_cached(
                "INSERT INTO link_address (record, mac, first_seen, last_seen, next_hop) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                record,
                link.mac.to_string(),
                signed(link.first_seen.0),
                signed(link.last_seen.0),
                link.is_next_hop
            ])?;
    }
    transaction.prepare_cached("DELETE FROM asked WHERE record = ?1")?.execute([record])?;
    for (what, asked) in [(RESOLVE, &stored.resolves), (CONNECT, &stored.connects)] {
        let mut insert = transaction.prepare_cached("INSERT INTO asked (record, what, name) VALUES (?1, ?2, ?3)")?;
        for name in &asked.names {
            insert.execute(params![record, what, name])?;
        }
    }
    Ok(())
}

/// Notes what the last evidence of a host was when its silence was told.
pub fn note_silence(
    transaction: &Transaction<'_>,
    source: i64,
    host: HostKey,
    told: Option<Timestamp>,
) -> rusqlite::Result<()> {
    let zone = host.zone;
    transaction
        .prepare_cached(
            "UPDATE record SET silence_told = ?6
             WHERE address = ?1 AND source = ?2 AND vlan IS ?3 AND inner_vlan IS ?4 AND vni IS ?5",
        )?
        .execute(params![
            host.address.to_string(),
            source,
            zone.vlan,
            zone.inner_vlan,
            zone.vni,
            told.map(|at| signed(at.0))
        ])?;
    Ok(())
}

/// What the host was asked to do for others, in the table `asked`.
pub const RESOLVE: &str = "resolve";
pub const CONNECT: &str = "connect";

/// The number of what a source knows of a host, if it does.
pub fn known_record_id(transaction: &Transaction<'_>, source: i64, host: HostKey) -> rusqlite::Result<Option<i64>> {
    let zone = host.zone;
    transaction
        .prepare_cached(
            "SELECT id FROM record WHERE address = ?1 AND source = ?2 AND vlan IS ?3 AND inner_vlan IS ?4 AND vni IS ?5",
        )?
        .query_row(params![host.address.to_string(), source, zone.vlan, zone.inner_vlan, zone.vni], |row| row.get(0))
        .optional()
}

fn record_id(transaction: &Transaction<'_>, source: i64, host: HostKey) -> rusqlite::Result<i64> {
    if let Some(id) = known_record_id(transaction, source, host)? {
        return Ok(id);
    }
    let (zone, address) = (host.zone, host.address.to_string());
    transaction
        .prepare_cached(
            "INSERT INTO record (source, address, vlan, inner_vlan, vni, address_key, first_seen, last_seen, flows,
             bytes_sent, bytes_received, given_up) VALUES (?2, ?1, ?3, ?4, ?5, ?6, 0, 0, 0, 0, 0, 0)",
        )?
        .insert(params![address, source, zone.vlan, zone.inner_vlan, zone.vni, address_key(host.address)])
}

fn input_id(
    transaction: &Transaction<'_>,
    number: u32,
    origins: &Origins,
    inputs: &mut BTreeMap<u32, i64>,
) -> rusqlite::Result<i64> {
    if let Some(&id) = inputs.get(&number) {
        return Ok(id);
    }
    let name = origins.name(number);
    transaction.execute("INSERT INTO input (name) VALUES (?1) ON CONFLICT (name) DO NOTHING", [name])?;
    let id = transaction.query_row("SELECT id FROM input WHERE name = ?1", [name], |row| row.get(0))?;
    inputs.insert(number, id);
    Ok(id)
}

/// An address in a form in which ranges are ranges: its family, then its bytes.
pub fn address_key(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => [4].into_iter().chain(address.octets()).collect(),
        IpAddr::V6(address) => [6].into_iter().chain(address.octets()).collect(),
    }
}

/// A count as SQLite has it: signed, so what is larger stays at the largest.
pub fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count out of the file; one below zero, which nobody writes, is none.
pub fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
