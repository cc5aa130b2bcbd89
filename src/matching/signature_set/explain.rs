//! Which indicator wins for a text that a person typed, and why.
//!
//! The winner is the one that the matchers of the traffic give. The others are found by holding the text against each indicator alone,
//! which is slow and plain on purpose.

use super::{PortRange, SignatureSet, addresses, certificates, fingerprints, ports, prefixes, template, texts};
use crate::matching::{Indicator, IndicatorIndex, MatchKind, Strength};
use serde::Serialize;
use std::net::IpAddr;

/// What a set says of a text.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The indicator that wins. Of a URL, the stronger of host and path.
    pub winner: Option<Explained>,
    /// Those that match, too, and do not win: the other part of a URL first, then what each part's winner left behind.
    pub others: Vec<Explained>,
}

/// One indicator that matches a text.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Explained {
    /// The indicator.
    pub indicator: IndicatorIndex,
    /// Its id.
    pub id: String,
    /// What of the text was compared: `name`, `address`, `path`, `user agent`, `ja3`, `ja4`, `certificate`, `port`, `http header`, `body`,
    /// `first bytes`, `mail header`, `upload`.
    pub part: &'static str,
    /// That part of the text, as it was compared.
    pub observed: String,
    /// How it matched: `template s{00-19}.upd.kaspersky.com`.
    pub why: String,
}

/// A part of the text, as the matchers take it.
enum Part {
    Name(String),
    Address(IpAddr),
    Path(String),
    UserAgent(String),
    Ja3([u8; 16], String),
    Ja4(String),
    Certificate(String),
    Port(PortRange, String),
    HttpHeader(String),
    Body(String),
    FirstBytes(Vec<u8>, String),
    MailHeader(String),
    Syslog(String),
    Upload(String),
}

/// Holds `text` against the set.
pub fn explain(set: &SignatureSet, text: &str) -> Explanation {
    let mut winners = Vec::new();
    let mut losers = Vec::new();
    for part in parts(text.trim()) {
        let Some(winner) = part.winner(set) else { continue };
        let lost: Vec<(IndicatorIndex, &Indicator)> =
            set.indexed().filter(|&(index, one)| index != winner && part.fits(one)).collect();
        let explained = |index, why| Explained {
            indicator: index,
            id: set.get(index).id.clone(),
            part: part.name(),
            observed: part.observed(),
            why,
        };
        winners.push(explained(winner, why(set.get(winner), &lost)));
        losers.extend(lost.iter().map(|&(index, one)| explained(index, described(one))));
    }
    // Stable, so the host of a URL stands before its path where they are equally strong.
    winners.sort_by_key(|one| set.get(one.indicator).strength);
    let mut winners = winners.into_iter();
    Explanation { winner: winners.next(), others: winners.chain(losers).collect() }
}

/// What a person may have meant by `text`: the first form that it has.
fn parts(text: &str) -> Vec<Part> {
    if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse() {
        return vec![Part::Address(address)];
    }
    let lower = text.to_ascii_lowercase();
    if let Ok(range) = ports::parse(&lower) {
        return vec![Part::Port(range, lower)];
    }
    if let Some(hash) = fingerprints::ja3(&lower) {
        return vec![Part::Ja3(hash, lower)];
    }
    if fingerprints::is_ja4(&lower) {
        return vec![Part::Ja4(lower)];
    }
    if text.starts_with('/') {
        return vec![Part::Path(text.to_owned())];
    }
    if let Some((scheme, rest)) = text.split_once("://")
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return url(rest);
    }
    let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    if let Some(name) = domain_name(without_port(host)) {
        return if path.is_empty() { vec![Part::Name(name)] } else { url(text) };
    }
    if text.contains('=') && certificates::attributes(text).all(|attribute| attribute.contains('=')) {
        return [Part::Certificate, Part::UserAgent, Part::Body].map(|part| part(text.to_owned())).into();
    }
    if let Some(bytes) = prefixes::hexadecimal(text) {
        return vec![Part::FirstBytes(bytes, text.to_owned())];
    }
    // A word, or a line of some header: nothing in it tells of what.
    [Part::UserAgent, Part::MailHeader, Part::Syslog, Part::HttpHeader, Part::Body, Part::Upload]
        .map(|part| part(text.to_owned()))
        .into()
}

