//! Maps as TOML files have them.

use super::row::Shape;
use super::{Columns, Map, MappedField, Rule};
use kaspector::capture::display_path;
use regex::bytes::RegexBuilder;
use std::path::Path;
use toml::{Table, Value};

/// What is wrong with a map.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// It cannot be read.
    #[error("{path}: cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// It is no map.
    #[error("{path}: {what}")]
    Wrong {
        /// The file.
        path: String,
        /// What is wrong, and what would be right.
        what: String,
    },
}

/// Reads a map.
pub fn read(path: &Path) -> Result<Map, MapError> {
    let name = display_path(path);
    let text = std::fs::read_to_string(path).map_err(|cause| MapError::Unreadable { path: name.clone(), cause })?;
    map(&text).map_err(|what| MapError::Wrong { path: name, what })
}

macro_rules! maps {
    ($($name:literal,)*) => {
        [$(($name, include_str!(concat!("../../maps/", $name, ".toml"))),)*]
    };
}

/// Those that come with the program; a test reads each.
pub fn builtin() -> Vec<Map> {
    FILES.iter().filter_map(|(_, text)| map(text).ok()).collect()
}

/// Their names and texts. Which of them a log is in is asked in this order.
pub const FILES: [(&str, &str); 16] = maps![
    "route53-resolver",
    "adguard-home",
    "cloudflare-gateway-dns",
    "cloudflare-gateway-http",
    "cloudflare-gateway-network",
    "cisco-umbrella",
    "aws-vpc-flow",
    "paloalto-threat",
    "paloalto-traffic",
    "fortinet",
    "cef",
    "leef",
    "w3c",
    "nginx-ssl-preread",
    "haproxy-sni",
    "powerdns",
];

const KEYS: [&str; 7] = ["format", "shape", "separator", "header", "pattern", "recognise", "zone"];
const COLUMN_KEYS: [&str; 16] = [
    "time",
    "client",
    "client-port",
    "server",
    "server-port",
    "protocol",
    "name",
    "method",
    "path",
    "user-agent",
    "status",
    "record-type",
    "response-code",
    "answers",
    "sent",
    "received",
];
const FIELDS: [(&str, MappedField); 6] = [
    ("dns.query", MappedField::Dns),
    ("tls.sni", MappedField::Tls),
    ("http.host", MappedField::Host),
    ("http.target", MappedField::Target),
    ("url", MappedField::Url),
    ("address", MappedField::Address),
];

pub(super) fn map(text: &str) -> Result<Map, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
    let records = match table.get("record") {
        None => Vec::new(),
        Some(Value::Array(all)) => all
            .iter()
            .map(|one| one.as_table().ok_or_else(|| "record: write [[record]]".to_owned()))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err("record: write [[record]]".to_owned()),
    };
    known(&table, &[&KEYS[..], &COLUMN_KEYS, &["field", "record", "time-form", "when"]].concat(), "the map")?;
    let shape = shape(&table)?;
    let common = columns(&table, &Columns::default())?;
    let rules = if records.is_empty() {
        vec![rule(&table, &Columns::default(), "the map")?]
    } else {
        let mut rules = Vec::new();
        for (number, record) in records.into_iter().enumerate() {
            let place = format!("[[record]] {}", number + 1);
            known(record, &[&COLUMN_KEYS[..], &["field", "when"]].concat(), &place)?;
            rules.push(rule(record, &common, &place)?);
        }
        rules
    };
    let is_utc = match text_of(&table, "zone")?.as_deref() {
        None => false,
        Some("UTC") => true,
        Some(other) => {
            return Err(format!("zone = {other:?}: only \"UTC\" can be said here; say others with --timezone"));
        }
    };
    Ok(Map {
        name: text_of(&table, "format")?.unwrap_or_else(|| "mapped".to_owned()),
        shape,
        recognise: texts_of(&table, "recognise")?,
        is_utc,
        time_form: text_of(&table, "time-form")?,
        rules,
    })
}

fn known(table: &Table, keys: &[&str], place: &str) -> Result<(), String> {
    match table.keys().find(|key| !keys.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(format!("{place} has an unknown key {key:?}; known are {}", keys.join(", "))),
    }
}

