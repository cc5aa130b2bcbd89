//! An input that brought about a panic, which is a defect of the program: what comes before it is found all the same.

use super::input_scan::InputScan;
use super::reading::Reading;
use super::schedule::{Job, size};
use super::single::Reader;
use crate::process::panics::{Failure, survive, was_reported};
use std::sync::atomic::{AtomicU64, Ordering};

/// Reads an input again that brought about a failure, as far as there is none: what came before was found, and stays found.
pub fn read_up_to_defect(job: &Job<'_>, failure: Failure, reading: &Reading<'_>) -> InputScan {
    let Job { input, .. } = job;
    let sound = AtomicU64::new(0);
    let read_up_to = |limit: u64| {
        survive(|| match input.open() {
            Ok(Some(file)) => Some(Reader::new(reading).read(file, job.number(), limit, &sound)),
            _ => None,
        })
    };
    // A stream is gone.
    if size(input).is_none() {
        return InputScan::not_begun(input).cut_by(&failure, input);
    }
    // Where it comes is seen by the plainest way to read; where that way has none, its answer is the answer.
    let failure = match read_up_to(u64::MAX) {
        Ok(Some(scan)) => return InputScan { is_defective: was_reported(), ..scan },
        Ok(None) => failure,
        Err(failure) => failure,
    };
    let packets = sound.load(Ordering::Relaxed);
    let scan = if packets > 0 { read_up_to(packets).ok().flatten() } else { None };
    scan.unwrap_or_else(|| InputScan::not_begun(input)).cut_by(&failure, input)
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::{Progress, Scan, ScanOptions, Takers, lock, scan};
    use super::*;
    use crate::inputs::{Input, expand};
    use kaspector::decode::TunnelPorts;
    use kaspector::matching::{Alert, SignatureSet};
    use kaspector_logs::FlowName;
    use kaspector_report::InputReport;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex};

    /// Inputs that have their reader panic, and at which packet.
    static PANICS: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());

    pub fn panic_if_asked(input: &str, packets: u64) {
        let asked = lock(&PANICS).iter().any(|(path, at)| path == input && packets >= *at);
        assert!(!asked, "a defect that a test asked for");
    }

    fn golden(name: &str) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps").join(name)
    }

    /// The packets of a capture, so often that they fill several blocks.
    fn long(folder: &Path, name: &str, capture: &str) -> PathBuf {
        let bytes = std::fs::read(golden(capture)).unwrap();
        let mut long = bytes[..24].to_vec();
        while long.len() < 3 * kaspector::capture::BLOCK_BYTES {
            long.extend_from_slice(&bytes[24..]);
        }
        let path = folder.join(name);
        std::fs::write(&path, long).unwrap();
        path
    }

    fn scanned(paths: &[&Path], threads: usize) -> Scan {
        let options = ScanOptions { inputs: expand(paths), threads, ..ScanOptions::default() };
        let alerts = |_: &InputReport, _: &[Alert], _: &[FlowName]| ();
        scan(
            &options,
            &Arc::new(SignatureSet::builtin()),
            &Progress::default(),
            Takers { alerts: Some(&alerts), ..Takers::default() },
        )
        .unwrap()
    }

    #[test]
    fn a_panic_costs_what_comes_behind_it_in_its_own_input() {
        let folder = tempfile::tempdir().unwrap();
        let bad = long(folder.path(), "bad.pcap", "dns-then-tls.pcap");
        let good = golden("browser-www.pcap");
        let whole = scanned(&[&bad], 1).report;
        let half = whole.inputs[0].packets / 2;
        for (at, is_found) in [(1, false), (half, true)] {
            *lock(&PANICS) = vec![(bad.display().to_string(), at)];
            for threads in [1, 3] {
                let Scan { report, defects, .. } = scanned(&[&bad, &good], threads);
                assert_eq!((defects, report.inputs.len()), (1, 2));
                let [broken, sound] = report.inputs.as_slice() else { panic!("{report:?}") };
                assert!(broken.packets < at && (broken.packets > 0) == is_found, "{} {at}", broken.packets);
                assert_eq!(broken.unreadable, !is_found);
                let said = broken.error.as_deref().unwrap();
                assert!(said.contains("failed") && said.contains("report"), "{said}");
                assert!(sound.error.is_none() && sound.packets > 0);
                assert_eq!(report.outcomes.total(), broken.packets + sound.packets);
                let found = |address: &str| report.hosts.iter().any(|host| host.host.address.to_string() == address);
                assert!(found("10.20.0.6"), "{:?}", report.hosts);
                assert_eq!(found("10.20.0.5"), is_found);
            }
        }
        let log = folder.path().join("eve.json");
        std::fs::write(&log, "{\"timestamp\":\"2026-11-24T03:39:09.0Z\",\"event_type\":\"stats\"}\n").unwrap();
        *lock(&PANICS) = vec![(log.display().to_string(), 0)];
        let Scan { report, defects, .. } = scanned(&[&log, &good], 2);
        let [broken, sound] = report.inputs.as_slice() else { panic!("{report:?}") };
        assert_eq!((defects, broken.unreadable, sound.packets > 0), (1, true, true));
        *lock(&PANICS) = Vec::new();
    }

    #[test]
    fn what_threads_together_cannot_read_one_reads_alone() {
        let (signatures, progress) = (Arc::new(SignatureSet::builtin()), Progress::default());
        let options = ScanOptions::default();
        let reading = Reading::new(&options, &signatures, &progress, TunnelPorts::ASSIGNED, false).unwrap();
        let read = |input: &Input| {
            let failure = survive(|| panic!("a test wants it")).unwrap_err();
            read_up_to_defect(&Job { index: 0, input }, failure, &reading)
        };
        let scan = read(&Input::Named(golden("dns-then-tls.pcap")));
        assert!(scan.report.error.is_none());
        assert!(scan.report.packets > 0 && scan.report.packets == scan.findings.outcomes.total());
        // What came through a pipe is gone.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader)));
        let scan = read(&Input::Named(path));
        assert!(scan.is_defective && scan.report.unreadable && scan.report.error.is_some());
    }
}
