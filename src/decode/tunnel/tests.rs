#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
use super::super::sample::*;
use super::*;
use crate::capture::Frame;
use crate::decode::{Dissected, Outcome, Tunnel, TunnelPorts, dissect_general, dissect_into};

const ETHERNET: LinkType = LinkType::ETHERNET;

fn inner() -> Vec<u8> {
    ethernet(0x0800, &tcp4())
}

/// Checks a tunnel between 192.0.2.1 and 192.0.2.2, and gives its network identifier.
fn opens(kind: TunnelKind, frame: &[u8], expected: &str) -> Option<u32> {
    check(ETHERNET, frame, expected);
    let segment = segment(ETHERNET, frame);
    let tunnel = segment.tunnel.unwrap();
    assert_eq!((tunnel.kind, tunnel.depth, tunnel.src.to_string()), (kind, 1, "192.0.2.1".to_owned()));
    segment.zone.vni
}

/// The same for tunnels that are known by what is inside: cut before that, they are datagrams.
fn opens_after_header(kind: TunnelKind, bytes: &[u8], expected: &str) -> Option<u32> {
    let segment = segment(ETHERNET, bytes);
    let tunnel = segment.tunnel.unwrap();
    assert_eq!((said(&segment).as_str(), tunnel.kind, tunnel.depth), (expected, kind, 1));
    for end in 0..bytes.len() {
        agrees(&frame(ETHERNET, &bytes[..end]));
        agrees(&Frame { wire_len: bytes.len() as u32, ..frame(ETHERNET, &bytes[..end]) });
    }
    segment.zone.vni
}

fn over(port: u16, parts: &[&[u8]]) -> Vec<u8> {
    outer(17, &udp(50_000, port, &glue(parts)))
}

/// Checks that a datagram on a tunnel's port is read as itself.
fn stays(frame: &[u8], port: u16) {
    let segment = segment(ETHERNET, frame);
    assert_eq!((segment.five_tuple.dst_port, segment.tunnel), (port, None));
}

#[test]
fn ip_in_ip_all_four() {
    for (protocol, packet, expected) in [(4, tcp4(), TCP4), (41, tcp6(), TCP6)] {
        opens(TunnelKind::IpInIp, &outer(protocol, &packet), expected);
        let frame = ethernet(0x86dd, &ipv6(protocol, &packet));
        check(ETHERNET, &frame, expected);
        assert_eq!(segment(ETHERNET, &frame).tunnel.unwrap().kind, TunnelKind::IpInIp);
    }
    opens(TunnelKind::IpInIp, &outer(137, &glue(&[&[0, 1, 0x41, 64], &tcp4()])), TCP4);
    opens(TunnelKind::IpInIp, &outer(97, &glue(&[&[0x30, 0], &inner()])), TCP4);
    assert_eq!(outcome(ETHERNET, &outer(97, &glue(&[&[0x20, 0], &inner()]))), Outcome::MalformedTunnel);
}

#[test]
fn gre_in_udp_with_each_optional_field() {
    let gre = TunnelKind::Gre;
    for (flags, fields) in [(0, 0), (0x80, 4), (0x20, 4), (0x10, 4), (0xb0, 12)] {
        opens_after_header(gre, &over(4754, &[&[flags, 0, 8, 0], &vec![9; fields], &tcp4()]), TCP4);
        opens_after_header(gre, &over(4754, &[&[flags, 0, 0x86, 0xdd], &vec![9; fields], &tcp6()]), TCP6);
    }
    let keyed = over(4754, &[&[0xa0, 0, 0x65, 0x58, 9, 9, 9, 9, 0, 0x50, 0, 7], &inner()]);
    assert_eq!(opens_after_header(gre, &keyed, TCP4), Some(0x5000));
    let labels = over(4754, &[&[0, 0, 0x88, 0x47, 0, 1, 0x41, 64], &tcp4()]);
    opens_after_header(gre, &labels, TCP4);
    stays(&over(4754, &[&[0x40, 0, 8, 0], &tcp4()]), 4754);
    stays(&over(4754, &[&[0, 1, 8, 0], &tcp4()]), 4754);
    stays(&over(4754, &[b"hello"]), 4754);
}

