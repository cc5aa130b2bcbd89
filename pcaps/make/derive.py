#!/usr/bin/env python3
"""Derives captures from recorded ones: the same conversations behind other links, tunnels, cuts and file formats.

    ./derive.py              writes ../derived/ anew, captures and expected answers
    ./derive.py --check      then reads each with tshark: the encapsulation is seen, and so are the names

Everything is spelled out with struct, so that what a variant looks like can be read here, and is a function of the recorded
capture alone: the same input gives the same files. Headers that are put around packets have right lengths and checksums.
"""

import bz2
import gzip
import ipaddress
import json
import lzma
import random
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

RECORDED = Path(__file__).resolve().parent.parent
DERIVED = RECORDED / "derived"

IPV4, IPV6, ARP, VLAN, QINQ, MPLS, TEB = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x8847, 0x6558
TCP, UDP, GRE = 6, 17, 47

# --- Reading and writing capture files ---------------------------------------------------------------------------------

ETHERNET = 1


class Packet:
    """One packet: its time in nanoseconds, its bytes, and its length on the wire if that was more."""

    def __init__(self, at, data, length=None):
        self.at, self.data, self.length = at, data, length or len(data)

    def but(self, data):
        return Packet(self.at, data)


def read(name):
    """The packets of a recorded capture (written by tcpdump: little-endian, microseconds, Ethernet)."""
    data = (RECORDED / f"{name}.pcap").read_bytes()
    magic, _, _, _, _, _, link_type = struct.unpack_from("<IHHiIII", data)
    assert (magic, link_type) == (0xA1B2C3D4, ETHERNET), name
    packets, at = [], 24
    while at < len(data):
        seconds, fraction, captured, length = struct.unpack_from("<IIII", data, at)
        packets.append(Packet(seconds * 10**9 + fraction * 1000, data[at + 16 : at + 16 + captured], length))
        at += 16 + captured
    return packets


def pcap(packets, link_type=ETHERNET, order="<", nanoseconds=False, snap_length=262144):
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap_length, link_type)]
    now = 0
    for packet in packets:
        now = max(now, packet.at)  # pieces of a packet may have run into the next one
        fraction = now % 10**9 // (1 if nanoseconds else 1000)
        out.append(struct.pack(order + "IIII", now // 10**9, fraction, len(packet.data), packet.length) + packet.data)
    return b"".join(out)


def padded(data, to=4):
    return data + bytes(-len(data) % to)


def block(order, kind, body):
    """A pcapng block: type, length, body, length."""
    length = 12 + len(padded(body))
    return struct.pack(order + "II", kind, length) + padded(body) + struct.pack(order + "I", length)


def option(order, code, value):
    return struct.pack(order + "HH", code, len(value)) + padded(value)


def section(order):
    end = option(order, 0, b"")
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + option(order, 4, b"laboratory") + end)


def interface(order, link_type, resolution, name):
    options = option(order, 2, name) + option(order, 9, bytes([resolution])) + option(order, 0, b"")
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, 262144) + options)


def enhanced_packet(order, number, ticks, data):
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(order, 6, head + padded(data) + option(order, 2, struct.pack(order + "I", 1)) + option(order, 0, b""))


