//! Holds an observation against the signature set.

use super::found::{Found, Place, cut};
use super::management::{bears_vendors_name, is_private_name};
use super::private_address::is_private;
use super::{
    Answered, Application, Category, CertificateFacts, ConnectionOutcome, EventKind, Field, FlowProtocol, HelloFacts,
    HostKey, IndicatorIndex, ProtocolEvidence, Resolved, ResolvedOther, SeenAs, SignatureSet, Strength,
};
use super::{mail, server_role};
use crate::inspect::tls::Ja4Transport;
use crate::inspect::{DnsMessage, DomainName, Frames, HttpRequest, HttpTarget, Observation, ProxyKind};
use foldhash::fast::FixedState;
use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// What an observation told about its flow, whether or not it matched anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The flow said whom it is for.
    Name,
    /// It did not.
    Nothing,
}

/// Matches one observation and passes on what it proves.
pub fn observe(
    signatures: &SignatureSet,
    observation: &Observation<'_>,
    place: &Place<'_>,
    mut emit: impl FnMut(EventKind),
) -> Learned {
    match observation {
        Observation::Dns(message) => dns(signatures, message, place, &mut emit),
        Observation::TlsClientHello(hello) => observe_tls_hello(signatures, *hello, place, emit),
        Observation::QuicClientHello { version, hello } => {
            observe_quic_hello(signatures, version.name(), *hello, place, emit)
        }
        Observation::TlsCertificate(certificate) => observe_certificate(signatures, *certificate, place, emit),
        Observation::HttpRequest(request) => http(signatures, request, place, &mut emit),
        Observation::HttpUpload(piece) => {
            if let Some(indicator) = signatures.match_upload(piece) {
                let value = &signatures.get(indicator).value;
                emit(Found::new(indicator, SeenAs::Hint, Field::HttpUpload, value).alert(place, Application::Unknown));
            }
            Learned::Nothing
        }
        Observation::HttpResponse(response) => {
            server_role::http(signatures, response, place, &mut emit);
            Learned::Nothing
        }
        Observation::FtpRequest(request) => {
            server_role::ftp(signatures, request, place, &mut emit);
            Learned::Nothing
        }
        Observation::MailHeader(header) => {
            mail::header(signatures, header, place, &mut emit);
            Learned::Nothing
        }
        Observation::SyslogOriginator(originator) => {
            let said = [originator.device, originator.structured_data];
            let found = said.into_iter().flatten().find_map(|text| Some((signatures.match_syslog(text)?, text)));
            if let Some((indicator, text)) = found {
                let observed = String::from_utf8_lossy(text);
                let found = Found::new(indicator, SeenAs::Contact, Field::SyslogOriginator, &observed);
                emit(found.alert(place, Application::Unknown));
            }
            Learned::Nothing
        }
        Observation::UnknownStart(start) => {
            let flow = place.flow;
            if let Some(indicator) = signatures.match_stream(start, flow.protocol, flow.server_port) {
                let value = &signatures.get(indicator).value;
                emit(Found::new(indicator, SeenAs::Hint, Field::FirstBytes, value).alert(place, Application::Unknown));
            }
            Learned::Nothing
        }
        Observation::ReputationFrames(frames) => {
            reputation_frames(signatures, *frames, place, &mut emit);
            Learned::Nothing
        }
        Observation::ProxyRequest(request) => {
            say(signatures, place, || Some(ProtocolEvidence::Unrelated), &mut emit);
            // The HTTP kinds come beside the request itself, which says the same and more.
            if let (ProxyKind::Socks4 | ProxyKind::Socks5, Some(name)) = (request.kind, request.name)
                && let Some(indicator) = signatures.match_domain_name(name)
            {
                let found = Found::new(indicator, SeenAs::Contact, Field::SocksDomain, name.as_str()).asking_server();
                emit(found.alert(place, Application::Socks));
            }
            if request.name.is_some() { Learned::Name } else { Learned::Nothing }
        }
        Observation::Statement(_)
        | Observation::SshGreeting(_)
        | Observation::PassedOnFor(_)
        | Observation::BoundReached(_) => Learned::Nothing,
    }
}

/// Matches a hello over TCP and passes on what it proves.
pub fn observe_tls_hello(
    signatures: &SignatureSet,
    hello: &impl HelloFacts,
    place: &Place<'_>,
    mut emit: impl FnMut(EventKind),
) -> Learned {
    client_hello(signatures, hello, place, Field::TlsSni, &|| tls_application(hello), &mut emit)
}

