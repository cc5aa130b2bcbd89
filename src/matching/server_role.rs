//! What a server hands out, and what that says of both ends: who fetches update files, and who keeps them for others.

use super::found::{Found, Place};
use super::private_address::is_private;
use super::{Application, Category, EventKind, Field, IndicatorIndex, SeenAs, SignatureSet, Strength};
use crate::inspect::{FtpRequest, HttpRequest, HttpResponse, HttpTarget};

/// A match of one part of a request or its response.
type Part<'a> = (IndicatorIndex, Field, &'a str);

/// The body of a response begins like an update file: then its client fetches updates, whatever the server is called. A server inside the
/// network that hands such files out is a mirror; the vendor's own servers, and whatever has a public address, are not named.
pub(super) fn http(
    signatures: &SignatureSet,
    response: &HttpResponse<'_>,
    place: &Place<'_>,
    emit: &mut impl FnMut(EventKind),
) {
    let mark = signatures.match_body(response.body);
    let inside = is_private(place.flow.server);
    if mark.is_none() && !inside {
        return;
    }
    let request = response.request();
    let path = request.as_ref().map(|request| String::from_utf8_lossy(request.path)).unwrap_or_default();
    let of_path = request.as_ref().and_then(|request| signatures.match_path(request.path));
    let header = request.as_ref().filter(|request| request.has_own_fields).and_then(|request| {
        request
            .fields()
            .find_map(|(name, _)| Some((signatures.match_http_header(name)?, String::from_utf8_lossy(name))))
    });
    if mark.is_none() && of_path.is_none() && header.is_none() {
        return;
    }
    let agent = request.as_ref().and_then(|request| request.user_agent).map(String::from_utf8_lossy);
    let of_host = request.as_ref().and_then(|request| signatures.match_name(request.host.as_ref()?.as_str()));
    let of_agent = agent.as_ref().and_then(|agent| signatures.match_user_agent(agent.as_bytes()));
    let application =
        || request.as_ref().map_or(Application::Unknown, |request| http_application(request, &path, agent.as_deref()));
    let strong = |indicator: IndicatorIndex| signatures.get(indicator).strength == Strength::Installed;
    let of_oem = [of_host, of_path].into_iter().flatten().any(|one| signatures.get(one).category == Category::Oem);
    // A weak mark counts beside another part of the same exchange, and so does a weak path beside a mark.
    let company = of_path.is_some() || of_host.is_some() || of_agent.is_some();
    let mark = mark.filter(|&mark| !of_oem && (strong(mark) || company));
    let value = mark.map(|mark| one_line(&signatures.get(mark).value)).unwrap_or_default();
    let mark = mark.map(|mark| (mark, Field::HttpBody, &*value));
    let asks_proxy = request.as_ref().is_some_and(|request| request.target_form == HttpTarget::Absolute);
    let mut tell = |(indicator, field, observed): Part<'_>, at_server: bool| {
        let on_behalf = !at_server && request.as_ref().is_some_and(HttpRequest::is_forwarded);
        let found = Found::new(indicator, SeenAs::Contact, field, observed);
        let found = Found { at_server, on_behalf, asks_server: asks_proxy, ..found };
        emit(found.alert(place, application()));
    };
    let path_part = of_path.map(|one| (one, Field::HttpPath, &*path));
    if let Some(mark) = mark {
        tell(mark, false);
        if of_host.is_none()
            && of_agent.is_none()
            && let Some(path) = path_part.filter(|&(one, ..)| !strong(one))
        {
            tell(path, false);
        }
    }
    let succeeded = (200..300).contains(&response.status) && !is_page(response.body);
    if !inside || asks_proxy || place.proxied || of_host.is_some() || !succeeded {
        return;
    }
    let header = header.as_ref().map(|(indicator, name)| (*indicator, Field::HttpHeader, &**name));
    let parts = [mark, path_part, header];
    let alone = parts.iter().flatten().count() == 1;
    for part in parts.into_iter().flatten().filter(|&(one, ..)| !alone || strong(one)) {
        tell(part, true);
    }
}

/// A path that an FTP client asks for. The server's answer is not read, so that it is a mirror remains a guess.
pub(super) fn ftp(
    signatures: &SignatureSet,
    request: &FtpRequest<'_>,
    place: &Place<'_>,
    emit: &mut impl FnMut(EventKind),
) {
    let Some(indicator) = signatures.match_path(request.path) else { return };
    if signatures.get(indicator).strength != Strength::Installed {
        return;
    }
    let path = String::from_utf8_lossy(request.path);
    emit(Found::new(indicator, SeenAs::Contact, Field::FtpPath, &path).alert(place, Application::Unknown));
    if request.fetches && is_private(place.flow.server) {
        let found = Found { at_server: true, ..Found::new(indicator, SeenAs::Hint, Field::FtpPath, &path) };
        emit(found.alert(place, Application::Unknown));
    }
}

