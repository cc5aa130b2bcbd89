//! Kaspector finds the machines that run Kaspersky software by the traffic they cannot help making.
//!
//! The rooms, in the order a frame travels. A room names types only from rooms above it in this list:
//!
//! - [`capture`]: interface or file in, [`capture::Frame`] out. Parses no header.
//! - [`decode`]: a frame in, a [`decode::Segment`] out: link, network, tunnel and transport headers, fragments.
//! - [`flow`]: segments in, ordered payload of one flow out; knows no application byte.
//! - [`inspect`]: payload in, [`inspect::Observation`] out; does not know what we are looking for.
//! - [`matching`]: observations in, evidence and verdicts out; parses nothing, does no I/O.
//!
//! [`pipeline`] is the journey of one frame through the rooms.

pub mod capture;
pub mod decode;
pub mod flow;
pub mod inspect;
pub mod matching;
pub mod pipeline;
