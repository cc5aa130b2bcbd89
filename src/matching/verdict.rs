//! The verdict of a host, and how sure it is, by one published rule (`docs/verdicts.md`).

use super::{EvidenceLine, Field, IndicatorIndex, SeenAs, Strength};
use serde::Serialize;

/// What a host's evidence adds up to; stronger verdicts sort first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// At least one `installed` indicator seen as contact.
    Confirmed,
    /// `installed` seen only as lookup, `ambiguous` at any closeness, or hints alone.
    Suspected,
    /// Only `browse` indicators: a person read a web page. Not a product.
    Browsing,
}

impl Verdict {
    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Suspected => "suspected",
            Self::Browsing => "browsing",
        }
    }

    /// What one line of evidence supports by itself.
    #[must_use]
    pub const fn of(strength: Strength, seen_as: SeenAs, relayed: bool) -> Self {
        match (strength, seen_as) {
            (Strength::Browse, _) => Self::Browsing,
            (Strength::Installed, SeenAs::Contact) if !relayed => Self::Confirmed,
            _ => Self::Suspected,
        }
    }
}

/// How sure, from 0 to 100, that the host runs the software.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Confidence(pub u8);

/// What a host is to the traffic that named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// Runs the software.
    Endpoint,
    /// Asks on behalf of others: a resolver, a forward proxy.
    Relay,
    /// Others connect to it: a KSC, a KSN proxy, an update mirror.
    Server,
    /// Mail gateway.
    Gateway,
}

impl Role {
    /// All of them, in their order.
    pub const ALL: [Self; Self::Gateway as usize + 1] = [Self::Endpoint, Self::Relay, Self::Server, Self::Gateway];

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Relay => "relay",
            Self::Server => "server",
            Self::Gateway => "gateway",
        }
    }
}

/// Kinds of evidence that come about independently of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ServerName,
    Http,
    Proxy,
    Certificate,
    ResolvedAddress,
    Dns,
    AddressRange,
    Fingerprint,
    Management,
    Behaviour,
    Ftp,
    Mail,
    Syslog,
    FirstBytes,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::ServerName,
        Self::Http,
        Self::Proxy,
        Self::Certificate,
        Self::ResolvedAddress,
        Self::Dns,
        Self::AddressRange,
        Self::Fingerprint,
        Self::Management,
        Self::Behaviour,
        Self::Ftp,
        Self::Mail,
        Self::Syslog,
        Self::FirstBytes,
    ];

    /// As the documentation calls it.
    const fn words(self) -> &'static str {
        match self {
            Self::ServerName => "server name",
            Self::Http => "HTTP",
            Self::Proxy => "proxy request",
            Self::Certificate => "certificate",
            Self::ResolvedAddress => "resolved address",
            Self::Dns => "DNS",
            Self::AddressRange => "address range",
            Self::Fingerprint => "fingerprint",
            Self::Management => "management traffic",
            Self::Behaviour => "behaviour",
            Self::Ftp => "FTP",
            Self::Mail => "mail",
            Self::Syslog => "Syslog",
            Self::FirstBytes => "first bytes",
        }
    }

    const fn of(field: Field) -> Self {
        match field {
            Field::TlsSni | Field::QuicSni => Self::ServerName,
            Field::HttpHost
            | Field::HttpPath
            | Field::HttpUserAgent
            | Field::HttpHeader
            | Field::HttpBody
            | Field::HttpUpload => Self::Http,
            Field::HttpConnect | Field::HttpTarget | Field::SocksDomain => Self::Proxy,
            Field::TlsCertificate => Self::Certificate,
            Field::ResolvedAddress => Self::ResolvedAddress,
            Field::DnsQuery | Field::DnsAnswer => Self::Dns,
            Field::Address => Self::AddressRange,
            Field::Ja3 | Field::Ja4 => Self::Fingerprint,
            // A beat and a call need the port, so they are no further kinds.
            Field::ServerPort | Field::Beacon | Field::WakeUp => Self::Management,
            Field::ResolverOrder => Self::Behaviour,
            Field::FtpPath => Self::Ftp,
            Field::MailHeader => Self::Mail,
            Field::SyslogOriginator => Self::Syslog,
            // Frames need the first bytes, so they are no further kind.
            Field::FirstBytes | Field::Protocol => Self::FirstBytes,
        }
    }
}

/// Percent that one line of evidence is worth by itself.
const fn weight(strength: Strength, seen_as: SeenAs, relayed: bool) -> u32 {
    if relayed {
        return 5;
    }
    match (strength, seen_as) {
        (Strength::Installed, SeenAs::Contact) => 90,
        (Strength::Installed, SeenAs::Lookup) => 50,
        (Strength::Ambiguous, SeenAs::Contact) => 35,
        (Strength::Ambiguous, SeenAs::Lookup) => 20,
        (Strength::Installed | Strength::Ambiguous, SeenAs::Hint) => 15,
        (Strength::Browse, _) => 3,
    }
}

