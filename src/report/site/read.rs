//! Reads a site file: TOML in, a [`Site`] out, or all that is wrong with it, by line.

use super::{
    FindingState, KnownBy, PARTICULARS, SharedAddress, SharedKind, Site, SiteException, SiteMachine, SiteSubnet,
};
use crate::AddressRange;
use jiff::civil::Date;
use kaspector::capture::display_path;
use kaspector::decode::MacAddress;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Most bytes of a site file.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Longest text in it, in bytes.
const TEXT_BYTES_MAX: usize = 255;
/// How alike a key must be to one that there is, from 0 to 1, to be taken for it.
const ALIKE: f64 = 0.7;

/// Something that is wrong in a site file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct SiteFault {
    /// The file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong, and what is expected.
    pub what: String,
}

/// Why there is no site.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {cause}; give another with --site")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        cause: io::Error,
    },
    /// The file is no site file.
    #[error("{file}: longer than {FILE_BYTES_MAX} bytes; this is no site file")]
    TooLong {
        /// The file.
        file: String,
    },
    /// What is wrong in it, by line; at least one.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<SiteFault>),
}

const TABLES: [&str; 7] = ["subnet", "machine", "resolver", "proxy", "nat", "exception", "finding"];
/// The one table that is no list.
const REPORT: &str = "report";

impl Site {
    /// Reads a file.
    ///
    /// # Errors
    /// [`SiteError`] when it cannot be read, or with all that is wrong in it.
    pub fn from_file(file: &Path) -> Result<Self, SiteError> {
        let mut bytes = Vec::new();
        let unreadable = |cause| SiteError::Unreadable { file: display_path(file), cause };
        File::open(file).and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(SiteError::TooLong { file: display_path(file) });
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::from_toml(text, &display_path(file)).map_err(SiteError::Wrong),
            Err(error) => {
                let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
                let what = "not UTF-8; save the file in that encoding".to_owned();
                Err(SiteError::Wrong(vec![SiteFault { file: display_path(file), line, what }]))
            }
        }
    }

    /// Reads the text of `file`, which names it in errors.
    ///
    /// # Errors
    /// All that is wrong, by line.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, Vec<SiteFault>> {
        let lines = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at).collect();
        let mut reader = Reader { lines, site: Self::default(), taken: HashMap::new(), faults: Vec::new() };
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let what = format!("not TOML: {}", error.message().trim_end().replace('\n', ", "));
            reader.fault(&error.span().unwrap_or_default(), what);
        }
        // What stands on a line that is no TOML is a guess.
        let guessed: Vec<usize> = reader.faults.iter().map(|(line, _)| *line).collect();
        let in_toml = reader.faults.len();
        reader.document(document.get_ref());
        let Reader { site, mut faults, .. } = reader;
        let mut number = 0;
        faults.retain(|(line, _)| {
            number += 1;
            number <= in_toml || !guessed.contains(line)
        });
        if faults.is_empty() {
            return Ok(site);
        }
        faults.sort();
        Err(faults.into_iter().map(|(line, what)| SiteFault { file: file.to_owned(), line, what }).collect())
    }
}

/// What may be given once only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Range(&'static str, AddressRange),
    Mac(&'static str, MacAddress),
    Hostname(String),
    Finding(String),
}

struct Reader {
    /// Where lines end.
    lines: Vec<usize>,
    site: Site,
    /// What was given, and on which line.
    taken: HashMap<Key, usize>,
    faults: Vec<(usize, String)>,
}

/// One table of the file.
#[derive(Clone, Copy)]
struct Entry<'a> {
    kind: &'static str,
    span: &'a Range<usize>,
    table: &'a DeTable<'a>,
}

impl Reader {
    fn line_of(&self, start: usize) -> usize {
        1 + self.lines.partition_point(|&end| end < start)
    }

    fn fault(&mut self, span: &Range<usize>, what: String) {
        let line = self.line_of(span.start);
        self.faults.push((line, what));
    }

