//! Reads what others logged of traffic, and comes to the verdicts that [`kaspector`] would have come to by the packets.
//!
//! In:    lines of logs, in the formats of [`LogFormat`]: Suricata's EVE records, Zeek's logs, resolvers and proxies ([`LogReader`]).
//! Out:   the same evidence, alerts and findings as from packets, as far as the log proves them.
//! Never: claims what its writer did not keep, reads a clock, or fails at a line: what cannot be read is counted.
//!
//! The way of a line:
//!
//! ```text
//! line -> skim -> format -> record -> transactions -> observer -> matcher, ledger
//! ```
//!
//! `skim` looks at whole blocks and passes over the lines in which nothing can matter. `format` puts a line in the words of an EVE record,
//! whatever it was written by; from there on all formats go the same way.

mod dns;
mod dnstap;
mod flows;
mod format;
mod held;
mod http;
mod observer;
mod reader;
mod record;
mod sieve;
mod skim;
mod time;
mod tls;
mod transactions;
mod watch;

pub use dnstap::as_lines;
pub use format::{Clock, Lacks, LineParser, LogFormat, MapError, Mapped, time_zone};
pub use reader::{FlowName, LINE_MAX, LogCounters, LogReader, LoggedAlert, Malformed};
pub use skim::{Skim, Skimmer};
pub use time::timestamp;
