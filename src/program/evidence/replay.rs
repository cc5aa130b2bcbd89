//! What a capture shows when it is scanned by itself.

use super::captures::bounds_for;
use super::{Captures, Held};
use kaspector::capture::Frame;
use kaspector::matching::{HostFinding, Role, SignatureSet, Verdict};
use kaspector::pipeline::Detector;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the kept packets show of their host by themselves, held against what the whole showed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Replay<'s> {
    #[serde(serialize_with = "name_of_verdict")]
    verdict: Option<Verdict>,
    confidence: Option<u8>,
    #[serde(serialize_with = "name_of_role")]
    role: Option<Role>,
    /// Whether verdict and indicators are those of the whole.
    is_whole: bool,
    /// Indicators that the whole showed, and these packets do not.
    missing: Vec<&'s str>,
}

fn name_of_verdict<S: serde::Serializer>(verdict: &Option<Verdict>, serializer: S) -> Result<S::Ok, S::Error> {
    verdict.map(Verdict::name).serialize(serializer)
}

fn name_of_role<S: serde::Serializer>(role: &Option<Role>, serializer: S) -> Result<S::Ok, S::Error> {
    role.map(Role::name).serialize(serializer)
}

impl Replay<'_> {
    /// Whether verdict and indicators are those of the whole.
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }
}

/// Scans the kept packets of a finding.
pub(super) fn replay<'s>(
    finding: &HostFinding,
    frames: &[Held],
    signatures: &'s Arc<SignatureSet>,
    captures: &Captures<'_>,
) -> Replay<'s> {
    let builder = Detector::builder().signatures(signatures).tunnels(captures.ports()).without_alerts();
    let mut detector = builder.bounds(bounds_for(frames.len())).build();
    for (number, held) in (1..).zip(frames) {
        let &Held { at, link_type, wire_len, ref bytes } = held;
        detector.feed(&Frame { number, at, link_type, wire_len, bytes });
    }
    let hosts = detector.finish().host_findings(signatures);
    let again = hosts.iter().find(|host| host.host == finding.host);
    let indicators = |host: &HostFinding| host.evidence.iter().map(|line| line.indicator).collect::<BTreeSet<_>>();
    let shown = again.map(indicators).unwrap_or_default();
    let missing: Vec<_> =
        indicators(finding).difference(&shown).map(|&indicator| signatures.get(indicator).id.as_str()).collect();
    let verdict = again.map(|host| host.verdict);
    Replay {
        verdict,
        confidence: again.map(|host| host.confidence.0),
        role: again.map(|host| host.role),
        is_whole: verdict == Some(finding.verdict) && missing.is_empty(),
        missing,
    }
}
