//! Rules and datasets for Suricata 7 and 8.
//!
//! Exact names stand in datasets, so a set may hold as many as there is memory for. Names with all below them, and templates, are regular
//! expressions behind a literal that they share. One rule speaks of one service, one strength and one protocol ([`crate::sid`]).

use crate::addresses::ranges;
use crate::names::common_part;
use crate::patterns::{self, wider_names};
use crate::selection::{Group, Selection, plain, revision};
use crate::sid::{Seen, sid};
use crate::{LeftOut, Options, Pack, PackFile, Reason};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kaspector::matching::{Indicator, MatchKind, SignatureSet, Strength};
use std::collections::BTreeMap;

/// Bytes of alternatives in one rule: Suricata reads rules of up to 8,191 bytes.
const ALTERNATIVES_MAX: usize = 7_000;

/// Whole names that another rule speaks of, or nobody asked for.
const WHOLE: &str = "kaspector-whole";

/// `kaspector-7.rules`, `kaspector-8.rules`, the datasets that both load, and a README.
#[must_use]
pub fn suricata(set: &SignatureSet, options: &Options) -> Pack {
    let mut left_out = LeftOut::default();
    let selection = Selection::new(set, options, &mut left_out);
    let mut datasets = BTreeMap::new();
    let mut rules = Rules { selection: &selection, seven: Vec::new(), eight: Vec::new() };
    let wider = wider_names(&selection.names);
    let mut whole = BTreeMap::<Group, Vec<(&str, &Indicator)>>::new();
    for (name, one) in selection.names.whole() {
        whole.entry((one.category, one.strength)).or_default().push((name, one));
    }
    for (group, list) in selection.groups() {
        if let Some(names) = whole.get(&group) {
            let dataset = format!("kaspector-{}-{}", group.0.name(), group.1.name());
            rules.names(group, names, &dataset);
            datasets.insert(dataset, names.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
        if let Some(forms) = wider.get(&group) {
            rules.wider(group, forms, &mut left_out);
        }
        rules.fingerprints(group, list, &mut left_out);
        rules.requests(group, list, &mut left_out);
        rules.certificates(group, list, &mut left_out);
        rules.bodies(group, list, &mut left_out);
        rules.addresses(group, &mut left_out);
    }
    let below: Vec<&str> = selection.names.whole_below_wider().map(|(name, _)| name).collect();
    // A dataset that is loaded must hold something, and this name is nobody's (RFC 6761 section 6.4).
    datasets.insert(WHOLE.to_owned(), if below.is_empty() { vec!["kaspector.invalid"] } else { below });

    let head = selection.head("rules for Suricata", &left_out);
    let comment: String = head.iter().map(|line| format!("# {line}\n")).collect();
    let text = |rules: &[String]| format!("{comment}\n{}", rules.concat());
    let mut files = vec![
        PackFile::new("kaspector-7.rules", text(&rules.seven)),
        PackFile::new("kaspector-8.rules", text(&rules.eight)),
        PackFile::new("README.md", readme(&head)),
    ];
    files.extend(datasets.into_iter().map(|(name, values)| {
        let lines: String = values.iter().map(|value| STANDARD.encode(value) + "\n").collect();
        PackFile::new(format!("{name}.lst"), lines)
    }));
    Pack::new(files, left_out)
}

fn readme(head: &[String]) -> String {
    let (title, rest) = head.split_first().map_or(("", head), |(title, rest)| (title.as_str(), rest));
    format!(
        "# {title}\n\n{}\n\n\
         Keep the files in one folder; rules load the `.lst` beside them. Name one file of rules in suricata.yaml:\n\n\
         \x20   default-rule-path: /etc/suricata/kaspector\n    rule-files: [kaspector-7.rules]      # kaspector-8.rules for Suricata 8\n\n\
         or try them on a capture:\n\n    suricata -r office.pcap -S kaspector-7.rules -l .\n\n\
         Priority 2 is strength installed, 3 is ambiguous. A rule speaks once an hour of each host. Its number stands for a service, a\n\
         strength and a place; which name it was stands in the record's `tls`, `dns`, `http` or `quic`.\n",
        rest.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
    )
}

/// Which way a rule looks, and who the host is.
#[derive(Clone, Copy)]
enum Side<'t> {
    /// From the host to a server.
    Client,
    /// From the host to one of these addresses.
    ClientTo(&'t str),
    /// From a server to the host.
    Answer,
    /// From anybody to the host, which serves.
    Server,
}

struct Rules<'s, 'a> {
    selection: &'s Selection<'a>,
    seven: Vec<String>,
    eight: Vec<String>,
}

impl Rules<'_, '_> {
    /// Writes a rule for both versions; `say` gives what it looks for in the version that it is told.
    fn rule<'i>(
        &mut self,
        group: Group,
        seen: Seen,
        (protocol, side): (&str, Side<'_>),
        indicators: impl IntoIterator<Item = &'i Indicator>,
        say: impl Fn(u8) -> String,
    ) {
        let Some(number) = sid(group, seen) else { return };
        let (category, strength) = group;
        let rev = revision(indicators);
        let (from, to, flow, track, target) = match side {
            Side::Client => ("$HOME_NET any", "any any", "flow:to_server; ", "by_src", "src_ip"),
            Side::ClientTo(addresses) => ("$HOME_NET any", addresses, "", "by_src", "src_ip"),
            Side::Answer => ("any any", "$HOME_NET any", "flow:to_client; ", "by_dst", "dest_ip"),
            Side::Server => ("any any", "$HOME_NET any", "flow:to_server; ", "by_dst", "dest_ip"),
        };
        let doubt = if strength == Strength::Installed { String::new() } else { format!(" ({})", strength.name()) };
        let priority = if strength == Strength::Installed { 2 } else { 3 };
        let confidence = if strength == Strength::Installed { "High" } else { "Low" };
        let updated = self.selection.date().replace('-', "_");
        let version = plain(self.selection.set.version());
        for (version_number, rules) in [(7, &mut self.seven), (8, &mut self.eight)] {
            let mut what = say(version_number);
            if !what.is_empty() {
                what.push(' ');
            }
            rules.push(format!(
                "alert {protocol} {from} -> {to} (msg:\"KASPECTOR {}: {}{doubt}\"; {flow}{what}\
                 threshold:type limit, track {track}, count 1, seconds 3600; classtype:policy-violation; priority:{priority}; \
                 target:{target}; metadata:affected_product Kaspersky, confidence {confidence}, signature_severity Informational, \
                 updated_at {updated}, tag prohibited_software, kaspector_service {}, kaspector_strength {}, \
                 kaspector_signature_set {version}; sid:{number}; rev:{rev};)\n",
                category.name(),
                seen.words(),
                category.name(),
                strength.name(),
            ));
        }
    }

    fn names(&mut self, group: Group, names: &[(&str, &Indicator)], dataset: &str) {
        let texts: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let literal = literal(&texts);
        for [exact, _] in SEEN {
            self.rule(group, exact, (protocol(exact), Side::Client), names.iter().map(|(_, one)| *one), |version| {
                format!("{} {literal}dataset:isset,{dataset},type string,load {dataset}.lst;", buffer(exact, version))
            });
        }
    }

    fn wider(&mut self, group: Group, forms: &[(String, &Indicator)], left_out: &mut LeftOut) {
        let Some((alternatives, taken)) = fitting(forms, left_out) else { return };
        let texts: Vec<&str> =
            taken.iter().map(|one| one.value.rsplit(['*', '}']).next().unwrap_or_default()).collect();
        let literal = literal(&texts);
        for [exact, below] in SEEN {
            self.rule(group, below, (protocol(exact), Side::Client), taken.iter().copied(), |version| {
                let buffer = buffer(exact, version);
                format!(
                    "{buffer} {literal}pcre:\"/^(?:{alternatives})$/\"; {buffer} dataset:isnotset,{WHOLE},type string,load {WHOLE}.lst;"
                )
            });
        }
    }

    fn fingerprints(&mut self, group: Group, list: &[&Indicator], left_out: &mut LeftOut) {
        let of = |kind| -> Vec<(String, &Indicator)> {
            list.iter().filter(|one| one.kind == kind).map(|one| (patterns::quoted(&one.value), *one)).collect()
        };
        if let Some((hashes, taken)) = fitting(&of(MatchKind::Ja3), left_out) {
            let what = format!("ja3.hash; pcre:\"/^(?:{hashes})$/\";");
            self.rule(group, Seen::Ja3, ("tls", Side::Client), taken, |_| what.clone());
        }
        if let Some((hashes, taken)) = fitting(&of(MatchKind::Ja4), left_out) {
            let what = format!("requires:feature ja4; ja4.hash; pcre:\"/^(?:{hashes})$/\";");
            self.rule(group, Seen::Ja4, ("tls", Side::Client), taken, |_| what.clone());
        }
    }

    fn requests(&mut self, group: Group, list: &[&Indicator], left_out: &mut LeftOut) {
        let of = |form: &dyn Fn(&Indicator) -> Option<String>| -> Vec<(String, &Indicator)> {
            list.iter().filter_map(|one| Some((form(one)?, *one))).collect()
        };
        if let Some((paths, taken)) = fitting(&of(&patterns::path), left_out) {
            let what = format!("http.uri; pcre:\"/(?:{paths})/i\";");
            self.rule(group, Seen::Path, ("http", Side::Client), taken, |_| what.clone());
        }
        if let Some((agents, taken)) = fitting(&of(&patterns::user_agent), left_out) {
            let what = format!("http.user_agent; pcre:\"/(?:{agents})/\";");
            self.rule(group, Seen::UserAgent, ("http", Side::Client), taken, |_| what.clone());
        }
        let header = |one: &Indicator| (one.kind == MatchKind::HttpHeader).then(|| patterns::quoted(&one.value));
        if let Some((names, taken)) = fitting(&of(&header), left_out) {
            let what = format!("http.header_names; pcre:\"/\\x0d\\x0a(?:{names})\\x0d\\x0a/i\";");
            self.rule(group, Seen::Header, ("http", Side::Server), taken, |_| what.clone());
        }
    }

    fn certificates(&mut self, group: Group, list: &[&Indicator], left_out: &mut LeftOut) {
        // One number for both: the issuer is what the built-in set asks for, the subject is rare.
        let mut seen = Vec::new();
        for (kind, buffer) in
            [(MatchKind::CertificateIssuer, "tls.cert_issuer"), (MatchKind::CertificateSubject, "tls.cert_subject")]
        {
            let of_kind = list.iter().filter(|one| one.kind == kind);
            let forms: Vec<_> = of_kind.filter_map(|one| Some((patterns::certificate(one)?, *one))).collect();
            if !seen.is_empty() {
                forms.iter().for_each(|(_, one)| left_out.add(Reason::NoRoom, one));
            } else if let Some((names, taken)) = fitting(&forms, left_out) {
                let what = format!("{buffer}; pcre:\"/(?:{names})/\";");
                self.rule(group, Seen::Certificate, ("tls", Side::Answer), taken.iter().copied(), |_| what.clone());
                seen = taken;
            }
        }
    }

    fn bodies(&mut self, group: Group, list: &[&Indicator], left_out: &mut LeftOut) {
        let bodies = list.iter().filter(|one| one.kind == MatchKind::BodyPrefix);
        let forms: Vec<_> = bodies.map(|one| (patterns::beginning(&one.value), *one)).collect();
        if let Some((beginnings, taken)) = fitting(&forms, left_out) {
            let what = format!("file.data; pcre:\"/^(?:{beginnings})/\";");
            self.rule(group, Seen::Body, ("http", Side::Answer), taken, |_| what.clone());
        }
    }

    fn addresses(&mut self, group: Group, left_out: &mut LeftOut) {
        let all = ranges(self.selection.set);
        let is_ours = |one: &Indicator| (one.category, one.strength) == group;
        // Web sites at published addresses are anybody's.
        if sid(group, Seen::Address).is_none() {
            all.iter().filter(|(_, one)| is_ours(one)).for_each(|(_, one)| left_out.add(Reason::NoWord, one));
            return;
        }
        let mut list = Vec::new();
        let mut length = 0;
        let mut taken = Vec::new();
        for (range, one) in all.iter().filter(|(_, one)| is_ours(one)) {
            // What lies in it and is another's, unless that is ours again further in.
            let inner = all.iter().filter(|(other, owner)| range != other && range.holds(other) && !is_ours(owner));
            let mut texts = vec![range.to_string()];
            texts.extend(inner.map(|(other, _)| format!("!{other}")));
            length += texts.iter().map(|text| text.len() + 1).sum::<usize>();
            if length > ALTERNATIVES_MAX {
                left_out.add(Reason::NoRoom, one);
                continue;
            }
            list.extend(texts);
            taken.push(*one);
        }
        if list.is_empty() {
            return;
        }
        list.sort();
        list.dedup();
        let to = format!("[{}] any", list.join(","));
        self.rule(group, Seen::Address, ("ip", Side::ClientTo(&to)), taken, |_| String::new());
    }
}

/// Where names are seen: whole ones, and wider forms.
const SEEN: [[Seen; 2]; 4] = [
    [Seen::Dns, Seen::DnsBelow],
    [Seen::Tls, Seen::TlsBelow],
    [Seen::Quic, Seen::QuicBelow],
    [Seen::Http, Seen::HttpBelow],
];

const fn protocol(seen: Seen) -> &'static str {
    match seen {
        Seen::Dns => "dns",
        Seen::Tls => "tls",
        Seen::Quic => "quic",
        _ => "http",
    }
}

/// The buffer with a name, in lower case: Suricata keeps the case of all but hosts, and datasets compare bytes.
const fn buffer(seen: Seen, version: u8) -> &'static str {
    match (seen, version) {
        (Seen::Dns, 8..) => "dns.queries.rrname; to_lowercase;",
        (Seen::Dns, _) => "dns.query; to_lowercase;",
        (Seen::Tls, _) => "tls.sni; to_lowercase;",
        (Seen::Quic, _) => "quic.sni; to_lowercase;",
        _ => "http.host; to_lowercase;",
    }
}

/// A literal before what is dearer to look for, if all of the texts share one.
fn literal(texts: &[&str]) -> String {
    common_part(texts).map(|part| format!("content:\"{part}\"; ")).unwrap_or_default()
}

/// The alternatives that one rule has room for, joined, and whose they are; `None` if there are none.
fn fitting<'i>(forms: &[(String, &'i Indicator)], left_out: &mut LeftOut) -> Option<(String, Vec<&'i Indicator>)> {
    let (mut joined, mut taken) = (String::new(), Vec::new());
    for (form, one) in forms {
        let form = patterns::in_a_rule(form);
        if joined.len() + form.len() + 1 > ALTERNATIVES_MAX {
            left_out.add(Reason::NoRoom, one);
            continue;
        }
        if !joined.is_empty() {
            joined.push('|');
        }
        joined.push_str(&form);
        taken.push(*one);
    }
    (!taken.is_empty()).then_some((joined, taken))
}
