//! How fast facts are read from payload: `cargo bench --bench inspect`.
//!
//! Each protocol beside `bytes only`, which reads every byte of the same payload once: what any parser that looks at all of it must at
//! least do. `recognise` says what a datagram is; the rest is the whole way from payload to observation, with reused memory. The QUIC
//! Initials are those of `pcaps/quic-v1.pcap`, everything else is generated.

mod clock;
mod traffic;

use std::hint::black_box;
use std::path::Path;

use clock::ThreadTime;
use criterion::{Criterion, criterion_group, criterion_main};
use kaspector::capture::{Block, CaptureFile};
use kaspector::decode::{Dissected, Transport, dissect};
use kaspector::flow::Side;
use kaspector::inspect::{
    Conversation, DatagramProtocol, DnsMessage, InitialConversation, Observation, recognise_datagram,
};
use traffic::{client_hello, dns_message, http_request};

const NAME: &str = "host17.service42.example99.com";

/// The client's datagrams of a QUIC connection up to its hello.
fn initials() -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/quic-v1.pcap");
    let mut file = CaptureFile::open(&path).expect("the capture is part of the sources");
    let (mut block, mut datagrams) = (Block::default(), Vec::new());
    let mut conversation = InitialConversation::default();
    let mut port = None;
    while file.next_block(&mut block).expect("it is sound") {
        for frame in block.frames() {
            if let Dissected::Segment(segment) = dissect(&frame)
                && segment.transport == Transport::Udp
                && kaspector::inspect::quic::recognise(segment.payload)
                && *port.get_or_insert(segment.five_tuple.src_port) == segment.five_tuple.src_port
                && !conversation.is_settled()
            {
                conversation.accept(Side::Low, segment.payload, |_, _| {});
                datagrams.push(segment.payload.to_vec());
            }
        }
    }
    assert!(conversation.is_settled() && !datagrams.is_empty(), "the capture has a hello");
    datagrams
}

/// Something from an observation, so that nothing is optimised away.
fn weigh(observation: &Observation<'_>) -> usize {
    match observation {
        Observation::Dns(message) => message.names.len() + message.addresses.len(),
        Observation::TlsClientHello(hello) | Observation::QuicClientHello { hello, .. } => {
            hello.sni.map_or(0, |name| name.as_bytes().len())
        }
        Observation::HttpRequest(request) => request.path.len(),
        Observation::HttpResponse(response) => response.body.len(),
        _ => 0,
    }
}

/// What one client says on a new TCP connection, in segments.
fn converse(conversation: &mut Conversation, segments: &[Vec<u8>]) -> usize {
    conversation.clear();
    let (mut offset, mut sum) = (0, 0);
    for bytes in segments {
        conversation.accept(Side::Low, offset, black_box(bytes), |_, observation| sum += weigh(observation));
        offset += bytes.len() as u64;
    }
    sum
}

fn inspect(criterion: &mut Criterion<ThreadTime>) {
    let mut group = criterion.benchmark_group("inspect");
    let query = dns_message(7, NAME, false);
    let answer = dns_message(7, NAME, true);
    let large: Vec<Vec<u8>> = client_hello(NAME, 1_700).chunks(1_400).map(<[u8]>::to_vec).collect();
    let quic = initials();
    let noise = vec![vec![0x5a; 1_400]];
    let cases = [
        ("dns query", vec![query]),
        ("dns answer", vec![answer]),
        ("client hello", vec![client_hello(NAME, 517)]),
        ("client hello in two segments", large),
        ("quic initial", quic),
        ("http request", vec![http_request(NAME)]),
        ("unknown bytes", noise),
    ];
    for (name, packets) in &cases {
        let bytes: usize = packets.iter().map(Vec::len).sum();
        group.throughput(clock::packets(packets.len() as u64, bytes as u64));
        group.bench_function(format!("{name}/bytes only"), |bench| {
            bench.iter(|| black_box(packets).iter().flatten().fold(0_u64, |sum, &byte| sum.wrapping_add(byte.into())));
        });
        match *name {
            "dns query" | "dns answer" => {
                let mut message = DnsMessage::default();
                group.bench_function(format!("{name}/recognise"), |bench| {
                    bench.iter(|| {
                        packets
                            .iter()
                            .filter(|bytes| recognise_datagram(black_box(bytes)) == DatagramProtocol::Unknown)
                            .count()
                    });
                });
                group.bench_function(format!("{name}/read"), |bench| {
                    bench.iter(|| {
                        let mut sum = 0;
                        for bytes in packets {
                            if message.parse(black_box(bytes)).is_ok() {
                                sum += weigh(&Observation::Dns(&message));
                            }
                        }
                        sum
                    });
                });
            }
            "quic initial" => {
                let mut conversation = InitialConversation::default();
                group.bench_function(format!("{name}/recognise"), |bench| {
                    bench.iter(|| {
                        packets
                            .iter()
                            .filter(|bytes| recognise_datagram(black_box(bytes)) == DatagramProtocol::Unknown)
                            .count()
                    });
                });
                group.bench_function(format!("{name}/read"), |bench| {
                    bench.iter(|| {
                        conversation.clear();
                        let mut sum = 0;
                        for bytes in packets {
                            let emit = |_, observation: &Observation<'_>| sum += weigh(observation);
                            conversation.accept(Side::Low, black_box(bytes), emit);
                        }
                        sum
                    });
                });
            }
            _ => {
                let mut conversation = Conversation::default();
                assert_eq!(converse(&mut conversation, packets) == 0, *name == "unknown bytes");
                group.bench_function(format!("{name}/read"), |bench| {
                    bench.iter(|| converse(&mut conversation, packets));
                });
            }
        }
    }
    group.finish();
}

criterion_group! { name = benches; config = clock::short(); targets = inspect }
criterion_main!(benches);
