//! The verdict of a whole run, and how much of the network it rests on.
//!
//! That nothing was found says something only if it would have been seen: long enough, from both sides, nothing lost, names in the clear.
//! Where one of these is missing, the verdict says which, with the number, and what would settle it. The bounds are those of
//! docs/coverage.md.

mod covered_time;

pub use covered_time::{CoveredTime, GAP_MAX};

use super::machines::MachineCounts;
use super::scan_table::counted;
use super::spelling::rfc3339;
use super::{ScanReport, SharedKind};
use kaspector::decode::Outcome;
use kaspector::matching::{HostFinding, Verdict};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How much time has to be covered before silence says something. Installed products ask for updates every two hours
/// (<http://support.kaspersky.com/8595>, KL-UPD-0071; <https://help.kaspersky.com/KSVLA/5.1/en-US/145535.htm>, KL-UPD-0073), so a machine that
/// is switched on shows within two hours. Not every machine is: a day holds the hours of each that is used once a day.
pub const WINDOW_MIN: Duration = Duration::from_secs(24 * 60 * 60);
/// Of so many connections, at most one may be seen from one side only.
const ONE_SIDED_ONE_IN: u64 = 20;
/// Of so many machines that began flows, at most one may be such that none of its flows says whom it was for.
const NOT_JUDGED_ONE_IN: u64 = 10;
/// Of so many packets, at most one may be unreadable.
const UNREADABLE_ONE_IN: u64 = 100;
/// Bounds at which nothing goes that a verdict rests on: what machines are called; bytes that contradict each other, of which one version is
/// read; protocols that name nobody, whose machines count as not judged.
const HARMLESS_BOUNDS: [&str; 4] =
    ["identity_statements", "overlapping_segments", "overlapping_fragments", "unknown_pieces"];
/// How the others of these begin: versions of QUIC that cannot be opened.
const HARMLESS_PREFIX: &str = "quic_version_";
/// Hosts, subnets and addresses that are named one by one in a sentence.
const NAMED_MAX: usize = 4;
/// Addresses behind which others stand that are listed.
const SHARED_MAX: usize = 256;

/// What a whole run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunVerdict {
    /// At least one host is confirmed.
    Found,
    /// Neither: something is missing, and it is said what.
    Inconclusive,
    /// No host is confirmed or suspected, and one would have been seen.
    NoneFound,
}

impl RunVerdict {
    /// `found`, `inconclusive` or `none-found`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Inconclusive => "inconclusive",
            Self::NoneFound => "none-found",
        }
    }
}

/// Something without which silence says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// A word for programs, such as `window`.
    pub id: &'static str,
    /// What is missing, with the number.
    pub what: String,
    /// Why that matters.
    pub why: &'static str,
    /// What would settle it.
    pub settle: &'static str,
}

/// The verdict of a run and the numbers that it rests on. Serialized, what stands under `coverage` of a scan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunCoverage {
    /// What the run comes to.
    #[serde(skip)]
    pub verdict: RunVerdict,
    /// When it listened.
    pub window: Window,
    /// What became of the inputs.
    pub inputs: InputCounts,
    /// What became of the packets.
    pub packets: PacketCounts,
    /// What was dropped at bounds, other than statements of names.
    pub dropped: u64,
    /// What was seen of the TCP connections that carried something.
    pub connections: Connections,
    /// How many machines could be judged.
    pub machines: JudgedMachines,
    /// What the hosts come to.
    pub hosts: HostCounts,
    /// Addresses behind which others stand that were not counted, at most 256.
    pub shared: Vec<SharedSeen>,
    /// What is missing for a verdict of `none-found`; what was found may be more, too.
    pub missing: Vec<Missing>,
}

/// When a run listened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Time of the earliest packet.
    pub first_packet: Option<String>,
    /// Time of the latest packet.
    pub last_packet: Option<String>,
    /// Whole seconds with packets no more than 15 minutes apart, each once, whatever the number of inputs.
    pub covered_s: u64,
    /// Gaps that are longer.
    pub gaps: usize,
    /// Seconds that are needed.
    pub needed_s: u64,
}

