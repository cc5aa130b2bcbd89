//! Lists hosts: reads all records of each, and says what they add up to.
//!
//! Of very many hosts, each processor reads a part of the addresses, over a connection of its own. All of them see the file at the same
//! moment, so the answer does not depend on how many there are.

use super::cursors::{self, Cursors, StoredRecord};
use super::rows::{self, Inputs};
use super::{HostFilter, Origins, State, StateError, choice, labels, reader};
use kaspector::capture::Timestamp;
use kaspector::matching::{HostFinding, HostKey, HostRecord, NextHops, SignatureSet, Verdict};
use kaspector_report::{HostsReport, SeenMachines, SourceReport};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use std::collections::BTreeMap;
use std::panic::resume_unwind;

/// Records for which one more connection is worth its while.
const PART_MIN: usize = 10_000;
/// Connections at most.
const PARTS_MAX: usize = 8;
/// How often is tried to have all connections see the same, while somebody keeps writing.
const ATTEMPTS: usize = 3;

impl State {
    /// The hosts of all sources that `filter` asks for, as the file was at one moment: strongest verdict first, then by address, then by
    /// tenant. The order in which sources came into the file does not show.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub fn listing(&self, signatures: &SignatureSet, filter: &HostFilter) -> Result<HostsReport, StateError> {
        let parts = if filter.is_empty() { self.parts() } else { Ok(1) };
        self.listing_in_parts(signatures, filter, parts?)
    }

    /// All hosts of all sources, each as `form` keeps it, so that very many take little memory; and the same report without hosts.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub fn listing_as<T: Send>(
        &self,
        signatures: &SignatureSet,
        form: Form<'_, T>,
    ) -> Result<(HostsReport, Vec<T>), StateError> {
        self.in_parts(signatures, &HostFilter::default(), self.parts()?, form)
    }

    /// The same, by so many connections, as far as the file can be opened so often.
    pub(super) fn listing_in_parts(
        &self,
        signatures: &SignatureSet,
        filter: &HostFilter,
        parts: usize,
    ) -> Result<HostsReport, StateError> {
        let form = Form { make: &|finding| finding, order: |finding| (finding.verdict, finding.host) };
        let (report, hosts) = self.in_parts(signatures, filter, parts, form)?;
        Ok(HostsReport { hosts, ..report })
    }

    fn in_parts<T: Send>(
        &self,
        signatures: &SignatureSet,
        filter: &HostFilter,
        parts: usize,
        form: Form<'_, T>,
    ) -> Result<(HostsReport, Vec<T>), StateError> {
        for _ in 0..ATTEMPTS {
            let others = self.others(parts)?;
            if let Some(read) = self.read(signatures, filter, others, form).map_err(|error| self.failed(error))? {
                return Ok(read);
            }
        }
        let alone = self.read(signatures, filter, Vec::new(), form).map_err(|error| self.failed(error))?;
        Ok(alone.unwrap_or_default())
    }

    /// How many connections the hosts of the file are worth.
    fn parts(&self) -> Result<usize, StateError> {
        let records: i64 = self
            .connection
            .query_row("SELECT count(*) FROM record", [], |row| row.get(0))
            .map_err(|error| self.failed(error))?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok((usize::try_from(records).unwrap_or(0) / PART_MIN).min(processors).min(PARTS_MAX))
    }

    /// Connections to the same file, as many as there are parts: one reads none, and sees whether somebody writes.
    fn others(&self, parts: usize) -> Result<Vec<Connection>, StateError> {
        match &self.again {
            Some(name) if parts > 1 => (0..parts).map(|_| reader(&self.path, name)).collect(),
            _ => Ok(Vec::new()),
        }
    }

    /// `None` when the connections do not see the same: somebody wrote while they began.
    fn read<T: Send>(
        &self,
        signatures: &SignatureSet,
        filter: &HostFilter,
        mut others: Vec<Connection>,
        form: Form<'_, T>,
    ) -> rusqlite::Result<Option<(HostsReport, Vec<T>)>> {
        let watcher = others.pop();
        let writes = || {
            watcher.as_ref().map(|watcher| watcher.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0)))
        };
        let before = writes().transpose()?;
        let transaction = self.connection.unchecked_transaction()?;
        let mut origins = Origins::default();
        let inputs = Inputs::read(&transaction, &mut origins)?;
        for other in &others {
            // What a transaction sees is settled by what it reads first.
            other.execute_batch("BEGIN")?;
            other.query_row("SELECT count(*) FROM input", [], |_| Ok(()))?;
        }
        if writes().transpose()? != before {
            return Ok(None);
        }
        let (sources, ranks) = sources(&transaction)?;
        if !filter.is_empty() {
            choice::choose(&transaction, filter, signatures)?;
        }
        let hops = choice::next_hops(&transaction, !filter.is_empty())?;
        let machines = SeenMachines::new(labels::read(&transaction, !filter.is_empty())?);
        let reading = Reading { signatures, filter, inputs, ranks, hops, form };
        let mut hosts = if filter.is_empty() {
            reading.in_parts(&transaction, others)?
        } else {
            reading.findings(&transaction, &choice::records_of_chosen(), &[])?
        };
        hosts.sort_by_key(form.order);
        let in_all = if filter.is_empty() { hosts.len() } else { choice::count_all(&transaction, signatures)? };
        Ok(Some((
            HostsReport { inputs: origins.into_names(), sources, machines, in_all, ..HostsReport::default() },
            hosts,
        )))
    }
}

