//! The report as one page: without scripts, without requests, to be read and printed.

use super::plots::{self, Bar};
use super::rules::{Rule, rules};
use super::{Changes, ComplianceReport, Embedding, Endpoint, Finding, Interval, ProductFigures, Reason, Row, Stage};
use crate::RunVerdict;
use crate::escape::for_terminal;
use crate::parallel::in_parallel;
use crate::scan_table::key_label;
use crate::spelling::rfc3339;
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kaspector::matching::LabelKind;
use sha2::{Digest, Sha256};
use std::borrow::Borrow;
use std::io;

/// Products that the first page names; the JSON form has all.
const PRODUCTS_MAX: usize = 5;
/// Endpoints that it names; all are under Findings.
const ENDPOINTS_MAX: usize = 6;
/// Lines of evidence of one finding; the JSON form has [`EVIDENCE_MAX`](super::EVIDENCE_MAX).
const EVIDENCE_SHOWN: usize = 4;
const STYLE: &str = include_str!("../templates/report.css");

/// Writes the report as a page. Findings are written one by one, so very many take no memory.
///
/// What was observed is text: it is escaped, isolated where it could turn the direction of others, and control characters are written out.
///
/// # Errors
/// When `out` fails.
pub fn write_compliance_html(out: &mut impl io::Write, report: &ComplianceReport<'_>) -> io::Result<()> {
    let style_digest = STANDARD.encode(Sha256::digest(STYLE));
    let plots = plots_of(report);
    let head = Head {
        report,
        style: STYLE,
        style_digest: &style_digest,
        products: report.figures.products.get(..PRODUCTS_MAX).unwrap_or(&report.figures.products),
        machines: &report.findings.endpoints.iter().take(ENDPOINTS_MAX).map(First::of).collect::<Vec<_>>(),
        plots: &plots,
        of_captures: report.of_captures(),
    };
    head.write_into(out)?;
    in_parallel(out, report.findings.endpoints, |some, out| {
        report.findings.among(some).try_for_each(|finding| {
            let one = Shown::of(&finding, report.of_captures());
            OneFinding { finding: &finding, one }.write_into(&mut *out)
        })
    })?;
    let of_captures = report.of_captures();
    Tail { report, of_captures, rules: &rules(report), reasons: &Reason::ALL }.write_into(out)
}

#[derive(Template)]
#[template(path = "head.html")]
struct Head<'a> {
    report: &'a ComplianceReport<'a>,
    style: &'a str,
    style_digest: &'a str,
    products: &'a [ProductFigures],
    machines: &'a [First],
    plots: &'a [Plot],
    of_captures: bool,
}

#[derive(Template)]
#[template(path = "finding.html")]
struct OneFinding<'a> {
    finding: &'a Finding<'a>,
    one: Shown<'a>,
}

#[derive(Template)]
#[template(path = "tail.html")]
struct Tail<'a> {
    report: &'a ComplianceReport<'a>,
    of_captures: bool,
    rules: &'a [Rule],
    reasons: &'a [Reason],
}

/// An endpoint on the first page.
struct First {
    label: String,
    name: String,
    verdict: &'static str,
    last: String,
}

impl First {
    fn of(endpoint: &Endpoint) -> Self {
        let said = endpoint.labels.iter().filter(|label| label.kind == LabelKind::Name).take(1);
        let said = said.map(|label| format!("{} ({})", for_terminal(&label.text), label.source.name()));
        let of_site = endpoint.site.iter().filter_map(|site| site.line.as_deref());
        let names: Vec<String> = of_site.map(|line| for_terminal(line).into_owned()).chain(said).collect();
        Self {
            label: key_label(&endpoint.host),
            name: if names.is_empty() { "no name was seen".to_owned() } else { names.join(", ") },
            verdict: endpoint.verdict.name(),
            last: minute(&rfc3339(endpoint.last_seen)),
        }
    }
}

