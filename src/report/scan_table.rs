//! The answer of a scan for a person: a table of hosts, strongest verdict first, then the sums.
//!
//! A host takes a row of columns and one or two lines below it: what it uses, and its strongest evidence with the packet to open.
//! A wider terminal gets seconds, then services and products as columns of their own. Addresses are never cut; other texts end (names
//! and paths begin) with `…` where they are. Nothing that was observed reaches the terminal unescaped.

use super::escape::for_terminal;
use super::parallel::in_parallel;
use super::report::{Inputs, entry};
use super::spelling::{formatted, named};
use super::{CardMaker, MachineCounts, ScanReport};
use anstyle::{AnsiColor, Style};
use kaspector::decode::{MacAddress, Outcome};
use kaspector::matching::{ConnectionOutcome, Field, HostFinding, HostKey, Role, SignatureSet, Verdict};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How the table is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStyle {
    /// Columns of the terminal; fewer than 60 count as 60.
    pub width: usize,
    /// Whether to colour it with ANSI escape sequences.
    pub colour: bool,
}

impl Default for TableStyle {
    /// What fits everywhere: 80 columns without colour.
    fn default() -> Self {
        Self { width: 80, colour: false }
    }
}

/// Writes the hosts and, below them, how many have which verdict and what became of the packets.
///
/// # Errors
/// When `out` fails.
pub fn write_table(
    out: &mut impl io::Write,
    report: &ScanReport,
    signatures: &SignatureSet,
    style: TableStyle,
) -> io::Result<()> {
    let style = TableStyle { width: style.width.max(WIDTH_MIN), ..style };
    let lines: u64 = report.inputs.iter().filter_map(|input| input.log.as_ref()).map(|log| log.read).sum();
    if report.outcomes.total() == 0 && lines == 0 {
        let is_of_logs = report.inputs.iter().any(|input| input.log.is_some());
        let nothing = match (report.inputs.is_empty(), is_of_logs) {
            (true, _) => "Nothing was read.",
            (false, true) => "No line of a log told of traffic.",
            (false, false) => "No packet was read.",
        };
        writeln!(out, "{nothing}")?;
    } else if report.hosts.is_empty() {
        writeln!(out, "No host shows Kaspersky traffic.")?;
    } else {
        write_hosts(out, &report.hosts, report, signatures, style)?;
    }
    let counts = report.machines.counts();
    if counts.seen > 0 {
        writeln!(out, "{}", wrapped(&machines(report, counts), style.width))?;
    }
    writeln!(out, "{}", wrapped(&packets(report), style.width))?;
    if let Some(trouble) = trouble(report) {
        writeln!(out, "{}", wrapped(&trouble, style.width))?;
    }
    let coverage = report.coverage();
    writeln!(out, "{}", wrapped(&coverage.sentence(), style.width))?;
    for line in coverage.advice().into_iter().chain(coverage.hidden()) {
        writeln!(out, "{}", wrapped(&line, style.width))?;
    }
    Ok(())
}

/// Writes these hosts, whose evidence points into `inputs`, and how many have which verdict.
pub(super) fn write_hosts(
    out: &mut impl io::Write,
    hosts: &[HostFinding],
    inputs: &impl Inputs,
    signatures: &SignatureSet,
    style: TableStyle,
) -> io::Result<()> {
    let layout = Layout::of(hosts, style.width);
    layout.header(out, style)?;
    in_parallel(out, hosts, |hosts, out| {
        hosts.iter().try_for_each(|host| write_host(out, host, inputs, signatures, &layout, style))
    })?;
    writeln!(out)?;
    writeln!(out, "{}", wrapped(&verdicts(hosts), style.width))?;
    let excepted = hosts.iter().filter(|host| entry(inputs, host).is_excepted()).count();
    if excepted > 0 {
        writeln!(
            out,
            "{}",
            wrapped(&format!("Excepted by the site file: {}.", counted(excepted, "host")), style.width)
        )?;
    }
    if let Some(hops) = next_hops(hosts) {
        writeln!(out, "{}", wrapped(&hops, style.width))?;
    }
    Ok(())
}