/// What became of the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct InputCounts {
    /// Read to their end.
    pub whole: usize,
    /// Read in part.
    pub in_part: usize,
    /// Not read at all, links that lead nowhere included.
    pub unreadable: usize,
}

/// What became of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PacketCounts {
    /// All that the inputs hold.
    pub read: u64,
    /// Lost before they could be written, as far as the inputs say so.
    pub lost: u64,
    /// Cut by the snap length.
    pub cut: u64,
    /// Left out by a filter.
    pub filtered: u64,
    /// Encrypted below TCP and UDP.
    pub encrypted: u64,
    /// Malformed, nested too deep, or of a link type that is not read.
    pub undecoded: u64,
}

/// What was seen of the TCP connections that carried something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// All of them.
    pub ended: u64,
    /// Only one side was seen.
    pub one_sided: u64,
    /// Their beginning was not seen.
    pub midstream: u64,
    /// Client hellos that may show an outer name only. Browsers that hide nothing send such, too.
    pub encrypted_hellos: u64,
    /// Flows of QUIC versions that cannot be opened.
    pub unknown_quic_versions: u64,
}

/// How many machines could be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct JudgedMachines {
    /// Seen at all.
    pub seen: usize,
    /// Of these, such that began flows with payload.
    pub with_flows: usize,
    /// Of these, such of which a flow says whom it was for.
    pub judged: usize,
}

/// What the hosts come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostCounts {
    /// Confirmed hosts.
    pub confirmed: usize,
    /// Suspected hosts.
    pub suspected: usize,
    /// Hosts of somebody who read the vendor's pages.
    pub browsing: usize,
    /// Of all these, hosts for which an exception holds.
    pub excepted: usize,
}

