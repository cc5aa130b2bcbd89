//! What outputs lose is in the numbers, to the message and within a second, whatever happens to the spool and whoever is away meanwhile.
//!
//! Needs root and `ip`; elsewhere it says so and passes. Where `CI` is set it must run.

#![cfg(all(target_os = "linux", feature = "libpcap"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/cable.rs"]
mod cable;
#[path = "web/http.rs"]
#[allow(dead_code)]
mod http;
#[path = "soak/receiver.rs"]
#[allow(dead_code)]
mod receiver;
#[path = "support/sensor.rs"]
#[allow(dead_code, reason = "each file of tests takes its part")]
mod sensor;
#[path = "losses/served.rs"]
mod server_role;

use cable::Cable;
use kaspector_delivery::spool::record::{Parsed, parse};
use receiver::{Kind, Receiver, alert_uid};
use server_role::{Served, free_address};
use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A lookup of a name that is an indicator, in one Ethernet frame.
fn lookup(host: u32) -> Vec<u8> {
    let mut dns = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["s07", "upd", "kaspersky", "com"] {
        dns.push(u8::try_from(label.len()).unwrap());
        dns.extend_from_slice(label.as_bytes());
    }
    dns.extend_from_slice(&[0, 0, 1, 0, 1]);
    let (client, server) = (Ipv4Addr::from(0x0a00_0000 + host), Ipv4Addr::new(192, 0, 2, 53));
    let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&length(28 + dns.len()));
    ip.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0]);
    ip.extend_from_slice(&client.octets());
    ip.extend_from_slice(&server.octets());
    let sum = ip.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum::<u32>();
    let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    ip[10..12].copy_from_slice(&(!folded).to_be_bytes());
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend(ip);
    frame.extend_from_slice(&[0xc0, 0x01, 0, 53]);
    frame.extend_from_slice(&length(8 + dns.len()));
    frame.extend_from_slice(&[0, 0]);
    frame.extend(dns);
    frame
}

/// Sends lookups of so many hosts that were never seen, and waits until all their alerts are with the live output.
fn raise(cable: &Cable, sensor: &Served, next: &mut u32, count: u32) {
    let before = sensor.sum("kaspector_messages_total", &["kind=\"alert\""]);
    let mut wire = pcap::Capture::from_device(cable.near.as_str()).unwrap().open().unwrap();
    for sent in 0..count {
        *next += 1;
        wire.sendpacket(lookup(*next)).unwrap();
        if sent % 100 == 99 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    sensor.until("all alerts are told", |sensor| {
        let told = sensor.sum("kaspector_messages_total", &["kind=\"alert\""]);
        let taken = sensor.sum("kaspector_output_events_total", &["output=\"file:", "result=\"delivered\""]);
        told == before + u64::from(count) && taken == told
    });
}

/// Identifiers of the alerts in an EVE file.
fn uids_in(path: &Path) -> HashSet<String> {
    fs::read_to_string(path).unwrap().lines().filter_map(alert_uid).collect()
}

fn segments(spool: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> = paths
        .filter(|path| path.is_file() && path.file_name().unwrap().to_str().unwrap().starts_with("finding-"))
        .collect();
    segments.sort();
    segments
}

/// Where the records of a segment begin.
fn records(path: &Path) -> Vec<usize> {
    let bytes = fs::read(path).unwrap();
    let (mut at, mut starts) = (0, Vec::new());
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let Parsed::Record(_, length) = parse(rest) else { break };
        starts.push(at);
        at += length;
    }
    starts
}

fn cut(path: &Path, length: usize) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length as u64).unwrap();
}

/// Every message is delivered, refused, lost or waits, for each output.
fn adds_up(sensor: &Served) {
    sensor.until("the numbers add up", |sensor| {
        let status = sensor.status();
        let made = status["messages"]["alerts"].as_u64().unwrap() - status["no_room"]["alerts"].as_u64().unwrap();
        status["outputs"].as_array().unwrap().iter().all(|output| {
            let parts = ["delivered", "rejected", "lost", "waiting"].map(|name| output[name].as_u64().unwrap());
            parts.iter().sum::<u64>() == made
        })
    });
}

