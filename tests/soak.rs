//! The live sensor under what months do to it, in short: receivers die and come back, the sensor is killed and started again, and after
//! all that no alert is missing anywhere, and neither memory nor descriptors have grown.
//!
//! `KASPECTOR_SOAK_SECONDS` is how long, 24 by default; `KASPECTOR_SOAK_SEED` repeats a sequence of misfortunes. `make soak` is the hour
//! before a release. Needs root and `ip`; elsewhere it says so and passes. Where `CI` is set it must run.

#![cfg(all(target_os = "linux", feature = "libpcap"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/cable.rs"]
mod cable;
#[path = "../benches/traffic/readdress.rs"]
mod readdress;
#[path = "soak/receiver.rs"]
mod receiver;
#[path = "support/sensor.rs"]
#[allow(dead_code, reason = "each file of tests takes its part")]
mod sensor;
#[path = "../benches/traffic/mod.rs"]
mod traffic;

use cable::Cable;
use kaspector_delivery::Weight;
use kaspector_delivery::spool::record::{Parsed, parse};
use receiver::{Kind, Receiver, alert_uid};
use sensor::Sensor;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use traffic::Random;

/// Captures whose host shows itself at once: its address, and the frames.
const CAPTURES: [&str; 5] = ["dns-then-tls", "http-update", "quic-v1", "http-proxy-connect", "socks5-domain"];
/// Between two replays.
const PAUSE: Duration = Duration::from_millis(15);
/// A host whose last packet was sent so long before a kill must be told of. A sensor built for debugging on a busy machine is slow.
const REACTION: Duration = Duration::from_secs(2);
/// Growth of the resident set from the end of the warm-up that is still called flat. Hosts repeat by then, so nothing may grow by
/// design; what is left are pages of tables of fixed size that are touched for the first time.
const GROWTH_MAX_KIB: u64 = 16 << 10;
/// Descriptors: a connection may be on its way out while the next is there.
const DESCRIPTORS_MAX: usize = 4;

/// A capture and the hosts that it shows.
struct Replay {
    hosts: Vec<Ipv4Addr>,
    frames: Vec<Vec<u8>>,
}

impl Replay {
    fn read(name: &str) -> Self {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps");
        let expected = fs::read_to_string(folder.join(format!("{name}.expect.json"))).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
        let hosts = expected["hosts"].as_array().unwrap().iter();
        let hosts = hosts.map(|host| host["address"].as_str().unwrap().parse().unwrap()).collect();
        let mut capture = pcap::Capture::from_file(folder.join(format!("{name}.pcap"))).unwrap();
        let mut frames = Vec::new();
        while let Ok(packet) = capture.next_packet() {
            frames.push(packet.data.to_vec());
        }
        Self { hosts, frames }
    }
}

/// Sends captures as the traffic of ever other machines, and remembers whose and when.
struct Sender {
    wire: pcap::Capture<pcap::Active>,
    replays: Vec<Replay>,
    /// When the last packet of a host was sent.
    sent: BTreeMap<Ipv4Addr, Instant>,
    number: u32,
    /// Machines after which the first comes again.
    machines: u32,
}

impl Sender {
    fn send(&mut self) {
        let machine = 1 + self.number % self.machines;
        let replay = &self.replays[self.number as usize % self.replays.len()];
        self.number += 1;
        for frame in &replay.frames {
            let mut frame = frame.clone();
            readdress::readdress(&mut frame, machine);
            self.wire.sendpacket(frame).unwrap();
        }
        let now = Instant::now();
        for &host in &replay.hosts {
            self.sent.insert(shifted(host, machine), now);
        }
    }
}

/// What `readdress` makes of an address in 10.0.0.0/8.
fn shifted(host: Ipv4Addr, by: u32) -> Ipv4Addr {
    assert_eq!(host.octets()[0], 10, "the captures' clients are there");
    Ipv4Addr::from(0x0a00_0000 | u32::from(host).wrapping_add(by) & 0x00ff_ffff)
}

/// Identifiers of the alerts that lie in the segments of a spool now.
fn spooled(folder: &Path) -> HashSet<String> {
    let mut uids = HashSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let bytes = fs::read(entry.path()).unwrap_or_default();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match parse(rest) {
                Parsed::Record(record, length) => {
                    if record.message.weight != Weight::Stats {
                        uids.insert(record.message.uid.to_string());
                    }
                    rest = &rest[length..];
                }
                Parsed::Partial => break,
                Parsed::Damaged(length) => rest = &rest[length..],
            }
        }
    }
    uids
}

