//! The answer of a scan as one JSON object: `kaspector.scan/1`.

use super::parallel::in_parallel;
use super::report::{Inputs, OnSite, entry};
use super::spelling::{link_type, rfc3339};
use super::{
    CardMaker, InputReport, LogReport, MachineCounts, RunCoverage, RunVerdict, ScanReport, SiteEntry, SubnetMachines,
};
use kaspector::matching::{EvidenceLine, HostFinding, Label, LabelKind, LinkAddress, SignatureSet};
use serde::{Serialize, Serializer};
use serde_json::ser::{Formatter, PrettyFormatter};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

/// Writes the answer, indented by two, with a newline behind it. Keys stand in the documented order.
///
/// `log` of an input, `inner_vlan`, `vni`, `maker`, `mac_local`, `next_hop_mac`, `macs`, `identity`, `site` and `notes` of a host, and `bounds` and `left_out` of the
/// counters, are there only when they say something.
///
/// # Errors
/// When `out` fails.
pub fn write_json(out: &mut impl io::Write, report: &ScanReport, signatures: &SignatureSet) -> io::Result<()> {
    let coverage = report.coverage();
    let answer = Answer {
        schema: "kaspector.scan/1",
        version: env!("CARGO_PKG_VERSION"),
        signatures: Signatures::of(signatures),
        inputs: report.inputs.iter().map(Input::of).collect(),
        counters: Counters {
            packets: report.outcomes.total(),
            bytes: report.bytes,
            flows: report.flows,
            outcomes: Outcomes(report),
            bounds: &report.dropped,
            left_out: &report.left_out,
        },
        machines: Machines::of(report),
        verdict: coverage.verdict,
        coverage,
    };
    write_with_hosts(out, &answer, &report.hosts, report, signatures)
}

/// Writes an answer whose last key, `hosts`, holds these hosts.
pub(super) fn write_with_hosts(
    out: &mut impl io::Write,
    answer: &impl Serialize,
    hosts: &[HostFinding],
    inputs: &impl Inputs,
    signatures: &SignatureSet,
) -> io::Result<()> {
    let answer = serde_json::to_vec_pretty(answer)?;
    out.write_all(answer.strip_suffix(b"\n}").unwrap_or(&answer))?;
    out.write_all(b",\n  \"hosts\": [")?;
    let Some((first, others)) = hosts.split_first() else { return out.write_all(b"]\n}\n") };
    let write = |host: &HostFinding, before: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(before);
        write_in_list(out, &Host::of(host, inputs, signatures))
    };
    let mut buffer = Vec::new();
    write(first, b"\n    ", &mut buffer)?;
    out.write_all(&buffer)?;
    in_parallel(out, others, |hosts, out| hosts.iter().try_for_each(|host| write(host, b",\n    ", out)))?;
    out.write_all(b"\n  ]\n}\n")
}

/// Writes a value as it stands in an answer: in a list, in an object.
pub(super) fn write_in_list(out: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    let mut formatter = PrettyFormatter::new();
    formatter.begin_object(&mut io::sink())?;
    formatter.begin_array(&mut io::sink())?;
    let mut serializer = serde_json::Serializer::with_formatter(out, formatter);
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// Writes each host on a line of its own, as it stands in that answer, with `"schema": "kaspector.host/1"` before its keys.
///
/// # Errors
/// When `out` fails.
pub fn write_jsonl(out: &mut impl io::Write, report: &ScanReport, signatures: &SignatureSet) -> io::Result<()> {
    for host in &report.hosts {
        let line = HostLine { schema: "kaspector.host/1", host: Host::of(host, report, signatures) };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[derive(Serialize)]
struct HostLine<'a> {
    schema: &'static str,
    #[serde(flatten)]
    host: Host<'a>,
}

/// One host as it stands in that answer, on one line. `inputs` are the names of those that its examples stand in.
///
/// # Panics
/// Never: a host has only texts and numbers.
#[must_use]
pub fn host_json(finding: &HostFinding, inputs: &[String], signatures: &SignatureSet) -> String {
    serde_json::to_string(&Host::of(finding, inputs, signatures)).expect("texts and numbers are JSON")
}

/// The same with what is known of the machines and of the site.
///
/// # Panics
/// Never: a host has only texts and numbers.
#[must_use]
pub fn host_json_on_site(finding: &HostFinding, on_site: &OnSite<'_>, signatures: &SignatureSet) -> String {
    serde_json::to_string(&Host::of(finding, on_site, signatures)).expect("texts and numbers are JSON")
}

/// One host as it stands in that answer, to be written as a part of something else.
#[must_use]
pub fn host<'a>(finding: &'a HostFinding, report: &'a ScanReport, signatures: &'a SignatureSet) -> impl Serialize + 'a {
    Host::of(finding, report, signatures)
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    version: &'static str,
    signatures: Signatures<'a>,
    inputs: Vec<Input<'a>>,
    counters: Counters<'a>,
    machines: Machines<'a>,
    verdict: RunVerdict,
    coverage: RunCoverage,
}

