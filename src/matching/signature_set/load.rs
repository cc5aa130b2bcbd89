//! Reads signature files: TOML in, indicators out, or the line that is wrong and what would be right.

use super::addresses;
use super::fingerprints::{is_ja4, ja3};
use super::{Product, ProductKind, SignatureError, certificates, habits, ports, prefixes, protocols, template, texts};
use crate::matching::{Category, Indicator, MatchKind, Strength};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Most names that all templates of a set may stand for.
const TEMPLATE_NAMES_MAX: usize = 200_000;

/// Shortest path that may be looked for: anything shorter also stands in unrelated paths.
const PATH_BYTES_MIN: usize = 8;

/// Shortest text that may be looked for in uploads: anything shorter also stands in unrelated text.
const UPLOAD_BYTES_MIN: usize = 24;

/// How the ids of the built-in set begin, and of sets that replace it.
const OUR_IDS: &str = "KL-";

/// Highest number of an indicator within its category, among ids that begin so.
const NUMBER_MAX: u16 = 499;

/// Longest id.
const ID_BYTES_MAX: usize = 64;

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

/// Where an indicator stands.
#[derive(Clone, Debug)]
pub struct Place {
    path: Arc<str>,
    line: usize,
}

impl Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.path, self.line)
    }
}

/// Takes files one after the other, and keeps what they say.
#[derive(Debug, Default)]
pub struct Loader {
    /// What was read, in order.
    pub indicators: Vec<Indicator>,
    /// Where each stands.
    pub places: Vec<Place>,
    /// Products that were declared, in order.
    pub products: Vec<Product>,
    ids: HashMap<String, usize>,
    values: HashMap<(MatchKind, String), usize>,
    version: Option<(String, Place)>,
    template_names: usize,
    path_regexes: usize,
    agent_regexes: usize,
    /// Whether each indicator by itself is known to be right.
    is_proven: bool,
}

impl Loader {
    /// A loader for files that a test has read as [`Self::default`] does. It saves most of the time that loading takes: values are held
    /// against everyday traffic, and for that, regular expressions are compiled.
    pub fn of_proven_files() -> Self {
        Self { is_proven: true, ..Self::default() }
    }

    /// A loader that goes on where a set ends.
    pub fn after(products: &[Product], set: impl Iterator<Item = (Indicator, Place)>) -> Self {
        let mut loader = Self { products: products.to_vec(), ..Self::default() };
        for (one, place) in set {
            // What is in a set fitted its bounds, so counting it again cannot fail.
            let _ = loader.count(&one);
            loader.keep(one, place);
        }
        loader
    }

    /// Takes another version from here on: another folder follows.
    pub fn forget_version(&mut self) {
        self.version = None;
    }

    /// The version that the files name, if one does.
    pub fn version(&self) -> Option<&str> {
        self.version.as_ref().map(|(version, _)| version.as_str())
    }

    /// Reads one file.
    ///
    /// # Errors
    /// [`SignatureError::Bad`] for the first thing in it that is wrong.
    pub fn file(&mut self, path: &str, text: &str) -> Result<(), SignatureError> {
        let mut faults = Vec::new();
        self.read(path, text, &mut faults);
        faults.into_iter().next().map_or(Ok(()), Err)
    }

