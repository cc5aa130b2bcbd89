//! How a batch gets to the other side, and when it counts as there. One file for each way.

mod connection;
mod file;
mod http;
#[cfg(feature = "kafka")]
mod kafka;
mod mail;
mod send_queue;
mod syslog;
mod tcp;
mod tls;
mod unix;

pub(super) use file::{FileTransport, Rotation, StdoutTransport};
pub(super) use http::{Address, HttpTransport, Target};
#[cfg(feature = "kafka")]
pub(super) use kafka::KafkaTransport;
pub(super) use mail::{MailTransport, Route};
pub(super) use syslog::{Form, SyslogTransport};
pub(super) use tls::Files;
pub(super) use unix::{DgramTransport, StreamTransport};

use super::Message;
use std::sync::Arc;
use std::time::Duration;

/// One way out. A batch is tried until it is delivered or refused, so after an error part of it may come twice.
pub(super) trait Transport: Send + 'static {
    /// Takes a batch to the other side and waits for its acknowledgement, where there is one.
    fn deliver(&mut self, batch: &[Arc<Message>]) -> impl Future<Output = Result<Delivered, TransportError>> + Send;

    /// What has become of earlier batches by now, where delivered is only what the system has taken.
    fn standing(&mut self) -> Standing {
        Standing::default()
    }

    /// How long it is to be left alone: it bothers people no more often than they said.
    fn ready_in(&self) -> Duration {
        Duration::ZERO
    }

    /// Opens its file anew before the next batch, reads its secret and its certificates again.
    fn reopen(&mut self) {}
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// Messages that the other side refused for good.
    pub rejected: usize,
    /// Messages to try again, in order.
    pub again: Vec<Arc<Message>>,
    /// Why, if any was refused or is to be tried again.
    pub reason: Option<String>,
    /// Whether the other side has gone and never comes back.
    pub is_closed: bool,
}

/// How many of the messages that were written last have not arrived for sure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Messages that the other side has not acknowledged. They do not count as delivered.
    pub unacknowledged: usize,
    /// Messages that a broken connection would have us write again, with the former among them. A sensor that is killed has forgotten what
    /// to write again, so they stay in the spool.
    pub unsettled: usize,
    /// Whether the connection broke and swallowed some: a batch, if only an empty one, is to be delivered now, which writes them again.
    pub is_broken: bool,
}

/// Why a batch did not get there.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// It may get there later.
    #[error("{0}")]
    Retry(String),
    /// As before, but not earlier than the other side says.
    #[error("{0}")]
    RetryAfter(String, Duration),
    /// The other side will never take it as it is: in smaller pieces, or not at all.
    #[error("{0}")]
    Reject(String),
}

impl From<std::io::Error> for TransportError {
    fn from(error: std::io::Error) -> Self {
        Self::Retry(error.to_string())
    }
}
