//! Sigma: detection rules for DNS logs, proxy logs, and others of requests, one for each service, strength and kind of log.

use crate::left_out::{LeftOut, Reason};
use crate::names::{Wider, group_of};
use crate::patterns::{self, star};
use crate::selection::{Group, Selection};
use crate::uuid::uuid;
use crate::{Options, Pack, PackFile};
use kaspector::matching::{Indicator, MatchKind, SignatureSet, Strength};
use std::collections::BTreeMap;

/// A kind of log, and its field with the name of a server.
const LOGS: [(&str, &str, &str); 2] = [("dns", "query", "DNS query"), ("proxy", "cs-host", "proxy request")];

/// `dns-*.yml` and `proxy-*.yml`, rules with fixed identifiers, and a README.
#[must_use]
pub fn sigma(set: &SignatureSet, options: &Options) -> Pack {
    let mut left_out = LeftOut::default();
    let selection = Selection::new(set, options, &mut left_out);
    let mut files = Vec::new();
    let closer = selection.names.wider_below();
    let mut whole = BTreeMap::<Group, Vec<&str>>::new();
    let mut stars = BTreeMap::<Group, Vec<&str>>::new();
    let mut suffixes = BTreeMap::<Group, Vec<&str>>::new();
    for (lists, names) in [
        (&mut whole, selection.names.whole().collect::<Vec<_>>()),
        (&mut stars, selection.names.stars().collect()),
        (&mut suffixes, selection.names.suffixes().collect()),
    ] {
        names.into_iter().for_each(|(name, one)| lists.entry(group_of(one)).or_default().push(name));
    }
    let all_whole: Vec<(&str, &Indicator)> = selection.names.whole_below_wider().collect();
    for (group, list) in selection.groups() {
        let [whole, stars, suffixes] =
            [&whole, &stars, &suffixes].map(|lists| lists.get(&group).cloned().unwrap_or_default());
        if !(whole.is_empty() && stars.is_empty() && suffixes.is_empty()) {
            for (log, field, words) in LOGS {
                let mut rule = Rule::new(&selection, group, log, words);
                rule.any(field, "", whole.iter().map(|name| (*name).to_owned()));
                rule.any(field, "|endswith", suffixes.iter().map(|suffix| format!(".{suffix}")));
                rule.any(field, "", suffixes.iter().map(|suffix| (*suffix).to_owned()));
                rule.any(field, "|re", stars.iter().map(|template| format!("^{}$", star(template))));
                let mut closer_suffixes = Vec::new();
                for form in suffixes.iter().filter_map(|suffix| closer.get(suffix)).flatten() {
                    match form {
                        Wider::Whole(name) => rule.but(field, "", (*name).to_owned()),
                        Wider::Star(template) => rule.but(field, "|re", format!("^{}$", star(template))),
                        Wider::Suffix(suffix) => {
                            closer_suffixes.push(*suffix);
                            rule.but(field, "", (*suffix).to_owned());
                            rule.but(field, "|endswith", format!(".{suffix}"));
                        }
                    }
                }
                let below =
                    |name: &str| suffixes.iter().any(|suffix| name.ends_with(&format!(".{suffix}")) || name == *suffix);
                let is_covered = |name: &str| {
                    closer_suffixes.iter().any(|suffix| name == *suffix || name.ends_with(&format!(".{suffix}")))
                };
                for (name, _) in all_whole.iter().filter(|(name, one)| group_of(one) != group && below(name)) {
                    if !is_covered(name) {
                        rule.but(field, "", (*name).to_owned());
                    }
                }
                files.push(rule.file());
            }
        }
        let mut rule = Rule::new(&selection, group, "proxy", "proxy request by its path or user agent");
        rule.name = format!("proxy-request-{}-{}", group.0.name(), group.1.name());
        for one in list.iter().copied() {
            let path = patterns::path(one).map(|path| ("c-uri", format!("(?i){path}")));
            match path.or_else(|| patterns::user_agent(one).map(|agent| ("c-useragent", agent))) {
                Some((field, expression)) => rule.any(field, "|re", [expression]),
                None if is_name(one) => {}
                None => left_out.add(Reason::NoWord, one),
            }
        }
        if !rule.selections.is_empty() {
            files.push(rule.file());
        }
    }
    let head = selection.head("rules for Sigma", &left_out);
    let readme = format!(
        "# Kaspector: Sigma rules\n\n{}\n\nCheck and convert them with sigma-cli:\n\n    sigma check .\n    sigma convert -t splunk --without-pipeline .\n\n\
         Level medium is strength installed, low is ambiguous. The identifier of a rule stands for its service, strength and log, and stays.\n",
        head.iter().skip(1).map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
    );
    files.push(PackFile::new("README.md", readme));
    Pack::new(files, left_out)
}

