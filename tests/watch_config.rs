//! `kaspector watch --check-config`: what the program says of a configuration, from outside.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use assert_cmd::Command;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// Exit code, standard output and standard error.
fn check(arguments: &[&str]) -> (i32, String, String) {
    let output =
        Command::cargo_bin("kaspector").unwrap().args(["watch", "--check-config"]).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_it_prints_is_a_file_that_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("watch.toml");
    let eve = folder.path().join("eve.json");
    let written =
        format!("interface = 'eth1'\nstats-interval = '1m'\nworkers = 2\noutput = 'file:{}'\n", eve.display());
    fs::write(&file, written).unwrap();
    let path = file.to_str().unwrap();
    let (code, first, _) = check(&["-c", path, "-i", "lo", "--http", "127.0.0.1:9317", "--sensor", "span-01"]);
    assert_eq!(code, 0, "{first}");
    for line in [
        "interface = [\"lo\"]",
        "stats-interval = \"1m\"",
        "workers = 2",
        "http = \"127.0.0.1:9317\"",
        "sensor = \"span-01\"",
    ] {
        assert!(first.lines().any(|have| have == line), "{line}\n{first}");
    }
    fs::write(&file, &first).unwrap();
    assert_eq!(check(&["-c", path]), (0, first, String::new()));
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("watch.toml");
    let path = file.to_str().unwrap();
    for (text, said) in [
        ("interface = 'lo'\nsnaplen = 'x'\n", "watch.toml:2: \"x\": expected a whole number from 64"),
        ("interface = 'lo'\nspoool = '/x'\n", "watch.toml:2: unknown field `spoool`"),
        ("interface = 'lo'\nhttp = '0.0.0.0:9317'\n", "a token is needed"),
        ("interface = 'lo'\nstate = '/nonexistent/h.db'\n", "state /nonexistent/h.db: no file can be made"),
        ("interface = 'lo'\nsignatures = '/nonexistent'\n", "/nonexistent"),
        ("workers = 1\n", "no interface"),
    ] {
        fs::write(&file, text).unwrap();
        let (code, out, err) = check(&["-c", path]);
        assert!(code == 2 && out.is_empty() && err.contains(said), "{code}: {err}");
    }
    let (code, _, err) = check(&["-c", "/nonexistent/watch.toml"]);
    assert!(code == 2 && err.contains("/nonexistent/watch.toml: cannot be read"), "{err}");
    let (code, _, err) = check(&["-i", "lo", "--stats-interval", "soon"]);
    assert!(code == 2 && err.contains("expected a time from 1s to 1d"), "{err}");
}

#[test]
fn an_interface_that_is_not_there_is_only_worth_a_warning() {
    let (code, out, err) = check(&["-i", "nosuch0"]);
    assert_eq!(code, 0);
    assert!(out.contains("nosuch0") && err.contains("interface nosuch0: not there now"), "{err}");
}

#[test]
fn secrets_stay_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "hunter2hunter2hunter2\n").unwrap();
    let (code, out, err) =
        check(&["-i", "lo", "--http", "127.0.0.1:9317", "--http-token-file", token.to_str().unwrap()]);
    assert!(
        code == 0 && out.contains("http-token-file") && !out.contains("hunter2") && !err.contains("hunter2"),
        "{out}{err}"
    );
}

/// The next line of the log that says `what`, as JSON.
fn heard(log: &mut impl BufRead, what: &str) -> serde_json::Value {
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "the log ended before {what}");
        let record: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if record["message"].as_str().unwrap().contains(what) {
            return record;
        }
    }
}

