//! The shapes that rows come in, and the columns of one.

use regex::bytes::Regex;
use std::borrow::Cow;

/// Columns of a row that are told apart.
const COLUMNS_MAX: usize = 256;
/// Names of columns that an error lists.
const LISTED_MAX: usize = 40;

/// The shape of rows.
#[derive(Debug)]
pub enum Shape {
    /// A JSON object a line.
    Json,
    /// Values with this between them, which may stand in quotation marks (RFC 4180); the first line names them unless the map does.
    Csv(char, Vec<String>),
    /// The same with blanks, and lines `#Fields:` that name them (<https://www.w3.org/TR/WD-logfile.html>).
    W3c,
    /// `name=value`, separated by blanks; a value may stand in quotation marks.
    Pairs,
    /// ArcSight's Common Event Format, behind whatever syslog puts before it.
    Cef,
    /// QRadar's Log Event Extended Format.
    Leef,
    /// A regular expression with named groups.
    Pattern(Box<Regex>),
}

impl Shape {
    pub const fn is_json(&self) -> bool {
        matches!(self, Self::Json)
    }

    /// Columns that the map names.
    pub fn columns(&self) -> Vec<String> {
        match self {
            Self::Csv(_, columns) => columns.clone(),
            _ => Vec::new(),
        }
    }

    /// Whether a line of the log says which columns there are.
    pub fn has_header(&self) -> bool {
        match self {
            Self::Csv(_, columns) => columns.is_empty(),
            Self::W3c => true,
            _ => false,
        }
    }

    /// Whether a line is one that names columns, wherever it stands.
    pub fn names_columns(&self, line: &[u8]) -> bool {
        matches!(self, Self::W3c) && line.starts_with(b"#")
    }

    /// What a line names; `is_named` when columns have names already. `None` for a row.
    pub fn names(&self, line: &str, is_named: bool) -> Option<Vec<String>> {
        match self {
            Self::W3c if line.starts_with('#') => {
                let fields = line.strip_prefix("#Fields:").unwrap_or_default();
                Some(fields.split_ascii_whitespace().map(str::to_owned).collect())
                    .filter(|all: &Vec<_>| !all.is_empty() || !is_named)
            }
            Self::Csv(separator, columns) if columns.is_empty() && !is_named => {
                let line = line.trim_start_matches('\u{feff}').trim_start_matches('#');
                Some(cells(line, *separator).into_iter().map(|cell| cell.trim().to_owned()).collect())
            }
            _ => None,
        }
    }

    /// What it is, in words.
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Json => "a JSON object",
            Self::Csv(..) => "a row of columns",
            Self::W3c => "a row behind a line #Fields:",
            Self::Pairs => "pairs of name=value",
            Self::Cef => "in CEF",
            Self::Leef => "in LEEF",
            Self::Pattern(_) => "of the form of the pattern",
        }
    }
}

/// A row.
pub enum Row<'a> {
    Json(serde_json::Value),
    Cells(&'a [String], Vec<Cow<'a, str>>),
    Pairs(Vec<(Cow<'a, str>, Cow<'a, str>)>),
}

impl<'a> Row<'a> {
    /// `None` for a line that is none of that shape.
    pub fn new(shape: &'a Shape, header: &'a [String], line: &'a str) -> Option<Self> {
        Some(match shape {
            Shape::Json => Self::Json(serde_json::from_str(line).ok().filter(serde_json::Value::is_object)?),
            Shape::Csv(separator, _) => {
                let cells = cells(line, *separator);
                if cells.len() < 2 {
                    return None;
                }
                Self::Cells(header, cells)
            }
            Shape::W3c if header.is_empty() => return None,
            Shape::W3c => Self::Cells(header, cells(line, if line.contains('\t') { '\t' } else { ' ' })),
            Shape::Pairs => Self::Pairs(pairs(line)),
            Shape::Cef => Self::Pairs(cef(line)?),
            Shape::Leef => Self::Pairs(leef(line)?),
            Shape::Pattern(pattern) => {
                let found = pattern.captures(line.as_bytes())?;
                let names = pattern.capture_names().flatten();
                let named = names.filter_map(|name| {
                    let text = std::str::from_utf8(found.name(name)?.as_bytes()).ok()?;
                    Some((Cow::Borrowed(name), Cow::Owned(text.to_owned())))
                });
                Self::Pairs(named.collect())
            }
        })
    }