/// A plot, and the numbers behind it.
struct Plot {
    title: String,
    picture: String,
    columns: &'static [&'static str],
    rows: Vec<(String, Vec<usize>)>,
    note: Option<&'static str>,
}

/// A finding in words.
struct Shown<'a> {
    label: String,
    names: Option<String>,
    product: String,
    first: String,
    last: String,
    evidence: Vec<Line<'a>>,
    left_out: u64,
    facts: String,
    note: Option<String>,
}

/// A piece of evidence in words.
struct Line<'a> {
    indicator: &'a str,
    field: &'a str,
    observed: String,
    text: String,
    /// The number of its file under Method.
    file: Option<usize>,
    /// Where it was seen, if no file has a number.
    place: Option<String>,
    counts: &'static str,
    packet: u64,
    community_id: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn of(finding: &'a Finding<'a>, of_captures: bool) -> Self {
        let endpoint = &finding.endpoint;
        let mut label = endpoint.label.clone();
        if endpoint.role != "endpoint" {
            label += &format!(" ({})", endpoint.role);
        }
        let said = endpoint.names.iter().map(|name| format!("{} ({})", for_terminal(name.text), name.source));
        let of_site = endpoint.site.and_then(|site| site.line.as_deref()).map(|line| for_terminal(line).into_owned());
        let names: Vec<String> = of_site.into_iter().chain(said).collect();
        let maker = endpoint.maker.map(|maker| format!(", {}", for_terminal(maker))).unwrap_or_default();
        let mac = endpoint.mac.as_ref().map(|mac| format!("MAC {mac}{maker}. ")).unwrap_or_default();
        let facts = format!(
            "{mac}Services: {}. Strength {}. Seen on at least {}, {}; {} bytes out, {} in.",
            finding.services.join(", "),
            finding.strength,
            counted(finding.days_seen as usize, "day"),
            counted(usize::try_from(finding.contacts).unwrap_or(usize::MAX), "contact"),
            finding.bytes_out,
            finding.bytes_in
        );
        Self {
            label,
            names: (!names.is_empty()).then(|| names.join(", ")),
            product: for_terminal(&finding.product.text()).into_owned(),
            first: second(&finding.first_seen),
            last: second(&finding.last_seen),
            evidence: finding.evidence.iter().take(EVIDENCE_SHOWN).map(|line| Line::of(line, of_captures)).collect(),
            left_out: finding.evidence.len().saturating_sub(EVIDENCE_SHOWN) as u64
                + u64::from(finding.evidence_left_out),
            facts,
            note: (!finding.note.is_empty()).then(|| for_terminal(&finding.note).into_owned()),
        }
    }
}

impl<'a> Line<'a> {
    fn of(line: &'a super::Evidence<'a>, of_captures: bool) -> Self {
        let times = if line.count == 1 {
            second(&line.timestamp)
        } else {
            format!("{} times, {} to {}", line.count, second(&line.timestamp), second(&line.last_seen))
        };
        let file = line.input.filter(|_| of_captures);
        Self {
            indicator: line.indicator_id,
            field: line.field,
            observed: for_terminal(line.observed).into_owned(),
            text: format!(
                "{}, {}, {times}, server {} port {}",
                line.seen_as, line.reached, line.server, line.server_port
            ),
            file,
            place: line.file.filter(|_| file.is_none()).map(|name| for_terminal(name).into_owned()),
            counts: if line.is_line { "line" } else { "packet" },
            packet: line.packet_number,
            community_id: line.community_id,
        }
    }
}