/// Host and path of what stands behind a scheme.
fn url(rest: &str) -> Vec<Part> {
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = without_port(authority.rsplit('@').next().unwrap_or(authority));
    let host = match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(address) => Some(Part::Address(address)),
        Err(_) => domain_name(host).map(Part::Name),
    };
    let path = path.starts_with('/').then(|| Part::Path(path.to_owned()));
    host.into_iter().chain(path).collect()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// `text` as a name in lower case without the final dot, if it is one of at least two labels.
fn domain_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    (name.contains('.') && name.split('.').all(is_label)).then_some(name)
}

impl Part {
    const fn name(&self) -> &'static str {
        match self {
            Self::Name(_) => "name",
            Self::Address(_) => "address",
            Self::Path(_) => "path",
            Self::UserAgent(_) => "user agent",
            Self::Ja3(..) => "ja3",
            Self::Ja4(_) => "ja4",
            Self::Certificate(_) => "certificate",
            Self::Port(..) => "port",
            Self::HttpHeader(_) => "http header",
            Self::Body(_) => "body",
            Self::FirstBytes(..) => "first bytes",
            Self::MailHeader(_) => "mail header",
            Self::Syslog(_) => "syslog",
            Self::Upload(_) => "upload",
        }
    }

    fn observed(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Name(text)
            | Self::Path(text)
            | Self::UserAgent(text)
            | Self::Ja3(_, text)
            | Self::Ja4(text)
            | Self::HttpHeader(text)
            | Self::Body(text)
            | Self::Upload(text)
            | Self::FirstBytes(_, text)
            | Self::MailHeader(text)
            | Self::Syslog(text)
            | Self::Certificate(text)
            | Self::Port(_, text) => text.clone(),
        }
    }

    fn winner(&self, set: &SignatureSet) -> Option<IndicatorIndex> {
        match self {
            Self::Name(name) => set.match_name(name),
            Self::Address(address) => set.match_address(*address),
            Self::Path(path) => set.match_path(path.as_bytes()),
            Self::UserAgent(text) => set.match_user_agent(text.as_bytes()),
            Self::Ja3(hash, _) => set.match_ja3(hash),
            Self::Ja4(text) => set.match_ja4(text),
            Self::Certificate(text) => set.match_certificate(text, text),
            Self::Port(range, _) => set.match_port(range.low, range.protocol),
            Self::HttpHeader(text) => set.match_http_header(text.as_bytes()),
            Self::Body(text) => set.match_body(text.as_bytes()),
            Self::FirstBytes(bytes, _) => set.streams.find(bytes),
            Self::MailHeader(text) => set.match_mail_header(text.as_bytes()),
            Self::Syslog(text) => set.match_syslog(text.as_bytes()),
            Self::Upload(text) => set.match_upload(text.as_bytes()),
        }
    }

    /// Whether one indicator, by itself, matches.
    fn fits(&self, one: &Indicator) -> bool {
        let value = one.value.as_str();
        match (self, one.kind) {
            (Self::Name(name), MatchKind::Exact) => name == value,
            (Self::Name(name), MatchKind::Suffix) => {
                name.strip_suffix(value).is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            (Self::Name(name), MatchKind::Template) => template::expand(value)
                .is_ok_and(|patterns| patterns.iter().any(|pattern| template::fits(pattern, name))),
            (Self::Address(address), MatchKind::Address) => {
                addresses::parse(value).is_ok_and(|range| range.contains(*address))
            }
            (
                Self::Path(path),
                MatchKind::PathPrefix | MatchKind::PathSuffix | MatchKind::PathContains | MatchKind::PathRegex,
            ) => text_fits(one, texts::without_query(path.as_bytes())),
            (Self::UserAgent(text), MatchKind::UserAgentPrefix | MatchKind::UserAgentRegex) => {
                text_fits(one, text.as_bytes())
            }
            (Self::Ja3(_, text), MatchKind::Ja3) | (Self::Ja4(text), MatchKind::Ja4) => text == value,
            (Self::Certificate(text), MatchKind::CertificateIssuer | MatchKind::CertificateSubject) => {
                certificates::attributes(value).all(|wanted| certificates::attributes(text).any(|one| one == wanted))
            }
            (Self::Port(range, _), MatchKind::Port) => {
                ports::parse(value).is_ok_and(|one| one.contains(range.low, range.protocol))
            }
            (Self::HttpHeader(text), MatchKind::HttpHeader) => {
                prefixes::fits(one, text.as_bytes()) && text.len() == value.len()
            }
            (Self::Body(text), MatchKind::BodyPrefix)
            | (Self::MailHeader(text), MatchKind::MailHeader)
            | (Self::Syslog(text), MatchKind::Syslog) => prefixes::fits(one, text.as_bytes()),
            (Self::Upload(text), MatchKind::UploadContains) => text_fits(one, text.as_bytes()),
            (Self::FirstBytes(bytes, _), MatchKind::StreamPrefix) => prefixes::fits(one, bytes),
            _ => false,
        }
    }
}

