//! Capture files of other programs: the packets of a pcap give the same answer in each format, and Wireshark's `editcap`, which writes
//! them, has the say. Damaged files give what came before.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector::capture::{Block, CaptureFile, read_all};
use kaspector::matching::SignatureSet;
use kaspector_cli::inputs::expand;
use kaspector_cli::scan::{Progress, Scan, ScanOptions, Takers, scan};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

fn captures() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps")
}

fn scanned(paths: &[PathBuf]) -> Scan {
    let options = ScanOptions { inputs: expand(paths), threads: 2, ..ScanOptions::default() };
    scan(&options, &Arc::new(SignatureSet::builtin()), &Progress::default(), Takers::default()).unwrap()
}

/// Packets of each input, and hosts with their evidence, without times.
fn said(scan: &Scan) -> (Vec<(u64, Option<String>)>, Vec<String>) {
    let inputs = scan.report.inputs.iter().map(|input| (input.packets, input.error.clone())).collect();
    let hosts = scan.report.hosts.iter().map(|host| {
        let evidence: Vec<_> = host
            .evidence
            .iter()
            .map(|line| format!("{:?} {:?} {} {}", line.indicator, line.field, line.observed, line.count))
            .collect();
        format!("{:?} {:?} {:?} {evidence:?}", host.host, host.verdict, host.confidence)
    });
    (inputs, hosts.collect())
}

#[test]
fn every_golden_capture_says_the_same_in_each_format() {
    if Command::new("editcap").arg("--version").output().is_err() {
        eprintln!("skipped: editcap is missing; scripts/install-deps test installs it");
        return;
    }
    let mut originals: Vec<PathBuf> =
        std::fs::read_dir(captures()).unwrap().map(|entry| entry.unwrap().path()).collect();
    originals.retain(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    originals.sort();
    assert!(originals.len() > 50);
    for form in ["snoop", "netmon1", "netmon2", "ngwsniffer_1_1", "ngwsniffer_2_0", "ngsniffer"] {
        let folder = tempfile::tempdir().unwrap();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for original in &originals {
            let converted = folder.path().join(original.file_name().unwrap());
            let output = Command::new("editcap").args(["-F", form]).arg(original).arg(&converted).output().unwrap();
            // Some formats cannot hold some packets.
            if output.status.success() {
                before.push(original.clone());
                after.push(converted);
            }
        }
        assert!(after.len() > 50, "{form}: {} captures", after.len());
        assert_eq!(said(&scanned(&after)), said(&scanned(&before)), "{form}");
    }
}

/// A file of each format.
static SAMPLES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let names = [
        "solaris-snoop.snoop",
        "network-monitor-1.cap",
        "network-monitor-2.cap",
        "network-monitor-2-3.cap",
        "netxray.cap",
        "netxray-round.cap",
        "windows-sniffer.cap",
        "dos-sniffer.enc",
        "endace.erf",
        "xz.pcap.xz",
        "bzip2.pcap.bz2",
        "lz4.pcap.lz4",
    ];
    let read = |name: &str| std::fs::read(captures().join("derived").join(name)).unwrap();
    names.into_iter().map(|name| (name.to_owned(), read(name))).collect()
});

/// Times and bytes of all frames.
fn frames(mut file: CaptureFile) -> Vec<(u64, Vec<u8>)> {
    let (mut block, mut frames) = (Block::default(), Vec::new());
    while file.next_block(&mut block).unwrap() {
        frames.extend(block.frames().map(|frame| (frame.at.0, frame.bytes.to_vec())));
    }
    frames
}

