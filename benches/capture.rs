//! How fast frames come in: `cargo bench --bench capture`.
//!
//! `bare walk` follows the records of a file that lies in memory and does nothing else: what any reader must at least do.
//! The other rows are the whole reader, from memory and from a file in the page cache, into one reused block.

mod clock;

use std::hint::black_box;
use std::io::{Cursor, Write};
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use kaspector::capture::{Block, CaptureFile};

const FILE_BYTES: usize = 256 << 20;

fn pcap(frame_len: u32) -> Vec<u8> {
    let mut file = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0".to_vec();
    let frame = vec![0x5a; frame_len as usize];
    for index in 0_u32.. {
        if file.len() + 16 + frame.len() > FILE_BYTES {
            break;
        }
        for word in [1_700_000_000 + index / 1_000_000, index % 1_000_000, frame_len, frame_len] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&frame);
    }
    file
}

fn pcapng(frame_len: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let block = |file: &mut Vec<u8>, kind: u32, body: &[u8]| {
        let len = 12 + body.len().next_multiple_of(4);
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(&(len as u32).to_le_bytes());
        file.extend_from_slice(body);
        file.resize(file.len().next_multiple_of(4), 0);
        file.extend_from_slice(&(len as u32).to_le_bytes());
    };
    block(&mut file, 0x0a0d_0d0a, b"\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
    block(&mut file, 1, b"\x01\0\0\0\0\0\0\0");
    let mut body = Vec::new();
    for index in 0_u64.. {
        if file.len() + 32 + frame_len as usize > FILE_BYTES {
            break;
        }
        let ticks = 1_700_000_000_000_000 + index;
        body.clear();
        for word in [0, (ticks >> 32) as u32, ticks as u32, frame_len, frame_len] {
            body.extend_from_slice(&word.to_le_bytes());
        }
        body.resize(20 + frame_len as usize, 0x5a);
        block(&mut file, 6, &body);
    }
    file
}

/// Frames, their bytes, and something from each timestamp, so that nothing is optimised away.
fn bare_walk(file: &[u8]) -> (u64, u64, u64) {
    let (mut frames, mut bytes, mut times) = (0, 0, 0);
    let mut rest = file.get(24..).unwrap_or_default();
    while let Some(header) = rest.first_chunk::<16>() {
        let words = u128::from_le_bytes(*header);
        let len = (words >> 64) as u32;
        frames += 1;
        bytes += u64::from(len);
        times ^= words as u64;
        rest = rest.get(16 + len as usize..).unwrap_or_default();
    }
    (frames, bytes, times)
}

fn read(mut file: CaptureFile, block: &mut Block) -> (u64, u64, u64) {
    let (mut frames, mut bytes, mut times) = (0, 0, 0);
    while file.next_block(block).expect("a generated file is sound") {
        for frame in block.frames() {
            frames += 1;
            bytes += frame.bytes.len() as u64;
            times ^= frame.at.0;
        }
    }
    (frames, bytes, times)
}

fn capture(criterion: &mut Criterion<clock::ThreadTime>) {
    let mut block = Block::default();
    let mut group = criterion.benchmark_group("capture");
    for frame_len in [60, 780] {
        let plain: Arc<[u8]> = pcap(frame_len).into();
        let sections: Arc<[u8]> = pcapng(frame_len).into();
        let mut stored = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        stored.write_all(&plain).expect("it takes the capture");
        let frames = bare_walk(&plain).0;
        let in_memory = |bytes: &Arc<[u8]>| {
            CaptureFile::from_reader("memory", Cursor::new(Arc::clone(bytes))).expect("the header is sound")
        };
        assert_eq!(read(in_memory(&plain), &mut block).0, frames);

        group.throughput(clock::packets(frames, frames * u64::from(frame_len)));
        let id = |name| BenchmarkId::new(name, frame_len);
        group.bench_function(id("bare walk"), |bench| bench.iter(|| black_box(bare_walk(&plain))));
        group.bench_function(id("pcap from memory"), |bench| {
            bench.iter(|| black_box(read(in_memory(&plain), &mut block)));
        });
        group.bench_function(id("pcap from a file"), |bench| {
            bench.iter(|| black_box(read(CaptureFile::open(stored.path()).expect("just written"), &mut block)));
        });
        group.bench_function(id("pcapng from memory"), |bench| {
            bench.iter(|| black_box(read(in_memory(&sections), &mut block)));
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = clock::short(); targets = capture }
criterion_main!(benches);