# --- Headers -----------------------------------------------------------------------------------------------------------


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    words = struct.unpack(f">{len(padded(data, 2)) // 2}H", padded(data, 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(kind, payload, source="02:00:00:00:00:41", destination="02:00:00:00:00:42"):
    mac = lambda text: bytes.fromhex(text.replace(":", ""))
    return mac(destination) + mac(source) + struct.pack(">H", kind) + payload


def ipv4(source, destination, protocol, payload, ident=0, fragment=0, options=b""):
    words = 5 + len(options) // 4
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, 4 * words + len(payload), ident, fragment, 64, protocol, 0)
    head += ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(source, destination, next_header, payload):
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return struct.pack(">IHBB", 0x60000000, len(payload), next_header, 64) + addresses + payload


def udp(source_port, destination_port, payload):
    """Without a checksum, as tunnels over IPv4 are allowed to."""
    return struct.pack(">HHHH", source_port, destination_port, 8 + len(payload), 0) + payload


class Ip:
    """An IPv4 or IPv6 packet without fragments and extension headers, as the recorded ones are."""

    def __init__(self, data):
        self.data = data
        self.version = data[0] >> 4
        if self.version == 4:
            self.header = 4 * (data[0] & 15)
            self.length = struct.unpack_from(">H", data, 2)[0]
            self.protocol = data[9]
            self.source, self.destination = data[12:16], data[16:20]
        else:
            self.header = 40
            self.length = 40 + struct.unpack_from(">H", data, 4)[0]
            self.protocol = data[6]
            self.source, self.destination = data[8:24], data[24:40]
        self.payload = data[self.header : self.length]

    def with_payload(self, payload, source=None, destination=None):
        """The same packet with another TCP or UDP part, lengths and checksums made right."""
        source, destination = source or self.source, destination or self.destination
        pseudo = source + destination + struct.pack(">II", len(payload), self.protocol)
        at = {TCP: 16, UDP: 6}[self.protocol]
        payload = payload[:at] + b"\0\0" + payload[at + 2 :]
        payload = payload[:at] + struct.pack(">H", checksum(pseudo + payload)) + payload[at + 2 :]
        if self.version == 4:
            ident, fragment = struct.unpack_from(">HH", self.data, 4)
            return ipv4(source, destination, self.protocol, payload, ident, fragment)
        return ipv6(source, destination, self.protocol, payload)

    def ports(self):
        return struct.unpack_from(">HH", self.payload)


class Tcp:
    """The TCP part of a packet."""

    def __init__(self, ip):
        self.ip = ip
        self.sequence, self.acknowledgement = struct.unpack_from(">II", ip.payload, 4)
        self.header = 4 * (ip.payload[12] >> 4)
        self.payload = ip.payload[self.header :]

    def segment(self, start, end):
        """The bytes from start to end of this segment, as a segment of its own."""
        head = self.ip.payload[:4] + struct.pack(">I", self.sequence + start & 0xFFFFFFFF) + self.ip.payload[8 : self.header]
        return self.ip.with_payload(head + self.payload[start:end])


def kind_of(frame):
    return struct.unpack_from(">H", frame, 12)[0]


def ip_of(frame):
    """The IP packet in an Ethernet frame, None for ARP."""
    return Ip(frame[14:]) if kind_of(frame) in (IPV4, IPV6) else None


def kind_of_ip(data):
    return {4: IPV4, 6: IPV6}[data[0] >> 4]


CLIENTS = [ipaddress.ip_network("10.20.0.0/24"), ipaddress.ip_network("2001:db8:20::/64")]


def from_client(frame):
    """Whether a frame comes from pc5, pc6 or pc7."""
    ip = ip_of(frame)
    if ip is None:
        return True
    source = ipaddress.ip_address(ip.source)
    return any(source in network for network in CLIENTS) and 53 not in ip.ports()[:1]


def client_hello_at(packets):
    """The number of the packet in which a ClientHello begins."""
    for number, packet in enumerate(packets):
        ip = ip_of(packet.data)
        if ip and ip.protocol == TCP:
            payload = Tcp(ip).payload
            if payload[:2] == b"\x16\x03" and payload[5:6] == b"\x01":
                return number
    raise AssertionError("no ClientHello")


# --- The register ------------------------------------------------------------------------------------------------------

VARIANTS = []


def variant(name, base="dns-then-tls", shows="", ending="pcap", tshark=(), **changes):
    """Registers a function that turns the base's packets into (packets, link type) or, for file formats, into bytes.

    `shows` are protocols that tshark must see, `tshark` its options; `changes` are put into the expected hosts, except for
    `opaque`: tshark does not put this protocol's segments together. The docstring is the description.
    """

    def register(function):
        VARIANTS.append((name, base, shows.split(), ending, list(tshark), changes, function))
        return function

    return register


def each_frame(function, link_type=ETHERNET):
    """A variant that turns every frame into another."""
    return lambda packets: ([packet.but(function(packet.data)) for packet in packets], link_type)


def each_ip(function):
    """A variant that turns the IP packet in every frame; ARP stays as it is."""
    return lambda packets: (
        [packet.but(function(packet.data)) if ip_of(packet.data) else packet for packet in packets],
        ETHERNET,
    )


def simple(name, description, function, **more):
    function.__doc__ = description
    variant(name, **more)(function)


# --- Links -------------------------------------------------------------------------------------------------------------


def tagged(frame, *tags):
    """Puts (EtherType, number) tags before the EtherType."""
    return frame[:12] + b"".join(struct.pack(">HH", kind, number) for kind, number in tags) + frame[12:]


simple("vlan", "In VLAN 30 (IEEE 802.1Q).", each_frame(lambda f: tagged(f, (VLAN, 30))), shows="vlan", vlan=30)
simple(
    "vlan-priority",
    "With a priority tag: VLAN 0, which is none.",
    each_frame(lambda f: tagged(f, (VLAN, 5 << 13))),
    shows="vlan",
)
simple(
    "qinq",
    "In customer VLAN 30 within service VLAN 100 (IEEE 802.1ad).",
    each_frame(lambda f: tagged(f, (QINQ, 100), (VLAN, 30))),
    shows="ieee8021ad vlan",
    vlan=100,
)
simple(
    "qinq-old",
    "In VLAN 30 within VLAN 100, both with the EtherType of 802.1Q.",
    each_frame(lambda f: tagged(f, (VLAN, 100), (VLAN, 30))),
    shows="vlan",
    vlan=100,
)


def mpls_labels(*labels):
    entries = [label << 12 | (number == len(labels) - 1) << 8 | 64 for number, label in enumerate(labels)]
    return struct.pack(f">{len(entries)}I", *entries)


simple(
    "mpls",
    "Behind two MPLS labels.",
    each_ip(lambda f: f[:12] + struct.pack(">H", MPLS) + mpls_labels(1001, 2002) + f[14:]),
    shows="mpls",
)
simple(
    "mpls-pseudowire",
    "Whole frames behind an MPLS label and a control word (RFC 4448).",
    each_frame(lambda f: ethernet(MPLS, mpls_labels(3003) + bytes(4) + f)),
    shows="mpls",
    tshark=["-d", "mpls.label==3003,pwethcw"],
)


def pppoe(frame):
    payload = struct.pack(">H", 0x21 if kind_of(frame) == IPV4 else 0x57) + frame[14:]
    return frame[:12] + struct.pack(">HBBHH", 0x8864, 0x11, 0, 7, len(payload)) + payload


simple("pppoe", "In a PPPoE session.", each_ip(pppoe), shows="pppoes ppp")


def llc_snap(frame):
    payload = b"\xaa\xaa\x03\0\0\0" + frame[12:]
    return frame[:12] + struct.pack(">H", len(payload)) + payload


simple("llc-snap", "In IEEE 802.3 frames with a length and LLC/SNAP.", each_ip(llc_snap), shows="llc")


def macsec(frame, number=[0]):
    number[0] += 1
    secured = frame[12:]
    short_length = len(secured) if len(secured) < 48 else 0
    tag = struct.pack(">HBBI", 0x88E5, 0x20, short_length, number[0]) + frame[6:12] + b"\0\1"
    return frame[:12] + tag + secured + bytes(range(16))


simple("macsec", "With a MACsec tag that authenticates but does not encrypt.", each_frame(macsec), shows="macsec")
simple(
    "nsh",
    "Behind a network service header (RFC 8300).",
    each_ip(
        lambda f: f[:12] + struct.pack(">HHBBI", 0x894F, 63 << 6 | 2, 2, 1 if kind_of(f) == IPV4 else 2, 42 << 8 | 255) + f[14:]
    ),
    shows="nsh",
)
simple(
    "padded",
    "Short frames filled up to 60 bytes, as they arrive from a wire.",
    each_frame(lambda f: f + bytes(max(0, 60 - len(f)))),
)


def only_ip(function, link_type):
    """A variant for links that carry IP alone: other frames are left out."""
    return lambda packets: ([packet.but(function(packet.data)) for packet in packets if ip_of(packet.data)], link_type)


simple("raw-ip", "Link type RAW: IP packets without a link header.", only_ip(lambda f: f[14:], 101), shows="raw")
simple(
    "bsd-null",
    "Link type NULL, as written by a little-endian machine.",
    only_ip(lambda f: struct.pack("<I", 2) + f[14:], 0),
    shows="null",
)
simple(
    "bsd-null-ipv6",
    "Link type NULL with the IPv6 family of macOS.",
    only_ip(lambda f: struct.pack("<I", 30) + f[14:], 0),
    base="ipv6-dns-then-tls",
    shows="null",
)
simple(
    "openbsd-loop",
    "Link type LOOP: the family is big-endian.",
    only_ip(lambda f: struct.pack(">I", 2) + f[14:], 108),
    shows="null",
)
simple("ppp", "Link type PPP, with address and control.", only_ip(lambda f: b"\xff\x03\0\x21" + f[14:], 9), shows="ppp")
simple(
    "ppp-hdlc", "Link type PPP_HDLC, protocol field compressed.", only_ip(lambda f: b"\xff\x03\x21" + f[14:], 50), shows="ppp"
)
simple("cisco-hdlc", "Link type C_HDLC.", only_ip(lambda f: b"\x0f\0" + f[12:], 104), shows="chdlc")


def attribute(kind, value):
    """An attribute of netfilter's log, as a little-endian machine writes it."""
    data = struct.pack("<HH", 4 + len(value), kind) + value
    return data + bytes(-len(data) % 4)


PKTAP = struct.pack("<III24sIIIIi20sIHHi20s", 108, 1, 1, b"en0", 0, 2, 14, 0, 421, b"curl", 0, 6, 0, 421, b"curl")
NFLOG = struct.pack(">BBH", 2, 0, 1) + attribute(1, struct.pack(">HBB", IPV4, 1, 0)) + attribute(10, b"kaspersky\0")
PFLOG = struct.pack(">BBBB16s16sIIIiIiB3s", 61, 2, 0, 0, b"em0", b"", 1, 0xFFFFFFFF, 0, -1, 0, -1, 2, b"")
simple("macos-pktap", "Link type PKTAP, as tcpdump writes it on macOS.", each_frame(lambda f: PKTAP + f, 258), shows="pktap")
simple(
    "netfilter-log",
    "Link type NFLOG: packets that a rule of Linux's netfilter logs.",
    only_ip(lambda f: NFLOG + attribute(9, f[14:]), 239),
    shows="nflog",
)
simple("pflog", "Link type PFLOG: packets that a rule of a BSD's filter logs.", only_ip(lambda f: PFLOG + f[14:], 117), shows="pflog")
simple(
    "frame-relay",
    "Link type FRELAY, encapsulated after RFC 2427.",
    only_ip(lambda f: b"\x18\x41\x03\xcc" + f[14:], 107),
    shows="fr",
)
simple(
    "vn-tag",
    "With the tag of a virtual switch's port.",
    each_frame(lambda f: f[:12] + struct.pack(">HHH", 0x8926, 0x8001, 2) + f[12:]),
    shows="vntag",
)
simple("fabric-path", "Within the Ethernet of a FabricPath fabric.", each_frame(lambda f: ethernet(0x8903, b"\0\x01" + f)))
simple("trill", "Within the Ethernet of a TRILL campus (RFC 6325).", each_frame(lambda f: ethernet(0x22F3, b"\0\x3f\0\1\0\2" + f)), shows="trill")


def cooked_v1(frame):
    return struct.pack(">HHH", 4 if from_client(frame) else 0, 1, 6) + frame[6:12] + b"\0\0" + frame[12:]


def cooked_v2(frame):
    head = struct.pack(">HHIHBB", kind_of(frame), 0, 3, 1, 4 if from_client(frame) else 0, 6)
    return head + frame[6:12] + b"\0\0" + frame[14:]


simple("linux-cooked-v1", "Link type LINUX_SLL, as of `tcpdump -i any`.", each_frame(cooked_v1, 113), shows="sll")
simple("linux-cooked-v2", "Link type LINUX_SLL2, as of a newer `tcpdump -i any`.", each_frame(cooked_v2, 276), shows="sll")


def wifi(frame):
    """A QoS data frame to or from the access point."""
    access_point = bytes.fromhex("0200000000aa")
    addresses = access_point + frame[6:12] + frame[0:6] if from_client(frame) else frame[0:6] + access_point + frame[6:12]
    flags = 1 if from_client(frame) else 2
    return bytes([0x88, flags, 0, 0]) + addresses + bytes(4) + b"\xaa\xaa\x03\0\0\0" + frame[12:]


RADIOTAP = struct.pack("<BBHI", 0, 0, 8, 0)
simple("wifi", "Link type IEEE802_11: data frames in the clear.", each_frame(wifi, 105), shows="wlan llc")
simple(
    "wifi-radiotap", "The same with a radiotap header.", each_frame(lambda f: RADIOTAP + wifi(f), 127), shows="radiotap wlan"
)

# --- Tunnels -----------------------------------------------------------------------------------------------------------

NEAR, FAR = "192.0.2.65", "192.0.2.66"
NEAR6, FAR6 = "2001:db8:ffff::65", "2001:db8:ffff::66"


def through(frame, protocol, payload):
    """An IPv4 tunnel packet; its ends change places with the direction of what is inside."""
    source, destination = (NEAR, FAR) if from_client(frame) else (FAR, NEAR)
    return ethernet(IPV4, ipv4(source, destination, protocol, payload))


def through6(frame, protocol, payload):
    source, destination = (NEAR6, FAR6) if from_client(frame) else (FAR6, NEAR6)
    return ethernet(IPV6, ipv6(source, destination, protocol, payload))


def over_udp(frame, port, payload):
    return through(frame, UDP, udp(49152 + len(payload) % 1000, port, payload))


def gre_header(protocol, flags=0, *words):
    return struct.pack(">HH", flags, protocol) + b"".join(struct.pack(">I", word) for word in words)


def gre_full(frame):
    """Checksum, key and sequence number."""
    rest = struct.pack(">II", 4711, 1) + frame[14:]
    head = struct.pack(">HH", 0xB000, kind_of(frame))
    return through(frame, GRE, head + struct.pack(">HH", checksum(head + bytes(4) + rest), 0) + rest)


simple("gre", "IP in GRE (RFC 2784).", each_ip(lambda f: through(f, GRE, gre_header(kind_of(f)) + f[14:])), shows="gre")
simple("gre-key", "IP in GRE with checksum, key and sequence number (RFC 2890).", each_ip(gre_full), shows="gre")
simple("gre-teb", "Ethernet in GRE.", each_frame(lambda f: through(f, GRE, gre_header(TEB) + f)), shows="gre eth")
simple(
    "nvgre",
    "Ethernet in GRE with a subnet identifier (RFC 7637).",
    each_frame(lambda f: through(f, GRE, gre_header(TEB, 0x2000, 5001 << 8 | 1) + f)),
    shows="gre eth",
)
simple(
    "wccp",
    "IP in GRE as routers redirect it to a web cache, with a redirect header.",
    each_ip(lambda f: through(f, GRE, gre_header(0x883E) + bytes(4) + f[14:])),
    shows="gre",
)


def pptp(frame):
    payload = b"\xff\x03" + struct.pack(">H", 0x21) + frame[14:]
    return through(frame, GRE, struct.pack(">HHHHI", 0x3001, 0x880B, len(payload), 17, 1) + payload)


simple("pptp", "IP in PPP in enhanced GRE (RFC 2637).", each_ip(pptp), shows="gre ppp")


def mirrored(frame, payload):
    """ERSPAN packets go one way, from the switch to the collector."""
    return ethernet(IPV4, ipv4(NEAR, FAR, GRE, payload))


ERSPAN2 = struct.pack(">HHI", 1 << 12 | 20, 3 << 11 | 33, 7)
ERSPAN3 = struct.pack(">HHIHH", 2 << 12 | 20, 33, 123456, 0, 1) + bytes(8)
simple("erspan1", "Mirrored by ERSPAN type I.", each_frame(lambda f: mirrored(f, gre_header(0x88BE) + f)), shows="gre erspan")
simple(
    "erspan2",
    "Mirrored by ERSPAN type II.",
    each_frame(lambda f: mirrored(f, gre_header(0x88BE, 0x1000, 1) + ERSPAN2 + f)),
    shows="gre erspan",
)
simple(
    "erspan3",
    "Mirrored by ERSPAN type III, with the platform's own subheader.",
    each_frame(lambda f: mirrored(f, gre_header(0x22EB, 0x1000, 1) + ERSPAN3 + f)),
    shows="gre erspan",
)


def vxlan_payload(frame, network=5001):
    return struct.pack(">II", 0x08000000, network << 8) + frame


simple(
    "gre-in-udp",
    "IP in GRE with a key, in UDP (RFC 8086).",
    each_ip(lambda f: over_udp(f, 4754, gre_header(IPV4, 0x2000, 7) + f[14:])),
    tshark=["-d", "udp.port==4754,gre"],
    shows="gre",
)
simple(
    "tzsp",
    "Mirrored by an access point (TZSP).",
    each_frame(lambda f: over_udp(f, 37008, b"\x01\0\0\x01\x0a\x01\xd0\x01" + f)),
    tshark=["-d", "udp.port==37008,tzsp"],
    shows="tzsp",
)
simple("vxlan", "Ethernet in VXLAN network 5001.", each_frame(lambda f: over_udp(f, 4789, vxlan_payload(f))), shows="vxlan")
simple(
    "vxlan-linux-port",
    "VXLAN at the port that Linux used first.",
    each_frame(lambda f: over_udp(f, 8472, vxlan_payload(f))),
    tshark=["-d", "udp.port==8472,vxlan"],
    shows="vxlan",
)
simple(
    "vxlan-gpe",
    "IP in VXLAN with the generic protocol extension.",
    each_ip(lambda f: over_udp(f, 4790, struct.pack(">II", 0x0C000001, 5001 << 8) + f[14:])),
)
GENEVE = struct.pack(">BBHI", 2, 0, TEB, 5001 << 8) + struct.pack(">HBBI", 0x0102, 1, 1, 0xC0FFEE)
simple(
    "geneve",
    "Ethernet in GENEVE, with an option (RFC 8926).",
    each_frame(lambda f: over_udp(f, 6081, GENEVE + f)),
    shows="geneve",
)
simple(
    "mpls-in-udp",
    "An MPLS label in UDP (RFC 7510).",
    each_ip(lambda f: over_udp(f, 6635, mpls_labels(1001) + f[14:])),
    shows="mpls",
)


def gtp_u(frame):
    extension = struct.pack(">HBB", 1, 0, 0x85) + bytes([1, 0, 9, 0])
    payload = extension + frame[14:]
    return over_udp(frame, 2152, struct.pack(">BBHI", 0x34, 255, len(payload), 0xCAFE) + payload)


simple("gtp-u", "A subscriber's IP in GTP-U, with a PDU session container.", each_ip(gtp_u), shows="gtp")


def l2tp(frame):
    payload = b"\xff\x03\0\x21" + frame[14:]
    return through(frame, UDP, udp(1701, 1701, struct.pack(">HHHH", 0x4002, 8 + len(payload), 11, 22) + payload))


simple("l2tp", "IP in PPP in L2TP (RFC 2661).", each_ip(l2tp), shows="l2tp ppp")
simple(
    "l2tp-v3",
    "Ethernet in L2TPv3 over IP, with a cookie of four bytes.",
    each_frame(lambda f: through(f, 115, struct.pack(">II", 77, 0xC00C1E00) + f)),
    shows="l2tp",
    tshark=["-o", "l2tp.cookie_size:4 Byte Cookie", "-o", "l2tp.l2_specific:None", "-d", "l2tp.pw_type==0,eth"],
)


def teredo(frame):
    origin = b"" if from_client(frame) else struct.pack(">HHI", 0, 40000 ^ 0xFFFF, 0xC0000241 ^ 0xFFFFFFFF)
    return through(frame, UDP, udp(*((40000, 3544) if from_client(frame) else (3544, 40000)), origin + frame[14:]))


simple(
    "teredo", "IPv6 in Teredo, with an origin indication one way.", each_ip(teredo), base="ipv6-dns-then-tls", shows="teredo"
)
simple("ip-in-ip", "IPv4 in IPv4 (RFC 2003).", each_ip(lambda f: through(f, 4, f[14:])), shows="ip")
simple("6in4", "IPv6 in IPv4 (RFC 4213).", each_ip(lambda f: through(f, 41, f[14:])), base="ipv6-dns-then-tls", shows="ipv6")
simple("4in6", "IPv4 in IPv6 (RFC 2473).", each_ip(lambda f: through6(f, 4, f[14:])), shows="ipv6")
simple("6in6", "IPv6 in IPv6 (RFC 2473).", each_ip(lambda f: through6(f, 41, f[14:])), base="ipv6-dns-then-tls", shows="ipv6")
simple(
    "nested",
    "Ethernet in VXLAN in GRE, in VLAN 30.",
    each_frame(lambda f: tagged(through(f, GRE, gre_header(IPV4) + over_udp(f, 4789, vxlan_payload(f))[14:]), (VLAN, 30))),
    shows="vlan gre vxlan",
    vlan=30,
)
simple(
    "nested-mirror",
    "A GENEVE overlay, mirrored by ERSPAN type II.",
    each_frame(lambda f: mirrored(f, gre_header(0x88BE, 0x1000, 1) + ERSPAN2 + over_udp(f, 6081, GENEVE + f))),
    shows="erspan geneve",
)


def opened_vxlan(packet):
    """Network identifier and inner frame of a packet of the recorded VXLAN capture; None for other packets."""
    ip = ip_of(packet.data)
    if ip is None or ip.protocol != UDP or ip.ports()[1] != 4789:
        return None
    return struct.unpack_from(">I", ip.payload, 12)[0] >> 8, ip.payload[16:]


def opened_tenants(*outer):
    def function(packets):
        inner = [(packet, *opened_vxlan(packet)) for packet in packets if opened_vxlan(packet)]
        return [packet.but(tagged(frame, *outer, (VLAN, network))) for packet, network, frame in inner], ETHERNET

    return function


simple(
    "two-tenants-vlan",
    "The two tenants in VLAN 100 and 200 of one wire instead.",
    opened_tenants(),
    base="two-tenants",
    shows="vlan",
    vlan=100,
)
simple(
    "two-tenants-qinq",
    "The two tenants in customer VLAN 100 and 200 of service VLAN 10.",
    opened_tenants((QINQ, 10)),
    base="two-tenants",
    shows="ieee8021ad vlan",
    vlan=10,
)

# --- Fragments ---------------------------------------------------------------------------------------------------------


def fragments4(data, size, overlap=0):
    """The IPv4 packet in fragments of `size` bytes (a multiple of eight); each may repeat the end of the one before."""
    ip = Ip(data)
    if len(ip.payload) <= size:
        return [data]
    ident = struct.unpack_from(">H", data, 4)[0] or 1
    out = []
    for start in range(0, len(ip.payload), size):
        end = start + size
        begin = max(0, start - overlap)
        more = 0x2000 if end < len(ip.payload) else 0
        out.append(ipv4(ip.source, ip.destination, ip.protocol, ip.payload[begin:end], ident, more | begin // 8))
    return out


def fragments6(data, size):
    ip = Ip(data)
    if len(ip.payload) <= size:
        return [data]
    out = []
    for start in range(0, len(ip.payload), size):
        more = start + size < len(ip.payload)
        head = struct.pack(">BBHI", ip.protocol, 0, start | more, zlib.crc32(data))
        out.append(ipv6(ip.source, ip.destination, 44, head + ip.payload[start : start + size]))
    return out


def in_fragments(cut, arrange=lambda parts: parts):
    """Every IP packet in fragments, which are then arranged; a microsecond lies between them."""

    def function(packets):
        out = []
        for packet in packets:
            ip = ip_of(packet.data)
            parts = [packet.data[:14] + part for part in cut(packet.data[14:])] if ip else [packet.data]
            out += [Packet(packet.at + 1000 * number, part) for number, part in enumerate(arrange(parts))]
        return out, ETHERNET

    return function


def shuffled(parts):
    parts = list(parts)
    random.Random(zlib.crc32(b"".join(parts))).shuffle(parts)
    return parts


cut4 = lambda data: fragments4(data, 128)
simple("ipv4-fragments", "Every IPv4 packet in fragments of 128 bytes.", in_fragments(cut4), base="tls-post-quantum")
simple(
    "ipv4-fragments-reversed",
    "In fragments, the last one first.",
    in_fragments(cut4, lambda parts: parts[::-1]),
    base="tls-post-quantum",
)
simple("ipv4-fragments-shuffled", "In fragments of any order.", in_fragments(cut4, shuffled), base="tls-post-quantum")
simple(
    "ipv4-fragments-overlapping",
    "In fragments, each of which repeats 16 bytes of the one before.",
    in_fragments(lambda data: fragments4(data, 128, 16)),
    base="tls-post-quantum",
)
simple(
    "ipv4-fragments-tiny",
    "In fragments of eight bytes: the ports stand in the first, the flags in the second.",
    in_fragments(lambda data: fragments4(data, 8)),
    base="dns-then-tls",
)
simple(
    "ipv6-fragments",
    "Every IPv6 packet in fragments of 128 bytes.",
    in_fragments(lambda data: fragments6(data, 128)),
    base="ipv6-dns-then-tls",
)
simple(
    "ipv6-fragments-shuffled",
    "In fragments of any order.",
    in_fragments(lambda data: fragments6(data, 128), shuffled),
    base="ipv6-dns-then-tls",
)
simple(
    "quic-fragments",
    "QUIC packets in IPv4 fragments of any order.",
    in_fragments(lambda data: fragments4(data, 480), shuffled),
    base="quic-v1",
)


def vxlan_in_fragments(packets):
    out = []
    for packet in packets:
        outer = over_udp(packet.data, 4789, vxlan_payload(packet.data))
        ip = Ip(outer[14:])
        whole = ipv4(ip.source, ip.destination, UDP, ip.payload, packet.at // 1000 & 0xFFFF or 1)
        out += [Packet(packet.at + 1000 * n, outer[:14] + part) for n, part in enumerate(fragments4(whole, 256))]
    return out, ETHERNET


simple("vxlan-fragments", "In VXLAN, whose own packets are in fragments.", vxlan_in_fragments, shows="vxlan")


def with_options(frame):
    ip = ip_of(frame)
    ident, fragment = struct.unpack_from(">HH", ip.data, 4)
    return frame[:14] + ipv4(ip.source, ip.destination, ip.protocol, ip.payload, ident, fragment, b"\x94\x04\0\0\x01\x01\x01\0")


def with_extensions(frame):
    """Hop-by-hop options, a routing header that is used up, destination options."""
    ip = ip_of(frame)
    pad = b"\x01\x04\0\0\0\0"
    chain = bytes([43, 0]) + pad + bytes([60, 0, 253, 0, 0, 0, 0, 0]) + bytes([ip.protocol, 0]) + pad
    return frame[:14] + ipv6(ip.source, ip.destination, 0, chain + ip.payload)


simple("ipv4-options", "IPv4 headers with options.", each_ip(with_options))
simple("ipv6-extensions", "IPv6 headers with three extension headers.", each_ip(with_extensions), base="ipv6-dns-then-tls")

# --- TCP ---------------------------------------------------------------------------------------------------------------

OUT_OF_ORDER = ["-o", "tcp.reassemble_out_of_order:TRUE"]


def hello_in_pieces(cut, arrange=lambda parts: parts):
    """The packet that begins the ClientHello in several segments; a microsecond lies between them."""

    def function(packets):
        number = client_hello_at(packets)
        packet = packets[number]
        tcp = Tcp(ip_of(packet.data))
        parts = [tcp.segment(start, end) for start, end in cut(len(tcp.payload))]
        pieces = [Packet(packet.at + 1000 * n, packet.data[:14] + part) for n, part in enumerate(arrange(parts))]
        return packets[:number] + pieces + packets[number + 1 :], ETHERNET

    return function


def pieces(size, overlap=0):
    return lambda length: [(max(0, start - overlap), min(length, start + size)) for start in range(0, length, size)]


simple("one-byte-segments", "The ClientHello in segments of one byte.", hello_in_pieces(pieces(1)))
simple("reordered", "The ClientHello in segments of any order.", hello_in_pieces(pieces(40), shuffled), tshark=OUT_OF_ORDER)
simple(
    "reversed",
    "The ClientHello in segments, the last one first.",
    hello_in_pieces(pieces(40), lambda parts: parts[::-1]),
    tshark=OUT_OF_ORDER,
)
simple(
    "overlapping",
    "The ClientHello in segments, each of which repeats 30 bytes of the one before.",
    hello_in_pieces(pieces(40, 30)),
    tshark=OUT_OF_ORDER,
)
simple(
    "duplicated",
    "Every packet twice, as from a mirror of two ports.",
    lambda packets: ([Packet(p.at + n * 2000, p.data) for p in packets for n in (0, 1)], ETHERNET),
)


def all_in_pieces(size):
    """Every TCP payload, of both sides, in segments of `size` bytes."""

    def function(packets):
        out = []
        for packet in packets:
            ip = ip_of(packet.data)
            length = len(Tcp(ip).payload) if ip and ip.protocol == TCP else 0
            if length <= size:
                out.append(packet)
                continue
            for number, (start, end) in enumerate(pieces(size)(length)):
                out.append(Packet(packet.at + 1000 * number, packet.data[:14] + Tcp(ip).segment(start, end)))
        return out, ETHERNET

    return function


for base, size, more in [
    ("dns-over-tcp", 1, {}),
    ("http-update", 3, {}),
    ("http-keepalive", 5, {}),
    ("http-body-imitates-request", 5, {}),
    ("http-proxy-connect", 7, {"tshark": ["-d", "tcp.port==8888,http"]}),
    ("http-proxy-absolute", 3, {"tshark": ["-d", "tcp.port==8888,http"]}),
    ("socks5-password", 2, {"opaque": True}),
    ("socks4a", 2, {"opaque": True}),
    ("starttls-smtp", 11, {}),
    ("starttls-imap", 11, {}),
    ("starttls-pop3", 11, {}),
    ("tls-hello-in-records", 7, {}),
    ("tls-hello-retry", 11, {}),
    ("tls12-certificate", 5, {}),
    ("body-chunked", 1, {}),
    ("body-gzip", 3, {}),
    ("body-keepalive", 7, {}),
    ("ftp-update", 2, {}),
    ("syslog-cef-counted", 3, {}),
    ("mail-gateway", 3, {}),
    ("mail-gateway-in-chunks", 5, {}),
    ("mail-from-elsewhere", 7, {}),
]:
    description = f"TCP payloads in segments of {size} bytes.".replace(" 1 bytes", " one byte")
    simple(f"{base}-in-pieces", description, all_in_pieces(size), base=base, **more)


def swapped_at_hello(packets):
    """Changes the packet that begins the hello with the next one of the same sender."""
    number = next(n for n, p in enumerate(packets) if ip_of(p.data) and len(p.data) > 1000 and from_client(p.data))
    first, second = packets[number : number + 2]
    assert first.data[6:12] == second.data[6:12]
    swapped = [first.but(second.data), second.but(first.data)]
    return packets[:number] + swapped + packets[number + 2 :], ETHERNET


simple(
    "tls-post-quantum-swapped",
    "The two segments of the hello have changed places.",
    swapped_at_hello,
    base="tls-post-quantum",
    tshark=OUT_OF_ORDER,
)
simple(
    "browser-quic-swapped", "The two Initial packets of the hello have changed places.", swapped_at_hello, base="browser-quic"
)


def sequence_wraps(packets):
    """Shifts the client's sequence numbers so that they pass zero within the ClientHello."""
    hello = Tcp(ip_of(packets[client_hello_at(packets)].data))
    shift = 2**32 - 100 - hello.sequence
    client = hello.ip.source
    out = []
    for packet in packets:
        ip = ip_of(packet.data)
        if ip and ip.protocol == TCP:
            tcp, at = Tcp(ip), 4 if ip.source == client else 8
            value = tcp.sequence if at == 4 else tcp.acknowledgement
            flags = ip.payload[13]
            if at == 4 or flags & 0x10:
                moved = struct.pack(">I", value + shift & 0xFFFFFFFF)
                packet = packet.but(packet.data[:14] + ip.with_payload(ip.payload[:at] + moved + ip.payload[at + 4 :]))
        out.append(packet)
    return out, ETHERNET


simple("sequence-wrap", "Sequence numbers pass zero within the ClientHello.", sequence_wraps)


def every_quarter_hour(packets):
    """Moves each connection about 900 seconds behind the one before it."""
    out, ports = [], {}
    for packet in packets:
        ip = ip_of(packet.data)
        if ip is None or ip.protocol != TCP:
            continue
        client = max(ip.ports())
        number = ports.setdefault(client, len(ports))
        out.append(Packet(packet.at + number * 890 * 10**9, packet.data))
    return sorted(out, key=lambda packet: packet.at), ETHERNET


def beats(host):
    host["verdict"] = "confirmed"
    host["evidence"].insert(0, {"field": "flow.beat", "observed": "tcp/13000 every 900 s", "reached": "data-exchanged"})


simple(
    "management-beat",
    "The three connections lie about 900 seconds apart.",
    every_quarter_hour,
    base="management-three-connections",
    rewrite=beats,
)
simple(
    "monitored-every-quarter-hour",
    "The three connections lie about 900 seconds apart, as those of a monitor.",
    lambda packets: every_quarter_hour(packets),
    base="port-13000-public-name",
)


def port_reuse(packets):
    """Another client's visit to a stranger, moved to the same addresses and ports a minute before."""
    hello = Tcp(ip_of(packets[client_hello_at(packets)].data)).ip
    stranger = read("unrelated")
    first = Tcp(ip_of(stranger[client_hello_at(stranger)].data)).ip
    ends = {
        first.source + first.payload[:2]: hello.source + hello.payload[:2],
        first.destination + first.payload[2:4]: hello.destination + hello.payload[2:4],
    }
    shift = packets[0].at - 60 * 10**9 - stranger[0].at
    out = []
    for packet in stranger:
        ip = ip_of(packet.data)
        if ip is None or ip.protocol != TCP:
            continue
        source, destination = ends.get(ip.source + ip.payload[:2]), ends.get(ip.destination + ip.payload[2:4])
        if source and destination:
            moved = ip.with_payload(source[-2:] + destination[-2:] + ip.payload[4:], source[:-2], destination[:-2])
            out.append(Packet(packet.at + shift, packet.data[:14] + moved))
    return out + packets, ETHERNET


simple("port-reuse", "A minute before, a connection with the same addresses and ports named a stranger.", port_reuse)


def to_port(port):
    def frame(data):
        ip = ip_of(data)
        source, destination = (port if each == 443 else each for each in ip.ports())
        if ip.protocol != UDP or (source, destination) == ip.ports():
            return data
        return data[:14] + ip.with_payload(struct.pack(">HH", source, destination) + ip.payload[4:])

    return frame


simple(
    "quic-at-vxlan-port",
    "QUIC at port 4789: no VXLAN at all.",
    each_ip(to_port(4789)),
    base="quic-v1",
    tshark=["-d", "udp.port==4789,quic"],
    shows="quic",
)

# --- The reputation service's own protocol -----------------------------------------------------------------------------


def request(number, length, said=None):
    """A frame of a client: mark, number, type, length, and bytes that mean nothing."""
    body = random.Random(number).randbytes(length)
    return b"KE\0\0" + struct.pack(">HHI", number, 0x0155, length if said is None else said) + body


def answer(number, length, said=None):
    """A frame of a server: mark, number, status, length, and bytes that mean nothing."""
    body = random.Random(number + 1).randbytes(length)
    return b"KE\0\0" + struct.pack(">HBI", number, 0, length if said is None else said) + body


def talk(packets, messages, port, beginning=True):
    """The client of the recorded connection says something else, to another port: (from the client, bytes) for each segment."""
    first = next(packet for packet in packets if ip_of(packet.data) and ip_of(packet.data).protocol == TCP and from_client(packet.data))
    ip, at, out = ip_of(first.data), first.at, []
    client_port = ip.ports()[0]
    sequence = {True: 0x1000, False: 0x2000}

    def segment(is_client, flags, payload=b""):
        nonlocal at
        at += 20 * 10**6
        ports = (client_port, port) if is_client else (port, client_port)
        head = struct.pack(">HHIIBBHHH", *ports, sequence[is_client], sequence[not is_client], 0x50, flags, 0xFFFF, 0, 0)
        ends = (ip.source, ip.destination) if is_client else (ip.destination, ip.source)
        macs = first.data[:12] if is_client else first.data[6:12] + first.data[:6]
        out.append(Packet(at, macs + first.data[12:14] + ip.with_payload(head + payload, *ends)))
        sequence[is_client] += len(payload) + (flags & 3 != 0)

    SYN, ACK, FIN_ACK, PUSH_ACK = 2, 16, 17, 24
    if beginning:
        segment(True, SYN)
        segment(False, SYN | ACK)
        segment(True, ACK)
    for is_client, payload in messages:
        segment(is_client, PUSH_ACK, payload)
    segment(True, FIN_ACK)
    segment(False, FIN_ACK)
    return out


def dialogue(numbers, ask=lambda n: request(n, 300 + n), reply=lambda n: answer(n, 124)):
    return [message for number in numbers for message in [(True, ask(number)), (False, reply(number))]]


def in_segments_of(size, messages):
    return [(side, data[at : at + size]) for side, data in messages for at in range(0, len(data), size)]


def reputation_host(verdict, field, observed):
    evidence = {"field": field, "observed": observed, "reached": "data-exchanged"}
    return [{"address": "10.20.0.5", "verdict": verdict, "role": "endpoint", "categories": ["reputation"], "evidence": [evidence]}]


def framed(name, description, make, hosts, port=4430):
    simple(name, description, lambda packets: (make(lambda messages, **how: talk(packets, messages, port, **how)), ETHERNET), base="old-cloud-tcp", hosts=hosts)


def hello_of_explorer_8():
    """As Avast 11 and AdGuard 6 send it on for Internet Explorer 8: its cipher list, an OpenSSL's extensions."""
    listed = lambda numbers: b"".join(struct.pack(">H", number) for number in numbers)
    vector = lambda data, width: len(data).to_bytes(width, "big") + data
    extension = lambda kind, data: struct.pack(">H", kind) + vector(data, 2)
    name = b"shop.example"
    ciphers = listed([47, 53, 5, 10, 49171, 49172, 49161, 49162, 50, 56, 19, 4, 255])
    groups = listed([23, 25, 28, 27, 24, 26, 22, 14, 13, 11, 12, 9, 10])
    signatures = listed([hashed << 8 | key for hashed in (6, 5, 4, 3, 2) for key in (1, 2, 3)])
    extensions = (
        extension(0, vector(b"\0" + vector(name, 2), 2))
        + extension(11, vector(b"\0\1\2", 1))
        + extension(10, vector(groups, 2))
        + extension(35, b"")
        + extension(13, vector(signatures, 2))
        + extension(5, b"\1\0\0\0\0")
        + extension(15, b"\1")
    )
    body = b"\3\1" + bytes(range(32)) + b"\0" + vector(ciphers, 2) + b"\1\0" + vector(extensions, 2)
    return b"\x16\3\1" + vector(b"\1" + vector(body, 3), 2)


framed("interception-of-others", "Instead, a hello of Internet Explorer 8 behind another vendor's interception.", lambda say: say([(True, hello_of_explorer_8())]), [], port=443)
ANSWERED = reputation_host("confirmed", "payload.protocol", "request and answer with the same number")
FIRST_BYTES = reputation_host("suspected", "payload.first_bytes", "4B 45 00 00")
framed("reputation-frames", "Frames of right lengths are answered, at another port.", lambda say: say(dialogue([6, 8, 9])), ANSWERED)
framed("reputation-frames-once", "One frame of the right length is answered, at another port.", lambda say: say(dialogue([6])), ANSWERED)
framed(
    "reputation-frames-in-pieces",
    "The connection is joined midway, the frames come in small segments, and some segments hold the end of one and the next.",
    lambda say: say(
        [(True, bytes(77)), (False, bytes(40))]
        + in_segments_of(61, dialogue([6]) + [(True, request(7, 20) + request(8, 90)), (False, answer(8, 5) + answer(7, 50))]),
        beginning=False,
    ),
    ANSWERED,
)
framed(
    "reputation-frames-one-side",
    "Frames of right lengths; the other side was not captured.",
    lambda say: [packet for packet in say(dialogue([6, 8, 9, 10])) if from_client(packet.data)],
    [{**reputation_host("suspected", "payload.protocol", "frames of one side")[0], "evidence": [{"field": "payload.protocol", "observed": "frames of one side"}]}],
)
framed(
    "reputation-frames-wrong-lengths",
    "The same first bytes at the port of the old protocol, answered, but the lengths count the headers, too.",
    lambda say: say(dialogue([6, 8, 9], lambda n: request(n, 300, 312), lambda n: answer(n, 124, 135))),
    FIRST_BYTES,
    port=443,
)
framed(
    "reputation-frames-other-numbers",
    "Frames of right lengths at the port of the old protocol; each answer bears the number of the request before.",
    lambda say: say(dialogue([6, 7, 8, 9], reply=lambda n: answer(n - 1, 124))),
    FIRST_BYTES,
    port=443,
)
framed(
    "reputation-frames-little-endian",
    "The lengths are right, but the other way round, at another port.",
    lambda say: say(
        dialogue(
            [6, 8, 9],
            lambda n: request(n, 300, int.from_bytes((300).to_bytes(4, "little"), "big")),
            lambda n: answer(n, 124, int.from_bytes((124).to_bytes(4, "little"), "big")),
        )
    ),
    [],
)

# --- Files -------------------------------------------------------------------------------------------------------------


@variant("nanoseconds")
def nanoseconds(packets):
    """A pcap with nanoseconds."""
    return pcap([Packet(packet.at + 7, packet.data) for packet in packets], nanoseconds=True)


@variant("big-endian")
def big_endian(packets):
    """A big-endian pcap."""
    return pcap(packets, order=">")


@variant("big-endian-nanoseconds")
def big_endian_nanoseconds(packets):
    """A big-endian pcap with nanoseconds."""
    return pcap(packets, order=">", nanoseconds=True)


@variant("gzip", ending="pcap.gz")
def gzipped(packets):
    """A pcap in gzip."""
    return gzip.compress(pcap(packets), mtime=0)


@variant("xz", ending="pcap.xz")
def xz_streams(packets):
    """A pcap in xz, in two streams with padding between them."""
    data = pcap(packets)
    return lzma.compress(data[:900]) + bytes(8) + lzma.compress(data[900:], check=lzma.CHECK_SHA256)


@variant("bzip2", ending="pcap.bz2")
def bzip2_streams(packets):
    """A pcap in bzip2, in two streams, as parallel compressors write them."""
    data = pcap(packets)
    return bz2.compress(data[:900]) + bz2.compress(data[900:])


@variant("lz4", ending="pcap.lz4")
def lz4_frames(packets):
    """A pcap in lz4, in two frames, and one to be skipped between them."""
    data = pcap(packets)
    pack = lambda part: subprocess.run(["lz4", "-q", "-c"], input=part, capture_output=True, check=True).stdout
    return pack(data[:900]) + struct.pack("<II", 0x184D2A53, 3) + b"abc" + pack(data[900:])


def editcap(form, packets):
    """The capture as Wireshark writes it in another format."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.pcap", Path(folder) / "out"
        source.write_bytes(pcap(packets))
        subprocess.run(["editcap", "-F", form, source, target], check=True)
        return target.read_bytes()


for name, ending, form, about in [
    ("solaris-snoop", "snoop", "snoop", "A capture of Solaris's snoop (RFC 1761)."),
    ("network-monitor-1", "cap", "netmon1", "A capture of Microsoft Network Monitor 1."),
    ("network-monitor-2", "cap", "netmon2", "A capture of Microsoft Network Monitor 2.0."),
    ("netxray", "cap", "ngwsniffer_1_1", "A capture of NetXRay 1.1."),
    ("windows-sniffer", "cap", "ngwsniffer_2_0", "A capture of the Sniffer for Windows 2.0."),
    ("dos-sniffer", "enc", "ngsniffer", "A capture of the Sniffer for DOS, not compressed."),
]:
    simple(name, about, lambda packets, form=form: editcap(form, packets), ending=ending)


@variant("network-monitor-2-3", ending="cap")
def network_monitor(packets):
    """A capture of Microsoft Network Monitor 2.3, the first frame last in the file, with gaps, and frames about the capture itself."""

    def frame(at, medium, data):
        trailer = struct.pack("<HIQB", medium, 0xFFFFFFFF, at // 100 + 116444736000000000, 0)
        return struct.pack("<QII", 0, len(data), len(data)) + data + trailer

    frames = [frame(p.at, 0xE000 | 1 if number % 2 else 1, p.data) for number, p in enumerate(packets)]
    about = frame(0, 0xFFFD, b"adapters")
    body, offsets = b"", []
    for data in [about, *frames[1:], frames[0]]:
        body += b"gap"
        offsets.append(128 + len(body))
        body += data
    table = [offsets[-1], *offsets[1:-1], offsets[0]]
    header = b"GMBU" + struct.pack("<BBH8H", 3, 2, 1, 2026, 11, 2, 24, 3, 39, 9, 0)
    header += struct.pack("<II", 128 + len(body), 4 * len(table))
    return header.ljust(128, b"\0") + body + struct.pack(f"<{len(table)}I", *table)


@variant("netxray-round", ending="cap")
def netxray_round(packets):
    """A capture of NetXRay that was written round and round: the first packets stand last."""
    data = editcap("ngwsniffer_1_1", packets)
    first = sum(28 + len(p.data) for p in packets[:7])
    header = bytearray(data[:128])
    body = data[128:]
    # Reading begins behind where it ends, and goes on behind the header.
    rest = body[first:]
    struct.pack_into("<II", header, 24, 128 + len(rest) + 16, 128 + len(rest))
    return bytes(header) + rest + bytes(16) + body[:first]


@variant("endace", ending="erf")
def endace(packets):
    """A capture of Endace's in its record format, with an extension header, colour, and padding."""
    out = b""
    for number, p in enumerate(packets):
        extension = bytes([5 if number % 2 else 0]) + bytes(7)
        kind = 2 | 0x80 if number % 2 else 11
        body = (extension if number % 2 else b"") + b"\0\0" + p.data
        body += bytes(-len(body) % 8)
        ticks = (p.at // 10**9 << 32) + (p.at % 10**9 << 32) // 10**9
        out += struct.pack("<QBB", ticks, kind, 4) + struct.pack(">HHH", 16 + len(body), 0, len(p.data)) + body
    return out


@variant("gzip-members", ending="pcap.gz")
def gzip_members(packets):
    """A pcap in gzip, in members of 500 bytes, as parallel compressors write them."""
    data = pcap(packets)
    return b"".join(gzip.compress(data[at : at + 500], mtime=0) for at in range(0, len(data), 500))


@variant("gzip-cut", ending="pcap.gz")
def gzip_cut(packets):
    """A gzip that ends in the middle, behind the ClientHello."""
    plain = pcap(packets)
    data = gzip.compress(plain, compresslevel=0, mtime=0)
    return data[: -len(plain) // 8]


def zstandard(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


@variant("zstandard", ending="pcap.zst")
def zstandard_pcap(packets):
    """A pcap in Zstandard."""
    return zstandard(pcap(packets))


@variant("cut-off")
def cut_off(packets):
    """A pcap that ends in the middle of its last packet."""
    return pcap(packets)[:-20]


@variant("damaged-tail")
def damaged_tail(packets):
    """A pcap whose last packet claims two gigabytes."""
    last = packets[-1]
    return pcap(packets) + struct.pack("<IIII", last.at // 10**9, 0, 0x7FFFFFFF, 0x7FFFFFFF) + b"\xde\xad" * 30


def snapped(length):
    return lambda packets: pcap([Packet(p.at, p.data[:length], len(p.data)) for p in packets], snap_length=length)


def lookup_only(host):
    host["verdict"] = "suspected"
    host["evidence"] = [line for line in host["evidence"] if line["field"] == "dns.query"]


def address_only(host):
    name = host["evidence"][0]["observed"]
    host["evidence"] = [{"field": "dns.query", "observed": name}, {"field": "dns.resolved_address", "observed": name}]


simple(
    "snaplen-128",
    "Packets cut after 128 bytes: the server name is gone, the lookup and the address remain.",
    snapped(128),
    rewrite=address_only,
)
simple(
    "snaplen-96",
    "Packets cut after 96 bytes: the server name is gone, and the last byte of the resolver's answer.",
    snapped(96),
    rewrite=lookup_only,
)


@variant("pcapng", ending="pcapng")
def several_sections(packets):
    """A pcapng with two sections of either byte order, three interfaces of different links and clocks, and blocks of no interest."""
    ticks = {6: lambda at: at // 1000, 9: lambda at: at, 0x8A: lambda at: at * 1024 // 10**9}
    half = client_hello_at(packets) - 1
    out = [section("<"), interface("<", ETHERNET, 6, b"eth0"), interface("<", 101, 9, b"tun0")]
    out.append(block("<", 4, struct.pack("<HH", 0, 0)))  # names: none
    for number, packet in enumerate(packets[:half]):
        if number % 2 and ip_of(packet.data):
            out.append(enhanced_packet("<", 1, ticks[9](packet.at), packet.data[14:]))
        else:
            out.append(enhanced_packet("<", 0, ticks[6](packet.at), packet.data))
    out.append(block("<", 5, struct.pack("<III", 0, 0, 0)))  # statistics
    out.append(block("<", 0x80000BAD, b"of no interest"))
    out += [section(">"), interface(">", ETHERNET, 0x8A, b"eth1")]
    out += [enhanced_packet(">", 0, ticks[0x8A](packet.at), packet.data) for packet in packets[half:]]
    return b"".join(out)


@variant("pcapng-gzip", ending="pcapng.gz")
def pcapng_gzip(packets):
    """A pcapng in gzip."""
    out = [section("<"), interface("<", ETHERNET, 9, b"eth0")]
    return gzip.compress(b"".join(out + [enhanced_packet("<", 0, p.at, p.data) for p in packets]), mtime=0)


@variant("pcapng-simple-packets", ending="pcapng", base="tls-reputation")
def pcapng_simple(packets):
    """A pcapng with simple packet blocks, which have no time."""
    out = [section("<"), interface("<", ETHERNET, 6, b"eth0")]
    return b"".join(out + [block("<", 3, struct.pack("<I", len(p.data)) + p.data) for p in packets])


@variant("pcapng-zstandard", ending="pcapng.zst")
def pcapng_zstandard(packets):
    """A big-endian pcapng in Zstandard."""
    out = [section(">"), interface(">", ETHERNET, 6, b"eth0")]
    return zstandard(b"".join(out + [enhanced_packet(">", 0, p.at // 1000, p.data) for p in packets]))


# --- All of it ---------------------------------------------------------------------------------------------------------


def expectation(base, description, changes):
    answer = json.loads((RECORDED / f"{base}.expect.json").read_text())
    answer["about"] += " " + description
    if "hosts" in changes:
        answer["hosts"] = changes["hosts"]
    for host in answer["hosts"]:
        if "vlan" in changes:
            host["vlan"] = changes["vlan"]
        if "rewrite" in changes:
            changes["rewrite"](host)
    return answer


def as_text(answer):
    """The layout of the expected answers."""
    lines = ["{", f' "about": {json.dumps(answer["about"])},']
    if not answer["hosts"]:
        return "\n".join(lines + [' "hosts": []', "}", ""])
    lines.append(' "hosts": [')
    for number, host in enumerate(answer["hosts"]):
        keys = ("address", "vlan", "verdict", "role", "categories")
        lines.append("  " + json.dumps({key: host[key] for key in keys if key in host})[:-1] + ",")
        lines.append('   "evidence": [')
        lines.append(",\n".join("    " + json.dumps(line) for line in host["evidence"]))
        lines.append("   ]}" + ("," if number + 1 < len(answer["hosts"]) else ""))
    return "\n".join(lines + [" ]", "}", ""])


def write_all():
    DERIVED.mkdir(exist_ok=True)
    for old in DERIVED.iterdir():
        if not old.name.endswith(".hosts.json"):
            old.unlink()
    for name, base, _, ending, _, changes, function in VARIANTS:
        made = function(read(base))
        data = made if isinstance(made, bytes) else pcap(*made)
        (DERIVED / f"{name}.{ending}").write_bytes(data)
        (DERIVED / f"{name}.expect.json").write_text(as_text(expectation(base, function.__doc__.strip(), changes)))


FIELDS = {
    "tls.sni": "tls.handshake.extensions_server_name",
    "quic.sni": "tls.handshake.extensions_server_name",
    "dns.query": "dns.qry.name",
    "dns.answer": "dns.resp.name",
    "http.host": "http.host",
    "http.path": "http.request.uri",
    "http.target": "http.request.full_uri",
    "http.connect": "http.request.uri",
    "socks.domain": "socks.remote_name,socks.v4a_dns_name",
    "dns.resolved_address": "dns.qry.name",
    "dns.resolver_order": "dns.qry.name",
}


def seen_by_tshark(path, options):
    """For each field of FIELDS what tshark reads, and every protocol that it finds."""
    fields = sorted(set(",".join(FIELDS.values()).split(",")))
    columns = [part for field in ["frame.protocols", *fields] for part in ("-e", field)]
    command = ["tshark", "-n", "-r", str(path), "-2", *options, "-T", "fields", "-E", "separator=/t", *columns]
    output = subprocess.run(command, capture_output=True, text=True).stdout
    protocols, values = set(), {field: set() for field in fields}
    for line in output.splitlines():
        first, *rest = line.split("\t")
        protocols.update(first.split(":"))
        for field, text in zip(fields, rest):
            values[field].update(text.lower().split(","))
    return protocols, values


def streams(path):
    """What each side of each TCP connection sent, put together in the order of the file."""
    command = [
        "tshark",
        "-n",
        "-r",
        str(path),
        "-Y",
        "tcp.len>0",
        "-T",
        "fields",
        "-e",
        "tcp.stream",
        "-e",
        "tcp.srcport",
        "-e",
        "tcp.payload",
    ]
    sent = {}
    for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
        stream, port, payload = line.split("\t")
        sent[stream, port] = sent.get((stream, port), b"") + bytes.fromhex(payload)
    return sent.values()


def check():
    """Holds every capture against tshark; an answer without hosts is not looked at."""
    options = {f"{v[0]}.{v[3]}": (v[2], v[4]) for v in VARIANTS}
    opaque = {f"{v[0]}.{v[3]}" for v in VARIANTS if v[5].get("opaque")}
    wrong = 0
    for path in sorted([*RECORDED.glob("*.pcap"), *DERIVED.glob("*.pcap*")]):
        shows, more = options.get(path.name, ([], [])) if path.parent == DERIVED else ([], [])
        protocols, values = seen_by_tshark(path, more)
        problems = [f"no {protocol} among {' '.join(sorted(protocols))}" for protocol in shows if protocol not in protocols]
        answer = json.loads(path.with_name(path.name.split(".pcap")[0] + ".expect.json").read_text())
        for host in answer["hosts"]:
            for line in host["evidence"]:
                fields, name = FIELDS.get(line["field"]), line.get("observed")
                if path.name in opaque:
                    if not any(name.encode() in stream for stream in streams(path)):
                        problems.append(f"{name} is in no TCP stream")
                    continue
                if fields and name and not any(name in value for field in fields.split(",") for value in values[field]):
                    problems.append(f"{line['field']} {name} is not in {fields}")
        for problem in problems:
            print(f"{path.relative_to(RECORDED)}: {problem}")
        wrong += bool(problems)
    print(f"{wrong} captures are not as expected" if wrong else "tshark sees what is expected")
    return wrong == 0


if __name__ == "__main__":
    write_all()
    if "--check" in sys.argv[1:] and not check():
        sys.exit(1)