#[test]
fn frames_that_access_points_mirror() {
    let frame = over(37_008, &[&[1, 0, 0, 1, 10, 1, 0xd0, 1], &inner()]);
    opens_after_header(TunnelKind::Tzsp, &frame, TCP4);
    let wireless = [0x08, 1, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3, 0, 0];
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    opens_after_header(TunnelKind::Tzsp, &over(37_008, &[&[1, 0, 0, 18, 1], &wireless, &snap, &tcp4()]), TCP4);
    // A beacon.
    stays(&over(37_008, &[&[1, 0, 0, 18, 1], &[0x80; 40]]), 37_008);
}

#[test]
fn tunnels_at_ports_of_the_site() {
    let own: Vec<TunnelPort> =
        ["vxlan:14789", "geneve:16081", "gtp-u:12152", "gre:14754"].map(|text| text.parse().unwrap()).to_vec();
    let ports = TunnelPorts::with_own(&own);
    let length = (tcp4().len() as u16).to_be_bytes();
    for (kind, bytes) in [
        (TunnelKind::Vxlan, over(14789, &[&[8, 0, 0, 0, 0, 0, 9, 0], &inner()])),
        (TunnelKind::Geneve, over(16081, &[&[0, 0, 0x65, 0x58, 0, 0, 9, 0], &inner()])),
        (TunnelKind::GtpU, over(12152, &[&[0x30, 255], &length, &[0, 0, 0, 9], &tcp4()])),
        (TunnelKind::Gre, over(14754, &[&[0, 0, 8, 0], &tcp4()])),
    ] {
        let frame = frame(ETHERNET, &bytes);
        let mut place = Dissected::Other(Outcome::NotIp);
        dissect_into(&frame, &ports, &mut place);
        let Dissected::Segment(segment) = place else { panic!("{place:?}") };
        assert_eq!((said(&segment).as_str(), segment.tunnel.unwrap().kind), (TCP4, kind));
        let Dissected::Segment(general) = dissect_general(&frame, &ports) else { panic!() };
        assert_eq!(general, segment);
        // Where nobody named the port, it is a datagram.
        assert_eq!(super::super::sample::segment(ETHERNET, &bytes).tunnel, None);
    }
    // What is at the port and is none stays itself.
    let other = over(14789, &[b"hello"]);
    let Dissected::Segment(segment) = dissect_general(&frame(ETHERNET, &other), &ports) else { panic!() };
    assert_eq!((segment.five_tuple.dst_port, segment.tunnel), (14789, None));
}

#[test]
fn gre_with_each_optional_field() {
    let gre = TunnelKind::Gre;
    for (flags, fields) in [(0, 0), (0x80, 4), (0x20, 4), (0x10, 4), (0xa0, 8), (0xb0, 12)] {
        opens(gre, &outer(47, &glue(&[&[flags, 0, 8, 0], &vec![9; fields], &tcp4()])), TCP4);
        opens(gre, &outer(47, &glue(&[&[flags, 0, 0x86, 0xdd], &vec![9; fields], &tcp6()])), TCP6);
    }
    // Source routes (RFC 1701): one entry of four bytes, then the end.
    let routes = [0, 0, 0, 0, 8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0];
    opens(gre, &outer(47, &glue(&[&[0x40, 0, 8, 0], &routes, &tcp4()])), TCP4);
    // PPTP: call number, sequence, acknowledgement, then PPP; without a sequence nothing is carried.
    opens(gre, &outer(47, &glue(&[&[0x30, 0x81, 0x88, 0x0b], &[0; 12], &[0xff, 3, 0, 0x21], &tcp4()])), TCP4);
    let acknowledgement = outer(47, &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 5]);
    assert_eq!(outcome(ETHERNET, &acknowledgement), Outcome::OtherTransport);
    assert_eq!(outcome(ETHERNET, &outer(47, &[0, 2, 8, 0])), Outcome::MalformedTunnel);
    assert_eq!(outcome(ETHERNET, &outer(47, &[0x20, 0, 8, 0, 1])), Outcome::MalformedTunnel);
    // Keepalives say protocol 0.
    assert_eq!(outcome(ETHERNET, &outer(47, &[0, 0, 0, 0])), Outcome::NotIp);
    // Web cache redirection.
    opens(gre, &outer(47, &glue(&[&[0, 0, 0x88, 0x3e], &tcp4()])), TCP4);
    assert_eq!(said(&segment(ETHERNET, &outer(47, &glue(&[&[0, 0, 0x88, 0x3e, 1, 0, 0, 0], &tcp4()])))), TCP4);
}

