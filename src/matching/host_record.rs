//! The evidence of one host, and what it adds up to.

use super::verdict::judge;
use super::{Alert, EvidenceLine, Field, HostFinding, HostKey, Position, Role, SeenAs, SignatureSet, Strength, Verdict};
use crate::decode::MacAddress;
use std::collections::BTreeSet;

/// Lines of evidence kept per host; the weakest and latest are given up.
pub const LINES_MAX: usize = 64;
/// Names kept of those that a host was asked for by others.
pub const ASKED_NAMES_MAX: usize = 256;

/// What is known of one host. Records of the same host out of several inputs are merged in input order.
#[derive(Clone, Debug, Default)]
pub struct HostRecord {
    mac: Option<MacAddress>,
    lines: Vec<EvidenceLine>,
    flows: u64,
    bytes_sent: u64,
    bytes_received: u64,
    /// Names that others asked this host to resolve.
    resolves: BTreeSet<Box<str>>,
    /// Names that others asked this host to connect to.
    connects: BTreeSet<Box<str>>,
    given_up: u64,
}

impl HostRecord {
    /// Adds a piece of evidence. `input` is the index of the capture that it came from.
    pub fn add(&mut self, alert: &Alert, input: u32, signatures: &SignatureSet) {
        let flow = &alert.flow;
        self.mac = self.mac.or(if alert.host_is_server { flow.server_mac } else { flow.client_mac });
        let line = EvidenceLine {
            indicator: alert.indicator,
            seen_as: alert.seen_as,
            field: alert.field,
            observed: alert.observed.clone(),
            count: 1,
            first_seen: alert.at,
            last_seen: alert.at,
            server: flow.server,
            server_port: flow.server_port,
            relayed: alert.on_behalf,
            example: Position { input, packet: alert.packet },
        };
        self.add_line(line, signatures);
    }

    /// Counts a flow that gave evidence of this host.
    pub fn add_flow(&mut self, bytes_sent: u64, bytes_received: u64) {
        self.flows += 1;
        self.bytes_sent += bytes_sent;
        self.bytes_received += bytes_received;
    }

    /// Notes that somebody else asked this host for `name`.
    pub fn asked_by_others(&mut self, field: Field, name: &str) {
        let names = match field {
            Field::DnsQuery | Field::DnsAnswer => &mut self.resolves,
            _ => &mut self.connects,
        };
        if names.len() < ASKED_NAMES_MAX {
            names.insert(name.into());
        }
    }

    /// Adds the record of the same host out of a later input.
    pub fn merge(&mut self, later: Self, signatures: &SignatureSet) {
        self.mac = self.mac.or(later.mac);
        self.flows += later.flows;
        self.bytes_sent += later.bytes_sent;
        self.bytes_received += later.bytes_received;
        self.given_up += later.given_up;
        for (mine, theirs) in [(&mut self.resolves, later.resolves), (&mut self.connects, later.connects)] {
            for name in theirs {
                if mine.len() < ASKED_NAMES_MAX {
                    mine.insert(name);
                }
            }
        }
        for line in later.lines {
            self.add_line(line, signatures);
        }
    }

    /// Lines of evidence that were given up.
    #[must_use]
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// What the evidence adds up to; `None` when there is none.
    #[must_use]
    pub fn finding(&self, host: HostKey, signatures: &SignatureSet) -> Option<HostFinding> {
        let strength_of = |indicator| signatures.get(indicator).strength;
        let mut evidence = self.lines.clone();
        for line in &mut evidence {
            line.relayed |= self.is_relayed(line);
        }
        let (verdict, confidence) = judge(&evidence, strength_of)?;
        evidence.sort_by(|a, b| {
            let rank = |line: &EvidenceLine| {
                (Verdict::of(strength_of(line.indicator), line.seen_as, line.relayed), strength_of(line.indicator), line.seen_as)
            };
            (rank(a), a.first_seen, a.example, a.indicator, a.field).cmp(&(rank(b), b.first_seen, b.example, b.indicator, b.field))
        });
        let role = if evidence.iter().all(|line| line.relayed) { Role::Relay } else { Role::Endpoint };
        let products = evidence
            .iter()
            .map(|line| signatures.get(line.indicator))
            .filter(|indicator| indicator.strength != Strength::Browse)
            .flat_map(|indicator| indicator.products.iter().cloned())
            .collect();
        Some(HostFinding {
            host,
            mac: self.mac,
            verdict,
            confidence,
            role,
            categories: evidence.iter().map(|line| signatures.get(line.indicator).category).collect(),
            products,
            first_seen: evidence.iter().map(|line| line.first_seen).min().unwrap_or_default(),
            last_seen: evidence.iter().map(|line| line.last_seen).max().unwrap_or_default(),
            flows: self.flows,
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
            evidence,
        })
    }

    /// Whether the host did this because somebody else asked it to.
    fn is_relayed(&self, line: &EvidenceLine) -> bool {
        match line.seen_as {
            SeenAs::Lookup => self.resolves.contains(&*line.observed) || self.connects.contains(&*line.observed),
            SeenAs::Contact => self.connects.contains(&*line.observed),
            SeenAs::Hint => false,
        }
    }

    fn add_line(&mut self, line: EvidenceLine, signatures: &SignatureSet) {
        let same = self.lines.iter_mut().find(|known| {
            (known.indicator, known.field, known.seen_as, known.server, known.server_port, known.relayed)
                == (line.indicator, line.field, line.seen_as, line.server, line.server_port, line.relayed)
                && known.observed == line.observed
        });
        if let Some(known) = same {
            known.count += line.count;
            if (line.first_seen, line.example) < (known.first_seen, known.example) {
                known.example = line.example;
            }
            known.first_seen = known.first_seen.min(line.first_seen);
            known.last_seen = known.last_seen.max(line.last_seen);
            return;
        }
        if self.lines.len() < LINES_MAX {
            self.lines.push(line);
            return;
        }
        self.given_up += 1;
        // A flood of weak evidence must not hide a strong piece: the weakest, and of those the latest, makes room.
        let rank = |line: &EvidenceLine| Verdict::of(signatures.get(line.indicator).strength, line.seen_as, line.relayed);
        let weakest = self.lines.iter().enumerate().max_by_key(|(at, known)| (rank(known), *at)).map(|(at, _)| at);
        if let Some(place) = weakest.and_then(|at| self.lines.get_mut(at))
            && rank(&line) < rank(place)
        {
            *place = line;
        }
    }
}
