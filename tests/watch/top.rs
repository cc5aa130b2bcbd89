//! `kaspector top -i`: a sensor that comes and goes with its screen.

use super::*;
use std::process::Output;

fn top(interface: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kaspector"))
        .args(["top", "--once", "--interval", "4", "-i", interface])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Whether a sensor watches this interface.
fn is_watched(interface: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line.contains("\0watch\0") && line.contains(interface))
}

#[test]
fn top_brings_its_own_sensor() {
    let Some(cable) = Cable::lay("t") else { return };
    let mut shown = top(&cable.far);
    while shown.try_wait().unwrap().is_none() {
        cable.send(&root().join("pcaps/dns-then-tls.pcap"));
        std::thread::sleep(Duration::from_millis(200));
    }
    let Output { status, stdout, stderr } = shown.wait_with_output().unwrap();
    let (shown, said) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{said}");
    for part in [cable.far.as_str(), "10.20.0.5", "confirmed", "1 confirmed, 0 suspected"] {
        assert!(shown.contains(part), "{part}: {shown}{said}");
    }
    assert!(!is_watched(&cable.far), "the sensor is still there");
}

#[test]
fn top_ends_as_its_sensor_ends() {
    let output = top("kaspector-none").wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("kaspector-none"));
}