#[test]
fn a_running_sensor_takes_up_what_it_can_and_names_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("watch.toml");
    let eve = folder.path().join("eve.json");
    let basis =
        format!("interface = 'lo'\nlog-format = 'json'\noutput = 'file:{}'\nstats-interval = '1s'\n", eve.display());
    fs::write(&file, &basis).unwrap();
    let mut sensor = std::process::Command::new(env!("CARGO_BIN_EXE_kaspector"))
        .args(["watch", "-c", file.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(sensor.stderr.take().unwrap());
    if log.fill_buf().unwrap().starts_with(b"error: ") {
        assert!(std::env::var_os("CI").is_none(), "this test must run here: CAP_NET_RAW is needed");
        eprintln!("skipped: needs CAP_NET_RAW");
        sensor.wait().unwrap();
        return;
    }
    let id = sensor.id().to_string();
    let signal = |name| assert!(std::process::Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    assert_eq!(heard(&mut log, "Watching lo")["level"], "INFO");

    fs::write(&file, format!("{basis}sensor = 'another'\nlog-level = 'debug'\n")).unwrap();
    signal("HUP");
    let said = heard(&mut log, "sensor changed in the configuration; the new value counts after a restart");
    assert_eq!(said["level"], "WARN");
    heard(&mut log, "reloaded: signature set");
    assert_eq!(heard(&mut log, "packets since the last look")["level"], "DEBUG");

    fs::write(&file, format!("{basis}stats-intervall = '1s'\n")).unwrap();
    signal("HUP");
    let said = heard(&mut log, "not reloaded, everything stays as it was");
    assert!(said["message"].as_str().unwrap().contains("watch.toml:5: unknown field `stats-intervall`"), "{said}");
    heard(&mut log, "packets since the last look");

    signal("USR1");
    let said = heard(&mut log, "dropped by the kernel: 0");
    assert!(said["message"].as_str().unwrap().starts_with("lo: ") && said["level"] == "INFO", "{said}");
    heard(&mut log, "packets since the last look");

    signal("TERM");
    heard(&mut log, "lo: ");
    assert!(sensor.wait().unwrap().success());
}

#[test]
fn the_documentation_has_every_key_with_its_default() {
    let docs =
        fs::read_to_string(concat!(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."), "/docs/operations.md")).unwrap();
    let help = Command::cargo_bin("kaspector").unwrap().args(["watch", "--help"]).output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let row_of = |key: &str| {
        let row = docs.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
        row.unwrap_or_else(|| panic!("{key} is not in docs/operations.md"))
    };
    let effective = check(&["-i", "lo"]).1;
    let defaults = effective.lines().filter_map(|line| line.split_once(" = "));
    for (key, default) in defaults.filter(|(key, _)| !["interface", "sensor"].contains(key)) {
        let default = default.trim_matches(['"', '[', ']']);
        assert!(row_of(key).contains(&format!("| `{default}` |")), "{key} = {default}: {}", row_of(key));
    }
    let not_keys = ["config", "check-config", "no-promiscuous", "quiet", "help"];
    let flags = help.lines().filter_map(|line| line.trim_start().trim_start_matches(|c| c != '-').split("--").nth(1));
    let flags = flags.filter_map(|rest| rest.split([' ', ',']).next()).filter(|flag| !not_keys.contains(flag));
    let flags: Vec<&str> = flags.filter(|flag| help.contains(&format!("--{flag} <"))).collect();
    assert!(flags.len() > 20, "{flags:?}");
    flags.into_iter().for_each(|flag| _ = row_of(flag));
}

/// Whoever asks for a reload while the sensor still starts must not end it.
#[test]
fn a_hang_up_while_the_configuration_is_read_ends_nothing() {
    const SIGHUP: u64 = 1;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("watch.toml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_kaspector"))
        .args(["watch", "--check-config", "-c"])
        .arg(&pipe)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // It waits for somebody to write its configuration, and has nothing else to do but to listen.
    let listens = || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        u64::from_str_radix(caught, 16).unwrap() >> (SIGHUP - 1) & 1 == 1
    };
    let begun = std::time::Instant::now();
    while !listens() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it does not listen");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let sent = std::process::Command::new("kill").args(["-s", "HUP", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    fs::write(&pipe, "interface = 'lo'\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("own")).unwrap();
    let own = "[[indicator]]\nid = \"X\"\nmatch = \"suffixx\"\n[[indicator]]\ncategory = \"updates\"\n";
    fs::write(at("own/one.toml"), own).unwrap();
    fs::write(at("own/two.toml"), "versio = \"1\"\n").unwrap();
    fs::write(at("notes.txt"), "noon\n").unwrap();
    let file = at("watch.toml");
    let text = format!(
        "interface = ['lo', 'a b']\nspoool = 1\nworkers = 3\nhttp = '0.0.0.0:9317'\nsignatures-extra = '{}'\n\
        output = ['file:{}', 'gopher:x']\nstate = '/nonexistent/h.db'\n",
        at("own"),
        at("notes.txt")
    );
    fs::write(&file, &text).unwrap();
    let (code, out, err) = check(&["-c", &file]);
    assert!(code == 2 && out.is_empty(), "{code} {out}");
    for part in [
        "watch.toml:1: \"a b\"",
        "watch.toml:2: unknown field `spoool`",
        "watch.toml:6: output gopher",
        "workers 3",
        "a token is needed",
        "state /nonexistent/h.db",
        "one.toml:3: unknown kind of match \"suffixx\"",
        "one.toml:5: unknown category \"updates\"",
        "two.toml:1: unknown key \"versio\"",
    ] {
        assert!(err.contains(part), "{part}:\n{err}");
    }
    // Once the values are right, what they lead to shows as well.
    fs::write(&file, text.replace(", 'gopher:x'", "")).unwrap();
    let (_, _, err) = check(&["-c", &file]);
    assert!(err.contains("notes.txt: holds something else than EVE, ECS or OCSF lines"), "{err}");
}

#[test]
fn alerts_are_not_added_to_what_is_none_of_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("notes.txt"), "noon\n").unwrap();
    fs::write(at("watch.toml"), "interface = 'lo'\n").unwrap();
    fs::hard_link(at("watch.toml"), at("hard")).unwrap();
    let capture = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps/dns-then-tls.pcap");
    fs::copy(capture, at("a.pcap")).unwrap();
    for (name, said) in [
        ("notes.txt", "holds something else than EVE, ECS or OCSF lines"),
        ("hard", "this is the configuration"),
        ("a.pcap", "this is a capture"),
        ("no/such.json", "install -d"),
    ] {
        let before = fs::read(at(name)).ok();
        let output = Command::cargo_bin("kaspector")
            .unwrap()
            .args(["watch", "-c", &at("watch.toml"), "-o", &format!("file:{}", at(name))])
            .timeout(std::time::Duration::from_secs(20))
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && err.contains(said), "{name}: {err}");
        assert_eq!(fs::read(at(name)).ok(), before);
    }
}

#[test]
fn what_stands_beside_the_inventory_is_not_given_to_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let capture = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps/dns-then-tls.pcap");
    for (name, content) in [("x-wal", fs::read(&capture).unwrap()), ("x-shm", b"notes\n".repeat(9))] {
        fs::write(at(name), &content).unwrap();
        let arguments = ["-i", "lo", "--state", &at("x")];
        let (code, _, err) = check(&arguments);
        assert!(code == 2 && err.contains(name) && err.contains("--state"), "{code}: {err}");
        let started = Command::cargo_bin("kaspector")
            .unwrap()
            .arg("watch")
            .args(arguments)
            .timeout(std::time::Duration::from_secs(20))
            .output()
            .unwrap();
        assert_eq!((started.status.code(), String::from_utf8(started.stderr).unwrap()), (Some(2), err));
        assert_eq!(fs::read(at(name)).unwrap(), content);
        assert!(!fs::exists(at("x")).unwrap(), "nothing was made");
        fs::remove_file(at(name)).unwrap();
    }
}
