//! How fast a whole capture file is scanned: `cargo bench --bench scan`.
//!
//! `read and walk` reads the file into a reused buffer and follows its records: what any reader must at least do. `one thread` and `two
//! threads` are the whole scan, from opening the file to the report. Files are warm in the page cache. Unlike elsewhere the clock is
//! that of the wall, since threads share the work: on a busy machine the figures are worth little.

mod traffic;

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use kaspector::matching::SignatureSet;
use kaspector_cli::inputs::expand;
use kaspector_cli::scan::{Progress, ScanOptions, Takers, scan};
use tempfile::NamedTempFile;
use traffic::{Generator, PcapWriter};

/// Nanoseconds between frames.
const STEP: u64 = 1_000;
const BUFFER: usize = 1 << 20;

fn capture(fill: impl FnOnce(&mut Generator<'_>) -> std::io::Result<()>) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file can be made");
    let mut buffered = BufWriter::with_capacity(BUFFER, file.as_file());
    let mut writer = PcapWriter::new(&mut buffered).expect("it takes the header");
    fill(&mut Generator::new(&mut writer, 7, STEP)).expect("it takes the frames");
    buffered.flush().expect("it takes the last frames");
    drop(buffered);
    file
}

/// Frames, their bytes, and something from each timestamp, so that nothing is optimised away.
fn read_and_walk(file: &mut File, buffer: &mut [u8]) -> (u64, u64, u64) {
    file.seek(SeekFrom::Start(24)).expect("the file has a header");
    let (mut filled, mut frames, mut bytes, mut times) = (0, 0, 0, 0);
    loop {
        let read = file.read(buffer.get_mut(filled..).unwrap_or_default()).expect("the file can be read");
        if read == 0 {
            return (frames, bytes, times);
        }
        filled += read;
        let mut at = 0;
        while let Some(header) = buffer.get(at..filled).and_then(|rest| rest.first_chunk::<16>()) {
            let words = u128::from_le_bytes(*header);
            let len = (words >> 64) as u32;
            if at + 16 + len as usize > filled {
                break;
            }
            at += 16 + len as usize;
            frames += 1;
            bytes += u64::from(len);
            times ^= words as u64;
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

fn scanned(path: &Path, threads: usize, signatures: &Arc<SignatureSet>) -> usize {
    let options = ScanOptions { inputs: expand([path]), threads, ..ScanOptions::default() };
    let scan = scan(&options, signatures, &Progress::default(), Takers::default()).expect("there is no filter");
    scan.report.hosts.len()
}

fn scan_files(criterion: &mut Criterion) {
    let signatures = Arc::new(SignatureSet::builtin());
    let mut buffer = vec![0; BUFFER];
    let mut group = criterion.benchmark_group("scan");
    group.sampling_mode(SamplingMode::Flat);
    let cases = [
        ("mix", capture(|generator| generator.mix(25_000))),
        ("small64", capture(|generator| generator.small64(4_000_000, 1_000_000))),
    ];
    for (name, stored) in &cases {
        let mut file = File::open(stored.path()).expect("just written");
        let (frames, bytes, _) = read_and_walk(&mut file, &mut buffer);
        assert_eq!(scanned(stored.path(), 1, &signatures), scanned(stored.path(), 2, &signatures));
        group.throughput(Throughput::ElementsAndBytes { elements: frames, bytes });
        let id = |what| BenchmarkId::new(what, name);
        group.bench_function(id("read and walk"), |bench| {
            bench.iter(|| black_box(read_and_walk(&mut file, &mut buffer)));
        });
        for (what, threads) in [("one thread", 1), ("two threads", 2)] {
            group.bench_function(id(what), |bench| bench.iter(|| scanned(stored.path(), threads, &signatures)));
        }
    }
    group.finish();
}

fn config() -> Criterion {
    Criterion::default()
        .without_plots()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(3))
}

criterion_group! { name = benches; config = config(); targets = scan_files }
criterion_main!(benches);
