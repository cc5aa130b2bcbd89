//! What leaves this room: a frame, and the block of frames that a worker takes at once.

use super::prefetch::prefetch;
use serde::Serialize;

/// Bytes at the start of a frame that hold the headers of most.
const HEADERS: usize = 96;

/// Nanoseconds since the Unix epoch on the capture's clock: the data plane's only time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Whole seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// How long `self` lies after `earlier`, in nanoseconds; zero when it does not (captures do jump back).
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How a frame's first header is to be read: a `LINKTYPE_` number
/// (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u16);

impl LinkType {
    /// Of a medium that no number names; nobody reads it.
    pub const UNKNOWN: Self = Self(u16::MAX);
    /// BSD loopback: address family in the writer's byte order.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// IEEE 802.5 token ring.
    pub const TOKEN_RING: Self = Self(6);
    /// IP over a serial line, behind a header of 16 bytes that says the direction.
    pub const SLIP: Self = Self(8);
    /// PPP, with or without the HDLC framing bytes.
    pub const PPP: Self = Self(9);
    /// FDDI.
    pub const FDDI: Self = Self(10);
    /// OpenBSD's packet filter log before version 3.4.
    pub const OLD_PFLOG: Self = Self(17);
    /// PPP in HDLC-like framing, as Cisco routers write it.
    pub const PPP_HDLC: Self = Self(50);
    /// A PPPoE session packet without its Ethernet header.
    pub const PPPOE: Self = Self(51);
    /// RFC 1483 over ATM.
    pub const ATM_RFC1483: Self = Self(100);
    /// Raw IPv4 or IPv6 (also seen as 12 and 14, the DLT numbers of some systems).
    pub const RAW: Self = Self(101);
    /// Cisco HDLC.
    pub const C_HDLC: Self = Self(104);
    /// IEEE 802.11 without a radio header.
    pub const IEEE802_11: Self = Self(105);
    /// Classical IP over ATM, as Linux writes it.
    pub const ATM_CLIP: Self = Self(106);
    /// Frame Relay.
    pub const FRAME_RELAY: Self = Self(107);
    /// OpenBSD loopback: address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// OpenBSD's view of IPsec: family, parameter index, flags, then the packet.
    pub const ENC: Self = Self(109);
    /// Linux cooked capture v1.
    pub const LINUX_SLL: Self = Self(113);
    /// OpenBSD's packet filter log, and those of other systems.
    pub const PFLOG: Self = Self(117);
    /// 802.11 behind a Prism header, or an AVS one.
    pub const PRISM: Self = Self(119);
    /// IP over Fibre Channel (RFC 2625).
    pub const IP_OVER_FC: Self = Self(122);
    /// ATM behind a header of SunATM devices.
    pub const SUNATM: Self = Self(123);
    /// 802.11 behind a radiotap header.
    pub const IEEE802_11_RADIOTAP: Self = Self(127);
    /// The Tazmen sniffer protocol.
    pub const TZSP: Self = Self(128);
    /// Apple's IP over IEEE 1394.
    pub const APPLE_IEEE1394: Self = Self(138);
    /// Frames of cable modems.
    pub const DOCSIS: Self = Self(143);
    /// Everybody's own; older macOS wrote [`Self::PKTAP`] so.
    pub const USER2: Self = Self(149);
    /// 802.11 behind an AVS header.
    pub const IEEE802_11_AVS: Self = Self(163);
    /// PPP as Linux's daemon writes it, with the direction in place of the HDLC address.
    pub const PPP_PPPD: Self = Self(166);
    /// PPPoE interfaces of Juniper routers.
    pub const JUNIPER_PPPOE: Self = Self(167);
    /// Ethernet interfaces of Juniper routers.
    pub const JUNIPER_ETHER: Self = Self(178);
    /// PPP interfaces of Juniper routers.
    pub const JUNIPER_PPP: Self = Self(179);
    /// Frame Relay interfaces of Juniper routers.
    pub const JUNIPER_FRAME_RELAY: Self = Self(180);
    /// Cisco HDLC interfaces of Juniper routers.
    pub const JUNIPER_C_HDLC: Self = Self(181);
    /// Multilink Frame Relay (FRF.16).
    pub const MULTILINK_FRAME_RELAY: Self = Self(182);
    /// Per-packet information in front of a frame of another link type.
    pub const PPI: Self = Self(192);
    /// A record of Endace's, with its header.
    pub const ERF: Self = Self(197);
    /// PPP behind a byte that says the direction.
    pub const PPP_WITH_DIRECTION: Self = Self(204);
    /// Cisco HDLC behind a byte that says the direction.
    pub const C_HDLC_WITH_DIRECTION: Self = Self(205);
    /// Frame Relay behind a byte that says the direction.
    pub const FRAME_RELAY_WITH_DIRECTION: Self = Self(206);
    /// A label stack.
    pub const MPLS: Self = Self(219);
    /// Solaris's IP between zones.
    pub const IPNET: Self = Self(226);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux netfilter log messages.
    pub const NFLOG: Self = Self(239);
    /// Ethernet behind four bytes of a netANALYZER.
    pub const NETANALYZER: Self = Self(240);
    /// The same with preamble.
    pub const NETANALYZER_TRANSPARENT: Self = Self(241);
    /// IP over InfiniBand (RFC 4391).
    pub const IP_OVER_INFINIBAND: Self = Self(242);
    /// Apple's packet tap, which says the link type of the frame behind it.
    pub const PKTAP: Self = Self(258);
    /// Ethernet over passive optical networks, with the end of the preamble.
    pub const EPON: Self = Self(259);
    /// Ethernet that can be interrupted (IEEE 802.3br), from the preamble on.
    pub const ETHERNET_MPACKET: Self = Self(274);
    /// Linux cooked capture v2.
    pub const LINUX_SLL2: Self = Self(276);
    /// Ethernet with the tag of Broadcom's switch chips.
    pub const DSA_BROADCOM: Self = Self(281);
    /// The same with the tag in front.
    pub const DSA_BROADCOM_PREPENDED: Self = Self(282);
    /// Ethernet with the tag of Marvell's switch chips.
    pub const DSA_MARVELL: Self = Self(283);
    /// The same with an EtherType before the tag.
    pub const DSA_MARVELL_ETHERTYPE: Self = Self(284);
}