#[derive(Serialize)]
pub(super) struct Signatures<'a> {
    version: &'a str,
    indicators: usize,
    sha256: &'a str,
}

impl<'a> Signatures<'a> {
    pub(super) fn of(signatures: &'a SignatureSet) -> Self {
        Self { version: signatures.version(), indicators: signatures.len(), sha256: signatures.sha256() }
    }
}

#[derive(Serialize)]
struct Input<'a> {
    path: &'a str,
    packets: u64,
    bytes: u64,
    first_packet: Option<String>,
    last_packet: Option<String>,
    link_types: Vec<Cow<'static, str>>,
    /// Of a log in place of a capture.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<&'a LogReport>,
    error: Option<&'a str>,
}

impl<'a> Input<'a> {
    fn of(input: &'a InputReport) -> Self {
        Self {
            path: &input.path,
            packets: input.packets,
            bytes: input.bytes,
            first_packet: input.first_packet.map(rfc3339),
            last_packet: input.last_packet.map(rfc3339),
            link_types: input.link_types.iter().copied().map(link_type).collect(),
            log: input.log.as_ref(),
            error: input.error.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Counters<'a> {
    packets: u64,
    bytes: u64,
    flows: u64,
    outcomes: Outcomes<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    bounds: &'a BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    left_out: &'a BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Machines<'a> {
    #[serde(flatten)]
    counts: MachineCounts,
    subnets: Vec<Subnet<'a>>,
}

impl<'a> Machines<'a> {
    fn of(report: &'a ScanReport) -> Self {
        let subnets = report.machines.by_subnet(&report.site);
        Self { counts: report.machines.counts(), subnets: subnets.into_iter().map(Subnet::of).collect() }
    }
}

#[derive(Serialize)]
struct Subnet<'a> {
    range: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(flatten)]
    counts: MachineCounts,
    first_seen: Option<String>,
    last_seen: Option<String>,
}

impl<'a> Subnet<'a> {
    fn of(subnet: SubnetMachines<'a>) -> Self {
        let SubnetMachines { range, named, counts, span } = subnet;
        Self {
            range: range.to_string(),
            name: named.map(|named| named.name.as_str()),
            owner: named.and_then(|named| named.owner.as_deref()),
            counts,
            first_seen: span.map(|(first, _)| rfc3339(first)),
            last_seen: span.map(|(_, last)| rfc3339(last)),
        }
    }
}

struct Outcomes<'a>(&'a ScanReport);

impl Serialize for Outcomes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.outcomes.non_zero().map(|(outcome, count)| (outcome.name(), count)))
    }
}