impl Head<'_> {
    fn shown(&self, text: &str) -> String {
        for_terminal(text).into_owned()
    }

    fn counted(&self, count: impl Borrow<usize>, what: &str) -> String {
        counted(*count.borrow(), what)
    }

    fn minute(&self, time: &str) -> String {
        minute(time)
    }

    fn particular(&self, key: &str) -> Option<String> {
        self.report.particular(key)
    }

    fn whose(&self, embedding: &Embedding) -> &'static str {
        match embedding {
            Embedding::VendorProduct => "the vendor's",
            Embedding::EmbeddedInThirdParty => "another vendor's",
            Embedding::Unknown => "not known",
        }
    }

    /// The answer in one sentence.
    fn answer(&self) -> String {
        let found = self.report.figures.endpoints.with_product();
        match &self.report.machines {
            Some(machines) => {
                let of = counted(machines.counts.seen, "machine");
                match (found, machines.with_product) {
                    (0, _) => format!("None among the {of} seen inside."),
                    (_, with) if with == found => format!("{with} of {of} seen inside show the vendor's software."),
                    (_, with) => {
                        let found = counted(found, "endpoint");
                        format!("{found} show the vendor's software; they may be {with} of the {of} seen inside.")
                    }
                }
            }
            None if found == 0 => "None found: the inventory holds no evidence of a product.".to_owned(),
            None => format!("{} in the inventory show the vendor's software.", counted(found, "endpoint")),
        }
    }

    fn verdicts(&self) -> String {
        let by = &self.report.figures.endpoints;
        let browsing = match by.browsing {
            0 => String::new(),
            1 => " One more opened web pages of the vendor, which shows no product.".to_owned(),
            count => format!(" {count} more opened web pages of the vendor, which shows no product."),
        };
        format!(
            "{} confirmed: a product was in contact with its service, or tried to be. {} suspected: names were looked up, or there are \
             other explanations.{browsing}",
            by.confirmed, by.suspected
        )
    }

    fn denominator(&self) -> String {
        let Some(machines) = &self.report.machines else {
            return "How many machines were seen in all, an inventory does not hold: report the captures for that."
                .to_owned();
        };
        let counts = &machines.counts;
        format!(
            "Of the {} seen, {} could be judged; {} were seen from one side only, {} sent nothing that names its receiver, and {} began no \
             flow.",
            counts.seen, counts.judged, counts.one_sided, counts.unnamed, counts.silent
        )
    }

    fn how(&self) -> String {
        let by = &self.report.figures.by_closeness;
        let services: Vec<&str> = self.report.figures.by_service.iter().take(4).map(|row| row.name.as_str()).collect();
        let services = match services.len() {
            0 => String::new(),
            _ => format!(" Most used: {}.", services.join(", ")),
        };
        format!(
            "{} talked to a service of the vendor or asked a proxy to, {} looked up its name, {} showed signs that other software may show, \
             too.{services}",
            counted(by.contact, "endpoint"),
            by.lookup,
            by.hint
        )
    }

    fn gone(&self, changes: &Changes) -> String {
        let before = changes.endpoints_before;
        if before == 0 {
            return format!("There was none before; {} appeared.", changes.appeared);
        }
        let known = counted(before, "endpoint");
        let silent = match changes.silent {
            0 if before == 1 => "The endpoint known before is still heard".to_owned(),
            0 => format!("All {known} known before are still heard"),
            1 => format!("1 of {known} known before is silent"),
            count => format!("{count} of {known} known before are silent"),
        };
        format!("{silent}; {} appeared.", changes.appeared)
    }

    /// The verdict of the whole, in words.
    fn verdict(&self) -> &'static str {
        match self.report.verdict {
            RunVerdict::Found => "found",
            RunVerdict::NoneFound => "none found",
            RunVerdict::Inconclusive => "inconclusive",
        }
    }

    /// What is missing, on one line.
    fn missing(&self) -> String {
        let what: Vec<&str> = self.report.missing.iter().map(|one| one.what.as_str()).collect();
        let because = match (self.report.verdict, what.len()) {
            (_, 0) => return "Nothing is missing for that.".to_owned(),
            (RunVerdict::Found, _) => "There may be more",
            _ => "Missing",
        };
        format!("{because}: {}.", for_terminal(&what.join("; ")))
    }
}

