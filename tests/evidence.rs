//! The packets that a scan keeps prove what it found: scanned by themselves they show the same, and others can open them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector::matching::{HostFinding, SignatureSet, Verdict};
use kaspector_cli::evidence::{Captures, EvidenceFolder, EvidenceOptions, Written, keep};
use kaspector_cli::inputs::expand;
use kaspector_cli::process::output_file::Claims;
use kaspector_cli::scan::{Progress, Scan, ScanOptions, Takers, scan};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn scan_of(path: &Path, threads: usize, signatures: &Arc<SignatureSet>) -> (ScanOptions, Scan) {
    let options = ScanOptions { inputs: expand([path]), threads, ..ScanOptions::default() };
    let found = scan(&options, signatures, &Progress::default(), Takers::default()).unwrap();
    (options, found)
}

/// Scans a capture, or all below a folder, and keeps the packets in `folder`.
fn keep_of(path: &Path, folder: &Path, threads: usize, options: &EvidenceOptions) -> (Scan, Written) {
    let signatures = Arc::new(SignatureSet::builtin());
    let (scanned, found) = scan_of(path, threads, &signatures);
    let progress = Progress::default();
    let captures = Captures::new(&scanned.inputs, &found.rows, None, &[], &progress);
    let folder = EvidenceFolder::open(folder, &Claims::default(), false).unwrap();
    let written = keep(folder, options, &found.report, &signatures, &captures).unwrap();
    (found, written)
}

/// Captures below a folder, by their expectations.
fn golden(folder: &str) -> Vec<PathBuf> {
    let list = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let is_capture = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        path.is_file() && !name.ends_with(".json") && !name.ends_with(".md")
    };
    let mut list: Vec<_> = list.filter(is_capture).collect();
    list.sort();
    list
}

fn shown(host: &HostFinding, signatures: &SignatureSet) -> (Verdict, BTreeSet<String>) {
    let ids = host.evidence.iter().map(|line| signatures.get(line.indicator).id.clone()).collect();
    (host.verdict, ids)
}

/// Where the whole capture shows more than the packets that are kept by default: hundreds of segments of a few bytes each.
const CUT_TO_PIECES: [&str; 2] = ["-in-pieces.", "one-byte-segments."];

/// What of one capture is not shown by the kept packets alone, and how many hosts there are.
fn differences(capture: &Path, options: &EvidenceOptions, signatures: &Arc<SignatureSet>) -> (usize, Vec<String>) {
    let house = tempfile::tempdir().unwrap();
    let name = capture.file_name().unwrap().to_str().unwrap();
    let folder = house.path().join("kept");
    let (found, written) = keep_of(capture, &folder, 1, options);
    assert_eq!(written.captures, found.report.hosts.len(), "{name}");
    assert_eq!(folder.exists(), written.captures > 0, "{name}");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in folder.read_dir().into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "pcapng") {
            continue;
        }
        seen += 1;
        let description: Value = serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let packets = description["capture"]["packets"].as_u64().unwrap();
        assert!(packets <= options.packets as u64, "{name}");
        let (_, alone) = scan_of(&path, 1, signatures);
        assert_eq!((&alone.report.inputs[0].error, alone.report.inputs[0].packets), (&None, packets), "{name}");
        let is_meant = |host: &&HostFinding| {
            let zone = host.host.zone;
            let [address, vlan, vni] = ["address", "vlan", "vni"].map(|key| &description["finding"][key]);
            (address.as_str(), vlan.as_u64(), vni.as_u64())
                == (Some(&*host.host.address.to_string()), zone.vlan.map(u64::from), zone.vni.map(u64::from))
        };
        let whole = found.report.hosts.iter().find(is_meant).map(|host| shown(host, signatures));
        let alone = alone.report.hosts.iter().find(is_meant).map(|host| shown(host, signatures));
        assert!(whole.is_some(), "{name}: {description}");
        assert_eq!(description["by_itself"]["is_whole"], alone == whole, "{name}: {description}");
        if alone != whole {
            wrong.push(format!("{name} {}: {whole:?}, alone {alone:?}", path.display()));
        }
    }
    assert_eq!(seen, written.captures, "{name}");
    (seen, wrong)
}