/// One captured frame; borrowed from the memory that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Position in its input, from 1: what Wireshark shows as "No.".
    pub number: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// How its first header is to be read.
    pub link_type: LinkType,
    /// Bytes on the wire; more than `bytes.len()` when the snap length cut the frame.
    pub wire_len: u32,
    /// The captured bytes.
    pub bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A frame that was captured whole: as long on the wire as `bytes`.
    #[must_use]
    pub fn new(number: u64, at: Timestamp, link_type: LinkType, bytes: &'a [u8]) -> Self {
        Self { number, at, link_type, wire_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), bytes }
    }
}

/// Where one frame lies in its block.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// When it was captured.
    pub at: Timestamp,
    /// First byte in [`Block::bytes`].
    pub start: u32,
    /// Captured bytes.
    pub len: u32,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// How its first header is to be read.
    pub link_type: LinkType,
}

/// A run of consecutive frames with the memory that holds them; reused, so steady reading allocates nothing.
#[derive(Debug, Default)]
pub struct Block {
    /// Number of the first frame, from 1.
    pub first_number: u64,
    /// File bytes; records point into them.
    pub bytes: Vec<u8>,
    /// The frames, in file order.
    pub records: Vec<Record>,
}

impl Block {
    /// Its frames, to be read where they lie.
    #[must_use]
    pub fn view(&self) -> Frames<'_> {
        Frames { first_number: self.first_number, bytes: &self.bytes, records: &self.records }
    }

    /// The `index`th frame of this block.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<Frame<'_>> {
        self.view().frame(index)
    }

    /// Captured bytes of its frames, without the headers of the file format.
    #[must_use]
    pub fn captured_bytes(&self) -> u64 {
        self.records.iter().map(|record| u64::from(record.len)).sum()
    }

    /// All frames, in file order.
    pub fn frames(&self) -> FrameIter<'_> {
        self.view().iter()
    }
}

