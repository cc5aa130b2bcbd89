//! Reads signature files: TOML in, indicators out, or the line that is wrong and what would be right.

mod check;
mod entry;
mod pieces;
mod place;

pub use place::Place;

use super::{Product, ProductKind, SignatureError, template, texts};
use crate::matching::{Indicator, MatchKind};
use check::check;
use entry::{Entry, in_order, is_plain, noted};
use foldhash::fast::FixedState;
use pieces::Piece;
use place::File;
use std::collections::HashMap;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// Most names that all templates of a set may stand for.
const TEMPLATE_NAMES_MAX: usize = 200_000;

/// Takes files one after the other, and keeps what they say.
#[derive(Debug, Default)]
pub struct Loader {
    /// What was read, in order.
    pub indicators: Vec<Indicator>,
    /// Where each stands.
    pub places: Vec<Place>,
    /// Products that were declared, in order.
    pub products: Vec<Product>,
    ids: HashMap<String, usize, FixedState>,
    values: HashMap<(MatchKind, String), usize, FixedState>,
    version: Option<(String, Place)>,
    template_names: usize,
    path_regexes: usize,
    agent_regexes: usize,
    /// Whether each indicator by itself is known to be right.
    is_proven: bool,
}

impl Loader {
    /// A loader that has read files which a test reads as [`Self::default`] does. It saves most of the time that loading takes: values are
    /// held against everyday traffic, and for that, regular expressions are compiled.
    ///
    /// # Errors
    /// [`SignatureError::Bad`] for the first thing that is wrong.
    pub fn of_proven_files(files: &[(&str, &str)]) -> Result<Self, SignatureError> {
        let mut loader = Self { is_proven: true, ..Self::default() };
        for (path, text) in files {
            loader.file(path, text)?;
        }
        Ok(Self { is_proven: false, ..loader })
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
        let path: Arc<str> = path.into();
        let (mut rest, mut lines_before) = (text, 0);
        while !rest.is_empty() {
            let (piece, behind) = Piece::take(rest);
            let lines: Vec<usize> = memchr::memchr_iter(b'\n', piece.text.as_bytes()).collect();
            let lines_in_it = lines.len();
            self.read_piece(&File { path: Arc::clone(&path), lines_before, lines }, piece, faults);
            lines_before += lines_in_it;
            rest = behind;
        }
    }

    fn read_piece(&mut self, file: &File, piece: Piece<'_>, faults: &mut Vec<SignatureError>) {
        // What stands on a line that is no TOML is a guess.
        let mut guessed = Vec::new();
        for error in piece.errors {
            let span = error.span().unwrap_or_default();
            let what =
                format!("not TOML: {}; see docs/signatures.md for an example", error.message().replace('\n', ", "));
            guessed.push(file.place(&span).line);
            faults.push(file.bad(&span, what));
        }
        let mut found = Vec::new();
        for (key, value) in in_order(&piece.document) {
            match key.get_ref().as_ref() {
                "version" => _ = noted(self.read_version(file, value), &mut found),
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
                        self.indicator(file, &Entry { file, span: one.span(), table }, &mut found);
                    }
                }
                "product" => self.read_products(file, value, &mut found),
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
