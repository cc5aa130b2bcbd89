//! Logs of one JSON object a line. Which log a line is of shows from `_path` where it is there, else from the fields that only that log has.

use super::cell::Cell;
use super::kind::{self, Kind};
use super::look::{self, RawColumns};
use super::{Column, Columns, Context};
use crate::format::Emit;
use crate::reader::Malformed;
use crate::skim::line::quoted;
use crate::skim::{Look, Looking};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Elements of a list that are kept.
const LIST_MAX: usize = 128;

/// Whether a line is one of Zeek's: it has a time, and a connection or a certificate.
pub fn is_json(line: &[u8]) -> bool {
    let has = |key: &[u8]| memchr::memmem::find(line, key).is_some();
    has(br#""ts":"#)
        && (has(br#""id.orig_h":"#) && has(br#""uid":"#) || has(br#""certificate.subject":"#) || has(br#""_path":"#))
}

/// Reads lines of one log.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonParser;

/// The columns of a line that are read.
struct Object<'a> {
    cells: Vec<(Column, Cell<'a>)>,
}

impl<'a> Columns<'a> for Object<'a> {
    fn cell(&self, column: Column) -> Option<Cell<'a>> {
        self.cells.iter().find(|(one, _)| *one == column).map(|(_, cell)| cell.clone())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut cells = Vec::with_capacity(24);
                while let Some(Key(column)) = map.next_key()? {
                    match column {
                        Some(column) => match map.next_value::<Value<'de>>()?.0 {
                            Some(cell) if cells.len() < Column::COUNT => cells.push((column, cell)),
                            _ => {}
                        },
                        None => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(Object { cells })
            }
        }
        from.deserialize_map(Reader)
    }
}

/// A key, if it is one that is read.
struct Key(Option<Column>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Key;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Column::named(text)))
            }
        }
        from.deserialize_str(Reader)
    }
}

/// A value of any type; `None` for null, objects, and empty lists.
struct Value<'a>(Option<Cell<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Value<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Value(Some(Cell::Text(Cow::Borrowed(text)))))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Value(Some(Cell::Text(Cow::Owned(text.to_owned())))))
            }

            fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(Value(Some(Cell::Flag(flag))))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Value(Some(Cell::Number(number))))
            }

            #[allow(clippy::cast_precision_loss, reason = "counts beyond 2^53 are none of a log")]
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_f64(number as f64)
            }

            #[allow(clippy::cast_precision_loss, reason = "as above")]
            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                self.visit_f64(number as f64)
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Value(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut cells = Vec::new();
                while let Some(Value(cell)) = list.next_element()? {
                    cells.extend(cell.filter(|_| cells.len() < LIST_MAX));
                }
                Ok(Value((!cells.is_empty()).then_some(Cell::List(cells))))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value(None))
            }
        }
        from.deserialize_any(Reader)
    }
}

fn object(line: &[u8]) -> Result<Object<'_>, Malformed> {
    serde_json::from_slice(line).map_err(|error| Malformed::Json(error.to_string().into()))
}

fn kind_of(object: &Object<'_>) -> Option<Kind> {
    match object.cell(Column::Path) {
        Some(path) => Kind::named(&path.text()?),
        None => Kind::with(|column| object.cells.iter().any(|(one, _)| *one == column)),
    }
}

impl JsonParser {
    pub fn parse(&mut self, line: &[u8], context: &mut Context, emit: &mut Emit<'_>) -> Result<(), Malformed> {
        let object = object(line)?;
        let Some(kind) = kind_of(&object) else { return Ok(()) };
        kind::read(kind, &object, ',', context, emit)
    }

    /// Looks at a line.
    pub fn look(line: &[u8], looking: &mut Looking<'_>) -> Look {
        let Some(object) = RawObject::new(line) else { return Look::READ };
        let kind = match object.raw(Column::Path) {
            Some(path) => std::str::from_utf8(path).ok().and_then(Kind::named),
            None => Kind::with(|column| object.raw(column).is_some()),
        };
        let Some(kind) = kind else { return Look::OTHER };
        look::look(kind, &object, looking).unwrap_or(Look::READ)
    }
}

/// The columns of a line as they are written.
struct RawObject<'a> {
    cells: [&'a [u8]; Column::COUNT],
}

impl<'a> RawObject<'a> {
    /// `None` for what is no flat object, or has an escape in it.
    fn new(line: &'a [u8]) -> Option<Self> {
        let mut cells = [&b""[..]; Column::COUNT];
        let mut rest = line.strip_prefix(b"{")?;
        loop {
            let (key, behind) = quoted(rest.strip_prefix(b"\"")?)?;
            let behind = behind.strip_prefix(b":")?;
            let (value, behind) = value(behind)?;
            let column = std::str::from_utf8(key).ok().and_then(Column::named);
            if let Some(cell) = column.and_then(|column| cells.get_mut(column as usize)) {
                *cell = value;
            }
            match behind.split_first()? {
                (b',', behind) => rest = behind,
                (b'}', []) => return Some(Self { cells }),
                _ => return None,
            }
        }
    }
}

/// A value and what follows it; of a text what stands between its quotation marks, of a list what stands between its brackets.
fn value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes.split_first()? {
        (b'"', rest) => quoted(rest),
        (b'[', rest) => {
            let mut at = 0;
            loop {
                match rest.get(at)? {
                    b']' => return Some((rest.get(..at)?, rest.get(at + 1..)?)),
                    b'"' => {
                        let (text, _) = quoted(rest.get(at + 1..)?)?;
                        at += text.len() + 2;
                    }
                    b'[' | b'{' => return None,
                    _ => at += 1,
                }
            }
        }
        (b'{', _) => None,
        _ => {
            let end = bytes.iter().position(|byte| matches!(byte, b',' | b'}'))?;
            Some(bytes.split_at(end))
        }
    }
}

impl RawColumns for RawObject<'_> {
    fn raw(&self, column: Column) -> Option<&[u8]> {
        let text = *self.cells.get(column as usize)?;
        (!text.is_empty() && text != b"null").then_some(text)
    }

    fn each(&self, column: Column, take: &mut dyn FnMut(&[u8])) {
        let Some(mut rest) = self.raw(column) else { return };
        while let Some(at) = memchr::memchr(b'"', rest) {
            let Some((text, behind)) = rest.get(at + 1..).and_then(quoted) else { return };
            take(text);
            rest = behind;
        }
    }
}