impl Tail<'_> {
    fn shown(&self, text: &str) -> String {
        for_terminal(text).into_owned()
    }

    fn counted(&self, count: impl Borrow<usize>, what: &str) -> String {
        counted(*count.borrow(), what)
    }

    fn second(&self, time: &str) -> String {
        second(time)
    }

    /// Hours with one digit behind the point.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass by reference")]
    fn hours(&self, seconds: &u64) -> String {
        let tenths = seconds / 360;
        format!("{}.{}", tenths / 10, tenths % 10)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass by reference")]
    fn share(&self, part: &u64, whole: &u64) -> Option<u64> {
        part.saturating_mul(100).checked_div(*whole)
    }

    fn blind_spots(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(packets) = &self.report.packets {
            let why =
                packets.why.iter().map(|(name, count)| (*count, format!("not examined: {}", name.replace('_', " "))));
            lines.extend(
                why.map(|(count, why)| format!("{}, {why}", counted(count.try_into().unwrap_or(usize::MAX), "packet"))),
            );
            lines.extend(packets.dropped.iter().map(|(name, count)| format!("{count} given up at the bound {name}")));
            let left_out = packets.left_out.iter();
            lines.extend(left_out.map(|(name, count)| format!("{count} in folders: {}", name.replace('_', " "))));
        }
        let unread = self.report.inputs.iter().filter(|input| input.status != "read").count();
        if unread > 0 {
            lines.push(format!("{} not read to the end; see Method.", counted(unread, "file")));
        }
        match &self.report.machines {
            Some(machines) => {
                let not_judged = machines.counts.seen - machines.counts.judged;
                lines.push(format!("{not_judged} of {} were seen and could not be judged.", counted(machines.counts.seen, "machine")));
                if machines.resolvers + machines.proxies > 0 {
                    lines.push(format!(
                        "{} and {} ask on behalf of others: one address, possibly many endpoints.",
                        counted(machines.resolvers, "resolver"),
                        counted(machines.proxies, "proxy")
                    ));
                }
            }
            None => lines.push(
                "The inventory does not hold packets, losses, machines without findings, checksums of captures, or names of machines."
                    .to_owned(),
            ),
        }
        lines.push(
            "Machines that were off, idle, or whose traffic does not pass the place of capture; what is behind NAT, a proxy or a resolver; \
             names inside encryption (DNS over HTTPS, Encrypted ClientHello); what no indicator knows."
                .to_owned(),
        );
        lines
    }
}

