//! What a signature file says, before it is held against what was said earlier.

use super::check::check;
use super::entry::{Entry, in_order, is_plain};
use super::place::{File, Place};
use crate::matching::Indicator;
use crate::matching::signature_set::{Product, ProductKind, SignatureError};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that a file says.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are indicators; a box would only be one more allocation for each"
)]
pub enum Statement {
    Version {
        version: String,
        place: Place,
    },
    Product {
        product: Product,
        id: Place,
        name: Place,
    },
    /// With what is wrong with its value, if anything is.
    Indicator {
        indicator: Indicator,
        wrong: Option<SignatureError>,
        id: Place,
        value: Place,
    },
    /// What is wrong, so that it says nothing.
    Fault(SignatureError),
}

impl From<SignatureError> for Statement {
    fn from(fault: SignatureError) -> Self {
        Self::Fault(fault)
    }
}

/// All that a document says, in its order. `is_proven`: each indicator by itself is known to be right.
pub fn statements(file: &File, document: &DeTable<'_>, is_proven: bool) -> Vec<Statement> {
    let mut all = Vec::new();
    for (key, value) in in_order(document) {
        match key.get_ref().as_ref() {
            "version" => all.push(version(file, value).unwrap_or_else(Statement::from)),
            "indicator" => for_each_table(file, key, value, &mut all, |entry, all| indicator(entry, is_proven, all)),
            "product" => {
                for_each_table(file, key, value, &mut all, |entry, all| {
                    all.push(product(entry).unwrap_or_else(Statement::from));
                });
            }
            other => {
                let what = format!("unknown key {other:?}; expected \"version\", [[product]] or [[indicator]]");
                all.push(file.bad(&key.span(), what).into());
            }
        }
    }
    all
}

/// Reads each table of a list of tables.
fn for_each_table(
    file: &File,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    all: &mut Vec<Statement>,
    read: impl Fn(&Entry<'_>, &mut Vec<Statement>),
) {
    let name = key.get_ref();
    let wrong =
        || file.bad(&key.span(), format!("{name:?} is no list of tables; begin each one with [[{name}]]")).into();
    let Some(list) = value.get_ref().as_array() else { return all.push(wrong()) };
    for one in list.iter() {
        match one.get_ref().as_table() {
            Some(table) => read(&Entry { file, span: one.span(), table }, all),
            None => all.push(wrong()),
        }
    }
}

fn version(file: &File, value: &Spanned<DeValue<'_>>) -> Result<Statement, SignatureError> {
    let version = value.get_ref().as_str().filter(|text| is_plain(text));
    let version =
        version.ok_or_else(|| file.bad(&value.span(), "the version is no text; write it like \"2026.11\""))?;
    Ok(Statement::Version { version: version.to_owned(), place: file.place(&value.span()) })
}

fn product(entry: &Entry<'_>) -> Result<Statement, SignatureError> {
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
    Ok(Statement::Product {
        product: Product { id, name, kind },
        id: entry.place_of("id"),
        name: entry.place_of("name"),
    })
}

fn indicator(entry: &Entry<'_>, is_proven: bool, all: &mut Vec<Statement>) {
    let mut faults = Vec::new();
    let read = entry.read(&mut faults);
    all.extend(faults.into_iter().map(Statement::Fault));
    let Some(indicator) = read else { return };
    let (id, value) = (entry.place_of("id"), entry.place_of("value"));
    let wrong = if is_proven { None } else { check(&indicator).err().map(|what| value.bad(what)) };
    all.push(Statement::Indicator { indicator, wrong, id, value });
}
