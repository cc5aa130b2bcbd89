//! The inventory from outside: `scan --state`, and `hosts`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kaspector");

fn kaspector(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn state() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts.state").to_str().unwrap().to_owned();
    (folder, path)
}

fn merge(paths: &[&str], state: &str) -> Output {
    let output = kaspector(&[&["scan", "--state", state, "--format", "json"], paths].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    output
}

fn hosts(state: &str, options: &[&str]) -> Vec<Value> {
    let output = kaspector(&[&["hosts", "--state", state, "--format", "json"], options].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["schema"], "kaspector.hosts/1");
    answer["hosts"].as_array().unwrap().clone()
}

fn of_scan(output: &Output) -> Vec<Value> {
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["hosts"].as_array().unwrap().clone()
}

fn captures() -> Vec<String> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| format!("pcaps/{}", entry.unwrap().file_name().to_str().unwrap()))
        .filter(|name| name.ends_with(".pcap"))
        .collect();
    names.sort();
    names
}

#[test]
fn hosts_of_each_capture_are_those_of_its_scan() {
    let mut with_tenants = 0;
    let (folder, _) = state();
    for (number, capture) in captures().iter().enumerate().filter(|(number, _)| number % 5 == 0 || *number < 8) {
        let path = folder.path().join(number.to_string());
        let scanned = of_scan(&merge(&[capture], path.to_str().unwrap()));
        assert_eq!(hosts(path.to_str().unwrap(), &[]), scanned, "{capture}");
        with_tenants += scanned.iter().filter(|host| host["vlan"].is_u64() || host["vni"].is_u64()).count();
    }
    let tagged = ["pcaps/derived/vlan.pcap", "pcaps/derived/qinq-old.pcap", "pcaps/derived/vxlan.pcap"];
    for capture in tagged {
        let path = folder.path().join(capture.replace('/', "-"));
        let scanned = of_scan(&merge(&[capture], path.to_str().unwrap()));
        assert_eq!(hosts(path.to_str().unwrap(), &[]), scanned, "{capture}");
        with_tenants += scanned.iter().filter(|host| host["vlan"].is_u64() || host["vni"].is_u64()).count();
    }
    assert!(with_tenants >= 3, "no host in a VLAN or a tunnel was compared");
}

#[test]
fn neither_order_nor_repetition_shows() {
    let (_first, one) = state();
    let (_second, other) = state();
    let captures = captures();
    let forward: Vec<&str> = captures.iter().map(String::as_str).collect();
    let backward: Vec<&str> = forward.iter().rev().copied().collect();
    let plain = kaspector(&[&["scan", "--format", "json"], &forward[..]].concat());
    let scanned = merge(&forward, &one);
    assert_eq!(plain.stdout, scanned.stdout, "what stands on standard output does not depend on --state");
    for part in backward.chunks(20) {
        merge(part, &other);
    }
    let listed = hosts(&one, &[]);
    assert!(listed.len() > 3);
    assert_eq!(listed, hosts(&other, &[]));
    let again = merge(&forward[..1], &one);
    assert!(text(&again.stderr).contains("already in"), "{}", text(&again.stderr));
    // A copy under another name is the same capture.
    let copy = Path::new(&one).with_file_name("copy.pcap");
    fs::copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(forward[0]), &copy).unwrap();
    assert!(text(&merge(&[copy.to_str().unwrap()], &one).stderr).contains("already in"));
    assert_eq!(hosts(&one, &[]), listed);
}

