//! What an interface is set to, and what about it would cost packets.

use std::fs;
use std::os::unix::net::UnixDatagram;

use super::options::HELD;
use super::ring::link_type;
use super::socket::{self, Ethtool};
use super::{LiveError, RingOptions};
use kaspector::capture::LinkType;

/// `ETH_FLAG_LRO` of `linux/ethtool.h`.
const FLAG_LRO: u32 = 1 << 15;
/// What stands in front of a packet that fills the MTU: an Ethernet header and two tags.
const LINK_HEADERS: u32 = 14 + 2 * 4;
/// Largest snap length that is worth a word: no packet is longer.
const SNAPLEN_MAX: u32 = 65535;
/// A ring that holds less than one of so many parts of the rule's is too small.
const PART: u64 = 2;

/// What the kernel and the driver say of an interface of the current network namespace. `None`: they do not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its name.
    pub interface: String,
    /// How its frames begin; `None` when they cannot be read.
    pub link_type: Option<LinkType>,
    /// Largest packet, in bytes without link header.
    pub mtu: Option<u32>,
    /// Whether it is set up (`IFF_UP`).
    pub is_up: bool,
    /// Whether it has a cable, or what stands for one (`IFF_RUNNING`).
    pub has_carrier: bool,
    /// Speed of the link in megabits a second.
    pub speed_mbps: Option<u32>,
    /// Generic receive offload: the kernel joins segments before they are captured.
    pub gro: Option<bool>,
    /// Large receive offload: the device does.
    pub lro: Option<bool>,
    /// Frames that the device can hold for the kernel.
    pub rx_ring: Option<DeviceRing>,
    /// Frames that the interface received since the machine knows it.
    pub received: Option<u64>,
    /// Frames that were lost before any ring saw them: `rx_dropped + rx_missed_errors + rx_fifo_errors` of its statistics, as columns
    /// "drop" and "fifo" of `/proc/net/dev` give them.
    pub rx_dropped: Option<u64>,
}

/// Receive ring of a network device, in frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRing {
    /// As it is set.
    pub current: u32,
    /// As it could be set.
    pub max: u32,
}

impl Facts {
    /// Asks about an interface; needs no privilege.
    ///
    /// # Errors
    /// When there is none of that name, or the kernel gives out no socket.
    pub fn of(interface: &str) -> Result<Self, LiveError> {
        let unknown = || LiveError::no_such_interface(interface);
        let name = socket::name_of(interface).ok_or_else(unknown)?;
        // Any socket will do to ask; this one reaches nobody.
        let asker = UnixDatagram::unbound().map_err(|cause| LiveError::System {
            interface: interface.to_owned(),
            doing: "open a socket to ask about it",
            cause,
        })?;
        let flags = socket::flags(&asker, &name).map_err(|_| unknown())?;
        let answer = |question| socket::ethtool(&asker, &name, question).ok();
        let value = |question| answer(question).map(|[_, value, ..]| value);
        let counters = counters_of(interface);
        Ok(Self {
            interface: interface.to_owned(),
            link_type: socket::hardware_type(&asker, &name).ok().and_then(link_type),
            mtu: socket::mtu(&asker, &name).ok(),
            is_up: flags & libc::IFF_UP != 0,
            has_carrier: flags & libc::IFF_RUNNING != 0,
            // Virtual cables and tunnels say 10 Gb/s, whatever they are made of.
            speed_mbps: answer(Ethtool::Settings)
                .and_then(speed_mbps)
                .filter(|_| !answer(Ethtool::Driver).is_some_and(is_virtual)),
            gro: value(Ethtool::Gro).map(|gro| gro != 0),
            lro: value(Ethtool::Flags).map(|flags| flags & FLAG_LRO != 0),
            rx_ring: answer(Ethtool::RingSizes)
                .map(|[_, max, _, _, _, current, ..]| DeviceRing { current, max })
                .filter(|ring| ring.max > 0),
            received: counters.map(|counters| counters.received),
            rx_dropped: counters.map(|counters| counters.dropped),
        })
    }
}

