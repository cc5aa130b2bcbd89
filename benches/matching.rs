//! How fast facts are held against the built-in signatures: `cargo bench --bench matching`.
//!
//! `names only`, `addresses only`, `bytes only` and `lines only` read the same values and match nothing: the baselines. `judge` is the
//! verdict on the evidence of one host with 8 or 64 lines; `finding` sorts and sums it up besides. Both are asked for at the end or for a
//! report, never per packet.

mod clock;

use std::hint::black_box;
use std::net::IpAddr;

use clock::ThreadTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kaspector::capture::Timestamp;
use kaspector::decode::Zone;
use kaspector::matching::{
    Alert, ConnectionOutcome, Field, FlowSummary, HostKey, HostRecord, IndicatorIndex, LINES_MAX, SeenAs, SignatureSet,
    judge,
};

const MISSES: [&str; 8] = [
    "www.google.com",
    "login.microsoftonline.com",
    "a.very.long.name.of.some.content.network.example.net",
    "x.co.uk",
    "edge17.cdn.example.com",
    "notkaspersky.com",
    "kaspersky.com.example.org",
    "api.github.com",
];
const HITS: [&str; 4] =
    ["s07.upd.kaspersky.com", "dc1-st.ksn.kaspersky-labs.com", "activation-v2.kaspersky.com", "ds.kaspersky.com"];
const PATHS: [&str; 4] = [
    "/",
    "/v9/windowsupdate/redir/muv4wuredir.cab",
    "/filestreamingservice/files/5f7c2a3e-2b1d-4e2d-9f0e-3a?P1=1780000000&P2=404",
    "/assets/application.js?v=20260101",
];
const AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// A host that contacted `lines` places of the vendor.
fn host(signatures: &SignatureSet, lines: u16) -> (HostKey, HostRecord) {
    let host = HostKey { address: IpAddr::from([10, 0, 0, 1]), zone: Zone::default() };
    let mut record = HostRecord::default();
    let indicators: Vec<IndicatorIndex> = HITS.iter().filter_map(|name| signatures.match_name(name)).collect();
    assert_eq!(indicators.len(), HITS.len(), "these names are in the set");
    for (number, &indicator) in (0..lines).zip(indicators.iter().cycle()) {
        let (client, server) = ((host.address, 40_000 + number), (IpAddr::from([198, 51, 100, 7]), 443 + number));
        let mut flow = FlowSummary::new(client, server, 6);
        (flow.first_packet, flow.started) = (number.into(), Timestamp(number.into()));
        flow.client_hop_limit = Some(64);
        flow.connection_outcome = ConnectionOutcome::Established;
        let alert = Alert::new(indicator, SeenAs::Contact, Field::TlsSni, "s07.upd.kaspersky.com", flow);
        record.add(&alert, 0, LINES_MAX, signatures);
    }
    (host, record)
}

fn matching(criterion: &mut Criterion<ThreadTime>) {
    let signatures = SignatureSet::builtin();
    let strangers = addresses(&["142.250.74.36", "10.0.0.1", "198.51.100.7", "2a00:1450:4001::1"]);
    // One address of each published range.
    let vendor: Vec<IpAddr> = signatures
        .iter()
        .filter_map(|indicator| indicator.value.split('/').next()?.parse().ok())
        .filter(|&address| signatures.match_address(address).is_some())
        .collect();
    assert!(!vendor.is_empty(), "the set names addresses");
    let mut group = criterion.benchmark_group("matching");

    for (what, names) in [("names miss", &MISSES[..]), ("names hit", &HITS)] {
        group.throughput(Throughput::ElementsAndBytes {
            elements: names.len() as u64,
            bytes: names.iter().map(|name| name.len() as u64).sum(),
        });
        let expected = if names == HITS { names.len() } else { 0 };
        assert_eq!(names.iter().filter(|name| signatures.match_name(name).is_some()).count(), expected);
        group.bench_function(format!("{what}/names only"), |bench| {
            bench.iter(|| names.iter().map(|name| black_box(*name).len()).sum::<usize>());
        });
        group.bench_function(format!("{what}/match"), |bench| {
            bench.iter(|| names.iter().filter(|name| signatures.match_name(black_box(name)).is_some()).count());
        });
    }
    for (what, values) in [("addresses miss", &strangers), ("addresses hit", &vendor)] {
        group.throughput(Throughput::Elements(values.len() as u64));
        group.bench_function(format!("{what}/addresses only"), |bench| {
            bench.iter(|| values.iter().filter(|&&address| black_box(address).is_ipv4()).count());
        });
        group.bench_function(format!("{what}/match"), |bench| {
            bench.iter(|| values.iter().filter(|&&one| signatures.match_address(black_box(one)).is_some()).count());
        });
    }
    for (what, texts) in [("paths miss", &PATHS[..]), ("user agent miss", &[AGENT])] {
        group.throughput(Throughput::ElementsAndBytes {
            elements: texts.len() as u64,
            bytes: texts.iter().map(|text| text.len() as u64).sum(),
        });
        group.bench_function(format!("{what}/bytes only"), |bench| {
            let all = |text: &&str| black_box(text).bytes().fold(0_u64, |sum, byte| sum.wrapping_add(byte.into()));
            bench.iter(|| texts.iter().map(all).fold(0, u64::wrapping_add));
        });
        group.bench_function(format!("{what}/match"), |bench| {
            let matches = |text: &&&str| {
                let bytes = black_box(**text).as_bytes();
                if what == "paths miss" {
                    signatures.match_path(bytes).is_some()
                } else {
                    signatures.match_user_agent(bytes).is_some()
                }
            };
            bench.iter(|| texts.iter().filter(matches).count());
        });
    }
    for lines in [8, 64] {
        let (host, record) = host(&signatures, lines);
        let evidence = record.finding(host, &signatures).map(|finding| finding.evidence).unwrap_or_default();
        assert_eq!(evidence.len(), usize::from(lines));
        let id = |what| format!("verdict on {lines} lines/{what}");
        group.throughput(Throughput::Elements(lines.into()));
        group.bench_function(id("lines only"), |bench| {
            bench.iter(|| black_box(&evidence).iter().map(|line| line.count).sum::<u64>());
        });
        group.bench_function(id("judge"), |bench| {
            bench.iter(|| judge(black_box(&evidence), |indicator| signatures.get(indicator).strength));
        });
        group.bench_function(id("finding"), |bench| bench.iter(|| black_box(&record).finding(host, &signatures)));
    }
    group.finish();
}

criterion_group! { name = benches; config = clock::short(); targets = matching }
criterion_main!(benches);
