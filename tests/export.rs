//! `kaspector export`: what it writes, where it writes it, and what the judges of the formats say.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use assert_cmd::Command;
use kaspector::matching::{MatchKind, SignatureSet};
use kaspector_export::{Options, Pack};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

type Write = fn(&SignatureSet, &Options) -> Pack;

const FORMATS: [(&str, Write); 9] = [
    ("suricata", kaspector_export::suricata),
    ("zeek", kaspector_export::zeek),
    ("snort", kaspector_export::snort),
    ("sigma", kaspector_export::sigma),
    ("stix", kaspector_export::stix),
    ("misp", kaspector_export::misp),
    ("rpz", kaspector_export::rpz),
    ("csv", kaspector_export::csv),
    ("wireshark", kaspector_export::wireshark),
];

fn kaspector(arguments: &[&str]) -> Output {
    Command::cargo_bin("kaspector").unwrap().args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}; continuous integration has to have it");
    eprintln!("skipped: {why}");
}

/// All files of a pack as one text.
fn text(pack: &Pack) -> String {
    pack.files.iter().map(|file| String::from_utf8(file.bytes.clone()).unwrap()).collect()
}

#[test]
fn packs_follow_from_the_set_and_name_it() {
    let set = SignatureSet::builtin();
    for (name, write) in FORMATS {
        let pack = write(&set, &Options::default());
        assert_eq!(pack, write(&SignatureSet::builtin(), &Options::default()), "{name}");
        assert!(text(&pack).contains(set.sha256()), "{name}");
        assert!(!pack.left_out.lines().is_empty(), "{name}");
        let with_browse = write(&set, &Options { browse: true, date: None });
        assert!(text(&with_browse).len() > text(&pack).len(), "{name}");
    }
}

#[test]
fn web_sites_are_left_out_unless_asked_for() {
    let set = SignatureSet::builtin();
    for (name, write) in FORMATS {
        let of = |browse| text(&write(&set, &Options { browse, date: None }));
        // A site of the vendor that is below no zone of anything else.
        for site in ["securelist", "c2VjdXJlbGlzdC5jb20="] {
            assert!(!of(false).contains(site), "{name}");
        }
        assert!(["securelist", "c2VjdXJlbGlzdC5jb20="].iter().any(|site| of(true).contains(site)), "{name}");
    }
}

/// An indicator of each kind and strength, alone in a set, changes what a format says, or its absence is counted.
#[test]
fn no_kind_is_missing_in_secret() {
    let folder = tempfile::tempdir().unwrap();
    let of_file = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        text.split("[[indicator]]").skip(1).map(|entry| format!("[[indicator]]{entry}")).collect::<Vec<_>>()
    };
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../signatures")).unwrap();
    let entries: Vec<String> = files.flat_map(|file| of_file(&file.unwrap().path())).collect();
    let set_of = |entry: &str| {
        fs::write(folder.path().join("one.toml"), entry).unwrap();
        SignatureSet::of_folders(Some(folder.path()), None).unwrap()
    };
    // What a pack says, without what names the set and what is not in it.
    let says = |set: &SignatureSet, write: Write| {
        let pack = write(set, &Options { browse: true, date: Some("2026-11-28".to_owned()) });
        let is_said = |line: &&str| !["#", "//", ";", "--"].iter().any(|mark| line.starts_with(mark));
        let lines: Vec<String> =
            text(&pack).lines().filter(is_said).map(|line| line.replace(set.sha256(), "")).collect();
        (lines, pack.left_out.iter().map(|(_, ids)| ids.len()).sum::<usize>())
    };
    let of_kind = |kind: &str| entries.iter().find(|entry| entry.contains(&format!("match = \"{kind}\""))).unwrap();
    let (port, exact) = (of_kind("port"), of_kind("exact"));
    let mut seen = BTreeSet::new();
    for entry in &entries {
        let set = set_of(entry);
        let one = set.iter().next().unwrap();
        if !seen.insert((one.kind.name(), one.strength.name())) {
            continue;
        }
        for (name, write) in FORMATS {
            let (lines, left_out) = says(&set, write);
            let other = if one.kind == MatchKind::Port { exact } else { port };
            let (others, _) = says(&set_of(other), write);
            assert!(left_out == 1 || lines != others, "{name}: {} {}", one.kind.name(), one.id);
        }
    }
    assert!(seen.len() > 40, "{}", seen.len());
}

