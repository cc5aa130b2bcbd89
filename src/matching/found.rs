//! A match on its way to an alert, and where it was made.

use super::{Alert, Application, ConnectionOutcome, EventKind, Field, FlowSummary, IndicatorIndex, SeenAs};
use crate::capture::Timestamp;

/// Longest observed value that is kept, in bytes.
pub const OBSERVED_MAX: usize = 255;

/// Where and when an observation was made.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Place<'a> {
    /// Number of the packet.
    pub packet: u64,
    /// Its time.
    pub at: Timestamp,
    /// The flow up to and including it.
    pub flow: &'a FlowSummary,
    /// Whether an earlier observation told a name for the flow.
    pub named: bool,
    /// Whether an earlier observation asked the flow's server to carry it to another: all that follows is asked of the server, too.
    pub proxied: bool,
    /// Whether the flow's client said that it passes on what another sends.
    pub passed_on: bool,
}

impl<'a> Place<'a> {
    /// At a packet of `flow`, of which earlier observations told nothing.
    #[must_use]
    pub const fn new(packet: u64, at: Timestamp, flow: &'a FlowSummary) -> Self {
        Self { packet, at, flow, named: false, proxied: false, passed_on: false }
    }
}

/// A match, on its way to an alert.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub indicator: IndicatorIndex,
    pub seen_as: SeenAs,
    pub field: Field,
    pub observed: &'a str,
    pub on_behalf: bool,
    pub asks_server: bool,
    /// Whether it is said of the flow's server.
    pub at_server: bool,
    /// How far it came, where the flow as a whole does not tell.
    pub connection_outcome: Option<ConnectionOutcome>,
}

impl<'a> Found<'a> {
    pub const fn new(indicator: IndicatorIndex, seen_as: SeenAs, field: Field, observed: &'a str) -> Self {
        Self {
            indicator,
            seen_as,
            field,
            observed,
            on_behalf: false,
            asks_server: false,
            at_server: false,
            connection_outcome: None,
        }
    }

    pub const fn asking_server(mut self) -> Self {
        self.asks_server = true;
        self
    }

    pub fn alert(&self, place: &Place<'_>, application: Application) -> EventKind {
        EventKind::Evidence(Box::new(Alert {
            at: place.at,
            packet: place.packet,
            indicator: self.indicator,
            seen_as: self.seen_as,
            connection_outcome: self.connection_outcome.unwrap_or(place.flow.connection_outcome),
            field: self.field,
            observed: cut(self.observed),
            host_is_server: self.at_server,
            on_behalf: self.on_behalf || place.passed_on && !self.at_server,
            asks_server: self.asks_server || place.proxied,
            flow: *place.flow,
            application,
        }))
    }
}

/// At most [`OBSERVED_MAX`] bytes of `text`, whole characters.
pub(super) fn cut(text: &str) -> Box<str> {
    text.get(..text.floor_char_boundary(OBSERVED_MAX)).unwrap_or(text).into()
}
