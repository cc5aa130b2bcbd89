//! Logs of one JSON object a line. Which log a line is of shows from `_path` where it is there, else from the fields that only that log has.

use super::cell::Cell;
use super::kind::{self, Kind};
use super::{Column, Columns, Context};
use crate::format::Emit;
use crate::reader::Malformed;
use kaspector::capture::Timestamp;
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
#[derive(Debug, Default)]
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

    pub fn written(&self, line: &[u8]) -> Option<Timestamp> {
        let object = object(line).ok()?;
        kind::written(kind_of(&object)?, &object)
    }
}
