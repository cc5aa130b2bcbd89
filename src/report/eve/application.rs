//! The object of the protocol that matched.

use super::EveCompat;
use kaspector::matching::Application;
use serde::Serialize;
use std::borrow::Cow;

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ApplicationRecord<'a> {
    Tls(Tls<'a>),
    Quic(Quic<'a>),
    Http(Http<'a>),
    Dns(Dns<'a>),
}

#[derive(Serialize)]
pub(super) struct Tls<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuerdn: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<Cow<'a, str>>,
    version: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ja3: Option<Ja3<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ja4: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
pub(super) struct Ja3<'a> {
    hash: Cow<'a, str>,
    string: Cow<'a, str>,
}

#[derive(Serialize)]
pub(super) struct Quic<'a> {
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ja4: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
pub(super) struct Http<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_port: Option<u16>,
    url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_user_agent: Option<Cow<'a, str>>,
    http_method: Cow<'a, str>,
    protocol: String,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Dns<'a> {
    V2 { version: u8, query: [Query<'a>; 1] },
    V3 { version: u8, r#type: &'static str, tx_id: u32, id: u16, opcode: u8, queries: [Question<'a>; 1] },
}

#[derive(Serialize)]
pub(super) struct Query<'a> {
    r#type: &'static str,
    id: u16,
    #[serde(flatten)]
    question: Question<'a>,
    tx_id: u32,
    opcode: u8,
}

#[derive(Serialize)]
pub(super) struct Question<'a> {
    rrname: Cow<'a, str>,
    rrtype: Cow<'static, str>,
}

/// The name that EVE has for the protocol, and its object; `None` for what EVE has no object for.
pub(super) fn record(application: &Application, compat: EveCompat) -> Option<(&'static str, ApplicationRecord<'_>)> {
    Some(match application {
        Application::Tls { sni, version, ja3, ja3_hash, ja4, subject, issuer } => {
            let ja3 =
                (!ja3_hash.is_empty()).then_some(Ja3 { hash: Cow::Borrowed(ja3_hash), string: Cow::Borrowed(ja3) });
            let tls = Tls {
                subject: subject.as_deref().map(Cow::Borrowed),
                issuerdn: issuer.as_deref().map(Cow::Borrowed),
                sni: sni.as_deref().map(Cow::Borrowed),
                version: tls_version(*version),
                ja3,
                ja4: not_empty(ja4),
            };
            ("tls", ApplicationRecord::Tls(tls))
        }
        Application::Quic { version, sni, ja4 } => {
            let quic =
                Quic { version: version.to_string(), sni: sni.as_deref().map(Cow::Borrowed), ja4: not_empty(ja4) };
            ("quic", ApplicationRecord::Quic(quic))
        }
        Application::Http { method, host, port, url, user_agent, minor_version } => {
            let http = Http {
                hostname: host.as_deref().map(Cow::Borrowed),
                http_port: *port,
                url: Cow::Borrowed(url),
                http_user_agent: user_agent.as_deref().map(Cow::Borrowed),
                http_method: Cow::Borrowed(method),
                protocol: format!("HTTP/1.{minor_version}"),
            };
            ("http", ApplicationRecord::Http(http))
        }
        // An answer is told as its question: with the client as the source, a response would point the wrong way.
        Application::Dns { id, name, record_type, response_code: _ } => {
            let question = Question { rrname: Cow::Borrowed(name), rrtype: record_type_name(*record_type) };
            let dns = match compat {
                EveCompat::V7 => {
                    Dns::V2 { version: 2, query: [Query { r#type: "query", id: *id, question, tx_id: 0, opcode: 0 }] }
                }
                EveCompat::V8 => {
                    Dns::V3 { version: 3, r#type: "request", tx_id: 0, id: *id, opcode: 0, queries: [question] }
                }
            };
            ("dns", ApplicationRecord::Dns(dns))
        }
        // Unknown and SOCKS among them.
        _ => return None,
    })
}

impl<'a> ApplicationRecord<'a> {
    /// Its values of free length.
    pub fn texts(&mut self) -> Vec<&mut Cow<'a, str>> {
        match self {
            Self::Tls(Tls { subject, issuerdn, sni, version, ja3, ja4 }) => {
                let ja3 = ja3.iter_mut().flat_map(|Ja3 { hash, string }| [hash, string]);
                subject.iter_mut().chain(issuerdn).chain(sni).chain([version]).chain(ja3).chain(ja4).collect()
            }
            Self::Quic(Quic { version: _, sni, ja4 }) => sni.iter_mut().chain(ja4).collect(),
            Self::Http(Http { hostname, http_port: _, url, http_user_agent, http_method, protocol: _ }) => {
                hostname.iter_mut().chain([url]).chain(http_user_agent).chain([http_method]).collect()
            }
            Self::Dns(
                Dns::V2 { query: [Query { question: Question { rrname, .. }, .. }], .. }
                | Dns::V3 { queries: [Question { rrname, .. }], .. },
            ) => vec![rrname],
        }
    }
}

fn not_empty(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(Cow::Borrowed(text))
}

/// In Suricata's words.
fn tls_version(version: u16) -> Cow<'static, str> {
    Cow::Borrowed(match version {
        0x0002 => "SSLv2",
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        other => return Cow::Owned(format!("0x{other:04x}")),
    })
}

/// Types that are asked for in practice (<https://www.iana.org/assignments/dns-parameters>); others show their number.
fn record_type_name(record_type: u16) -> Cow<'static, str> {
    Cow::Borrowed(match record_type {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        39 => "DNAME",
        43 => "DS",
        44 => "SSHFP",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        50 => "NSEC3",
        52 => "TLSA",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        255 => "ANY",
        257 => "CAA",
        other => return Cow::Owned(other.to_string()),
    })
}
