//! Versions that the plugin is not for are refused with a line in their log, and go on.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

/// What a host says that is compiled with these definitions.
fn said(definitions: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let host = folder.path().join("host");
    let mut cc = Command::new("cc");
    cc.args(definitions).args(["-std=c99", "-D_GNU_SOURCE", "-rdynamic", "-o"]).arg(&host);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host.c");
    assert!(cc.arg(source).arg("-ldl").status().unwrap().success());
    let plugin = std::env::current_exe().unwrap().parent().unwrap().join("libkaspector_suricata.so");
    let run = Command::new(host).arg(plugin).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{text}");
    text
}

#[test]
fn other_versions_are_refused_and_go_on() {
    let six = said(&["-DLOG", "-DVERSION=\"6.0.20 RELEASE\""]);
    assert_eq!(
        six,
        "log 1 kaspector: this is 6.0.20 RELEASE; the plugin is for Suricata 7 and 8, and does nothing here\nkaspector, GPL-2.0-only\n"
    );
    let nine = said(&["-DLOG", "-DCALLBACKS", "-DVERSION=\"9.0.0-dev\""]);
    assert!(nine.starts_with("log 1 kaspector: this is 9.0.0-dev; ") && nine.contains("\ninterface 0\n"), "{nine}");
    let nameless = said(&["-DLOG"]);
    assert!(nameless.contains("does not say which"), "{nameless}");
    let mute = said(&["-DVERSION=\"6.0.20\""]);
    assert!(mute.contains("kaspector: this is 6.0.20; "), "{mute}");
    for refused in [six, nine, nameless, mute] {
        assert!(!refused.contains("registered"), "{refused}");
    }
}

#[test]
fn both_versions_are_given_their_own_form() {
    let seven = said(&["-DLOG", "-DVERSION=\"7.0.10 RELEASE\""]);
    assert_eq!(seven, "kaspector, GPL-2.0-only\nregistered\n");
    let eight = said(&["-DLOG", "-DCALLBACKS", "-DVERSION=\"8.0.8 RELEASE\""]);
    assert_eq!(eight, "interface 2048\nkaspector, GPL-2.0-only\nregistered\n");
}
