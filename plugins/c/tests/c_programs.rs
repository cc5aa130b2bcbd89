//! C programs find what `kaspector scan` finds: installed, compiled and run as anybody would.

#![allow(clippy::unwrap_used)]

use kaspector::matching::{Alert, SignatureSet};
use kaspector_cli::inputs::expand;
use kaspector_cli::scan::{Progress, Scan, ScanOptions, Takers, scan};
use kaspector_report::{EveCompat, EveOrigin, EveWriter, InputReport, host_json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock, Mutex};

/// How captures end that are neither plain nor pcap.
const OTHER_FORMATS: [&str; 9] = [".pcapng", ".gz", ".zst", ".xz", ".bz2", ".lz4", ".snoop", ".cap", ".enc"];

static INSTALLED: LazyLock<Installed> = LazyLock::new(Installed::new);

/// The library in a folder of its own, as `plugins/c/install` puts it there.
struct Installed {
    prefix: tempfile::TempDir,
}

impl Installed {
    fn new() -> Self {
        let prefix = tempfile::tempdir().unwrap();
        // Cargo has put the libraries beside the tests that link them.
        let built = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let mut install = Command::new(here().join("install"));
        run(install.arg(prefix.path()).arg("--built").arg(built));
        Self { prefix }
    }

    fn lib(&self) -> PathBuf {
        self.prefix.path().join("lib")
    }

    /// What pkg-config says, word by word.
    fn flags(&self, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        let output = run(command.env("PKG_CONFIG_PATH", self.lib().join("pkgconfig")).args(arguments));
        String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
    }

    /// Compiles a C program in a folder that stays, and gives its path.
    fn compile(&self, source: &str, name: &str, flags: &[String]) -> PathBuf {
        let program = self.prefix.path().join(name);
        let mut cc = Command::new("cc");
        cc.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]).arg(here().join(source));
        run(cc.arg("-o").arg(&program).args(flags));
        program
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", self.lib()).current_dir(root());
        command
    }
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn root() -> PathBuf {
    here().join("../..").canonicalize().unwrap()
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/install-deps test"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Whether a tool is there. Continuous integration has all of them.
fn has(tool: &str) -> bool {
    let is_there = Command::new(tool).arg("--version").output().is_ok();
    assert!(is_there || std::env::var_os("CI").is_none(), "{tool} is missing: scripts/install-deps test");
    if !is_there {
        eprintln!("skipped: {tool} is missing: scripts/install-deps test");
    }
    is_there
}

/// Captures of a folder with one of these endings, by their paths from the root.
fn captures(folder: &str, endings: &[&str]) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap()));
    let mut names: Vec<String> = names.filter(|name| endings.iter().any(|ending| name.ends_with(ending))).collect();
    names.sort();
    assert!(!names.is_empty(), "{folder}");
    names
}

/// What the program's scan finds in one capture, and its alerts as EVE lines.
fn scanned(path: &str, signatures: &Arc<SignatureSet>) -> (Scan, String) {
    let absolute = root().join(path);
    let options = ScanOptions { inputs: expand([&absolute]), threads: 1, ..ScanOptions::default() };
    let lines = Mutex::new(Vec::new());
    let take = |input: &InputReport, alerts: &[Alert], _: &[_]| {
        let mut lines = lines.lock().unwrap();
        let mut writer = EveWriter::new(&mut *lines, signatures, EveCompat::V8);
        let origin = EveOrigin::File { path, digest: &input.digest };
        alerts.iter().for_each(|alert| writer.write(alert, origin).unwrap());
    };
    let scan =
        scan(&options, signatures, &Progress::default(), Takers { alerts: Some(&take), ..Takers::default() }).unwrap();
    (scan, String::from_utf8(lines.into_inner().unwrap()).unwrap())
}

#[test]
fn the_example_over_libpcap_finds_the_same_hosts() {
    let signatures = Arc::new(SignatureSet::builtin());
    let program =
        INSTALLED.compile("examples/scan.c", "scan", &INSTALLED.flags(&["--cflags", "--libs", "kaspector", "libpcap"]));
    let captures = captures("pcaps", &[".pcap"]);
    let mut expected = String::new();
    for capture in &captures {
        for host in scanned(capture, &signatures).0.report.hosts {
            let (verdict, role) = (host.verdict.name(), host.role.name());
            writeln!(expected, "{capture}: {} {verdict} {}% {role}", host.host.address, host.confidence.0).unwrap();
            let line = host.evidence.first().unwrap();
            let indicator = &signatures.get(line.indicator).id;
            writeln!(expected, "  {indicator} {} {}, packet {}", line.field.name(), line.observed, line.example.packet)
                .unwrap();
        }
    }
    let found = String::from_utf8(run(INSTALLED.command(&program).args(&captures)).stdout).unwrap();
    assert_eq!(found, expected);
    assert!(found.lines().count() > 150, "{found}");
    let output = INSTALLED.command(&program).arg("README.md").output().unwrap();
    assert!(!output.status.success() && !output.stderr.is_empty());
}