    /// What stands in a column; of a JSON object at a path such as `client.ip`, or below a key that is spelled so.
    pub fn get(&self, column: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::Json(object) => spelled(at(object, column)?),
            Self::Cells(names, cells) => {
                let place = names.iter().position(|name| name == column).or_else(|| {
                    // A column without a name goes by its number, from 1.
                    column.parse::<usize>().ok()?.checked_sub(1)
                })?;
                Some(Cow::Borrowed(cells.get(place)?))
            }
            Self::Pairs(pairs) => {
                pairs.iter().find(|(name, _)| name == column).map(|(_, value)| Cow::Borrowed(&**value))
            }
        }
    }

    /// All that stands there: the elements of a list, or what commas separate.
    pub fn all(&self, column: &str) -> Vec<String> {
        if let Self::Json(object) = self {
            let (list, key) = match at(object, column) {
                Some(list) => (Some(list), None),
                // A list of objects, and a key of each.
                None => column.rsplit_once('.').map_or((None, None), |(list, key)| (at(object, list), Some(key))),
            };
            if let Some(serde_json::Value::Array(list)) = list {
                let element = |one: &serde_json::Value| match key {
                    Some(key) => one.get(key).and_then(spelled).map(Cow::into_owned),
                    None => spelled(one).map(Cow::into_owned),
                };
                return list.iter().filter_map(element).collect();
            }
        }
        let text = self.get(column).unwrap_or_default();
        text.split([',', ';', ' ']).map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
    }

    /// Its columns, for whoever looks for one in vain.
    pub fn names(&self) -> String {
        let names: Vec<String> = match self {
            Self::Json(object) => object.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect(),
            Self::Cells([], cells) => vec![format!("{} columns without names", cells.len())],
            Self::Cells(names, _) => names.to_vec(),
            Self::Pairs(pairs) => pairs.iter().map(|(name, _)| name.clone().into_owned()).collect(),
        };
        names.into_iter().take(LISTED_MAX).collect::<Vec<_>>().join(", ")
    }
}

fn at<'v>(object: &'v serde_json::Value, path: &str) -> Option<&'v serde_json::Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    at(object.get(first)?, rest)
}

fn spelled(value: &serde_json::Value) -> Option<Cow<'_, str>> {
    match value {
        serde_json::Value::String(text) => Some(Cow::Borrowed(text)),
        serde_json::Value::Number(number) => Some(Cow::Owned(number.to_string())),
        serde_json::Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        _ => None,
    }
}

/// The cells of a line.
fn cells(line: &str, separator: char) -> Vec<Cow<'_, str>> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let (cell, behind) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_cell(quoted)
        } else {
            let end = rest.find(separator).unwrap_or(rest.len());
            let (cell, behind) = rest.split_at(end);
            (Cow::Borrowed(cell), behind)
        };
        cells.push(cell);
        let end = behind.find(separator);
        match end {
            Some(end) if cells.len() < COLUMNS_MAX => {
                rest = behind.get(end + separator.len_utf8()..).unwrap_or_default()
            }
            _ => return cells,
        }
    }
}

