//! Patterns of file names, as shells have them, which a shell left to us. Names may be any bytes.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// What matches a pattern, sorted by path; folders that cannot be listed are errors in their place.
type Matches = Vec<(PathBuf, Option<io::Error>)>;

/// Finds what `pattern` matches: `*` any characters of a name, `?` one, `[a-z]` one of these, `[!a-z]` one of no others; `**` any folders.
/// Names that begin with a dot are matched only where the pattern says the dot.
///
/// # Errors
/// What is wrong with the pattern.
pub(super) fn find(pattern: &Path) -> Result<Matches, String> {
    let steps: Vec<Step<'_>> = pattern.components().map(Step::parse).collect::<Result<_, _>>()?;
    let mut matches = Matches::new();
    walk(Path::new(""), &steps, &mut matches);
    matches.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(matches)
}

/// One component of a pattern.
enum Step<'p> {
    /// A name as it stands.
    Literal(&'p OsStr),
    /// Names in a folder.
    Names(Pattern),
    /// The folder itself and all below.
    Folders,
}

impl<'p> Step<'p> {
    fn parse(component: Component<'p>) -> Result<Self, String> {
        let name = component.as_os_str();
        if name == "**" {
            return Ok(Self::Folders);
        }
        let is_pattern = name.as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
        if is_pattern { Ok(Self::Names(Pattern::parse(name)?)) } else { Ok(Self::Literal(name)) }
    }
}

fn walk(base: &Path, steps: &[Step<'_>], matches: &mut Matches) {
    let Some((step, rest)) = steps.split_first() else {
        return matches.push((base.to_owned(), None));
    };
    match step {
        Step::Literal(name) => {
            let next = base.join(name);
            match next.symlink_metadata() {
                Ok(_) => walk(&next, rest, matches),
                Err(error) if is_absence(&error) => {}
                Err(error) => matches.push((next, Some(error))),
            }
        }
        Step::Names(pattern) => {
            for entry in entries(base, matches) {
                if pattern.matches(entry.file_name()) && (rest.is_empty() || entry.file_type().is_dir()) {
                    walk(&base.join(entry.file_name()), rest, matches);
                }
            }
        }
        Step::Folders => {
            walk(base, rest, matches);
            for entry in entries(base, matches) {
                let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                if entry.file_type().is_dir() && !is_hidden && !leads_up(&entry) {
                    walk(&base.join(entry.file_name()), steps, matches);
                }
            }
        }
    }
}

/// What a folder holds, by name; links stand for what they lead to, if they lead anywhere. Nothing, when it is no folder.
fn entries(folder: &Path, matches: &mut Matches) -> Vec<walkdir::DirEntry> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let walk = walkdir::WalkDir::new(listed).min_depth(1).max_depth(1).follow_links(true).sort_by_file_name();
    let mut entries = Vec::new();
    for entry in walk {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) if error.depth() == 0 => {
                let error = io::Error::from(error);
                if !is_absence(&error) {
                    matches.push((folder.to_owned(), Some(error)));
                }
            }
            // A link that leads nowhere, or back: its name alone can match.
            Err(error) => {
                let link = error.path().and_then(Path::file_name).map(|name| folder.join(name));
                let itself = |link| walkdir::WalkDir::new(link).max_depth(0).follow_root_links(false);
                entries.extend(link.and_then(|link| itself(link).into_iter().next()?.ok()));
            }
        }
    }
    entries
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Whether `entry` is a link to a folder that it lies in. A walk itself notices only loops that it has gone through, and would list all that
/// a folder above the named one holds.
pub(super) fn leads_up(entry: &walkdir::DirEntry) -> bool {
    if !entry.path_is_symlink() || !entry.file_type().is_dir() {
        return false;
    }
    let place = entry.path().parent().and_then(|parent| parent.canonicalize().ok());
    place.zip(entry.path().canonicalize().ok()).is_some_and(|(place, target)| place.starts_with(target))
}

/// A pattern of one name.
struct Pattern(Vec<Part>);

enum Part {
    /// Any number of characters.
    Many,
    /// One character, whichever.
    Any,
    /// This one.
    One(Unit),
    /// One of these, or of all others.
    Class { ranges: Vec<(Unit, Unit)>, is_negated: bool },
}

/// A character, or a byte that belongs to none: those are numbered behind all characters.
type Unit = u32;

fn units(name: &OsStr) -> Vec<Unit> {
    let mut units = Vec::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        units.extend(chunk.valid().chars().map(Unit::from));
        units.extend(chunk.invalid().iter().map(|&byte| 0x11_0000 + Unit::from(byte)));
    }
    units
}

const DOT: Unit = '.' as Unit;

