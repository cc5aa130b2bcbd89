//! How a record is written: one file for each vocabulary. Each is a function of an EVE line, its uid and the sensor's name.

mod cef;
mod chat;
mod ecs;
mod event;
mod line;
mod mail;
mod ocsf;
mod words;

pub(crate) use cef::cef;
pub(crate) use chat::{slack, teams};
pub(crate) use ecs::ecs;
pub use line::alert_line;
pub(crate) use mail::mail;
pub(crate) use ocsf::ocsf;

use super::Message;
use serde::Deserialize;
use std::sync::Arc;

/// The vocabulary that a record is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordFormat {
    /// Suricata's EVE JSON.
    #[default]
    Eve,
    /// Elastic Common Schema.
    Ecs,
    /// Open Cybersecurity Schema Framework, class 2004 (Detection Finding).
    Ocsf,
}

impl RecordFormat {
    /// The messages in this vocabulary; what is no JSON object stays as it is.
    pub(crate) fn write(self, messages: Vec<Arc<Message>>, sensor: &str) -> Vec<Arc<Message>> {
        let encode = match self {
            Self::Eve => return messages,
            Self::Ecs => ecs,
            Self::Ocsf => ocsf,
        };
        let written = |message: Arc<Message>| match encode(&message.line, &message.uid, sensor) {
            Some(line) => Arc::new(Message { line: line.into(), ..Message::clone(&message) }),
            None => message,
        };
        messages.into_iter().map(written).collect()
    }
}

#[cfg(test)]
mod tests;
