//! The verdict of a whole run: `none-found` only where a product would have been seen, and else what is missing, and only that.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use assert_cmd::Command;
use etherparse::PacketBuilder;
use kaspector::capture::CaptureFile;
use kaspector::matching::SignatureSet;
use kaspector::pipeline::Detector;
use kaspector_report::{MachineCounts, ScanReport, Site, scan_capture};
use proptest::prelude::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;

/// 2026-11-23T06:00:00Z.
const START: u64 = 1_795_413_600;
const DAY_S: u64 = 86_400;
/// Between two rounds of the machines.
const ROUND_S: u64 = 600;
const ROUTER: [u8; 6] = [2, 0, 0, 0, 1, 1];
const RESOLVER: [u8; 4] = [10, 20, 0, 53];
const SERVER: [u8; 4] = [203, 0, 113, 10];
const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;

/// An office over a day, in which nobody has anything of the vendor's.
#[derive(Clone)]
struct Office {
    machines: Vec<[u8; 4]>,
    seconds: u64,
    /// Of so many connections, one is seen from the client's side only.
    one_sided_one_in: u64,
    /// These speak a protocol that names nobody.
    unnamed: usize,
    /// Whom the first machine looks up, too.
    looks_up: Option<&'static str>,
    /// Whom the first machine asks for a page, too.
    visits: Option<&'static str>,
    snaplen: usize,
    /// From here to there nothing is captured.
    gap: Option<(u64, u64)>,
    /// What passes besides, one a second from the beginning.
    besides: Vec<Vec<u8>>,
}

impl Default for Office {
    fn default() -> Self {
        let machines = (0..12).map(|number| [10, 20, number % 2, 5 + number]).collect();
        Self {
            machines,
            seconds: DAY_S,
            one_sided_one_in: u64::MAX,
            unnamed: 0,
            looks_up: None,
            visits: None,
            snaplen: 65_535,
            gap: None,
            besides: Vec::new(),
        }
    }
}

fn mac(address: [u8; 4]) -> [u8; 6] {
    match address {
        [10, rest @ ..] => [2, 0, 0, rest[0], rest[1], rest[2]],
        _ => ROUTER,
    }
}

fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let headers = PacketBuilder::ethernet2(mac(from.0), mac(to.0)).ipv4(from.0, to.0, 64).udp(from.1, to.1);
    headers.write(&mut frame, payload).unwrap();
    frame
}

fn tcp(from: ([u8; 4], u16), to: ([u8; 4], u16), (flags, seq, ack): (u8, u32, u32), payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let headers =
        PacketBuilder::ethernet2(mac(from.0), mac(to.0)).ipv4(from.0, to.0, 64).tcp(from.1, to.1, seq, 65_000);
    let headers = if flags & SYN != 0 { headers.syn() } else { headers };
    let headers = if flags & ACK != 0 { headers.ack(ack) } else { headers };
    let headers = if flags & FIN != 0 { headers.fin() } else { headers };
    headers.write(&mut frame, payload).unwrap();
    frame
}

/// A question for the address of `name` (RFC 1035), or the answer to it.
fn dns(id: u16, name: &str, answer: Option<[u8; 4]>) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend(if answer.is_some() { [0x81, 0x80] } else { [1, 0] });
    message.extend([0, 1, 0, u8::from(answer.is_some()), 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    if let Some(address) = answer {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]);
        message.extend(address);
    }
    message
}