/// An address, or a range, behind which others stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedSeen {
    /// The address, or the range of the site file.
    pub address: String,
    /// Why.
    pub kinds: BTreeSet<SharedKind>,
    /// What the site file calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl ScanReport {
    /// What the whole run comes to, and what that rests on. Exceptions change nothing of it.
    #[must_use]
    pub fn coverage(&self) -> RunCoverage {
        self.coverage_of(|_| true)
    }

    /// The same as if no host with an exception that holds were there.
    #[must_use]
    pub fn coverage_beyond_exceptions(&self) -> RunCoverage {
        self.coverage_of(|host| !self.site_entry(host).is_excepted())
    }

    fn coverage_of(&self, counts: impl Fn(&HostFinding) -> bool) -> RunCoverage {
        let hosts: Vec<&HostFinding> = self.hosts.iter().filter(|host| counts(host)).collect();
        let of = |verdict: Verdict| hosts.iter().filter(|host| host.verdict == verdict).count();
        let MachineCounts { seen, judged, silent, .. } = self.machines.counts();
        let pipeline = self.connections;
        let mut coverage = RunCoverage {
            verdict: RunVerdict::Inconclusive,
            window: self.window(),
            inputs: self.input_counts(),
            packets: self.packet_counts(),
            dropped: self
                .dropped
                .iter()
                .filter(|(bound, _)| !HARMLESS_BOUNDS.contains(*bound) && !bound.starts_with(HARMLESS_PREFIX))
                .fold(0, |sum, (_, count)| sum.saturating_add(*count)),
            connections: Connections {
                ended: pipeline.ended,
                one_sided: pipeline.one_sided,
                midstream: pipeline.midstream,
                encrypted_hellos: pipeline.encrypted_hellos,
                unknown_quic_versions: pipeline.unknown_quic_versions,
            },
            machines: JudgedMachines { seen, with_flows: seen - silent, judged },
            hosts: HostCounts {
                confirmed: of(Verdict::Confirmed),
                suspected: of(Verdict::Suspected),
                browsing: of(Verdict::Browsing),
                excepted: hosts.iter().filter(|host| self.site_entry(host).is_excepted()).count(),
            },
            shared: self.shared(),
            missing: Vec::new(),
        };
        let suspects = hosts.iter().filter(|host| host.verdict == Verdict::Suspected);
        let suspects = suspects.map(|host| host.host.address.to_string());
        coverage.missing = coverage.missing(suspects, self.unseen_subnets());
        coverage.verdict = if coverage.hosts.confirmed > 0 {
            RunVerdict::Found
        } else if coverage.missing.is_empty() {
            RunVerdict::NoneFound
        } else {
            RunVerdict::Inconclusive
        };
        coverage
    }

    fn window(&self) -> Window {
        let mut covered = CoveredTime::default();
        self.inputs.iter().for_each(|input| covered.merge(&input.covered));
        Window {
            first_packet: self.inputs.iter().filter_map(|input| input.first_packet).min().map(rfc3339),
            last_packet: self.inputs.iter().filter_map(|input| input.last_packet).max().map(rfc3339),
            covered_s: covered.total().as_secs(),
            gaps: covered.gaps(),
            needed_s: WINDOW_MIN.as_secs(),
        }
    }

    fn input_counts(&self) -> InputCounts {
        let dangling = self.left_out.get("dangling_link").copied().unwrap_or(0);
        let unreadable = self.inputs.iter().filter(|input| input.unreadable).count();
        let in_part = self.inputs.iter().filter(|input| input.error.is_some() && !input.unreadable).count();
        InputCounts {
            whole: self.inputs.len() - unreadable - in_part,
            in_part,
            unreadable: unreadable.saturating_add(usize::try_from(dangling).unwrap_or(usize::MAX)),
        }
    }

    fn packet_counts(&self) -> PacketCounts {
        let of = |outcomes: &[Outcome]| outcomes.iter().map(|&outcome| self.outcomes.count(outcome)).sum();
        PacketCounts {
            read: self.outcomes.total(),
            lost: self.inputs.iter().fold(0, |sum, input| sum.saturating_add(input.lost)),
            cut: self.inputs.iter().map(|input| input.cut).sum(),
            filtered: of(&[Outcome::Filtered]),
            encrypted: of(&[Outcome::Encrypted]),
            undecoded: of(&[
                Outcome::FragmentMalformed,
                Outcome::MalformedLink,
                Outcome::MalformedNetwork,
                Outcome::MalformedTunnel,
                Outcome::MalformedTransport,
                Outcome::NestedTooDeep,
                Outcome::UnsupportedLinkType,
            ]),
        }
    }

    /// What the traffic shows to be asked by others, and what the site file says.
    fn shared(&self) -> Vec<SharedSeen> {
        let mut shared: BTreeMap<_, SharedSeen> = BTreeMap::new();
        let of_site = self.site.all_shared().map(|one| (one.range, one.kinds.clone(), one.name.clone()));
        let asked = self.machines.rows().iter().filter(|machine| machine.is_resolver || machine.is_proxy);
        let of_traffic = asked.filter_map(|machine| {
            let kinds = [(machine.is_resolver, SharedKind::Resolver), (machine.is_proxy, SharedKind::Proxy)];
            let kinds = kinds.into_iter().filter(|(is_one, _)| *is_one).map(|(_, kind)| kind).collect();
            Some((machine.addresses.first()?.address.into(), kinds, None))
        });
        for (range, kinds, name) in of_site.chain(of_traffic) {
            let row = shared.entry((range.ends().0, range.bits())).or_insert_with(|| SharedSeen {
                address: range.to_string(),
                kinds: BTreeSet::new(),
                name: None,
            });
            row.kinds.extend(kinds);
            row.name = row.name.take().or(name);
        }
        shared.into_values().take(SHARED_MAX).collect()
    }

    /// Subnets of the site file that no machine was seen in, nor in a more specific one.
    fn unseen_subnets(&self) -> Vec<String> {
        let rows = self.machines.by_subnet(&self.site);
        let seen = |range: super::AddressRange| {
            rows.iter().any(|row| {
                row.counts.seen > 0 && range.contains(row.range.ends().0) && range.bits() <= row.range.bits()
            })
        };
        rows.iter().filter(|row| row.counts.seen == 0 && !seen(row.range)).map(|row| row.range.to_string()).collect()
    }
}