/// Matches a hello in QUIC and passes on what it proves. `version` is QUIC's: `1`, `2`, or the name of a draft.
pub fn observe_quic_hello(
    signatures: &SignatureSet,
    version: &'static str,
    hello: &impl HelloFacts,
    place: &Place<'_>,
    mut emit: impl FnMut(EventKind),
) -> Learned {
    let application = || Application::Quic {
        version,
        sni: hello.sni().map(|name| name.as_str().into()),
        ja4: hello.ja4(Ja4Transport::Quic).unwrap_or_default().into(),
    };
    client_hello(signatures, hello, place, Field::QuicSni, &application, &mut emit)
}

/// Matches a server's certificate and passes on what it proves.
pub fn observe_certificate(
    signatures: &SignatureSet,
    certificate: &impl CertificateFacts,
    place: &Place<'_>,
    mut emit: impl FnMut(EventKind),
) -> Learned {
    server_certificate(signatures, certificate, place, &mut emit)
}

/// Passes on what a flow to a port of interest said of itself; other flows are not asked.
fn say(
    signatures: &SignatureSet,
    place: &Place<'_>,
    evidence: impl FnOnce() -> Option<ProtocolEvidence>,
    emit: &mut impl FnMut(EventKind),
) {
    let flow = place.flow;
    if signatures.is_port_of_interest(flow.server_port, flow.protocol)
        && let Some(evidence) = evidence()
    {
        emit(EventKind::Protocol(Box::new(FlowProtocol { flow: flow.first_packet, evidence })));
    }
}

fn dns(
    signatures: &SignatureSet,
    message: &DnsMessage,
    place: &Place<'_>,
    emit: &mut impl FnMut(EventKind),
) -> Learned {
    // The strongest of several questions.
    let question = message
        .questions()
        .filter_map(|(name, _)| Some((signatures.match_domain_name(name)?, name)))
        .min_by_key(|&(indicator, _)| signatures.get(indicator).strength);
    let asked = question.and_then(|(_, name)| message.questions().find(|(asked, _)| asked == name));
    let asked = asked.or(message.question.as_ref());
    let application = || Application::Dns {
        id: message.id,
        name: asked.map_or("", |(name, _)| name.as_str()).into(),
        record_type: asked.map_or(0, |&(_, record_type)| record_type),
        response_code: message.is_response.then_some(message.response_code),
    };
    // Whoever asks all its neighbours asks for itself, though the bit is clear (RFC 6762 section 18.6, RFC 4795 section 2.1.1).
    let asks_a_server = !place.flow.server.is_multicast();
    let connection_outcome = || if message.is_response { answer(message) } else { ConnectionOutcome::Attempted };
    let lookup = |indicator, field, name: &DomainName| {
        let found = Found {
            on_behalf: asks_a_server && !message.recursion_desired,
            asks_server: asks_a_server && message.recursion_desired,
            connection_outcome: Some(connection_outcome()),
            ..Found::new(indicator, SeenAs::Lookup, field, name.as_str())
        };
        found.alert(place, application())
    };
    if !message.is_response {
        if question.is_none() {
            return Learned::Name;
        }
        let mut asked = Vec::new();
        for (name, _) in message.questions() {
            if let Some(indicator) = signatures.match_domain_name(name)
                && !asked.contains(&name)
            {
                asked.push(name);
                emit(lookup(indicator, Field::DnsQuery, name));
            }
        }
        return Learned::Name;
    }
    // The strongest of the names that the question led to: a chain may begin or end with ours.
    let chain = message
        .names
        .iter()
        .filter_map(|name| Some((signatures.match_domain_name(name)?, name)))
        .min_by_key(|&(indicator, _)| signatures.get(indicator).strength);
    match (question, chain) {
        // The query itself was evidence, unless only this direction was captured.
        (Some((indicator, name)), _) => {
            if place.flow.counts.packets_to_server == 0 {
                emit(lookup(indicator, Field::DnsAnswer, name));
            }
            emit(EventKind::Answered(Box::new(Answered {
                client: HostKey { address: place.flow.client, zone: place.flow.zone },
                server: place.flow.server,
                indicator,
                name: cut(name.as_str()),
                connection_outcome: connection_outcome(),
            })));
        }
        (None, Some((indicator, name))) => emit(lookup(indicator, Field::DnsAnswer, name)),
        (None, None) => {}
    }
    let client = HostKey { address: place.flow.client, zone: place.flow.zone };
    match question.or(chain) {
        // What leads nowhere binds nothing.
        _ if !message.addresses.iter().any(|answer| leads_somewhere(answer.address)) => {}
        // What a resolver learns on its way is for whoever asked it.
        _ if asks_a_server && !message.recursion_desired => {}
        Some((indicator, name)) => emit(EventKind::Resolved(Box::new(Resolved {
            client,
            indicator,
            name: name.as_str().into(),
            chain: message.questions().map(|(name, _)| name).chain(&message.names).map(hash).collect(),
            addresses: message
                .addresses
                .iter()
                .filter(|answer| leads_somewhere(answer.address))
                .map(|answer| (answer.address, answer.ttl_s))
                .collect(),
        }))),
        None => {
            let name = message.question.as_ref().map_or(0, |(name, _)| hash(name));
            for answer in &message.addresses {
                emit(EventKind::ResolvedOther(ResolvedOther { client, name, address: answer.address }));
            }
        }
    }
    Learned::Name
}