#[test]
fn delivered_and_lost_are_all_alerts_that_were_raised() {
    let Some(cable) = Cable::lay("lo") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (eve, spool, socket) =
        (folder.path().join("eve.json"), folder.path().join("spool"), folder.path().join("eve.sock"));
    let mut elastic = Receiver::new(Kind::Elastic(free_address().port()));
    let Kind::Elastic(port) = elastic.kind else { unreachable!() };
    let mut unix = Receiver::new(Kind::UnixStream(socket.clone()));
    // Takes connections and reads nothing.
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let names = [
        format!("file:{}", eve.display()),
        format!("http://127.0.0.1:{port}/"),
        format!("unix-stream:{}", socket.display()),
        format!("syslog+tcp://{}", hangs.local_addr().unwrap()),
    ];
    let [_, http_name, unix_name, _] = &names;
    let http = format!("{http_name}?shape=elastic&index=alerts");
    let spool_text = spool.display().to_string();
    let arguments = ["-o", &names[0], "-o", &http, "-o", &names[2], "-o", &names[3]];
    let arguments: Vec<&str> = arguments.into_iter().chain(["--spool", &spool_text, "--spool-size", "16MiB"]).collect();
    let start = || Served::start(&cable, &arguments);

    // Two are away, one hangs, and somebody is at the spool.
    let sensor = start();
    let mut next = 0;
    raise(&cable, &sensor, &mut next, 3000);
    let paths = segments(&spool);
    assert!(paths.len() > 4, "{paths:?}");
    let counts: Vec<usize> = paths.iter().map(|path| records(path).len()).collect();
    fs::remove_file(&paths[1]).unwrap();
    let half = records(&paths[2])[100];
    cut(&paths[2], half + 50);
    fs::remove_file(&paths[3]).unwrap();
    fs::create_dir(&paths[3]).unwrap();
    cut(paths.last().unwrap(), 0);
    let struck = Instant::now();
    let wanted = (counts[1] + counts[2] - 100 + counts[3] + counts.last().unwrap()) as u64;
    sensor.until("all that was lost is counted", |sensor| {
        assert!(sensor.lost(http_name) <= wanted, "{} of {wanted}", sensor.lost(http_name));
        [http_name, unix_name].iter().all(|name| sensor.lost(name) == wanted)
    });
    let elapsed = struck.elapsed();
    eprintln!("{wanted} alerts were lost, and counted after {elapsed:?}");
    assert!(elapsed < Duration::from_secs(2), "counted only after {elapsed:?}");
    for reason in ["segment_gone", "segment_damaged", "segment_unreadable"] {
        let reason = format!("reason=\"{reason}\"");
        assert!(sensor.sum("kaspector_output_lost_total", &[&reason, http_name]) > 0, "{reason}");
    }
    adds_up(&sensor);
    let status = sensor.status();
    let of = |status: &serde_json::Value, name: &str| {
        status["outputs"].as_array().unwrap().iter().find(|output| output["name"] == name).unwrap().clone()
    };
    let trouble = of(&status, unix_name)["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains("a segment of the spool"), "{trouble}");
    assert!(status["spool"]["trouble"].is_string() && !status["troubles"].as_array().unwrap().is_empty(), "{status}");
    let age = |sensor: &Served| of(&sensor.status(), unix_name)["oldest_unacked_s"].as_f64().unwrap();
    let before = (age(&sensor), Instant::now());
    std::thread::sleep(Duration::from_millis(1500));
    assert!(age(&sensor) - before.0 > 1.0, "the oldest alert does not grow older");
    let said = sensor.said();
    for path in [&paths[1], &paths[2], &paths[3], paths.last().unwrap()] {
        let lines = said.lines().filter(|line| line.contains(path.to_str().unwrap())).count();
        assert_eq!(lines, 1, "{}: {said}", path.display());
    }

    // One comes back: it gets the rest, and what comes then.
    elastic.start();
    raise(&cable, &sensor, &mut next, 50);
    sensor.until("all that is left is delivered", |sensor| of(&sensor.status(), http_name)["waiting"] == 0);
    let raised = uids_in(&eve);
    assert_eq!(raised.len(), 3050);
    assert_eq!(elastic.uids().len() as u64 + sensor.lost(http_name), 3050);
    assert!(elastic.uids().is_subset(&raised));
    assert_eq!(of(&sensor.status(), http_name)["spool_bytes"], 0);
    assert!(of(&sensor.status(), unix_name)["spool_bytes"].as_u64().unwrap() > 500_000);

    // It goes again, and the spool runs full.
    elastic.kill();
    raise(&cable, &sensor, &mut next, 13_000);
    sensor.until("the spool is full", |sensor| {
        sensor.sum("kaspector_output_lost_total", &["reason=\"spool_full\"", unix_name]) > 0
    });
    adds_up(&sensor);
    let mut lost = [sensor.lost(http_name), sensor.lost(unix_name)];
    let said = sensor.end();
    assert!(said.contains("lost because the spool was full: ") && said.contains("still waiting: "), "{said}");
    assert!(said.contains("alerts were lost, so not all of them may be named there"), "{said}");

    // While no sensor runs, the first segment goes and the last is cut where a record ends.
    let paths = segments(&spool);
    fs::remove_file(&paths[0]).unwrap();
    let last = paths.last().unwrap();
    cut(last, *records(last).last().unwrap());
    let sensor = start();
    raise(&cable, &sensor, &mut next, 600);
    sensor.until("what is missing is counted", |sensor| {
        [http_name, unix_name].iter().all(|name| sensor.lost(name) > 0) && sensor.said().contains("lost")
    });
    std::thread::sleep(Duration::from_secs(1));
    lost[0] += sensor.lost(http_name);
    lost[1] += sensor.lost(unix_name);
    // A kill, and a segment that cannot be read any more.
    sensor.kill();
    let paths = segments(&spool);
    fs::remove_file(&paths[1]).unwrap();
    fs::create_dir(&paths[1]).unwrap();
    let sensor = start();
    elastic.start();
    unix.start();
    raise(&cable, &sensor, &mut next, 20);
    sensor.until("all is delivered", |sensor| {
        [http_name, unix_name].iter().all(|name| of(&sensor.status(), name)["waiting"] == 0)
    });
    lost[0] += sensor.lost(http_name);
    lost[1] += sensor.lost(unix_name);
    let said = sensor.end();
    let raised = uids_in(&eve);
    assert_eq!(raised.len(), next as usize, "{said}");
    std::thread::sleep(Duration::from_millis(300));
    for (receiver, lost) in [(&mut elastic, lost[0]), (&mut unix, lost[1])] {
        receiver.kill();
        let delivered = receiver.uids();
        eprintln!("{}: {} alerts delivered, {lost} lost, {next} raised", receiver.name(), delivered.len());
        assert!(delivered.is_subset(&raised));
        assert_eq!(delivered.len() as u64 + lost, u64::from(next), "{}: {said}", receiver.name());
    }
    drop(hangs);
}
