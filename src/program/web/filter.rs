//! Which hosts are asked for.

use super::hosts::HostBrief;
use crate::process::moment::{end_of, moment_of};
use kaspector::capture::Timestamp;
use kaspector::matching::{Category, HostFinding, Role, SignatureSet, Verdict};
use kaspector_report::{AddressRange, CardMaker, OnSite, SiteEntry};
use serde::Deserialize;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    #[serde(default)]
    verdict: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    subnet: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    until: String,
    /// Words that all must occur.
    #[serde(default)]
    q: String,
    #[serde(default)]
    pub(super) sort: Sort,
    #[serde(default)]
    pub(super) order: Order,
    #[serde(default = "most")]
    pub(super) limit: usize,
    #[serde(default)]
    pub(super) offset: usize,
    #[serde(default)]
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sort {
    #[default]
    Verdict,
    Address,
    Confidence,
    FirstSeen,
    LastSeen,
    Bytes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    #[default]
    Asc,
    Desc,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    #[default]
    Json,
    Csv,
}

const fn most() -> usize {
    1000
}

/// Which hosts fit.
#[derive(Debug)]
pub(super) struct Filter {
    verdict: Option<Verdict>,
    service: Option<Category>,
    role: Option<Role>,
    subnet: Option<AddressRange>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    words: Vec<String>,
}

pub(super) const VERDICTS: [Verdict; 3] = [Verdict::Confirmed, Verdict::Suspected, Verdict::Browsing];

impl Filter {
    /// What these parameters ask for; an empty one asks for nothing.
    ///
    /// # Errors
    /// A line that says which parameter cannot be read, and what it may be.
    pub fn of(parameters: &Parameters, now: jiff::Timestamp) -> Result<Self, String> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let moment = |name: &str, text: &str, of: fn(&str, &str, jiff::Timestamp) -> Result<Timestamp, String>| {
            given(text).map(|text| of(name, &text, now)).transpose().map_err(|said| format!("{said}\n"))
        };
        Ok(Self {
            verdict: named("verdict", &parameters.verdict, VERDICTS, Verdict::name)?,
            service: named("service", &parameters.service, Category::ALL, Category::name)?,
            role: named("role", &parameters.role, Role::ALL, Role::name)?,
            subnet: given(&parameters.subnet)
                .map(|text| text.trim().parse().map_err(|said| format!("subnet: {said}\n")))
                .transpose()?,
            since: moment("since", &parameters.since, moment_of)?,
            until: moment("until", &parameters.until, end_of)?,
            words: parameters.q.split_whitespace().map(str::to_lowercase).collect(),
        })
    }

    /// Whether a host fits, as far as a short look tells: its evidence was seen at that time.
    pub fn takes(&self, host: &HostBrief) -> bool {
        self.verdict.is_none_or(|verdict| host.verdict == verdict)
            && self.role.is_none_or(|role| host.role == role)
            && self.subnet.is_none_or(|subnet| subnet.contains(host.host.address))
            && self.since.is_none_or(|since| host.last_seen >= since)
            && self.until.is_none_or(|until| host.first_seen <= until)
    }

    /// Words that all must occur, in lower case.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether a close look tells more.
    pub fn looks_closely(&self) -> bool {
        self.service.is_some() || !self.words.is_empty()
    }

    /// Whether a host that [fits](Self::takes) does so when looked at closely.
    pub fn takes_finding(&self, host: &HostFinding, on_site: &OnSite<'_>, signatures: &SignatureSet) -> bool {
        self.service.is_none_or(|service| host.categories.contains(&service))
            && (self.words.is_empty() || mentions(host, &self.words, on_site, signatures))
    }
}

/// What has this name.
fn named<T: Copy, const N: usize>(
    parameter: &str,
    text: &str,
    all: [T; N],
    name: fn(T) -> &'static str,
) -> Result<Option<T>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let found = all.into_iter().find(|&one| name(one) == text);
    found.map(Some).ok_or_else(|| format!("{parameter}: expected one of {}\n", all.map(name).join(", ")))
}

/// Whether each word occurs in what the page shows of the host; case does not matter.
fn mentions(host: &HostFinding, words: &[String], on_site: &OnSite<'_>, signatures: &SignatureSet) -> bool {
    let mut text = format!("{} {} {} ", host.host.address, host.verdict.name(), host.role.name());
    let mut say = |part: &str| {
        text.push_str(part);
        text.push(' ');
    };
    for mac in host.mac.iter().chain(&host.next_hop_mac).chain(host.macs.iter().map(|link| &link.mac)) {
        say(&mac.to_string());
    }
    host.mac.and_then(|mac| CardMaker::of(mac).name()).into_iter().for_each(&mut say);
    on_site.machines.labels(host).iter().for_each(|label| say(&label.text));
    let SiteEntry { machine, subnet, .. } = on_site.site_entry(host);
    machine.iter().for_each(|machine| say(&machine.name));
    subnet.iter().for_each(|subnet| say(&subnet.name));
    host.products.all.iter().chain(&host.engine_in.all).chain(&host.notes).for_each(|part| say(part));
    host.categories.iter().for_each(|category| say(category.name()));
    for line in &host.evidence {
        say(&signatures.get(line.indicator).id);
        say(line.field.name());
        say(&line.observed);
        say(&line.server.to_string());
    }
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word))
}
