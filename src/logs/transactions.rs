//! Tells what records of each protocol, and the alerts that repeat them, say of a flow.

use super::dns::Kind as DnsKind;
use super::flows::{Flow, QUERIES_MAX, Source, WaitingQuery};
use super::http;
use super::observer::{self, LogObserver};
use super::reader::{Common, LogReader};
use super::record::{Dns, Ftp, Http, Quic, Tls};
use super::skim::Key;
use super::tls::{LoggedCertificate, LoggedHello};
use foldhash::fast::FixedState;
use kaspector::decode::FiveTuple;
use kaspector::inspect::{DnsMessage, FtpRequest, HttpResponse, HttpTarget, Observation};
use kaspector::matching::{
    ConnectionOutcome, HelloFacts, observe, observe_certificate, observe_quic_hello, observe_tls_hello,
};
use std::hash::{BuildHasher, Hash};

impl LogReader {
    fn observer<'a>(&'a mut self, common: &'a Common<'_>, flow: &'a mut Flow) -> LogObserver<'a> {
        LogObserver {
            signatures: &self.signatures,
            ledger: &mut self.ledger,
            flow,
            ends: &common.ends,
            line: self.origins.number(),
            at: common.at,
            counts: common.counts,
        }
    }

    pub(crate) fn dns(&mut self, common: &Common<'_>, flow: &mut Flow, dns: Option<&Dns<'_>>, source: Source) {
        let Some(dns) = dns else { return };
        let (dns, kind) = match (dns.kind(), &dns.answer) {
            (Some(kind), _) => (dns, kind),
            (None, Some(answer)) => (&**answer, DnsKind::Answer),
            (None, None) => (dns, DnsKind::Query),
        };
        let mut message = std::mem::take(&mut self.message);
        dns.read_into(&mut message, kind);
        let name = message.question.as_ref().map(|(name, _)| name.as_str());
        let fact = fact(("dns", message.is_response, message.id, name));
        flow.was_asked |= kind == DnsKind::Query;
        if name.is_some() && !flow.take_known(fact, source) {
            let has_matched = if kind == DnsKind::Query && dns.recursion_desired().is_none() {
                flow.is_named = true;
                self.wait(common, flow, &message)
            } else {
                if kind == DnsKind::Answer {
                    flow.reach(common.ends.answered(flow.was_asked));
                    self.tell_waiting(flow, |waiting| waiting.id == message.id, message.recursion_desired);
                }
                let observation = Observation::Dns(&message);
                self.observer(common, flow).tell(|set, place, emit| observe(set, &observation, place, emit))
            };
            if has_matched {
                flow.remember(fact, source);
            }
            // Connections to these addresses matter from here on, and so do other names for them.
            for answer in &message.addresses {
                let both =
                    FiveTuple { src: answer.address, dst: answer.address, src_port: 0, dst_port: 0, protocol: 0 };
                if has_matched && self.ledger.may_matter(&both) {
                    self.watch.add(Key::address(answer.address));
                }
            }
        }
        self.message = message;
    }

    /// Keeps a query until its answer, if it matters. Says whether it does.
    fn wait(&mut self, common: &Common<'_>, flow: &mut Flow, message: &DnsMessage) -> bool {
        if !message.questions().any(|(name, _)| self.signatures.match_name(name.as_str()).is_some()) {
            return false;
        }
        let place = common.ends.summary(flow, common.counts);
        let waiting = WaitingQuery { line: self.origins.number(), at: common.at, message: message.clone(), place };
        let queries = &mut flow.more().queries;
        queries.push(waiting);
        if queries.len() > QUERIES_MAX {
            self.queries_hurried += 1;
            let mut is_first = true;
            self.tell_waiting(flow, |_| std::mem::take(&mut is_first), true);
        }
        true
    }

    /// Tells the queries that waited and are `meant`.
    pub(crate) fn tell_waiting(
        &mut self,
        flow: &mut Flow,
        mut meant: impl FnMut(&DnsMessage) -> bool,
        recursion_desired: bool,
    ) {
        let Some(more) = &mut flow.more else { return };
        if more.queries.is_empty() {
            return;
        }
        let (told, waiting) = std::mem::take(&mut more.queries).into_iter().partition(|query| meant(&query.message));
        more.queries = waiting;
        let told: Vec<WaitingQuery> = told;
        for mut query in told {
            query.message.recursion_desired = recursion_desired;
            query.tell(&self.signatures, &mut self.ledger, flow);
        }
    }

