//! Rules for Snort 3, by its documentation: nobody could load them here.

use crate::patterns::{self, wider_names};
use crate::selection::{Group, Selection, plain, revision};
use crate::sid::{Seen, sid};
use crate::{LeftOut, Options, Pack, PackFile, Reason};
use kaspector::matching::{Indicator, MatchKind, SignatureSet, Strength};
use std::collections::BTreeMap;

/// Bytes of alternatives in one rule.
const ALTERNATIVES_MAX: usize = 16_000;

/// `kaspector.rules`. One rule speaks of one service, one strength and one protocol, with the numbers of the rules for Suricata.
#[must_use]
pub fn snort(set: &SignatureSet, options: &Options) -> Pack {
    let mut left_out = LeftOut::default();
    let selection = Selection::new(set, options, &mut left_out);
    let wider = wider_names(&selection.names);
    let mut whole = BTreeMap::<Group, Vec<(&str, &Indicator)>>::new();
    for (name, one) in selection.names.whole() {
        whole.entry((one.category, one.strength)).or_default().push((name, one));
    }
    let mut rules = String::new();
    for (group, list) in selection.groups() {
        let names = whole.get(&group).map(Vec::as_slice).unwrap_or_default();
        let forms: Vec<(String, &Indicator)> = names.iter().map(|(name, one)| (patterns::quoted(name), *one)).collect();
        for (forms, [dns, tls, http]) in [
            (forms.as_slice(), [Seen::Dns, Seen::Tls, Seen::Http]),
            (
                wider.get(&group).map(Vec::as_slice).unwrap_or_default(),
                [Seen::DnsBelow, Seen::TlsBelow, Seen::HttpBelow],
            ),
        ] {
            let mut joined = Joined::default();
            forms.iter().for_each(|(form, one)| joined.add(form, one, &mut left_out));
            if joined.taken.is_empty() {
                continue;
            }
            // What ends a name where more bytes follow; only guards of wider forms say where one ends.
            let names = joined.text.replace("$)", "(?![a-z0-9.-]))");
            // Labels in a message stand behind their lengths, which take the place of dots.
            let labels = dotted(&joined.text).replace("$)", "\\x00)");
            let host = &joined.text;
            rules.push_str(&rule(
                &selection,
                group,
                dns,
                "udp",
                "53",
                &joined.taken,
                &format!("pcre:\"/^.{{12}}[\\x01-\\x3f](?:{labels})\\x00/is\";"),
            ));
            rules.push_str(&rule(
                &selection,
                group,
                tls,
                "ssl",
                "any",
                &joined.taken,
                &format!("ssl_state:client_hello; pcre:\"/\\x00\\x00.{{4}}\\x00.{{2}}(?:{names})(?![a-z0-9.-])/is\";"),
            ));
            rules.push_str(&rule(
                &selection,
                group,
                http,
                "http",
                "any",
                &joined.taken,
                &format!("http_header:field host; pcre:\"/^(?:{host})(?::\\d+)?$/i\";"),
            ));
        }
        let of = |form: &dyn Fn(&Indicator) -> Option<String>, left_out: &mut LeftOut| {
            let mut joined = Joined::default();
            for one in list {
                if let Some(form) = form(one) {
                    joined.add(&form, one, left_out);
                }
            }
            (!joined.taken.is_empty()).then_some(joined)
        };
        if let Some(paths) = of(&patterns::path, &mut left_out) {
            let what = format!("http_uri; pcre:\"/(?:{})/i\";", paths.text);
            rules.push_str(&rule(&selection, group, Seen::Path, "http", "any", &paths.taken, &what));
        }
        if let Some(agents) = of(&patterns::user_agent, &mut left_out) {
            let what = format!("http_header:field user-agent; pcre:\"/(?:{})/\";", agents.text);
            rules.push_str(&rule(&selection, group, Seen::UserAgent, "http", "any", &agents.taken, &what));
        }
    }
    for one in selection.iter() {
        let is_said = matches!(one.kind, MatchKind::Exact | MatchKind::Template | MatchKind::Suffix)
            || patterns::path(one).is_some()
            || patterns::user_agent(one).is_some();
        if !is_said {
            left_out.add(Reason::NoWord, one);
        }
    }
    let head = selection.head("rules for Snort 3, written by its documentation and not loaded by it", &left_out);
    let comment: String = head.iter().map(|line| format!("# {line}\n")).collect();
    Pack::new(vec![PackFile::new("kaspector.rules", format!("{comment}\n{rules}"))], left_out)
}

/// An expression over names, over the labels of a DNS message.
fn dotted(names: &str) -> String {
    names.replace("(?:[^.]+\\.)*", "(?:[\\x01-\\x3f]?[a-z0-9_-]+[\\x01-\\x3f])*").replace("\\.", "[\\x01-\\x3f]")
}

/// Alternatives of one rule.
#[derive(Default)]
struct Joined<'i> {
    text: String,
    taken: Vec<&'i Indicator>,
}

impl<'i> Joined<'i> {
    fn add(&mut self, form: &str, one: &'i Indicator, left_out: &mut LeftOut) {
        if self.text.len() + form.len() >= ALTERNATIVES_MAX {
            left_out.add(Reason::NoRoom, one);
            return;
        }
        if !self.text.is_empty() {
            self.text.push('|');
        }
        self.text.push_str(&patterns::in_a_rule(form));
        self.taken.push(one);
    }
}

fn rule(
    selection: &Selection<'_>,
    (category, strength): Group,
    seen: Seen,
    protocol: &str,
    port: &str,
    indicators: &[&Indicator],
    what: &str,
) -> String {
    let Some(number) = sid((category, strength), seen) else { return String::new() };
    let priority = if strength == Strength::Installed { 2 } else { 3 };
    let doubt = if strength == Strength::Installed { String::new() } else { format!(" ({})", strength.name()) };
    format!(
        "alert {protocol} $HOME_NET any -> any {port} ( msg:\"KASPECTOR {}: {}{doubt}\"; flow:to_server; {what} \
         metadata:kaspector_service {}, kaspector_strength {}, \
         kaspector_signature_set {}; classtype:policy-violation; priority:{priority}; sid:{number}; rev:{}; )\n",
        category.name(),
        seen.words(),
        category.name(),
        strength.name(),
        plain(selection.set.version()),
        revision(indicators.iter().copied()),
    )
}
