//! A host's record in parts that outlive the program: indicators by their ids, since their numbers change with every signature set.

use super::hop_limits::HopLimits;
use super::host_record::{ASKED_NAMES_MAX, AskedNames, HostRecord, LINES_MAX};
use super::{ConnectionOutcome, EvidenceLine, Field, LinkAddress, Position, Role, SeenAs, SignatureSet};
use crate::capture::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

/// All that a [`HostRecord`] holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredHost {
    /// Link-layer addresses that the host was seen with.
    pub links: Vec<LinkAddress>,
    /// Evidence, in the order in which it is kept.
    pub lines: Vec<StoredLine>,
    /// Flows with evidence.
    pub flows: u64,
    /// Bytes that the host sent in them, as on the wire.
    pub bytes_sent: u64,
    /// Bytes that it received in them, as on the wire.
    pub bytes_received: u64,
    /// Names that others asked the host to resolve.
    pub resolves: StoredNames,
    /// Names that others asked the host to connect to.
    pub connects: StoredNames,
    /// For hop limits that begin at 64, 128 and 255: when one was seen last, and whether together with another.
    pub hop_limits: [(Option<Timestamp>, bool); 3],
    /// Lines of evidence that were dropped.
    pub dropped: u64,
}

/// Names that others asked a host for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredNames {
    /// Those that are kept.
    pub names: Vec<Box<str>>,
    /// Whether there were more.
    pub overflowed: bool,
}

/// An [`EvidenceLine`] with its indicator by id. All of it is there to be written out, so that nobody who stores it forgets a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLine {
    /// What matched. Lines that are read together share it.
    pub indicator: Arc<str>,
    /// How close it is to the endpoint: contact, lookup or hint.
    pub seen_as: SeenAs,
    /// How far the connections came; of several, what says most.
    pub connection_outcome: ConnectionOutcome,
    /// Where in the traffic the value was.
    pub field: Field,
    /// The value as it was seen, in text.
    pub observed: Box<str>,
    /// How often it was seen.
    pub count: u64,
    /// When it was seen first, by the capture clock.
    pub first_seen: Timestamp,
    /// When it was seen last.
    pub last_seen: Timestamp,
    /// The flow's server.
    pub server: IpAddr,
    /// Its port.
    pub server_port: u16,
    /// Whether the host did this for somebody else.
    pub relayed: bool,
    /// What the host is to the traffic that showed it.
    pub role: Role,
    /// The first packet that showed it.
    pub example: Position,
}

impl StoredLine {
    fn of(line: &EvidenceLine, signatures: &SignatureSet) -> Self {
        let &EvidenceLine {
            indicator,
            seen_as,
            connection_outcome,
            field,
            ref observed,
            count,
            first_seen,
            last_seen,
            server,
            server_port,
            relayed,
            role,
            example,
        } = line;
        Self {
            indicator: signatures.get(indicator).id.as_str().into(),
            seen_as,
            connection_outcome,
            field,
            observed: observed.clone(),
            count,
            first_seen,
            last_seen,
            server,
            server_port,
            relayed,
            role,
            example,
        }
    }

    /// `None` when `signatures` does not know the indicator: nobody can say what it proves.
    fn into_line(self, signatures: &SignatureSet) -> Option<EvidenceLine> {
        let Self {
            indicator,
            seen_as,
            connection_outcome,
            field,
            observed,
            count,
            first_seen,
            last_seen,
            server,
            server_port,
            relayed,
            role,
            example,
        } = self;
        let indicator = signatures.index_of(&indicator)?;
        Some(EvidenceLine {
            indicator,
            seen_as,
            connection_outcome,
            field,
            observed,
            count,
            first_seen,
            last_seen,
            server,
            server_port,
            relayed,
            role,
            example,
        })
    }
}

impl HostRecord {
    /// The record in parts.
    ///
    /// # Panics
    /// When the evidence was found with another set than `signatures` or one that it succeeds.
    #[must_use]
    pub fn to_stored(&self, signatures: &SignatureSet) -> StoredHost {
        let names = |asked: &AskedNames| StoredNames {
            names: asked.names.iter().cloned().collect(),
            overflowed: asked.overflowed,
        };
        StoredHost {
            links: self.link_addresses().collect(),
            lines: self.lines.iter().map(|line| StoredLine::of(line, signatures)).collect(),
            flows: self.flows,
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
            resolves: names(&self.resolves),
            connects: names(&self.connects),
            hop_limits: self.hop_limits.to_parts(),
            dropped: self.dropped,
        }
    }