fn write_host(
    out: &mut Vec<u8>,
    host: &HostFinding,
    inputs: &impl Inputs,
    signatures: &SignatureSet,
    layout: &Layout,
    style: TableStyle,
) -> io::Result<()> {
    layout.row(out, host, style)?;
    let card = host.mac.and_then(|mac| CardMaker::of(mac).name()).map(|name| format!("{name} (card)"));
    let said: Vec<_> = inputs.machines().and_then(|machines| machines.line(host)).into_iter().chain(card).collect();
    if !said.is_empty() {
        let identity = said.join(", ");
        writeln!(out, "{INDENT}{}", cut_end(&for_terminal(&identity), style.width - INDENT.len()))?;
    }
    let site = entry(inputs, host);
    if let Some(line) = site.line() {
        writeln!(out, "{INDENT}{}", cut_end(&for_terminal(&line), style.width - INDENT.len()))?;
    }
    if let Some(line) = site.exception_line() {
        let line = wrapped(&for_terminal(&line), style.width - INDENT.len()).replace('\n', NEXT_INDENTED);
        writeln!(out, "{INDENT}{line}")?;
    }
    writeln!(out, "{}", painted(evidence(host, inputs, signatures, style.width), QUIET, style))?;
    for note in &host.notes {
        let note = wrapped(&for_terminal(note), style.width - INDENT.len()).replace('\n', NEXT_INDENTED);
        writeln!(out, "{}", painted(format!("{INDENT}{note}"), QUIET, style))?;
    }
    Ok(())
}

pub(super) const WIDTH_MIN: usize = 60;
/// Between two columns.
const GAP: usize = 2;
/// `confirmed`, the longest.
const VERDICT: usize = 9;
/// `100%`, and `SURE` above it.
const SURE: usize = 4;
/// Columns for products below which they stand on a line of their own.
const PRODUCTS_MIN: usize = 40;
/// Routers that are named below the table.
const NEXT_HOPS_MAX: usize = 4;
/// To which of the columns a list of services may push the products.
const SERVICES_MAX: usize = 40;

pub(super) const HEADER: Style = Style::new().bold();
pub(super) const QUIET: Style = Style::new().dimmed();

/// Which columns there are and how wide.
struct Layout {
    host: usize,
    time: usize,
    time_form: &'static str,
    /// Width of services and of products, when they have columns.
    lists: Option<(usize, usize)>,
    /// Width of everything.
    total: usize,
}

impl Layout {
    fn of(hosts: &[HostFinding], width: usize) -> Self {
        let without = |time: usize| GAP + VERDICT + GAP + SURE + 2 * (GAP + time);
        let (seconds, minutes) = ("2026-11-23 15:43:54".len(), "2026-11-23 15:43".len());
        // A longer label gets a line of its own, with the other columns below it.
        let room = width - without(minutes);
        let labels = hosts.iter().map(|host| columns(&host_label(host))).filter(|&label| label <= room);
        let host = labels.max().unwrap_or(0).max("HOST".len());
        let (time, time_form) =
            if host + without(seconds) <= width { (seconds, "%Y-%m-%d %H:%M:%S") } else { (minutes, "%Y-%m-%d %H:%M") };
        let left = |services: usize| width.saturating_sub(host + without(time) + GAP + services + GAP);
        let widest = || {
            let services = hosts.iter().map(|host| columns(&services(host))).max().unwrap_or(0);
            services.clamp("SERVICES".len(), SERVICES_MAX)
        };
        // Nobody need look at all services where there is no room for them.
        let services = (left("SERVICES".len()) >= PRODUCTS_MIN).then(widest);
        let lists = services.map(|services| (services, left(services))).filter(|&(_, left)| left >= PRODUCTS_MIN);
        Self { host, time, time_form, lists, total: width }
    }

    fn header(&self, out: &mut impl io::Write, style: TableStyle) -> io::Result<()> {
        let mut line = padded("HOST", self.host);
        for (title, width) in
            [("VERDICT", VERDICT), ("SURE", SURE), ("FIRST SEEN (UTC)", self.time), ("LAST SEEN (UTC)", self.time)]
        {
            line = line + GAP_TEXT + &padded(title, width);
        }
        if let Some((services, _)) = self.lists {
            line = line + GAP_TEXT + &padded("SERVICES", services) + GAP_TEXT + "PRODUCTS";
        }
        writeln!(out, "{}", painted(line.trim_end(), HEADER, style))
    }

