//! Takes alerts and findings to the world.
//!
//! In:    [`Alert`](crate::matching::Alert), one at a time; a [`ScanReport`] at the end.
//! Out:   EVE JSON lines ([`EveWriter`]); the answer of a scan, or an
//!        inventory, as JSON, CSV or a table; messages to collectors ([`Outputs`]).
//! Never: judges, reads a clock, or lets a hostile value control a terminal or a spreadsheet.

mod cef;
mod delivery;
mod escape;
mod eve;
mod hosts;
mod message;
mod output;
mod outputs;
mod report;
#[cfg(test)]
pub(crate) mod samples;
mod scan_csv;
mod scan_json;
mod scan_table;
mod spelling;
pub mod spool;
mod transport;
mod uid;

pub use delivery::OutputStatus;
pub use eve::{EveCompat, EveOrigin, EveStats, EveWriter, LINE_MAX, Occasion};
pub use hosts::{write_hosts_csv, write_hosts_json, write_hosts_table};
pub use message::{Message, Weight};
pub use output::{HttpAuth, HttpShape, OutputError, OutputSpec, SyslogBody, SyslogTransport};
pub use outputs::{Drained, OutputOptions, Outputs, OutputsError, Prepared, SpoolStatus, Watcher};
pub use report::{HostsReport, InputReport, ScanReport, SourceReport};
pub use scan_csv::write_csv;
pub use scan_json::{host_json, write_json};
pub use scan_table::{TableStyle, host_label, write_table};
pub use spelling::rfc3339;
pub use spool::{Loss, Lost};
pub use uid::alert_uid;
