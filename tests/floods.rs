//! Floods push out their own kind: a real handshake among them is found, and its counts are right.

#![allow(clippy::unwrap_used)]

use kaspector::matching::{SignatureSet, Verdict};
use kaspector::pipeline::{Bounds, Detector, Findings};

#[path = "../benches/traffic/mod.rs"]
mod traffic;

use std::sync::Arc;
use traffic::blocks::Blocks;
use traffic::{Generator, Pair, client_hello};

/// Real handshakes in each flood.
const HANDSHAKES: u32 = 10_000;
/// Frames of the flood for each frame of a handshake: nine in ten.
const FLOOD: u32 = 9;

/// Client number `number`, who talks to an update server.
fn client(number: u32) -> Pair {
    Pair { client: 0x0a80_0000 + number, server: 0xc633_6407, client_port: 50_000, server_port: 443 }
}

/// Handshakes, between whose packets the flood goes on: `rtt` frames of handshakes lie between the packets of one.
fn scan(mut flood: impl FnMut(&mut Generator<'_>) -> std::io::Result<()>) -> Findings {
    const RTT: u32 = 1_000;
    let hello = client_hello("s07.upd.kaspersky.com", 517);
    let blocks = Blocks::generate(1_000, Vec::new(), |generator| {
        for step in 0..HANDSHAKES + 2 * RTT {
            for (delay, part) in [(0, 0), (RTT, 1), (2 * RTT, 2)] {
                let Some(number) = step.checked_sub(delay).filter(|&number| number < HANDSHAKES) else { continue };
                match part {
                    0 => generator.tcp(client(number), true, traffic::SYN, u32::MAX, 0, &[])?,
                    1 => generator.tcp(client(number), false, traffic::SYN | traffic::ACK, u32::MAX, 0, &[])?,
                    _ => generator.tcp(client(number), true, traffic::ACK, 0, 0, &hello)?,
                }
                for _ in 0..FLOOD {
                    flood(generator)?;
                }
            }
        }
        Ok(())
    });
    let signatures = Arc::new(SignatureSet::builtin());
    // Fewer datagrams than by default, so that a flood that a test has time for meets the bound.
    let mut bounds = Bounds::default();
    bounds.flows.datagrams = 1 << 13;
    let mut detector = Detector::builder().signatures(&signatures).bounds(bounds).build();
    for block in &blocks.blocks {
        detector.feed_block(block.view(), |_| true);
    }
    let findings = detector.finish();
    assert_eq!(findings.outcomes.total(), blocks.frames);
    let hosts = findings.host_findings(&signatures);
    println!("{} of {HANDSHAKES} handshakes found", hosts.len());
    assert!(hosts.len() as f64 >= 0.999 * f64::from(HANDSHAKES), "{} hosts; {:?}", hosts.len(), findings.dropped);
    assert!(hosts.iter().all(|host| host.verdict == Verdict::Confirmed));
    // The SYN and its answer are counted with the hello that came long after.
    let whole = hosts.iter().filter(|host| host.bytes_received == 60).count();
    assert!(whole as f64 >= 0.999 * f64::from(HANDSHAKES), "{whole} of {}", hosts.len());
    findings
}

/// A stranger's addresses and ports, another one each time.
fn stranger(generator: &mut Generator<'_>, server_port: u16) -> Pair {
    let draw = generator.random.next();
    #[allow(clippy::cast_possible_truncation)]
    let (client, server) = (draw as u32, (draw >> 32) as u32);
    Pair {
        client: client | 0x4000_0000,
        server: server | 0x2000_0000,
        client_port: 1024 | (draw >> 16) as u16,
        server_port,
    }
}

#[test]
fn of_half_open_connections() {
    let findings = scan(|generator| {
        let pair = stranger(generator, 443);
        generator.tcp(pair, true, traffic::SYN, u32::MAX, 0, &[])
    });
    assert!(findings.dropped.contains_key("half_open_flows"), "the bound was met");
    assert!(!findings.dropped.contains_key("flows"), "{:?}", findings.dropped);
}

#[test]
fn of_resets() {
    scan(|generator| {
        let pair = stranger(generator, 443);
        generator.tcp(pair, false, 4, 7, 0, &[])
    });
}

#[test]
fn of_random_datagrams() {
    let findings = scan(|generator| {
        let pair = stranger(generator, 7_777);
        generator.udp(pair, true, &[0x55; 64])
    });
    assert!(findings.dropped.contains_key("datagram_flows"), "the bound was met");
    assert!(!findings.dropped.contains_key("flows"), "{:?}", findings.dropped);
}

#[test]
fn of_quic_initials() {
    // A long header of version 1 with a connection identifier that changes, and bytes that cannot be opened.
    scan(|generator| {
        let pair = stranger(generator, 443);
        let mut datagram = vec![0xc3, 0, 0, 0, 1, 8];
        datagram.extend(generator.random.next().to_be_bytes());
        datagram.extend([0, 0, 0x44, 0xb0]);
        datagram.resize(1_200, 0x77);
        generator.udp(pair, true, &datagram)
    });
}

#[test]
fn of_fragments() {
    // First fragments whose rest never comes.
    scan(|generator| {
        let pair = stranger(generator, 443);
        generator.fragment(pair, &[0x55; 64])
    });
}

#[test]
fn of_payload_that_is_nothing() {
    // Segments that belong to nothing, each of which could be the middle of a connection.
    scan(|generator| {
        let pair = stranger(generator, 443);
        generator.tcp(pair, true, traffic::ACK, 5, 5, &[0x55; 32])
    });
}
