//! The evidence of one host, and what it adds up to.

use super::hop_limits::HopLimits;
use super::link_addresses::{LinkAddresses, LinkLayer};
use super::products::NamedProducts;
use super::verdict::{Piece, judge, weigh};
use super::{
    Alert, Confidence, ConnectionOutcome, EvidenceLine, Field, HostFinding, HostKey, IndicatorIndex, LinkAddress,
    NextHops, Position, Role, SeenAs, SignatureSet, Verdict,
};
use crate::capture::Timestamp;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Lines of evidence kept per host; the weakest and latest are dropped.
pub const LINES_MAX: usize = 64;
/// Names kept of those that a host was asked for by others. A host that was asked for more is taken to do all of it for others.
pub const ASKED_NAMES_MAX: usize = 1024;

/// Names that others asked a host for.
#[derive(Clone, Debug, Default)]
pub(super) struct AskedNames {
    pub(super) names: BTreeSet<Box<str>>,
    /// Whether there were more than are kept.
    pub(super) overflowed: bool,
}

impl AskedNames {
    /// Whether `name` is new, and among at most `names_max`.
    pub(super) fn insert(&mut self, name: &str, names_max: usize) -> bool {
        if self.names.contains(name) {
            return false;
        }
        let has_room = self.names.len() < names_max;
        if has_room {
            self.names.insert(name.into());
        } else {
            self.overflowed = true;
        }
        has_room
    }

    /// Whether the host was asked for `name`, or may have been.
    fn contains(&self, name: &str) -> bool {
        self.overflowed || self.names.contains(name)
    }

    /// Whether the host was asked for a name below `zone`.
    fn lie_below(&self, zone: &str) -> bool {
        self.names.iter().any(|name| is_above(zone, name))
    }
}

/// How much would be lost with a host: what is stronger sorts first. The verdict counts, then how sure it is, then how often evidence was
/// seen, then which host was seen first.
pub type Standing = (Verdict, Reverse<Confidence>, Reverse<u64>, Timestamp);

/// What is known of one host. Records of the same host out of several inputs are merged in input order.
///
/// Serialized, it shows the evidence and what was counted. [`Self::to_stored`] gives all of it, to be read back.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HostRecord {
    #[serde(skip)]
    pub(super) links: LinkAddresses,
    #[serde(rename = "evidence")]
    pub(super) lines: Vec<EvidenceLine>,
    pub(super) flows: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    /// Names that others asked this host to resolve.
    #[serde(skip)]
    pub(super) resolves: AskedNames,
    /// Names that others asked this host to connect to.
    #[serde(skip)]
    pub(super) connects: AskedNames,
    #[serde(skip)]
    pub(super) hop_limits: HopLimits,
    pub(super) dropped: u64,
}

impl HostRecord {
    /// Adds a piece of evidence, keeping at most `lines_max` lines. `input` is the index of the capture that it came from.
    pub fn add(&mut self, alert: &Alert, input: u32, lines_max: usize, signatures: &SignatureSet) {
        let flow = &alert.flow;
        // What is said to all neighbours has hop limits of its own.
        if let Some(hop_limit) = flow.client_hop_limit
            && !alert.host_is_server
            && !flow.server.is_multicast()
        {
            self.hop_limits.note(hop_limit, alert.at);
        }
        let line = EvidenceLine {
            indicator: alert.indicator,
            seen_as: alert.seen_as,
            connection_outcome: alert.connection_outcome,
            field: alert.field,
            observed: alert.observed.clone(),
            count: 1,
            first_seen: alert.at,
            last_seen: alert.at,
            server: flow.server,
            server_port: flow.server_port,
            relayed: alert.on_behalf,
            role: match alert.field {
                _ if alert.host_is_server => Role::Server,
                Field::MailHeader => Role::Gateway,
                _ => Role::Endpoint,
            },
            example: Position { input, packet: alert.packet },
        };
        self.add_line(line, lines_max, signatures);
    }

    /// Notes that the host was seen with a link-layer address, or what was known of that elsewhere.
    pub fn note_link_address(&mut self, address: LinkAddress) {
        self.links.note(address);
    }