/// Most that each verdict may claim.
const fn ceiling(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Confirmed => 99,
        Verdict::Suspected => 79,
        Verdict::Browsing => 9,
    }
}

/// What of a line of evidence counts for the verdict.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) indicator: IndicatorIndex,
    pub(super) strength: Strength,
    pub(super) seen_as: SeenAs,
    pub(super) field: Field,
    pub(super) relayed: bool,
}

impl Piece {
    pub(super) const fn of(line: &EvidenceLine, strength: Strength) -> Self {
        let &EvidenceLine { indicator, seen_as, field, relayed, .. } = line;
        Self { indicator, strength, seen_as, field, relayed }
    }

    pub(super) const fn verdict(&self) -> Verdict {
        Verdict::of(self.strength, self.seen_as, self.relayed)
    }

    const fn weight(&self) -> u32 {
        weight(self.strength, self.seen_as, self.relayed)
    }

    fn is_of(&self, kind: Kind) -> bool {
        Kind::of(self.field) == kind
    }

    /// Whether both are of one kind and of one indicator, so that the second adds nothing.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        self.indicator == other.indicator && other.is_of(Kind::of(self.field))
    }
}

/// The strongest verdict that `lines` support, and how sure it is. `None` without evidence.
///
/// The rule: each kind of evidence (server name, HTTP, proxy request, certificate, resolved address, DNS, address range,
/// fingerprint, management traffic, behaviour, FTP, mail, first bytes) counts with its best line; a second and third indicator of the same
/// kind take away a tenth of the remaining doubt
/// each; repetition of one indicator adds nothing. The doubts of independent kinds multiply. The verdict caps the result.
#[must_use]
pub fn judge(
    lines: &[EvidenceLine],
    strength_of: impl Fn(IndicatorIndex) -> Strength,
) -> Option<(Verdict, Confidence)> {
    let pieces: Vec<_> = lines.iter().map(|line| Piece::of(line, strength_of(line.indicator))).collect();
    weigh(&pieces)
}

/// The same, of what counts of the lines.
pub(super) fn weigh(pieces: &[Piece]) -> Option<(Verdict, Confidence)> {
    let verdict = pieces.iter().map(Piece::verdict).min()?;
    let sure = sureness(Kind::ALL.into_iter().filter_map(|kind| contribution(pieces, kind)));
    Some((verdict, Confidence(u8::try_from(sure.min(ceiling(verdict))).unwrap_or(0))))
}

/// What one kind of evidence adds to the confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Contribution {
    /// The kind, in words: `server name`.
    pub kind: &'static str,
    /// Percent that its best line is worth.
    pub weight: u32,
    /// Further indicators of the kind that count, at most two: each takes away a tenth of the doubt that is left.
    pub further: u32,
}

/// How verdict and confidence come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reasoning {
    /// The strongest verdict that a line supports.
    pub verdict: Verdict,
    /// How sure.
    pub confidence: Confidence,
    /// The most that this verdict may claim, in percent.
    pub ceiling: u32,
    /// What each kind of evidence adds.
    pub contributions: Vec<Contribution>,
    /// Of each line: what it supports by itself, the percent that it is worth, and its kind in words.
    pub lines: Vec<(Verdict, u32, &'static str)>,
}

/// As [`judge`], with the way there.
#[must_use]
pub fn reason(lines: &[EvidenceLine], strength_of: impl Fn(IndicatorIndex) -> Strength) -> Option<Reasoning> {
    let pieces: Vec<_> = lines.iter().map(|line| Piece::of(line, strength_of(line.indicator))).collect();
    let (verdict, confidence) = weigh(&pieces)?;
    let of_line = |piece: &Piece| (piece.verdict(), piece.weight(), Kind::of(piece.field).words());
    Some(Reasoning {
        verdict,
        confidence,
        ceiling: ceiling(verdict),
        contributions: Kind::ALL.into_iter().filter_map(|kind| contribution(&pieces, kind)).collect(),
        lines: pieces.iter().map(of_line).collect(),
    })
}

/// What the pieces of a kind add, if there are any.
fn contribution(pieces: &[Piece], kind: Kind) -> Option<Contribution> {
    let of_kind = pieces.iter().filter(|piece| piece.is_of(kind));
    let weight = of_kind.clone().map(Piece::weight).max()?;
    let mut indicators: Vec<_> =
        of_kind.filter(|piece| piece.strength != Strength::Browse).map(|piece| piece.indicator).collect();
    indicators.sort_unstable();
    indicators.dedup();
    let further = u32::try_from(indicators.len().min(3)).unwrap_or(0).saturating_sub(1);
    Some(Contribution { kind: kind.words(), weight, further })
}

