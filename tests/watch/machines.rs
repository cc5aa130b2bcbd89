//! Who the hosts are, and how many machines there were besides: the sensor says it while it watches.

use super::*;
use etherparse::PacketBuilder;
use std::net::SocketAddr;

/// The client of `pcaps/dns-then-tls.pcap`.
const CLIENT: [u8; 6] = [0x1a, 0x52, 0x6c, 0xee, 0x93, 0x90];
/// A name that means harm: markup, and letters that run the other way.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\u{202e}7-ksed";

/// A DHCP request (RFC 2131, figure 1) of a client, with these texts as options.
fn dhcp(client: [u8; 6], from: [u8; 4], options: &[(u8, &str)]) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0, 1, 2, 3, 4];
    message.resize(28, 0);
    message.extend_from_slice(&client);
    message.resize(236, 0);
    message.extend_from_slice(&[0x63, 0x82, 0x53, 0x63, 53, 1, 3]);
    for (code, value) in options {
        message.extend_from_slice(&[*code, u8::try_from(value.len()).unwrap()]);
        message.extend_from_slice(value.as_bytes());
    }
    message.push(255);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(client, [0xff; 6])
        .ipv4(from, [255; 4], 64)
        .udp(68, 67)
        .write(&mut frame, &message)
        .unwrap();
    frame
}

pub fn get(served: SocketAddr, path: &str) -> http::Answer {
    http::exchange(served, &[&format!("GET {path} HTTP/1.1"), "Host: localhost"], "")
}

/// The value of a series.
pub fn metric(served: SocketAddr, series: &str) -> u64 {
    let metrics = get(served, "/metrics").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = line.unwrap_or_else(|| panic!("{series}\n{metrics}"));
    // Gauges are written as floating-point numbers.
    value.trim_end_matches(".0").parse().unwrap()
}

/// Asks until what comes is right.
pub fn until(served: SocketAddr, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let answer = get(served, path).json();
        if is_right(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{answer:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn hosts_have_names_that_no_flood_takes_away() {
    const RING_MIB: u64 = 64;
    let Some(cable) = Cable::lay("h") else { return };
    let folder = tempfile::tempdir().unwrap();
    let eve = folder.path().join("eve.json");
    let output = format!("file:{}", eve.display());
    let served = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let state = folder.path().join("hosts.db");
    let kept = ["--state", state.to_str().unwrap()];
    let sensor =
        Sensor::start(&[&["-i", &cable.far, "-o", &output, "--http", &served.to_string()], &kept[..]].concat());
    cable.send_frames([dhcp(CLIENT, [0; 4], &[(12, HOSTILE), (60, "MSFT 5.0")])].into_iter());
    until(served, "/api/status", |status| status["interfaces"][0]["packets"] == 1);
    cable.send(&root().join("pcaps/dns-then-tls.pcap"));
    let is_named = |answer: &Value| answer["hosts"][0]["identity"].as_array().is_some_and(|labels| labels.len() == 2);
    let host = until(served, "/api/hosts", is_named)["hosts"][0].take();
    assert_eq!((&host["address"], &host["mac_local"]), (&"10.20.0.5".into(), &true.into()), "{host:#}");
    let name = &host["identity"][0];
    assert_eq!((&name["kind"], &name["source"], &name["text"]), (&"name".into(), &"dhcp".into(), &HOSTILE.into()));
    // It is found by what it is called, whatever the case.
    let matching = |words: &str| get(served, &format!("/api/hosts?q={words}")).json()["matching"].as_u64();
    assert_eq!(["7-KSED", "7-ksed+msft", "7-ksed+desk-8"].map(matching), [Some(1), Some(1), Some(0)]);
    until(served, "/api/status", |status| status["machines"]["seen"] == 1);
    let alert: Value = serde_json::from_str(wait_for(&eve, 1).lines().next().unwrap()).unwrap();
    assert_eq!(alert["alert"]["metadata"]["kaspector_host_name"], serde_json::json!([HOSTILE]), "{alert:#}");

    // Senders that nobody knows, each with names of its own.
    let long = "n".repeat(200);
    let mut sent = metric(served, &format!("kaspector_capture_packets_total{{interface=\"{}\"}}", cable.far));
    for numbers in (0..45_000_u32).collect::<Vec<_>>().chunks(1_000) {
        let frames = numbers.iter().map(|number| {
            let [_, two, three, four] = number.to_be_bytes();
            let options = [(12, format!("{number}{long}")), (15, format!("{long}{number}")), (60, long.clone())];
            let options: Vec<(u8, &str)> = options.iter().map(|(code, text)| (*code, text.as_str())).collect();
            dhcp([2, 1, 0, two, three, four], [10, 100 + two, three, four], &options)
        });
        cable.send_frames(frames);
        sent += numbers.len() as u64;
        let begun = Instant::now();
        while packets_taken(served) < sent {
            assert!(begun.elapsed() < Duration::from_secs(60), "{sent} sent");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let status = until(served, "/api/status", |status| status["machines"]["seen"].as_u64() > Some(5_000));
    assert_eq!(status["interfaces"][0]["queue_drops"], 0, "{status:#}");
    let classes = ["judged", "one_sided", "unnamed", "silent"];
    let sum: u64 = classes.iter().map(|class| status["machines"][class].as_u64().unwrap()).sum();
    assert_eq!(status["machines"]["seen"], sum);
    let reasons = ["queue", "machines", "identity_statements"];
    let dropped: u64 = reasons
        .iter()
        .map(|reason| metric(served, &format!("kaspector_machine_drops_total{{reason=\"{reason}\"}}")))
        .sum();
    assert!(dropped > 10_000, "the bounds were met");
    assert!(metric(served, "kaspector_machines_seen{class=\"silent\"}") > 5_000);
    let host = until(served, "/api/hosts", is_named)["hosts"][0].take();
    assert_eq!(host["identity"][0]["text"], HOSTILE);
    let peak = peak_mib(sensor.child.id()).unwrap();
    println!("at most {peak} MiB; {}", status["machine_drops"]);
    assert!(peak < 512 + RING_MIB, "{peak} MiB");
    sensor.end();
    let hosts = Command::new(env!("CARGO_BIN_EXE_kaspector")).args(["hosts", "--format", "json"]).args(kept).output();
    let hosts: Value = serde_json::from_slice(&hosts.unwrap().stdout).unwrap();
    assert_eq!(hosts["hosts"][0]["identity"][0]["text"], HOSTILE, "{hosts:#}");
}