fn text_fits(one: &Indicator, text: &[u8]) -> bool {
    texts::Texts::build(&[(IndicatorIndex(0), one)], &[one.kind]).find(text).is_some()
}

/// Why the winner wins over those that lost.
fn why(winner: &Indicator, lost: &[(IndicatorIndex, &Indicator)]) -> String {
    let mut why = described(winner);
    if winner.kind == MatchKind::Port {
        why.push_str("; alone it is a hint, and needs a server inside the network");
    }
    if winner.strength == Strength::Ambiguous
        && matches!(kind_of_text(winner.kind), Some("path" | "user agent" | "body"))
    {
        why.push_str("; alone it is no evidence, it counts beside a second match in the same request");
    }
    if lost.is_empty() {
        return why;
    }
    let suffixes = winner.kind == MatchKind::Suffix;
    if suffixes || winner.kind == MatchKind::Address {
        why.push_str(&format!(", longest of {}", lost.len() + 1));
    }
    let also = |&(_, one): &(IndicatorIndex, &Indicator)| {
        if suffixes { format!("{} ({})", one.value, one.id) } else { format!("{} ({})", described(one), one.id) }
    };
    why.push_str(": also ");
    why.push_str(&lost.iter().map(also).collect::<Vec<_>>().join(", "));
    why
}

/// How an indicator matches, in a few words.
fn described(one: &Indicator) -> String {
    match one.kind {
        MatchKind::Exact => "exact name".to_owned(),
        MatchKind::Address => format!("address range {}", one.value),
        MatchKind::Protocol => format!("protocol {}", one.value),
        MatchKind::StreamPrefix => format!("stream prefix {} at {}; a hint", one.value, one.ports.join(", ")),
        kind => format!("{} {}", kind.name().replace('-', " "), for_one_line(&one.value)),
    }
}

/// A value with its line ends and tabs spelled out.
fn for_one_line(value: &str) -> String {
    value.replace('\n', "\\n").replace('\t', "\\t")
}

