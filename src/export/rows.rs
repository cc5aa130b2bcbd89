//! All indicators as rows: CSV and JSON.

use crate::left_out::{LeftOut, Reason};
use crate::{Options, Pack, PackFile};
use kaspector::matching::{Indicator, SignatureSet, Strength};
use serde::Serialize;
use std::io;

/// The columns of [`write_indicators_csv`].
const COLUMNS: [&str; 15] = [
    "id",
    "match",
    "value",
    "literal",
    "also",
    "ports",
    "category",
    "strength",
    "products",
    "engine_in",
    "era",
    "date",
    "rev",
    "sources",
    "note",
];

/// Every indicator that is matched, in a row with all that is known of it; those of strength `browse` if they are wanted.
#[must_use]
pub fn csv(set: &SignatureSet, options: &Options) -> Pack {
    let mut left_out = LeftOut::default();
    let mut wanted = Vec::new();
    for indicator in set.iter() {
        if !indicator.kind.is_matched() {
            left_out.add(Reason::NotMatched, indicator);
        } else if indicator.strength == Strength::Browse && !options.browse {
            left_out.add(Reason::Browse, indicator);
        } else {
            wanted.push(indicator);
        }
    }
    let mut text = Vec::new();
    // Writing to memory does not fail.
    _ = write_indicators_csv(&mut text, wanted, set);
    Pack::new(vec![PackFile::new("kaspector.csv", text)], left_out)
}

/// Writes a header and a row for each indicator (RFC 4180, lines ending in a line feed); lists within a cell are separated by `; `. The
/// last two columns say which set it is: `set_version` and `set_sha256`. A text that a spreadsheet would calculate begins with an
/// apostrophe.
///
/// # Errors
/// When `out` fails.
pub fn write_indicators_csv<'a>(
    out: &mut impl io::Write,
    indicators: impl IntoIterator<Item = &'a Indicator>,
    set: &SignatureSet,
) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record(COLUMNS.into_iter().chain(["set_version", "set_sha256"])).map_err(plain)?;
    for one in indicators {
        let rev = one.rev.to_string();
        let lists = [&one.also, &one.ports, &one.products, &one.engine_in, &one.sources].map(|list| list.join("; "));
        let [also, ports, products, engine_in, sources] = &lists;
        let cells = [
            &one.id,
            one.kind.name(),
            &one.value,
            one.literal.as_deref().unwrap_or_default(),
            also,
            ports,
            one.category.name(),
            one.strength.name(),
            products,
            engine_in,
            &one.era,
            &one.date,
            &rev,
            sources,
            &one.note,
            set.version(),
            set.sha256(),
        ];
        rows.write_record(cells.map(for_spreadsheet)).map_err(plain)?;
    }
    rows.flush()
}

/// Writes one object, schema `kaspector.signatures/1`, with all that is known of each indicator.
///
/// # Errors
/// When `out` fails.
pub fn write_indicators_json(out: &mut impl io::Write, set: &SignatureSet) -> io::Result<()> {
    let document = Document {
        schema: "kaspector.signatures/1",
        version: set.version(),
        sha256: set.sha256(),
        indicators: set.iter().map(Row::of).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

/// Keys stand in this order; the schema first, by which readers know what they have.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'a str,
    sha256: &'a str,
    indicators: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    r#match: &'static str,
    value: &'a str,
    is_matched: bool,
    literal: Option<&'a str>,
    also: &'a [String],
    ports: &'a [String],
    category: &'static str,
    strength: &'static str,
    products: &'a [String],
    engine_in: &'a [String],
    era: &'a str,
    date: &'a str,
    rev: u32,
    sources: &'a [String],
    note: &'a str,
}

impl<'a> Row<'a> {
    fn of(one: &'a Indicator) -> Self {
        Self {
            id: &one.id,
            r#match: one.kind.name(),
            value: &one.value,
            is_matched: one.kind.is_matched(),
            literal: one.literal.as_deref(),
            also: &one.also,
            ports: &one.ports,
            category: one.category.name(),
            strength: one.strength.name(),
            products: &one.products,
            engine_in: &one.engine_in,
            era: &one.era,
            date: &one.date,
            rev: one.rev,
            sources: &one.sources,
            note: &one.note,
        }
    }
}

/// A cell without control characters, which a spreadsheet takes for text.
fn for_spreadsheet(cell: &str) -> String {
    let mut out = String::with_capacity(cell.len());
    if cell.starts_with(['=', '+', '-', '@']) {
        out.push('\'');
    }
    for character in cell.chars() {
        if character.is_control() { out.extend(character.escape_default()) } else { out.push(character) }
    }
    out
}

/// The failure of the writer below, as it came: a closed pipe must be known for one.
fn plain(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
