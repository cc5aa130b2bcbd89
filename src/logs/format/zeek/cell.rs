//! What stands in one column of a line.

use super::super::clock::epoch;
use crate::timestamp;
use kaspector::capture::Timestamp;
use std::borrow::Cow;
use std::net::IpAddr;

/// Elements of a list that are looked at.
const LIST_MAX: usize = 128;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    Flag(bool),
    List(Vec<Self>),
}

impl<'a> Cell<'a> {
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within the bounds of the type by the guard"
            )]
            &Self::Number(number) => (0.0..9e15).contains(&number).then_some(number as u64),
            _ => None,
        }
    }

    pub fn flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            Self::Text(text) if text == "T" => Some(true),
            Self::Text(text) if text == "F" => Some(false),
            _ => None,
        }
    }

    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Seconds since the epoch, or a time in ISO 8601.
    pub fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Text(text) => epoch(text).or_else(|| timestamp(text)),
            Self::Number(_) => self.nanoseconds().map(Timestamp),
            _ => None,
        }
    }

    /// An interval in seconds.
    pub fn nanoseconds(&self) -> Option<u64> {
        match self {
            Self::Text(text) => epoch(text).map(|at| at.0),
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within the bounds of the type by the guard"
            )]
            &Self::Number(seconds) => (0.0..1e10).contains(&seconds).then(|| (seconds * 1e6).round() as u64 * 1_000),
            _ => None,
        }
    }

    /// The elements of a list; `separator` stands between them where it is text.
    pub fn elements(self, separator: char) -> Vec<Cell<'a>> {
        match self {
            Self::List(mut all) => {
                all.truncate(LIST_MAX);
                all
            }
            Self::Text(Cow::Borrowed(text)) => {
                text.split(separator).take(LIST_MAX).map(|one| Self::Text(one.into())).collect()
            }
            Self::Text(Cow::Owned(text)) => {
                text.split(separator).take(LIST_MAX).map(|one| Self::Text(one.to_owned().into())).collect()
            }
            other => vec![other],
        }
    }
}
