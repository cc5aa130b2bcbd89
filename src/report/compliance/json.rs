//! The report as one JSON object: what serde makes of it, written by all processors.

use super::{ComplianceReport, Endpoint, Findings};
use crate::parallel::in_parallel;
use crate::scan_json::write_in_list;
use std::io;

/// Writes the report as one JSON object, indented by two, with a newline behind it.
///
/// # Errors
/// When `out` fails.
pub fn write_compliance_json(out: &mut impl io::Write, report: &ComplianceReport<'_>) -> io::Result<()> {
    let none = Findings { endpoints: &[], ..report.findings };
    let head = serde_json::to_vec_pretty(&ComplianceReport { findings: none, ..report.clone() })?;
    // Findings are the last key, so that the list is open at its end.
    out.write_all(head.strip_suffix(END).unwrap_or(&head))?;
    let with_comma = |endpoints: &[Endpoint], out: &mut Vec<u8>| {
        report.findings.among(endpoints).try_for_each(|finding| {
            out.extend_from_slice(b",\n    ");
            write_in_list(out, &finding)
        })
    };
    let Some((first, others)) = report.findings.endpoints.split_at_checked(1) else {
        out.write_all(END)?;
        return out.write_all(b"\n");
    };
    let mut buffer = Vec::new();
    with_comma(first, &mut buffer)?;
    out.write_all(buffer.strip_prefix(b",").unwrap_or(&buffer))?;
    in_parallel(out, others, with_comma)?;
    out.write_all(b"\n  ]\n}\n")
}

const END: &[u8] = b"]\n}";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Basis, EvidenceInput, Material, ProductGroups, write_compliance_html};
    use super::*;
    use crate::{ScanReport, samples};
    use kaspector::matching::{HostFinding, SignatureSet};
    use std::collections::HashMap;

    /// Gives `look` a report of these hosts.
    fn with_report(hosts: Vec<HostFinding>, look: impl FnOnce(&ComplianceReport<'_>)) {
        let signatures = SignatureSet::builtin();
        let groups = ProductGroups::new(&signatures);
        let scan = ScanReport { hosts, ..samples::report() };
        let of_host = |host| Endpoint::of(host, Some(&scan.machines), &scan.site, &signatures, &groups);
        let endpoints: Vec<Endpoint> = scan.hosts.iter().map(of_host).collect();
        let inputs: Vec<EvidenceInput> = Vec::new();
        look(&ComplianceReport::new(&Material {
            date: "2026-12-01".parse().unwrap(),
            signatures: &signatures,
            endpoints: &endpoints,
            basis: Basis::Captures(&scan),
            inputs: &inputs,
            community_ids: &HashMap::new(),
            changes: None,
            trend: &[],
            site: &scan.site,
        }));
    }

    #[test]
    fn all_processors_write_what_one_does() {
        let hosts = samples::report().hosts;
        for count in [0, 1, 2, 3000] {
            with_report(hosts.iter().cycle().take(count).cloned().collect(), |report| {
                let mut written = Vec::new();
                write_compliance_json(&mut written, report).unwrap();
                let at_once = serde_json::to_string_pretty(report).unwrap() + "\n";
                assert!(written == at_once.as_bytes(), "{count}");
            });
        }
    }

    #[test]
    fn hostile_values_stay_text_on_the_page() {
        with_report(samples::report().hosts, |report| {
            let mut page = Vec::new();
            write_compliance_html(&mut page, report).unwrap();
            let page = String::from_utf8(page).unwrap();
            assert!(page.contains("\\u{1b}[2Jx.upd.kaspersky.com") && !page.contains('\u{1b}'));
            assert!(page.contains("=cmd|&#39; /C calc&#39;!A0"), "a page calculates nothing");
        });
    }
}