    pub(crate) fn tls(&mut self, common: &Common<'_>, flow: &mut Flow, tls: Option<&Tls<'_>>, source: Source) {
        let Some(tls) = tls else { return };
        let has_answer = tls.version.as_ref().is_some_and(|version| version.as_str() != "UNDETERMINED");
        flow.reach(if has_answer { ConnectionOutcome::DataExchanged } else { ConnectionOutcome::Established });
        if let Some(hello) =
            LoggedHello::new(tls.sni.as_ref(), tls.ja3.as_ref(), tls.ja4.as_ref(), tls.version.as_ref())
        {
            let fact = fact(("hello", hello.sni().map(|name| name.as_str()), hello.ja3_hash()));
            self.tell_once(common, flow, source, fact, |set, place, emit| observe_tls_hello(set, &hello, place, emit));
        }
        if let Some(certificate) = LoggedCertificate::new(tls) {
            let names =
                (tls.subject.as_ref().map(|name| name.as_str()), tls.issuerdn.as_ref().map(|name| name.as_str()));
            let fact = fact(("certificate", names));
            self.tell_once(common, flow, source, fact, |set, place, emit| {
                observe_certificate(set, &certificate, place, emit)
            });
        }
    }

    pub(crate) fn quic(&mut self, common: &Common<'_>, flow: &mut Flow, quic: Option<&Quic<'_>>, source: Source) {
        let Some(quic) = quic else { return };
        let Some(hello) = LoggedHello::new(quic.sni.as_ref(), quic.ja3.as_ref(), quic.ja4.as_ref(), None) else {
            return;
        };
        let version = observer::quic_version(quic.version.as_ref().map_or("", |version| version.as_str()));
        let fact = fact(("quic", hello.sni().map(|name| name.as_str()), hello.ja3_hash()));
        self.tell_once(common, flow, source, fact, |set, place, emit| {
            observe_quic_hello(set, version, &hello, place, emit)
        });
    }

    pub(crate) fn http(&mut self, common: &Common<'_>, flow: &mut Flow, http: Option<&Http<'_>>, source: Source) {
        let Some(http) = http else { return };
        let mut head = std::mem::take(&mut self.head);
        if http::request_head(http, &mut head).is_some() {
            let is_answered = http.status.is_some();
            flow.reach(if is_answered { ConnectionOutcome::DataExchanged } else { ConnectionOutcome::Established });
            let parts =
                [&http.http_method, &http.url, &http.hostname].map(|part| part.as_ref().map(|one| one.as_str()));
            let fact = fact(("http", common.record.tx_id, parts));
            let request = HttpResponse { status: 0, body: &[], request_head: &head }.request();
            if let Some(request) = &request {
                let observation = Observation::HttpRequest(request);
                self.tell_once(common, flow, source, fact, |set, place, emit| observe(set, &observation, place, emit));
            }
            if source == Source::Transaction
                && let Some(response) = http::response(http, &head)
            {
                let observation = Observation::HttpResponse(&response);
                self.observer(common, flow).tell(|set, place, emit| observe(set, &observation, place, emit));
            }
            let form = request.map(|request| request.target_form);
            flow.is_proxied |= matches!(form, Some(HttpTarget::Absolute | HttpTarget::Authority));
        }
        self.head = head;
    }

    pub(crate) fn ftp(&mut self, common: &Common<'_>, flow: &mut Flow, ftp: Option<&Ftp<'_>>) {
        let Some(command) = ftp.and_then(|ftp| ftp.command.as_ref()) else { return };
        let is_answered = ftp.is_some_and(|ftp| !ftp.completion_code.is_empty());
        flow.reach(if is_answered { ConnectionOutcome::DataExchanged } else { ConnectionOutcome::Established });
        let data = ftp.and_then(|ftp| ftp.command_data.as_ref()).map_or("", |data| data.as_str());
        let line = format!("{} {data}", command.as_str()).replace(['\r', '\n'], "?");
        let mut asked = Vec::new();
        let stream = flow.more().ftp.get_or_insert_default();
        for piece in [line.as_bytes(), b"\r\n"] {
            stream.accept(piece, |request| asked.push((request.path.to_vec(), request.fetches)));
        }
        for (path, fetches) in asked {
            let request = FtpRequest { path: &path, fetches };
            let observation = Observation::FtpRequest(&request);
            self.observer(common, flow).tell(|set, place, emit| observe(set, &observation, place, emit));
        }
    }

    /// Tells a fact unless the other kind of record told it.
    fn tell_once(
        &mut self,
        common: &Common<'_>,
        flow: &mut Flow,
        source: Source,
        fact: u64,
        observe: impl observer::Observe,
    ) {
        if !flow.take_known(fact, source) && self.observer(common, flow).tell(observe) {
            flow.remember(fact, source);
        }
    }
}

/// Stands for a fact where only equality matters.
fn fact(parts: impl Hash) -> u64 {
    FixedState::default().hash_one(parts)
}
