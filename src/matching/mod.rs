//! Turns observations into evidence and verdicts.
//!
//! In:    [`Observation`](crate::inspect::Observation), and the flow it came from.
//! Out:   [`Alert`]: evidence with its place; [`HostFinding`]: what a host's evidence adds up to.
//! Never: parses captured bytes, or does I/O.

mod alert;
mod bound;
mod connection_outcome;
mod event;
mod evidence;
mod facts;
mod finding;
mod found;
mod hop_limits;
mod host_record;
mod indicator;
mod ledger;
mod link_addresses;
mod lru_map;
mod machines;
mod mail;
mod management;
mod named;
mod next_hops;
mod observe;
mod passive_dns;
mod private_address;
mod products;
mod resolved_addresses;
mod resolver_fallback;
mod server_role;
mod signature_set;
mod stored;
mod verdict;

pub use alert::{Alert, Application, FlowCounts, FlowSummary};
pub use connection_outcome::{ConnectionOutcome, Sent};
pub use event::{Answered, Ended, Event, EventKind, FlowProtocol, Opened, Resolved, ResolvedOther};
pub use evidence::{EvidenceLine, Field, HostKey, Position, SeenAs};
pub use facts::{CertificateFacts, HelloFacts};
pub use finding::HostFinding;
pub use found::Place;
pub use host_record::{HostRecord, LINES_MAX};
pub use indicator::{Category, Indicator, IndicatorIndex, MatchKind, Strength};
pub use ledger::{FLOWS_MAX as LEDGER_FLOWS_MAX, Ledger};
pub use link_addresses::{LINK_ADDRESSES_MAX, LinkAddress};
pub use machines::{
    Holder, Identified, JoinedMachines, Label, LabelKind, Lease, Machine, MachineAddress, MachineFlows, MachineTally,
    Machines, Sighting, Stated, StoredAddress, StoredIdentity, StoredLink, StoredMachines, identify,
};
pub use management::ProtocolEvidence;
pub use next_hops::NextHops;
pub use observe::{Learned, observe, observe_certificate, observe_quic_hello, observe_tls_hello};
pub use products::Alternatives;
pub use resolved_addresses::ResolvedAddresses;
pub use signature_set::{Explained, Explanation, Indicators, Product, ProductKind, SignatureError, SignatureSet};
pub use stored::{StoredHost, StoredLine, StoredNames};
pub use verdict::{Confidence, Contribution, Reasoning, Role, Verdict, judge, reason};
