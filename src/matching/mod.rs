//! Turns observations into evidence and verdicts.
//!
//! In:    [`Observation`](crate::inspect::Observation), and the flow it came from.
//! Out:   [`Alert`]: evidence with its place; [`HostFinding`]: what a host's evidence adds up to.
//! Never: parses captured bytes, or does I/O.

mod evidence;
mod indicator;
mod signature_set;
mod verdict;

pub use evidence::{Alert, Application, EvidenceLine, Field, FlowSummary, HostFinding, HostKey, Position, SeenAs};
pub use indicator::{Category, Indicator, IndicatorIndex, Strength};
pub use signature_set::SignatureSet;
pub use verdict::{Confidence, Role, Verdict};