const fn kind_of_text(kind: MatchKind) -> Option<&'static str> {
    match kind {
        MatchKind::PathPrefix | MatchKind::PathSuffix | MatchKind::PathContains | MatchKind::PathRegex => Some("path"),
        MatchKind::UserAgentPrefix | MatchKind::UserAgentRegex => Some("user agent"),
        MatchKind::BodyPrefix => Some("body"),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn winner(text: &str) -> Option<(String, &'static str, String)> {
        SignatureSet::builtin().explain(text).winner.map(|one| (one.id, one.part, one.why))
    }

    #[test]
    fn names_say_their_form_and_what_lost() {
        let (id, part, why) = winner("S07.UPD.Kaspersky.com.").unwrap();
        assert_eq!((&*id, part), ("KL-UPD-0001", "name"));
        assert!(
            why.starts_with("template s{00-19}.upd.kaspersky.com: also suffix upd.kaspersky.com (KL-UPD-"),
            "{why}"
        );
        let (_, _, why) = winner("s20.upd.kaspersky.com").unwrap();
        assert!(why.starts_with("suffix upd.kaspersky.com, longest of 2: also kaspersky.com (KL-WEB-"), "{why}");
        let (_, _, why) = winner("www.kaspersky.com").unwrap();
        assert!(why.starts_with("exact name: also suffix kaspersky.com (KL-WEB-"), "{why}");
        assert_eq!(winner("notkaspersky.com"), None);
    }

    #[test]
    fn the_stronger_part_of_a_url_wins() {
        let explanation =
            SignatureSet::builtin().explain("http://dnl-03.geo.kaspersky.com:80/bases/av/kdb/i386/x?y=/z");
        assert_eq!(explanation.winner.unwrap().part, "name");
        assert_eq!(explanation.others[0].part, "path");
        let explanation = SignatureSet::builtin().explain("www.kaspersky.com/bases/av/kdb/i386/x");
        assert_eq!(explanation.winner.unwrap().part, "path");
        assert_eq!(explanation.others[0].part, "name");
        assert!(
            SignatureSet::builtin()
                .explain("http://example.com/?u=http://kaspersky.com/bases/av/kdb/")
                .winner
                .is_none()
        );
    }

    #[test]
    fn every_form_is_recognised() {
        for (text, part) in [
            ("37.203.129.5", "address"),
            ("[2a03:2480:68::1]", "address"),
            ("https://37.203.129.5:443/", "address"),
            ("/index/u1313g.xml", "path"),
            ("*BcfBAAAAgCCAAEFBAAwQfKXVzrzGvyfPESboPxow0mHhxRLAXAQAAIAAKAA=", "user agent"),
            ("go-ksc/1.0", "user agent"),
            ("C63E8C55F2A9E27263D28C06B4360880", "ja3"),
            ("t12d1108h2_f1d7dd7f2cf0_06756d5f1b38", "ja4"),
            ("CN=x, O=AO Kaspersky Lab", "certificate"),
            ("tcp/13000", "port"),
            ("TCP/23150", "port"),
            ("x-ksmg-message-action: clean", "mail header"),
            ("x-kav-timeout", "http header"),
            ("KLZF", "body"),
            ("<Update\n\tDate=\"04012026 0027\"", "body"),
            ("4B 45 00 07", "first bytes"),
        ] {
            assert_eq!(winner(text).map(|(_, part, _)| part), Some(part), "{text}");
        }
        for text in
            ["", " ", ".", "://", "http://", "@", "Mozilla/5.0", "curl/8.5.0", "[", "a.b:c", "::1", "=", "http://@:1/"]
        {
            assert_eq!(winner(text), None, "{text}");
        }
    }

    #[test]
    fn an_ambiguous_path_says_that_it_needs_company() {
        assert!(winner("/updcfg.xml").unwrap().2.contains("counts beside a second match"));
    }

    #[test]
    fn the_winner_is_never_among_the_others() {
        let set = SignatureSet::builtin();
        for one in set.iter() {
            let explanation = set.explain(&one.value);
            if let Some(winner) = explanation.winner {
                assert!(explanation.others.iter().all(|other| other.indicator != winner.indicator), "{}", one.id);
            }
        }
    }
}