/// Each indicator is in a file, or its absence is counted.
#[test]
fn nothing_is_missing_in_secret() {
    let set = SignatureSet::builtin();
    for (name, write) in [FORMATS[4], FORMATS[5], FORMATS[7], FORMATS[8]] {
        let pack = write(&set, &Options::default());
        let left_out: BTreeSet<&String> = pack.left_out.iter().flat_map(|(_, ids)| ids).collect();
        let text = text(&pack);
        for one in set.iter() {
            assert!(left_out.contains(&one.id) || text.contains(&one.id), "{name}: {}", one.id);
        }
    }
}

#[test]
fn own_signatures_are_exported_whatever_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |id: &str, kind: &str, value: &str, more: &str| {
        format!(
            "[[indicator]]\nid = \"{id}\"\nmatch = \"{kind}\"\nvalue = '''{value}'''\ncategory = \"update\"\nstrength = \"installed\"\n\
             sources = [\"it's a list; of \\\"ours\\\"\"]\ndate = 2026-11-28\n{more}\n"
        )
    };
    let entries = [
        entry("A-1", "suffix", "mirror.example.org", ""),
        entry("A-2", "user-agent-prefix", r#"odd;"agent'|"#, ""),
        entry("A-3", "user-agent-regex", r#"^agent";[0-9]{3}$"#, "literal = 'agent'"),
        entry("A-4", "certificate-subject", r"O=Example\, Ltd, CN=Mirror", ""),
        entry("A-5", "path-contains", r#"/odd;"path'/"#, ""),
        entry("A-6", "body-prefix", r#"BODY";"#, ""),
        entry("A-7", "address", "203.0.113.7", ""),
        entry("A-8", "ja3", "00112233445566778899aabbccddeeff", ""),
    ];
    fs::write(folder.path().join("own.toml"), entries.concat()).unwrap();
    let set = SignatureSet::of_folders(Some(folder.path()), None).unwrap();
    for (name, write) in FORMATS {
        assert!(!write(&set, &Options::default()).files.is_empty(), "{name}");
    }
    let rules = kaspector_export::suricata(&set, &Options::default());
    let rules = String::from_utf8(rules.file("kaspector-7.rules").unwrap().to_vec()).unwrap();
    let pack = folder.path().join("pack");
    let signatures = folder.path().to_str().unwrap();
    let output = kaspector(&["export", "suricata", "-q", "--signatures", signatures, "-o", pack.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::read_to_string(pack.join("kaspector-7.rules")).unwrap(), rules);
    if has_suricata() {
        let mut suricata = std::process::Command::new("suricata");
        suricata.arg("-T").arg("-S").arg(pack.join("kaspector-7.rules")).arg("-l").arg(folder.path());
        let output = suricata.output().unwrap();
        assert!(output.status.success() && !said(&output).contains("rror"), "{output:?}");
    }
}

fn has_suricata() -> bool {
    let version = std::process::Command::new("suricata").arg("-V").output();
    version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("version 7."))
}

#[test]
fn files_of_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (format, file) in [("stix", "a.json"), ("misp", "b.json"), ("csv", "c.csv"), ("snort", "d"), ("wireshark", "e")]
    {
        for _ in 0..2 {
            let output = kaspector(&["export", format, "-o", &path(file)]);
            assert!(output.status.success(), "{}", said(&output));
            assert!(said(&output).contains("left out: strength browse"));
        }
        fs::write(path("notes"), "mine").unwrap();
        let output = kaspector(&["export", format, "-o", &path("notes")]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert_eq!(fs::read_to_string(path("notes")).unwrap(), "mine");
    }
    fs::create_dir(path("pack")).unwrap();
    fs::write(path("pack/README.md"), "mine").unwrap();
    for format in ["suricata", "zeek", "sigma", "rpz"] {
        let output = kaspector(&["export", format, "-o", &path("pack")]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("--force"), "{}", said(&output));
        assert_eq!(fs::read_dir(path("pack")).unwrap().count(), 1);
        for _ in 0..2 {
            let output = kaspector(&["export", format, "-o", &path(format)]);
            assert!(output.status.success(), "{}", said(&output));
        }
        let output = kaspector(&["export", format]);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains("-o DIR"), "{}", said(&output));
    }
    let output = kaspector(&["export", "stix", "-o", &path("no/such/file")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("make its folder first"), "{}", said(&output));
    let output = kaspector(&["export", "stix", "--date", "today"]);
    assert_eq!(output.status.code(), Some(2));
}

/// Rules that say the same as an alert have its number and text.
#[test]
fn rules_have_the_numbers_of_alerts() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let rules = text(&kaspector_export::suricata(&SignatureSet::builtin(), &Options::default()));
    let mut seen = 0;
    for capture in ["dns-then-tls", "quic-v1", "http-update", "body-database", "http-mirror-path", "scan-engine"] {
        let capture = root.join("pcaps").join(format!("{capture}.pcap"));
        let output = kaspector(&["scan", "-q", "--eve", "-", capture.to_str().unwrap()]);
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let (number, words) = (&record["alert"]["signature_id"], record["alert"]["signature"].as_str().unwrap());
            if let Some(rule) = rules.lines().find(|rule| rule.contains(&format!("sid:{number};"))) {
                assert!(rule.contains(&format!("msg:\"{words}\"")), "{words}: {rule}");
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "{seen}");
}

/// A Python with the validators, made once for each list of them.
fn python() -> Option<PathBuf> {
    let list = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/export/requirements.txt"));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("export-validators");
    let python = folder.join("bin/python");
    let stamp = folder.join("requirements.txt");
    if fs::read(&stamp).is_ok_and(|made| made == fs::read(list).unwrap()) {
        return Some(python);
    }
    let run = |program: &Path, arguments: &[&str]| {
        std::process::Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    _ = fs::remove_dir_all(&folder);
    let made = run(Path::new("python3"), &["-m", "venv", folder.to_str().unwrap()])
        && run(
            &python,
            &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", list.to_str().unwrap()],
        );
    if !made {
        skip("validators need python3-venv and a package index");
        return None;
    }
    fs::copy(list, stamp).unwrap();
    Some(python)
}

#[test]
fn judges_of_the_formats_are_content() {
    let folder = tempfile::tempdir().unwrap();
    for (format, name) in
        [("stix", "stix.json"), ("misp", "misp.json"), ("sigma", "sigma"), ("zeek", "zeek"), ("rpz", "rpz")]
    {
        let path = folder.path().join(name);
        let output = kaspector(&["export", format, "-q", "-o", path.to_str().unwrap()]);
        assert!(output.status.success(), "{}", said(&output));
    }
    if let Ok(output) = std::process::Command::new("named-checkzone")
        .args(["kaspector-block.rpz", "rpz/kaspector-block.rpz"])
        .current_dir(folder.path())
        .output()
    {
        assert!(output.status.success(), "{output:?}");
        let output = std::process::Command::new("named-checkzone")
            .args(["kaspector-log.rpz", "rpz/kaspector-log.rpz"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    } else {
        skip("needs named-checkzone");
    }
    let Some(python) = python() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/export/validate.py");
    let output = std::process::Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), said(&output));
}
