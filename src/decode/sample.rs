//! Frames for the tests of this room, put together header by header.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use super::{Dissected, Outcome, Segment, TunnelPorts, dissect, dissect_general};
use crate::capture::{Frame, LinkType, Timestamp};
use std::net::{Ipv4Addr, Ipv6Addr};

/// What every sample carries in the end.
pub const HELLO: &[u8] = b"hello";
/// Who says it to whom, as [`said`] shows it.
pub const TCP4: &str = "10.0.0.1:1234>10.0.0.2:80/6 hello";
pub const TCP6: &str = "fd00::1:1234>fd00::2:80/6 hello";

pub fn glue(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    glue(&[&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &kind.to_be_bytes(), body])
}

/// What follows an EtherType of 0x8100 or its relatives.
pub fn tag(vlan: u16, kind: u16, body: &[u8]) -> Vec<u8> {
    glue(&[&vlan.to_be_bytes(), &kind.to_be_bytes(), body])
}

pub fn ipv4_between(src: [u8; 4], dst: [u8; 4], protocol: u8, body: &[u8]) -> Vec<u8> {
    let total = (20 + body.len()) as u16;
    glue(&[&[0x45, 0], &total.to_be_bytes(), &[0, 1, 0, 0, 64, protocol, 0, 0], &src, &dst, body])
}

pub fn ipv4(protocol: u8, body: &[u8]) -> Vec<u8> {
    ipv4_between([10, 0, 0, 1], [10, 0, 0, 2], protocol, body)
}

pub fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    let (src, dst): (Ipv6Addr, Ipv6Addr) = ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
    let length = (body.len() as u16).to_be_bytes();
    glue(&[&[0x60, 0, 0, 0], &length, &[next, 64], &src.octets(), &dst.octets(), body])
}

pub fn udp(src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    glue(&[&src_port.to_be_bytes(), &dst_port.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload])
}

/// A segment from 1234 to 80 with sequence number 7, acknowledgement 9, and PSH and ACK set.
pub fn tcp(options: &[u8], payload: &[u8]) -> Vec<u8> {
    let offset = ((20 + options.len()) / 4) as u8;
    let fixed = [4, 0xd2, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, offset << 4, 0x18, 0xff, 0xff, 0, 0, 0, 0];
    glue(&[&fixed, options, payload])
}

/// The IPv4 packet of [`TCP4`].
pub fn tcp4() -> Vec<u8> {
    ipv4(6, &tcp(&[], HELLO))
}

/// The IPv6 packet of [`TCP6`].
pub fn tcp6() -> Vec<u8> {
    ipv6(6, &tcp(&[], HELLO))
}

/// An Ethernet frame with an IPv4 tunnel packet between 192.0.2.1 and 192.0.2.2.
pub fn outer(protocol: u8, body: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4_between(Ipv4Addr::new(192, 0, 2, 1).octets(), [192, 0, 2, 2], protocol, body))
}

pub fn frame(link_type: LinkType, bytes: &[u8]) -> Frame<'_> {
    Frame { number: 1, at: Timestamp(5), link_type, wire_len: bytes.len() as u32, bytes }
}

pub fn segment(link_type: LinkType, bytes: &[u8]) -> Segment<'_> {
    match dissect(&frame(link_type, bytes)) {
        Dissected::Segment(segment) => segment,
        other => panic!("{other:?}"),
    }
}

pub fn outcome(link_type: LinkType, bytes: &[u8]) -> Outcome {
    match dissect(&frame(link_type, bytes)) {
        Dissected::Other(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

/// What a segment says, and how many bytes are missing from it.
pub fn said(segment: &Segment<'_>) -> String {
    let five = segment.five_tuple;
    let mut text = format!("{}:{}>{}:{}/{} ", five.src, five.src_port, five.dst, five.dst_port, five.protocol);
    text += &String::from_utf8_lossy(segment.payload);
    let missing = segment.payload_len as usize - segment.payload.len();
    if missing > 0 {
        text += &format!("+{missing}");
    }
    text
}

/// Checks what a good frame says, and that each of its prefixes gives something sensible: cut by the snap length, a segment or
/// [`Outcome::Truncated`]; as a whole frame of its own, anything but a panic. The short cut never differs from the long way.
pub fn check(link_type: LinkType, bytes: &[u8], expected: &str) {
    assert_eq!(said(&segment(link_type, bytes)), expected);
    let payload_len = segment(link_type, bytes).payload_len;
    for end in 0..bytes.len() {
        let whole = frame(link_type, &bytes[..end]);
        let cut = Frame { wire_len: bytes.len() as u32, ..whole };
        agrees(&whole);
        match agrees(&cut) {
            Dissected::Other(Outcome::Truncated) => {}
            Dissected::Segment(segment) => {
                assert!(segment.payload.len() <= segment.payload_len as usize);
                // All headers are there when the payload is the last thing in the frame.
                if end + payload_len as usize >= bytes.len() {
                    assert_eq!(segment.payload_len, payload_len, "{end} bytes");
                }
            }
            other => panic!("{end} bytes: {other:?}"),
        }
    }
}

/// The result of both ways through a frame, which must be the same.
pub fn agrees<'a>(frame: &Frame<'a>) -> Dissected<'a> {
    let (short, long) = (dissect(frame), dissect_general(frame, &TunnelPorts::ASSIGNED));
    match (&short, &long) {
        (Dissected::Segment(short), Dissected::Segment(long)) => assert_eq!(short, long),
        (Dissected::Other(short), Dissected::Other(long)) => assert_eq!(short, long),
        (Dissected::Fragment(short), Dissected::Fragment(long)) => assert_eq!(short.key, long.key),
        _ => panic!("{short:?} is not {long:?}"),
    }
    short
}
