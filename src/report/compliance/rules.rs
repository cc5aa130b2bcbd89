//! What each rule asks for: filled in by what the traffic shows, by what the site file says, or left to be filled in by hand.

use super::html::counted;
use super::{ComplianceReport, Regime};
use crate::PARTICULARS;
use crate::escape::for_terminal;

/// A rule with the fields that it asks for.
#[derive(Debug)]
pub struct Rule {
    pub regime: Regime,
    pub fields: Vec<RuleField>,
}

/// One field.
#[derive(Debug)]
pub struct RuleField {
    pub name: &'static str,
    /// `None` is to be filled in by hand.
    pub value: Option<String>,
}

/// Every rule, with its fields.
pub fn rules(report: &ComplianceReport<'_>) -> Vec<Rule> {
    Regime::ALL.into_iter().map(|regime| Rule { regime, fields: fields(regime, report) }).collect()
}

fn fields(regime: Regime, report: &ComplianceReport<'_>) -> Vec<RuleField> {
    let by_hand = |keys: &[&str]| -> Vec<RuleField> {
        let known = PARTICULARS.iter().filter(|(key, _)| keys.contains(key));
        known.map(|&(key, name)| RuleField { name, value: report.particular(key) }).collect()
    };
    let of_sensor = |name, value: String| RuleField { name, value: Some(value) };
    let contact = ["organisation", "component", "contact_name", "contact_phone", "contact_email"];
    let scope = report.figures.by_regime.iter().find(|row| row.id == regime);
    let in_scope = scope.map_or_else(String::new, |row| {
        format!("{} in scope, {} to be reviewed; see Findings", counted(row.yes, "finding"), row.review)
    });
    match regime {
        Regime::UsDirective1701 => {
            let mut fields = by_hand(&contact);
            fields.push(of_sensor("Products found (30-day report a)", products(report)));
            fields.push(of_sensor("Endpoints of each product (30-day report b)", endpoints(report)));
            fields.push(of_sensor("How they were found (30-day report c)", method(report)));
            fields.extend(by_hand(&["mission_function", "contracts", "cost", "challenges"]));
            let removal = ["removal_planned", "removal_done", "replacement", "replacement_date", "controls"];
            fields.extend(by_hand(&removal));
            fields.push(of_sensor("Change since the last report, every 30 days until none is left", change(report)));
            fields.push(of_sensor("Endpoints not seen for more than 30 days", not_seen(report)));
            fields
        }
        Regime::UsFar => {
            let mut fields = by_hand(&["contract_number", "order_number", "supplier"]);
            fields.push(of_sensor("Brand", "Kaspersky".to_owned()));
            fields.extend(by_hand(&["part_number"]));
            fields.push(of_sensor("Description of the item", products(report)));
            fields.push(of_sensor("Findings", in_scope));
            fields.extend(by_hand(&["mitigation_taken", "mitigation_advised", "prevention"]));
            fields
        }
        Regime::UsCommerce2024 => {
            let mut fields = vec![of_sensor("Findings", in_scope), of_sensor("How far contacts came", reached(report))];
            fields.extend(by_hand(&["removal_planned", "removal_done", "replacement"]));
            fields
        }
        Regime::Canada2023 => {
            let mut fields = vec![of_sensor("Findings", in_scope)];
            fields.extend(by_hand(&["removal_done", "prevention"]));
            fields
        }
        Regime::Australia2025 => {
            let mut fields = by_hand(&["organisation"]);
            fields.push(of_sensor("Products found", products(report)));
            fields.push(of_sensor("Findings", in_scope));
            fields.extend(by_hand(&["removal_done", "completion", "exemption", "mitigation_taken"]));
            fields
        }
        Regime::Germany2022 => {
            let mut fields = vec![of_sensor("Findings", in_scope)];
            fields.extend(by_hand(&["risk_assessment", "replacement", "replacement_date"]));
            fields
        }
    }
}

/// Products on the list, at most; the table on the first page has more.
const LISTED_MAX: usize = 12;

fn rows<'a>(report: &'a ComplianceReport<'_>) -> impl Iterator<Item = &'a super::ProductFigures> {
    report.figures.products.iter().filter(|row| row.endpoints.with_product() > 0)
}

fn listed(texts: Vec<String>) -> String {
    if texts.is_empty() {
        return "none found".to_owned();
    }
    let more = texts.len().saturating_sub(LISTED_MAX);
    let mut text = texts.into_iter().take(LISTED_MAX).collect::<Vec<_>>().join("; ");
    if more > 0 {
        text += &format!("; and {more} more");
    }
    for_terminal(&text).into_owned()
}

fn products(report: &ComplianceReport<'_>) -> String {
    listed(rows(report).map(|row| row.product.clone()).collect())
}

fn endpoints(report: &ComplianceReport<'_>) -> String {
    let of_row = |row: &super::ProductFigures| format!("{}: {}", row.product, row.endpoints.with_product());
    listed(rows(report).map(of_row).collect())
}

fn method(report: &ComplianceReport<'_>) -> String {
    let set = &report.signature_set;
    let age = set.age_days.map(|age| format!(", {age} days old")).unwrap_or_default();
    let version = report.sensor.version;
    format!(
        "passive reading of traffic by kaspector {version}, signature set {}{age}; see Method",
        for_terminal(set.version)
    )
}

fn change(report: &ComplianceReport<'_>) -> String {
    let Some(changes) = report.changes else {
        return "not known: no earlier inventory was given with --compare".to_owned();
    };
    format!(
        "{} appeared, {} silent, {} risen, {} changed, {} as before",
        changes.appeared, changes.silent, changes.risen, changes.changed, changes.unchanged
    )
}

fn not_seen(report: &ComplianceReport<'_>) -> String {
    let last = report.figures.last_seen;
    let all = last.within_1_day + last.within_7_days + last.within_30_days + last.longer;
    format!("{} of {all}, counted back from the end of the period", last.longer)
}

fn reached(report: &ComplianceReport<'_>) -> String {
    let by = report.figures.by_reached;
    format!(
        "{} attempted only, {} refused, {} established, {} exchanged data; an installed product keeps calling, answered or not",
        by.attempted, by.refused, by.established, by.data_exchanged
    )
}
