//! What the value of an indicator must look like, and what it must not match.

use crate::matching::signature_set::fingerprints::{is_ja4, ja3};
use crate::matching::signature_set::{addresses, certificates, habits, ports, prefixes, protocols, template, texts};
use crate::matching::{Indicator, IndicatorIndex, MatchKind};

/// Shortest path that may be looked for: anything shorter also stands in unrelated paths.
const PATH_BYTES_MIN: usize = 8;

/// Shortest text that may be looked for in uploads: anything shorter also stands in unrelated text.
const UPLOAD_BYTES_MIN: usize = 24;

/// Paths that every web server knows. An indicator that matches one of them is refused: it would call half the network.
const EVERYDAY_PATHS: [&str; 14] = [
    "/",
    "/index.html",
    "/index.xml",
    "/update.xml",
    "/updates.xml",
    "/updates/",
    "/update/",
    "/bases/",
    "/diffs/",
    "/api/v1.0/",
    "/updates/index.html",
    "/updates/list.xml",
    "/favicon.ico",
    "/v9/windowsupdate/redir/muv4wuredir.cab",
];

/// User agents that every network knows, for the same reason.
const EVERYDAY_AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Microsoft-CryptoAPI/10.0",
    "Windows-Update-Agent/10.0.10011.16384 Client-Protocol/2.51",
    "curl/8.5.0",
    "@scope/name-x/1.0.0",
];

/// What is wrong with the value of an indicator, if anything is.
pub fn check(indicator: &Indicator) -> Result<(), String> {
    let value = indicator.value.as_str();
    match indicator.kind {
        MatchKind::Exact | MatchKind::Suffix => check_name(value, |byte| byte == b'-' || byte == b'_'),
        MatchKind::Template => check_template(value),
        MatchKind::Address => addresses::parse(value).map(|_| ()),
        MatchKind::PathPrefix | MatchKind::PathSuffix | MatchKind::PathContains => {
            check_path(value)?;
            check_everyday(indicator)
        }
        MatchKind::PathRegex | MatchKind::UserAgentRegex => {
            if indicator.literal.as_ref().is_none_or(String::is_empty) {
                return Err(
                    "a regular expression needs a literal beside it: text that stands in everything it is meant for"
                        .to_owned(),
                );
            }
            texts::compile(indicator)?;
            check_everyday(indicator)
        }
        MatchKind::UserAgentPrefix => check_everyday(indicator),
        MatchKind::Ja3 if ja3(value).is_none() => {
            Err(format!("bad JA3 {value:?}; expected 32 hexadecimal digits in lower case"))
        }
        MatchKind::Ja4 if !is_ja4(value) => {
            Err(format!("bad JA4 {value:?}; expected the form t13d1516h2_8daaf6152771_b186095e22b6"))
        }
        MatchKind::CertificateSubject | MatchKind::CertificateIssuer => {
            let all_named = certificates::attributes(value).all(|one| one.contains('='));
            if !all_named || certificates::attributes(value).next().is_none() {
                return Err(format!(
                    "bad name {value:?}; expected attributes such as \"O=Example Ltd, CN=Example Root\""
                ));
            }
            Ok(())
        }
        MatchKind::Port => ports::parse(value).map(|_| ()),
        kind @ (MatchKind::Beacon | MatchKind::WakeUp | MatchKind::SelfSigned | MatchKind::ResolverOrder) => {
            habits::check(kind, value)
        }
        MatchKind::UploadContains if value.len() < UPLOAD_BYTES_MIN => Err(format!(
            "{value:?} is too short to tell anything apart in an upload; {UPLOAD_BYTES_MIN} bytes are the least"
        )),
        MatchKind::HttpHeader
        | MatchKind::BodyPrefix
        | MatchKind::StreamPrefix
        | MatchKind::MailHeader
        | MatchKind::Syslog => prefixes::check(indicator),
        MatchKind::Protocol => protocols::check(value),
        _ => Ok(()),
    }
}

fn check_name(name: &str, may_hold: impl Fn(u8) -> bool) -> Result<(), String> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!(
            "{name:?} holds upper case; names are compared in lower case, so write {:?}",
            name.to_ascii_lowercase()
        ));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || may_hold(byte))
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(format!(
            "{name:?} is no domain name; expected the form upd.example.com, without scheme, port or final dot"
        ));
    }
    if !name.contains('.') {
        return Err(format!("{name:?} is a single label, which would match half a network; name at least two"));
    }
    Ok(())
}

fn check_template(value: &str) -> Result<(), String> {
    let special = ['{', '}', '*'];
    if !value.contains(special) {
        return Err(format!("bad template {value:?}: it has neither {{00-19}} nor *; use match = \"exact\""));
    }
    if value.rsplit('.').take(2).any(|label| label.contains(special)) {
        return Err(format!("bad template {value:?}: its last two labels must be plain text"));
    }
    let names = template::expand(value).map_err(|what| format!("bad template: {what}"))?;
    names.iter().try_for_each(|name| check_name(name, |byte| matches!(byte, b'-' | b'_' | b'*')))
}

fn check_path(path: &str) -> Result<(), String> {
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let lower = path.to_ascii_lowercase();
        return Err(format!("{path:?} holds upper case; paths are compared in lower case, so write {lower:?}"));
    }
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#') {
        return Err(format!("{path:?} is no path; it begins with / and holds neither query nor space"));
    }
    if path.len() < PATH_BYTES_MIN {
        return Err(format!(
            "the path {path:?} is too short to tell anything apart; {PATH_BYTES_MIN} bytes are the least"
        ));
    }
    Ok(())
}

/// Refuses what would match everyday traffic.
fn check_everyday(indicator: &Indicator) -> Result<(), String> {
    let everyday: &[&str] = match indicator.kind {
        MatchKind::UserAgentPrefix | MatchKind::UserAgentRegex => &EVERYDAY_AGENTS,
        _ => &EVERYDAY_PATHS,
    };
    let matcher = texts::Texts::build(&[(IndicatorIndex(0), indicator)], &[indicator.kind]);
    everyday.iter().find(|text| matcher.find(text.as_bytes()).is_some()).map_or(Ok(()), |text| {
        Err(format!("{:?} also matches {text:?}, which is everyday traffic; make it more specific", indicator.value))
    })
}