impl Office {
    /// Frames with their times in nanoseconds since the beginning.
    fn frames(&self) -> Vec<(u64, Vec<u8>)> {
        let mut frames = Vec::new();
        let mut connections = 0_u64;
        for round in 0..=self.seconds / ROUND_S {
            for (number, &machine) in self.machines.iter().enumerate() {
                let mut at = round * ROUND_S * 1_000_000_000 + number as u64 * 1_000_000;
                // The last round ends when it is over.
                let mut say = |frame| {
                    frames.push((at, frame));
                    at += 1_000;
                };
                let port = 20_000 + u16::try_from(round % 40_000).unwrap();
                if number < self.unnamed {
                    say(udp((machine, port), (SERVER, 4000), b"\x01\x02\x03\x04\x05\x06\x07\x08"));
                    say(udp((SERVER, 4000), (machine, port), b"\x01\x02\x03\x04\x05\x06\x07\x08"));
                    continue;
                }
                let also = |name: Option<&'static str>| if number == 0 { name } else { None };
                for name in [Some("www.example.org"), also(self.looks_up)].into_iter().flatten() {
                    say(udp((machine, port), (RESOLVER, 53), &dns(port, name, None)));
                    say(udp((RESOLVER, 53), (machine, port), &dns(port, name, Some(SERVER))));
                }
                connections += 1;
                let both = !connections.is_multiple_of(self.one_sided_one_in);
                let host = also(self.visits).unwrap_or("www.example.org");
                let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
                let sent = u32::try_from(request.len()).unwrap();
                let (client, server) = ((machine, port), (SERVER, 80));
                let mut say = |is_answer: bool, from, to, control, payload: &[u8]| {
                    if both || !is_answer {
                        say(tcp(from, to, control, payload));
                    }
                };
                say(false, client, server, (SYN, 1, 0), b"");
                say(true, server, client, (SYN | ACK, 1, 2), b"");
                say(false, client, server, (ACK, 2, 2), request.as_bytes());
                let page = b"HTTP/1.1 204 No Content\r\n\r\n";
                let end = 2 + u32::try_from(page.len()).unwrap();
                say(true, server, client, (ACK, 2, 2 + sent), page);
                say(false, client, server, (ACK | FIN, 2 + sent, end), b"");
                say(true, server, client, (ACK | FIN, end, 3 + sent), b"");
            }
        }
        frames.retain(|(at, _)| {
            let at = at / 1_000_000_000;
            self.gap.is_none_or(|(from, until)| at < from || at >= until)
        });
        let besides = (0..).map(|second| second * 1_000_000_000 + 500_000_000).zip(self.besides.iter().cloned());
        frames.extend(besides);
        frames.sort_by_key(|(at, _)| *at);
        frames
    }

    /// A pcap file with times in nanoseconds.
    fn pcap(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            bytes.extend(word.to_le_bytes());
        }
        for (at, frame) in self.frames() {
            let (seconds, rest) = (START + at / 1_000_000_000, at % 1_000_000_000);
            let kept = frame.len().min(self.snaplen);
            for word in [seconds, rest, kept as u64, frame.len() as u64] {
                bytes.extend(u32::try_from(word).unwrap().to_le_bytes());
            }
            bytes.extend(&frame[..kept]);
        }
        bytes
    }

    /// The same as pcapng, with the packets that its interface dropped.
    fn pcapng(&self, dropped: u64) -> Vec<u8> {
        fn block(kind: u32, body: &[u8]) -> Vec<u8> {
            let len = u32::try_from(12 + body.len().next_multiple_of(4)).unwrap().to_le_bytes();
            let mut padded = body.to_vec();
            padded.resize(body.len().next_multiple_of(4), 0);
            [&kind.to_le_bytes()[..], &len, &padded, &len].concat()
        }
        let mut bytes = block(0x0a0d_0d0a, b"\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
        // Link type, snap length, and a resolution of nanoseconds.
        bytes.extend(block(1, b"\x01\0\0\0\0\0\0\0\x09\0\x01\0\x09\0\0\0\0\0\0\0"));
        for (at, frame) in self.frames() {
            let at = START * 1_000_000_000 + at;
            let len = u32::try_from(frame.len()).unwrap();
            let mut body = Vec::new();
            for word in [0, (at >> 32) as u32, (at & 0xffff_ffff) as u32, len, len] {
                body.extend(word.to_le_bytes());
            }
            body.extend(frame);
            bytes.extend(block(6, &body));
        }
        let statistics = |dropped: u64| {
            let mut body = vec![0; 12];
            body.extend([5, 0, 8, 0]);
            body.extend(dropped.to_le_bytes());
            body.extend([0; 4]);
            block(5, &body)
        };
        // Counts since the capture began: the last one says all.
        bytes.extend(statistics(dropped / 2));
        bytes.extend(statistics(dropped));
        bytes
    }
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

fn kaspector() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kaspector"))
}