/// Percent, rounded down, before the verdict caps it.
fn sureness(contributions: impl Iterator<Item = Contribution>) -> u32 {
    // Doubt in millionths, in integers, so that every machine rounds alike.
    let mut doubt: u64 = 1_000_000;
    for Contribution { weight, further, .. } in contributions {
        doubt = doubt * u64::from(100 - weight) / 100;
        for _ in 0..further {
            doubt = doubt * 9 / 10;
        }
    }
    u32::try_from((1_000_000 - doubt) / 10_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::capture::Timestamp;
    use crate::matching::Position;

    fn line(strength: Strength, seen_as: SeenAs, field: Field, number: u32) -> EvidenceLine {
        // The test's strength_of reads the strength back from the index.
        EvidenceLine {
            indicator: IndicatorIndex(number * 3 + strength as u32),
            seen_as,
            connection_outcome: crate::matching::ConnectionOutcome::DataExchanged,
            field,
            observed: "x".into(),
            count: 1,
            first_seen: Timestamp(0),
            last_seen: Timestamp(0),
            server: "192.0.2.1".parse().unwrap(),
            server_port: 443,
            relayed: false,
            role: Role::Endpoint,
            example: Position { input: 0, packet: 1 },
        }
    }

    fn strength_of(indicator: IndicatorIndex) -> Strength {
        [Strength::Installed, Strength::Ambiguous, Strength::Browse]
            .into_iter()
            .nth((indicator.0 % 3) as usize)
            .unwrap()
    }

    fn verdict(lines: &[EvidenceLine]) -> (Verdict, u8) {
        let (verdict, confidence) = judge(lines, strength_of).unwrap();
        (verdict, confidence.0)
    }

    #[test]
    fn verdicts_follow_the_table() {
        use SeenAs::{Contact, Hint, Lookup};
        use Strength::{Ambiguous, Browse, Installed};
        let table = [
            (Installed, Contact, Verdict::Confirmed, 90),
            (Installed, Lookup, Verdict::Suspected, 50),
            (Installed, Hint, Verdict::Suspected, 15),
            (Ambiguous, Contact, Verdict::Suspected, 35),
            (Ambiguous, Lookup, Verdict::Suspected, 20),
            (Ambiguous, Hint, Verdict::Suspected, 15),
            (Browse, Contact, Verdict::Browsing, 3),
            (Browse, Lookup, Verdict::Browsing, 3),
        ];
        for (strength, seen_as, expected, sure) in table {
            assert_eq!(verdict(&[line(strength, seen_as, Field::TlsSni, 0)]), (expected, sure));
        }
        assert!(judge(&[], strength_of).is_none());
    }

    #[test]
    fn independent_kinds_raise_confidence_and_repetition_hardly_does() {
        let sni = line(Strength::Installed, SeenAs::Contact, Field::TlsSni, 0);
        let lookup = line(Strength::Installed, SeenAs::Lookup, Field::DnsQuery, 0);
        assert_eq!(verdict(&[sni.clone(), lookup]), (Verdict::Confirmed, 95));
        assert_eq!(verdict(&[sni.clone(), sni.clone()]), (Verdict::Confirmed, 90));
        let second = line(Strength::Installed, SeenAs::Contact, Field::TlsSni, 1);
        assert_eq!(verdict(&[sni, second]), (Verdict::Confirmed, 91));
    }

    #[test]
    fn what_is_done_for_others_never_confirms() {
        let mut sni = line(Strength::Installed, SeenAs::Contact, Field::TlsSni, 0);
        sni.relayed = true;
        assert_eq!(verdict(&[sni]), (Verdict::Suspected, 5));
    }

    #[test]
    fn a_port_is_no_kind_beside_what_needs_it() {
        let hint = line(Strength::Ambiguous, SeenAs::Hint, Field::ServerPort, 0);
        let beacon = line(Strength::Installed, SeenAs::Contact, Field::Beacon, 1);
        let certificate = line(Strength::Ambiguous, SeenAs::Contact, Field::TlsCertificate, 2);
        assert_eq!(verdict(&[beacon.clone(), hint.clone()]), (Verdict::Confirmed, 91));
        assert_eq!(verdict(&[beacon, hint.clone(), certificate]), (Verdict::Confirmed, 94));
        let order = line(Strength::Installed, SeenAs::Hint, Field::ResolverOrder, 3);
        let lookup = line(Strength::Installed, SeenAs::Lookup, Field::DnsQuery, 4);
        assert_eq!(verdict(&[lookup, order]), (Verdict::Suspected, 57));
        assert_eq!(verdict(&[hint]), (Verdict::Suspected, 15));
    }

    #[test]
    fn any_amount_of_hints_stays_suspected() {
        let lines: Vec<_> = [Field::Address, Field::Ja3, Field::Ja4]
            .into_iter()
            .flat_map(|field| (0..50).map(move |number| line(Strength::Installed, SeenAs::Hint, field, number)))
            .collect();
        let (verdict, sure) = verdict(&lines);
        assert_eq!(verdict, Verdict::Suspected);
        assert!(sure < 80);
    }
}