    fn row(&self, out: &mut impl io::Write, host: &HostFinding, style: TableStyle) -> io::Result<()> {
        let mut label = host_label(host);
        if columns(&label) > self.host {
            writeln!(out, "{label}")?;
            label.clear();
        }
        let verdict = painted(padded(host.verdict.name(), VERDICT), colour_of(host.verdict), style);
        let first = formatted(host.first_seen, self.time_form);
        let last = formatted(host.last_seen, self.time_form);
        let sure = format!("{}%", host.confidence.0);
        write!(out, "{}  {verdict}  {sure:>SURE$}  {first}  {last}", padded(&label, self.host))?;
        // The engine inside somebody else's product is another matter than the vendor's own product, so it says so.
        let engine_in = named(&host.engine_in).into_iter().map(|product| format!("engine in {product}"));
        let products: Vec<String> = named(&host.products).into_iter().chain(engine_in).collect();
        let products: Vec<_> = products.iter().map(|product| for_terminal(product)).collect();
        let Some((services_width, products_width)) = self.lists else {
            writeln!(out)?;
            let services = cut_end(&services(host), self.total - INDENT.len());
            let left = (self.total - INDENT.len()).saturating_sub(columns(&services) + ": ".len());
            let products = as_many_as_fit(&products, left);
            let colon = if products.is_empty() { "" } else { ": " };
            return writeln!(out, "{INDENT}{services}{colon}{products}");
        };
        let line = padded(&cut_end(&services(host), services_width), services_width);
        let line = line + GAP_TEXT + &as_many_as_fit(&products, products_width);
        writeln!(out, "{GAP_TEXT}{}", line.trim_end())
    }
}

const GAP_TEXT: &str = "  ";
const INDENT: &str = "  ";
const NEXT_INDENTED: &str = "\n  ";

/// The host's address, its tenant, and its role unless it is the usual one: `10.20.0.53 vlan 120.7 vni 5001 (relay)`.
#[must_use]
pub fn host_label(host: &HostFinding) -> String {
    let mut label = key_label(&host.host);
    if host.role != Role::Endpoint {
        label += &format!(" ({})", host.role.name());
    }
    label
}

/// An address and its tenant: `10.20.0.53 vlan 120.7 vni 5001`.
pub(super) fn key_label(host: &HostKey) -> String {
    let zone = host.zone;
    let mut label = host.address.to_string();
    match (zone.vlan, zone.inner_vlan) {
        (Some(outer), Some(inner)) => label += &format!(" vlan {outer}.{inner}"),
        (Some(tag), None) | (None, Some(tag)) => label += &format!(" vlan {tag}"),
        (None, None) => {}
    }
    if let Some(vni) = zone.vni {
        label += &format!(" vni {vni}");
    }
    label
}

pub(super) fn services(host: &HostFinding) -> String {
    host.categories.iter().map(|category| category.name()).collect::<Vec<_>>().join(", ")
}