    /// Reads one file as far as it is right, and adds all that is wrong to `faults`.
    pub fn read(&mut self, path: &str, text: &str, faults: &mut Vec<SignatureError>) {
        let file = File { path: path.into(), lines: text.match_indices('\n').map(|(at, _)| at).collect() };
        let (document, errors) = DeTable::parse_recoverable(text);
        // What stands on a line that is no TOML is a guess.
        let mut guessed = Vec::new();
        for error in errors {
            let span = error.span().unwrap_or_default();
            let what =
                format!("not TOML: {}; see docs/signatures.md for an example", error.message().replace('\n', ", "));
            guessed.push(file.place(&span).line);
            faults.push(file.bad(&span, what));
        }
        let mut found = Vec::new();
        for (key, value) in in_order(document.get_ref()) {
            match key.get_ref().as_ref() {
                "version" => _ = noted(self.read_version(&file, value), &mut found),
                "indicator" => {
                    let wrong = || {
                        file.bad(&key.span(), "\"indicator\" is no list of tables; begin each one with [[indicator]]")
                    };
                    let Some(list) = value.get_ref().as_array() else {
                        found.push(wrong());
                        continue;
                    };
                    for one in list.iter() {
                        let Some(table) = one.get_ref().as_table() else {
                            found.push(wrong());
                            continue;
                        };
                        self.indicator(&file, &Entry { file: &file, span: one.span(), table }, &mut found);
                    }
                }
                "product" => self.read_products(&file, value, &mut found),
                other => {
                    let what = format!("unknown key {other:?}; expected \"version\", [[product]] or [[indicator]]");
                    found.push(file.bad(&key.span(), what));
                }
            }
        }
        let is_sure =
            |fault: &SignatureError| !matches!(fault, SignatureError::Bad { line, .. } if guessed.contains(line));
        faults.extend(found.into_iter().filter(is_sure));
    }

    fn read_version(&mut self, file: &File, value: &Spanned<DeValue<'_>>) -> Result<(), SignatureError> {
        let place = file.place(&value.span());
        let version = value.get_ref().as_str().filter(|text| is_plain(text));
        let version =
            version.ok_or_else(|| file.bad(&value.span(), "the version is no text; write it like \"2026.11\""))?;
        if let Some((_, earlier)) = &self.version {
            let what = format!("the version is given a second time, first in {earlier}; keep one");
            return Err(file.bad(&value.span(), what));
        }
        self.version = Some((version.to_owned(), place));
        Ok(())
    }

    /// Reads a list of `[[product]]`, and adds what is wrong with each to `faults`.
    fn read_products(&mut self, file: &File, value: &Spanned<DeValue<'_>>, faults: &mut Vec<SignatureError>) {
        let wrong = || file.bad(&value.span(), "\"product\" is no list of tables; begin each one with [[product]]");
        let Some(list) = value.get_ref().as_array() else { return faults.push(wrong()) };
        for one in list.iter() {
            match one.get_ref().as_table() {
                Some(table) => _ = noted(self.read_product(&Entry { file, span: one.span(), table }), faults),
                None => faults.push(wrong()),
            }
        }
    }

    fn read_product(&mut self, entry: &Entry<'_>) -> Result<(), SignatureError> {
        for (key, _) in in_order(entry.table) {
            let name = key.get_ref().as_ref();
            if !["id", "name", "kind"].contains(&name) {
                let what = format!("unknown key {name:?} of a product; expected id, name and kind");
                return Err(entry.file.bad(&key.span(), what));
            }
        }
        let (id, name) = (entry.required("id")?.to_owned(), entry.required("name")?.to_owned());
        entry.required("kind")?;
        let kind = entry.one_of("kind", ProductKind::from_name, &ProductKind::ALL.map(ProductKind::name))?;
        for (key, text, taken) in [
            ("id", &id, self.products.iter().any(|known| known.id == id)),
            ("name", &name, self.products.iter().any(|known| known.name == name)),
        ] {
            if taken {
                let what = format!("the product {text:?} is declared twice; keep one of them");
                return Err(entry.file.bad(&entry.span_of(key), what));
            }
        }
        self.products.push(Product { id, name, kind });
        Ok(())
    }

    /// Keeps an indicator that is right, or adds all that is wrong with it to `faults`.
    fn indicator(&mut self, file: &File, entry: &Entry<'_>, faults: &mut Vec<SignatureError>) {
        let Some(indicator) = entry.read(faults) else { return };
        let value_span = entry.span_of("value");
        let mut found = Vec::new();
        if !self.is_proven {
            found.extend(check(&indicator).err().map(|what| file.bad(&value_span, what)));
        }
        if let Some(earlier) = self.ids.get(&indicator.id).and_then(|&at| self.places.get(at)) {
            let what = format!("id {:?} is taken by {earlier}; give each indicator an id of its own", indicator.id);
            found.push(file.bad(&entry.span_of("id"), what));
        }
        if let Some(earlier) = self.values.get(&key_of(&indicator)).and_then(|&at| self.places.get(at)) {
            let what = format!(
                "the {} {:?} is looked for twice, first in {earlier}; keep one of them",
                indicator.kind.name(),
                indicator.value
            );
            found.push(file.bad(&value_span, what));
        }
        if found.is_empty() {
            match self.count(&indicator) {
                Ok(()) => self.keep(indicator, file.place(&entry.span_of("id"))),
                Err(what) => found.push(file.bad(&value_span, what)),
            }
        }
        faults.append(&mut found);
    }