#[derive(Serialize)]
pub(super) struct Host<'a> {
    address: IpAddr,
    vlan: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inner_vlan: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vni: Option<u32>,
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maker: Option<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    mac_local: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_hop_mac: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    macs: Vec<Mac>,
    verdict: &'static str,
    confidence: u8,
    role: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    identity: Vec<Identity<'a>>,
    #[serde(skip_serializing_if = "SiteEntry::is_empty")]
    site: SiteEntry<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    categories: Vec<&'static str>,
    products: &'a BTreeSet<String>,
    products_one_of: &'a [BTreeSet<String>],
    engine_in: &'a BTreeSet<String>,
    engine_in_one_of: &'a [BTreeSet<String>],
    first_seen: String,
    last_seen: String,
    flows: u64,
    bytes_sent: u64,
    bytes_received: u64,
    evidence: Vec<Evidence<'a>>,
}

impl<'a> Host<'a> {
    pub(super) fn of(
        finding: &'a HostFinding,
        inputs: &'a (impl Inputs + ?Sized),
        signatures: &'a SignatureSet,
    ) -> Self {
        let zone = finding.host.zone;
        Self {
            address: finding.host.address,
            vlan: zone.vlan,
            inner_vlan: zone.inner_vlan,
            vni: zone.vni,
            mac: finding.mac.map(|mac| mac.to_string()),
            maker: finding.mac.and_then(|mac| CardMaker::of(mac).name()),
            mac_local: finding.mac.is_some_and(|mac| CardMaker::of(mac) == CardMaker::Local),
            next_hop_mac: finding.next_hop_mac.map(|mac| mac.to_string()),
            macs: Mac::all_of(finding),
            verdict: finding.verdict.name(),
            confidence: finding.confidence.0,
            role: finding.role.name(),
            identity: inputs
                .machines()
                .map_or_else(Vec::new, |machines| machines.labels(finding).into_iter().map(Identity::of).collect()),
            site: entry(inputs, finding),
            notes: &finding.notes,
            categories: finding.categories.iter().map(|category| category.name()).collect(),
            products: &finding.products.all,
            products_one_of: &finding.products.one_of,
            engine_in: &finding.engine_in.all,
            engine_in_one_of: &finding.engine_in.one_of,
            first_seen: rfc3339(finding.first_seen),
            last_seen: rfc3339(finding.last_seen),
            flows: finding.flows,
            bytes_sent: finding.bytes_sent,
            bytes_received: finding.bytes_received,
            evidence: finding.evidence.iter().map(|line| Evidence::of(line, inputs, signatures)).collect(),
        }
    }
}

/// Something to call the host by.
#[derive(Serialize)]
struct Identity<'a> {
    kind: LabelKind,
    text: &'a str,
    source: &'static str,
    first_seen: String,
    last_seen: String,
}

impl<'a> Identity<'a> {
    fn of(label: &'a Label) -> Self {
        Self {
            kind: label.kind,
            text: &label.text,
            source: label.source.name(),
            first_seen: rfc3339(label.first_seen),
            last_seen: rfc3339(label.last_seen),
        }
    }
}

#[derive(Serialize)]
struct Mac {
    mac: String,
    first_seen: String,
    last_seen: String,
    #[serde(skip_serializing_if = "is_false")]
    next_hop: bool,
}

impl Mac {
    /// None where `mac` says it all.
    fn all_of(finding: &HostFinding) -> Vec<Self> {
        match finding.macs.as_slice() {
            [] | [LinkAddress { is_next_hop: false, .. }] => Vec::new(),
            all => all.iter().map(Self::of).collect(),
        }
    }

