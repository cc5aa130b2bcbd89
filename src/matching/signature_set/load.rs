//! Reads signature files: TOML in, indicators out, or the line that is wrong and what would be right.

mod check;
mod entry;
mod pieces;
mod place;
mod statement;

pub use place::Place;

use super::{Product, SignatureError, template, texts};
use crate::matching::{Indicator, MatchKind};
use foldhash::fast::FixedState;
use pieces::Piece;
use statement::Statement;
use std::collections::HashMap;

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
        pieces::read(&path.into(), text, self.is_proven, |piece| self.take(piece, faults));
    }

    fn take(&mut self, piece: Piece, faults: &mut Vec<SignatureError>) {
        let Piece { statements, errors } = piece;
        let mut found = Vec::new();
        for statement in statements {
            match statement {
                Statement::Version { version, place } => self.keep_version(version, place, &mut found),
                Statement::Product { product, id, name } => self.keep_product(product, &id, &name, &mut found),
                Statement::Indicator { indicator, wrong, id, value } => {
                    self.keep_indicator(indicator, wrong, id, &value, &mut found);
                }
                Statement::Fault(fault) => found.push(fault),
            }
        }
        // What stands on a line that is no TOML is a guess.
        found.retain(|fault| errors.iter().all(|error| error.place() != fault.place()));
        faults.extend(errors);
        faults.append(&mut found);
    }

    fn keep_version(&mut self, version: String, place: Place, faults: &mut Vec<SignatureError>) {
        match &self.version {
            Some((_, earlier)) => {
                faults.push(place.bad(format!("the version is given a second time, first in {earlier}; keep one")));
            }
            None => self.version = Some((version, place)),
        }
    }

    fn keep_product(&mut self, product: Product, id: &Place, name: &Place, faults: &mut Vec<SignatureError>) {
        for (place, text, is_taken) in [
            (id, &product.id, self.products.iter().any(|known| known.id == product.id)),
            (name, &product.name, self.products.iter().any(|known| known.name == product.name)),
        ] {
            if is_taken {
                return faults.push(place.bad(format!("the product {text:?} is declared twice; keep one of them")));
            }
        }
        self.products.push(product);
    }

    /// Keeps an indicator that is right, or adds all that is wrong with it to `faults`.
    fn keep_indicator(
        &mut self,
        indicator: Indicator,
        wrong: Option<SignatureError>,
        id: Place,
        value: &Place,
        faults: &mut Vec<SignatureError>,
    ) {
        let mut found: Vec<_> = wrong.into_iter().collect();
        if let Some(earlier) = self.ids.get(&indicator.id).and_then(|&at| self.places.get(at)) {
            let what = format!("id {:?} is taken by {earlier}; give each indicator an id of its own", indicator.id);
            found.push(id.bad(what));
        }
        if let Some(earlier) = self.values.get(&key_of(&indicator)).and_then(|&at| self.places.get(at)) {
            let what = format!(
                "the {} {:?} is looked for twice, first in {earlier}; keep one of them",
                indicator.kind.name(),
                indicator.value
            );
            found.push(value.bad(what));
        }
        if found.is_empty() {
            match self.count(&indicator) {
                Ok(()) => self.keep(indicator, id),
                Err(what) => found.push(value.bad(what)),
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
