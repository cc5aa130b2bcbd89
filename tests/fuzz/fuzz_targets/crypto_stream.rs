//! CRYPTO frames in any order. Each byte's value follows from its place and its frame, so that the first copy can be told from later ones.
#![no_main]

use kaspector::inspect::quic::CryptoStream;

const KEPT: usize = 131_400;
/// Separate runs that are kept for sure.
const RUNS: usize = 128;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut stream = CryptoStream::default();
    let mut expected: Vec<Option<u8>> = vec![None; KEPT];
    let mut within_bounds = true;
    for (frame, step) in data.as_chunks::<5>().0.iter().enumerate() {
        let [o0, o1, o2, l0, l1] = *step;
        let offset = u64::from(u32::from_be_bytes([0, o0 & 3, o1, o2])) << (u32::from(o0 >> 7) * 46);
        let length = usize::from(u16::from_be_bytes([l0, l1]) & 0x07ff);
        let bytes: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(31).wrapping_add(frame as u8)).collect();
        stream.insert(offset, &bytes);
        for (at, byte) in (offset as usize..KEPT).zip(bytes) {
            expected[at] = expected[at].or(Some(byte));
        }
        let runs = expected.chunk_by(|a, b| a.is_some() == b.is_some()).filter(|run| run[0].is_some()).count();
        within_bounds &= runs <= RUNS;
        if within_bounds {
            let prefix: Vec<u8> = expected.iter().map_while(|byte| *byte).collect();
            assert_eq!(stream.prefix(), prefix);
        }
        assert!(stream.held_bytes() <= KEPT && stream.prefix().len() <= stream.held_bytes());
    }
    stream.clear();
    assert!(stream.prefix().is_empty());
});