/// The outcome of a response.
fn answer(message: &DnsMessage) -> ConnectionOutcome {
    if message.response_code != 0 {
        ConnectionOutcome::Refused
    } else if message.addresses.iter().any(|answer| leads_somewhere(answer.address)) {
        ConnectionOutcome::DataExchanged
    } else if message.addresses.is_empty() {
        ConnectionOutcome::Established
    } else {
        ConnectionOutcome::Refused
    }
}

/// Whether an address is one to connect to. Filters answer with `0.0.0.0`, `127.0.0.1` or `::` for names that they keep from their
/// clients.
const fn leads_somewhere(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_loopback()
}

fn client_hello(
    signatures: &SignatureSet,
    hello: &impl HelloFacts,
    place: &Place<'_>,
    field: Field,
    application: &impl Fn() -> Application,
    emit: &mut impl FnMut(EventKind),
) -> Learned {
    if let Some(name) = hello.sni()
        && let Some(indicator) = signatures.match_domain_name(name)
    {
        emit(Found::new(indicator, SeenAs::Contact, field, name.as_str()).alert(place, application()));
    }
    let evidence = || match hello.sni() {
        Some(name) => match signatures.match_domain_name(name) {
            Some(indicator) => Some(ProtocolEvidence::Vendor(indicator)),
            None => (!is_private_name(name.as_str())).then_some(ProtocolEvidence::Unrelated),
        },
        None => None,
    };
    say(signatures, place, evidence, emit);
    fingerprints(signatures, hello, place, field, application, emit);
    // A hello that may be encrypted says no less here: browsers send an empty ECH extension beside the true name, and cannot be told
    // apart from those that hide one.
    if hello.sni().is_some() { Learned::Name } else { Learned::Nothing }
}

/// Fingerprints are hashes over the whole hello, so the cheap part of JA4 decides first whether any could match.
fn fingerprints(
    signatures: &SignatureSet,
    hello: &impl HelloFacts,
    place: &Place<'_>,
    field: Field,
    application: &impl Fn() -> Application,
    emit: &mut impl FnMut(EventKind),
) {
    if field != Field::TlsSni || !hello.may_match(signatures) {
        return;
    }
    if let Some(ja4) = hello.ja4(Ja4Transport::Tcp)
        && let Some(indicator) = signatures.match_ja4(&ja4)
    {
        emit(Found::new(indicator, SeenAs::Hint, Field::Ja4, &ja4).alert(place, application()));
    }
    if let Some(ja3) = hello.ja3_hash()
        && let Some(indicator) = signatures.match_ja3(&ja3)
    {
        emit(Found::new(indicator, SeenAs::Hint, Field::Ja3, &hexadecimal(&ja3)).alert(place, application()));
    }
}

/// A conversation in the reputation service's own protocol. A server inside the network that answers in it passes requests on to the
/// service: a KSN proxy.
fn reputation_frames(signatures: &SignatureSet, frames: Frames, place: &Place<'_>, emit: &mut impl FnMut(EventKind)) {
    let Some(indicator) = signatures.match_frames(frames) else { return };
    let observed = match frames {
        Frames::Answered => "request and answer with the same number",
        Frames::OneSided => "frames of one side",
    };
    let found = Found::new(indicator, SeenAs::Contact, Field::Protocol, observed);
    emit(found.alert(place, Application::Unknown));
    if frames == Frames::Answered && is_private(place.flow.server) && !place.proxied {
        emit(Found { at_server: true, ..found }.alert(place, Application::Unknown));
    }
}

