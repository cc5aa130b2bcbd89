#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use arrow::array::RecordBatch;
use kaspector::capture::{Block, CaptureFile, Timestamp};
use kaspector::matching::SignatureSet;
use kaspector::pipeline::Detector;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn findings_of(capture: &Path, signatures: &Arc<SignatureSet>) -> Findings {
    let mut detector = Detector::new(signatures);
    let (mut file, mut block) = (CaptureFile::open(capture).unwrap(), Block::default());
    while file.next_block(&mut block).is_ok_and(|more| more) {
        detector.feed_block(block.view(), |_| true);
    }
    detector.finish()
}

/// Every capture of the repository: what is read back is what was written.
#[test]
fn nothing_is_lost_on_the_way() {
    let signatures = Arc::new(SignatureSet::builtin());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps");
    let mut captures: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    captures.retain(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    captures.sort();
    let mut report = InputReport { path: "a.pcap".to_owned(), digest: [7; 32], ..InputReport::default() };
    report.covered.add_span(Timestamp(5), Timestamp(u64::MAX));
    let reading = Reading { filter: Some("tcp".to_owned()), ..Reading::default() };
    let left_out = LeftOut { kinds: [("special_file", 3)].into(), scan: "x".to_owned() };
    let mut writer = PartWriter::new(Vec::new()).unwrap();
    let all: Vec<Findings> = captures.iter().map(|path| findings_of(path, &signatures)).collect();
    for findings in &all {
        writer.add_input(&reading, &report, findings, true, &signatures).unwrap();
    }
    writer.add_left_out(&left_out).unwrap();
    let part = read(file_of(&writer.finish().unwrap()), &signatures).unwrap();
    assert_eq!((part.left_out, part.unknown_evidence), (vec![left_out], 0));
    assert_eq!(part.inputs.len(), all.len());
    let (mut hosts, mut labels) = (0, 0);
    for (read, written) in part.inputs.iter().zip(&all) {
        assert_eq!((&read.reading, &read.report.path, read.is_defective), (&reading, &report.path, true));
        assert_eq!((&read.report.covered, read.report.digest), (&report.covered, report.digest));
        let sums = |findings: &Findings| {
            let Findings { outcomes, flows, coverage, dropped, .. } = findings;
            (outcomes.clone(), *flows, *coverage, dropped.clone())
        };
        assert_eq!(sums(&read.findings), sums(written));
        let stored = written.machines.to_stored();
        labels += stored.addresses.iter().map(|address| address.identity.labels.len()).sum::<usize>();
        assert_eq!(read.findings.machines.to_stored(), stored);
        hosts += written.hosts.len();
        let keys = |findings: &Findings| findings.hosts.keys().copied().collect::<Vec<_>>();
        assert_eq!(keys(&read.findings), keys(written));
        for (read, written) in read.findings.hosts.values().zip(written.hosts.values()) {
            let (read, mut written) = (read.to_stored(&signatures), written.to_stored(&signatures));
            written.lines.iter_mut().for_each(|line| line.example.input = 0);
            assert_eq!(read, written);
        }
    }
    assert!(hosts > 20 && labels > 2, "{hosts} hosts, {labels} labels");
}

#[test]
fn files_of_something_else_and_of_other_versions_are_told_apart() {
    let signatures = SignatureSet::builtin();
    let with = |version: Option<&str>| {
        let pairs = version.map(|version| vec![KeyValue::new(schema::VERSION_KEY.to_owned(), version.to_owned())]);
        let properties = WriterProperties::builder().set_key_value_metadata(pairs).build();
        let columns = Arc::new(arrow::datatypes::Schema::empty());
        let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&columns), Some(properties)).unwrap();
        writer.write(&RecordBatch::new_empty(columns)).unwrap();
        read(file_of(&writer.into_inner().unwrap()), &signatures).unwrap_err()
    };
    assert!(matches!(with(None), PartialError::Foreign), "{}", with(None));
    assert!(matches!(with(Some("2")), PartialError::OtherVersion(version) if version == "2"));
    assert!(matches!(with(Some("1")), PartialError::Damaged(_)), "its columns are others");
    assert!(matches!(read(file_of(b"PAR1"), &signatures), Err(PartialError::Damaged(_))));
}
