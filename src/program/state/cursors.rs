//! Reads records with all that belongs to them: by one statement for each table, all in the same order, side by side.
//!
//! Which records are read, and in which order, is put into the temporary table `wanted` first.

use super::rows::{CONNECT, Inputs, LineKind, RESOLVE, unsigned};
use kaspector::capture::Timestamp;
use kaspector::decode::Zone;
use kaspector::matching::{
    ConnectionOutcome, Field, HostKey, LinkAddress, Position, Role, SeenAs, StoredHost, StoredLine, StoredNames,
};
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Params, Row, Rows, Statement, params};
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;

/// The columns of a host, as [`read_host`] takes them.
pub const HOST: &str = "record.address, record.vlan, record.inner_vlan, record.vni";
/// The columns of a link-layer address, as [`read_link`] takes them.
pub const LINK: &str = "link_address.mac, link_address.first_seen, link_address.last_seen, link_address.next_hop";

/// Wants the records that a query names by `record.id`, in its order.
pub fn want(connection: &Connection, query: &str, values: impl Params) -> rusqlite::Result<()> {
    want_none(connection)?;
    connection.execute(&format!("INSERT INTO wanted (record) {query}"), values)?;
    Ok(())
}

/// Wants the record that `source` has of each of these hosts, if it has one; the place of a host is that in the list, from 0.
pub fn want_hosts(connection: &Connection, source: i64, hosts: &[HostKey]) -> rusqlite::Result<()> {
    want_none(connection)?;
    let mut known = connection.prepare(
        "SELECT id FROM record WHERE address = ?1 AND source = ?2 AND vlan IS ?3 AND inner_vlan IS ?4 AND vni IS ?5",
    )?;
    let mut insert = connection.prepare("INSERT INTO wanted (place, record) VALUES (?1, ?2)")?;
    for (place, HostKey { address, zone }) in (0_i64..).zip(hosts) {
        let of_host = params![address.to_string(), source, zone.vlan, zone.inner_vlan, zone.vni];
        let record: Option<i64> = known.query_row(of_host, |row| row.get(0)).optional()?;
        if let Some(record) = record {
            insert.execute([place, record])?;
        }
    }
    Ok(())
}

/// Wants no record any more.
pub fn want_none(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DROP TABLE IF EXISTS wanted;
         CREATE TEMPORARY TABLE wanted (place INTEGER PRIMARY KEY, record INTEGER NOT NULL)",
    )
}

/// The statements that read what is wanted.
pub struct Cursors<'c> {
    records: Statement<'c>,
    lines: Statement<'c>,
    links: Statement<'c>,
    asked: Statement<'c>,
}

impl<'c> Cursors<'c> {
    /// For the records that are wanted now.
    pub fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        // The table on the left of a cross join is the outer one, and has the order.
        let of = |columns: &str, table: &str, key: &str| {
            connection.prepare(&format!(
                "SELECT wanted.place, {columns} FROM wanted CROSS JOIN {table} ON {table}.{key} = wanted.record
                 ORDER BY wanted.place"
            ))
        };
        let record = format!(
            "{HOST}, source, flows, bytes_sent, bytes_received, given_up, resolves_more, connects_more, hop_64, hop_128,
             hop_255, hops_together, silence_told"
        );
        let line = format!(
            "id, {}, observed, count, first_seen, last_seen, server, server_port, relayed, input, packet",
            LineKind::COLUMNS
        );
        Ok(Self {
            records: of(&record, "record", "id")?,
            lines: of(&line, "evidence", "record")?,
            links: of(LINK, "link_address", "record")?,
            asked: of("what, name", "asked", "record")?,
        })
    }

    /// Begins to read; `inputs` are those of the file.
    pub fn read<'s>(&'s mut self, inputs: &'s Inputs) -> rusqlite::Result<Records<'s>> {
        Ok(Records {
            records: self.records.query([])?,
            lines: Parts::begin(&mut self.lines)?,
            links: Parts::begin(&mut self.links)?,
            asked: Parts::begin(&mut self.asked)?,
            inputs,
            indicators: HashSet::new(),
            numbered: Vec::new(),
        })
    }
}

/// A record, as the file has it.
pub struct StoredRecord {
    /// Its place among those that are wanted.
    pub place: i64,
    /// Number of the source that it is of.
    pub source: i64,
    /// Which host.
    pub host: HostKey,
    /// What is known of it. Lines that this program cannot name are left out.
    pub stored: StoredHost,
    /// The last evidence of it when its silence was told.
    pub silence_told: Option<Timestamp>,
}

/// Reads the records that are wanted, one after the other.
pub struct Records<'s> {
    records: Rows<'s>,
    lines: Parts<'s>,
    links: Parts<'s>,
    asked: Parts<'s>,
    inputs: &'s Inputs,
    /// Those of the lines so far.
    indicators: HashSet<Arc<str>>,
    /// Lines of one record; it is empty between two.
    numbered: Vec<(i64, StoredLine)>,
}