#[test]
fn a_whole_capture_gives_the_hosts_alerts_and_counters_of_a_scan() {
    let signatures = Arc::new(SignatureSet::builtin());
    // Once with the static library: it holds all that it says it needs.
    let mut flags = INSTALLED.flags(&["--cflags", "--static", "--libs", "kaspector"]);
    let at = flags.iter().position(|flag| flag == "-lkaspector").unwrap();
    flags.splice(at..=at, ["-Wl,-Bstatic", "-lkaspector", "-Wl,-Bdynamic"].map(str::to_owned));
    let program = INSTALLED.compile("tests/everything.c", "everything", &flags);
    let mut captures = captures("pcaps", &[".pcap"]);
    captures.extend(self::captures("pcaps/derived", &OTHER_FORMATS));
    let mut expected = String::new();
    for capture in &captures {
        let (Scan { report, .. }, lines) = scanned(capture, &signatures);
        writeln!(expected, "capture {capture}").unwrap();
        if let Some(error) = report.inputs.first().and_then(|input| input.error.as_ref()) {
            let error = error.strip_prefix(&format!("{}/", root().display())).unwrap();
            writeln!(expected, "damaged {error}").unwrap();
        }
        for host in &report.hosts {
            writeln!(expected, "host {}", host_json(host, std::slice::from_ref(capture), &signatures)).unwrap();
        }
        for line in lines.lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let metadata = |key: &str| record["alert"]["metadata"][key][0].as_str().unwrap().to_owned();
            let end = |of: &str| record["alert"][of]["ip"].as_str().unwrap();
            // EVE spells out zeros of IPv6 addresses.
            let host: std::net::IpAddr = end("target").parse().unwrap();
            let indicator = metadata("kaspector_indicator");
            writeln!(expected, "alert {host} {indicator} {} {line}", record["pcap_cnt"]).unwrap();
        }
        let totals = [("packets", report.outcomes.total()), ("bytes", report.bytes), ("flows", report.flows)];
        let outcomes = report.outcomes.non_zero().map(|(outcome, count)| (2, outcome.name(), count));
        let dropped = report.dropped.iter().map(|(name, count)| (3, *name, *count));
        for (kind, name, count) in
            totals.map(|(name, count)| (1, name, count)).into_iter().chain(outcomes).chain(dropped)
        {
            writeln!(expected, "counter {kind} {name} {count}").unwrap();
        }
    }
    let found = String::from_utf8(run(INSTALLED.command(&program).args(&captures)).stdout).unwrap();
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

#[test]
fn valgrind_finds_nothing() {
    if !has("valgrind") {
        return;
    }
    let program =
        INSTALLED.compile("tests/everything.c", "checked", &INSTALLED.flags(&["--cflags", "--libs", "kaspector"]));
    let mut valgrind = INSTALLED.command(Path::new("valgrind"));
    valgrind.args([
        "--quiet",
        "--error-exitcode=9",
        "--leak-check=full",
        "--show-leak-kinds=all",
        "--errors-for-leak-kinds=all",
    ]);
    let output = run(valgrind.arg(program).arg("pcaps/dns-then-tls.pcap"));
    assert!(String::from_utf8(output.stdout).unwrap().contains("host {\"address\":\"10.20.0.5\""));
}

#[test]
fn the_header_is_one_of_cpp_as_well() {
    let mut cpp = Command::new("c++");
    cpp.args(["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-include"]);
    run(cpp.arg(here().join("include/kaspector.h")).args(["-x", "c++", "/dev/null"]));
}

#[cfg(target_os = "linux")]
#[test]
fn the_shared_library_shows_its_own_symbols_alone_and_has_a_versioned_name() {
    if !has("readelf") {
        return;
    }
    let library = INSTALLED.lib().join(format!("libkaspector.so.{}", kaspector_c::KASPECTOR_ABI_VERSION));
    let text = |arguments: &[&str]| {
        String::from_utf8(run(Command::new("readelf").args(arguments).arg(&library)).stdout).unwrap()
    };
    let named = format!("Library soname: [libkaspector.so.{}]", kaspector_c::KASPECTOR_ABI_VERSION);
    assert!(text(&["-dW"]).contains(&named));
    let symbols = text(&["--dyn-syms", "-W"]);
    let defined: Vec<&str> = symbols
        .lines()
        .filter(|line| line.contains(" GLOBAL ") && !line.contains(" UND "))
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert!(defined.contains(&"kaspector_feed"), "{defined:?}");
    let foreign: Vec<&&str> = defined.iter().filter(|name| !name.starts_with("kaspector_")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}