impl Pattern {
    fn parse(name: &OsStr) -> Result<Self, String> {
        let is = |unit: Unit, character: char| unit == Unit::from(character);
        let mut parts = Vec::new();
        let units = units(name);
        let mut rest = units.as_slice();
        while let Some((&unit, behind)) = rest.split_first() {
            rest = behind;
            match char::from_u32(unit) {
                Some('*') => {
                    // Two say no more than one.
                    if !matches!(parts.last(), Some(Part::Many)) {
                        parts.push(Part::Many);
                    }
                }
                Some('?') => parts.push(Part::Any),
                Some('[') => {
                    let is_negated = behind.first().is_some_and(|&unit| is(unit, '!') || is(unit, '^'));
                    let inside = behind.get(usize::from(is_negated)..).unwrap_or_default();
                    // At the beginning, ] stands for itself.
                    let end = inside.iter().skip(1).position(|&unit| is(unit, ']')).map(|at| at + 1);
                    let Some((class, behind)) = end.and_then(|end| Some((inside.get(..end)?, inside.get(end + 1..)?)))
                    else {
                        let place = units.len() - behind.len();
                        return Err(format!("character {place} of the name is [ without the ] that belongs to it"));
                    };
                    rest = behind;
                    parts.push(Part::Class { ranges: ranges(class), is_negated });
                }
                _ => parts.push(Part::One(unit)),
            }
        }
        Ok(Self(parts))
    }

    fn matches(&self, name: &OsStr) -> bool {
        let name = units(name);
        if name.first() == Some(&DOT) && !matches!(self.0.first(), Some(Part::One(DOT))) {
            return false;
        }
        let (mut part, mut at) = (0, 0);
        // Where to go on when what follows the latest * does not match: one character later.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let is_met = match (self.0.get(part), name.get(at)) {
                (None, None) => return true,
                (Some(Part::Many), _) => {
                    retry = Some((part + 1, at));
                    part += 1;
                    continue;
                }
                (Some(part), Some(&unit)) => part.accepts(unit),
                (None, Some(_)) | (Some(_), None) => false,
            };
            if is_met {
                (part, at) = (part + 1, at + 1);
                continue;
            }
            match retry {
                Some((behind, from)) if from < name.len() => {
                    retry = Some((behind, from + 1));
                    (part, at) = (behind, from + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Part {
    fn accepts(&self, unit: Unit) -> bool {
        match self {
            Self::Many | Self::Any => true,
            Self::One(one) => *one == unit,
            Self::Class { ranges, is_negated } => {
                ranges.iter().any(|&(first, last)| (first..=last).contains(&unit)) != *is_negated
            }
        }
    }
}

/// `a-z` is a range; a - at either end stands for itself.
fn ranges(mut class: &[Unit]) -> Vec<(Unit, Unit)> {
    const DASH: Unit = '-' as Unit;
    let mut ranges = Vec::new();
    loop {
        class = match class {
            [] => return ranges,
            [first, DASH, last, rest @ ..] => {
                ranges.push((*first, *last));
                rest
            }
            [one, rest @ ..] => {
                ranges.push((*one, *one));
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStrExt;

    fn matches(pattern: &[u8], name: &[u8]) -> bool {
        Pattern::parse(OsStr::from_bytes(pattern)).unwrap().matches(OsStr::from_bytes(name))
    }

    #[test]
    fn names_of_any_bytes_match_and_count_by_characters() {
        for (pattern, name, expected) in [
            (&b"*.pcap"[..], &b"caf\xe9.pcap"[..], true),
            (b"caf?.pcap", b"caf\xe9.pcap", true),
            (b"caf?.pcap", "café.pcap".as_bytes(), true),
            (b"caf??.pcap", "café.pcap".as_bytes(), false),
            (b"caf\xe9*", b"caf\xe9.pcap", true),
            (b"caf\xe9*", "café.pcap".as_bytes(), false),
            (b"caf[!a]*", b"caf\xe9.pcap", true),
            ("[à-ü]*".as_bytes(), "é".as_bytes(), true),
            (b"*", b".hidden", false),
            (b"?hidden", b".hidden", false),
            (b".*", b".hidden", true),
            (b"[]]", b"]", true),
            (b"[!]]", b"]", false),
            (b"[a-]", b"-", true),
            (b"a*b*c", b"axxbxxbxc", true),
            (b"a*b*c", b"axxbxxbx", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn a_star_matches_no_hidden_file() {
        for (pattern, name) in [("*", ".a"), ("*.*", ".a"), ("*.*", "."), ("**.pcap", ".pcap")] {
            assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        assert!(matches(b".*", b".a") && matches(b"*.*", b"a.b"));
    }

    #[test]
    fn a_class_must_end() {
        for pattern in ["a[", "[]", "[!]", "[!", "x[abc"] {
            assert!(Pattern::parse(OsStr::new(pattern)).is_err(), "{pattern}");
        }
        assert!(Pattern::parse(OsStr::new("ab[")).is_err_and(|what| what.starts_with("character 3")));
    }

    proptest! {
        /// On names that are text, a well-known library says the same.
        #[test]
        fn text_matches_as_elsewhere(pattern in r"[ab.*?é]{0,4}(\[!?[a-c]-?[a-c]\])?[ab.*?é]{0,4}", name in "[abcé.]{0,7}") {
            prop_assume!(!pattern.contains("**"));
            // Hidden files are matched by a dot alone, as in a shell; that library also takes one behind a star that matches nothing.
            if name.starts_with('.') && pattern.starts_with('*') {
                return Ok(());
            }
            let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
            let other = glob::Pattern::new(&pattern).unwrap();
            // It takes a dot that a class or a * could have matched as well only by itself, as we do.
            prop_assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), other.matches_with(&name, options), "{} {}", pattern, name);
        }

        #[test]
        fn long_patterns_end_soon(stars in 1..12_usize) {
            let pattern = "*a".repeat(stars) + "b";
            prop_assert!(!matches(pattern.as_bytes(), "a".repeat(200).as_bytes()));
        }
    }
}