impl Records<'_> {
    /// The next record.
    pub fn next(&mut self) -> rusqlite::Result<Option<StoredRecord>> {
        let Some(row) = self.records.next()? else { return Ok(None) };
        let place: i64 = row.get(0)?;
        let host = read_host(row, 1)?;
        let together: i64 = row.get(15)?;
        let mut hop_limits = [(None, false); 3];
        for ((part, column), bit) in hop_limits.iter_mut().zip(12..).zip([1, 2, 4]) {
            *part = (row.get::<_, Option<i64>>(column)?.map(|at| Timestamp(unsigned(at))), together & bit != 0);
        }
        self.lines.take(place, |row| {
            self.numbered.extend(read_line(row, self.inputs, &mut self.indicators)?);
            Ok(())
        })?;
        self.numbered.sort_unstable_by_key(|&(id, _)| id);
        let mut links = Vec::new();
        self.links.take(place, |row| {
            links.push(read_link(row, 1)?);
            Ok(())
        })?;
        links.sort_by_key(|link: &LinkAddress| (link.first_seen, link.mac));
        let mut resolves = StoredNames { names: Vec::new(), overflowed: row.get(10)? };
        let mut connects = StoredNames { names: Vec::new(), overflowed: row.get(11)? };
        // In the order of the names, which is that of the table's key.
        self.asked.take(place, |row| {
            match row.get_ref(1)?.as_str()? {
                RESOLVE => resolves.names.push(row.get(2)?),
                CONNECT => connects.names.push(row.get(2)?),
                _ => {}
            }
            Ok(())
        })?;
        let stored = StoredHost {
            links,
            lines: self.numbered.drain(..).map(|(_, line)| line).collect(),
            flows: number(row, 6)?,
            bytes_sent: number(row, 7)?,
            bytes_received: number(row, 8)?,
            resolves,
            connects,
            hop_limits,
            dropped: number(row, 9)?,
        };
        let silence_told = row.get::<_, Option<i64>>(16)?.map(|at| Timestamp(unsigned(at)));
        Ok(Some(StoredRecord { place, source: row.get(5)?, host, stored, silence_told }))
    }
}

/// Rows that belong to records: the first column is the record's place, and rows come in that order.
struct Parts<'s>(Rows<'s>);

impl<'s> Parts<'s> {
    fn begin(statement: &'s mut Statement<'_>) -> rusqlite::Result<Self> {
        let mut rows = statement.query([])?;
        rows.advance()?;
        Ok(Self(rows))
    }

    /// Takes the rows of the record at this place, which comes after all places asked for before.
    fn take(&mut self, place: i64, mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        while let Some(row) = self.0.get()
            && row.get::<_, i64>(0)? == place
        {
            take(row)?;
            self.0.advance()?;
        }
        Ok(())
    }
}

/// The host of a row that has [`HOST`] as its columns, of which `first` is the first.
pub fn read_host(row: &Row<'_>, first: usize) -> rusqlite::Result<HostKey> {
    let zone = Zone { vlan: row.get(first + 1)?, inner_vlan: row.get(first + 2)?, vni: row.get(first + 3)? };
    Ok(HostKey { address: parsed(row, first)?, zone })
}

/// The link-layer address of a row that has [`LINK`] as its columns, of which `first` is the first.
pub fn read_link(row: &Row<'_>, first: usize) -> rusqlite::Result<LinkAddress> {
    Ok(LinkAddress {
        mac: parsed(row, first)?,
        first_seen: Timestamp(number(row, first + 1)?),
        last_seen: Timestamp(number(row, first + 2)?),
        is_next_hop: row.get(first + 3)?,
    })
}

/// A line of evidence and its number in the file, if this program can name it.
fn read_line(
    row: &Row<'_>,
    inputs: &Inputs,
    indicators: &mut HashSet<Arc<str>>,
) -> rusqlite::Result<Option<(i64, StoredLine)>> {
    // Names are looked up where they stand: there are very many lines.
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    let named = (
        SeenAs::from_name(text(3)?),
        ConnectionOutcome::from_name(text(4)?),
        Field::from_name(text(5)?),
        Role::from_name(text(6)?),
    );
    let (Some(seen_as), Some(connection_outcome), Some(field), Some(role)) = named else { return Ok(None) };
    let indicator = text(2)?;
    let indicator = match indicators.get(indicator) {
        Some(known) => Arc::clone(known),
        None => {
            let new: Arc<str> = indicator.into();
            indicators.insert(Arc::clone(&new));
            new
        }
    };
    let line = StoredLine {
        indicator,
        seen_as,
        connection_outcome,
        field,
        observed: text(7)?.into(),
        count: number(row, 8)?,
        first_seen: Timestamp(number(row, 9)?),
        last_seen: Timestamp(number(row, 10)?),
        server: parsed(row, 11)?,
        server_port: row.get(12)?,
        relayed: row.get(13)?,
        role,
        example: Position { input: inputs.number(row.get(14)?), packet: number(row, 15)? },
    };
    Ok(Some((row.get(1)?, line)))
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(unsigned)
}

fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str().map_err(|_| damaged(row, column, ""))?;
    text.parse().map_err(|_| damaged(row, column, text))
}

fn damaged(row: &Row<'_>, column: usize, text: &str) -> rusqlite::Error {
    let name = row.as_ref().column_name(column).unwrap_or_default();
    let what = format!("{name} {:?}", text.chars().take(64).collect::<String>());
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}