/// Indicator, field and value of the strongest evidence, and the packet to open.
fn evidence(host: &HostFinding, inputs: &impl Inputs, signatures: &SignatureSet, width: usize) -> String {
    let Some(line) = host.evidence.first() else { return format!("{INDENT}no evidence kept") };
    let start = format!("{INDENT}{} {} ", for_terminal(&signatures.get(line.indicator).id), line.field.name());
    let more = match host.evidence.len() {
        1 => String::new(),
        lines => format!(", +{} more", lines - 1),
    };
    // Worth a word only when it did not come to what one would think.
    let connection_outcome = match line.connection_outcome {
        ConnectionOutcome::Attempted | ConnectionOutcome::Refused => format!(", {}", line.connection_outcome.name()),
        ConnectionOutcome::Established | ConnectionOutcome::DataExchanged => String::new(),
    };
    let end = format!(" #{}{connection_outcome}{more}", line.example.packet);
    let (mut observed, path) = (for_terminal(&line.observed), for_terminal(inputs.name_of(line.example)));
    if line.field == Field::Address {
        // Ranges change hands, so how old the knowledge is belongs to it.
        let range = signatures.get(line.indicator);
        let seen = if range.era.is_empty() { &range.date } else { &range.era };
        observed.to_mut().push_str(&format!(" (range: {})", for_terminal(seen)));
    }
    // The value comes first, but a third of the room stays for the path.
    let room = width.saturating_sub(columns(&start) + ", ".len() + columns(&end));
    let for_path = columns(&path).min(room.saturating_sub(columns(&observed)).max(room / 3));
    let for_observed = room.saturating_sub(for_path);
    let observed = match line.field {
        // What a path or an agent is shows at its beginning, whose a name is at its end.
        Field::HttpPath | Field::HttpUserAgent | Field::Ja3 | Field::Ja4 => cut_end(&observed, for_observed),
        _ => cut_start(&observed, for_observed),
    };
    format!("{start}{observed}, {}{end}", cut_start(&path, for_path))
}

fn verdicts(hosts: &[HostFinding]) -> String {
    let of = |verdict: Verdict| hosts.iter().filter(|host| host.verdict == verdict).count();
    format!(
        "{}: {} confirmed, {} suspected, {} browsing.",
        counted(hosts.len(), "host"),
        of(Verdict::Confirmed),
        of(Verdict::Suspected),
        of(Verdict::Browsing)
    )
}

/// Hosts whose own link-layer address is not seen, and why.
fn next_hops(hosts: &[HostFinding]) -> Option<String> {
    let mut behind: BTreeMap<MacAddress, usize> = BTreeMap::new();
    for hop in hosts.iter().filter(|host| host.mac.is_none()).filter_map(|host| host.next_hop_mac) {
        *behind.entry(hop).or_default() += 1;
    }
    let mut most: Vec<(usize, MacAddress)> = behind.iter().map(|(&mac, &count)| (count, mac)).collect();
    most.sort_by_key(|&(count, mac)| (Reverse(count), mac));
    let mut named: Vec<String> =
        most.iter().take(NEXT_HOPS_MAX).map(|(count, mac)| format!("{mac} ({})", counted(count, "host"))).collect();
    match most.len().checked_sub(NEXT_HOPS_MAX) {
        None if named.is_empty() => return None,
        None | Some(0) => {}
        Some(more) => named.push(format!("{more} more")),
    }
    Some(format!("Behind a router, whose link-layer address stands for theirs: {}.", named.join(", ")))
}

/// How many machines were seen inside, and of how many the traffic could be judged.
fn machines(report: &ScanReport, counts: MachineCounts) -> String {
    let MachineCounts { seen, judged, one_sided, unnamed, silent } = counts;
    let with = report.machines.among(report.hosts.iter().filter(|host| host.verdict != Verdict::Browsing));
    let classes = [
        (judged, "judged"),
        (one_sided, "seen from one side only"),
        (unnamed, "with no flow that names its server"),
        (silent, "that began no flow"),
    ];
    let classes: Vec<String> =
        classes.iter().filter(|(count, _)| *count > 0).map(|(count, class)| format!("{count} {class}")).collect();
    format!("{with} of {} seen inside show it; {}.", counted(seen, "machine"), classes.join(", "))
}

fn packets(report: &ScanReport) -> String {
    let outcomes = report.outcomes.non_zero().filter(|&(outcome, _)| outcome != Outcome::Inspected);
    let others: Vec<String> = outcomes.map(|(outcome, count)| format!("{count} {}", outcome.name())).collect();
    let (logs, captures): (Vec<_>, Vec<_>) = report.inputs.iter().partition(|input| input.log.is_some());
    let logs: Vec<_> = logs.into_iter().filter_map(|input| input.log.as_ref()).collect();
    let lines = || {
        format!("{} in {}", counted(logs.iter().map(|log| log.lines).sum::<u64>(), "line"), counted(logs.len(), "log"))
    };
    let packets = || format!("{} in {}", counted(report.outcomes.total(), "packet"), counted(captures.len(), "input"));
    let read = match (captures.is_empty(), logs.is_empty()) {
        (true, false) => lines(),
        (false, false) => format!("{} and {}", packets(), lines()),
        (_, true) => packets(),
    };
    let mut text = format!("{read}, {}", counted(report.flows, "flow"));
    if !others.is_empty() {
        text += "; not inspected: ";
        text += &others.join(", ");
    }
    let malformed: u64 = logs.iter().map(|log| log.malformed).sum();
    if malformed > 0 {
        text += &format!("; {} could not be read", counted(malformed, "line"));
    }
    text + "."
}

