//! Files of the formats that have records of their own kind: snoop, Network Monitor, NetXray, the DOS Sniffer, ERF. The first byte chooses the
//! format, whose mark is put where it belongs; the next two the pieces in which a stream gives the file. A stream and a file on disk, which
//! take different ways where records do not lie in their order, give the same frames.
#![no_main]

mod pieces;

use kaspector::capture::{Block, CaptureError, CaptureFile, LinkType, Timestamp};
use pieces::pieces;
use std::collections::VecDeque;
use std::io::Read;

/// Marks at the start of the formats; an ERF file has none.
const MARKS: [&[u8]; 8] = [
    b"snoop\0\0\0\0\0\0\x02",
    b"GMBU\0\x02",
    b"RTSS\x01\x01",
    b"XCP\x00002.002\0",
    b"XCP\x00001.100\0",
    b"VL\0\0",
    b"TRSNIFF data    \x1a",
    b"",
];

/// What is left of a stream, in pieces.
struct Stream(VecDeque<Vec<u8>>);

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let Some(piece) = self.0.pop_front() else { return Ok(0) };
        let count = piece.len().min(into.len());
        into[..count].copy_from_slice(&piece[..count]);
        if count < piece.len() {
            self.0.push_front(piece[count..].to_vec());
        }
        Ok(count)
    }
}

type Seen = (u64, Timestamp, LinkType, u32, Vec<u8>);

/// The frames of a file, up to its end or its first error.
fn frames(file: Result<CaptureFile, CaptureError>) -> Vec<Seen> {
    let Ok(mut file) = file else { return Vec::new() };
    let mut block = Block::default();
    let mut all = Vec::new();
    while let Ok(true) = file.next_block(&mut block) {
        let frames = block.frames();
        all.extend(frames.map(|it| (it.number, it.at, it.link_type, it.wire_len, it.bytes.to_vec())));
    }
    all
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&[format, first, second], bytes)) = data.split_first_chunk::<3>() else { return };
    let mark = MARKS[usize::from(format) % MARKS.len()];
    let bytes = [mark, bytes.get(mark.len()..).unwrap_or(&[])].concat();
    let stream = Stream(pieces([first, second], &bytes).map(<[u8]>::to_vec).collect());
    let path = std::env::temp_dir().join(format!("kaspector-fuzz-{}.capture", std::process::id()));
    std::fs::write(&path, &bytes).expect("a temporary file");
    let of_stream = frames(CaptureFile::from_reader("stream", stream));
    assert_eq!(of_stream, frames(CaptureFile::open(&path)));
    assert!(of_stream.len() <= bytes.len());
});