    fn document(&mut self, document: &DeTable<'_>) {
        for (key, value) in in_order(document) {
            if key.get_ref() == REPORT {
                self.particulars(key, value);
                continue;
            }
            let Some(kind) = TABLES.into_iter().find(|table| *table == key.get_ref()) else {
                let what = unknown(key.get_ref(), "", &TABLES, "[[", "]]");
                self.fault(&key.span(), what);
                continue;
            };
            let wrong = format!("{kind:?} is no list of tables; begin each one with [[{kind}]]");
            let Some(list) = value.get_ref().as_array() else {
                self.fault(&key.span(), wrong);
                continue;
            };
            for one in list.iter() {
                match one.get_ref().as_table() {
                    Some(table) => self.entry(kind, &one.span(), table),
                    None => self.fault(&one.span(), wrong.clone()),
                }
            }
        }
    }

    fn entry(&mut self, kind: &'static str, span: &Range<usize>, table: &DeTable<'_>) {
        let keys: &[&'static str] = match kind {
            "subnet" => &["range", "name", "owner"],
            "machine" => &["address", "mac", "hostname", "name", "owner"],
            "exception" => &["address", "mac", "reason", "until"],
            "finding" => &["id", "state", "note"],
            _ => &["address", "name"],
        };
        let entry = Entry { kind, span, table };
        let before = self.faults.len();
        for (key, _) in in_order(table) {
            if !keys.contains(&key.get_ref().as_ref()) {
                let what = match (kind, key.get_ref().as_ref()) {
                    ("exception", "hostname") => "an exception holds for an address, a range or a mac: a hostname is \
                        what a machine says of itself"
                        .to_owned(),
                    (_, name) => unknown(name, &format!(" of [[{kind}]]"), keys, "", ""),
                };
                self.fault(&key.span(), what);
            }
        }
        match kind {
            "subnet" => self.subnet(entry, before),
            "machine" => self.machine(entry, before),
            "exception" => self.exception(entry, before),
            "finding" => self.finding(entry, before),
            _ => self.shared(entry, before),
        }
    }

    fn particulars(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        let Some(table) = value.get_ref().as_table() else {
            return self.fault(&key.span(), format!("{REPORT:?} is one table; begin it with [{REPORT}]"));
        };
        let entry = Entry { kind: REPORT, span: &key.span(), table };
        for (key, _) in in_order(table) {
            let Some(&(name, _)) = PARTICULARS.iter().find(|(name, _)| name == key.get_ref()) else {
                let what =
                    unknown(key.get_ref(), &format!(" of [{REPORT}]"), &PARTICULARS.map(|(name, _)| name), "", "");
                self.fault(&key.span(), what);
                continue;
            };
            if let Some(text) = self.optional_text(entry, name) {
                self.site.for_report.particulars.insert(name, text);
            }
        }
    }

    fn finding(&mut self, entry: Entry<'_>, before: usize) {
        let id = self.required_text(entry, "id");
        let state = self.optional_text(entry, "state");
        let note = self.optional_text(entry, "note");
        let known = state.as_deref().map(|name| FindingState::ALL.into_iter().find(|state| state.name() == name));
        if let Some(None) = known {
            let names = FindingState::ALL.map(FindingState::name).join(", ");
            self.fault(
                entry.span,
                format!("{:?} is no state of a finding; there are {names}", state.unwrap_or_default()),
            );
            return;
        }
        let Some(id) = id.filter(|_| self.is_right(before)) else { return };
        if self.once(entry.span, Key::Finding(id.clone()), &id).is_some() {
            self.site.for_report.findings.insert(id, (known.flatten().unwrap_or_default(), note));
        }
    }

    fn subnet(&mut self, entry: Entry<'_>, before: usize) {
        let range = self.required_range(entry, "range");
        let name = self.required_text(entry, "name");
        let owner = self.optional_text(entry, "owner");
        if let (Some(range), Some(name)) = (range, name)
            && self.is_right(before)
        {
            self.site.subnets.add(range, SiteSubnet { range, name, owner });
        }
    }