/// What the answer does not cover; the inputs concerned are named elsewhere.
fn trouble(report: &ScanReport) -> Option<String> {
    let unreadable = report.inputs.iter().filter(|input| input.unreadable).count();
    let partial = report.inputs.iter().filter(|input| input.error.is_some() && !input.unreadable).count();
    let mut parts = Vec::new();
    if unreadable > 0 {
        parts.push(format!("{} could not be read at all.", counted(unreadable, "input")));
    }
    if partial > 0 {
        parts.push(format!("{} could be read only in part.", counted(partial, "input")));
    }
    if !report.dropped.is_empty() {
        let bounds: Vec<String> = report.dropped.iter().map(|(bound, count)| format!("{bound} {count}")).collect();
        parts.push(format!("Dropped at a bound: {}.", bounds.join(", ")));
    }
    if !report.left_out.is_empty() {
        let kinds: Vec<String> = report.left_out.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        parts.push(format!("Left out in folders: {}.", kinds.join(", ")));
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

pub(super) fn counted(count: impl Display, what: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {what}{plural}")
}

pub(super) const fn colour_of(verdict: Verdict) -> Style {
    let plain = Style::new();
    match verdict {
        Verdict::Confirmed => plain.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red))).bold(),
        Verdict::Suspected => plain.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow))),
        Verdict::Browsing => plain.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan))),
    }
}

pub(super) fn painted(text: impl Display, paint: Style, style: TableStyle) -> String {
    if style.colour { format!("{paint}{text}{paint:#}") } else { text.to_string() }
}

/// Columns of a terminal that a text takes up.
pub(super) fn columns(text: &str) -> usize {
    // What is plain ASCII, as most is, need not be looked up in tables.
    if text.is_ascii() { text.len() } else { text.width() }
}

pub(super) fn padded(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(columns(text)))
}

/// `texts` between semicolons, and how many there are besides when not all of them fit. The first one is cut rather than left out.
pub(super) fn as_many_as_fit(texts: &[impl AsRef<str>], width: usize) -> String {
    let mut best = String::new();
    let mut line = String::new();
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            line += "; ";
        }
        line += text.as_ref();
        let left = texts.len() - index - 1;
        let candidate = if left > 0 { format!("{line}; +{left} more") } else { line.clone() };
        if columns(&candidate) <= width {
            best = candidate;
        } else if index == 0 {
            let more = candidate.get(line.len()..).unwrap_or_default();
            best = cut_end(&line, width.saturating_sub(columns(more))) + more;
        }
    }
    best
}

