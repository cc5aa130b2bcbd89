//! `/api/hosts`: hosts as in `scan --format json`, searched, sorted and cut to a page.

use super::Asked;
use super::filter::{Filter, Format, Order, Parameters, Sort, VERDICTS};
use super::over_time::OverTime;
use super::shown::Shown;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kaspector::capture::Timestamp;
use kaspector::matching::{Confidence, HostFinding, HostKey, Role, SignatureSet, Verdict};
use kaspector_report::{OnSite, SeenMachines, Site, host_json_on_site, write_csv_on_site};
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

/// Hosts at one moment, with what is needed to read them.
#[derive(Clone, Debug)]
pub struct HostSnapshot {
    /// The hosts.
    pub hosts: Arc<dyn HostList>,
    /// Names of the inputs that examples point into.
    pub inputs: Vec<String>,
    /// The set that the evidence came from.
    pub signatures: Arc<SignatureSet>,
    /// What is known of the site.
    pub site: Arc<Site>,
}

impl Default for HostSnapshot {
    fn default() -> Self {
        Self { hosts: Arc::new(Vec::new()), inputs: Vec::new(), signatures: Arc::default(), site: Arc::default() }
    }
}

/// Hosts, of which most are only counted and sorted: there may be very many, and a page shows few.
pub trait HostList: fmt::Debug + Send + Sync {
    /// What all hosts with evidence are sorted and filtered by: strongest verdict first, then by address.
    fn briefs(&self, signatures: &SignatureSet) -> Vec<HostBrief>;

    /// All that is known of one of them, by [`HostBrief::at`].
    fn finding(&self, at: usize, signatures: &SignatureSet) -> Option<HostFinding>;
}

/// What a host is sorted and filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostBrief {
    /// Its place in the list.
    pub at: usize,
    /// The host.
    pub host: HostKey,
    /// What its evidence adds up to.
    pub verdict: Verdict,
    /// How sure.
    pub confidence: Confidence,
    /// What it is to the traffic that named it.
    pub role: Role,
    /// First evidence.
    pub first_seen: Timestamp,
    /// Last evidence.
    pub last_seen: Timestamp,
    /// Bytes of flows with evidence, to the host and from it.
    pub bytes: u64,
}

/// Findings that are at hand.
impl HostList for Vec<HostFinding> {
    fn briefs(&self, _: &SignatureSet) -> Vec<HostBrief> {
        let brief = |(at, found): (usize, &HostFinding)| HostBrief {
            at,
            host: found.host,
            verdict: found.verdict,
            confidence: found.confidence,
            role: found.role,
            first_seen: found.first_seen,
            last_seen: found.last_seen,
            bytes: found.bytes_sent.saturating_add(found.bytes_received),
        };
        let mut briefs: Vec<HostBrief> = self.iter().enumerate().map(brief).collect();
        briefs.sort_unstable_by_key(|brief| (brief.verdict, brief.host));
        briefs
    }

    fn finding(&self, at: usize, _: &SignatureSet) -> Option<HostFinding> {
        self.get(at).cloned()
    }
}

/// Most hosts of one answer.
const LIMIT_MAX: usize = 10_000;

pub(super) async fn hosts(State(shown): State<Arc<Shown>>, Query(parameters): Query<Parameters>) -> Response {
    let hosts = shown.web.hosts().await;
    // Many hosts take a while, and the server has others to serve.
    let format = parameters.format;
    let filter = match Filter::of(&parameters, jiff::Timestamp::now()) {
        Ok(filter) => filter,
        Err(said) => return (StatusCode::BAD_REQUEST, said).into_response(),
    };
    let called = shown.web.who_are(Asked::Called(filter.words().to_vec())).await;
    let chosen = tokio::task::spawn_blocking(move || {
        let page = Page::choose(&hosts, &parameters, &filter, &called)?;
        Ok::<_, String>((hosts, page))
    });
    let answer = match chosen.await {
        Ok(Ok((hosts, page))) => {
            let machines = shown.web.who_are(Asked::Having(page.hosts.iter().map(|found| found.host).collect())).await;
            tokio::task::spawn_blocking(move || page.answer(&hosts, &machines)).await
        }
        Ok(Err(said)) => Ok(Err(said)),
        Err(failed) => Err(failed),
    };
    match answer {
        Ok(Ok(body)) if format == Format::Csv => {
            ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], body).into_response()
        }
        Ok(Ok(body)) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Ok(Err(said)) => (StatusCode::BAD_REQUEST, said).into_response(),
        Err(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the hosts cannot be listed; see the sensor's log\n").into_response()
        }
    }
}