    fn machine(&mut self, entry: Entry<'_>, before: usize) {
        let known_by = self.one_way(entry, &["address", "mac", "hostname"]).and_then(|(way, span, text)| match way {
            "mac" => self.mac(&span, entry.kind, text).map(KnownBy::Mac),
            "hostname" => self.hostname(&span, text).map(KnownBy::Hostname),
            _ => self.address(&span, text).map(KnownBy::Address),
        });
        let name = self.required_text(entry, "name");
        let owner = self.optional_text(entry, "owner");
        let (Some(known_by), Some(name), true) = (known_by, name, self.is_right(before)) else { return };
        let number = self.site.machines.len();
        match &known_by {
            KnownBy::Address(address) => _ = self.site.by_address.insert(*address, number),
            KnownBy::Mac(mac) => _ = self.site.by_mac.insert(*mac, number),
            KnownBy::Hostname(hostname) => _ = self.site.by_hostname.insert(hostname.clone(), number),
        }
        self.site.machines.push(SiteMachine { name, owner, known_by });
    }

    fn shared(&mut self, entry: Entry<'_>, before: usize) {
        let range = self.required_range(entry, "address");
        let name = self.optional_text(entry, "name");
        let kind = SharedKind::ALL.into_iter().find(|kind| kind.name() == entry.kind);
        let (Some(range), Some(kind), true) = (range, kind, self.is_right(before)) else { return };
        match self.site.shared.get_mut(range) {
            Some(known) => {
                known.kinds.insert(kind);
                known.name = known.name.take().or(name);
            }
            None => self.site.shared.add(range, SharedAddress { range, kinds: [kind].into(), name }),
        }
    }

    fn exception(&mut self, entry: Entry<'_>, before: usize) {
        enum Whose {
            Range(AddressRange),
            Mac(MacAddress),
        }
        let whose = self.one_way(entry, &["address", "mac"]).and_then(|(way, span, text)| match way {
            "mac" => self.mac(&span, entry.kind, text).map(Whose::Mac),
            _ => self.range(&span, entry.kind, text).map(Whose::Range),
        });
        let reason = self.required_text(entry, "reason");
        let until = self.until(entry);
        let (Some(reason), Some(until), true) = (reason, until, self.is_right(before)) else { return };
        let exception = SiteException { reason, until };
        match whose {
            Some(Whose::Mac(mac)) => _ = self.site.excepted_macs.insert(mac, exception),
            Some(Whose::Range(range)) => self.site.exceptions.add(range, exception),
            None => {}
        }
    }

    fn until(&mut self, entry: Entry<'_>) -> Option<Date> {
        let form = "the last day on which it holds, such as until = 2027-03-31";
        let Some(value) = entry.table.get("until") else {
            self.fault(entry.span, format!("an exception ends: it needs {form}"));
            return None;
        };
        let date = match value.get_ref() {
            DeValue::Datetime(said) if said.time.is_none() && said.offset.is_none() => said.date.and_then(|date| {
                Date::new(i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?)
                    .ok()
            }),
            other => other.as_str().and_then(|text| text.parse().ok()),
        };
        if date.is_none() {
            self.fault(&value.span(), format!("no date; expected {form}"));
        }
        date
    }

    /// The one of these keys that says who is meant, and its text.
    fn one_way<'a>(
        &mut self,
        entry: Entry<'a>,
        ways: &[&'static str],
    ) -> Option<(&'static str, Range<usize>, &'a str)> {
        let mut given = ways.iter().filter_map(|way| Some((*way, entry.table.get(*way)?)));
        let (kind, all) = (entry.kind, ways.join(", "));
        match (given.next(), given.next()) {
            (Some((way, value)), None) => match value.get_ref().as_str() {
                Some(text) => Some((way, value.span(), text)),
                None => self.no_text(&value.span(), way),
            },
            (Some(_), Some((way, value))) => {
                let what =
                    format!("{way} is one too many; name whom it means by one of {all}, and write another [[{kind}]]");
                self.fault(&value.span(), what);
                None
            }
            (None, _) => {
                self.fault(entry.span, format!("this [[{kind}]] does not say whom it means; it needs one of {all}"));
                None
            }
        }
    }

    fn required_range(&mut self, entry: Entry<'_>, key: &str) -> Option<AddressRange> {
        let Some(value) = entry.table.get(key) else {
            self.fault(entry.span, format!("this [[{}]] has no {key}", entry.kind));
            return None;
        };
        match value.get_ref().as_str() {
            Some(text) => self.range(&value.span(), entry.kind, text),
            None => self.no_text(&value.span(), key),
        }
    }