const fn is_name(one: &Indicator) -> bool {
    matches!(one.kind, MatchKind::Exact | MatchKind::Template | MatchKind::Suffix)
}

struct Rule<'s, 'a> {
    selection: &'s Selection<'a>,
    group: Group,
    log: &'static str,
    words: &'static str,
    name: String,
    /// Field with modifier, and what it may be.
    selections: BTreeMap<String, Vec<String>>,
    filters: BTreeMap<String, Vec<String>>,
}

impl<'s, 'a> Rule<'s, 'a> {
    fn new(selection: &'s Selection<'a>, group: Group, log: &'static str, words: &'static str) -> Self {
        let name = format!("{log}-{}-{}", group.0.name(), group.1.name());
        Self { selection, group, log, words, name, selections: BTreeMap::new(), filters: BTreeMap::new() }
    }

    fn any(&mut self, field: &str, modifier: &str, values: impl IntoIterator<Item = String>) {
        let values: Vec<String> = values.into_iter().collect();
        if !values.is_empty() {
            self.selections.entry(format!("{field}{modifier}")).or_default().extend(values);
        }
    }

    fn but(&mut self, field: &str, modifier: &str, value: String) {
        let list = self.filters.entry(format!("{field}{modifier}")).or_default();
        if !list.contains(&value) {
            list.push(value);
        }
    }

    fn file(self) -> PackFile {
        let (category, strength) = self.group;
        let set = self.selection.set;
        let level = if strength == Strength::Installed { "medium" } else { "low" };
        let mut text = format!(
            "# Kaspector: signature set {}, sha256 {}\n\
             title: Kaspersky {} Service by {}{}\nid: {}\nstatus: experimental\n\
             description: >-\n    {} to the {} service of Kaspersky products, strength {}. Written from Kaspector's signature set.\n\
             author: Kaspector\ndate: {date}\nmodified: {date}\nlogsource:\n    category: {}\ndetection:\n",
            crate::selection::plain(set.version()),
            set.sha256(),
            title(category.name()),
            title(self.words),
            if strength == Strength::Installed { String::new() } else { format!(" ({})", title(strength.name())) },
            uuid(&format!("sigma {}", self.name)),
            sentence(self.words),
            category.name(),
            strength.name(),
            self.log,
            date = self.selection.date(),
        );
        let mut section = |name: &str, tests: &BTreeMap<String, Vec<String>>| {
            if tests.is_empty() {
                return;
            }
            text.push_str(&format!("    {name}:\n"));
            for (field, values) in tests {
                // Each map of the list is an alternative.
                text.push_str(&format!("        - {field}:\n"));
                for value in values {
                    text.push_str(&format!("              - '{}'\n", value.replace('\'', "''")));
                }
            }
        };
        section("selection", &self.selections);
        section("filter", &self.filters);
        let condition = if self.filters.is_empty() { "selection" } else { "selection and not filter" };
        text.push_str(&format!(
            "    condition: {condition}\nfalsepositives:\n    - {}\nlevel: {level}\n",
            match strength {
                Strength::Installed => "Products of other vendors with the same engine inside",
                _ => "Browsers, administrators and third-party pages contact the same hosts",
            }
        ));
        PackFile::new(format!("{}.yml", self.name), text)
    }
}

/// Words with upper-case beginnings, as titles have them.
fn title(text: &str) -> String {
    text.split([' ', '-'])
        .map(|word| if matches!(word, "by" | "its" | "or") { word.to_owned() } else { sentence(word) })
        .collect::<Vec<_>>()
        .join(" ")
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
