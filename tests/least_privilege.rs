//! What is left to a sensor that gave up its privileges and entered its sandbox, tried out by a program that did both.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod example;

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The example program.
fn confined() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| example::built("confined"))
}

fn run(words: &str) -> Output {
    Command::new(confined()).args(words.split_whitespace()).output().unwrap()
}

/// Carries out the steps, and says what came of each, in order.
fn answers(words: &str) -> Vec<(String, String)> {
    let output = run(words);
    assert!(output.status.success(), "{words}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split_once(": ").map(|(step, answer)| (step.trim().to_owned(), answer.to_owned())).unwrap())
        .collect()
}

#[track_caller]
fn all_work(words: &str) {
    for (step, answer) in answers(words) {
        assert!(answer.starts_with("ok"), "{step}: {answer}");
    }
}

/// All steps but the first `entering` are refused.
#[track_caller]
fn nothing_works(words: &str, entering: usize) {
    let answers = answers(words);
    assert!(answers.len() > entering, "{words}");
    for (index, (step, answer)) in answers.iter().enumerate() {
        assert_eq!(answer.starts_with("ok"), index < entering, "{step}: {answer}");
    }
}

/// Says why a test is left out; in continuous integration, nothing may be left out.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}; continuous integration has to have it");
    eprintln!("skipped: {why}");
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip("needs root, to give it up");
    }
    is_root
}

fn has_sandbox() -> bool {
    let answer = &answers("sandbox on")[0].1;
    if !answer.starts_with("ok") {
        skip(answer);
    }
    answer.starts_with("ok")
}

/// A folder that anybody may use, as the folders of a service would be made for its user.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

#[test]
fn root_becomes_nobody_for_good() {
    if !is_root() {
        return;
    }
    let answers = answers(
        "drop nobody status Uid status Groups status CapEff status CapPrm status CapBnd status CapAmb status NoNewPrivs root packet",
    );
    let value = |step: &str| answers.iter().find(|(name, _)| name == step).unwrap().1.clone();
    assert_eq!(value("status Uid"), "ok 65534\t65534\t65534\t65534");
    assert_eq!(value("status Groups"), "ok ");
    for set in ["CapEff", "CapPrm", "CapBnd", "CapAmb"] {
        assert_eq!(value(&format!("status {set}")), "ok 0000000000000000", "{set}");
    }
    assert_eq!(value("status NoNewPrivs"), "ok 1");
    assert!(value("root").contains("EPERM"), "{answers:?}");
    assert!(value("packet").contains("os error 1"), "{answers:?}");
}

#[test]
fn a_ring_can_be_opened_anew_where_that_was_asked_for() {
    if !is_root() {
        return;
    }
    let answers = answers("--keep-net-raw drop 65532:65533 status Gid status CapPrm status CapBnd packet root");
    assert_eq!(answers[0].1, "ok became user 65532:65533 (uid 65532, gid 65533), left: CAP_NET_RAW");
    assert_eq!(answers[1].1, "ok 65533\t65533\t65533\t65533");
    assert_eq!(answers[2].1, "ok 0000000000002000");
    assert_eq!(answers[3].1, "ok 0000000000000000");
    assert_eq!(answers[4].1, "ok ");
    assert!(answers[5].1.contains("EPERM"));
}

/// As a service manager starts it: a user of its own, one capability, no other within bounds.
#[test]
fn a_service_keeps_its_user_and_its_one_capability() {
    if !is_root() {
        return;
    }
    let only = "-all,+net_raw";
    let output = Command::new("setpriv")
        .args(["--reuid", "65532", "--regid", "65532", "--clear-groups"])
        .args([format!("--inh-caps={only}"), format!("--ambient-caps={only}"), format!("--bounding-set={only}")])
        .arg(confined())
        .args("--keep-net-raw drop - status CapAmb status CapInh sandbox auto packet root".split_whitespace())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "drop -: ok runs as user 65532 (uid 65532, gid 65532), left: CAP_NET_RAW");
    assert_eq!(lines[1], "status CapAmb: ok 0000000000000000");
    assert_eq!(lines[2], "status CapInh: ok 0000000000000000");
    assert!(lines[3].starts_with("sandbox auto: ok"), "{said}");
    assert_eq!(lines[4].trim_end(), "packet : ok");
    assert!(lines[5].contains("EPERM"), "{said}");
}

