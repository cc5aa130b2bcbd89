//! Draws the screen.

use super::answers::{Host, Hosts, Interface, Machines, Status};
use super::view::{Rate, View};
use kaspector_report::{for_terminal, rfc3339};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};

/// Alerts that are kept.
pub const ALERTS_SHOWN: usize = 50;
/// Rows above the interfaces.
pub const HEADER_ROWS: usize = 3;
/// Rows of titles and edges.
pub const FRAMES: usize = 9;
/// Fewer columns show too little.
pub const WIDTH_MIN: u16 = 60;
/// From here on there is room for products beside services.
const WIDE: u16 = 110;

/// Draws all of it. `first_host`: the host at the top of the list.
pub fn draw(frame: &mut Frame<'_>, view: &View, first_host: usize) {
    let Some((status, hosts)) = &view.answers else { return };
    let interfaces = u16::try_from(status.interfaces.len().min(8)).unwrap_or(8);
    let alerts = u16::try_from(view.alerts.len().max(1)).unwrap_or(u16::MAX);
    let [head, links, machines, told, keys] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(interfaces + 3),
        Constraint::Fill(3),
        Constraint::Max(alerts.saturating_add(2).min(frame.area().height / 3)),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    header(frame, head, view, status);
    interfaces_table(frame, links, status, &view.rates);
    hosts_table(frame, machines, hosts, status.machines, first_host);
    alerts_list(frame, told, view);
    frame.render_widget(Paragraph::new("q quit   arrows, PgUp, PgDn: hosts").style(quiet()), keys);
}

fn header(frame: &mut Frame<'_>, area: Rect, view: &View, status: &Status) {
    let up = status.now.duration_since(status.started).as_secs();
    let up = format!("up {}d {:02}:{:02}:{:02}", up / 86_400, up / 3600 % 24, up / 60 % 60, up % 60);
    let first = Line::from(vec![
        Span::styled(
            format!("kaspector {} ", for_terminal(&status.version)),
            Style::new().add_modifier(Modifier::BOLD),
        ),
        Span::raw(format!(
            "sensor {}, {up}, {} flows, signatures {} ({})",
            for_terminal(&status.sensor),
            status.flows_active,
            for_terminal(&status.signatures.version),
            status.signatures.indicators
        )),
    ]);
    let second = match (&view.trouble, status.ready) {
        (Some((since, why)), _) => {
            Line::styled(format!("no answer since {}: {}", rfc3339(*since), for_terminal(why)), loud())
        }
        (None, true) if status.troubles.is_empty() => Line::styled("ready", Style::new().fg(Color::Green)),
        (None, true) => {
            Line::styled(for_terminal(&status.troubles.join("; ")).into_owned(), Style::new().fg(Color::Yellow))
        }
        (None, false) => Line::styled(format!("not ready: {}", for_terminal(&status.reasons.join("; "))), loud()),
    };
    let outputs = status.outputs.iter().map(|output| {
        let lost = if output.lost > 0 { format!(", {} lost", output.lost) } else { String::new() };
        format!("{}: {} delivered, {} waiting{lost}", for_terminal(&output.name), output.delivered, output.waiting)
    });
    let third = Line::raw(format!("outputs: {}", outputs.collect::<Vec<_>>().join("; ")));
    frame.render_widget(Paragraph::new(vec![first, second, third]), area);
}

fn interfaces_table(frame: &mut Frame<'_>, area: Rect, status: &Status, rates: &[Rate]) {
    let rows = status.interfaces.iter().enumerate().map(|(number, interface)| {
        let rate = rates.get(number).copied();
        let per_second = |value: fn(Rate) -> f64| rate.map_or_else(|| "-".to_owned(), |rate| scaled(value(rate)));
        let row = Row::new([
            Cell::from(for_terminal(&interface.name).into_owned()),
            Cell::from(per_second(|rate| rate.packets)),
            Cell::from(per_second(|rate| rate.bits)),
            Cell::from(per_second(|rate| rate.drops)),
            Cell::from(scaled_count(interface.packets)),
            Cell::from(scaled_count(interface.drops())),
            Cell::from(state(interface)),
        ]);
        if interface.is_up { row } else { row.style(loud()) }
    });
    let widths = [
        Constraint::Fill(2),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Fill(1),
    ];
    let table = Table::new(rows, widths)
        .header(titles(["INTERFACE", "PACKETS/S", "BITS/S", "LOST/S", "PACKETS", "LOST", "STATE"]))
        .block(Block::bordered().title(" Interfaces "));
    frame.render_widget(table, area);
}

