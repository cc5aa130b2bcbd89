//! Takes messages to collectors: files, standard output, syslog, Unix sockets, HTTP, chats, mail and Kafka, each behind a spool that outlives a crash.
//!
//! In:    [`Message`]s, one at a time.
//! Out:   the same messages at each of the [`Outputs`], in order; counters of what waits, arrived and was lost.
//! Never: judges what a message says, or keeps whoever hands one in waiting.

mod delivery;
mod format;
mod message;
mod output;
mod outputs;
pub mod spool;
mod time;
mod transport;

pub use delivery::OutputStatus;
pub use format::{RecordFormat, alert_line};
pub use message::{Message, Weight};
pub use output::{HttpAuth, HttpShape, MailSecurity, OutputError, OutputSpec, SyslogBody, SyslogTransport};
pub use outputs::{Drained, OutputOptions, Outputs, OutputsError, Prepared, SpoolStatus, Watcher};
pub use spool::{Loss, Lost};
