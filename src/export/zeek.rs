//! Zeek: an intelligence file, and a package whose scripts also know suffixes, templates, paths and certificates.

use crate::addresses::{Range, ranges};
use crate::left_out::{LeftOut, Reason};
use crate::names::Wider;
use crate::patterns;
use crate::selection::{Selection, plain};
use crate::{Options, Pack, PackFile};
use kaspector::matching::{Indicator, MatchKind, SignatureSet, Strength};

/// What the scripts do with the data, which is the same for every set.
const MAIN: &str = include_str!("zeek/main.zeek");

/// `kaspector.intel` and, beside it, a package: `zkg.meta`, `scripts/`, `README.md`.
#[must_use]
pub fn zeek(set: &SignatureSet, options: &Options) -> Pack {
    let mut left_out = LeftOut::default();
    let selection = Selection::new(set, options, &mut left_out);
    let data = data(&selection, &mut left_out);
    let intel = intel(&selection);
    let head = selection.head("data for Zeek", &left_out);
    let comment: String = head.iter().map(|line| format!("# {line}\n")).collect();
    let readme = format!(
        "# Kaspector: a package for Zeek\n\n{}\n\n\
         Take the package, whose notices are named `Kaspector::Product_Seen`:\n\n    zkg install ./this-folder        # it has to be a git repository; or\n    zeek -r office.pcap ./scripts\n\n\
         or the intelligence file, which knows whole names and addresses alone:\n\n\
         \x20   @load frameworks/intel/seen\n    @load frameworks/intel/do_notice\n    redef Intel::read_files += {{ \"/opt/kaspector.intel\" }};\n\n\
         The grammar of the scripts was checked with tree-sitter-zeek; no Zeek has run them.\n",
        head.iter().skip(1).map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
    );
    let files = vec![
        PackFile::new("README.md", readme),
        PackFile::new("kaspector.intel", intel),
        PackFile::new("scripts/__load__.zeek", format!("{comment}\n@load ./main\n@load ./data\n")),
        PackFile::new("scripts/data.zeek", format!("{comment}\n{data}")),
        PackFile::new("scripts/main.zeek", format!("{comment}\n{MAIN}")),
        PackFile::new(
            "zkg.meta",
            format!(
                "[package]\ndescription = Kaspersky software by its traffic. Kaspector signature set {}, sha256 {}\n\
             tags = intel, notices, compliance\nscript_dir = scripts\ndepends =\n    zeek >=5.0.0\n",
                plain(set.version()),
                set.sha256()
            ),
        ),
    ];
    Pack::new(files, left_out)
}

/// Whole names and addresses: domains match exactly there.
fn intel(selection: &Selection<'_>) -> String {
    let mut text =
        String::from("#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\tmeta.url\tmeta.do_notice\n");
    let source = format!("kaspector-{}", plain(selection.set.version()));
    let mut row = |value: &str, kind: &str, one: &Indicator| {
        let notice = if one.strength == Strength::Installed { "T" } else { "F" };
        text.push_str(&format!(
            "{value}\tIntel::{kind}\t{source}\t{} {} {}\t-\t{notice}\n",
            one.category.name(),
            one.strength.name(),
            one.id
        ));
    };
    for (name, one) in selection.names.whole() {
        row(name, "DOMAIN", one);
    }
    for (name, one) in selection.names.suffixes() {
        row(name, "DOMAIN", one);
    }
    for one in selection.iter().filter(|one| one.kind == MatchKind::Address) {
        if let Some(range) = Range::new(&one.value) {
            row(&range.to_string(), if range.is_single() { "ADDR" } else { "SUBNET" }, one);
        }
    }
    text
}