#[test]
fn threads_that_were_there_before_are_noticed() {
    if !is_root() {
        return;
    }
    let answers = answers("idle-threads drop nobody status Uid root");
    assert!(answers[1].1.contains("privileges must go before other threads start"), "{answers:?}");
    // The C library took the user from all of them all the same.
    assert_eq!(answers[2].1, "ok 65534\t65534\t65534\t65534");
    assert!(answers[3].1.contains("EPERM"));
}

#[test]
fn what_cannot_work_is_said_with_its_remedy() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let state = folder.path().join("state.db");
    let said = |words: String| answers(&words)[0].1.clone();
    let refusal = said(format!("--write {} drop 65532", state.display()));
    assert!(refusal.contains("install -d -o 65532 -g 65532"), "{refusal}");
    std::fs::write(&state, "").unwrap();
    let refusal = said(format!("--write {} drop 65532", state.display()));
    assert!(refusal.ends_with(&format!("chown 65532:65532 '{}'", state.display())), "{refusal}");
    // The remedy works.
    chown(&state, Some(65532), Some(65532)).unwrap();
    assert!(said(format!("--write {} drop 65532", state.display())).starts_with("ok"));
    assert!(said("drop root".into()).contains("is root"));
    assert!(said("drop 1000:0".into()).contains("is root"));
    assert!(said("drop no-such-user".into()).contains("useradd --system"));
}

#[test]
fn the_sensors_work_goes_on_in_the_sandbox() {
    if !has_sandbox() {
        return;
    }
    let folder = folder();
    let at = folder.path().display();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let collector = listener.local_addr().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let socket = folder.path().join("eve.sock");
    let _local = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    all_work(&format!(
        "--write {at} --listen {0} --connect {0} --connect {1} sandbox on append {at}/eve.json rotate {at}/eve.json \
         sqlite {at}/state.db accept 127.0.0.1:{0} connect {collector} datagram {collector} unix {at}/eve.sock resolve localhost thread \
         runtime localhost clock list /sys/class/net read /sys/class/net/lo/statistics/rx_bytes read /proc/self/status",
        free.port(),
        collector.port(),
    ));
    // Any port, where none was named.
    all_work(&format!("sandbox on connect {collector}"));
}

#[test]
fn nothing_else_goes_on_in_the_sandbox() {
    if !has_sandbox() {
        return;
    }
    let (inside, other) = (folder(), folder());
    let (at, outside) = (inside.path().display(), other.path().display());
    std::fs::write(inside.path().join("signature.toml"), "x").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let collector = listener.local_addr().unwrap();
    let parent = std::process::id();
    nothing_works(
        &format!(
            "--read {at} --connect 9 sandbox on read {at}/signature.toml read /etc/passwd read /proc/{parent}/status list / \
             append {outside}/new append {at}/new append {at}/signature.toml accept 127.0.0.1:0 connect {collector} fork code \
             family 31 family 38 family 40 signal {parent} signal 1"
        ),
        2,
    );
}

#[test]
fn running_a_program_is_the_end() {
    if !has_sandbox() {
        return;
    }
    let output = run("sandbox on execute /bin/true");
    assert_eq!(output.status.signal(), Some(31), "SIGSYS: {output:?}");
    // Without it, the same step runs the program: the test can fail.
    assert_eq!(run("sandbox off execute /bin/true").status.code(), Some(0));
}

#[test]
fn asked_to_be_on_it_is_whole_or_an_error() {
    if !has_sandbox() {
        return;
    }
    let answers = answers("idle-threads sandbox on read /etc/passwd sandbox auto read /etc/passwd thread fork");
    // Landlock reaches other threads from version 8 on.
    if answers[1].1.starts_with("ok") {
        return;
    }
    assert!(answers[1].1.contains("3 threads were started before"), "{answers:?}");
    assert!(answers[2].1.starts_with("ok"), "nothing holds after a refusal: {answers:?}");
    assert!(answers[3].1.starts_with("ok") && answers[3].1.contains("3 threads"), "{answers:?}");
    assert!(
        !answers[4].1.starts_with("ok") && answers[5].1 == "ok ran" && !answers[6].1.starts_with("ok"),
        "{answers:?}"
    );
}

#[test]
fn a_path_that_is_not_there_is_named() {
    if !has_sandbox() {
        return;
    }
    let answer = &answers("--read /nonexistent/signatures sandbox auto")[0].1;
    assert!(answer.contains("/nonexistent/signatures") && answer.contains("create it"), "{answer}");
}