#[test]
fn filters_choose_hosts() {
    let (_folder, state) = state();
    merge(&["pcaps"], &state);
    let all = hosts(&state, &[]);
    let count = |options: &[&str]| hosts(&state, options).len();
    let confirmed = all.iter().filter(|host| host["verdict"] == "confirmed").count();
    assert!(confirmed > 0 && confirmed < all.len(), "{all:?}");
    assert_eq!(count(&["--verdict", "confirmed"]), confirmed);
    assert_eq!(count(&["--verdict", "browsing"]), all.len());
    let address = all[0]["address"].as_str().unwrap();
    assert!(count(&["--address", address]) >= 1);
    assert_eq!(count(&["--address", "0.0.0.0/0", "--address", "::/0"]), all.len());
    assert_eq!(count(&["--address", "203.0.113.0/24"]), 0);
    let with = |list: &str, names: &[&str]| {
        let has = |host: &&Value| names.iter().any(|name| host[list].as_array().unwrap().contains(&(*name).into()));
        all.iter().filter(has).count()
    };
    assert_eq!(
        count(&["--category", "web-browse", "--category", "update"]),
        with("categories", &["web-browse", "update"])
    );
    assert_eq!(count(&["--category", "web-browse"]), with("categories", &["web-browse"]));
    assert!(with("categories", &["web-browse"]) > 0 && with("categories", &["web-browse"]) < all.len());
    assert_eq!(
        count(&["--product", "center network agent"]),
        with("products", &["Kaspersky Security Center Network Agent"])
    );
    let servers = all.iter().filter(|host| host["role"] == "server").count();
    assert_eq!(count(&["--role", "server"]), servers);
    let of_vlan = all.iter().filter(|host| host["vlan"] == 100).count();
    assert!(of_vlan > 0 && count(&["--vlan", "100"]) == of_vlan);
    assert_eq!((count(&["--since", "2000-01-01"]), count(&["--since", "2500-01-01"])), (all.len(), 0));
    assert_eq!(count(&["--vlan", "4095"]), 0);
    assert_eq!(count(&["--product", "no such product"]), 0);
    let nothing = kaspector(&["hosts", "--state", &state, "--vlan", "4095"]);
    assert_eq!(nothing.status.code(), Some(0));
    assert!(text(&nothing.stdout).starts_with("No host is what was asked for; "), "{}", text(&nothing.stdout));
    let (first, last) = ("2000-01-01", "2500-01-01");
    assert_eq!((count(&["--not-since", first]), count(&["--not-since", last])), (0, all.len()));
    assert_eq!(count(&["--until", last, "--since", first]), all.len());
    let day = all[0]["first_seen"].as_str().unwrap().split('T').next().unwrap();
    let known = all.iter().filter(|host| host["first_seen"].as_str().unwrap()[..10] <= *day).count();
    assert!(known > 0 && count(&["--until", day]) == known, "of a date, the day counts");
    let silent = all.iter().filter(|host| host["last_seen"].as_str().unwrap()[..10] < *day).count();
    assert_eq!(count(&["--not-since", day]), silent);
    for impossible in [["--since", last, "--not-since", first], ["--since", last, "--until", first]] {
        let output = kaspector(&[&["hosts", "--state", &state], &impossible[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{impossible:?}");
    }
    for wrong in [
        ["--since", "soon"],
        ["--not-since", "14"],
        ["--until", "x"],
        ["--category", "x"],
        ["--address", "10.0.0.0/40"],
        ["--role", "x"],
    ] {
        assert_eq!(
            kaspector(&[&["hosts", "--state", &state], &wrong[..]].concat()).status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_wrong_file_is_refused_and_left_alone() {
    let (folder, state) = state();
    let missing = kaspector(&["hosts", "--state", &state]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("scan --state"), "{}", text(&missing.stderr));
    assert!(!Path::new(&state).exists());
    fs::write(&state, "").unwrap();
    let empty = kaspector(&["hosts", "--state", &state]);
    assert_eq!(empty.status.code(), Some(2));
    assert!(text(&empty.stderr).contains("nothing is in it yet"), "{}", text(&empty.stderr));
    let other = folder.path().join("notes.txt");
    fs::write(&other, "these are my notes\n".repeat(500)).unwrap();
    let newer = folder.path().join("newer.state");
    merge(&["pcaps/dns-then-tls.pcap"], newer.to_str().unwrap());
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE bookmarks (name)").unwrap();
    for file in [&other, &newer, &foreign] {
        let before = fs::read(file).unwrap();
        let file = file.to_str().unwrap();
        for command in [&["hosts", "--state", file][..], &["scan", "--state", file, "pcaps/dns-then-tls.pcap"][..]] {
            let output = kaspector(command);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {}", text(&output.stderr));
            assert!(text(&output.stderr).contains(file), "{}", text(&output.stderr));
        }
        assert_eq!(fs::read(file).unwrap(), before, "{file}");
    }
}

#[test]
fn a_half_file_is_called_damaged() {
    let (_folder, state) = state();
    merge(&captures().iter().take(40).map(String::as_str).collect::<Vec<_>>(), &state);
    let whole = fs::read(&state).unwrap();
    fs::write(&state, &whole[..whole.len() / 2 / 4096 * 4096]).unwrap();
    let output = kaspector(&["hosts", "--state", &state]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("damaged"), "{}", text(&output.stderr));
}

#[test]
fn a_kill_at_any_moment_leaves_a_readable_file() {
    let (_folder, state) = state();
    merge(&["pcaps/dns-then-tls.pcap"], &state);
    let before = hosts(&state, &[]).len();
    let started = Instant::now();
    for wait in 0..12_u64 {
        let mut scan = Command::new(PROGRAM)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .args(["scan", "pcaps", "--quiet", "--state", &state])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait * 40));
        // SIGKILL.
        scan.kill().unwrap();
        scan.wait().unwrap();
        assert!(hosts(&state, &[]).len() >= before);
        assert!(started.elapsed() < Duration::from_secs(120));
    }
    let scanned = of_scan(&merge(&["pcaps"], &state));
    let addresses = |hosts: &[Value]| hosts.iter().map(|host| host["address"].to_string()).collect::<Vec<_>>();
    let (mut scanned, mut listed) = (addresses(&scanned), addresses(&hosts(&state, &[])));
    scanned.sort();
    listed.sort();
    assert_eq!(scanned, listed);
}

#[test]
fn two_write_while_one_reads() {
    let (_folder, state) = state();
    merge(&["pcaps/dns-then-tls.pcap"], &state);
    let captures = captures();
    let (one, other) = captures.split_at(captures.len() / 2);
    std::thread::scope(|scope| {
        let write = |paths: &[String]| {
            for part in paths.chunks(10) {
                merge(&part.iter().map(String::as_str).collect::<Vec<_>>(), &state);
            }
        };
        let writers = [scope.spawn(move || write(one)), scope.spawn(move || write(other))];
        while !writers.iter().all(|writer| writer.is_finished()) {
            assert!(!hosts(&state, &[]).is_empty());
        }
    });
    let (_second, alone) = self::state();
    merge(&captures.iter().map(String::as_str).collect::<Vec<_>>(), &alone);
    assert_eq!(hosts(&state, &[]), hosts(&alone, &[]));
}

/// Also when two programs make it at the same moment.
#[test]
fn a_new_file_may_have_two_makers() {
    for _ in 0..5 {
        let (_folder, state) = state();
        std::thread::scope(|scope| {
            scope.spawn(|| merge(&["pcaps/dns-then-tls.pcap"], &state));
            scope.spawn(|| merge(&["pcaps/browsing-www.pcap"], &state));
        });
        let (_second, alone) = self::state();
        merge(&["pcaps/dns-then-tls.pcap", "pcaps/browsing-www.pcap"], &alone);
        assert_eq!(hosts(&state, &[]), hosts(&alone, &[]));
    }
}

#[test]
fn who_may_only_read_reads() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "this test needs root");
        eprintln!("skipped: becoming another user needs root");
        return;
    }
    let (folder, state) = state();
    merge(&["pcaps/dns-then-tls.pcap"], &state);
    let program: PathBuf = folder.path().join("kaspector");
    fs::copy(PROGRAM, &program).unwrap();
    for (path, mode) in [(folder.path(), 0o755), (Path::new(&state), 0o644), (&program, 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let capture = folder.path().join("a.pcap");
    fs::copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps/browsing-www.pcap"), &capture)
        .unwrap();
    let as_nobody = |arguments: &[&str]| {
        Command::new(&program).uid(65534).gid(65534).current_dir("/").args(arguments).output().unwrap()
    };
    let listed = as_nobody(&["hosts", "--state", &state]);
    assert_eq!(listed.status.code(), Some(0), "{}", text(&listed.stderr));
    assert!(text(&listed.stdout).contains("confirmed"));
    let capture = capture.to_str().unwrap();
    let refused = as_nobody(&["scan", capture, "--state", &state]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    let elsewhere = folder.path().join("new.state");
    let refused = as_nobody(&["scan", capture, "--state", elsewhere.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert!(!elsewhere.exists());
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let (_folder, state) = state();
    merge(&["pcaps"], &state);
    let mut listing = Command::new(PROGRAM)
        .args(["hosts", "--format", "json", "--state", &state])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(listing.stdout.take());
    let output = listing.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn a_hostile_name_stays_a_name() {
    let (_folder, state) = state();
    merge(&["pcaps/dns-then-tls.pcap"], &state);
    let hand = rusqlite::Connection::open(&state).unwrap();
    hand.execute("UPDATE evidence SET observed = ?1", ["=1+1\u{1b}[2J\u{202e}' OR 1; --"]).unwrap();
    hand.execute("UPDATE input SET name = ?1", ["\u{1b}]0;x\u{7}.pcap"]).unwrap();
    drop(hand);
    for format in ["table", "csv", "json"] {
        let output = kaspector(&["hosts", "--state", &state, "--format", format]);
        assert_eq!(output.status.code(), Some(0));
        let shown = text(&output.stdout);
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{format}: {shown}");
        assert!(shown.contains("OR 1; --"), "{format}: {shown}");
    }
}

/// A capture of queries for update servers: second, link-layer address of the sender, its IPv4 address.
fn queries(path: &Path, queries: &[(u32, [u8; 6], [u8; 4])]) {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for &(second, mac, address) in queries {
        let mut dns = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in ["s07", "upd", "kaspersky", "com"] {
            dns.push(u8::try_from(label.len()).unwrap());
            dns.extend(label.bytes());
        }
        dns.extend([0, 0, 1, 0, 1]);
        let length = |more: usize| u16::try_from(dns.len() + more).unwrap().to_be_bytes();
        let mut frame = vec![2, 0, 0, 0, 0, 1];
        frame.extend(mac);
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(length(28));
        frame.extend([0, 1, 0, 0, 64, 17, 0, 0]);
        frame.extend(address);
        frame.extend([10, 0, 0, 53]);
        frame.extend(u16::try_from(40_000 + second % 20_000).unwrap().to_be_bytes());
        frame.extend([0, 53]);
        frame.extend(length(8));
        frame.extend([0, 0]);
        frame.extend(&dns);
        let size = u32::try_from(frame.len()).unwrap();
        for word in [1_790_000_000 + second, 0, size, size] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    fs::write(path, bytes).unwrap();
}

/// A router with two hosts behind it; an address that was leased to two machines, a day apart; a machine with two leases, hours apart.
#[test]
fn a_router_is_no_host_and_a_lease_changes_hands() {
    const ROUTER: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
    const FORMER: [u8; 6] = [2, 0xbb, 0, 0, 0, 1];
    const LATTER: [u8; 6] = [2, 0xcc, 0, 0, 0, 2];
    const MOVED: [u8; 6] = [2, 0xdd, 0, 0, 0, 3];
    let all = [
        (0, ROUTER, [10, 8, 0, 5]),
        (1, ROUTER, [10, 8, 0, 6]),
        (2, FORMER, [10, 9, 0, 5]),
        (900, FORMER, [10, 9, 0, 5]),
        (1000, MOVED, [10, 9, 0, 7]),
        (9000, MOVED, [10, 9, 0, 8]),
        (20_000, MOVED, [10, 9, 0, 7]),
        (86_402, LATTER, [10, 9, 0, 5]),
    ];
    let (folder, path) = state();
    let whole = folder.path().join("whole.pcap");
    queries(&whole, &all);
    let whole = whole.to_str().unwrap();
    let expected = [
        ("10.8.0.5", Value::Null, "02:aa:00:00:00:01".into()),
        ("10.8.0.6", Value::Null, "02:aa:00:00:00:01".into()),
        ("10.9.0.5", "02:cc:00:00:00:02".into(), Value::Null),
        ("10.9.0.7", "02:dd:00:00:00:03".into(), Value::Null),
        ("10.9.0.8", "02:dd:00:00:00:03".into(), Value::Null),
    ];
    let told = |hosts: &[Value]| -> Vec<(String, Value, Value)> {
        let of = |host: &Value| {
            (host["address"].as_str().unwrap().to_owned(), host["mac"].clone(), host["next_hop_mac"].clone())
        };
        hosts.iter().map(of).collect()
    };
    let expected: Vec<_> = expected.into_iter().map(|(address, mac, hop)| (address.to_owned(), mac, hop)).collect();
    let scanned = of_scan(&merge(&[whole], &path));
    assert_eq!(told(&scanned), expected);
    assert_eq!(hosts(&path, &[]), scanned);
    let lease = &scanned[2];
    let macs: Vec<&Value> = lease["macs"].as_array().unwrap().iter().map(|one| &one["mac"]).collect();
    assert_eq!(macs, ["02:bb:00:00:00:01", "02:cc:00:00:00:02"]);
    assert_eq!(lease["macs"][0]["last_seen"], "2026-09-21T14:28:20.000000Z");
    assert!(lease["notes"][0].as_str().unwrap().starts_with("the address changed hands: 02:bb:00:00:00:01 until "));
    assert_eq!(scanned[0]["macs"][0]["next_hop"], true);
    // Asked for alone, a host is what it is among all.
    for host in &scanned {
        assert_eq!(hosts(&path, &["--address", host["address"].as_str().unwrap()]), std::slice::from_ref(host));
    }
    // Cut anywhere into two captures, merged in either order.
    for cut in 1..all.len() {
        let parts = [format!("{cut}-a.pcap"), format!("{cut}-b.pcap")].map(|name| folder.path().join(name));
        queries(&parts[0], &all[..cut]);
        queries(&parts[1], &all[cut..]);
        let [one, other] = parts.map(|part| part.to_str().unwrap().to_owned());
        let state = folder.path().join(cut.to_string()).to_str().unwrap().to_owned();
        assert_eq!(told(&of_scan(&kaspector(&["scan", "--format", "json", &one, &other]))), expected, "{cut}");
        merge(&[&other], &state);
        merge(&[&one], &state);
        assert_eq!(told(&hosts(&state, &[])), expected, "{cut}");
    }
    let table = text(&kaspector(&["scan", whole]).stdout);
    assert!(table.contains("the address changed hands: "), "{table}");
    assert!(
        table.contains("Behind a router, whose link-layer address stands for theirs: 02:aa:00:00:00:01\n(2 hosts).\n"),
        "{table}"
    );
    let rows = text(&kaspector(&["scan", "--format", "csv", whole]).stdout);
    let row = rows.lines().find(|row| row.starts_with("10.8.0.6,")).unwrap();
    assert!(
        row.contains(
            ",02:aa:00:00:00:01,02:aa:00:00:00:01 2026-09-21T14:13:21.000000Z 2026-09-21T14:13:21.000000Z next hop"
        ),
        "{row}"
    );
}

/// Two inventories: one of a capture, and a copy of it to which a later capture was added.
#[test]
fn a_comparison_says_who_came_and_who_is_silent() {
    let (folder, old) = state();
    let capture = |name: &str, all: &[(u32, [u8; 6], [u8; 4])]| {
        let path = folder.path().join(name);
        queries(&path, all);
        path.to_str().unwrap().to_owned()
    };
    let mac = |last: u8| [2, 0xbb, 0, 0, 0, last];
    let (stays, goes, comes) = ([10, 9, 0, 1], [10, 9, 0, 2], [10, 9, 0, 3]);
    merge(&[&capture("a.pcap", &[(0, mac(1), stays), (9, mac(2), goes)])], &old);
    let new = folder.path().join("new.state").to_str().unwrap().to_owned();
    fs::copy(&old, &new).unwrap();
    merge(&[&capture("b.pcap", &[(86_400, mac(9), stays), (86_500, mac(3), comes)])], &new);
    let diff = |options: &[&str]| kaspector(&[&["hosts", "diff", &old, &new], options].concat());
    let answer: Value = serde_json::from_slice(&diff(&["--format", "json"]).stdout).unwrap();
    let told: Vec<(&str, &str)> = answer["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| (host["change"].as_str().unwrap(), host["address"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("appeared", "10.9.0.3"), ("silent", "10.9.0.2"), ("changed", "10.9.0.1")]);
    assert_eq!(answer["hosts"][2]["differs"], serde_json::json!(["mac"]));
    assert_eq!(answer["new_has_later_evidence"], true);
    // Of a host, all that the listings have.
    assert_eq!(answer["hosts"][0]["new"], hosts(&new, &["--address", "10.9.0.3"])[0]);
    assert_eq!(answer["hosts"][1]["old"], hosts(&old, &["--address", "10.9.0.2"])[0]);
    for (change, code) in [("appeared", 3), ("risen", 0)] {
        assert_eq!(diff(&["--fail-on", change]).status.code(), Some(code), "{change}");
    }
    let table = text(&diff(&[]).stdout);
    assert!(table.contains("1 appeared, 1 silent, 0 risen, 1 changed; 0 unchanged.\n"), "{table}");
    let file = folder.path().join("changes.csv");
    for _ in 0..2 {
        let written = diff(&["--format", "csv", "-o", file.to_str().unwrap()]);
        assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    }
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 4);
    assert_eq!(diff(&["--format", "csv"]).stdout, fs::read(&file).unwrap());
    // What must not be written over, and what cannot be compared.
    let before = fs::read(&old).unwrap();
    assert_eq!(diff(&["-o", &old, "--force"]).status.code(), Some(2));
    let swapped = kaspector(&["hosts", "diff", &new, &old]);
    assert_eq!(swapped.status.code(), Some(2));
    assert!(text(&swapped.stderr).contains("name the earlier inventory first"), "{}", text(&swapped.stderr));
    let missing = folder.path().join("missing.state");
    assert_eq!(kaspector(&["hosts", "diff", &old, missing.to_str().unwrap()]).status.code(), Some(2));
    assert_eq!(fs::read(&old).unwrap(), before);
    rusqlite::Connection::open(&new).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let newer = diff(&[]);
    assert_eq!(newer.status.code(), Some(2));
    assert!(text(&newer.stderr).contains("use the newer program"), "{}", text(&newer.stderr));
    assert_eq!(kaspector(&["hosts"]).status.code(), Some(2), "no inventory is named");
}
