//! A scan that read nothing must not look like a clean one to a script that asks only for the exit code.

#![allow(clippy::unwrap_used)]

use assert_cmd::Command;

fn scan(path: &std::path::Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kaspector")).arg("scan").arg(path).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_folder_without_captures_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (code, said) = scan(folder.path());
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("no capture and no log in the folders named"), "{said}");
        assert!(!said.contains("No host"), "{said}");
        std::fs::write(folder.path().join("notes.txt"), "seen at noon\n").unwrap();
    }
}