#[test]
fn ethernet_in_gre_and_nvgre() {
    let gre = |key: &[u8]| {
        let flags = if key.is_empty() { 0 } else { 0x20 };
        opens(TunnelKind::Gre, &outer(47, &glue(&[&[flags, 0, 0x65, 0x58], key, &inner()])), TCP4)
    };
    assert_eq!(gre(&[]), None);
    assert_eq!(gre(&[0x12, 0x34, 0x56, 0x99]), Some(0x0012_3456), "the flow identifier is no part of the network's");
    assert_eq!(gre(&[0, 0, 0, 7]), Some(7), "no such subnet may be: a plain key");
}

#[test]
fn erspan_of_each_type() {
    let kind = TunnelKind::Erspan;
    opens(kind, &outer(47, &glue(&[&[0, 0, 0x88, 0xbe], &inner()])), TCP4);
    let second = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 5, 0, 1, 0, 0, 0, 0];
    opens(kind, &outer(47, &glue(&[&second, &inner()])), TCP4);
    let third = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5, 0, 1, 9, 9, 9, 9, 0, 0, 0, 0];
    opens(kind, &outer(47, &glue(&[&third, &inner()])), TCP4);
    // With a platform's own eight bytes, and with an IP packet in place of a frame.
    let mut platform = third;
    platform[19] = 1;
    opens(kind, &outer(47, &glue(&[&platform, &[7; 8], &inner()])), TCP4);
    let mut packet = third;
    packet[18] = 2 << 2;
    opens(kind, &outer(47, &glue(&[&packet, &tcp4()])), TCP4);
}

#[test]
fn vxlan_on_both_ports_with_its_network() {
    for port in [4789, 8472] {
        let frame = over(port, &[&[8, 0, 0, 0, 0, 0x12, 0x34, 0], &inner()]);
        assert_eq!(opens(TunnelKind::Vxlan, &frame, TCP4), Some(0x1234));
        let ports = Some((50_000, port));
        assert!(matches!(segment(ETHERNET, &frame).tunnel, Some(Tunnel { ports: was, .. }) if was == ports));
    }
    // Group policy; reserved bits, which receivers ignore; an outer tag gives way to an inner one.
    opens(TunnelKind::Vxlan, &over(4789, &[&[0x88, 0, 0, 9, 0, 0, 1, 0], &inner()]), TCP4);
    opens(TunnelKind::Vxlan, &over(4789, &[&[0x08, 1, 1, 1, 0, 0, 1, 1], &inner()]), TCP4);
    let tagged = ethernet(0x8100, &tag(5, 0x0800, &tcp4()));
    let mut frame = over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &tagged]);
    assert_eq!(segment(ETHERNET, &frame).zone.vlan, Some(5));
    frame.splice(12..12, [0x81, 0, 0, 7]);
    assert_eq!(segment(ETHERNET, &frame).zone.vlan, Some(5));
    assert_eq!(segment(ETHERNET, &frame).zone.inner_vlan, None);
    // Without the I bit, or without a frame inside, it is a datagram like others.
    stays(&over(4789, &[&[0; 8], &inner()]), 4789);
    stays(&over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &[0x77; 40]]), 4789);
    stays(&over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(0x0026, b"something else, long enough for that")]), 4789);
    let spanning_tree = over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(0x0026, &[0x42; 38])]);
    assert_eq!(outcome(ETHERNET, &spanning_tree), Outcome::NotIp);
    let arp = over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(0x0806, &[0; 28])]);
    assert_eq!(outcome(ETHERNET, &arp), Outcome::NotIp);
}

