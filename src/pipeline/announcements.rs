//! Frames without IP in which switches, telephones and machines say to their neighbours who they are.

use super::EventSink;
use crate::capture::Frame;
use crate::decode::{Announcement, AnnouncementKind, announcement};
use crate::inspect::{Statement, cdp_addresses, lldp_addresses, read_cdp, read_lldp};
use crate::matching::{Event, EventKind, Identified, Sighting};
use std::net::{IpAddr, Ipv4Addr};

/// Nobody's address: who sends these speaks for its link-layer address.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Tells what packet number `packet`, which carries no IP, announces; if it announces anything.
///
/// A machine is who says that it has an address inside. It is not joined with the link-layer address, which is one of its ports'.
#[cold]
pub(super) fn announce(packet: u64, frame: &Frame<'_>, sink: &mut impl EventSink) {
    let Some(Announcement { kind, mac, zone, payload }) = announcement(frame) else { return };
    let at = frame.at;
    let sighting = |address| Sighting::of(address, zone, None, at);
    let sighted = match kind {
        AnnouncementKind::Lldp => lldp_addresses(payload).find_map(sighting),
        AnnouncementKind::Cdp => cdp_addresses(payload).find_map(sighting),
    };
    if let Some(sighting) = sighted {
        sink.event(Event { packet, at, kind: EventKind::Sighted(sighting) });
    }
    let mut tell = |statement: Statement<'_>| {
        if let Some(said) = Identified::of(&statement, (NOBODY, NOBODY), zone, Some(mac)) {
            sink.event(Event { packet, at, kind: EventKind::Identified(Box::new(said)) });
        }
    };
    match kind {
        AnnouncementKind::Lldp => read_lldp(payload, &mut tell),
        AnnouncementKind::Cdp => read_cdp(payload, &mut tell),
    }
}