/// Identifiers in all EVE files of a folder, and the hosts that they tell of.
fn written(folder: &Path) -> (HashSet<String>, BTreeSet<Ipv4Addr>) {
    let (mut uids, mut hosts) = (HashSet::new(), BTreeSet::new());
    for entry in fs::read_dir(folder).unwrap() {
        for line in fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            // A kill may leave a torn line; the whole message follows on the next.
            let Some(uid) = alert_uid(line) else { continue };
            uids.insert(uid);
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            hosts.extend(event["alert"]["target"]["ip"].as_str().and_then(|text| text.parse::<Ipv4Addr>().ok()));
        }
    }
    (uids, hosts)
}

/// The most packets that the kernel dropped in any one life of the sensor, by its own records.
fn dropped(folder: &Path) -> u64 {
    let lines = |path: PathBuf| fs::read_to_string(path).unwrap();
    let files = fs::read_dir(folder).unwrap().map(|entry| lines(entry.unwrap().path()));
    let drops = |text: String| {
        let events = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        events.filter_map(|event| event["stats"]["capture"]["kernel_drops"].as_u64()).max()
    };
    files.filter_map(drops).max().expect("the sensor tells its counters")
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: no number")))
}

#[test]
fn nothing_is_lost_and_nothing_grows() {
    let Some(cable) = Cable::lay("s") else { return };
    let seconds = setting("KASPECTOR_SOAK_SECONDS", 24).max(12);
    let mut random = Random::new(setting("KASPECTOR_SOAK_SEED", 5));
    let folder = tempfile::tempdir().unwrap();
    let (eve_folder, spool) = (folder.path().join("eve"), folder.path().join("spool"));
    fs::create_dir(&eve_folder).unwrap();
    let eve = eve_folder.join("eve.json");
    // Below the ports that the system gives out by itself, so that nobody takes them while a receiver is dead.
    let port = 20_000 + u16::try_from(std::process::id() % 5_000).unwrap() * 2;
    let socket = folder.path().join("eve.sock");
    let mut receivers = [
        Receiver::new(Kind::UnixStream(socket.clone())),
        Receiver::new(Kind::Syslog(port)),
        Receiver::new(Kind::Elastic(port + 1)),
    ];
    let outputs = [
        format!("file:{}", eve.display()),
        format!("unix-stream:{}", socket.display()),
        format!("syslog+tcp://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{}/?shape=elastic&index=alerts", port + 1),
    ];
    let mut arguments: Vec<String> = ["-i", &cable.far, "--ring-blocks", "16", "--stats-interval", "1"]
        .into_iter()
        .chain(["--summary-interval", "2", "--spool"])
        .map(str::to_owned)
        .collect();
    arguments.push(spool.display().to_string());
    arguments.extend(outputs.into_iter().flat_map(|output| ["-o".to_owned(), output]));

    receivers.iter_mut().for_each(Receiver::start);
    let mut sensor = Sensor::start(&arguments);
    let mut sender = Sender {
        wire: pcap::Capture::from_device(cable.near.as_str()).unwrap().open().unwrap(),
        replays: CAPTURES.into_iter().map(Replay::read).collect(),
        sent: BTreeMap::new(),
        number: 0,
        machines: u32::MAX,
    };
    let (mut known, mut due) = (HashSet::new(), BTreeSet::new());
    let (mut kills, mut deaths, mut moved) = (0, 0, 0);

    // First misfortunes of all kinds, machines that were never seen before, and kills of the sensor.
    let begun = Instant::now();
    let misfortunes = Duration::from_secs(seconds * 2 / 3);
    let mut next = begun + Duration::from_secs(1);
    while begun.elapsed() < misfortunes {
        sender.send();
        std::thread::sleep(PAUSE);
        assert!(sensor.is_running(), "it ended by itself: {}", sensor.said());
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + Duration::from_millis(300 + random.below(900));
        match random.below(10) {
            0 => {
                sensor.child.kill().unwrap();
                sensor.child.wait().unwrap();
                let killed = Instant::now();
                // Those whose packets were sent just now may have been in the ring still.
                due.extend(sender.sent.iter().filter(|(_, at)| killed - **at > REACTION).map(|(&host, _)| host));
                sender.sent.clear();
                known.extend(spooled(&spool));
                kills += 1;
                sensor = Sensor::start(&arguments);
            }
            1 => {
                moved += 1;
                fs::rename(&eve, eve_folder.join(format!("eve.json.{moved}"))).unwrap_or_default();
                sensor.signal("HUP");
            }
            other => {
                let receiver = &mut receivers[other as usize % 3];
                deaths += 1;
                if receiver.is_running() { receiver.kill() } else { receiver.start() }
            }
        }
    }
    receivers.iter_mut().filter(|receiver| !receiver.is_running()).for_each(Receiver::start);

    // Then a long quiet life: the same machines again and again, while receivers still die.
    let quiet = Duration::from_secs(seconds) - misfortunes;
    sender.machines = u32::try_from(seconds * 4).unwrap().clamp(100, 2_000);
    let (begun, mut warm) = (Instant::now(), None);
    let mut down: Option<(usize, Instant)> = None;
    while begun.elapsed() < quiet {
        sender.send();
        std::thread::sleep(PAUSE);
        assert!(sensor.is_running(), "it ended by itself: {}", sensor.said());
        let is_settled = down.is_none_or(|(_, since)| since.elapsed() > Duration::from_secs(2));
        if begun.elapsed() > quiet / 2 && warm.is_none() && is_settled {
            warm = Some((sensor.resident(), sensor.descriptors()));
        }
        match down {
            Some((at, since)) if !receivers[at].is_running() && since.elapsed() > Duration::from_millis(300) => {
                receivers[at].start();
            }
            Some((_, since)) if since.elapsed() < Duration::from_secs(3) => {}
            _ if begun.elapsed() + Duration::from_secs(3) < quiet => {
                let at = random.below(3) as usize;
                receivers[at].kill();
                deaths += 1;
                down = Some((at, Instant::now()));
            }
            _ => {}
        }
    }
    receivers.iter_mut().filter(|receiver| !receiver.is_running()).for_each(Receiver::start);
    // What a dead receiver had not read comes with the next alert, which must not wait too long.
    let last = Instant::now();
    sender.machines = u32::MAX;
    while last.elapsed() < REACTION {
        sender.send();
        std::thread::sleep(PAUSE * 4);
    }
    let end = (sensor.resident(), sensor.descriptors());
    let warm = warm.unwrap_or(end);
    due.extend(sender.sent.iter().filter(|(_, at)| at.elapsed() > REACTION).map(|(&host, _)| host));

    sensor.signal("TERM");
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = sensor.child.try_wait().unwrap() {
            break status;
        }
        // Everybody listens, so it has no reason to use up its patience of ten seconds.
        assert!(begun.elapsed() < Duration::from_secs(8), "it does not end: {}", sensor.said());
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = sensor.said();
    assert!(status.success(), "{said}");
    assert!(!said.contains("had not taken everything"), "{said}");
    known.extend(spooled(&spool));

    // What was written to a socket is read within moments.
    std::thread::sleep(Duration::from_secs(1));
    receivers.iter_mut().for_each(Receiver::kill);
    let (in_file, hosts) = written(&eve_folder);
    let mut taken: Vec<(String, HashSet<String>)> = vec![("file".to_owned(), in_file)];
    for receiver in &receivers {
        taken.push((receiver.name(), receiver.uids()));
        known.extend(receiver.uids());
    }
    known.extend(taken[0].1.iter().cloned());
    eprintln!(
        "{} replays, {} alerts, {} hosts due; the sensor was killed {kills} times, receivers died or came back {deaths} times, \
         the file moved {moved} times; doubles: {}; resident {} KiB, then {} KiB; descriptors {}, then {}",
        sender.number,
        known.len(),
        due.len(),
        receivers
            .iter()
            .map(|receiver| format!("{} {}", receiver.name(), receiver.doubles()))
            .collect::<Vec<_>>()
            .join(", "),
        warm.0,
        end.0,
        warm.1,
        end.1,
    );
    assert!(kills > 0 && deaths > 0 && !due.is_empty() && known.len() > due.len(), "it was no soak");
    for (name, uids) in &taken {
        let missing: Vec<_> = known.difference(uids).collect();
        assert!(missing.is_empty(), "{name}: {} of {} alerts missing: {missing:?}", missing.len(), known.len());
    }
    let unseen: Vec<_> = due.difference(&hosts).collect();
    // What the ring had no room for, because the sensor was kept from its core, nobody can tell of.
    let (unseen_count, dropped) = (unseen.len(), dropped(&eve_folder));
    assert!(
        unseen.is_empty(),
        "{unseen_count} of {} hosts were never told of, {dropped} dropped: {unseen:?}",
        due.len()
    );
    assert!(end.0 <= warm.0 + GROWTH_MAX_KIB, "resident: {} KiB, then {} KiB", warm.0, end.0);
    assert!(end.1 <= warm.1 + DESCRIPTORS_MAX, "descriptors: {}, then {}", warm.1, end.1);
}
