//! `/api/hosts`: hosts as in `scan --format json`, searched, sorted and cut to a page.

use super::shown::Shown;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kaspector::matching::{HostFinding, SignatureSet, Verdict};
use kaspector_report::host_json;
use serde::Deserialize;
use std::cmp::Reverse;
use std::sync::Arc;

/// Hosts at one moment, with what is needed to read them.
#[derive(Clone, Debug, Default)]
pub struct HostSnapshot {
    /// Strongest verdict first, then by address.
    pub findings: Vec<HostFinding>,
    /// Names of the inputs that examples point into.
    pub inputs: Vec<String>,
    /// The set that the evidence came from.
    pub signatures: Arc<SignatureSet>,
}

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    verdict: Option<String>,
    /// Words that all must occur.
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: Sort,
    #[serde(default)]
    order: Order,
    #[serde(default = "most")]
    limit: usize,
    #[serde(default)]
    offset: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sort {
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
enum Order {
    #[default]
    Asc,
    Desc,
}

/// Most hosts of one answer.
const LIMIT_MAX: usize = 10_000;

const fn most() -> usize {
    1000
}

pub(super) async fn hosts(State(shown): State<Arc<Shown>>, Query(wish): Query<Wish>) -> Response {
    let hosts = shown.web.hosts().await;
    // Many hosts take a while, and the server has others to serve.
    match tokio::task::spawn_blocking(move || answer(&hosts, &wish)).await {
        Ok(Ok(body)) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Ok(Err(said)) => (StatusCode::BAD_REQUEST, said).into_response(),
        Err(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the hosts cannot be listed; see the sensor's log\n").into_response()
        }
    }
}

/// One JSON object: counts by verdict of all hosts, how many fit the wish, and a page of those.
fn answer(snapshot: &HostSnapshot, wish: &Wish) -> Result<String, String> {
    let verdicts = [Verdict::Confirmed, Verdict::Suspected, Verdict::Browsing];
    let verdict = match wish.verdict.as_deref().filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => {
            let known = verdicts.into_iter().find(|verdict| verdict.name() == name);
            Some(known.ok_or("verdict: expected confirmed, suspected or browsing\n")?)
        }
    };
    let words: Vec<String> = wish.q.split_whitespace().map(str::to_lowercase).collect();
    let mut chosen: Vec<&HostFinding> = snapshot
        .findings
        .iter()
        .filter(|host| verdict.is_none_or(|verdict| host.verdict == verdict))
        .filter(|host| words.is_empty() || mentions(host, &words, &snapshot.signatures))
        .collect();
    sort(&mut chosen, wish.sort);
    if wish.order == Order::Desc {
        chosen.reverse();
    }
    let page: Vec<String> = chosen
        .iter()
        .skip(wish.offset)
        .take(wish.limit.min(LIMIT_MAX))
        .map(|host| host_json(host, &snapshot.inputs, &snapshot.signatures))
        .collect();
    let count = |verdict: Verdict| snapshot.findings.iter().filter(|host| host.verdict == verdict).count();
    let counts: Vec<String> =
        verdicts.iter().map(|&verdict| format!("\"{}\":{}", verdict.name(), count(verdict))).collect();
    Ok(format!(
        "{{\"total\":{},\"verdicts\":{{{}}},\"matching\":{},\"offset\":{},\"hosts\":[{}]}}",
        snapshot.findings.len(),
        counts.join(","),
        chosen.len(),
        wish.offset,
        page.join(",")
    ))
}

/// Ties stay in the order of the snapshot.
fn sort(hosts: &mut [&HostFinding], by: Sort) {
    match by {
        Sort::Verdict => {}
        Sort::Address => hosts.sort_by_key(|host| host.host),
        Sort::Confidence => hosts.sort_by_key(|host| host.confidence),
        Sort::FirstSeen => hosts.sort_by_key(|host| host.first_seen),
        Sort::LastSeen => hosts.sort_by_key(|host| host.last_seen),
        Sort::Bytes => hosts.sort_by_key(|host| host.bytes_sent.saturating_add(host.bytes_received)),
    }
    if by == Sort::Verdict {
        hosts.sort_by_key(|host| (host.verdict, Reverse(host.confidence), host.host));
    }
}

/// Whether each word occurs in what the page shows of the host; case does not matter.
fn mentions(host: &HostFinding, words: &[String], signatures: &SignatureSet) -> bool {
    let mut text = format!("{} {} {} ", host.host.address, host.verdict.name(), host.role.name());
    for mac in host.mac.iter().chain(&host.next_hop_mac).chain(host.macs.iter().map(|link| &link.mac)) {
        text.push_str(&mac.to_string());
        text.push(' ');
    }
    let mut say = |part: &str| {
        text.push_str(part);
        text.push(' ');
    };
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