fn scan(paths: &[&Path], arguments: &[&str]) -> Value {
    let output = kaspector().arg("scan").args(paths).args(["--format", "json"]).args(arguments).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn verdict(answer: &Value) -> (&str, Vec<&str>) {
    let missing = answer["coverage"]["missing"].as_array().unwrap();
    for one in missing {
        for key in ["what", "why", "settle"] {
            assert!(!one[key].as_str().unwrap().is_empty(), "{one}");
        }
    }
    (answer["verdict"].as_str().unwrap(), missing.iter().map(|one| one["id"].as_str().unwrap()).collect())
}

fn of(office: &Office) -> Value {
    let place = Place::new();
    scan(&[&place.file("a.pcap", office.pcap())], &[])
}

/// What is missing, and the sentence that says it.
#[track_caller]
fn lacks(answer: &Value, id: &str, what: &str) {
    assert_eq!(verdict(answer), ("inconclusive", vec![id]), "{}", answer["coverage"]);
    assert_eq!(answer["coverage"]["missing"][0]["what"], what);
}

#[test]
fn a_day_from_both_sides_without_a_trace_is_none_found() {
    let answer = of(&Office::default());
    assert_eq!(verdict(&answer), ("none-found", vec![]), "{}", answer["coverage"]);
    let coverage = &answer["coverage"];
    assert_eq!((&coverage["window"]["covered_s"], &coverage["window"]["needed_s"]), (&86_400.into(), &86_400.into()));
    assert_eq!(coverage["machines"], serde_json::json!({"seen": 13, "with_flows": 12, "judged": 12}));
    assert_eq!(coverage["connections"]["ended"], 12 * 145);
    assert_eq!(coverage["shared"], serde_json::json!([{"address": "10.20.0.53", "kinds": ["resolver"]}]));
    let subnets = answer["machines"]["subnets"].as_array().unwrap();
    let rows: Vec<_> =
        subnets.iter().map(|row| (row["range"].as_str().unwrap(), row["seen"].as_u64().unwrap())).collect();
    assert_eq!(rows, [("10.20.0.0/24", 7), ("10.20.1.0/24", 6)]);
    let place = Place::new();
    let output = kaspector().arg("scan").arg(place.file("a.pcap", Office::default().pcap())).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap().replace('\n', " ");
    assert!(
        table.contains(
            "Verdict of the whole: none found, in 24 hours; 0 % of connections seen from one side only, 12 of 12 machines that \
             began flows judged. Others may stand behind 10.20.0.53 (resolver)."
        ),
        "{table}"
    );
}

#[test]
fn a_confirmed_host_is_found_however_little_was_seen() {
    let office = Office { visits: Some("dnl-01.geo.kaspersky.com"), seconds: 600, ..Office::default() };
    assert_eq!(verdict(&of(&office)), ("found", vec!["window"]));
}

#[test]
fn a_suspect_settles_nothing() {
    let office = Office { looks_up: Some("s07.upd.kaspersky.com"), ..Office::default() };
    lacks(&of(&office), "suspects", "1 suspected host open: 10.20.0.5");
}

#[test]
fn a_reader_of_web_pages_is_no_finding() {
    let office = Office { looks_up: Some("www.kaspersky.com"), ..Office::default() };
    let answer = of(&office);
    assert_eq!(answer["coverage"]["hosts"]["browsing"], 1, "{}", answer["hosts"]);
    assert_eq!(verdict(&answer).0, "none-found");
}

#[test]
fn an_hour_is_no_day() {
    let office = Office { seconds: DAY_S - ROUND_S, ..Office::default() };
    lacks(&of(&office), "window", "23.8 of 24 hours covered");
}

#[test]
fn a_gap_covers_nothing() {
    let office = Office { gap: Some((3_600, 7_200)), ..Office::default() };
    lacks(&of(&office), "window", "22.8 of 24 hours covered, with 1 gap longer than 15 minutes");
}

#[test]
fn several_inputs_cover_what_they_cover_together() {
    let (place, half) = (Place::new(), Office { seconds: DAY_S / 2, ..Office::default() });
    let later = |by: u64| {
        let mut bytes = half.pcap();
        let mut at = 24;
        while at < bytes.len() {
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let (time, len) = (word(at) + u32::try_from(by).unwrap(), word(at + 8) as usize);
            bytes[at..at + 4].copy_from_slice(&time.to_le_bytes());
            at += 16 + len;
        }
        bytes
    };
    let first = place.file("1.pcap", half.pcap());
    let next = place.file("2.pcap", later(DAY_S / 2));
    let month_later = place.file("3.pcap", later(30 * DAY_S));
    assert_eq!(verdict(&scan(&[&first, &next], &[])), ("none-found", vec![]));
    let gap = scan(&[&first, &month_later], &[]);
    assert_eq!(verdict(&gap), ("none-found", vec![]), "two halves of a day are a day, whenever");
    assert_eq!(gap["coverage"]["window"]["gaps"], 1);
    lacks(&scan(&[&first, &first], &[]), "window", "12 of 24 hours covered");
}

#[test]
fn one_side_is_half_of_it() {
    let office = Office { one_sided_one_in: 10, ..Office::default() };
    lacks(&of(&office), "direction", "174 of 1740 connections seen from one side only (10 %)");
    let office = Office { one_sided_one_in: 21, ..Office::default() };
    assert_eq!(verdict(&of(&office)).0, "none-found");
}

#[test]
fn machines_without_names_are_not_judged() {
    lacks(
        &of(&Office { unnamed: 2, ..Office::default() }),
        "names",
        "2 of 12 machines that began flows could not be judged",
    );
    assert_eq!(verdict(&of(&Office { unnamed: 1, ..Office::default() })).0, "none-found");
}

#[test]
fn packets_are_to_be_whole() {
    // Behind most of the names.
    let office = Office { snaplen: 90, ..Office::default() };
    let answer = of(&office);
    let cut = answer["coverage"]["packets"]["cut"].as_u64().unwrap();
    assert!(cut > 0);
    assert!(verdict(&answer).1.contains(&"snaplen"), "{}", answer["coverage"]);
    let one = Office { snaplen: 100, ..Office::default() };
    let longest = one.frames().iter().map(|(_, frame)| frame.len()).max().unwrap();
    let barely = of(&Office { snaplen: longest - 1, ..Office::default() });
    lacks(&barely, "snaplen", "1740 packets cut by the snap length");
}

#[test]
fn what_the_capture_lost_is_missing() {
    let place = Place::new();
    let whole = place.file("whole.pcapng", Office::default().pcapng(0));
    assert_eq!(verdict(&scan(&[&whole], &[])), ("none-found", vec![]));
    let lossy = place.file("lossy.pcapng", Office::default().pcapng(42));
    lacks(&scan(&[&lossy], &[]), "lost", "42 packets lost before they were written");
}

#[test]
fn an_input_that_was_read_in_part_is_missing() {
    let (place, mut bytes) = (Place::new(), Office::default().pcap());
    bytes.truncate(bytes.len() - 7);
    let mut longer = Office { seconds: DAY_S + ROUND_S, ..Office::default() }.pcap();
    longer.truncate(longer.len() - 7);
    lacks(&scan(&[&place.file("a.pcap", longer)], &[]), "inputs", "1 input read in part, 0 not at all");
}

#[cfg(feature = "libpcap")]
#[test]
fn what_a_filter_left_out_is_missing() {
    let place = Place::new();
    let answer = scan(&[&place.file("a.pcap", Office::default().pcap())], &["--filter", "not host 10.20.0.7"]);
    assert_eq!(verdict(&answer), ("inconclusive", vec!["filtered"]), "{}", answer["coverage"]);
}

/// A packet that says in its header that this protocol follows (RFC 791).
fn ip(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let (from, to) = ([10, 20, 0, 5], [10, 20, 0, 7]);
    let headers = PacketBuilder::ethernet2(mac(from), mac(to)).ipv4(from, to, 64);
    headers.write(&mut frame, etherparse::IpNumber(protocol), payload).unwrap();
    frame
}

#[test]
fn what_nobody_can_open_or_decode_is_missing() {
    // One in a hundred of 13,920 and these.
    let (encrypted, cut_off) = (ip(50, &[7; 64]), ip(6, &[0, 80, 0, 80]));
    for (kind, frame) in [("encrypted", &encrypted), ("undecoded", &cut_off)] {
        let barely = of(&Office { besides: vec![frame.clone(); 140], ..Office::default() });
        assert_eq!(verdict(&barely), ("none-found", vec![]), "{}", barely["coverage"]);
        assert_eq!(barely["coverage"]["packets"][kind], 140);
    }
    let both = [vec![encrypted; 71], vec![cut_off; 70]].concat();
    let what = "141 of 14061 packets encrypted below TCP and UDP or not decoded (1.1 %)";
    lacks(&of(&Office { besides: both, ..Office::default() }), "unreadable", what);
}

#[test]
fn what_was_dropped_at_a_bound_is_missing() {
    // The first half of a datagram (flag 1 of RFC 791: more fragments), of which the other never comes.
    let mut half = ip(17, &[3; 64]);
    half[14 + 6] = 0x20;
    let sum = half[14..34].chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum::<u32>();
    let checksum = u32::from(half[24]) << 8 | u32::from(half[25]);
    let sum = sum - checksum;
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    half[24..26].copy_from_slice(&checksum.to_be_bytes());
    let answer = of(&Office { besides: vec![half], ..Office::default() });
    assert_eq!(answer["counters"]["bounds"], serde_json::json!({"incomplete_datagrams": 1}));
    lacks(&answer, "dropped", "1 dropped at bounds");
}

#[test]
fn a_protocol_that_names_nobody_is_no_loss() {
    let (client, server) = (([10, 20, 0, 5], 40_000), ([10, 20, 0, 7], 7777));
    let mut besides = vec![tcp(client, server, (SYN, 1, 0), b""), tcp(server, client, (SYN | ACK, 1, 2), b"")];
    for piece in 0..40 {
        besides.push(tcp(client, server, (ACK, 2 + 8 * piece, 2 + 8 * piece), b"\x01\x02\x03\x04\x05\x06\x07\x08"));
        besides.push(tcp(server, client, (ACK, 2 + 8 * piece, 10 + 8 * piece), b"\x01\x02\x03\x04\x05\x06\x07\x08"));
    }
    let answer = of(&Office { besides, ..Office::default() });
    assert!(answer["counters"]["bounds"]["unknown_pieces"].as_u64() > Some(0), "{}", answer["counters"]);
    assert_eq!(verdict(&answer), ("none-found", vec![]), "{}", answer["coverage"]);
}

#[test]
fn traffic_of_strangers_says_nothing_of_the_machines_inside() {
    let strangers = (SERVER, 4000, [198, 51, 100, 7], 4001);
    let (from, port, to, to_port) = strangers;
    let frame = udp((from, port), (to, to_port), b"\x01\x02\x03\x04\x05\x06\x07\x08");
    let office = Office { machines: Vec::new(), besides: vec![frame; 86_402], ..Office::default() };
    lacks(&of(&office), "machines", "no machine inside could be judged");
}

#[test]
fn a_subnet_of_the_site_that_nobody_saw_is_missing() {
    let place = Place::new();
    let capture = place.file("a.pcap", Office::default().pcap());
    let site = place.file(
        "site.toml",
        "[[subnet]]\nrange = '10.0.0.0/8'\nname = 'all'\n[[subnet]]\nrange = '10.20.0.0/16'\nname = 'Berlin'\n\
         [[subnet]]\nrange = '10.30.0.0/16'\nname = 'Hamburg'\n",
    );
    let answer = scan(&[&capture], &["--site", site.to_str().unwrap()]);
    lacks(&answer, "subnets", "1 subnet of the site file without a machine: 10.30.0.0/16");
    let rows = answer["machines"]["subnets"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["seen"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 13, 0]);
    assert_eq!(rows[1]["name"], "Berlin");
}

#[test]
fn a_capture_without_machines_says_nothing() {
    let place = Place::new();
    let answer = scan(&[&place.file("a.pcap", Office { machines: Vec::new(), ..Office::default() }.pcap())], &[]);
    assert_eq!(verdict(&answer), ("inconclusive", vec!["machines", "window"]));
}

#[test]
fn whoever_asks_for_it_fails_on_what_is_not_none_found() {
    let place = Place::new();
    let code = |office: &Office, arguments: &[&str]| {
        let capture = place.file("a.pcap", office.pcap());
        kaspector().arg("scan").arg(capture).args(arguments).output().unwrap().status.code().unwrap()
    };
    let clean = Office::default();
    let short = Office { seconds: 600, ..Office::default() };
    let found = Office { visits: Some("dnl-01.geo.kaspersky.com"), ..Office::default() };
    let fail = ["--fail-on", "inconclusive"];
    assert_eq!((code(&clean, &fail), code(&short, &fail), code(&found, &fail)), (0, 3, 3));
    assert_eq!((code(&short, &[]), code(&short, &["--fail-on", "browsing"])), (0, 0), "by itself it is no failure");
    // The capture ends on 24 November.
    let site = |until: &str| {
        let text = format!("[[exception]]\naddress = '10.20.0.5'\nreason = 'exhibit'\nuntil = {until}\n");
        place.file(&format!("{until}.toml"), text).to_str().unwrap().to_owned()
    };
    let (lasting, ended) = (site("2026-11-24"), site("2026-11-23"));
    let excepted = |site: &str, on: &str| code(&found, &["--site", site, "--fail-on", on]);
    assert_eq!((excepted(&lasting, "confirmed"), excepted(&lasting, "inconclusive")), (0, 0));
    assert_eq!((excepted(&ended, "confirmed"), excepted(&ended, "inconclusive")), (3, 3));
    let answer = scan(&[&place.file("a.pcap", found.pcap())], &["--site", &lasting]);
    assert_eq!(answer["verdict"], "found", "an exception hides nothing");
    assert_eq!(answer["coverage"]["hosts"]["excepted"], 1);
}

#[test]
fn the_number_of_threads_does_not_show() {
    let place = Place::new();
    let office = Office { looks_up: Some("s07.upd.kaspersky.com"), one_sided_one_in: 9, ..Office::default() };
    let paths = [place.file("a.pcap", office.pcap()), place.file("b.pcapng", office.pcapng(3))];
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let site =
        place.file("site.toml", "[[nat]]\naddress = '10.20.0.5'\n[[subnet]]\nrange = '10.20.0.0/24'\nname = 'x'\n");
    let one = scan(&paths, &["--threads", "1", "--site", site.to_str().unwrap()]);
    for threads in ["2", "5"] {
        assert_eq!(scan(&paths, &["--threads", threads, "--site", site.to_str().unwrap()]), one);
    }
}

#[test]
fn a_site_file_that_is_wrong_is_told_before_anything_is_read() {
    let place = Place::new();
    let site = place
        .file("site.toml", "[[subnet]]\nrange = '10.0.0.0/8'\n[[exception]]\naddress = '10.0.0.1'\nreason = 'x'\n");
    let state = place.0.path().join("hosts.state");
    for command in [vec!["scan", "/nonexistent.pcap", "--state"], vec!["hosts", "--state"]] {
        let output = kaspector().args(command).arg(&state).arg("--site").arg(&site).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        let site = site.display();
        assert!(said.contains(&format!("error: {site}:1: this [[subnet]] has no name\n")), "{said}");
        assert!(said.contains(&format!("error: {site}:3: an exception ends: ")), "{said}");
        assert!(!said.contains("nonexistent") && !state.exists(), "{said}");
    }
    let prose = place.file("prose.toml", "what stands here is prose\n".repeat(100));
    let output = kaspector().args(["scan", "/x.pcap", "--site"]).arg(&prose).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 21), "{said}");
    assert!(said.contains("prose.toml: 80 more like these; see docs/site.md"), "{said}");
    let output = kaspector().args(["scan", "/x.pcap", "--site", "/nonexistent.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// The four classes, and all.
fn classes(counts: MachineCounts) -> [usize; 5] {
    [counts.judged, counts.one_sided, counts.unnamed, counts.silent, counts.seen]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_classes_of_the_subnets_add_up_to_the_machines_seen(
        machines in prop::collection::hash_set(prop::array::uniform2(0_u8..4), 0..12),
        unnamed in 0_usize..6,
        one_sided_one_in in 1_u64..5,
        subnets in prop::collection::hash_map(0_u8..4, 12_u8..30, 0..4),
    ) {
        static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));
        let machines = machines.into_iter().map(|[net, host]| [10, 20, net * 60, 5 + host]).collect();
        let office = Office { machines, unnamed, one_sided_one_in, seconds: ROUND_S, ..Office::default() };
        let mut detector = Detector::new(&SIGNATURES);
        let file = CaptureFile::from_reader("a", std::io::Cursor::new(office.pcap())).unwrap();
        let (input, findings) = scan_capture(&mut detector, 0, file);
        let report = ScanReport::of(input, &findings, &SIGNATURES);
        let text: String = subnets
            .iter()
            .map(|(net, bits)| {
                let first = u32::from_be_bytes([10, 20, net * 60, 0]) >> (32 - bits) << (32 - bits);
                format!("[[subnet]]\nrange = '{}/{bits}'\nname = 'x'\n", std::net::Ipv4Addr::from(first))
            })
            .collect();
        // Two may be the same range.
        for site in [Site::default(), Site::from_toml(&text, "s").unwrap_or_default()] {
            let rows = report.machines.by_subnet(&site);
            let mut sum = [0; 5];
            for row in &rows {
                sum.iter_mut().zip(classes(row.counts)).for_each(|(sum, count)| *sum += count);
                prop_assert_eq!(row.span.is_some(), row.counts.seen > 0);
            }
            prop_assert_eq!(sum, classes(report.machines.counts()));
            prop_assert_eq!(sum[4], sum[..4].iter().sum::<usize>());
            let ranges: std::collections::HashSet<String> = rows.iter().map(|row| row.range.to_string()).collect();
            prop_assert_eq!(ranges.len(), rows.len(), "each subnet once");
        }
    }
}