/// What about an interface that `rings` rings of this shape share would cost packets, or make them other than they were on the wire: one
/// plain sentence each, with the command that would change it. Empty when all is well.
#[must_use]
pub fn advice(facts: &Facts, options: &RingOptions, rings: u32) -> Vec<String> {
    let Facts { interface, .. } = facts;
    let mut advice = Vec::new();
    if !facts.is_up {
        advice.push(format!("{interface} is down, so nothing can be seen there: ip link set {interface} up"));
    } else if !facts.has_carrier {
        advice.push(format!(
            "{interface} has no link, so nothing can be seen there; look at the cable and the other end: ip link show {interface}"
        ));
    }
    let joined: Vec<_> = [("gro", facts.gro), ("lro", facts.lro)]
        .into_iter()
        .filter(|&(_, is_on)| is_on == Some(true))
        .map(|(offload, _)| offload)
        .collect();
    if !joined.is_empty() {
        let names = joined.iter().map(|offload| offload.to_uppercase()).collect::<Vec<_>>().join(" and ");
        let switches = joined.iter().map(|offload| format!(" {offload} off")).collect::<String>();
        advice.push(format!(
            "{interface} joins packets before they are seen ({names}), so lengths and counts are not those of the wire: \
             ethtool -K {interface}{switches}"
        ));
    }
    if let Some(DeviceRing { current, max }) = facts.rx_ring
        && current < max
    {
        advice.push(format!(
            "the device of {interface} holds {current} frames although it could hold {max}, so bursts may be lost: \
             ethtool -G {interface} rx {max}"
        ));
    }
    if let Some(mtu) = facts.mtu {
        let needed = mtu.saturating_add(LINK_HEADERS).min(SNAPLEN_MAX);
        if needed > options.snaplen {
            advice.push(format!(
                "packets of {interface} may have {mtu} bytes and their headers {LINK_HEADERS} more, of which {} are kept: \
                 --snaplen {needed}",
                options.snaplen
            ));
        }
    }
    let rule = facts.speed_mbps.map_or_else(RingOptions::default, RingOptions::lasting);
    let bytes = |options: &RingOptions| u64::from(options.block_bytes) * u64::from(options.blocks);
    let rings = u64::from(rings.max(1));
    let held = bytes(options).saturating_mul(rings);
    if held < bytes(&rule) / PART && options.block_bytes > 0 {
        let blocks = bytes(&rule).div_ceil(rings).div_ceil(options.block_bytes.into());
        advice.push(format!(
            "what holds packets of {interface} is {} MiB; if its link is often full, {} MiB would outlast a pause of {} ms: --ring-blocks {blocks}",
            held >> 20,
            bytes(&rule) >> 20,
            HELD.as_millis()
        ));
    }
    advice
}

/// Speed in `ethtool_cmd`: two halves. All ones, or nothing, when there is no link.
fn speed_mbps(words: [u32; socket::ETHTOOL_WORDS]) -> Option<u32> {
    // The first two bytes of the fourth word and of the eighth.
    let [_, _, _, low, _, _, _, high, ..] = words;
    let [a, b, _, _] = low.to_ne_bytes();
    let [high_a, high_b, _, _] = high.to_ne_bytes();
    let speed = u32::from(u16::from_ne_bytes([high_a, high_b])) << 16 | u32::from(u16::from_ne_bytes([a, b]));
    (speed != 0 && speed != u32::MAX && speed != u32::from(u16::MAX)).then_some(speed)
}