#[test]
fn vxlan_gpe_by_next_protocol() {
    let gpe = |flags: u8, protocol: u8| [flags, 0, 0, protocol, 0, 0, 9, 0];
    for port in [4790, 4789] {
        assert_eq!(opens(TunnelKind::Vxlan, &over(port, &[&gpe(0x0c, 1), &tcp4()]), TCP4), Some(9));
        opens(TunnelKind::Vxlan, &over(port, &[&gpe(0x0c, 2), &tcp6()]), TCP6);
        opens(TunnelKind::Vxlan, &over(port, &[&gpe(0x0c, 3), &inner()]), TCP4);
        opens(TunnelKind::Vxlan, &over(port, &[&gpe(0x0c, 4), &[0, 2, 2, 1, 0, 0, 1, 255], &tcp4()]), TCP4);
        opens(TunnelKind::Vxlan, &over(port, &[&gpe(0x0c, 5), &[0, 1, 0x41, 64], &tcp4()]), TCP4);
    }
    opens(TunnelKind::Vxlan, &over(4790, &[&gpe(0x08, 0), &inner()]), TCP4);
    stays(&over(4790, &[&gpe(0x1c, 1), &tcp4()]), 4790);
    stays(&over(4790, &[&gpe(0x0c, 99), &tcp4()]), 4790);
}

#[test]
fn geneve_with_options() {
    let frame = over(6081, &[&[2, 0, 0x65, 0x58, 0, 0, 7, 0], &[1, 1, 0x80, 1, 9, 9, 9, 9], &inner()]);
    assert_eq!(opens(TunnelKind::Geneve, &frame, TCP4), Some(7));
    opens(TunnelKind::Geneve, &over(6081, &[&[0, 0, 8, 0, 0, 0, 7, 0], &tcp4()]), TCP4);
    opens(TunnelKind::Geneve, &over(6081, &[&[0, 0, 0x86, 0xdd, 0, 0, 7, 0], &tcp6()]), TCP6);
    stays(&over(6081, &[&[0x40, 0, 8, 0, 0, 0, 7, 0], &tcp4()]), 6081);
    stays(&over(6081, &[&[0x3f, 0, 8, 0, 0, 0, 7, 0], &tcp4()]), 6081);
}

#[test]
fn gtp_u_with_extension_headers() {
    let length = |extra: usize| ((tcp4().len() + extra) as u16).to_be_bytes();
    let teid = [0, 0, 0, 1];
    opens(TunnelKind::GtpU, &over(2152, &[&[0x30, 255], &length(0), &teid, &tcp4()]), TCP4);
    // A sequence number alone; the next type counts only with the E bit.
    opens(TunnelKind::GtpU, &over(2152, &[&[0x32, 255], &length(4), &teid, &[0, 1, 0, 0x85], &tcp4()]), TCP4);
    // A PDU session container (one unit), then a container of two units.
    let extensions = [0, 0, 0, 0x85, 1, 0x10, 9, 0x84, 2, 0, 0, 0, 0, 0, 0, 0];
    opens(TunnelKind::GtpU, &over(2152, &[&[0x34, 255], &length(16), &teid, &extensions, &tcp4()]), TCP4);
    // Echo requests and the charging protocol are datagrams like others.
    stays(&over(2152, &[&[0x32, 1, 0, 4], &teid, &[0; 4]]), 2152);
    stays(&over(2152, &[&[0x20, 255], &length(0), &teid, &tcp4()]), 2152);
    stays(&over(2152, &[&[0x34, 255], &length(8), &teid, &[0, 0, 0, 0x85, 0, 0, 0, 0], &tcp4()]), 2152);
}