/// What becomes of each host as soon as it is read, and the order in which they are given.
pub struct Form<'f, T> {
    /// Keeps what is wanted of it.
    pub make: &'f (dyn Fn(HostFinding) -> T + Sync),
    /// Strongest verdict first, then by address, then by tenant.
    pub order: fn(&T) -> (Verdict, HostKey),
}

impl<T> Clone for Form<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Form<'_, T> {}

/// What is asked of records, whoever reads them.
struct Reading<'r, T> {
    signatures: &'r SignatureSet,
    filter: &'r HostFilter,
    inputs: Inputs,
    /// The place of each source by its number.
    ranks: BTreeMap<i64, usize>,
    hops: NextHops,
    form: Form<'r, T>,
}

impl<T: Send> Reading<'_, T> {
    /// All hosts; each of `others` reads as many as `first` does.
    fn in_parts(&self, first: &Connection, others: Vec<Connection>) -> rusqlite::Result<Vec<T>> {
        let bounds = bounds(first, others.len() + 1)?;
        let mut lower = Value::Null;
        let mut parts = Vec::new();
        for upper in bounds.into_iter().map(Value::Blob).chain([Value::Null]) {
            parts.push([std::mem::replace(&mut lower, upper.clone()), upper]);
        }
        std::thread::scope(|scope| {
            let others: Vec<_> = others
                .into_iter()
                .zip(parts.iter().skip(1))
                .map(|(other, part)| scope.spawn(move || self.findings(&other, PART, part)))
                .collect();
            let mut all = self.findings(first, PART, parts.first().map_or(&[Value::Null, Value::Null], |part| part))?;
            for other in others {
                all.append(&mut other.join().unwrap_or_else(|panic| resume_unwind(panic))?);
            }
            Ok(all)
        })
    }

    /// The hosts whose records a query names, those of an address together.
    fn findings(&self, connection: &Connection, query: &str, values: &[Value]) -> rusqlite::Result<Vec<T>> {
        let Self { signatures, filter, inputs, ranks, hops, form } = self;
        let mut hosts = Vec::new();
        cursors::want(connection, query, params_from_iter(values))?;
        let mut cursors = Cursors::prepare(connection)?;
        let mut records = cursors.read(inputs)?;
        // Of one address: records of a host stand together there, if perhaps not next to each other.
        let mut of_address: Vec<(HostKey, usize, HostRecord)> = Vec::new();
        let mut conclude = |records: &mut Vec<(HostKey, usize, HostRecord)>| {
            records.sort_by_key(|(host, rank, record)| (*host, record.first_seen(), *rank));
            let mut records = records.drain(..).peekable();
            while let Some((host, _, mut record)) = records.next() {
                while let Some((_, _, later)) = records.next_if(|(other, ..)| *other == host) {
                    record.merge(later, signatures);
                }
                let finding = record.into_finding_among(host, signatures, hops);
                hosts.extend(finding.filter(|finding| filter.accepts(finding)).map(form.make));
            }
        };
        while let Some(StoredRecord { source, host, stored, .. }) = records.next()? {
            if of_address.last().is_some_and(|(last, ..)| last.address != host.address) {
                conclude(&mut of_address);
            }
            let rank = ranks.get(&source).copied().unwrap_or(usize::MAX);
            of_address.push((host, rank, HostRecord::from_stored(stored, signatures)));
        }
        conclude(&mut of_address);
        Ok(hosts)
    }
}

/// Records of addresses from one to below another; no bound where there is none. What has no key, which only a damaged file has, is in the
/// part without a lower bound.
const PART: &str = "SELECT id FROM record
     WHERE (?1 IS NULL AND address_key IS NULL) OR (address_key >= ifnull(?1, x'') AND (?2 IS NULL OR address_key < ?2))
     ORDER BY address_key";

/// Keys of addresses that part all records into so many parts of about the same size.
fn bounds(connection: &Connection, parts: usize) -> rusqlite::Result<Vec<Vec<u8>>> {
    let records: i64 = connection.query_row("SELECT count(*) FROM record", [], |row| row.get(0))?;
    let parts = i64::try_from(parts).unwrap_or(1);
    let mut at = connection
        .prepare("SELECT address_key FROM record WHERE address_key NOT NULL ORDER BY address_key LIMIT 1 OFFSET ?1")?;
    (1..parts)
        .filter_map(|part| at.query_row([records / parts * part], |row| row.get(0)).optional().transpose())
        .collect()
}

/// All sources, sorted by what they are, and the place of each by its number in the file.
fn sources(connection: &Connection) -> rusqlite::Result<(Vec<SourceReport>, BTreeMap<i64, usize>)> {
    let mut statement = connection.prepare(
        "SELECT source.id, kind, name, filter, saved_at, count(record.id) FROM source
         LEFT JOIN record ON record.source = source.id GROUP BY source.id ORDER BY kind, key",
    )?;
    let mut found = statement.query([])?;
    let (mut sources, mut ranks) = (Vec::new(), BTreeMap::new());
    while let Some(row) = found.next()? {
        ranks.insert(row.get(0)?, sources.len());
        let filter: String = row.get(3)?;
        sources.push(SourceReport {
            kind: row.get(1)?,
            name: row.get(2)?,
            filter: (!filter.is_empty()).then_some(filter),
            saved_at: Timestamp(rows::unsigned(row.get(4)?)),
            hosts: rows::unsigned(row.get(5)?),
        });
    }
    Ok((sources, ranks))
}