    fn of(address: &LinkAddress) -> Self {
        Self {
            mac: address.mac.to_string(),
            first_seen: rfc3339(address.first_seen),
            last_seen: rfc3339(address.last_seen),
            next_hop: address.is_next_hop,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[derive(Serialize)]
struct Evidence<'a> {
    indicator: &'a str,
    category: &'static str,
    strength: &'static str,
    seen_as: &'static str,
    #[serde(rename = "reached")]
    connection_outcome: &'static str,
    field: &'static str,
    observed: &'a str,
    count: u64,
    first_seen: String,
    last_seen: String,
    server: IpAddr,
    server_port: u16,
    example: Example<'a>,
}

impl<'a> Evidence<'a> {
    fn of(line: &'a EvidenceLine, inputs: &'a (impl Inputs + ?Sized), signatures: &'a SignatureSet) -> Self {
        let indicator = signatures.get(line.indicator);
        Self {
            indicator: &indicator.id,
            category: indicator.category.name(),
            strength: indicator.strength.name(),
            seen_as: line.seen_as.name(),
            connection_outcome: line.connection_outcome.name(),
            field: line.field.name(),
            observed: &line.observed,
            count: line.count,
            first_seen: rfc3339(line.first_seen),
            last_seen: rfc3339(line.last_seen),
            server: line.server,
            server_port: line.server_port,
            example: Example { input: inputs.name_of(line.example), packet: line.example.packet },
        }
    }
}

#[derive(Serialize)]
struct Example<'a> {
    input: &'a str,
    packet: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::samples;
    use kaspector::decode::MacAddress;
    use serde_json::{Value, json};

    fn text(report: &ScanReport) -> String {
        let mut out = Vec::new();
        write_json(&mut out, report, &SignatureSet::builtin()).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The keys of an object in the order in which they stand in the text, at one depth of indentation.
    fn keys_at(text: &str, depth: usize) -> Vec<&str> {
        let indent = "  ".repeat(depth) + "\"";
        text.lines().filter_map(|line| line.strip_prefix(&indent)?.split_once("\":").map(|(key, _)| key)).collect()
    }

    #[test]
    fn keys_stand_in_the_documented_order() {
        let mut report = samples::report();
        report.hosts.truncate(1);
        report.hosts[0].evidence.truncate(1);
        let text = text(&report);
        assert_eq!(
            keys_at(&text, 1),
            ["schema", "version", "signatures", "inputs", "counters", "machines", "verdict", "coverage", "hosts"]
        );
        let of_coverage = text.find("\"coverage\": {").unwrap()..text.find("\"hosts\": [").unwrap();
        let without = text[..of_coverage.start].to_owned() + &text[of_coverage.end..];
        let groups =
            ["window", "inputs", "packets", "dropped", "connections", "machines", "hosts", "shared", "missing"];
        assert_eq!(keys_at(&text[of_coverage], 2), groups);
        assert_eq!(
            keys_at(&without, 3),
            [
                "path",
                "packets",
                "bytes",
                "first_packet",
                "last_packet",
                "link_types",
                "error", // of the input
                "inspected",
                "not_ip",
                "truncated", // of the outcomes
                "address",
                "vlan",
                "mac",
                "mac_local",
                "verdict",
                "confidence",
                "role",
                "categories",
                "products",
                "products_one_of",
                "engine_in",
                "engine_in_one_of",
                "first_seen",
                "last_seen",
                "flows",
                "bytes_sent",
                "bytes_received",
                "evidence",
            ]
        );
        assert_eq!(
            keys_at(&text, 5),
            [
                "indicator",
                "category",
                "strength",
                "seen_as",
                "reached",
                "field",
                "observed",
                "count",
                "first_seen",
                "last_seen",
                "server",
                "server_port",
                "example",
            ]
        );
    }

    #[test]
    fn values_are_those_of_the_report() {
        let signatures = SignatureSet::builtin();
        let answer: Value = serde_json::from_str(&text(&samples::report())).unwrap();
        assert_eq!(answer["schema"], "kaspector.scan/1");
        assert_eq!(answer["signatures"]["indicators"], signatures.len());
        assert_eq!(
            answer["inputs"][0],
            json!({"path": "captures/a.pcap", "packets": 103, "bytes": 81234, "first_packet": "2026-11-23T15:43:54.449556Z",
                "last_packet": "2026-11-23T15:45:04.449556001Z", "link_types": ["EN10MB"], "error": null})
        );
        assert_eq!(
            answer["counters"],
            json!({"packets": 103, "bytes": 81234, "flows": 9, "outcomes": {"inspected": 97, "not_ip": 4, "truncated": 2}})
        );
        let host = &answer["hosts"][0];
        assert_eq!(host["mac"], "46:7e:3f:af:25:32");
        assert_eq!(host["vlan"], Value::Null);
        assert!(host.get("vni").is_none());
        assert_eq!(host["evidence"][0]["server"], "198.51.100.10");
        assert_eq!(host["evidence"][0]["example"], json!({"input": "captures/a.pcap", "packet": 4}));
        assert_eq!(host["evidence"][0]["indicator"], signatures.get(samples::tls().indicator).id.as_str());
        let tenant = &answer["hosts"][1];
        assert!(host.get("notes").is_none());
        assert_eq!(tenant["notes"], json!(["one address, \u{1b}possibly many endpoints"]));
        assert_eq!((&tenant["vlan"], &tenant["inner_vlan"], &tenant["vni"]), (&json!(120), &json!(7), &json!(5001)));
    }

    #[test]
    fn link_layer_addresses_are_listed_where_one_alone_would_be_half_of_it() {
        let mut report = samples::report();
        report.hosts.truncate(1);
        let address = |last: u8, is_next_hop| LinkAddress {
            mac: MacAddress([2, 0, 0, 0, 0, last]),
            first_seen: samples::AT,
            last_seen: samples::AT,
            is_next_hop,
        };
        report.hosts[0].macs = vec![address(1, false)];
        let plain: Value = serde_json::from_str(&text(&report)).unwrap();
        assert!(plain["hosts"][0].get("macs").is_none() && plain["hosts"][0].get("next_hop_mac").is_none());
        for (mac, maker, is_local) in
            [([0, 0, 0x0c, 1, 2, 3], Some("Cisco Systems, Inc"), false), ([2, 0, 0, 0, 0, 1], None, true)]
        {
            report.hosts[0].mac = Some(MacAddress(mac));
            let answer: Value = serde_json::from_str(&text(&report)).unwrap();
            let host = &answer["hosts"][0];
            assert_eq!(host.get("maker").and_then(Value::as_str), maker);
            assert_eq!(host.get("mac_local").is_some(), is_local);
        }
        let host = &mut report.hosts[0];
        (host.mac, host.next_hop_mac) = (None, Some(address(2, true).mac));
        host.macs.push(address(2, true));
        let answer: Value = serde_json::from_str(&text(&report)).unwrap();
        let host = &answer["hosts"][0];
        assert_eq!((&host["mac"], &host["next_hop_mac"]), (&Value::Null, &json!("02:00:00:00:00:02")));
        let at = "2026-11-23T15:43:54.449556Z";
        assert_eq!(
            host["macs"],
            json!([{"mac": "02:00:00:00:00:01", "first_seen": at, "last_seen": at},
                {"mac": "02:00:00:00:00:02", "first_seen": at, "last_seen": at, "next_hop": true}])
        );
    }

    #[test]
    fn a_host_by_itself_is_the_host_of_the_answer() {
        let report = samples::report();
        let inputs: Vec<String> = report.inputs.iter().map(|input| input.path.clone()).collect();
        let answer: Value = serde_json::from_str(&text(&report)).unwrap();
        for (number, host) in report.hosts.iter().enumerate() {
            let alone = host_json(host, &inputs, &SignatureSet::builtin());
            assert!(!alone.contains('\n'));
            assert_eq!(serde_json::from_str::<Value>(&alone).unwrap(), answer["hosts"][number]);
        }
    }

    #[test]
    fn bounds_are_listed_when_one_was_met() {
        let mut report = samples::report();
        report.dropped.insert("flows", 3);
        let answer: Value = serde_json::from_str(&text(&report)).unwrap();
        assert_eq!(answer["counters"]["bounds"], json!({"flows": 3}));
    }

    #[test]
    fn nothing_scanned_is_still_an_answer() {
        let answer: Value = serde_json::from_str(&text(&ScanReport::default())).unwrap();
        assert_eq!((&answer["hosts"], &answer["inputs"]), (&json!([]), &json!([])));
    }
}