#[test]
fn teredo_with_its_indications() {
    let kind = TunnelKind::Teredo;
    opens(kind, &over(3544, &[&tcp6()]), TCP6);
    let authentication = glue(&[&[0, 1, 2, 3], &[9; 5], &[7; 8], &[0]]);
    let origin = [0, 0, 0xaa, 0xaa, 1, 2, 3, 4];
    opens(kind, &over(3544, &[&authentication, &tcp6()]), TCP6);
    opens(kind, &over(3544, &[&origin, &tcp6()]), TCP6);
    opens(kind, &over(3544, &[&authentication, &origin, &tcp6()]), TCP6);
    stays(&over(3544, &[&tcp4()]), 3544);
    stays(&over(3544, &[&tcp6()[..60]]), 3544);
}

#[test]
fn l2tp_with_each_optional_field() {
    let kind = TunnelKind::L2tp;
    let ppp = [0xff, 3, 0, 0x21];
    let ids = [0, 1, 0, 2];
    opens(kind, &over(1701, &[&[0, 2], &ids, &ppp, &tcp4()]), TCP4);
    opens(kind, &over(1701, &[&[0x40, 2, 0, 99], &ids, &ppp, &tcp4()]), TCP4);
    opens(kind, &over(1701, &[&[0x08, 2], &ids, &[0, 1, 0, 0], &[0x21], &tcp4()]), TCP4);
    opens(kind, &over(1701, &[&[0x02, 2], &ids, &[0, 3, 9, 9, 9], &ppp, &tcp4()]), TCP4);
    opens(kind, &over(1701, &[&[0, 2], &ids, &[0, 0x57], &tcp6()]), TCP6);
    // Control messages, and LCP.
    stays(&over(1701, &[&[0xc8, 2, 0, 12], &ids, &[0; 4]]), 1701);
    stays(&over(1701, &[&[0, 2], &ids, &[0xff, 3, 0xc0, 0x21, 1, 1, 0, 4]]), 1701);
    // Version 3 over IP, with a cookie of four bytes.
    opens(kind, &outer(115, &glue(&[&[0, 0, 0, 9], &inner()])), TCP4);
    assert_eq!(said(&segment(ETHERNET, &outer(115, &glue(&[&[0, 0, 0, 9, 7, 7, 7, 7], &inner()])))), TCP4);
    assert_eq!(outcome(ETHERNET, &outer(115, &[0; 20])), Outcome::OtherTransport);
    // Version 3 over UDP, without a cookie and with one of eight bytes and a sublayer.
    for cookie in [&[][..], &[7; 4], &[7; 12]] {
        opens(kind, &over(1701, &[&[0, 3, 0, 0, 0, 0, 0, 9], cookie, &inner()]), TCP4);
    }
    stays(&over(1701, &[&[0xc8, 3, 0, 20, 0, 0, 0, 0], &[0; 12]]), 1701);
    stays(&over(1701, &[&[0, 3, 0, 0, 0, 0, 0, 0], &inner()]), 1701);
}

#[test]
fn mpls_in_udp() {
    opens(TunnelKind::IpInIp, &over(6635, &[&[0, 1, 0x40, 64, 0, 1, 0x41, 64], &tcp4()]), TCP4);
    stays(&over(6635, &[b"just text on this port"]), 6635);
}

#[test]
fn a_tunnel_within_a_tunnel_tells_the_outermost() {
    let vxlan = over(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], &inner()]);
    let frame = outer(47, &glue(&[&[0, 0, 0x65, 0x58], &vxlan]));
    let segment = segment(ETHERNET, &frame);
    let tunnel = segment.tunnel.unwrap();
    assert_eq!((tunnel.kind, tunnel.depth, segment.zone.vni), (TunnelKind::Gre, 2, Some(1)));
}
