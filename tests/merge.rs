//! What scans write with `--partial` merges into the answer of one scan, however the inputs were split and the files are put together.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn kaspector(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kaspector")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Captures of all kinds, by path: real ones, damaged ones, one that is no capture.
fn captures() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps").canonicalize().unwrap();
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in [folder.clone(), folder.join("derived")] {
        paths.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    let is_text =
        |path: &PathBuf| ["json", "md", "toml"].iter().any(|other| path.extension().is_some_and(|name| name == *other));
    paths.retain(|path| !is_text(path));
    paths.sort();
    paths.into_iter().map(|path| path.to_str().unwrap().to_owned()).collect()
}

/// One in five of them, and all that are damaged.
fn some_captures() -> Vec<String> {
    let is_one = |(number, path): &(usize, String)| number % 5 == 0 || path.contains("damaged") || path.contains("cut");
    captures().into_iter().enumerate().filter(is_one).map(|(_, path)| path).collect()
}

fn partial(of: &str, inputs: &[&str], file: &Path) {
    let mut arguments = vec![of, "--quiet", "--partial", "--output", file.to_str().unwrap()];
    arguments.extend(inputs);
    let output = kaspector(&arguments);
    assert!(file.exists(), "{arguments:?}: {}", text(&output.stderr));
}

fn json(of: &str, inputs: &[&str]) -> String {
    let mut arguments = vec![of, "--quiet", "--format", "json"];
    arguments.extend(inputs);
    text(&kaspector(&arguments).stdout)
}

/// A capture for each file, and the answer of one scan over all of them.
struct Split {
    folder: TempDir,
    parts: Vec<PathBuf>,
    expected: String,
}

fn split() -> Split {
    let captures = some_captures();
    let captures: Vec<&str> = captures.iter().map(String::as_str).collect();
    let folder = TempDir::new().unwrap();
    let part = |(number, capture): (usize, &&str)| {
        let file = folder.path().join(format!("{number}.kpart"));
        partial("scan", &[capture], &file);
        file
    };
    let parts: Vec<PathBuf> = captures.iter().enumerate().map(part).collect();
    let expected = json("scan", &captures);
    assert!(expected.contains("confirmed") && expected.contains("damaged at byte"), "{expected}");
    Split { folder, parts, expected }
}

#[test]
fn any_order_and_any_tree_of_merges_gives_the_answer_of_one_scan() {
    let Split { folder, parts, expected } = &split();
    let config = ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let orders = Just((0..parts.len()).collect::<Vec<_>>()).prop_shuffle();
    let tree = (orders, prop::collection::vec(2..12_usize, 1..4), any::<bool>());
    let outcome = runner.run(&tree, |(order, widths, twice)| {
        let mut files: Vec<PathBuf> = order.iter().map(|&number| parts[number].clone()).collect();
        if twice {
            files.push(files[0].clone());
        }
        for (level, width) in widths.into_iter().enumerate() {
            let merged = files.chunks(width).enumerate().map(|(number, files)| {
                let file = folder.path().join(format!("{level}-{number}.merged"));
                let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
                partial("merge", &files, &file);
                file
            });
            files = merged.collect();
        }
        let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
        prop_assert_eq!(&json("merge", &files), expected);
        Ok::<(), TestCaseError>(())
    });
    outcome.unwrap();
}

/// One file after the other, or all in one: the bytes are the same.
#[test]
fn files_of_the_same_inputs_are_the_same_bytes() {
    let Split { folder, parts, .. } = &split();
    let (mut ascending, mut descending) = (folder.path().join("up"), folder.path().join("down"));
    fs::copy(&parts[0], &ascending).unwrap();
    fs::copy(parts.last().unwrap(), &descending).unwrap();
    for (number, (next, last)) in parts.iter().skip(1).zip(parts.iter().rev().skip(1)).enumerate() {
        for (file, part, name) in [(&mut ascending, next, "up"), (&mut descending, last, "down")] {
            let merged = folder.path().join(format!("{name}-{number}"));
            partial("merge", &[file.to_str().unwrap(), part.to_str().unwrap()], &merged);
            *file = merged;
        }
    }
    assert_eq!(fs::read(ascending).unwrap(), fs::read(descending).unwrap());
}

#[test]
fn an_inventory_gets_what_the_scans_would_give_it() {
    let Split { folder, parts, .. } = &split();
    let (merged, scanned) = (folder.path().join("merged.state"), folder.path().join("scanned.state"));
    let mut arguments = vec!["merge", "--quiet", "--state", merged.to_str().unwrap()];
    arguments.extend(parts.iter().map(|part| part.to_str().unwrap()));
    kaspector(&arguments);
    let captures = some_captures();
    let mut arguments = vec!["scan", "--quiet", "--state", scanned.to_str().unwrap()];
    arguments.extend(captures.iter().map(String::as_str));
    kaspector(&arguments);
    // When it was merged is another time.
    let listing = |state: &Path| {
        let listed = text(&kaspector(&["hosts", "--state", state.to_str().unwrap(), "--format", "json"]).stdout);
        listed.lines().filter(|line| !line.contains("\"saved_at\"")).collect::<Vec<_>>().join("\n")
    };
    assert!(listing(&merged).contains("confirmed"));
    assert_eq!(listing(&merged), listing(&scanned));
}

