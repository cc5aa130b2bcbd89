//! What hosts are called, as rows, both ways.

use super::choice::CHOSEN;
use super::cursors::{self, read_host};
use super::rows::{self, signed, unsigned};
use super::{Source, State, StateError};
use kaspector::capture::Timestamp;
use kaspector::inspect::IdentitySource;
use kaspector::matching::{HostKey, Label, LabelKind, Machine};
use kaspector_report::SeenMachines;
use rusqlite::{Connection, TransactionBehavior, params};
use std::collections::BTreeMap;

/// Labels that are kept of a record; those go that were said last longest ago.
const LABELS_MAX: i64 = 16;

impl State {
    /// What hosts are called.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub fn called(&self) -> Result<SeenMachines, StateError> {
        read(&self.connection, false).map(SeenMachines::new).map_err(|error| self.failed(error))
    }

    /// Notes what hosts of a source are called, beside what was noted before. Hosts that are not in the file are left out.
    ///
    /// # Errors
    /// When the file cannot be written. It may be noted later.
    pub fn note_labels<'l>(
        &mut self,
        source: &Source,
        labels: impl IntoIterator<Item = (HostKey, &'l [Label])>,
    ) -> Result<(), StateError> {
        let path = self.path.clone();
        let failed = |error| StateError::of(&path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let write = || -> rusqlite::Result<()> {
            let Some(source) = rows::source_id(&transaction, source)? else { return Ok(()) };
            for (host, labels) in labels {
                if labels.is_empty() {
                    continue;
                }
                let Some(record) = rows::known_record_id(&transaction, source, host)? else { continue };
                for label in labels {
                    transaction
                        .prepare_cached(
                            "INSERT INTO label (record, kind, source, text, first_seen, last_seen)
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET
                             first_seen = min(first_seen, ?5), last_seen = max(last_seen, ?6)",
                        )?
                        .execute(params![
                            record,
                            label.kind.name(),
                            label.source.name(),
                            &*label.text,
                            signed(label.first_seen.0),
                            signed(label.last_seen.0)
                        ])?;
                }
                transaction
                    .prepare_cached(
                        "DELETE FROM label WHERE record = ?1 AND (kind, source, text) NOT IN
                         (SELECT kind, source, text FROM label WHERE record = ?1
                          ORDER BY last_seen DESC, kind, source, text LIMIT ?2)",
                    )?
                    .execute(params![record, LABELS_MAX])?;
            }
            Ok(())
        };
        write().map_err(failed)?;
        transaction.commit().map_err(failed)
    }
}

/// The hosts that are called something, all of them or those that were chosen. What this program does not know is left out.
pub fn read(connection: &Connection, of_chosen: bool) -> rusqlite::Result<Vec<Machine>> {
    let from = if of_chosen { CHOSEN } else { "record" };
    let query = format!(
        "SELECT {}, label.kind, label.source, label.text, label.first_seen, label.last_seen
         FROM {from} JOIN label ON label.record = record.id",
        cursors::HOST
    );
    let mut statement = connection.prepare(&query)?;
    let mut rows = statement.query([])?;
    let mut hosts: BTreeMap<HostKey, Vec<Label>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (kind, source): (String, String) = (row.get(4)?, row.get(5)?);
        let Some((kind, source)) = LabelKind::from_name(&kind).zip(IdentitySource::from_name(&source)) else {
            continue;
        };
        let text: String = row.get(6)?;
        let at = |column| row.get(column).map(|at| Timestamp(unsigned(at)));
        let label = Label::said(kind, source, text.into(), at(7)?, at(8)?);
        hosts.entry(read_host(row, 0)?).or_default().push(label);
    }
    Ok(hosts.into_iter().map(|(host, labels)| Machine::called(host, labels)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::state::{HostFilter, Origins};
    use kaspector::matching::{HostRecord, SignatureSet};
    use kaspector_report::samples;

    fn label(text: &str, at: u64) -> Label {
        Label::said(LabelKind::Name, IdentitySource::Dhcp, text.into(), Timestamp(at), Timestamp(at + 1))
    }

    fn names(state: &State, filter: &HostFilter) -> Vec<(String, u64, u64)> {
        let report = state.listing(&SignatureSet::builtin(), filter).unwrap();
        let labels = report.hosts.iter().flat_map(|host| report.machines.labels(host));
        labels.map(|label| (label.text.to_string(), label.first_seen.0, label.last_seen.0)).collect()
    }

    #[test]
    fn what_a_host_is_called_is_kept_beside_its_record() {
        let folder = tempfile::tempdir().unwrap();
        let set = SignatureSet::builtin();
        let mut state = State::open(&folder.path().join("hosts.db")).unwrap();
        let source = Source::Sensor { name: "s".to_owned() };
        let alert = samples::tls();
        let mut record = HostRecord::default();
        record.add(&alert, 0, 64, &set);
        let host = alert.host();
        let mut origins = Origins::default();
        origins.intern("eth1");
        let save = |state: &mut State, labels: &[Label]| {
            state.save(&source, &set, &origins, [(host, record.clone())]).unwrap();
            let other = HostKey { address: [10, 99, 99, 99].into(), ..host };
            state.note_labels(&source, [(host, labels), (other, labels)]).unwrap();
        };
        let hostile = "<b>\u{202e}\u{1b}[2J'; DROP TABLE label;--";
        save(&mut state, &[label(hostile, 5)]);
        save(&mut state, &[label(hostile, 3), label("desk-7", 9)]);
        let all = vec![("desk-7".to_owned(), 9, 10), (hostile.to_owned(), 3, 6)];
        assert_eq!(names(&state, &HostFilter::default()), all);
        let only =
            HostFilter { addresses: vec![format!("{}", host.address).parse().unwrap()], ..HostFilter::default() };
        assert_eq!(names(&state, &only), all);
        let other = HostFilter { addresses: vec!["192.0.2.77".parse().unwrap()], ..HostFilter::default() };
        assert_eq!(names(&state, &other), []);
        // The latest ones stay.
        let many: Vec<Label> = (0..40).map(|number| label(&format!("n{number:02}"), 100 + number)).collect();
        save(&mut state, &many);
        let kept = names(&state, &HostFilter::default());
        assert_eq!((kept.len(), kept[0].0.as_str(), kept[15].0.as_str()), (16, "n39", "n24"));
        // What a later program may say is left out.
        state.connection.execute("UPDATE label SET kind = 'mood' WHERE text <> 'n30'", []).unwrap();
        assert_eq!(names(&state, &HostFilter::default()), [("n30".to_owned(), 130, 131)]);
    }
}
