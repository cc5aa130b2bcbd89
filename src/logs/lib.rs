//! Reads what others logged of traffic, and comes to the verdicts that [`kaspector`] would have come to by the packets.
//!
//! In:    records of Suricata's EVE log, a line at a time ([`EveReader`]).
//! Out:   the same evidence, alerts and findings as from packets, as far as the log proves them.
//! Never: claims what its writer did not keep, reads a clock, or fails at a line: what cannot be read is counted.

mod eve;
mod time;

pub use eve::{EveCounters, EveReader, FlowName, LINE_MAX, LoggedAlert, Malformed};
pub use time::timestamp;