/// The tables, and functions of what no table can hold.
fn data(selection: &Selection<'_>, left_out: &mut LeftOut) -> String {
    let mut text = String::from("module Kaspector;\n\n");
    let names = &selection.names;
    let (mut whole, mut suffixes, mut stars) = (Vec::new(), Vec::new(), Vec::new());
    whole.extend(names.whole().map(|(name, one)| (name, entry(one))));
    suffixes.extend(names.suffixes().map(|(name, one)| (name, entry(one))));
    stars.extend(names.stars().map(|(name, one)| (name, entry(one))));
    for (form, one) in names.exceptions() {
        let none = format!("[$category=\"{}\", $strength=\"none\", $indicator=\"{}\"]", one.category.name(), one.id);
        match form {
            Wider::Whole(name) => whole.push((name, none)),
            Wider::Star(name) => stars.push((name, none)),
            Wider::Suffix(name) => suffixes.push((name, none)),
        }
    }
    for (table, rows) in [("whole_names", whole), ("suffixes", suffixes)] {
        text.push_str(&format!("redef {table} += {{\n"));
        text.extend(rows.iter().map(|(name, entry)| format!("\t[\"{name}\"] = {entry},\n")));
        text.push_str("};\n\n");
    }
    text.push_str("redef ranges += {\n");
    for (range, one) in
        ranges(selection.set).iter().filter(|(_, one)| selection.iter().any(|wanted| wanted.id == one.id))
    {
        let first = if range.first.is_ipv4() { range.first.to_string() } else { format!("[{}]", range.first) };
        text.push_str(&format!("\t[{first}/{}] = {},\n", range.bits, entry(one)));
    }
    text.push_str("};\n\n");
    let templates: Vec<(String, String)> =
        stars.into_iter().map(|(name, entry)| (format!("/{}/ == text", patterns::star(name)), entry)).collect();
    text.push_str(&function("of_template", "text", &templates));
    let mut of = |name: &str, form: &dyn Fn(&Indicator) -> Option<Option<String>>| {
        let mut tests = Vec::new();
        for one in selection.iter() {
            match form(one) {
                Some(Some(test)) => tests.push((test, entry(one))),
                Some(None) => left_out.add(Reason::NoWord, one),
                None => {}
            }
        }
        text.push_str(&function(name, "text", &tests));
    };
    of("of_path", &|one| patterns::path(one).map(|path| Some(format!("/{}/i in text", in_zeek(&path)?))));
    of("of_user_agent", &|one| patterns::user_agent(one).map(|agent| Some(format!("/{}/ in text", in_zeek(&agent)?))));
    of("of_issuer", &|one| (one.kind == MatchKind::CertificateIssuer).then(|| certificate(one)));
    of("of_subject", &|one| (one.kind == MatchKind::CertificateSubject).then(|| certificate(one)));
    of("of_header", &|one| {
        (one.kind == MatchKind::HttpHeader).then(|| Some(format!("text == \"{}\"", one.value.to_ascii_uppercase())))
    });
    for one in selection.iter() {
        if matches!(one.kind, MatchKind::Ja3 | MatchKind::Ja4 | MatchKind::BodyPrefix) {
            left_out.add(Reason::NoWord, one);
        }
    }
    text
}

fn entry(one: &Indicator) -> String {
    format!("[$category=\"{}\", $strength=\"{}\", $indicator=\"{}\"]", one.category.name(), one.strength.name(), one.id)
}

/// A function that returns the entry of the first test that holds.
fn function(name: &str, argument: &str, tests: &[(String, String)]) -> String {
    let mut text = format!("function {name}({argument}: string): Entry\n\t{{\n");
    for (test, entry) in tests {
        text.push_str(&format!("\tif ( {test} )\n\t\treturn {entry};\n"));
    }
    text.push_str("\treturn nothing;\n\t}\n\n");
    text
}

fn certificate(one: &Indicator) -> Option<String> {
    let tests: Vec<String> = one
        .attributes()
        .map(|attribute| format!("/(^|, ?){}(,|$)/ in text", in_zeek(&patterns::quoted(attribute)).unwrap_or_default()))
        .collect();
    (!tests.is_empty()).then(|| tests.join(" && "))
}

/// An expression in Zeek's syntax, which has neither groups that do not capture, nor looking ahead, nor classes of letters; `None` for one
/// that needs them.
fn in_zeek(expression: &str) -> Option<String> {
    let text = expression.replace("(?:", "(").replace('"', "\\x22");
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('(', Some('?')) => return None,
            ('\\', Some('x')) => {}
            ('\\', Some(letter)) if letter.is_ascii_alphanumeric() => return None,
            ('\\', _) => _ = characters.next(),
            _ => {}
        }
    }
    Some(text)
}