/// A request as alerts tell of it.
pub(super) fn http_application(request: &HttpRequest<'_>, path: &str, user_agent: Option<&str>) -> Application {
    let host =
        request.host.map(|name| name.to_string()).or_else(|| request.host_address.map(|address| address.to_string()));
    let url = if request.target_form == HttpTarget::Authority {
        format!("{}:{}", host.as_deref().unwrap_or(""), request.port.unwrap_or(0))
    } else {
        path.to_owned()
    };
    Application::Http {
        method: String::from_utf8_lossy(request.method).into(),
        host: host.map(Into::into),
        port: request.port,
        url: url.into(),
        user_agent: user_agent.map(Into::into),
        minor_version: request.minor_version,
    }
}

/// Whether a body begins as a web page does: some servers answer whatever they are asked with one, and say that all is well.
fn is_page(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    [&b"<!doctype"[..], b"<html", b"<head", b"<body"]
        .iter()
        .any(|start| body.get(..start.len()).is_some_and(|here| here.eq_ignore_ascii_case(start)))
}

/// A value whose line ends and tabs have become single blanks.
fn one_line(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::capture::Timestamp;
    use crate::decode::Zone;
    use crate::inspect::Observation;
    use crate::matching::{FlowCounts, FlowSummary, observe};

    fn flow_to(server: &str) -> FlowSummary {
        FlowSummary {
            first_packet: 1,
            started: Timestamp(0),
            client: "10.0.0.5".parse().unwrap(),
            client_port: 50_000,
            server: server.parse().unwrap(),
            server_port: 80,
            protocol: 6,
            zone: Zone::default(),
            client_mac: None,
            server_mac: None,
            tunnel: None,
            counts: FlowCounts::default(),
            client_hop_limit: None,
            connection_outcome: crate::matching::ConnectionOutcome::DataExchanged,
        }
    }

    /// Field, observed value and closeness of each piece of evidence, with whether it is said of the server.
    fn resolved(server: &str, response: &HttpResponse<'_>, proxied: bool) -> Vec<(Field, String, bool)> {
        let flow = flow_to(server);
        let place = Place { packet: 9, at: Timestamp(1), flow: &flow, named: true, proxied, passed_on: false };
        let mut all = Vec::new();
        http(&SignatureSet::builtin(), response, &place, &mut |event| {
            let EventKind::Evidence(alert) = event else { panic!("only evidence") };
            assert_eq!(alert.seen_as, SeenAs::Contact);
            all.push((alert.field, alert.observed.into(), alert.host_is_server));
        });
        all
    }

    fn answer<'a>(request_head: &'a str, status: u16, body: &'a str) -> HttpResponse<'a> {
        HttpResponse { status, body: body.as_bytes(), request_head: request_head.as_bytes() }
    }

    const PLAIN: &str = "GET /pub/a HTTP/1.1\r\nHost: files.corp.example\r\n\r\n";
    const INDEX: &str = "GET /index/u1313g.xml HTTP/1.1\r\nHost: files.corp.example\r\n\r\n";

    #[test]
    fn a_mark_is_evidence_of_the_client_and_of_a_server_inside() {
        let both = [(Field::HttpBody, "KLZF".to_owned(), false), (Field::HttpBody, "KLZF".to_owned(), true)];
        assert_eq!(resolved("10.0.0.9", &answer(PLAIN, 200, "KLZF\x01"), false), both);
        assert_eq!(resolved("10.0.0.9", &answer("", 200, "KLZF\x01"), false), both, "the request was not captured");
        assert_eq!(resolved("198.51.100.9", &answer(PLAIN, 200, "KLZF\x01"), false), both[..1]);
        assert_eq!(
            resolved("10.0.0.9", &answer(PLAIN, 200, "KLZF\x01"), true),
            both[..1],
            "a proxy, or what lies behind one"
        );
        let named = PLAIN.replace("files.corp.example", "dnl-05.geo.kaspersky.com");
        assert_eq!(resolved("10.0.0.9", &answer(&named, 200, "KLZF\x01"), false), both[..1], "the vendor's by name");
        assert!(resolved("10.0.0.9", &answer(PLAIN, 200, "<!DOCTYPE html>"), false).is_empty());
    }

    #[test]
    fn a_weak_mark_needs_company() {
        assert!(resolved("10.0.0.9", &answer(PLAIN, 200, "DIFF\x01"), false).is_empty());
        let fields = |head: &str| {
            resolved("198.51.100.9", &answer(head, 200, "DIFF\x01"), false)
                .into_iter()
                .map(|(field, ..)| field)
                .collect::<Vec<_>>()
        };
        assert_eq!(fields(&PLAIN.replace("/pub/a", "/updates/ksc/a")), [Field::HttpBody, Field::HttpPath]);
        assert_eq!(fields(INDEX), [Field::HttpBody], "the path counted by itself");
        assert_eq!(fields(&PLAIN.replace("files.corp.example", "www.kaspersky.com")), [Field::HttpBody]);
    }

    #[test]
    fn a_mirror_is_who_answers_a_path() {
        let server = |head: &str, status, body| {
            resolved("10.0.0.9", &answer(head, status, body), false)
                .into_iter()
                .filter(|(.., at_server)| *at_server)
                .count()
        };
        assert_eq!(server(INDEX, 200, "x"), 1);
        assert_eq!(server(INDEX, 200, "<Update\n\tDate=\"04012026 0027\""), 2);
        for (head, status, body) in [
            (INDEX, 404, "x"),
            (INDEX, 302, ""),
            (INDEX, 200, "\r\n<!doctype HTML>"),
            (PLAIN, 200, "x"),
            ("GET /updates/x.json HTTP/1.1\r\nHost: a\r\n\r\n", 200, "x"),
            ("GET /updates/ksc/x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "x"),
            ("GET http://10.0.0.1/index/u1313g.xml HTTP/1.1\r\nHost: a\r\n\r\n", 200, "x"),
            ("GET /cgi-bin/cgictl HTTP/1.1\r\nHost: a\r\n\r\n", 200, "x"),
        ] {
            assert_eq!(server(head, status, body), 0, "{head} {status} {body}");
        }
    }

    #[test]
    fn what_a_proxy_passes_on_is_not_its_own() {
        for (field, expected) in [("Via: 1.1 squid", true), ("X-FORWARDED-FOR: 10.0.0.7", true), ("X-Via: 1", false)] {
            let head = INDEX.replacen("\r\n", &format!("\r\n{field}\r\n"), 1);
            let response = answer(&head, 200, "KLZF");
            assert_eq!(response.request().map(|request| request.is_forwarded()), Some(expected), "{field}");
            let flow = flow_to("198.51.100.9");
            let place =
                Place { packet: 9, at: Timestamp(1), flow: &flow, named: true, proxied: false, passed_on: false };
            let signatures = SignatureSet::builtin();
            let mut relayed = Vec::new();
            let mut emit = |event| {
                let EventKind::Evidence(alert) = event else { return };
                relayed.push(alert.on_behalf);
            };
            http(&signatures, &response, &place, &mut emit);
            let request = response.request().unwrap();
            observe(&signatures, &Observation::HttpRequest(&request), &place, &mut emit);
            assert_eq!(relayed, [expected; 2], "{field}");
        }
    }

    #[test]
    fn a_scan_engine_is_who_answers_its_fields() {
        let head = "POST /api/v3.0/scanmemory HTTP/1.1\r\nHost: a\r\nx-kav-protocolversion: 1\r\n\r\n";
        let expected = [
            (Field::HttpPath, "/api/v3.0/scanmemory".to_owned(), true),
            (Field::HttpHeader, "x-kav-protocolversion".to_owned(), true),
        ];
        assert_eq!(resolved("10.0.0.9", &answer(head, 200, "{}"), false), expected);
        assert!(
            resolved("10.0.0.9", &answer(&head.replace("x-kav-protocolversion", "x-own"), 200, "{}"), false).is_empty()
        );
        assert!(resolved("198.51.100.9", &answer(head, 200, "{}"), false).is_empty());
    }

    #[test]
    fn the_engine_in_another_product_is_that_products() {
        let host = PLAIN.replace("files.corp.example", "kav8.zonealarm.com");
        assert!(resolved("10.0.0.9", &answer(&host, 200, "KLZF"), false).is_empty());
        assert!(
            resolved("198.51.100.9", &answer(&PLAIN.replace("/pub/a", "/v6/index/u1313g.xml"), 200, "KLZF"), false)
                .is_empty()
        );
    }
}