/// The hosts that fit the parameters, cut to a page.
struct Page {
    hosts: Vec<HostFinding>,
    format: Format,
    /// What stands before the hosts in JSON: counts by verdict of all hosts, how many fit, and when they were seen.
    head: String,
}

impl Page {
    /// `called`: machines that are called something in which a word of the filter occurs.
    fn choose(
        snapshot: &HostSnapshot,
        parameters: &Parameters,
        filter: &Filter,
        called: &SeenMachines,
    ) -> Result<Self, String> {
        let signatures = &snapshot.signatures;
        let on_site = OnSite { inputs: &snapshot.inputs, machines: called, site: &snapshot.site };
        let all = snapshot.hosts.briefs(signatures);
        let fits_closely = |brief: &HostBrief| {
            let found = || snapshot.hosts.finding(brief.at, signatures);
            !filter.looks_closely() || found().is_some_and(|host| filter.takes_finding(&host, &on_site, signatures))
        };
        let mut chosen: Vec<&HostBrief> = all.iter().filter(|host| filter.takes(host) && fits_closely(host)).collect();
        sort(&mut chosen, parameters.sort);
        if parameters.order == Order::Desc {
            chosen.reverse();
        }
        let hosts = chosen
            .iter()
            .skip(parameters.offset)
            .take(parameters.limit.min(LIMIT_MAX))
            .filter_map(|host| snapshot.hosts.finding(host.at, signatures))
            .collect();
        let count = |verdict: Verdict| all.iter().filter(|host| host.verdict == verdict).count();
        let counts: Vec<String> =
            VERDICTS.iter().map(|&verdict| format!("\"{}\":{}", verdict.name(), count(verdict))).collect();
        let over_time = serde_json::to_string(&OverTime::of(&chosen)).map_err(|error| format!("{error}\n"))?;
        let head = format!(
            "\"total\":{},\"verdicts\":{{{}}},\"matching\":{},\"over_time\":{over_time},\"offset\":{}",
            all.len(),
            counts.join(","),
            chosen.len(),
            parameters.offset,
        );
        Ok(Self { hosts, format: parameters.format, head })
    }

    /// As CSV; or as one JSON object.
    fn answer(mut self, snapshot: &HostSnapshot, machines: &SeenMachines) -> Result<String, String> {
        let signatures = &snapshot.signatures;
        let on_site = OnSite { inputs: &snapshot.inputs, machines, site: &snapshot.site };
        on_site.note_shared(&mut self.hosts);
        if self.format == Format::Csv {
            let mut out = Vec::new();
            write_csv_on_site(&mut out, &self.hosts, &on_site, signatures)
                .map_err(|error| format!("format: {error}\n"))?;
            return String::from_utf8(out).map_err(|error| format!("format: {error}\n"));
        }
        let hosts: Vec<String> = self.hosts.iter().map(|host| host_json_on_site(host, &on_site, signatures)).collect();
        Ok(format!("{{{},\"hosts\":[{}]}}", self.head, hosts.join(",")))
    }
}

