//! Sizes, times and numbers, as text or as numbers of TOML.

use serde::{Deserialize, Deserializer, de};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Number(u64),
    Text(String),
}

/// A number with one of some units behind it.
fn with_unit(value: TextOrNumber, units: &[(&str, u64)], example: &str) -> Result<u64, String> {
    let text = match value {
        TextOrNumber::Number(number) => return Ok(number),
        TextOrNumber::Text(text) => text,
    };
    let split = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor =
        if unit.is_empty() { Some(1) } else { units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor) };
    let number = digits.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    number.filter(|&number| number > 0).ok_or_else(|| format!("{text:?}: expected a number with a unit, as {example}"))
}

pub(super) fn optional_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let units = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    with_unit(TextOrNumber::deserialize(deserializer)?, &units, "100M").map(Some).map_err(de::Error::custom)
}

pub(super) fn optional_age<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    age(deserializer).map(Some)
}

pub(super) fn age<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let seconds = with_unit(TextOrNumber::deserialize(deserializer)?, &units, "1d").map_err(de::Error::custom)?;
    Ok(Duration::from_secs(seconds))
}

pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = match TextOrNumber::deserialize(deserializer)? {
        TextOrNumber::Number(number) => u32::try_from(number).ok(),
        TextOrNumber::Text(text) => text.parse().ok(),
    };
    number.ok_or_else(|| de::Error::custom("expected a whole number"))
}

/// A list, or one text with commas.
pub(super) fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrList {
        Text(String),
        List(Vec<String>),
    }
    let list = match TextOrList::deserialize(deserializer)? {
        TextOrList::Text(text) => text.split(',').map(str::to_owned).collect(),
        TextOrList::List(list) => list,
    };
    Ok(list.iter().map(|address| address.trim().to_owned()).filter(|address| !address.is_empty()).collect())
}

pub(super) const fn default_every() -> Duration {
    Duration::from_mins(5)
}

pub(super) const fn default_keep() -> u32 {
    7
}

pub(super) const fn default_facility() -> u32 {
    21
}