    /// Link-layer addresses that the host was seen with.
    pub fn link_addresses(&self) -> impl Iterator<Item = LinkAddress> + '_ {
        self.links.iter()
    }

    /// Link-layer addresses that were dropped.
    #[must_use]
    pub fn link_addresses_dropped(&self) -> u32 {
        self.links.dropped()
    }

    /// Counts a flow that gave evidence of this host.
    pub fn add_flow(&mut self, bytes_sent: u64, bytes_received: u64) {
        self.flows = self.flows.saturating_add(1);
        self.bytes_sent = self.bytes_sent.saturating_add(bytes_sent);
        self.bytes_received = self.bytes_received.saturating_add(bytes_received);
    }

    /// Notes that what `which` tells of came as far as `reached`, if that says more than what was known.
    pub fn reach(&mut self, connection_outcome: ConnectionOutcome, which: impl Fn(&EvidenceLine) -> bool) {
        for line in self.lines.iter_mut().filter(|line| which(line)) {
            line.connection_outcome = line.connection_outcome.max(connection_outcome);
        }
    }

    /// Notes that somebody else asked this host for `name`; of each kind, at most `names_max` are kept. Whether one more is kept now.
    pub fn asked_by_others(&mut self, field: Field, name: &str, names_max: usize) -> bool {
        let names = match field {
            Field::DnsQuery | Field::DnsAnswer => &mut self.resolves,
            _ => &mut self.connects,
        };
        names.insert(name, names_max)
    }

    /// Names that others asked this host for, as far as they are kept.
    #[must_use]
    pub fn asked_count(&self) -> usize {
        self.resolves.names.len() + self.connects.names.len()
    }

    /// Whether others asked this host for more names than are kept.
    #[must_use]
    pub const fn was_asked_too_much(&self) -> bool {
        self.resolves.overflowed || self.connects.overflowed
    }

    /// Whether others asked this host for anything.
    #[must_use]
    pub fn was_asked(&self) -> bool {
        self.asked_count() > 0 || self.was_asked_too_much()
    }

    /// What is left when the evidence is dropped: what the host was asked for, so that what it does for others is not taken for its own
    /// later.
    #[must_use]
    pub fn without_evidence(self) -> Self {
        let Self { resolves, connects, .. } = self;
        Self { resolves, connects, ..Self::default() }
    }

    /// How the host stands among others; `None` without evidence.
    #[must_use]
    pub fn standing(&self, signatures: &SignatureSet) -> Option<Standing> {
        let (verdict, confidence) = match &*self.lines {
            [line] => weigh(&[self.piece(line, signatures)]),
            lines => weigh(&lines.iter().map(|line| self.piece(line, signatures)).collect::<Vec<_>>()),
        }?;
        let count = self.lines.iter().map(|line| line.count).fold(0, u64::saturating_add);
        Some((verdict, Reverse(confidence), Reverse(count), self.first_seen()))
    }

    /// What the host is to the traffic that named it.
    #[must_use]
    pub fn role(&self) -> Role {
        role(&self.lines, |line| line.relayed || self.is_relayed(line))
    }

    /// Drops the weakest lines, so that `lines_max` are left; says how many that were.
    pub fn trim(&mut self, lines_max: usize, signatures: &SignatureSet) -> usize {
        let before = self.lines.len();
        while self.lines.len() > lines_max {
            self.drop_weakest_line(signatures);
        }
        self.lines.shrink_to_fit();
        before - self.lines.len()
    }

    /// Adds the record of the same host out of a later input.
    pub fn merge(&mut self, later: Self, signatures: &SignatureSet) {
        self.links.merge(later.links);
        // What comes out of a file may be anything.
        self.flows = self.flows.saturating_add(later.flows);
        self.bytes_sent = self.bytes_sent.saturating_add(later.bytes_sent);
        self.bytes_received = self.bytes_received.saturating_add(later.bytes_received);
        self.dropped = self.dropped.saturating_add(later.dropped);
        self.hop_limits.merge(later.hop_limits);
        for (mine, theirs) in [(&mut self.resolves, later.resolves), (&mut self.connects, later.connects)] {
            mine.overflowed |= theirs.overflowed;
            for name in theirs.names {
                mine.insert(&name, ASKED_NAMES_MAX);
            }
        }
        for line in later.lines {
            self.add_line(line, LINES_MAX, signatures);
        }
    }

    /// Says anew where each example stands.
    pub fn move_examples(&mut self, place: impl Fn(Position) -> Position) {
        for line in &mut self.lines {
            line.example = place(line.example);
        }
    }

    /// Whether there is evidence of the indicator that was seen so closely.
    #[must_use]
    pub fn shows(&self, indicator: IndicatorIndex, seen_as: SeenAs) -> bool {
        self.lines.iter().any(|line| (line.indicator, line.seen_as) == (indicator, seen_as))
    }

    /// When there was evidence first.
    #[must_use]
    pub fn first_seen(&self) -> Timestamp {
        self.lines.iter().map(|line| line.first_seen).min().unwrap_or_default()
    }

    /// When there was evidence last.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        self.lines.iter().map(|line| line.last_seen).max().unwrap_or_default()
    }

    /// Bytes that the flows with evidence carried, to the host and from it.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes_sent.saturating_add(self.bytes_received)
    }

    /// Lines of evidence that are kept.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Lines of evidence that were dropped.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What the evidence adds up to; `None` when there is none. As far as it depends on other hosts, nothing is known of them.
    #[must_use]
    pub fn finding(&self, host: HostKey, signatures: &SignatureSet) -> Option<HostFinding> {
        self.finding_among(host, signatures, &NextHops::default())
    }

    /// What the evidence adds up to; `None` when there is none. `hops`: what all hosts together show of the routers on the way.
    #[must_use]
    pub fn finding_among(&self, host: HostKey, signatures: &SignatureSet, hops: &NextHops) -> Option<HostFinding> {
        self.concluded(self.lines.clone(), host, signatures, hops)
    }

    /// The same of a record that is not needed any more.
    #[must_use]
    pub fn into_finding_among(
        mut self,
        host: HostKey,
        signatures: &SignatureSet,
        hops: &NextHops,
    ) -> Option<HostFinding> {
        let evidence = std::mem::take(&mut self.lines);
        self.concluded(evidence, host, signatures, hops)
    }

    /// What these lines of the record add up to.
    fn concluded(
        &self,
        mut evidence: Vec<EvidenceLine>,
        host: HostKey,
        signatures: &SignatureSet,
        hops: &NextHops,
    ) -> Option<HostFinding> {
        let strength_of = |indicator| signatures.get(indicator).strength;
        for line in &mut evidence {
            line.relayed |= self.is_relayed(line);
        }
        let (verdict, confidence) = judge(&evidence, strength_of)?;
        evidence.sort_by(|a, b| {
            let rank = |line: &EvidenceLine| {
                (
                    Verdict::of(strength_of(line.indicator), line.seen_as, line.relayed),
                    strength_of(line.indicator),
                    line.seen_as,
                    // What the bytes of a connection say goes before what an answer said about its address.
                    line.field == Field::ResolvedAddress,
                )
            };
            (rank(a), a.first_seen, a.example, a.indicator, a.field).cmp(&(
                rank(b),
                b.first_seen,
                b.example,
                b.indicator,
                b.field,
            ))
        });
        let role = role(&evidence, |line| line.relayed);
        let named = NamedProducts::together(evidence.iter().map(|line| signatures.products_named_by(line.indicator)));
        let LinkLayer { mac, next_hop, remark, all } = self.links.link_layer(host, hops);
        Some(HostFinding {
            host,
            mac,
            next_hop_mac: next_hop,
            macs: all,
            verdict,
            confidence,
            role,
            notes: self.hop_limits.remark().into_iter().chain(remark).collect(),
            categories: evidence.iter().map(|line| signatures.get(line.indicator).category).collect(),
            products: named.own,
            engine_in: named.of_others,
            first_seen: evidence.iter().map(|line| line.first_seen).min().unwrap_or_default(),
            last_seen: evidence.iter().map(|line| line.last_seen).max().unwrap_or_default(),
            flows: self.flows,
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
            evidence,
        })
    }

    fn piece(&self, line: &EvidenceLine, signatures: &SignatureSet) -> Piece {
        let piece = Piece::of(line, signatures.get(line.indicator).strength);
        Piece { relayed: piece.relayed || self.is_relayed(line), ..piece }
    }

    /// Drops the line that adds least: the weakest, of those one that only repeats what an earlier one says, of those the latest.
    fn drop_weakest_line(&mut self, signatures: &SignatureSet) {
        let strength_of = |line: &EvidenceLine| signatures.get(line.indicator).strength;
        let pieces: Vec<_> = self.lines.iter().map(|line| Piece::of(line, strength_of(line))).collect();
        let rank = |&(at, piece): &(usize, &Piece)| {
            let says_as_much = |earlier: &Piece| earlier.repeats(piece) && earlier.verdict() <= piece.verdict();
            let repeats = pieces.iter().take(at).any(says_as_much);
            (piece.verdict(), repeats, at)
        };
        if let Some((weakest, _)) = pieces.iter().enumerate().max_by_key(rank) {
            self.lines.remove(weakest);
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Whether the host did this because somebody else asked it to.
    fn is_relayed(&self, line: &EvidenceLine) -> bool {
        match (line.field, line.seen_as) {
            (Field::ResolverOrder, _) | (_, SeenAs::Lookup) => {
                let asked = |names: &AskedNames| names.contains(&line.observed) || names.lie_below(&line.observed);
                asked(&self.resolves) || asked(&self.connects)
            }
            // An address that was looked up for others may be contacted for them, too: a gateway resolves and forwards.
            (Field::ResolvedAddress, SeenAs::Contact) if self.resolves.contains(&line.observed) => true,
            (_, SeenAs::Contact | SeenAs::Hint) => self.connects.contains(&line.observed),
        }
    }

    pub(super) fn add_line(&mut self, line: EvidenceLine, lines_max: usize, signatures: &SignatureSet) {
        let same = self.lines.iter_mut().find(|known| {
            (known.indicator, known.field, known.seen_as, known.server, known.server_port, known.relayed, known.role)
                == (line.indicator, line.field, line.seen_as, line.server, line.server_port, line.relayed, line.role)
                && known.observed == line.observed
        });
        if let Some(known) = same {
            known.count = known.count.saturating_add(line.count);
            known.connection_outcome = known.connection_outcome.max(line.connection_outcome);
            if (line.first_seen, line.example) < (known.first_seen, known.example) {
                known.example = line.example;
            }
            known.first_seen = known.first_seen.min(line.first_seen);
            known.last_seen = known.last_seen.max(line.last_seen);
            return;
        }
        if self.lines.is_empty() || self.lines.len() >= lines_max {
            // Most hosts never have a second one.
            self.lines.reserve_exact(1);
        }
        self.lines.push(line);
        // A flood of weak evidence must not hide a strong piece.
        while self.lines.len() > lines_max {
            self.drop_weakest_line(signatures);
        }
    }
}

/// What a host is to the traffic that named it. A mirror fetches what it hands out, and a gateway its own updates: what others get from
/// a host says more than what it gets itself.
fn role(evidence: &[EvidenceLine], is_relayed: impl Fn(&EvidenceLine) -> bool) -> Role {
    let is_server = |line: &EvidenceLine| line.role == Role::Server;
    let serves = |line: &EvidenceLine| {
        is_server(line) && line.seen_as == SeenAs::Contact && line.connection_outcome.came_about()
    };
    if evidence.iter().all(&is_relayed) {
        Role::Relay
    } else if evidence.iter().any(serves) || evidence.iter().all(is_server) {
        Role::Server
    } else if evidence.iter().any(|line| line.role == Role::Gateway && !is_relayed(line)) {
        Role::Gateway
    } else {
        Role::Endpoint
    }
}

/// Whether `zone` is a domain that `name` lies in. A resolver that validates asks for the keys of every zone above a name
/// (RFC 4035 section 5), with recursion desired when it asks through another resolver.
fn is_above(zone: &str, name: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_lies_above_its_names_by_whole_labels() {
        assert!(is_above("upd.kaspersky.com", "s07.upd.kaspersky.com"));
        assert!(!is_above("upd.kaspersky.com", "s07-upd.kaspersky.com"));
        assert!(!is_above("upd.kaspersky.com", "notupd.kaspersky.com"));
        assert!(!is_above("s07.upd.kaspersky.com", "s07.upd.kaspersky.com"));
    }
}