/// Ties stay in the order of the list.
fn sort(hosts: &mut [&HostBrief], by: Sort) {
    match by {
        Sort::Verdict => hosts.sort_by_key(|host| (host.verdict, Reverse(host.confidence), host.host)),
        Sort::Address => hosts.sort_by_key(|host| host.host),
        Sort::Confidence => hosts.sort_by_key(|host| host.confidence),
        Sort::FirstSeen => hosts.sort_by_key(|host| host.first_seen),
        Sort::LastSeen => hosts.sort_by_key(|host| host.last_seen),
        Sort::Bytes => hosts.sort_by_key(|host| host.bytes),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use kaspector::inspect::IdentitySource;
    use kaspector::matching::{Label, LabelKind, Machine};
    use kaspector_report::samples;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn answer(snapshot: &HostSnapshot, text: &str, called: &SeenMachines) -> serde_json::Value {
        let parameters = serde_json::from_str::<Parameters>(text).unwrap();
        let filter = Filter::of(&parameters, jiff::Timestamp::now()).unwrap();
        let page = Page::choose(snapshot, &parameters, &filter, called).unwrap();
        serde_json::from_str(&page.answer(snapshot, called).unwrap()).unwrap()
    }

    /// Many hosts, and how often one was looked at closely.
    #[derive(Debug)]
    struct Counted(Vec<HostFinding>, Arc<AtomicUsize>);

    impl HostList for Counted {
        fn briefs(&self, signatures: &SignatureSet) -> Vec<HostBrief> {
            self.0.briefs(signatures)
        }

        fn finding(&self, at: usize, signatures: &SignatureSet) -> Option<HostFinding> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.finding(at, signatures)
        }
    }

    #[test]
    fn what_the_site_says_stands_beside_the_host() {
        let text = "[[subnet]]\nrange = '10.20.0.5/32'\nname = 'Berlin'\n[[nat]]\naddress = '10.20.0.5'";
        let snapshot = HostSnapshot {
            hosts: Arc::new(samples::report().hosts),
            signatures: Arc::new(SignatureSet::builtin()),
            site: Arc::new(Site::from_toml(text, "s").unwrap()),
            ..HostSnapshot::default()
        };
        let ask = |text: &str| answer(&snapshot, text, &SeenMachines::default());
        let page = ask("{}");
        let host = page["hosts"].as_array().unwrap().iter().find(|host| host["address"] == "10.20.0.5").unwrap();
        assert_eq!(host["site"]["subnet"]["name"], "Berlin");
        assert!(host["notes"][0].as_str().unwrap().starts_with("one address, possibly many endpoints"), "{host}");
        let found = ask(r#"{"q":"berlin"}"#);
        assert_eq!((&found["matching"], &found["hosts"][0]["address"]), (&1.into(), &"10.20.0.5".into()));
    }

    #[test]
    fn a_search_finds_hosts_by_what_they_are_called() {
        let hosts = samples::report().hosts;
        let said = |kind, text: &str| Label::said(kind, IdentitySource::Dhcp, text.into(), Timestamp(1), Timestamp(2));
        let labels = vec![said(LabelKind::Name, "Reception-7"), said(LabelKind::Domain, "CORP")];
        let called = SeenMachines::new(vec![Machine::called(hosts[0].host, labels)]);
        let snapshot = HostSnapshot {
            hosts: Arc::new(hosts.clone()),
            signatures: Arc::new(SignatureSet::builtin()),
            ..HostSnapshot::default()
        };
        let found = answer(&snapshot, r#"{"q":"corp RECEPTION"}"#, &called);
        assert_eq!((&found["matching"], &found["hosts"][0]["identity"][0]["text"]), (&1.into(), &"Reception-7".into()));
        assert_eq!(answer(&snapshot, r#"{"q":"reception nowhere"}"#, &called)["matching"], 0);
        assert_eq!(answer(&snapshot, r#"{"q":"reception"}"#, &SeenMachines::default())["matching"], 0);
    }

    #[test]
    fn only_the_hosts_of_the_page_are_looked_at_closely() {
        let model = samples::report().hosts.into_iter().next().unwrap();
        let host = |number: u8| {
            let mut host = model.clone();
            (host.bytes_sent, host.bytes_received) = (u64::from(number), 0);
            host.host.address = [10, 0, 0, number].into();
            host
        };
        let looked = Arc::new(AtomicUsize::new(0));
        let hosts = Arc::new(Counted((0..200).map(host).collect(), Arc::clone(&looked)));
        let snapshot = HostSnapshot {
            hosts,
            inputs: Vec::new(),
            signatures: Arc::new(SignatureSet::builtin()),
            ..HostSnapshot::default()
        };
        let ask = |text: &str| answer(&snapshot, text, &SeenMachines::default());
        let page = ask(r#"{"sort":"bytes","order":"desc","limit":3,"offset":2}"#);
        let addresses: Vec<_> = page["hosts"].as_array().unwrap().iter().map(|host| &host["address"]).collect();
        assert_eq!(addresses, ["10.0.0.197", "10.0.0.196", "10.0.0.195"]);
        assert_eq!((&page["total"], &page["matching"]), (&200.into(), &200.into()));
        assert_eq!(looked.load(Ordering::Relaxed), 3);
        assert_eq!(ask(r#"{"q":"10.0.0.77","limit":1}"#)["matching"], 1);
        looked.store(0, Ordering::Relaxed);
        let among = ask(r#"{"subnet":"10.0.0.0/28","role":"endpoint","since":"2026-11-01","limit":1}"#);
        assert_eq!((&among["matching"], looked.load(Ordering::Relaxed)), (&16.into(), 1));
    }
}