impl RunCoverage {
    /// What is missing, in the order in which it is looked for.
    fn missing(&self, suspects: impl Iterator<Item = String>, unseen_subnets: Vec<String>) -> Vec<Missing> {
        let Self { window, inputs, packets, dropped, connections, machines, .. } = self;
        let mut missing = Vec::new();
        let mut note = |is_missing: bool, id, what: String, why, settle| {
            if is_missing {
                missing.push(Missing { id, what, why, settle });
            }
        };
        let suspects: Vec<String> = suspects.collect();
        note(
            !suspects.is_empty(),
            "suspects",
            format!("{} open: {}", counted(suspects.len(), "suspected host"), some_of(&suspects)),
            "a name was asked for, or a hint was seen, that an installed product explains best",
            "look at these machines, or capture where their own connections pass",
        );
        note(
            machines.judged == 0,
            "machines",
            "no machine inside could be judged".to_owned(),
            "who was not seen to speak shows nothing",
            "capture where the traffic of the machines passes",
        );
        let (covered, needed) = (Duration::from_secs(window.covered_s), WINDOW_MIN);
        note(
            covered < needed,
            "window",
            format!("{} of {} hours covered{}", hours(covered), hours(needed), gaps(window.gaps)),
            "updates are asked for every two hours by machines that are switched on, and a day holds the hours of each",
            "capture for a whole working day, from one morning to the next",
        );
        note(
            inputs.in_part + inputs.unreadable > 0,
            "inputs",
            format!("{} read in part, {} not at all", counted(inputs.in_part, "input"), inputs.unreadable),
            "what was not read may hold the evidence",
            "repair or copy these files again; the messages say what is wrong with each",
        );
        note(
            packets.lost > 0,
            "lost",
            format!("{} lost before {} written", counted(packets.lost, "packet"), were(packets.lost)),
            "one lost packet may be the one with the name",
            "capture with larger buffers, or to a faster disk",
        );
        note(
            packets.filtered > 0,
            "filtered",
            format!("{} left out by the filter", counted(packets.filtered, "packet")),
            "what was left out may hold the evidence",
            "scan without --filter",
        );
        note(
            packets.cut > 0,
            "snaplen",
            format!("{} cut by the snap length", counted(packets.cut, "packet")),
            "names stand behind the headers, where packets are cut",
            "capture whole packets: tcpdump -s 0",
        );
        let unreadable = packets.encrypted + packets.undecoded;
        note(
            unreadable.saturating_mul(UNREADABLE_ONE_IN) > packets.read,
            "unreadable",
            format!(
                "{} of {} encrypted below TCP and UDP or not decoded ({})",
                unreadable,
                counted(packets.read, "packet"),
                share(unreadable, packets.read)
            ),
            "what is in a tunnel that nobody can open may hold the evidence",
            "capture inside the tunnel; see counters.outcomes for what the packets are",
        );
        note(
            *dropped > 0,
            "dropped",
            format!("{dropped} dropped at bounds"),
            "what was dropped may have been evidence, or a machine",
            "scan the inputs in smaller groups; counters.bounds names the bounds, docs/limits.md what they hold",
        );
        note(
            connections.one_sided.saturating_mul(ONE_SIDED_ONE_IN) > connections.ended,
            "direction",
            format!(
                "{} of {} seen from one side only ({})",
                connections.one_sided,
                counted(connections.ended, "connection"),
                share(connections.one_sided, connections.ended)
            ),
            "names are said by the client, and what they lead to by the server",
            "mirror both directions of the link, or capture both ways if routes differ",
        );
        let not_judged = machines.with_flows - machines.judged;
        note(
            machines.judged > 0 && not_judged.saturating_mul(NOT_JUDGED_ONE_IN as usize) > machines.with_flows,
            "names",
            format!("{not_judged} of {} that began flows could not be judged", counted(machines.with_flows, "machine")),
            "no flow of these says whom it was for: seen from one side, joined midway, or nothing in the clear",
            "capture where their name look-ups and the beginnings of their connections pass",
        );
        note(
            !unseen_subnets.is_empty(),
            "subnets",
            format!(
                "{} of the site file without a machine: {}",
                counted(unseen_subnets.len(), "subnet"),
                some_of(&unseen_subnets)
            ),
            "the capture point may not see these subnets at all",
            "capture where their traffic passes, or take them out of the site file",
        );
        missing
    }