    /// Holds an indicator against the bounds of the whole set.
    fn count(&mut self, indicator: &Indicator) -> Result<(), String> {
        let regexes = match indicator.kind {
            MatchKind::Template => {
                self.template_names += template::expand(&indicator.value).map_or(0, |names| names.len());
                if self.template_names > TEMPLATE_NAMES_MAX {
                    return Err(format!(
                        "all templates together stand for more than {TEMPLATE_NAMES_MAX} names; use suffixes instead"
                    ));
                }
                return Ok(());
            }
            MatchKind::PathRegex => &mut self.path_regexes,
            MatchKind::UserAgentRegex => &mut self.agent_regexes,
            _ => return Ok(()),
        };
        *regexes += 1;
        if *regexes > texts::REGEXES_MAX {
            return Err(format!(
                "more than {} regular expressions of this kind; a set holds no more",
                texts::REGEXES_MAX
            ));
        }
        Ok(())
    }

    fn keep(&mut self, indicator: Indicator, place: Place) {
        let at = self.indicators.len();
        self.ids.insert(indicator.id.clone(), at);
        self.values.insert(key_of(&indicator), at);
        self.indicators.push(indicator);
        self.places.push(place);
    }
}

/// Two indicators with the same of this would be one.
fn key_of(indicator: &Indicator) -> (MatchKind, String) {
    let mut value = indicator.value.clone();
    for further in &indicator.also {
        value.push('\n');
        value.push_str(further);
    }
    (indicator.kind, value)
}

/// A file, and where its lines end.
struct File {
    path: Arc<str>,
    lines: Vec<usize>,
}

impl File {
    fn place(&self, span: &Range<usize>) -> Place {
        Place { path: Arc::clone(&self.path), line: 1 + self.lines.partition_point(|&end| end < span.start) }
    }

    fn bad(&self, span: &Range<usize>, what: impl Into<String>) -> SignatureError {
        let place = self.place(span);
        SignatureError::Bad { path: place.path.to_string(), line: place.line, what: what.into() }
    }
}

/// One `[[indicator]]` of a file.
struct Entry<'a> {
    file: &'a File,
    span: Range<usize>,
    table: &'a DeTable<'a>,
}

/// Keys of an indicator, in the order of the documentation.
const KEYS: [&str; 15] = [
    "id",
    "match",
    "value",
    "literal",
    "also",
    "tls_version",
    "ports",
    "category",
    "strength",
    "products",
    "engine_in",
    "era",
    "sources",
    "date",
    "note",
];
const REV: &str = "rev";