#[test]
fn logs_merge_as_captures_do() {
    let folder = TempDir::new().unwrap();
    let log = |name: &str, host: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("Nov 28 10:00:00 dnsmasq[7]: query[A] dnl-01.geo.kaspersky.com from {host}\n"))
            .unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, other) = (log("one.log", "10.0.0.5"), log("other.log", "10.0.0.6"));
    let times = ["--timezone", "UTC", "--year", "2025"];
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    partial("logs", &[&one, times[0], times[1], times[2], times[3]], &a);
    partial("logs", &[&other, times[0], times[1], times[2], times[3]], &b);
    let merged = json("merge", &[b.to_str().unwrap(), a.to_str().unwrap()]);
    assert!(merged.contains("10.0.0.5") && merged.contains("10.0.0.6"), "{merged}");
}

#[test]
fn a_file_that_is_cut_or_changed_is_an_error_and_costs_no_other() {
    let Split { folder, parts, .. } = &split();
    let whole = fs::read(&parts[0]).unwrap();
    let bad = folder.path().join("bad.kpart");
    let good =
        parts.iter().map(|part| part.to_str().unwrap()).find(|part| json("merge", &[part]).contains("confirmed"));
    let check = |bytes: &[u8], what: &str| {
        fs::write(&bad, bytes).unwrap();
        let output = kaspector(&["merge", "--format", "json", bad.to_str().unwrap(), good.unwrap()]);
        let said = text(&output.stderr);
        assert!(!said.contains("panicked"), "{what}: {said}");
        assert!(text(&output.stdout).contains("confirmed"), "{what}: {said}");
        (output.status.code(), said)
    };
    for length in (0..whole.len()).step_by(whole.len() / 23) {
        let (code, said) = check(&whole[..length], &format!("cut at {length}"));
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("bad.kpart: damaged, or no Parquet file"), "{said}");
    }
    for place in (0..whole.len()).step_by(whole.len() / 31) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x55;
        // What is changed may be a name or a number: then it is another one.
        _ = check(&bytes, &format!("changed at {place}"));
    }
}

#[test]
fn what_cannot_be_merged_says_why() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let capture = captures().into_iter().find(|path| path.ends_with("dns-then-tls.pcap")).unwrap();
    let said = |arguments: &[&str]| {
        let output = kaspector(arguments);
        (output.status.code(), text(&output.stderr))
    };
    let (code, error) = said(&["merge", &at("none.kpart")]);
    assert_eq!(code, Some(4), "{error}");
    assert!(error.contains("none.kpart: No such file"), "{error}");
    let (code, error) = said(&["merge", &at("")]);
    assert_eq!(code, Some(4), "{error}");
    assert!(error.contains("Is a directory") && !error.contains("damaged"), "{error}");
    let (code, error) = said(&["merge", &capture]);
    assert_eq!(code, Some(4), "{error}");
    assert!(error.contains("no Parquet file"), "{error}");
    let (code, error) = said(&["scan", "--partial", &capture]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("--output"), "{error}");
    // It replaces what it wrote itself, and neither what it reads nor what others wrote.
    partial("scan", &[&capture], Path::new(&at("a.kpart")));
    let (code, error) = said(&["scan", "-q", "--partial", "-o", &at("a.kpart"), &capture]);
    assert_eq!(code, Some(0), "{error}");
    let (code, error) = said(&["merge", "-q", "--partial", "-o", &at("a.kpart"), &at("a.kpart")]);
    assert_eq!(code, Some(2), "{error}");
    fs::write(at("mine"), "not yours").unwrap();
    let (code, error) = said(&["merge", "-q", "--partial", "-o", &at("mine"), &at("a.kpart")]);
    assert_eq!(code, Some(2), "{error}");
    assert_eq!(fs::read_to_string(at("mine")).unwrap(), "not yours");
}

#[test]
fn evidence_that_the_set_does_not_know_is_told() {
    let folder = TempDir::new().unwrap();
    let capture = captures().into_iter().find(|path| path.ends_with("dns-then-tls.pcap")).unwrap();
    let part = folder.path().join("a.kpart");
    partial("scan", &[&capture], &part);
    let signatures = folder.path().join("signatures");
    fs::create_dir(&signatures).unwrap();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../signatures");
    for name in ["set.toml", "products.toml", "account.toml"] {
        fs::copy(all.join(name), signatures.join(name)).unwrap();
    }
    let output = kaspector(&["merge", "--signatures", signatures.to_str().unwrap(), part.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert!(said.contains("scanned with another signature set") && said.contains("lines of evidence"), "{said}");
}