/// What is kept of each host shows by itself the verdict and the indicators that the whole capture showed.
#[test]
fn the_packets_that_are_kept_show_the_same_by_themselves() {
    let signatures = Arc::new(SignatureSet::builtin());
    // Another format of file gives the same frames.
    let is_pcap = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "pcap");
    let captures: Vec<_> = golden("pcaps").into_iter().chain(golden("pcaps/derived")).filter(is_pcap).collect();
    let (next, seen, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(capture) = captures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let is_in_pieces = CUT_TO_PIECES.iter().any(|part| capture.to_str().unwrap().contains(part));
                    let packets = if is_in_pieces { 4096 } else { EvidenceOptions::default().packets };
                    let options = EvidenceOptions { packets, ..EvidenceOptions::default() };
                    let (hosts, differences) = differences(capture, &options, &signatures);
                    seen.fetch_add(hosts, Ordering::Relaxed);
                    wrong.lock().unwrap().extend(differences);
                }
            });
        }
    });
    let (seen, wrong) = (seen.into_inner(), wrong.into_inner().unwrap());
    assert!(seen > 150, "{seen}");
    assert!(wrong.is_empty(), "{} of {seen}\n{}", wrong.len(), wrong.join("\n"));
}

fn kaspector(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kaspector")).args(arguments).current_dir(root()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Files of a folder with what they hold.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let list = folder.read_dir().unwrap().map(|entry| entry.unwrap());
    list.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

fn has(program: &str) -> bool {
    let there = Command::new(program).arg("-v").output().is_ok_and(|output| output.status.success());
    if !there {
        assert!(std::env::var_os("CI").is_none(), "this test must run here: scripts/install-deps test");
        eprintln!("skipped: needs {program}");
    }
    there
}

/// Many inputs with one host: their packets stand in one capture, with an interface for each, and the number of threads shows nowhere.
#[test]
fn evidence_of_many_inputs_is_the_same_with_any_number_of_threads_and_others_open_it() {
    let house = tempfile::tempdir().unwrap();
    let keep = |threads: &str| {
        let folder = house.path().join(threads);
        let kept = kaspector(&[
            "scan",
            "pcaps/d*.pcap",
            "pcaps/m*.pcap",
            "pcaps/derived/pcapng.pcapng",
            "--threads",
            threads,
            "--evidence",
            folder.to_str().unwrap(),
            "--format",
            "json",
        ]);
        assert!(kept.status.success(), "{}", text(&kept.stderr));
        let said = text(&kept.stderr);
        let manifest = fs::read(folder.join("manifest-0001.sha256")).unwrap();
        assert!(said.contains(&sha256(&manifest)), "{said}");
        files(&folder)
    };
    let (one, many) = (keep("1"), keep("3"));
    assert!(one.len() > 10 && one == many);
    let is_capture = |name: &&String| name.ends_with(".pcapng");
    let captures: Vec<_> = one.keys().filter(is_capture).map(|name| house.path().join("1").join(name)).collect();
    for name in one.keys().filter(is_capture) {
        let description: Value = serde_json::from_slice(&one[&name.replace(".pcapng", ".json")]).unwrap();
        assert_eq!(description["capture"]["sha256"], sha256(&one[name]), "{name}");
        let input = &description["inputs"][0];
        assert_eq!(input["sha256"], sha256(&fs::read(root().join(input["path"].as_str().unwrap())).unwrap()), "{name}");
    }
    if !has("capinfos") || !has("tshark") {
        return;
    }
    let infos = Command::new("capinfos").args(&captures).output().unwrap();
    assert!(infos.status.success() && infos.stderr.is_empty(), "{}", text(&infos.stderr));
    let infos = text(&infos.stdout);
    assert!(infos.contains("Time precision = nanoseconds (9)") && infos.contains("Name = pcaps/"), "{infos}");
    assert!(infos.contains("Capture application: Kaspector") && infos.contains("Encapsulation = Raw IP"), "{infos}");
    for capture in captures.iter().take(3) {
        let shown = Command::new("tshark")
            .arg("-r")
            .arg(capture)
            .args(["-T", "fields", "-E", "occurrence=a", "-e", "frame.number", "-e", "frame.comment"])
            .output()
            .unwrap();
        let complaints =
            text(&shown.stderr).replace("Running as user \"root\" and group \"root\". This could be dangerous.", "");
        assert!(shown.status.success() && complaints.trim().is_empty(), "{complaints}");
        let shown = text(&shown.stdout);
        assert!(shown.lines().all(|line| line.contains("uid=") && line.contains(" packet=")), "{shown}");
        assert!(shown.contains(" indicator=KL-") && shown.contains(" verdict="), "{shown}");
    }
}

fn sha256(bytes: &[u8]) -> String {
    let house = tempfile::tempdir().unwrap();
    let file = house.path().join("file");
    fs::write(&file, bytes).unwrap();
    let sum = Command::new("sha256sum").arg(&file).output().unwrap();
    text(&sum.stdout).split(' ').next().unwrap().to_owned()
}

/// Each scan adds to what is there, and sha256sum sees what was changed or taken away.
#[test]
fn manifests_are_a_chain() {
    let house = tempfile::tempdir().unwrap();
    let folder = house.path().join("proof");
    let keep = || kaspector(&["scan", "pcaps/dns-then-tls.pcap", "--evidence", folder.to_str().unwrap(), "--quiet"]);
    let check = || {
        let sums = ["manifest-0001.sha256", "manifest-0002.sha256"];
        Command::new("sha256sum")
            .args(["--check", "--strict", "--quiet"])
            .args(sums)
            .current_dir(&folder)
            .output()
            .unwrap()
    };
    for _ in 0..2 {
        let kept = keep();
        assert!(kept.status.success() && kept.stderr.is_empty(), "{}", text(&kept.stderr));
    }
    assert_eq!(files(&folder).len(), 6);
    assert!(check().status.success(), "{}", text(&check().stderr));
    fs::remove_file(folder.join("0001-10.20.0.5.json")).unwrap();
    assert!(!check().status.success());
}

/// With redaction the proof stays, and what came behind it is gone.
#[test]
fn payload_behind_what_matched_is_zeroed_on_request() {
    let house = tempfile::tempdir().unwrap();
    let (plain, redacted) = (house.path().join("plain"), house.path().join("redacted"));
    let capture = root().join("pcaps/http-update.pcap");
    let options = EvidenceOptions::default();
    keep_of(&capture, &plain, 1, &options);
    keep_of(&capture, &redacted, 1, &EvidenceOptions { redacts: true, ..options });
    let body = b"HTTP/1.1 200";
    let holds = |folder: &Path| {
        let files = files(folder);
        let capture = files.iter().find(|(name, _)| name.ends_with(".pcapng")).unwrap().1;
        capture.windows(body.len()).any(|window| window == body)
    };
    assert!(holds(&plain) && !holds(&redacted));
    let description = files(&redacted).into_iter().find(|(name, _)| name.ends_with(".json")).unwrap().1;
    let description: Value = serde_json::from_slice(&description).unwrap();
    assert_eq!(description["by_itself"]["is_whole"], true, "{description}");
    assert!(description["packets"].as_array().unwrap().iter().any(|packet| packet["zero_from"].is_u64()));
    assert_eq!(description["redacted"], true);
    for name in [
        "http-keepalive",
        "http-mirror-path",
        "http-proxy-absolute",
        "mail-gateway-names-itself",
        "management-certificate",
        "quic-v1",
        "syslog-cef",
        "tls12-site-certificate",
    ] {
        let capture = root().join(format!("pcaps/{name}.pcap"));
        let folder = house.path().join(name);
        let (found, written) = keep_of(&capture, &folder, 1, &EvidenceOptions { redacts: true, ..options });
        assert!(written.captures == found.report.hosts.len() && written.captures > 0, "{name}");
        assert_eq!(written.partial, 0, "{name}");
    }
}

/// Whoever wants proof is told before the first packet that there can be none.
#[test]
fn where_nothing_can_be_kept_nothing_is_scanned() {
    let house = tempfile::tempdir().unwrap();
    let path = |name: &str| house.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("captures")).unwrap();
    fs::copy(root().join("pcaps/dns-then-tls.pcap"), path("captures/a.pcap")).unwrap();
    fs::write(path("file"), "mine").unwrap();
    let a = path("captures/a.pcap");
    for (input, folder, code, why) in [
        ("-", path("new"), 2, "standard input: --evidence reads inputs again"),
        (&*a, path("file"), 1, "file: cannot be written"),
        (&*a, path("no/folder"), 1, "make its folder first"),
        (&*a, a.clone(), 2, "an input, which is read"),
        (&*path("captures"), path("captures/proof"), 2, "which is scanned"),
    ] {
        let before = files_below(house.path());
        let refused = kaspector(&["scan", input, "--evidence", &folder]);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{said}");
        assert!(said.contains(why) && refused.stdout.is_empty(), "{said}");
        assert_eq!(files_below(house.path()), before, "{why}");
    }
    let clean = kaspector(&["scan", "pcaps/lookalikes.pcap", "--evidence", &path("proof")]);
    assert!(clean.status.success() && text(&clean.stderr).contains("nothing was kept"), "{}", text(&clean.stderr));
    assert!(!Path::new(&path("proof")).exists());
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path()).collect()
}
