//! Writes alerts and findings of [`kaspector`] as EVE JSON lines, JSON, CSV and tables.
//!
//! In:    [`Alert`](kaspector::matching::Alert), one at a time; a [`ScanReport`] at the end; what a site knows of itself ([`Site`]), as TOML.
//! Out:   EVE JSON lines ([`EveWriter`]); the answer of a scan, or an inventory, as JSON, CSV or a table.
//! Never: judges, reads a clock, or lets a hostile value control a terminal or a spreadsheet.

mod address_range;
mod community_id;
#[cfg(feature = "compliance")]
pub mod compliance;
mod coverage;
mod diff;
mod escape;
mod eve;
mod explanation;
mod hosts;
mod machines;
mod machines_csv;
mod makers;
mod parallel;
mod report;
#[cfg(any(test, feature = "samples"))]
#[doc(hidden)]
pub mod samples;
mod scan_csv;
mod scan_json;
mod scan_table;
mod site;
mod spelling;
mod tally;
mod uid;

pub use address_range::AddressRange;
pub use community_id::community_id;
pub use coverage::{CoveredTime, GAP_MAX, Missing, RunCoverage, RunVerdict, SharedSeen, WINDOW_MIN};
pub use diff::{HostChange, HostPart, HostsDiff, write_diff_csv, write_diff_json, write_diff_table};
pub use escape::for_terminal;
pub use eve::{EveCompat, EveKnown, EveLog, EveOrigin, EveSilence, EveStats, EveWriter, LINE_MAX, Occasion};
pub use explanation::{ExplainedInput, write_explanation};
pub use hosts::{write_hosts_csv, write_hosts_json, write_hosts_table};
pub use machines::{MachineCounts, SeenMachines, SubnetMachines};
pub use machines_csv::write_machines_csv;
pub use makers::CardMaker;
pub use report::{HostsReport, InputReport, LogReport, OnSite, ScanReport, SourceReport};
pub use scan_csv::{write_csv, write_csv_on_site};
pub use scan_json::{host, host_json, host_json_on_site, write_json, write_jsonl};
pub use scan_table::{TableStyle, host_label, write_table};
pub use site::{
    FindingState, ForReport, KnownBy, PARTICULARS, SharedAddress, SharedKind, Site, SiteEntry, SiteError,
    SiteException, SiteFault, SiteMachine, SiteSubnet,
};
pub use spelling::rfc3339;
pub use tally::{Tally, scan_capture};
pub use uid::{alert_uid, evidence_uid};