    /// The verdict in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { window, connections, machines, hosts, missing, .. } = self;
        let whats = || missing.iter().map(|missing| missing.what.as_str()).collect::<Vec<_>>().join("; ");
        match self.verdict {
            RunVerdict::Found if missing.is_empty() => {
                format!("Verdict of the whole: found, {} confirmed.", counted(hosts.confirmed, "host"))
            }
            RunVerdict::Found => format!(
                "Verdict of the whole: found, {} confirmed. There may be more: {}.",
                counted(hosts.confirmed, "host"),
                whats()
            ),
            RunVerdict::NoneFound => format!(
                "Verdict of the whole: none found, in {} hours; {} of connections seen from one side only, {} of {} that began flows judged.",
                hours(Duration::from_secs(window.covered_s)),
                share(connections.one_sided, connections.ended),
                machines.judged,
                counted(machines.with_flows, "machine")
            ),
            RunVerdict::Inconclusive => format!("Verdict of the whole: inconclusive: {}.", whats()),
        }
    }

    /// What would settle it, in one sentence; `None` where nothing is missing.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let settle: Vec<&str> = self.missing.iter().map(|missing| missing.settle).collect();
        (self.verdict == RunVerdict::Inconclusive).then(|| format!("What would settle it: {}.", settle.join("; ")))
    }

    /// Behind which addresses others may stand that were not counted, in one sentence; `None` without such.
    #[must_use]
    pub fn hidden(&self) -> Option<String> {
        let of = |shared: &SharedSeen| {
            let kinds: Vec<&str> = shared.kinds.iter().map(|kind| kind.name()).collect();
            format!("{} ({})", shared.address, kinds.join(", "))
        };
        let all: Vec<String> = self.shared.iter().map(of).collect();
        (!all.is_empty()).then(|| format!("Others may stand behind {}.", some_of(&all)))
    }
}

fn some_of(all: &[String]) -> String {
    let named = all.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(NAMED_MAX) {
        None | Some(0) => named,
        Some(more) => format!("{named}, {more} more"),
    }
}

fn gaps(gaps: usize) -> String {
    if gaps == 0 { String::new() } else { format!(", with {} longer than 15 minutes", counted(gaps, "gap")) }
}

const fn were(count: u64) -> &'static str {
    if count == 1 { "it was" } else { "they were" }
}

/// `23.9`, rounded down, so that what is too short does not look long enough.
fn hours(time: Duration) -> String {
    let tenths = time.as_secs() / 360;
    let (whole, rest) = (tenths / 10, tenths % 10);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest}") }
}

/// `4.7 %`, rounded up, so that what is too much does not look little enough.
fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0 %".to_owned();
    }
    let tenths = part.saturating_mul(1000).div_ceil(whole);
    let (percent, rest) = (tenths / 10, tenths % 10);
    if rest == 0 { format!("{percent} %") } else { format!("{percent}.{rest} %") }
}

#[cfg(test)]
mod tests;
