//! Live capture against the kernel. Each test makes a network namespace with the interfaces that it needs, and removes it.

#![cfg(all(target_os = "linux", feature = "libpcap"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector::capture::{Frame, LinkType, Timestamp};
use kaspector_live::{CaptureKind, Facts, Filter, Listener, LiveError, Ring, RingOptions, RingStatistics, advice};
use std::fs::File;
use std::io::Write;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{self, Command};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// EtherTypes for local experiments (IEEE 802): no other program sends them here.
const OURS: [u8; 2] = [0x88, 0xb5];
const OTHER: [u8; 2] = [0x88, 0xb6];
const FROM: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Neither end has it: only a promiscuous ring should care, and nobody answers.
const TO: [u8; 6] = [2, 0, 0, 0, 0, 2];
const TAG_100: [u8; 4] = [0x81, 0x00, 0x00, 0x64];
/// A test gives up after this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A network namespace; gone when dropped.
struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.0));
    }
}

/// Runs a test in a namespace of its own that holds a virtual wire from `near` to `far`.
fn in_namespace(tag: &str, test: impl FnOnce() + Send) {
    let namespace = Namespace(format!("ksp-{tag}-{}", process::id()));
    if !ip(&format!("netns add {}", namespace.0)) {
        assert!(std::env::var("CI").is_err(), "CI must run this: it takes root and the program `ip`");
        eprintln!("skipped: needs root and the program `ip`");
        return;
    }
    let handle = File::open(format!("/run/netns/{}", namespace.0)).unwrap();
    thread::scope(|scope| {
        // A namespace belongs to a thread, and to what it starts.
        let run = scope.spawn(|| {
            let network = Some(rustix::thread::LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(handle.as_fd(), network).unwrap();
            assert!(ip("link set lo up"));
            wire();
            test();
        });
        if let Err(panic) = run.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn wire() {
    assert!(ip("link add near type veth peer name far"));
    for end in ["near", "far"] {
        assert!(ip(&format!("link set {end} addrgenmode none mtu 9100 up")));
    }
}

fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|output| output.status.success())
}

fn send(frames: &[Vec<u8>]) {
    let mut sender = pcap::Capture::from_device("near").unwrap().open().unwrap();
    for frame in frames {
        sender.sendpacket(frame.as_slice()).unwrap();
    }
}

/// A frame with its number in it; `tags` stand before the EtherType.
fn frame(number: u32, length: usize, tags: &[u8]) -> Vec<u8> {
    typed(number, length, tags, OURS)
}

fn typed(number: u32, length: usize, tags: &[u8], ether_type: [u8; 2]) -> Vec<u8> {
    let mut frame = [&TO[..], &FROM, tags, &ether_type, &number.to_be_bytes()].concat();
    frame.extend((frame.len()..length).map(|at| (at as u32 ^ number) as u8));
    frame
}

/// What an interface gave: number, bytes and length on the wire.
type Seen = (u64, Vec<u8>, u32);

/// Frames that `is_ours` knows until `wanted` are there and nothing more comes for a while.
fn receive_those(listener: &mut Listener, wanted: usize, is_ours: impl Fn(&Frame<'_>) -> bool) -> Vec<Seen> {
    let (mut seen, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < PATIENCE {
        let came = listener.with_block(Duration::from_millis(200), |frames| {
            assert_eq!(frames.iter().count(), frames.len());
            let ours = frames.iter().filter(&is_ours);
            seen.extend(ours.map(|frame| (frame.number, frame.bytes.to_vec(), frame.wire_len)));
        });
        if came.unwrap().is_none() && seen.len() >= wanted {
            break;
        }
    }
    seen
}

fn is_ours(frame: &Frame<'_>) -> bool {
    frame.link_type == LinkType::ETHERNET && frame.bytes.get(6..12) == Some(&FROM)
}

fn receive(listener: &mut Listener, wanted: usize) -> Vec<Seen> {
    receive_those(listener, wanted, is_ours)
}

fn bytes(seen: Vec<Seen>) -> Vec<Vec<u8>> {
    seen.into_iter().map(|(_, bytes, _)| bytes).collect()
}

fn ring(interface: &str, options: &RingOptions) -> Listener {
    Listener::open(CaptureKind::Afpacket, interface, options).unwrap()
}

#[test]
fn every_frame_arrives_once_in_order_and_whole() {
    in_namespace("order", || {
        for kind in [CaptureKind::Afpacket, CaptureKind::Pcap] {
            let options = RingOptions { block_bytes: 64 << 10, blocks: 128, ..RingOptions::default() };
            let mut listener = Listener::open(kind, "far", &options).unwrap();
            let sent: Vec<_> = (0..2_000).map(|number| frame(number, 60 + number as usize * 7 % 1_440, &[])).collect();
            send(&sent);
            let seen = receive(&mut listener, sent.len());
            assert_eq!(seen.len(), sent.len(), "{kind}");
            for ((_, bytes, wire_len), sent) in seen.iter().zip(&sent) {
                assert_eq!(bytes, sent);
                assert_eq!(*wire_len as usize, sent.len());
            }
            assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "frames are numbered on");
            let statistics = listener.statistics().unwrap();
            assert!((2_000..2_020).contains(&statistics.packets), "{kind}: {statistics:?}");
            assert_eq!((statistics.drops, statistics.damaged_blocks, statistics.reopened), (0, 0, 0), "{kind}");
        }
    });
}

#[test]
fn frames_of_every_length_come_through() {
    in_namespace("length", || {
        for kind in [CaptureKind::Afpacket, CaptureKind::Pcap] {
            let mut listener = Listener::open(kind, "far", &RingOptions::default()).unwrap();
            let mut sent = vec![[&TO[..], &FROM, &OURS].concat()];
            sent.extend([18, 60, 64, 1_514, 1_518, 9_000, 9_114].map(|length| frame(7, length, &[])));
            send(&sent);
            let seen = receive(&mut listener, sent.len());
            assert!(seen.iter().all(|(_, bytes, wire_len)| bytes.len() == *wire_len as usize), "{kind}");
            assert_eq!(bytes(seen), sent, "{kind}");
        }
    });
}

#[test]
fn tags_are_where_they_were_sent() {
    in_namespace("tags", || {
        let tags: [&[u8]; 5] = [
            &[],
            &TAG_100,
            &[0x81, 0x00, 0xef, 0xfe],
            &[0x88, 0xa8, 0x20, 0x07],
            &[0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0x00, 0x06],
        ];
        let sent: Vec<_> = (0..50).map(|number| frame(number, 100, tags[number as usize % tags.len()])).collect();
        for kind in [CaptureKind::Afpacket, CaptureKind::Pcap] {
            let mut listener = Listener::open(kind, "far", &RingOptions::default()).unwrap();
            send(&sent);
            let seen = receive(&mut listener, sent.len());
            assert!(seen.iter().all(|(_, _, wire_len)| *wire_len == 100), "{kind}");
            assert_eq!(bytes(seen), sent, "{kind}");
        }
    });
}

#[test]
fn a_snap_length_cuts_bytes_and_not_the_length_on_the_wire() {
    in_namespace("snap", || {
        let options = RingOptions { snaplen: 96, ..RingOptions::default() };
        let sent = [frame(0, 60, &[]), frame(1, 1_000, &[]), frame(2, 500, &TAG_100)];
        for filter in [None, Some("ether proto 0x88b5".to_owned())] {
            let mut listener = ring("far", &RingOptions { filter, ..options.clone() });
            send(&sent);
            let seen = receive(&mut listener, sent.len());
            assert_eq!(seen.len(), sent.len());
            for ((_, bytes, wire_len), sent) in seen.iter().zip(&sent) {
                assert_eq!(bytes, &sent[..sent.len().min(96)]);
                assert_eq!(*wire_len as usize, sent.len());
            }
        }
    });
}

#[test]
fn a_filter_in_the_kernel_chooses_what_the_filter_alone_does() {
    in_namespace("filter", || {
        let mut sent = Vec::new();
        for tags in [&[][..], &TAG_100, &[0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0x00, 0x64]] {
            for ether_type in [OURS, OTHER] {
                for length in [60, 400] {
                    sent.push(typed(sent.len() as u32, length, tags, ether_type));
                }
            }
        }
        let expressions = [
            ("ether proto 0x88b5", true),
            ("not ether proto 0x88b5", true),
            ("vlan 100", true),
            ("not vlan", true),
            ("vlan and ether proto 0x88b6", true),
            ("ether[300] > 16", true),
            ("greater 100", false),
        ];
        for (expression, in_kernel) in expressions {
            let options = RingOptions { filter: Some(expression.to_owned()), ..RingOptions::default() };
            let mut filter = Filter::new(expression).unwrap();
            let mut chosen = |bytes: &Vec<u8>| {
                let wire_len = bytes.len() as u32;
                filter.accepts(&Frame { number: 1, at: Timestamp(0), link_type: LinkType::ETHERNET, wire_len, bytes })
            };
            let expected: Vec<_> = sent.iter().filter(|frame| chosen(frame)).cloned().collect();
            assert!(!expected.is_empty() && expected.len() < sent.len(), "{expression}");
            let mut listener = ring("far", &options);
            let Listener::Ring(opened) = &listener else { panic!("a ring was asked for") };
            assert_eq!(opened.filters_in_kernel(), in_kernel, "{expression}");
            send(&sent);
            let came = bytes(receive(&mut listener, expected.len()));
            assert_eq!(
                came.iter().filter(|frame| chosen(frame)).cloned().collect::<Vec<_>>(),
                expected,
                "{expression}"
            );
            let untagged = came.iter().filter(|frame| frame[12] == 0x88 && frame[13] != 0xa8).collect::<Vec<_>>();
            assert!(!in_kernel || untagged.into_iter().all(&mut chosen), "{expression}: the kernel chose");
        }
        let wrong = RingOptions { filter: Some("host and".to_owned()), ..RingOptions::default() };
        for kind in [CaptureKind::Afpacket, CaptureKind::Pcap] {
            assert!(matches!(Listener::open(kind, "far", &wrong), Err(LiveError::Filter(_))), "{kind}");
        }
    });
}

#[test]
fn what_finds_no_room_is_counted() {
    in_namespace("drops", || {
        let mut listener = ring("far", &RingOptions { block_bytes: 16 << 10, blocks: 4, ..RingOptions::default() });
        let sent: Vec<_> = (0..1_000).map(|number| frame(number, 1_000, &[])).collect();
        send(&sent);
        let seen = receive(&mut listener, 1).len() as u64;
        let RingStatistics { packets, drops, freezes, .. } = listener.statistics().unwrap();
        assert!(seen < 1_000 && drops > 0 && freezes > 0, "{seen} seen, {drops} dropped, {freezes} freezes");
        // Other frames of this machine may pass, none of ours may be missing.
        assert!(packets >= seen && (1_000..1_020).contains(&(packets + drops)), "{packets} + {drops}, {seen} seen");
        let again = listener.statistics().unwrap();
        assert!(again.packets >= packets && again.drops == drops, "asking again forgets nothing");
    });
}

#[test]
fn a_link_that_goes_down_is_no_error_and_one_that_returns_goes_on() {
    in_namespace("down", || {
        let mut listener = ring("far", &RingOptions::default());
        assert!(!listener.link_is_down());
        assert!(ip("link set far down"));
        let (begun, mut rounds) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_millis(500) {
            listener.with_block(Duration::from_millis(50), |_| ()).unwrap();
            rounds += 1;
        }
        assert!(listener.link_is_down());
        assert!(rounds < 20, "{rounds} rounds: it waits");
        assert!(ip("link set far up"));
        let sent = [frame(1, 60, &[])];
        send(&sent);
        assert_eq!(receive(&mut listener, 1).len(), 1);
        assert!(!listener.link_is_down());
        assert_eq!(listener.statistics().unwrap().reopened, 0);
    });
}

/// Lets listeners look until one of them has been opened anew `times` times.
fn until_reopened(listeners: &mut [Listener], times: u64) {
    let begun = Instant::now();
    while !listeners.iter_mut().all(|listener| listener.statistics().unwrap().reopened == times) {
        assert!(begun.elapsed() < PATIENCE, "not opened anew");
        for listener in &mut *listeners {
            listener.with_block(Duration::from_millis(20), |_| ()).unwrap();
        }
    }
}

#[test]
fn an_interface_that_is_removed_and_made_anew_is_opened_anew() {
    in_namespace("anew", || {
        for kind in [CaptureKind::Afpacket, CaptureKind::Pcap] {
            let mut listeners = [Listener::open(kind, "far", &RingOptions::default()).unwrap()];
            let mut last = 0;
            for round in 0..3 {
                let sent: Vec<_> = (0..10).map(|number| frame(number, 100, &TAG_100)).collect();
                send(&sent);
                let seen = receive(&mut listeners[0], sent.len());
                assert!(seen[0].0 > last, "{kind}: numbers go on");
                last = seen[9].0;
                assert_eq!(bytes(seen), sent, "{kind}");
                assert!(ip("link del near"));
                let begun = Instant::now();
                while !listeners[0].link_is_down() {
                    assert!(begun.elapsed() < PATIENCE, "{kind}: it is gone and nobody says so");
                    listeners[0].with_block(Duration::from_millis(20), |_| ()).unwrap();
                }
                wire();
                until_reopened(&mut listeners, round + 1);
                assert!(!listeners[0].link_is_down());
            }
            let statistics = listeners[0].statistics().unwrap();
            assert!((30..60).contains(&statistics.packets), "{kind}: {statistics:?} adds up");
        }
    });
}

#[test]
fn what_came_right_before_an_interface_was_removed_is_read_and_it_is_opened_anew_all_the_same() {
    in_namespace("last", || {
        // Blocks are handed over long after the interface is gone; who waits long sees that within the wait, who does not, after it.
        let options = RingOptions { retire: Duration::from_millis(300), ..RingOptions::default() };
        for timeout in [1_000, 20].map(Duration::from_millis) {
            let mut listeners = [ring("far", &options)];
            let sent: Vec<_> = (0..5).map(|number| frame(number, 100, &[])).collect();
            send(&sent);
            assert!(ip("link del near"));
            let (begun, mut seen) = (Instant::now(), Vec::new());
            while begun.elapsed() < Duration::from_millis(1_500) {
                let came = listeners[0].with_block(timeout, |frames| {
                    seen.extend(frames.iter().filter(is_ours).map(|frame| frame.bytes.to_vec()));
                });
                came.unwrap();
            }
            assert_eq!(seen, sent, "{timeout:?}");
            assert!(listeners[0].link_is_down(), "{timeout:?}");
            wire();
            until_reopened(&mut listeners, 1);
            assert!(ip("link del near"));
            wire();
        }
    });
}

#[test]
fn rings_of_a_group_share_the_frames_also_after_they_were_opened_anew() {
    in_namespace("group", || {
        let options = RingOptions { fanout: Some(7), ..RingOptions::default() };
        let mut rings = [ring("far", &options), ring("far", &options)];
        for round in 0..2 {
            let sent: Vec<_> = (0..200).map(datagram).collect();
            send(&sent);
            let shares = rings.each_mut().map(|ring| bytes(receive(ring, 0)));
            assert!(shares.iter().all(|share| share.len() > 20), "each has a part");
            let mut seen = shares.concat();
            seen.sort();
            let mut sent = sent;
            sent.sort();
            assert_eq!(seen, sent);
            if round == 0 {
                assert!(ip("link del near"));
                wire();
                until_reopened(&mut rings, 1);
            }
        }
    });
}

/// A UDP datagram of its own conversation.
fn datagram(number: u32) -> Vec<u8> {
    let port = 10_000 + number as u16;
    let udp = [&port.to_be_bytes()[..], &9_u16.to_be_bytes(), &[0, 12, 0, 0], &number.to_be_bytes()].concat();
    [&TO[..], &FROM, &[8, 0], &ipv4(&udp)].concat()
}

/// An IPv4 packet from 192.0.2.1 to 192.0.2.2.
fn ipv4(udp: &[u8]) -> Vec<u8> {
    let length = 20 + udp.len() as u16;
    let mut header =
        [&[0x45, 0][..], &length.to_be_bytes(), &[0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]].concat();
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [&header, udp].concat()
}

// Kernel modules cannot be installed by a test, so what needs one is skipped without it, in CI also; `make machine` boots a kernel that has
// them.

/// Sends into the near end and hears all of it at `interface`, as it was sent or as `arriving` says.
fn hears(interface: &str, tags: &[u8], arriving: &[u8]) {
    for kind in [CaptureKind::Afpacket, CaptureKind::Pcap] {
        let mut listener = Listener::open(kind, interface, &RingOptions::default()).unwrap();
        // A bridge port and a bond take a moment to forward.
        let begun = Instant::now();
        loop {
            send(&[frame(0, 60, tags)]);
            if !receive(&mut listener, 0).is_empty() {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{interface} ({kind}) hears nothing");
        }
        let sent: Vec<_> = (1..100).map(|number| frame(number, 60 + number as usize, tags)).collect();
        send(&sent);
        let expected: Vec<_> = sent.iter().map(|it| [&it[..12], arriving, &it[12 + tags.len()..]].concat()).collect();
        assert_eq!(bytes(receive(&mut listener, expected.len())), expected, "{interface} ({kind})");
        assert!(!listener.link_is_down(), "{interface}");
    }
}

#[test]
fn a_bridge_is_heard() {
    in_namespace("bridge", || {
        if !ip("link add name joined type bridge") {
            eprintln!("skipped: this kernel has no bridge module");
            return;
        }
        assert!(ip("link set far master joined") && ip("link set joined addrgenmode none up"));
        hears("joined", &[], &[]);
        hears("joined", &TAG_100, &TAG_100);
    });
}

#[test]
fn a_bond_is_heard() {
    in_namespace("bond", || {
        if !ip("link add name bonded type bond mode active-backup miimon 50") {
            eprintln!("skipped: this kernel has no bonding module");
            return;
        }
        assert!(
            ip("link set far down") && ip("link set far master bonded") && ip("link set bonded addrgenmode none up")
        );
        hears("bonded", &[], &[]);
        hears("bonded", &TAG_100, &TAG_100);
    });
}

#[test]
fn a_vlan_interface_is_heard_without_its_tag() {
    in_namespace("vlan", || {
        if !ip("link add link far name far.100 type vlan id 100") {
            eprintln!("skipped: this kernel has no VLAN interfaces");
            return;
        }
        assert!(ip("link set far.100 addrgenmode none up"));
        hears("far.100", &TAG_100, &[]);
        hears("far", &TAG_100, &TAG_100);
    });
}

#[test]
fn a_macvlan_is_heard() {
    in_namespace("macvlan", || {
        if !ip("link add link far name mv type macvlan mode passthru") {
            eprintln!("skipped: this kernel has no macvlan interfaces");
            return;
        }
        assert!(ip("link set mv addrgenmode none up"));
        hears("mv", &[], &[]);
    });
}

#[test]
fn loopback_shows_each_packet_once_with_the_time_of_day() {
    in_namespace("lo", || {
        for kind in [CaptureKind::Afpacket, CaptureKind::Pcap] {
            let mut listener = Listener::open(kind, "lo", &RingOptions::default()).unwrap();
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
            for number in 0..100_u32 {
                socket.send_to(&number.to_be_bytes(), "127.0.0.1:9").unwrap();
            }
            // Port unreachable comes back, so only UDP counts.
            let is_udp =
                |frame: &Frame<'_>| frame.bytes.get(12..14) == Some(&[8, 0]) && frame.bytes.get(23) == Some(&17);
            let seen = receive_those(&mut listener, 100, |frame| {
                let sane = before - 1_000_000_000..before + 60_000_000_000;
                assert!(sane.contains(&frame.at.0), "{kind}: {:?}", frame.at);
                is_udp(frame)
            });
            let numbers: Vec<_> = seen.iter().map(|(_, bytes, _)| bytes[42..46].to_vec()).collect();
            assert_eq!(numbers, (0..100_u32).map(|number| number.to_be_bytes().to_vec()).collect::<Vec<_>>(), "{kind}");
        }
    });
}

#[test]
fn a_tunnel_gives_packets_without_link_header() {
    in_namespace("tun", || {
        let Some(mut tunnel) = tunnel("tu") else {
            eprintln!("skipped: this kernel has no tun devices");
            return;
        };
        assert!(ip("link set tu addrgenmode none up"));
        for kind in [CaptureKind::Afpacket, CaptureKind::Pcap] {
            let mut listener = Listener::open(kind, "tu", &RingOptions::default()).unwrap();
            let sent: Vec<_> = (0..50_u16).map(|number| ipv4(&[&[0; 8][..], &number.to_be_bytes()].concat())).collect();
            for packet in &sent {
                tunnel.write_all(packet).unwrap();
            }
            let seen = receive_those(&mut listener, sent.len(), |frame| {
                // Raw IP goes by several numbers.
                assert!([LinkType::RAW, LinkType(12)].contains(&frame.link_type), "{kind}: {:?}", frame.link_type);
                frame.bytes.starts_with(&[0x45])
            });
            assert_eq!(bytes(seen), sent, "{kind}");
        }
    });
}

/// A tun device whose other end is a file.
#[allow(unsafe_code)]
fn tunnel(name: &str) -> Option<File> {
    let file = File::options().read(true).write(true).open("/dev/net/tun").ok()?;
    // SAFETY: all zeroes are an empty request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes an `ifreq`, which lives through the call.
    let made = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
    (made == 0).then_some(file)
}

#[test]
fn a_clock_is_taken_from_hardware_only_where_there_is_one() {
    in_namespace("clock", || {
        let mut listener = ring("far", &RingOptions { hardware_time: true, ..RingOptions::default() });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        send(&[frame(1, 60, &[])]);
        let seen = receive_those(&mut listener, 1, |frame| {
            assert!(frame.at.seconds().abs_diff(now) < 60, "{:?}", frame.at);
            is_ours(frame)
        });
        assert_eq!(seen.len(), 1);
        assert_eq!(listener.statistics().unwrap().hardware_stamped, 0, "a virtual wire has no clock");
    });
}

#[test]
fn facts_are_what_the_interface_was_set_to() {
    in_namespace("facts", || {
        assert!(ip("link set far mtu 4000"));
        let facts = Facts::of("far").unwrap();
        assert_eq!((facts.mtu, facts.is_up, facts.has_carrier), (Some(4000), true, true), "{facts:?}");
        assert_eq!((facts.link_type, facts.lro), (Some(LinkType::ETHERNET), Some(false)));
        assert_eq!(facts.speed_mbps, None, "a virtual cable says 10 Gb/s, and means nothing by it");
        assert!(facts.gro.is_some() && facts.rx_dropped.is_some(), "{facts:?}");
        let options = RingOptions { snaplen: 1_500, ..RingOptions::for_link(facts.speed_mbps, 1) };
        let said = advice(&facts, &options, 1);
        assert!(said.iter().any(|line| line.contains("--snaplen 4022")), "{said:?}");
        send(&(0..50).map(|number| frame(number, 60, &[])).collect::<Vec<_>>());
        assert!(Facts::of("far").unwrap().received.unwrap() >= facts.received.unwrap() + 50);
        assert!(ip("link set far down"));
        let said = advice(&Facts::of("far").unwrap(), &options, 1);
        assert!(said.iter().any(|line| line.ends_with("ip link set far up")), "{said:?}");
        assert!(ip("link del near"));
        assert!(matches!(Facts::of("far"), Err(LiveError::NoSuchInterface { present, .. }) if present == ["lo"]));
    });
}

#[test]
fn an_unknown_interface_is_named_with_those_that_there_are() {
    let Err(error) = Ring::open("ksp-nowhere", &RingOptions::default()) else { panic!("it opened") };
    assert!(
        matches!(&error, LiveError::NoSuchInterface { present, .. } if present.contains(&"lo".to_owned())),
        "{error}"
    );
    let wrong = RingOptions { block_bytes: 1_000, ..RingOptions::default() };
    assert!(matches!(Ring::open("lo", &wrong), Err(LiveError::Options { .. })));
}

#[test]
fn libpcap_says_what_it_cannot_do() {
    let shared = RingOptions { fanout: Some(1), ..RingOptions::default() };
    assert!(matches!(Listener::open(CaptureKind::Pcap, "lo", &shared), Err(LiveError::Options { .. })));
    let Err(error) = Listener::open(CaptureKind::Pcap, "ksp-nowhere", &RingOptions::default()) else {
        panic!("it opened")
    };
    assert!(error.to_string().starts_with("ksp-nowhere: "), "{error}");
}
