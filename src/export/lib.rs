//! Writes the indicators of a [`SignatureSet`](kaspector::matching::SignatureSet) as rules and data for other programs.
//!
//! In:    a signature set, and which of it is wanted ([`Options`]).
//! Out:   a [`Pack`]: files, whose bytes follow from the set alone, and what could not be said in the format ([`LeftOut`]).
//! Never: reads a clock, touches a file, or says of a host what only several packets together show.

mod addresses;
mod left_out;
mod misp;
mod names;
mod options;
mod pack;
mod patterns;
mod rows;
mod rpz;
mod selection;
mod sid;
mod sigma;
mod snort;
mod stix;
mod suricata;
mod uuid;
mod wireshark;
mod zeek;

pub use left_out::{LeftOut, Reason};
pub use misp::misp;
pub use options::Options;
pub use pack::{Pack, PackFile};
pub use rows::{csv, write_indicators_csv, write_indicators_json};
pub use rpz::rpz;
pub use sigma::sigma;
pub use snort::snort;
pub use stix::stix;
pub use suricata::suricata;
pub use wireshark::wireshark;
pub use zeek::zeek;