#[test]
fn each_format_has_the_frames_of_the_pcap_in_their_order() {
    let expected = frames(CaptureFile::open(captures().join("dns-then-tls.pcap")).unwrap());
    for (name, bytes) in &*SAMPLES {
        let of_file = frames(CaptureFile::open(captures().join("derived").join(name)).unwrap());
        let of_stream = frames(CaptureFile::from_reader("x", std::io::Cursor::new(bytes.clone())).unwrap());
        assert_eq!(of_file, of_stream, "{name}");
        assert_eq!(of_file.len(), expected.len(), "{name}");
        for ((at, bytes), (expected_at, expected_bytes)) in of_file.iter().zip(&expected) {
            assert_eq!(bytes, expected_bytes, "{name}");
            // Network Monitor 1 counts milliseconds; others round to what their ticks are.
            assert!(at.abs_diff(*expected_at) < 2_000_000, "{name}: {at} is not {expected_at}");
        }
    }
}

#[test]
fn a_file_that_was_cut_gives_what_came_before() {
    for (name, bytes) in &*SAMPLES {
        let mut most = 0;
        // Each place in the headers and the first packets, and at the end; of the rest, some.
        let near = |end: &usize| *end < 500 || bytes.len() - end < 100 || end.is_multiple_of(41);
        for end in (0..bytes.len()).filter(near) {
            let (count, error) = read_all(&bytes[..end]);
            most = most.max(count);
            assert!(count <= 20, "{name} cut at {end}");
            // Formats without an end of their own may be cut between two records.
            let knows_its_end = !name.ends_with(".snoop") && !name.ends_with(".erf");
            let is_whole = count == 20;
            assert!(error.is_some() || is_whole || !knows_its_end, "{name} cut at {end}: {count} frames and no error");
        }
        // Where frames lie out of order, without the table nobody knows where they begin.
        assert!(most >= 19 || name == "network-monitor-2-3.cap", "{name}: {most} frames");
    }
}

#[test]
fn what_stands_behind_the_end_costs_nothing_of_what_came_before() {
    // Where the file goes round, what stands at the end is in the middle.
    for (name, bytes) in SAMPLES.iter().filter(|(name, _)| name != "netxray-round.cap") {
        let longer = [bytes.as_slice(), b"something that is no record"].concat();
        assert_eq!(read_all(&longer).0, 20, "{name}");
    }
}

#[test]
fn a_table_of_frames_that_names_one_frame_again_and_again_ends() {
    // 60,000 bytes of frame, and as many entries for it.
    let mut bytes = [&b"GMBU\x00\x02\x01\x00"[..], &[0; 120]].concat();
    bytes.extend([0; 8]);
    bytes.extend([60_000_u32.to_le_bytes(), 60_000_u32.to_le_bytes()].concat());
    bytes.extend([0; 60_000]);
    let table = bytes.len() as u32;
    bytes[24..28].copy_from_slice(&table.to_le_bytes());
    bytes[28..32].copy_from_slice(&240_000_u32.to_le_bytes());
    bytes.extend(std::iter::repeat_n(128_u32.to_le_bytes(), 60_000).flatten());
    let (count, error) = read_all(&bytes);
    assert!(count < 6, "{count}");
    assert!(error.unwrap().to_string().contains("table of frames"));
}

#[test]
fn a_dictionary_that_is_far_too_large_is_refused() {
    // The header of a block that asks for a dictionary of 4 GiB.
    let mut bytes = SAMPLES.iter().find(|(name, _)| name == "xz.pcap.xz").unwrap().1.clone();
    assert_eq!(bytes[12..16], [0x02, 0x00, 0x21, 0x01]);
    bytes[16] = 40;
    let header = crc32(&bytes[12..20]);
    bytes[20..24].copy_from_slice(&header.to_le_bytes());
    let (count, error) = read_all(&bytes);
    assert_eq!(count, 0);
    let said = error.unwrap().to_string();
    assert!(said.contains("mem"), "{said}");
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_damage_panics_or_hangs(
        sample: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_header in prop::collection::vec((0_usize..160, prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xff])), 0..3),
        end: prop::sample::Index,
        is_cut: bool,
    ) {
        let mut bytes = SAMPLES[sample.index(SAMPLES.len())].1.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (at, value) in in_header {
            bytes[at] = value;
        }
        if is_cut {
            bytes.truncate(end.index(bytes.len()));
        }
        let (count, _) = read_all(&bytes);
        prop_assert!(count <= 10_000);
    }
}
