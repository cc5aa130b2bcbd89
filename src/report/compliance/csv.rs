//! The report as comma-separated values: one row for each finding.

use super::{ComplianceReport, Finding};
use crate::escape::for_spreadsheet;
use crate::parallel::in_parallel;
use crate::scan_csv::plain;
use std::borrow::Cow;
use std::io;

/// Writes a header, then one row per finding, with its strongest piece of evidence. Lists within a cell are separated by `; `.
///
/// Control characters are written out, and a text that a spreadsheet would calculate begins with an apostrophe; the exact values are
/// in the JSON form.
///
/// # Errors
/// When `out` fails.
pub fn write_compliance_csv(out: &mut impl io::Write, report: &ComplianceReport<'_>) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(&mut *out);
    rows.write_record(COLUMNS).map_err(plain)?;
    rows.flush()?;
    drop(rows);
    in_parallel(out, report.findings.endpoints, |some, out| {
        let mut rows = csv::Writer::from_writer(out);
        for finding in report.findings.among(some) {
            let cells = cells(&finding);
            rows.write_record(cells.iter().map(|cell| for_spreadsheet(cell).into_owned())).map_err(plain)?;
        }
        rows.flush()
    })
}

const COLUMNS: [&str; 51] = [
    "finding_id",
    "state",
    "address",
    "vlan",
    "inner_vlan",
    "vni",
    "mac",
    "hostname",
    "first_name_source",
    "role",
    "endpoint_verdict",
    "product",
    "product_basis",
    "embedding",
    "product_kind",
    "services",
    "verdict",
    "strength",
    "confidence",
    "reached",
    "first_seen",
    "last_seen",
    "days_seen",
    "contacts",
    "times_seen",
    "bytes_out",
    "bytes_in",
    "us_bod_17_01",
    "us_far_52_204_23",
    "us_commerce_2024",
    "ca_mobile_2023",
    "au_pspf_002_2025",
    "de_bsi_2022",
    "indicator_id",
    "seen_as",
    "field",
    "observed",
    "timestamp",
    "server",
    "server_port",
    "community_id",
    "file",
    "packet_number",
    "sha256_of_pcap",
    "uid",
    "evidence_not_in_row",
    "note",
    "site_machine",
    "site_machine_owner",
    "site_subnet",
    "site_subnet_owner",
];

fn cells<'a>(finding: &'a Finding<'_>) -> [Cow<'a, str>; COLUMNS.len()] {
    let endpoint = &finding.endpoint;
    let or_empty = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default().into();
    let [bod, far, commerce, canada, australia, germany] =
        finding.regimes.map(|scope| Cow::Borrowed(scope.in_scope.name()));
    let evidence = finding.evidence.first();
    let of_evidence = |tell: fn(&super::Evidence<'_>) -> String| evidence.map(tell).unwrap_or_default().into();
    let of_site = |tell: fn(&super::SiteOf) -> Option<&str>| endpoint.site.and_then(tell).unwrap_or_default().into();
    let further = finding.evidence.len().saturating_sub(1) as u64 + u64::from(finding.evidence_left_out);
    [
        (&*finding.finding_id).into(),
        finding.state.name().into(),
        endpoint.ip.to_string().into(),
        or_empty(endpoint.vlan.map(u32::from)),
        or_empty(endpoint.inner_vlan.map(u32::from)),
        or_empty(endpoint.vni),
        endpoint.mac.as_deref().unwrap_or_default().into(),
        endpoint.hostname.unwrap_or_default().into(),
        endpoint.first_name_source.unwrap_or_default().into(),
        endpoint.role.into(),
        endpoint.verdict.into(),
        finding.product.text().into(),
        finding.product_basis.name().into(),
        finding.embedding.name().into(),
        finding.product_kind.name().into(),
        finding.services.join("; ").into(),
        finding.verdict.into(),
        finding.strength.into(),
        finding.confidence.to_string().into(),
        finding.reached.into(),
        (&*finding.first_seen).into(),
        (&*finding.last_seen).into(),
        finding.days_seen.to_string().into(),
        finding.contacts.to_string().into(),
        finding.times_seen.to_string().into(),
        finding.bytes_out.to_string().into(),
        finding.bytes_in.to_string().into(),
        bod,
        far,
        commerce,
        canada,
        australia,
        germany,
        of_evidence(|line| line.indicator_id.to_owned()),
        of_evidence(|line| line.seen_as.to_owned()),
        of_evidence(|line| line.field.to_owned()),
        of_evidence(|line| line.observed.to_owned()),
        of_evidence(|line| line.timestamp.clone()),
        of_evidence(|line| line.server.to_string()),
        of_evidence(|line| line.server_port.to_string()),
        of_evidence(|line| line.community_id.unwrap_or_default().to_owned()),
        of_evidence(|line| line.file.unwrap_or_default().to_owned()),
        of_evidence(|line| line.packet_number.to_string()),
        of_evidence(|line| line.sha256_of_pcap.unwrap_or_default().to_owned()),
        of_evidence(|line| line.uid.clone().unwrap_or_default()),
        further.to_string().into(),
        (&*finding.note).into(),
        of_site(|site| site.machine.as_deref()),
        of_site(|site| site.machine_owner.as_deref()),
        of_site(|site| site.subnet.as_deref()),
        of_site(|site| site.subnet_owner.as_deref()),
    ]
}