/// What stands up to the closing quotation mark, of which two stand for one, and what follows.
fn quoted_cell(text: &str) -> (Cow<'_, str>, &str) {
    let mut from = 0;
    while let Some(end) = text.get(from..).and_then(|rest| rest.find('"')).map(|end| from + end) {
        let behind = text.get(end + 1..).unwrap_or_default();
        if !behind.starts_with('"') {
            let cell = text.get(..end).unwrap_or_default();
            let cell = if cell.contains("\"\"") { Cow::Owned(cell.replace("\"\"", "\"")) } else { Cow::Borrowed(cell) };
            return (cell, behind);
        }
        from = end + 2;
    }
    (Cow::Borrowed(text), "")
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// `name=value name="a value"`.
fn pairs(line: &str) -> Pairs<'_> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find('=').filter(|_| pairs.len() < COLUMNS_MAX) {
        let (before, behind) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
        let name = before.rsplit([' ', '\t', ',']).next().unwrap_or_default();
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => quoted_cell(quoted),
            None => {
                let end = behind.find([' ', '\t']).unwrap_or(behind.len());
                let (value, behind) = behind.split_at(end);
                (Cow::Borrowed(value), behind)
            }
        };
        pairs.push((Cow::Borrowed(name), value));
        rest = behind;
    }
    pairs
}

/// `CEF:0|Vendor|Product|Version|Class|Name|Severity|name=value ...`, in which a value may have blanks.
fn cef(line: &str) -> Option<Pairs<'_>> {
    let start = line.find("CEF:")?;
    let mut parts = line.get(start..)?.splitn(8, '|');
    parts.next()?;
    let names = ["vendor", "product", "version", "class", "event", "severity"];
    let mut all: Pairs<'_> =
        names.iter().map(|name| Some((Cow::Borrowed(*name), Cow::Borrowed(parts.next()?)))).collect::<Option<_>>()?;
    let extension = parts.next()?;
    // A name is the word in front of an equals sign that no backslash escapes.
    let equals: Vec<usize> = extension
        .match_indices('=')
        .map(|(at, _)| at)
        .filter(|&at| !extension.get(..at).unwrap_or_default().ends_with('\\'))
        .take(COLUMNS_MAX)
        .collect();
    let begin = |at: usize| extension.get(..at).and_then(|before| before.rfind(' ')).map_or(0, |blank| blank + 1);
    for (number, &at) in equals.iter().enumerate() {
        let end = equals.get(number + 1).map_or(extension.len(), |&next| begin(next));
        let (name, value) = (extension.get(begin(at)..at)?, extension.get(at + 1..end.max(at + 1))?);
        let value = value.trim_end();
        let value = if value.contains('\\') {
            Cow::Owned(value.replace("\\=", "=").replace("\\\\", "\\"))
        } else {
            Cow::Borrowed(value)
        };
        all.push((Cow::Borrowed(name), value));
    }
    Some(all)
}

/// `LEEF:1.0|Vendor|Product|Version|Event|name=value<tab>...`; version 2.0 says which separator it has.
fn leef(line: &str) -> Option<Pairs<'_>> {
    let start = line.find("LEEF:")?;
    let mut parts = line.get(start + "LEEF:".len()..)?.splitn(6, '|');
    let version = parts.next()?;
    let names = ["vendor", "product", "version", "event"];
    let mut all: Pairs<'_> =
        names.iter().map(|name| Some((Cow::Borrowed(*name), Cow::Borrowed(parts.next()?)))).collect::<Option<_>>()?;
    let mut rest = parts.next()?;
    let mut separator = '\t';
    if version.starts_with('2')
        && let Some((said, behind)) = rest.split_once('|')
    {
        let code = said.trim_start_matches("0x").trim_start_matches('x');
        let of_code = u8::from_str_radix(code, 16).ok().filter(|_| code.len() == 2).map(char::from);
        separator = of_code.or_else(|| said.chars().next()).unwrap_or('\t');
        rest = behind;
    }
    for pair in rest.split(separator).take(COLUMNS_MAX) {
        if let Some((name, value)) = pair.split_once('=') {
            all.push((Cow::Borrowed(name.trim()), Cow::Borrowed(value)));
        }
    }
    Some(all)
}