fn tls_application(hello: &impl HelloFacts) -> Application {
    Application::Tls {
        sni: hello.sni().map(|name| name.as_str().into()),
        version: hello.version(),
        ja3: hello.ja3_string().into(),
        ja3_hash: hello.ja3_hash().map_or_else(String::new, |hash| hexadecimal(&hash)).into(),
        ja4: hello.ja4(Ja4Transport::Tcp).unwrap_or_default().into(),
        subject: None,
        issuer: None,
    }
}

fn server_certificate(
    signatures: &SignatureSet,
    certificate: &impl CertificateFacts,
    place: &Place<'_>,
    emit: &mut impl FnMut(EventKind),
) -> Learned {
    // Most certificates are unrelated, and their names are never spelled.
    let subject = LazyCell::new(|| certificate.subject());
    let issuer = LazyCell::new(|| certificate.issuer());
    let matched =
        if certificate.may_match(signatures) { signatures.match_certificate(&subject, &issuer) } else { None };
    let mut found = matched.map(|indicator| Found {
        // A product makes these on its own machine. Seen between a client and its proxy, that machine is the proxy; else it is the client,
        // or passes the client's packets on (a host of containers), and has no address here.
        at_server: place.proxied && is_private(place.flow.server),
        ..Found::new(indicator, SeenAs::Contact, Field::TlsCertificate, &issuer)
    });
    let weakest = if found.is_none() && !place.named { weakest_name(signatures, certificate) } else { None };
    if let Some((indicator, name)) = &weakest {
        let seen_as = if certificate.names_all() { SeenAs::Contact } else { SeenAs::Hint };
        found = Some(Found::new(*indicator, seen_as, Field::TlsCertificate, name));
    }
    if let Some(found) = found {
        let application = Application::Tls {
            sni: None,
            version: 0,
            ja3: "".into(),
            ja3_hash: "".into(),
            ja4: "".into(),
            subject: Some((**subject).into()),
            issuer: Some((**issuer).into()),
        };
        emit(found.alert(place, application));
    }
    let evidence = || {
        let is_own = found.is_some() || (*subject == *issuer && !issuer.is_empty());
        // An interception authority keeps the subject of the site that it stands for: its own name says nothing of the server.
        Some(if bears_vendors_name(&subject) {
            ProtocolEvidence::NamedCertificate(cut(&subject))
        } else if is_own || bears_vendors_name(&issuer) {
            ProtocolEvidence::OwnCertificate(cut(&subject))
        } else {
            ProtocolEvidence::Unrelated
        })
    };
    say(signatures, place, evidence, emit);
    if certificate.names().next().is_none() { Learned::Nothing } else { Learned::Name }
}

/// What a certificate's names prove. One of a content network names many customers: it is the vendor's own only if every name is the
/// vendor's, and it proves no more than the weakest of them; of several as weak, the one that comes last.
fn weakest_name<'a>(
    signatures: &SignatureSet,
    certificate: &'a impl CertificateFacts,
) -> Option<(IndicatorIndex, Cow<'a, str>)> {
    let all = certificate.names().map(|name| {
        let indicator = signatures.match_name(name.strip_prefix("*.").unwrap_or(&name))?;
        Some((indicator, name))
    });
    let mut all = all.collect::<Option<Vec<_>>>()?;
    // The common name is among the others, too: it comes where it comes first.
    let mut seen = HashSet::new();
    all.retain(|(_, name)| seen.insert(name.clone()));
    all.into_iter().max_by_key(|&(indicator, _)| signatures.get(indicator).strength)
}