fn plots_of(report: &ComplianceReport<'_>) -> Vec<Plot> {
    let figures = &report.figures;
    let mut plots = Vec::new();
    if !report.trend.is_empty() {
        let title = "Endpoints from inventory to inventory";
        let about =
            report.trend.iter().map(|stage| format!("{} heard, {} silent", stage.heard, stage.silent.unwrap_or(0)));
        let bars: Vec<Bar> = report.trend.iter().map(stage).collect();
        plots.push(Plot {
            title: title.to_owned(),
            picture: plots::bars("plot-trend", title, &about.collect::<Vec<_>>().join("; "), &bars, &plots::STAGES),
            columns: &["Inventory, last evidence (UTC)", "Heard", "Silent", "Holds", "Confirmed", "Suspected", "Web pages"],
            rows: report.trend.iter().map(numbers).collect(),
            note: Some(
                "Heard: with evidence that is later than all of the same endpoint in the inventory before. Silent: known there, and without.",
            ),
        });
    }
    if !figures.over_time.is_empty() {
        let title = "Endpoints over time";
        let most = figures.over_time.iter().map(|one| one.present).max().unwrap_or(0);
        let about = format!("{} intervals; at most {most} endpoints present in one", figures.over_time.len());
        plots.push(Plot {
            title: title.to_owned(),
            picture: plots::over_time("plot-time", title, &about, &figures.over_time),
            columns: &["From (UTC)", "Present", "First seen"],
            rows: distinct(&figures.over_time),
            note: (distinct(&figures.over_time).len() < figures.over_time.len())
                .then_some("Intervals with the numbers of the one before are left out of the table."),
        });
    }
    for (name, title, first, rows) in [
        ("plot-service", "Endpoints by service", &SERVICE, &figures.by_service),
        ("plot-subnet", "Endpoints by subnet", &SUBNET, &figures.by_subnet),
    ] {
        if rows.is_empty() {
            continue;
        }
        let about = rows.iter().map(|row| format!("{} {}", row.name, row.endpoints.endpoints)).collect::<Vec<_>>();
        let about = for_terminal(&about.join(", ")).into_owned();
        let bars: Vec<Bar> = rows.iter().map(bar).collect();
        plots.push(Plot {
            title: title.to_owned(),
            picture: plots::bars(name, title, &about, &bars, &plots::VERDICTS),
            columns: first,
            rows: rows.iter().map(|row| (for_terminal(&row.name).into_owned(), parts(row))).collect(),
            note: None,
        });
    }
    if let Some(machines) = &report.machines {
        let counts = &machines.counts;
        let classes = [
            ("judged", counts.judged),
            ("seen from one side only", counts.one_sided),
            ("named no receiver", counts.unnamed),
            ("began no flow", counts.silent),
        ];
        let title = "Machines seen inside, by how much could be judged";
        let about = classes.map(|(name, count)| format!("{name} {count}")).join(", ");
        let bars = classes.map(|(name, count)| Bar { label: name.to_owned(), parts: vec![count] });
        plots.push(Plot {
            title: title.to_owned(),
            picture: plots::bars("plot-coverage", title, &about, &bars, &plots::MACHINES),
            columns: &["Machines", "Number"],
            rows: classes.map(|(name, count)| (name.to_owned(), vec![count])).into(),
            note: None,
        });
    }
    plots
}

/// When an inventory ends, and how many of the one before are heard and silent.
fn stage(stage: &Stage) -> Bar {
    let label = stage.last_seen.as_deref().map_or_else(|| "no evidence".to_owned(), minute);
    Bar { label, parts: vec![stage.heard, stage.silent.unwrap_or(0)] }
}

fn numbers(stage: &Stage) -> (String, Vec<usize>) {
    let last = stage.last_seen.as_deref().map_or_else(|| "none".to_owned(), minute);
    let by = stage.endpoints;
    let numbers = [stage.heard, stage.silent.unwrap_or(0), by.endpoints, by.confirmed, by.suspected, by.browsing];
    (format!("{}, {last}", for_terminal(&stage.inventory)), numbers.into())
}

/// Intervals whose numbers are not those of the one before.
fn distinct(intervals: &[Interval]) -> Vec<(String, Vec<usize>)> {
    let mut rows: Vec<(String, Vec<usize>)> = Vec::new();
    for one in intervals {
        let numbers = vec![one.present, one.first_seen];
        if rows.last().is_none_or(|(_, before)| *before != numbers) {
            rows.push((one.label.clone(), numbers));
        }
    }
    rows
}

const SERVICE: [&str; 5] = ["Service", "Endpoints", "Confirmed", "Suspected", "Web pages"];
const SUBNET: [&str; 5] = ["Subnet", "Endpoints", "Confirmed", "Suspected", "Web pages"];

fn bar(row: &Row) -> Bar {
    let by = row.endpoints;
    Bar { label: row.name.clone(), parts: vec![by.confirmed, by.suspected, by.browsing] }
}

fn parts(row: &Row) -> Vec<usize> {
    let by = row.endpoints;
    vec![by.endpoints, by.confirmed, by.suspected, by.browsing]
}

/// `1 endpoint`, `3 endpoints`, `2 proxies`.
pub(super) fn counted(count: usize, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) if !what.ends_with("ay") => format!("{count} {stem}ies"),
        _ => format!("{count} {what}s"),
    }
}

/// `2026-11-23 15:43:54` of a time in RFC 3339.
pub(super) fn second(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}

/// `2026-11-23 15:43`.
fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}