impl Entry<'_> {
    /// The indicator, or nothing and all that is wrong with it in `faults`.
    fn read(&self, faults: &mut Vec<SignatureError>) -> Option<Indicator> {
        let mut found = Vec::new();
        for (key, _) in in_order(self.table) {
            let name = key.get_ref().as_ref();
            if name != REV && !KEYS.contains(&name) {
                let what = format!("unknown key {name:?}; expected one of {}, {REV}", KEYS.join(", "));
                found.push(self.file.bad(&key.span(), what));
            }
        }
        let category =
            noted(self.one_of("category", Category::from_name, &Category::ALL.map(Category::name)), &mut found);
        let strength =
            noted(self.one_of("strength", Strength::from_name, &Strength::ALL.map(Strength::name)), &mut found);
        let kind = noted(self.one_of("match", MatchKind::from_name, &MatchKind::ALL.map(MatchKind::name)), &mut found);
        let id = category.and_then(|category| noted(self.id(category), &mut found));
        let sources = noted(self.texts("sources"), &mut found);
        if sources.as_ref().is_some_and(Vec::is_empty) {
            let what = "no source; name at least one page or document that says so, as sources = [\"https://...\"]";
            found.push(self.file.bad(&self.span_of("sources"), what));
        }
        let value = noted(self.text("value"), &mut found);
        let literal = noted(self.optional_text("literal"), &mut found);
        let also = noted(self.texts("also"), &mut found);
        let tls_version = noted(self.tls_version(), &mut found);
        let ports = noted(self.texts("ports"), &mut found);
        let products = noted(self.texts("products"), &mut found);
        let engine_in = noted(self.texts("engine_in"), &mut found);
        let era = noted(self.optional_text("era"), &mut found);
        let date = noted(self.date(), &mut found);
        let note = noted(self.optional_text("note"), &mut found);
        let rev = noted(self.rev(), &mut found);
        if let Some(kind) = kind {
            let is_regex = matches!(kind, MatchKind::PathRegex | MatchKind::UserAgentRegex);
            for (key, allowed) in [
                ("literal", is_regex),
                ("also", is_regex),
                ("tls_version", kind == MatchKind::Ja3),
                ("ports", kind == MatchKind::StreamPrefix),
            ] {
                if !allowed && let Some((span, _)) = self.find(key) {
                    let what = format!("{key:?} means nothing for match = {:?}; remove it", kind.name());
                    found.push(self.file.bad(&span, what));
                }
            }
        }
        if !found.is_empty() {
            faults.append(&mut found);
            return None;
        }
        Some(Indicator {
            id: id?,
            kind: kind?,
            value: value?.to_owned(),
            literal: literal?.map(str::to_owned),
            also: also?,
            tls_version: tls_version?,
            ports: ports?,
            category: category?,
            strength: strength?,
            products: products?,
            engine_in: engine_in?,
            era: era?.unwrap_or_default().to_owned(),
            sources: sources?,
            date: date?,
            note: note?.unwrap_or_default().to_owned(),
            rev: rev?,
        })
    }

    fn find(&self, key: &str) -> Option<(Range<usize>, &Spanned<DeValue<'_>>)> {
        let (key, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((key.span(), value))
    }

    /// Where a key stands; where the indicator begins if it has none.
    fn span_of(&self, key: &str) -> Range<usize> {
        self.find(key).map_or(self.span.clone(), |(span, _)| span)
    }

    fn optional_text(&self, key: &str) -> Result<Option<&str>, SignatureError> {
        let Some((_, value)) = self.find(key) else { return Ok(None) };
        let wrong =
            || self.file.bad(&value.span(), format!("{key:?} is no text; write it in quotes, as {key} = \"...\""));
        value.get_ref().as_str().map(Some).ok_or_else(wrong)
    }

    /// A text that a product needs.
    fn required(&self, key: &str) -> Result<&str, SignatureError> {
        let text = self.optional_text(key)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| {
            self.file.bad(&self.span_of(key), format!("this product has no {key:?}; every one needs id, name and kind"))
        })
    }

    fn text(&self, key: &str) -> Result<&str, SignatureError> {
        let text = self.optional_text(key)?.ok_or_else(|| {
            self.file.bad(&self.span, format!("this indicator has no {key:?}; every one needs id, match, value, category, strength, sources and date"))
        })?;
        if text.trim().is_empty() {
            return Err(self.file.bad(&self.span_of(key), format!("{key:?} is empty; write what it is")));
        }
        Ok(text)
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, SignatureError> {
        let Some((_, list)) = self.find(key) else { return Ok(Vec::new()) };
        let what = || format!("{key:?} is no list of texts; write it as {key} = [\"...\", \"...\"]");
        let array = list.get_ref().as_array().ok_or_else(|| self.file.bad(&list.span(), what()))?;
        array
            .iter()
            .map(|one| {
                let text = one.get_ref().as_str().filter(|text| !text.trim().is_empty());
                text.map(str::to_owned).ok_or_else(|| self.file.bad(&one.span(), what()))
            })
            .collect()
    }

    fn one_of<T>(&self, key: &str, read: impl Fn(&str) -> Option<T>, names: &[&str]) -> Result<T, SignatureError> {
        let text = self.text(key)?;
        read(text).ok_or_else(|| {
            let what = if key == "match" { "kind of match" } else { key };
            self.file.bad(&self.span_of(key), format!("unknown {what} {text:?}; expected one of {}", names.join(", ")))
        })
    }

    fn id(&self, category: Category) -> Result<String, SignatureError> {
        let id = self.text("id")?;
        let is_ours = id.get(..OUR_IDS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OUR_IDS));
        if !is_ours {
            return if is_own_id(id) {
                Ok(id.to_owned())
            } else {
                let what = format!(
                    "bad id {id:?}; an id of your own, such as ORG-000001, has at most {ID_BYTES_MAX} letters, digits, '-', '_', '.' and ':', \
                     begins with a letter or digit, and does not begin with {OUR_IDS}"
                );
                Err(self.file.bad(&self.span_of("id"), what))
            };
        }
        let expected = format!("KL-{}-", category.code());
        let digits =
            id.strip_prefix(&expected).filter(|rest| rest.len() == 4 && rest.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| (1..=NUMBER_MAX).contains(number));
        number.ok_or_else(|| {
            let what = format!(
                "bad id {id:?}; an indicator of category {:?} is named {expected}0001 to {expected}{NUMBER_MAX:04}, \
                 or in a form of your own that does not begin with {OUR_IDS}",
                category.name()
            );
            self.file.bad(&self.span_of("id"), what)
        })?;
        Ok(id.to_owned())
    }

    fn tls_version(&self) -> Result<Option<u16>, SignatureError> {
        match self.optional_text("tls_version")? {
            None => Ok(None),
            Some("1.0") => Ok(Some(0x0301)),
            Some("1.1") => Ok(Some(0x0302)),
            Some("1.2") => Ok(Some(0x0303)),
            Some("1.3") => Ok(Some(0x0304)),
            Some(other) => {
                let what = format!("unknown TLS version {other:?}; expected one of 1.0, 1.1, 1.2, 1.3");
                Err(self.file.bad(&self.span_of("tls_version"), what))
            }
        }
    }

    fn date(&self) -> Result<String, SignatureError> {
        let Some((span, value)) = self.find("date") else {
            return Err(self.file.bad(
                &self.span,
                "this indicator has no \"date\"; write the day of the last check, as date = 2026-11-23",
            ));
        };
        let day = value.get_ref().as_datetime().filter(|moment| moment.time.is_none()).and_then(|moment| moment.date);
        let day = day
            .ok_or_else(|| self.file.bad(&span, "\"date\" is no day; write it without quotes, as date = 2026-11-23"))?;
        Ok(day.to_string())
    }

    fn rev(&self) -> Result<u32, SignatureError> {
        let Some((span, value)) = self.find(REV) else { return Ok(1) };
        let number =
            value.get_ref().as_integer().and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        number
            .filter(|&number| number > 0)
            .ok_or_else(|| self.file.bad(&span, "\"rev\" is no count from 1; write it as rev = 2"))
    }
}

/// The value, or nothing and what is wrong in `faults`.
fn noted<T>(result: Result<T, SignatureError>, faults: &mut Vec<SignatureError>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

/// The keys of a table in the order of the file, so that the first thing that is wrong is the one that is named.
fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>)> {
    let by_place: BTreeMap<usize, _> = table.iter().map(|(key, value)| (key.span().start, (key, value))).collect();
    by_place.into_values().collect()
}

/// Whether an id is one that a set may give itself: it stands in lines of text, in URLs and in metadata of alerts without being quoted.
fn is_own_id(id: &str) -> bool {
    id.len() <= ID_BYTES_MAX
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

/// Whether a text is short and printable.
fn is_plain(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What is wrong with the value of an indicator, if anything is.
fn check(indicator: &Indicator) -> Result<(), String> {
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
    let matcher = texts::Texts::build(&[(super::IndicatorIndex(0), indicator)], &[indicator.kind]);
    everyday.iter().find(|text| matcher.find(text.as_bytes()).is_some()).map_or(Ok(()), |text| {
        Err(format!("{:?} also matches {text:?}, which is everyday traffic; make it more specific", indicator.value))
    })
}