fn http(
    signatures: &SignatureSet,
    request: &HttpRequest<'_>,
    place: &Place<'_>,
    emit: &mut impl FnMut(EventKind),
) -> Learned {
    // Neither agents nor their servers speak HTTP in the clear where they manage.
    say(signatures, place, || Some(ProtocolEvidence::Unrelated), emit);
    let (name_field, asks_server) = match request.target_form {
        HttpTarget::Absolute => (Field::HttpTarget, true),
        HttpTarget::Authority => (Field::HttpConnect, true),
        HttpTarget::Origin | HttpTarget::Asterisk => (Field::HttpHost, false),
    };
    let path = String::from_utf8_lossy(request.path);
    let user_agent = request.user_agent.map(String::from_utf8_lossy);
    let host =
        request.host.as_ref().and_then(|name| Some((signatures.match_domain_name(name)?, name_field, name.as_str())));
    let path_match = signatures.match_path(request.path).map(|indicator| (indicator, Field::HttpPath, &*path));
    let agent_match = request
        .user_agent
        .and_then(|value| signatures.match_user_agent(value))
        .zip(user_agent.as_deref())
        .map(|(indicator, value)| (indicator, Field::HttpUserAgent, value));
    // In another vendor's product the engine asks for the same files.
    let of_oem = host.is_some_and(|(indicator, ..)| signatures.get(indicator).category == Category::Oem);
    let of_same = |&(indicator, ..): &(IndicatorIndex, Field, &str)| {
        !of_oem || signatures.get(indicator).category == Category::Oem
    };
    let matches = [host, path_match.filter(of_same), agent_match.filter(of_same)];
    let count = matches.iter().flatten().count();
    for (indicator, field, observed) in matches.into_iter().flatten() {
        // A weak form of a path or of a user agent also fits unrelated software: it counts beside another part of the same request.
        let alone = count == 1 && field != name_field;
        if alone && signatures.get(indicator).strength != Strength::Installed {
            continue;
        }
        let on_behalf = request.is_forwarded();
        let found = Found { asks_server, on_behalf, ..Found::new(indicator, SeenAs::Contact, field, observed) };
        emit(found.alert(place, server_role::http_application(request, &path, user_agent.as_deref())));
    }
    if request.host.is_some() { Learned::Name } else { Learned::Nothing }
}

/// Stands for a name where only equality matters.
fn hash(name: &DomainName) -> u64 {
    FixedState::default().hash_one(name)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::capture::Timestamp;
    use crate::decode::Zone;
    use crate::inspect::Certificate;
    use crate::inspect::tls::made;
    use crate::matching::{FlowCounts, FlowSummary};

    /// What a certificate says of a server at a management port.
    fn evidence(subject: &str, issuer: &str) -> Vec<ProtocolEvidence> {
        let flow = FlowSummary {
            first_packet: 1,
            started: Timestamp(0),
            client: "10.0.0.5".parse().unwrap(),
            client_port: 50_000,
            server: "10.0.0.2".parse().unwrap(),
            server_port: 13_000,
            protocol: 6,
            zone: Zone::default(),
            client_mac: None,
            server_mac: None,
            tunnel: None,
            counts: FlowCounts::default(),
            client_hop_limit: None,
            connection_outcome: ConnectionOutcome::DataExchanged,
        };
        let place = Place { packet: 9, at: Timestamp(1), flow: &flow, named: true, proxied: false, passed_on: false };
        let body = made::message(&made::certificate(&made::named(subject), &made::named(issuer), &[]));
        let certificate = Certificate::parse(&body).unwrap();
        let mut all = Vec::new();
        server_certificate(&SignatureSet::builtin(), &certificate, &place, &mut |event| {
            if let EventKind::Protocol(protocol) = event {
                all.push(protocol.evidence);
            }
        });
        all
    }

    #[test]
    fn a_certificate_tells_whose_a_management_server_is() {
        let own = |subject: &str| vec![ProtocolEvidence::OwnCertificate(subject.into())];
        assert_eq!(evidence("CN=ksc01", "CN=ksc01"), own("CN=ksc01"));
        assert_eq!(evidence("CN=ksc01", "CN=Kaspersky Security Center CA"), own("CN=ksc01"));
        for named in ["CN=Kaspersky Security Center", "O=AO Kaspersky Lab, CN=ksc.corp.example"] {
            assert_eq!(evidence(named, "O=Corp, CN=Corp CA"), [ProtocolEvidence::NamedCertificate(named.into())]);
        }
        assert_eq!(evidence("CN=kaspersky01.corp.example", "O=Corp, CN=Corp CA"), [ProtocolEvidence::Unrelated]);
        // An interception authority's certificate for somebody else's service.
        let root = "O=AO Kaspersky Lab, CN=Kaspersky Anti-Virus Personal Root Certificate";
        assert_eq!(evidence("CN=shop.example", root), own("CN=shop.example"));
    }
}
