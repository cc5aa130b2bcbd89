//! Response policy zones: one that only logs, one that blocks.

use crate::addresses::Range;
use crate::left_out::{LeftOut, Reason};
use crate::names::{Wider, group_of};
use crate::selection::{Group, Selection};
use crate::{Options, Pack, PackFile};
use kaspector::matching::{MatchKind, SignatureSet, Strength};
use std::net::IpAddr;

/// `kaspector-log.rpz`, whose answers stay what they are (`rpz-passthru`), `kaspector-block.rpz`, whose names do not exist, and a README.
///
/// Only strength `installed` is blocked: whoever is ambiguous is logged alone.
#[must_use]
pub fn rpz(set: &SignatureSet, options: &Options) -> Pack {
    let mut left_out = LeftOut::default();
    let selection = Selection::new(set, options, &mut left_out);
    for one in selection.iter() {
        let is_said = match one.kind {
            MatchKind::Exact | MatchKind::Suffix | MatchKind::Address => true,
            // A star is a whole label at the beginning, or it is none.
            MatchKind::Template => one.names().iter().all(|name| is_wildcard(name)),
            _ => false,
        };
        if !is_said {
            left_out.add(Reason::NoWord, one);
        }
    }
    let head = selection.head("response policy zone", &left_out);
    let log = zone(&selection, &head, "log", |_| Some("rpz-passthru."));
    let block = zone(&selection, &head, "block", |(_, strength)| (strength == Strength::Installed).then_some("."));
    let readme = format!(
        "# Kaspector: response policy zones\n\n{}\n\n\
         Load `kaspector-log.rpz` first, and read what the resolver logs. `kaspector-block.rpz` answers that names of strength installed do\n\
         not exist, and lets what lies below them and is not meant pass. In named.conf:\n\n\
         \x20   response-policy {{ zone \"kaspector-log.rpz\" log yes; }};\n\
         \x20   zone \"kaspector-log.rpz\" {{ type primary; file \"kaspector-log.rpz\"; }};\n\n\
         A host that is blocked still asks: it is found by its questions.\n",
        head.iter().skip(1).map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
    );
    let files = vec![
        PackFile::new("README.md", readme),
        PackFile::new("kaspector-block.rpz", block),
        PackFile::new("kaspector-log.rpz", log),
    ];
    Pack::new(files, left_out)
}

/// Whether a name can stand in a zone: it has no star, or it begins with one that is a label.
fn is_wildcard(name: &str) -> bool {
    !name.strip_prefix("*.").unwrap_or(name).contains('*')
}

fn zone(
    selection: &Selection<'_>,
    head: &[String],
    name: &str,
    action: impl Fn(Group) -> Option<&'static str>,
) -> String {
    let mut text: String = head.iter().map(|line| format!("; {line}\n")).collect();
    let serial: String = selection.date().chars().filter(char::is_ascii_digit).collect();
    text.push_str(&format!(
        "; zone kaspector-{name}.rpz\n$TTL 300\n@ IN SOA localhost. hostmaster.localhost. {serial}00 3600 600 604800 300\n\
         @ IN NS localhost.\n"
    ));
    let mut rows = Vec::new();
    let mut row = |owner: &str, action: &str| rows.push(format!("{owner} IN CNAME {action}\n"));
    let names = &selection.names;
    for (whole, one) in names.whole() {
        // What is not to be blocked, below what is, passes by a row of its own.
        row(whole, action(group_of(one)).unwrap_or("rpz-passthru."));
    }
    for (star, one) in names.stars().filter(|(star, _)| is_wildcard(star)) {
        row(star, action(group_of(one)).unwrap_or("rpz-passthru."));
    }
    for (suffix, one) in names.suffixes() {
        let action = action(group_of(one)).unwrap_or("rpz-passthru.");
        row(suffix, action);
        row(&format!("*.{suffix}"), action);
    }
    for (form, _) in names.exceptions() {
        match form {
            Wider::Whole(name) => row(name, "rpz-passthru."),
            Wider::Star(star) if is_wildcard(star) => row(star, "rpz-passthru."),
            Wider::Star(_) => {}
            Wider::Suffix(suffix) => {
                row(suffix, "rpz-passthru.");
                row(&format!("*.{suffix}"), "rpz-passthru.");
            }
        }
    }
    for one in selection.iter().filter(|one| one.kind == MatchKind::Address) {
        if let (Some(range), Some(action)) = (Range::new(&one.value), action(group_of(one))) {
            row(&trigger(&range), action);
        }
    }
    rows.sort();
    rows.dedup();
    // A name has one action: the row of whoever comes first in the set won above, and others would be refused.
    rows.dedup_by(|later, earlier| later.split(' ').next() == earlier.split(' ').next());
    text.extend(rows);
    text
}

/// The owner of an address trigger: `32.10.113.0.203.rpz-ip`, and for IPv6 groups backwards with `zz` for the longest run of zeros.
fn trigger(range: &Range) -> String {
    match range.first {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{}.{d}.{c}.{b}.{a}.rpz-ip", range.bits)
        }
        IpAddr::V6(address) => {
            let text = address.to_string();
            let (before, after) = text.split_once("::").unwrap_or((&text, ""));
            let groups =
                |part: &str| part.split(':').filter(|group| !group.is_empty()).rev().collect::<Vec<_>>().join(".");
            let parts = if text.contains("::") {
                [groups(after), "zz".to_owned(), groups(before)].into_iter().filter(|part| !part.is_empty()).collect()
            } else {
                vec![groups(&text)]
            };
            format!("{}.{}.rpz-ip", range.bits, parts.join("."))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_backwards() {
        let of = |value: &str| trigger(&Range::new(value).unwrap());
        assert_eq!(of("203.0.113.10"), "32.10.113.0.203.rpz-ip");
        assert_eq!(of("37.203.128.0/23"), "23.0.128.203.37.rpz-ip");
        assert_eq!(of("2a03:2480:68::/47"), "47.zz.68.2480.2a03.rpz-ip");
        assert_eq!(of("2001:db8::5:1"), "128.1.5.zz.db8.2001.rpz-ip");
    }
}