    /// The record of those parts. Lines whose indicator `signatures` does not know are left out: nobody can say what they prove. Lines
    /// that say the same are added up, and the bounds of a record hold.
    #[must_use]
    pub fn from_stored(stored: StoredHost, signatures: &SignatureSet) -> Self {
        let names = |stored: StoredNames| {
            let mut asked = AskedNames { overflowed: stored.overflowed, ..AskedNames::default() };
            for name in &stored.names {
                asked.insert(name, ASKED_NAMES_MAX);
            }
            asked
        };
        let mut record = Self {
            lines: Vec::with_capacity(stored.lines.len().min(LINES_MAX)),
            flows: stored.flows,
            bytes_sent: stored.bytes_sent,
            bytes_received: stored.bytes_received,
            resolves: names(stored.resolves),
            connects: names(stored.connects),
            hop_limits: HopLimits::from_parts(stored.hop_limits),
            dropped: stored.dropped,
            ..Self::default()
        };
        stored.links.into_iter().for_each(|address| record.note_link_address(address));
        for line in stored.lines.into_iter().filter_map(|line| line.into_line(signatures)) {
            record.add_line(line, LINES_MAX, signatures);
        }
        record
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::decode::MacAddress;

    fn line(indicator: &str, observed: &str) -> StoredLine {
        StoredLine {
            indicator: indicator.into(),
            seen_as: SeenAs::Lookup,
            connection_outcome: ConnectionOutcome::Refused,
            field: Field::DnsQuery,
            observed: observed.into(),
            count: 3,
            first_seen: Timestamp(5),
            last_seen: Timestamp(9),
            server: "10.0.0.53".parse().unwrap(),
            server_port: 53,
            relayed: true,
            role: Role::Gateway,
            example: Position { input: 2, packet: 17 },
        }
    }

    fn host(lines: Vec<StoredLine>) -> StoredHost {
        StoredHost {
            links: vec![
                LinkAddress {
                    mac: MacAddress([2, 2, 3, 4, 5, 6]),
                    first_seen: Timestamp(1),
                    last_seen: Timestamp(3),
                    is_next_hop: true,
                },
                LinkAddress {
                    mac: MacAddress([2, 2, 3, 4, 5, 7]),
                    first_seen: Timestamp(2),
                    last_seen: Timestamp(2),
                    is_next_hop: false,
                },
            ],
            lines,
            flows: 4,
            bytes_sent: u64::MAX,
            bytes_received: 6,
            resolves: StoredNames { names: vec!["a.example".into(), "b.example".into()], overflowed: false },
            connects: StoredNames { names: vec![], overflowed: true },
            hop_limits: [(Some(Timestamp(1)), true), (None, false), (Some(Timestamp(2)), true)],
            dropped: 7,
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let signatures = SignatureSet::builtin();
        let (first, second) = (&signatures.iter().next().unwrap().id, &signatures.iter().nth(1).unwrap().id);
        let stored = host(vec![line(second, "x"), line(first, "y")]);
        let record = HostRecord::from_stored(stored.clone(), &signatures);
        assert_eq!(record.to_stored(&signatures), stored);
    }

    #[test]
    fn what_the_set_does_not_know_is_left_out() {
        let signatures = SignatureSet::builtin();
        let known = &signatures.iter().next().unwrap().id;
        let record = HostRecord::from_stored(host(vec![line("KL-XXX-9999", "x"), line(known, "y")]), &signatures);
        assert_eq!(record.to_stored(&signatures), host(vec![line(known, "y")]));
    }

    #[test]
    fn the_same_line_twice_is_added_up_and_bounds_hold() {
        let signatures = SignatureSet::builtin();
        let known = &signatures.iter().next().unwrap().id;
        let twice = HostRecord::from_stored(host(vec![line(known, "x"), line(known, "x")]), &signatures);
        assert_eq!(twice.to_stored(&signatures).lines[0].count, 6);
        let many = (0..LINES_MAX + 5).map(|number| line(known, &number.to_string())).collect();
        let many = HostRecord::from_stored(host(many), &signatures);
        assert_eq!((many.line_count(), many.dropped()), (LINES_MAX, 7 + 5));
    }

    #[test]
    fn names_of_what_is_stored_lead_back_to_it() {
        assert!(Field::ALL.into_iter().all(|field| Field::from_name(field.name()) == Some(field)));
        assert!(SeenAs::ALL.into_iter().all(|seen_as| SeenAs::from_name(seen_as.name()) == Some(seen_as)));
        assert!(
            ConnectionOutcome::ALL
                .into_iter()
                .all(|connection_outcome| ConnectionOutcome::from_name(connection_outcome.name())
                    == Some(connection_outcome))
        );
        assert!(Role::ALL.into_iter().all(|role| Role::from_name(role.name()) == Some(role)));
    }
}