/// The beginning of `text` in at most `width` columns.
pub(super) fn cut_end(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut kept: String = within(text.chars(), width.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// The end of `text` in at most `width` columns.
fn cut_start(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut kept: Vec<char> = within(text.chars().rev(), width.saturating_sub(1)).collect();
    kept.push('…');
    kept.into_iter().rev().collect()
}

fn within(characters: impl Iterator<Item = char>, width: usize) -> impl Iterator<Item = char> {
    characters.scan(width, |left, character| {
        *left = left.checked_sub(character.width().unwrap_or(0))?;
        Some(character)
    })
}

/// `text` in lines of at most `width` columns, broken at blanks.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        if used > 0 && used + 1 + columns(word) > width {
            lines.push('\n');
            used = 0;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines += word;
        used += columns(word);
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::samples;
    use kaspector::decode::Zone;
    use kaspector::matching::Alternatives;
    use kaspector::matching::{SeenAs, Strength};
    use std::sync::Arc;

    fn table(report: &ScanReport, width: usize, colour: bool) -> String {
        let mut out = Vec::new();
        write_table(&mut out, report, &SignatureSet::builtin(), TableStyle { width, colour }).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// What is expected, with the identifiers of the built-in set in their places.
    fn with_identifiers(expected: &str) -> String {
        let signatures = SignatureSet::builtin();
        let id = |category, strength| signatures.get(samples::indicator(category, strength)).id.clone();
        expected
            .replace("UPDATE", &id("update", Strength::Installed))
            .replace("WEB", &id("web-browse", Strength::Browse))
    }

    #[test]
    fn eighty_columns() {
        let expected = "\
HOST       VERDICT    SURE  FIRST SEEN (UTC)     LAST SEEN (UTC)
10.20.0.5  confirmed   95%  2026-11-23 15:43:54  2026-11-23 15:44:59
  update: KES Windows 11.6+; KSC 14; one of: Premium 21, Safe Kids
  UPDATE tls.sni s07.upd.kaspersky.com, captures/a.pcap #4, +1 more
10.20.0.53 vlan 120.7 vni 5001 (relay)
           suspected    5%  2026-11-23 15:43:54  2026-11-23 15:44:59
  update
  UPDATE dns.query \\u{1b}[2Jx.upd.kaspersky.com, captures/a.pcap #17
  one address, \\u{1b}possibly many endpoints
10.20.0.7  browsing     3%  2026-11-23 15:43:54  2026-11-23 15:44:59
  web-browse
  WEB http.user_agent =cmd|' /C calc'!A0, captures/a.pcap #90

3 hosts: 1 confirmed, 1 suspected, 1 browsing.
103 packets in 1 input, 9 flows; not inspected: 4 not_ip, 2 truncated.
Verdict of the whole: found, 1 host confirmed. There may be more: 1 suspected
host open: 10.20.0.53; no machine inside could be judged; 0 of 24 hours covered.
";
        assert_eq!(table(&samples::report(), 80, false), with_identifiers(expected));
    }

    #[test]
    fn what_is_no_plain_contact_says_so() {
        let signatures = SignatureSet::builtin();
        let range = signatures.match_address("37.203.128.1".parse().unwrap()).unwrap();
        let mut report = samples::report();
        report.hosts.truncate(1);
        report.hosts[0].evidence = vec![samples::line(SeenAs::Hint, Field::Address, "37.203.128.1", 7)];
        report.hosts[0].evidence[0].indicator = range;
        report.hosts[0].evidence[0].connection_outcome = ConnectionOutcome::Attempted;
        let table = table(&report, 100, false);
        assert!(
            table.contains(" ip.address 37.203.128.1 (range: 2026-05-19), captures/a.pcap #7, attempted\n"),
            "{table}"
        );
    }

    #[test]
    fn a_label_that_fits_without_seconds_takes_their_place() {
        let mut report = samples::report();
        report.hosts.truncate(1);
        report.hosts[0].host.zone.vlan = Some(120);
        report.hosts[0].role = Role::Server;
        let expected = "\
HOST                         VERDICT    SURE  FIRST SEEN (UTC)  LAST SEEN (UTC)
10.20.0.5 vlan 120 (server)  confirmed   95%  2026-11-23 15:43  2026-11-23 15:44
";
        let table = table(&report, 80, false);
        assert!(table.starts_with(expected), "{table}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut report = samples::report();
        report.inputs[0].path = "/very/long/path".repeat(20) + "/a.pcap";
        let wide = samples::line(SeenAs::Contact, Field::HttpPath, &"卡巴".repeat(60), 1 << 40);
        let long = samples::line(SeenAs::Contact, Field::TlsSni, &"x.".repeat(120), 3);
        let zone = Zone { vlan: Some(4095), inner_vlan: Some(4095), vni: Some(0xff_ffff) };
        let mut host =
            samples::host("2001:db8:1111:2222:3333:4444:5555:6666", zone, Verdict::Confirmed, 99, vec![wide]);
        host.products = Arc::new(Alternatives::of([&["卡".repeat(200)][..]]));
        report.hosts.push(host);
        report.hosts.push(samples::host("10.0.0.1", Zone::default(), Verdict::Confirmed, 99, vec![long]));
        report.dropped.extend([("flows", u64::MAX), ("names", u64::MAX), ("reassembly", u64::MAX)]);
        for width in 60..240 {
            for line in table(&report, width, false).lines() {
                // An address is never cut, so a label alone may be wider.
                let is_label = line.starts_with("2001:") && !line.contains("confirmed");
                assert!(line.width() <= width || is_label, "{width}: {line}");
                assert_eq!(line.trim_end(), line, "{width}");
            }
        }
    }

    #[test]
    fn a_wide_terminal_has_services_and_products_as_columns() {
        let mut report = samples::report();
        report.hosts.truncate(1);
        let expected = "\
HOST       VERDICT    SURE  FIRST SEEN (UTC)     LAST SEEN (UTC)      SERVICES  PRODUCTS
10.20.0.5  confirmed   95%  2026-11-23 15:43:54  2026-11-23 15:44:59  update    KES Windows 11.6+; KSC 14; +1 more
  UPDATE tls.sni s07.upd.kaspersky.com, captures/a.pcap #4, +1 more
";
        let table = table(&report, 122, false);
        assert!(table.starts_with(&with_identifiers(expected)), "{table}");
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let coloured = table(&samples::report(), 100, true);
        assert!(coloured.contains("\u{1b}[1m\u{1b}[31mconfirmed\u{1b}[0m"), "{coloured:?}");
        let mut plain = String::new();
        for (index, part) in coloured.split("\u{1b}[").enumerate() {
            plain += if index == 0 { part } else { part.split_once('m').unwrap().1 };
        }
        assert_eq!(plain, table(&samples::report(), 100, false));
    }

    #[test]
    fn nothing_read_is_not_called_clean() {
        let mut report = samples::report();
        report.hosts.clear();
        report.outcomes = kaspector::decode::OutcomeCounters::default();
        assert!(table(&report, 80, false).starts_with("No packet was read.\n"));
    }

    #[test]
    fn who_is_behind_a_router_is_told_below() {
        let mut report = samples::report();
        for (number, host) in (0..).zip(&mut report.hosts) {
            host.mac = None;
            host.next_hop_mac = Some(MacAddress([2, 0, 0, 0, 0, number / 2]));
        }
        let table = table(&report, 200, false);
        assert!(
            table.contains(
                "browsing.\nBehind a router, whose link-layer address stands for theirs: 02:00:00:00:00:00 (2 hosts), \
                 02:00:00:00:00:01 (1 host).\n"
            ),
            "{table}"
        );
    }

    #[test]
    fn no_host_is_said_plainly() {
        let mut report = samples::report();
        report.hosts.clear();
        let expected = "\
No host shows Kaspersky traffic.
103 packets in 1 input, 9 flows; not inspected: 4 not_ip, 2 truncated.
Verdict of the whole: inconclusive: no machine inside could be judged; 0 of 24
hours covered.
What would settle it: capture where the traffic of the machines passes; capture
for a whole working day, from one morning to the next.
";
        assert_eq!(table(&report, 80, false), expected);
    }

    #[test]
    fn what_the_answer_does_not_cover_is_said_too() {
        let mut report = samples::report();
        report.inputs[0].error = Some("cut".to_owned());
        report.dropped.insert("flows", 3);
        report.leave_out("not_a_capture", 2);
        report.leave_out("dangling_link", 0);
        report.leave_out("special_file", 1);
        let table = table(&report, 80, false);
        let expected = "\n1 input could be read only in part. Dropped at a bound: flows 3. Left out in\n\
            folders: not_a_capture 2, special_file 1.\nVerdict of the whole: ";
        assert!(table.contains(expected), "{table}");
    }

    #[test]
    fn lists_show_as_much_as_fits() {
        let list = ["one", "two", "three"];
        assert_eq!(as_many_as_fit(&list, 15), "one; two; three");
        assert_eq!(as_many_as_fit(&list, 14), "one; +2 more");
        assert_eq!(as_many_as_fit(&list, 11), "o…; +2 more");
        assert_eq!(as_many_as_fit(&[""; 0], 11), "");
    }
}