/// Whether `ethtool_drvinfo` names a driver without a line of its own: its name follows the first word.
fn is_virtual(words: [u32; socket::ETHTOOL_WORDS]) -> bool {
    const VIRTUAL: [&[u8]; 2] = [b"veth", b"tun"];
    let name: Vec<u8> =
        words.into_iter().skip(1).flat_map(u32::to_ne_bytes).take(32).take_while(|&byte| byte != 0).collect();
    VIRTUAL.contains(&&*name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counters {
    received: u64,
    dropped: u64,
}

/// Counters of the thread's own network namespace: `/sys` shows that of whoever mounted it.
fn counters_of(interface: &str) -> Option<Counters> {
    counters_in(&fs::read_to_string("/proc/thread-self/net/dev").ok()?, interface)
}

/// The table of proc_pid_net(5): "name: bytes packets errs drop fifo ..." of what was received.
fn counters_in(table: &str, interface: &str) -> Option<Counters> {
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix(interface)?.strip_prefix(':'))?;
    let mut columns = line.split_whitespace().skip(1).map(|column| column.parse::<u64>().ok());
    let mut next = || columns.next()?;
    let (received, _errors, dropped, fifo) = (next()?, next()?, next()?, next()?);
    Some(Counters { received, dropped: dropped.saturating_add(fifo) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    fn well() -> Facts {
        Facts {
            interface: "eth1".to_owned(),
            link_type: Some(LinkType::ETHERNET),
            mtu: Some(1500),
            is_up: true,
            has_carrier: true,
            speed_mbps: Some(1000),
            gro: Some(false),
            lro: Some(false),
            rx_ring: Some(DeviceRing { current: 4096, max: 4096 }),
            received: Some(1),
            rx_dropped: Some(0),
        }
    }

    #[test]
    fn nothing_is_said_when_all_is_well_or_unknown() {
        assert_eq!(advice(&well(), &RingOptions::default(), 1), [""; 0]);
        let unknown = Facts { is_up: true, has_carrier: true, ..Facts::default() };
        assert_eq!(advice(&unknown, &RingOptions::default(), 1), [""; 0]);
    }

    #[test]
    fn each_fault_comes_with_the_command_that_mends_it() {
        let mended = |facts: Facts, options: RingOptions, command: &str| {
            let advice = advice(&facts, &options, 1);
            assert_eq!(advice.len(), 1, "{advice:?}");
            assert!(advice[0].ends_with(&format!(": {command}")) && advice[0].contains("eth1"), "{advice:?}");
        };
        let options = RingOptions::default;
        mended(Facts { gro: Some(true), ..well() }, options(), "ethtool -K eth1 gro off");
        mended(Facts { gro: Some(true), lro: Some(true), ..well() }, options(), "ethtool -K eth1 gro off lro off");
        mended(
            Facts { rx_ring: Some(DeviceRing { current: 256, max: 4096 }), ..well() },
            options(),
            "ethtool -G eth1 rx 4096",
        );
        mended(Facts { mtu: Some(9000), ..well() }, RingOptions { snaplen: 1522, ..options() }, "--snaplen 9022");
        mended(Facts { mtu: Some(65536), ..well() }, RingOptions { snaplen: 65534, ..options() }, "--snaplen 65535");
        mended(Facts { is_up: false, has_carrier: false, ..well() }, options(), "ip link set eth1 up");
        mended(Facts { has_carrier: false, ..well() }, options(), "ip link show eth1");
        mended(Facts { speed_mbps: Some(40_000), ..well() }, options(), "--ring-blocks 512");
        mended(Facts { speed_mbps: Some(10_000), ..well() }, options(), "--ring-blocks 239");
        let fast = Facts { speed_mbps: Some(40_000), ..well() };
        assert!(advice(&fast, &options(), 2)[0].ends_with(": --ring-blocks 256"), "two share it");
        assert_eq!(advice(&fast, &options(), 4), [""; 0], "half of it is enough to say nothing");
    }

    #[test]
    fn counters_are_those_of_the_very_interface() {
        let table = "Inter-|   Receive                            |  Transmit\n face |bytes    packets errs drop fifo frame\n\
                     eth10:    5 6 0 7 0 0 0 0 0 0 0 0 0 0 0 0\n  eth1:1234567890      12    3    4    5     0          0         0 0 0\n";
        assert_eq!(counters_in(table, "eth1"), Some(Counters { received: 12, dropped: 9 }));
        assert_eq!(counters_in(table, "eth"), None);
        assert_eq!(counters_in("eth1: 1 2", "eth1"), None);
    }

    #[test]
    fn what_is_no_name_is_no_interface() {
        for name in ["", "../../etc", "a name that is longer than any", "with\0zero"] {
            assert!(matches!(Facts::of(name), Err(LiveError::NoSuchInterface { .. })), "{name:?}");
        }
        let loopback = Facts::of("lo").unwrap();
        assert!(loopback.link_type == Some(LinkType::ETHERNET) && loopback.received.is_some(), "{loopback:?}");
    }

    #[test]
    fn a_speed_without_a_link_is_none() {
        let words = |low: u16, high: u16| {
            let mut words = [0; socket::ETHTOOL_WORDS];
            let [a, b] = low.to_ne_bytes();
            words[3] = u32::from_ne_bytes([a, b, 1, 1]);
            let [a, b] = high.to_ne_bytes();
            words[7] = u32::from_ne_bytes([a, b, 1, 1]);
            words
        };
        assert_eq!(speed_mbps(words(10_000, 0)), Some(10_000));
        assert_eq!(speed_mbps(words(0x86a0, 1)), Some(100_000));
        assert_eq!(speed_mbps(words(0xffff, 0xffff)), None);
        assert_eq!(speed_mbps(words(0, 0)), None);
    }
}
