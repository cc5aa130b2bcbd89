//! What is asked of an interface, and what it counts.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Bytes of a block unless the user says otherwise: few wake-ups, and many frames beside each other.
const BLOCK_BYTES: u32 = 1 << 20;
/// Traffic at line rate that the rings of an interface should hold between them: longer than a scheduler lets a thread wait.
pub(super) const HELD: Duration = Duration::from_millis(200);
/// Fewest blocks of a ring.
const BLOCKS_MIN: u32 = 32;
/// Most blocks that are advised for all rings of an interface.
const BLOCKS_MAX: u32 = 512;
/// Most blocks of all rings of an interface unless the user says otherwise, since their memory is taken for good; and those of a ring
/// where the speed of the link is not known.
const BLOCKS_BY_DEFAULT: u32 = 64;

/// Shape of a ring, and what it takes.
#[derive(Clone, Debug)]
pub struct RingOptions {
    /// Bytes of a block: a multiple of the page size, at most 256 MiB. A frame larger than a block is cut.
    pub block_bytes: u32,
    /// Blocks of the ring.
    pub blocks: u32,
    /// When a block that is not full is handed over all the same; whole milliseconds, at least one.
    pub retire: Duration,
    /// Bytes that are kept of each frame. The kernel copies no more than that.
    pub snaplen: u32,
    /// Whether frames for other machines are asked of the interface, as a mirror port needs.
    pub promiscuous: bool,
    /// Group of rings of this machine that share the frames of an interface, each conversation in one of them.
    pub fanout: Option<u16>,
    /// A libpcap expression that the kernel applies before it copies a frame. **What it leaves out is counted nowhere**: neither by
    /// the kernel nor here; compare `packets + drops` with what the interface received ([`super::Facts::received`]).
    ///
    /// A frame whose VLAN tag the kernel took off is let through whatever the expression says, because the program would not see the
    /// tag. So [`crate::Filter`] must be applied to what comes; both together choose what the filter alone does.
    pub filter: Option<String>,
    /// Whether to take the time at which the interface's own clock says that a frame arrived, where it does say. Such a clock keeps
    /// the time of day only if something sets it (`phc2sys` of linuxptp): others count from the start of the machine, which gives
    /// evidence dates in 1970. So it must be asked for.
    pub hardware_time: bool,
}

/// Which frames are kept, and how much of them: what may change while an interface is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// See [`RingOptions::filter`].
    pub filter: Option<String>,
    /// See [`RingOptions::snaplen`].
    pub snaplen: u32,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            block_bytes: BLOCK_BYTES,
            blocks: BLOCKS_BY_DEFAULT,
            retire: Duration::from_millis(8),
            snaplen: 65535,
            promiscuous: true,
            fanout: None,
            filter: None,
            hardware_time: false,
        }
    }
}

impl RingOptions {
    /// Which frames are kept, and how much of them.
    #[must_use]
    pub fn choice(&self) -> Choice {
        Choice { filter: self.filter.clone(), snaplen: self.snaplen }
    }

    /// The default for one of `rings` rings that share a link of `speed_mbps` megabits a second (`None`: unknown): blocks of 1 MiB, as
    /// many as [`Self::lasting`] has, but for a link faster than 2.7 Gb/s no more than 64 for all rings together, with at least 32 each.
    ///
    /// ```
    /// use kaspector_live::RingOptions;
    ///
    /// assert_eq!(RingOptions::for_link(Some(100), 1).blocks, 32);
    /// assert_eq!(RingOptions::for_link(Some(2_500), 1).blocks, 60);
    /// assert_eq!(RingOptions::for_link(Some(10_000), 1).blocks, 64);
    /// assert_eq!(RingOptions::for_link(Some(10_000), 4).blocks, 32);
    /// assert_eq!(RingOptions::for_link(None, 4).blocks, 64);
    /// ```
    #[must_use]
    pub fn for_link(speed_mbps: Option<u32>, rings: u32) -> Self {
        let rings = rings.max(1);
        let blocks = match speed_mbps {
            None => BLOCKS_BY_DEFAULT,
            Some(speed_mbps) => Self::lasting(speed_mbps).blocks.min(BLOCKS_BY_DEFAULT).div_ceil(rings).max(BLOCKS_MIN),
        };
        Self { blocks, ..Self::default() }
    }

    /// A ring that holds 200 ms of frames of ordinary size at the rate of a link of `speed_mbps` megabits a second: at least 32 blocks of
    /// 1 MiB, at most 512. Smaller frames fill it sooner, as each takes about 90 bytes more than its own.
    ///
    /// ```
    /// use kaspector_live::RingOptions;
    ///
    /// assert_eq!(RingOptions::lasting(10_000).blocks, 239);
    /// assert_eq!(RingOptions::lasting(400_000).blocks, 512);
    /// ```
    #[must_use]
    pub fn lasting(speed_mbps: u32) -> Self {
        let bytes_per_ms = u128::from(speed_mbps) * 1_000_000 / 8 / 1000;
        let wanted = (bytes_per_ms * HELD.as_millis()).div_ceil(BLOCK_BYTES.into());
        let blocks = u32::try_from(wanted).unwrap_or(BLOCKS_MAX).clamp(BLOCKS_MIN, BLOCKS_MAX);
        Self { blocks, ..Self::default() }
    }
}

/// What happened since an interface was opened. `packets + drops` is what the kernel offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingStatistics {
    /// Frames that found room; those that a filter in the kernel left out are not among them.
    pub packets: u64,
    /// Frames that found none.
    pub drops: u64,
    /// How often the ring was full. libpcap does not say.
    pub freezes: u64,
    /// Blocks whose rest was left because a header in them made no sense.
    pub damaged_blocks: u64,
    /// Frames whose time is that of the interface's own clock.
    pub hardware_stamped: u64,
    /// How often the interface had been removed, and was opened anew when one of its name was there again.
    pub reopened: u64,
}

/// How frames are taken from an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum CaptureKind {
    /// A packet ring of Linux (packet(7), `TPACKET_V3`).
    Afpacket,
    /// libpcap, on every system that has it; slower.
    Pcap,
}

impl Default for CaptureKind {
    /// The ring where there is one.
    fn default() -> Self {
        if cfg!(target_os = "linux") { Self::Afpacket } else { Self::Pcap }
    }
}

impl fmt::Display for CaptureKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Afpacket => "afpacket",
            Self::Pcap => "pcap",
        })
    }
}

impl TryFrom<String> for CaptureKind {
    type Error = UnknownCaptureKind;

    fn try_from(name: String) -> Result<Self, UnknownCaptureKind> {
        name.parse()
    }
}

impl FromStr for CaptureKind {
    type Err = UnknownCaptureKind;

    fn from_str(name: &str) -> Result<Self, UnknownCaptureKind> {
        match name {
            "afpacket" => Ok(Self::Afpacket),
            "pcap" => Ok(Self::Pcap),
            _ => Err(UnknownCaptureKind(name.to_owned())),
        }
    }
}

/// A name that no kind of capture has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no kind of capture; there are: afpacket (Linux) and pcap")]
pub struct UnknownCaptureKind(pub String);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_kind_is_read_as_it_is_written() {
        for kind in [CaptureKind::Afpacket, CaptureKind::Pcap] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let message = "AF_XDP".parse::<CaptureKind>().unwrap_err().to_string();
        assert!(message.contains("AF_XDP") && message.contains("afpacket"), "{message}");
    }
}