impl<'a> IntoIterator for &'a Block {
    type Item = Frame<'a>;
    type IntoIter = FrameIter<'a>;

    fn into_iter(self) -> FrameIter<'a> {
        self.frames()
    }
}

/// A run of consecutive frames where they lie: in a [`Block`], or in memory that the kernel filled.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    /// Number of the first frame, from 1.
    pub first_number: u64,
    /// Bytes that records point into.
    pub bytes: &'a [u8],
    /// The frames, in the order of arrival.
    pub records: &'a [Record],
}

impl<'a> Frames<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The `index`th of them.
    #[inline]
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<Frame<'a>> {
        let record = self.records.get(index)?;
        let start = record.start as usize;
        Some(Frame {
            number: self.first_number + index as u64,
            at: record.at,
            link_type: record.link_type,
            wire_len: record.wire_len,
            bytes: self.bytes.get(start..start.checked_add(record.len as usize)?)?,
        })
    }

    /// Prefetches the `index`th frame's headers; call it some frames before they are read.
    #[inline]
    pub fn prefetch(&self, index: usize) {
        if let Some(record) = self.records.get(index)
            && let Some(headers) = self.bytes.get(record.start as usize..).and_then(<[u8]>::first_chunk::<HEADERS>)
        {
            prefetch(headers);
        }
    }

    /// All of them, in order.
    #[must_use]
    pub const fn iter(self) -> FrameIter<'a> {
        FrameIter { frames: self, next: 0 }
    }
}

/// Frames to be taken in one go, wherever they lie: [`Frames`] in one piece of memory, `&[Frame]` each in its own.
pub trait FrameSequence<'a>: Copy {
    /// How many there are.
    fn len(self) -> usize;

    /// Whether there are none.
    fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The `index`th of them.
    fn frame(self, index: usize) -> Option<Frame<'a>>;

    /// Prefetches the `index`th frame's headers; call it some frames before they are read.
    fn prefetch(self, index: usize);
}

impl<'a> FrameSequence<'a> for Frames<'a> {
    #[inline]
    fn len(self) -> usize {
        Frames::len(&self)
    }

    #[inline]
    fn frame(self, index: usize) -> Option<Frame<'a>> {
        Frames::frame(&self, index)
    }

    #[inline]
    fn prefetch(self, index: usize) {
        Frames::prefetch(&self, index);
    }
}

impl<'a> FrameSequence<'a> for &[Frame<'a>] {
    #[inline]
    fn len(self) -> usize {
        <[Frame<'a>]>::len(self)
    }

    #[inline]
    fn frame(self, index: usize) -> Option<Frame<'a>> {
        self.get(index).copied()
    }

    #[inline]
    fn prefetch(self, index: usize) {
        if let Some(headers) = self.get(index).and_then(|frame| frame.bytes.first_chunk::<HEADERS>()) {
            prefetch(headers);
        }
    }
}

impl<'a> IntoIterator for Frames<'a> {
    type Item = Frame<'a>;
    type IntoIter = FrameIter<'a>;

    fn into_iter(self) -> FrameIter<'a> {
        self.iter()
    }
}

/// Frames in the order of arrival; a record that points outside of its bytes is passed over.
#[derive(Clone, Debug)]
pub struct FrameIter<'a> {
    frames: Frames<'a>,
    next: usize,
}

impl<'a> Iterator for FrameIter<'a> {
    type Item = Frame<'a>;

    #[inline]
    fn next(&mut self) -> Option<Frame<'a>> {
        while self.next < self.frames.len() {
            self.next += 1;
            if let Some(frame) = self.frames.frame(self.next - 1) {
                return Some(frame);
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.frames.len() - self.next))
    }
}

impl std::iter::FusedIterator for FrameIter<'_> {}