fn shape(table: &Table) -> Result<Shape, String> {
    let separator = match text_of(table, "separator")? {
        None => None,
        Some(text) => {
            let mut letters = text.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => Some(letter),
                _ => {
                    return Err(format!(
                        "separator = {text:?}: one character separates columns, such as \";\" or \"\\t\""
                    ));
                }
            }
        }
    };
    let header = texts_of(table, "header")?;
    let name = text_of(table, "shape")?.unwrap_or_default();
    Ok(match name.as_str() {
        "json" => Shape::Json,
        "csv" => Shape::Csv(separator.unwrap_or(','), header),
        "w3c" => Shape::W3c,
        "key-value" => Shape::Pairs,
        "cef" => Shape::Cef,
        "leef" => Shape::Leef,
        "pattern" => {
            let pattern = text_of(table, "pattern")?.ok_or(
                "shape = \"pattern\" wants a pattern with named groups, such as '^(?<client>\\S+) (?<name>\\S+)'",
            )?;
            let built = RegexBuilder::new(&pattern).unicode(false).build();
            Shape::Pattern(Box::new(built.map_err(|error| format!("pattern: {error}"))?))
        }
        _ => {
            return Err(format!("shape = {name:?}: say json, csv, w3c, key-value, cef, leef or pattern"));
        }
    })
}

fn rule(table: &Table, common: &Columns, place: &str) -> Result<Rule, String> {
    let columns = columns(table, common)?;
    let wanted = text_of(table, "field")?.unwrap_or_default();
    let names = || FIELDS.map(|(name, _)| name).join(", ");
    let (_, field) = *FIELDS.iter().find(|(name, _)| *name == wanted).ok_or_else(|| {
        format!("{place} has field = {wanted:?}: what does its name stand for? Say one of {}", names())
    })?;
    let lacks = |what: &str| format!("{place} does not say which column is its {what}");
    if columns.time.is_empty() {
        return Err(lacks("time"));
    }
    if columns.client.is_empty() {
        return Err(lacks("client"));
    }
    match field {
        MappedField::Address if columns.server.is_empty() => return Err(lacks("server")),
        MappedField::Address => {}
        _ if columns.name.is_empty() => return Err(lacks("name")),
        _ => {}
    }
    let when = match table.get("when") {
        None => Vec::new(),
        Some(Value::Table(when)) => {
            when.keys().map(|column| Ok((column.clone(), texts_of(when, column)?))).collect::<Result<_, String>>()?
        }
        Some(_) => return Err(format!("{place}: when = {{ column = \"value\" }}")),
    };
    Ok(Rule { when, field, columns })
}

fn columns(table: &Table, common: &Columns) -> Result<Columns, String> {
    let of = |key: &str, otherwise: &Vec<String>| {
        let said = texts_of(table, key)?;
        Ok::<_, String>(if said.is_empty() { otherwise.clone() } else { said })
    };
    Ok(Columns {
        time: of("time", &common.time)?,
        client: of("client", &common.client)?,
        client_port: of("client-port", &common.client_port)?,
        server: of("server", &common.server)?,
        server_port: of("server-port", &common.server_port)?,
        protocol: of("protocol", &common.protocol)?,
        name: of("name", &common.name)?,
        method: of("method", &common.method)?,
        path: of("path", &common.path)?,
        user_agent: of("user-agent", &common.user_agent)?,
        status: of("status", &common.status)?,
        record_type: of("record-type", &common.record_type)?,
        response_code: of("response-code", &common.response_code)?,
        answers: of("answers", &common.answers)?,
        sent: of("sent", &common.sent)?,
        received: of("received", &common.received)?,
    })
}

fn text_of(table: &Table, key: &str) -> Result<Option<String>, String> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{key} is a text, such as {key} = \"...\"")),
    }
}

/// One text or several.
fn texts_of(table: &Table, key: &str) -> Result<Vec<String>, String> {
    match table.get(key) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Integer(number)) => Ok(vec![number.to_string()]),
        Some(Value::Array(all)) => {
            let texts = all.iter().map(|one| match one {
                Value::String(text) => Ok(text.clone()),
                Value::Integer(number) => Ok(number.to_string()),
                _ => Err(format!("{key} is a text, a number, or a list of these")),
            });
            texts.collect()
        }
        Some(_) => Err(format!("{key} is a text, a number, or a list of these")),
    }
}