    fn required_text(&mut self, entry: Entry<'_>, key: &str) -> Option<String> {
        if entry.table.get(key).is_none() {
            self.fault(entry.span, format!("this [[{}]] has no {key}", entry.kind));
        }
        self.optional_text(entry, key)
    }

    fn optional_text(&mut self, entry: Entry<'_>, key: &str) -> Option<String> {
        let value = entry.table.get(key)?;
        match value.get_ref().as_str() {
            Some(text) => self.plain(&value.span(), key, text),
            None => self.no_text(&value.span(), key),
        }
    }

    fn plain(&mut self, span: &Range<usize>, key: &str, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() {
            self.fault(span, format!("{key} is empty; write something, or leave it out"));
            return None;
        }
        if text.len() > TEXT_BYTES_MAX {
            self.fault(span, format!("{key} has {} bytes; at most {TEXT_BYTES_MAX} fit", text.len()));
            return None;
        }
        Some(text.to_owned())
    }

    fn no_text<T>(&mut self, span: &Range<usize>, key: &str) -> Option<T> {
        self.fault(span, format!("{key} is no text; write it between quotation marks"));
        None
    }

    fn range(&mut self, span: &Range<usize>, kind: &'static str, text: &str) -> Option<AddressRange> {
        match text.parse::<AddressRange>() {
            Ok(range) if range == range.canonical() => self.once(span, Key::Range(kind, range), text).map(|()| range),
            Ok(range) => {
                self.fault(
                    span,
                    format!("{text:?} does not begin where this range begins; write {}", range.canonical()),
                );
                None
            }
            Err(what) => {
                self.fault(span, what);
                None
            }
        }
    }

    fn address(&mut self, span: &Range<usize>, text: &str) -> Option<IpAddr> {
        match text.parse::<IpAddr>() {
            Ok(address) => {
                let key = Key::Range("machine", address.into());
                self.once(span, key, text).map(|()| address)
            }
            Err(_) => {
                let what = format!("{text:?} is no address such as 10.20.0.5; a range is named by a [[subnet]]");
                self.fault(span, what);
                None
            }
        }
    }

    fn hostname(&mut self, span: &Range<usize>, text: &str) -> Option<String> {
        let hostname = self.plain(span, "hostname", text)?.trim_end_matches('.').to_lowercase();
        self.once(span, Key::Hostname(hostname.clone()), text).map(|()| hostname)
    }

    fn mac(&mut self, span: &Range<usize>, kind: &'static str, text: &str) -> Option<MacAddress> {
        let Ok(mac) = text.replace('-', ":").parse::<MacAddress>() else {
            self.fault(span, format!("{text:?} is no link-layer address such as 46:7e:3f:af:25:32"));
            return None;
        };
        self.once(span, Key::Mac(kind, mac), text).map(|()| mac)
    }

    /// Of two that mean the same nobody knows which is right.
    fn once(&mut self, span: &Range<usize>, key: Key, text: &str) -> Option<()> {
        let line = self.line_of(span.start);
        match self.taken.get(&key) {
            Some(&first) => {
                let first = if first == line { "on this line".to_owned() } else { format!("in line {first}") };
                self.fault(span, format!("{text} is given twice, first {first}; keep one of them"));
                None
            }
            None => {
                self.taken.insert(key, line);
                Some(())
            }
        }
    }

    fn is_right(&self, before: usize) -> bool {
        self.faults.len() == before
    }
}

/// In the order of the file, so that the first of two is the first one.
fn in_order<'a>(table: &'a DeTable<'a>) -> Vec<(&'a Spanned<std::borrow::Cow<'a, str>>, &'a Spanned<DeValue<'a>>)> {
    let mut all: Vec<_> = table.iter().collect();
    all.sort_by_key(|(key, _)| key.span().start);
    all
}

fn unknown(key: &str, of: &str, known: &[&str], open: &str, close: &str) -> String {
    let alike = known
        .iter()
        .map(|name| (strsim::jaro_winkler(key, name), name))
        .filter(|(alike, _)| *alike > ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let all: Vec<String> = known.iter().map(|name| format!("{open}{name}{close}")).collect();
    let meant = alike.map(|(_, name)| format!("did you mean {open}{name}{close}? ")).unwrap_or_default();
    format!("unknown key {key:?}{of}; {meant}there are {}", all.join(", "))
}
