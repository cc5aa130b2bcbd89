//! Payloads through the whole detector, inside frames that the target makes: what mutations of a capture seldom reach. Each payload
//! stands behind a byte for its flow and side, a byte for what happens to the segment, and two of length.
#![no_main]

use kaspector::capture::{Frame, LinkType, Timestamp};
use kaspector::decode::Outcome;
use kaspector::matching::SignatureSet;
use kaspector::pipeline::Detector;
use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));

thread_local! {
    static DETECTOR: RefCell<Detector> = RefCell::new(Detector::new(&SIGNATURES));
}

const PORTS: [u16; 4] = [443, 80, 53, 25];

/// An IPv4 packet between client 10.0.0.1 and server 10.0.0.2.
fn packet(flow: u8, to_client: bool, udp: bool, (seq, ack, flags): (u32, u32, u8), payload: &[u8]) -> Vec<u8> {
    let header = if udp { 28 } else { 40 };
    let mut packet = vec![0x45, 0];
    packet.extend(((header + payload.len()) as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, if udp { 17 } else { 6 }, 0, 0]);
    let (src, dst) = if to_client { (2, 1) } else { (1, 2) };
    packet.extend([10, 0, 0, src, 10, 0, 0, dst]);
    let (client, server) = (40_000 + u16::from(flow), PORTS[usize::from(flow % 4)]);
    let (src, dst) = if to_client { (server, client) } else { (client, server) };
    packet.extend(src.to_be_bytes());
    packet.extend(dst.to_be_bytes());
    if udp {
        packet.extend(((8 + payload.len()) as u16).to_be_bytes());
        packet.extend([0, 0]);
    } else {
        packet.extend(seq.to_be_bytes());
        packet.extend(ack.to_be_bytes());
        packet.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    }
    packet.extend(payload);
    packet
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    DETECTOR.with_borrow_mut(|detector| {
        let mut numbers = [[1_000u32; 2]; 8];
        let mut rest = data;
        let (mut frames, mut at) = (0, 0);
        while let [kind, event, high, low, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]) & 0x3fff).min(after.len());
            let (payload, after) = after.split_at(length);
            rest = after;
            let (flow, to_client, udp) = (kind & 7, kind & 8 != 0, kind & 16 != 0);
            let [seq, ack] = {
                let [client, server] = numbers[usize::from(flow)];
                if to_client { [server, client] } else { [client, server] }
            };
            // Most segments follow the one before; the rest come twice, early, or begin and end connections.
            let jitter = u32::from(event >> 3) * 7;
            let (seq, flags) = match event & 7 {
                0 => (seq.wrapping_sub(jitter), 0x10),
                1 => (seq.wrapping_add(jitter), 0x10),
                2 => (seq, 0x02),
                3 => (seq, 0x12),
                4 => (seq, 0x11),
                5 => (seq.wrapping_add(jitter << 20), 0x14),
                _ => (seq, 0x18),
            };
            let syn = u32::from(flags & 2 != 0);
            numbers[usize::from(flow)][usize::from(to_client)] = seq.wrapping_add(length as u32 + syn);
            at += u64::from(kind >> 5) * u64::from(kind >> 5) * 100_000_000;
            frames += 1;
            let bytes = packet(flow, to_client, udp, (seq, ack, flags), payload);
            let wire_len = bytes.len() as u32;
            let frame = Frame { number: frames, at: Timestamp(at), link_type: LinkType::RAW, wire_len, bytes: &bytes };
            assert_eq!(detector.feed(&frame), Outcome::Inspected);
        }
        let findings = detector.finish();
        assert_eq!(findings.outcomes.total(), frames);
        for host in findings.host_findings(&SIGNATURES) {
            assert!(!host.evidence.is_empty() && host.first_seen <= host.last_seen);
            assert!(
                host.evidence
                    .iter()
                    .all(|line| line.observed.len() <= 255 && (1..=frames).contains(&line.example.packet))
            );
        }
    });
});