fn state(interface: &Interface) -> String {
    match (interface.is_up, interface.silent_s) {
        (false, _) => "down".to_owned(),
        (true, None) => "no packet yet".to_owned(),
        (true, Some(silent)) if silent >= 10.0 => format!("silent {silent:.0} s"),
        (true, Some(_)) => "up".to_owned(),
    }
}

fn hosts_table(frame: &mut Frame<'_>, area: Rect, hosts: &Hosts, machines: Machines, first: usize) {
    let is_wide = area.width >= WIDE;
    let rows = hosts.hosts.iter().skip(first).map(|host| {
        let mut cells = vec![
            Cell::from(for_terminal(&host.label()).into_owned()),
            Cell::from(Span::styled(for_terminal(&host.verdict).into_owned(), colour(host))),
            Cell::from(format!("{:>3}%", host.confidence)),
            Cell::from(host.last_seen.strftime("%m-%d %H:%M:%S").to_string()),
            Cell::from(for_terminal(&host.categories.join(", ")).into_owned()),
        ];
        if is_wide {
            cells.push(Cell::from(for_terminal(&host.products.join("; ")).into_owned()));
        }
        Row::new(cells)
    });
    let mut widths = vec![
        Constraint::Fill(2),
        Constraint::Length(9),
        Constraint::Length(4),
        Constraint::Length(14),
        Constraint::Fill(2),
    ];
    let mut heads = vec!["HOST", "VERDICT", "SURE", "LAST (UTC)", "SERVICES"];
    if is_wide {
        widths.push(Constraint::Fill(3));
        heads.push("PRODUCTS");
    }
    let verdicts = hosts.verdicts;
    let title = format!(
        " Hosts: {} confirmed, {} suspected, {} browsing; the latest first; {} machines seen, {} judged ",
        verdicts.confirmed, verdicts.suspected, verdicts.browsing, machines.seen, machines.judged
    );
    let table = Table::new(rows, widths).header(titles(heads)).block(Block::bordered().title(title));
    frame.render_widget(table, area);
    if hosts.total == 0 && area.height > 3 {
        let inside = Rect { x: area.x + 2, y: area.y + 2, width: area.width.saturating_sub(4), height: 1 };
        frame.render_widget(Paragraph::new("No host has shown such traffic yet.").style(quiet()), inside);
    }
}

fn alerts_list(frame: &mut Frame<'_>, area: Rect, view: &View) {
    // They are without what could move a cursor already.
    let shown = view.alerts.iter().rev().map(|alert| Line::raw(alert.as_str()));
    let lines: Vec<Line<'_>> = shown.take(usize::from(area.height)).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Alerts, the latest first (UTC) ")), area);
}

fn titles<'a>(texts: impl IntoIterator<Item = &'a str>) -> Row<'a> {
    Row::new(texts).style(Style::new().add_modifier(Modifier::BOLD))
}

fn colour(host: &Host) -> Style {
    match host.verdict.as_str() {
        "confirmed" => loud(),
        "suspected" => Style::new().fg(Color::Yellow),
        _ => Style::new().fg(Color::Cyan),
    }
}

fn loud() -> Style {
    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
}

fn quiet() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[allow(clippy::cast_precision_loss)]
fn scaled_count(count: u64) -> String {
    scaled(count as f64)
}

/// With at most four digits: `999`, `1.50k`, `12.3M`.
fn scaled(value: f64) -> String {
    let mut value = value;
    for unit in ["", "k", "M", "G", "T"] {
        if value < 999.5 || unit == "T" {
            let digits = if unit.is_empty() || value >= 99.95 {
                0
            } else if value >= 9.995 {
                1
            } else {
                2
            };
            return format!("{value:.digits$}{unit}");
        }
        value /= 1000.0;
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_keep_their_place() {
        for (value, text) in [(0.0, "0"), (999.0, "999"), (1500.0, "1.50k"), (12_345_678.0, "12.3M"), (1e15, "1000T")] {
            assert_eq!(scaled(value), text);
        }
    }
}
