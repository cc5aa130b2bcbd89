//! The real Suricata, with a configuration of its own.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Whether Suricata is there. Where tests must run it has to be.
pub fn is_there() -> bool {
    let is_there = version().is_some();
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "this test must run here: scripts/install-deps test");
        eprintln!("skipped: needs suricata");
    }
    is_there
}

/// Its version: 7, or 8.
pub fn version() -> Option<u32> {
    let said = Command::new("suricata").arg("-V").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    said.split_once("version ")?.1.split('.').next()?.parse().ok()
}

/// Types of records that the detector reads, as they stand in a configuration.
pub const TYPES: &str = "[alert, dns, tls: {extended: yes}, quic, http: {extended: yes}, ftp, flow]";

/// A folder with a configuration, gone with this value.
pub struct Suricata {
    pub folder: tempfile::TempDir,
}

impl Suricata {
    /// A configuration with these lines of YAML at its top, and these in the list of outputs.
    pub fn new(top: &str, outputs: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut yaml = String::from("%YAML 1.1\n---\n");
        let _ = writeln!(yaml, "{top}\nstats: {{enabled: no}}\noutputs:\n{outputs}");
        yaml.push_str(
            "app-layer:
  protocols:
    tls: {enabled: yes, detection-ports: {dp: 443}, ja3-fingerprints: yes}
    dns:
      tcp: {enabled: yes, detection-ports: {dp: 53}}
      udp: {enabled: yes, detection-ports: {dp: 53}}
    http: {enabled: yes}
    quic: {enabled: yes, ja3-fingerprints: yes}
    ftp: {enabled: yes}
    smtp: {enabled: yes}
stream: {midstream: yes, checksum-validation: no}
",
        );
        std::fs::write(folder.path().join("suricata.yaml"), yaml).unwrap();
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Suricata as it is to be run, with further arguments to come.
    pub fn command(&self) -> Command {
        let mut command = Command::new("suricata");
        command.arg("-c").arg(self.path().join("suricata.yaml")).arg("-l").arg(self.path()).args(["-k", "none"]);
        command
    }

    /// Runs it over a capture.
    pub fn read(&self, capture: &Path, arguments: &[&str]) -> Output {
        self.command().arg("-r").arg(capture).args(arguments).output().unwrap()
    }
}

/// The recorded captures, in order.
pub fn captures(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join("pcaps")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "pcap")).collect();
    found.sort();
    found
}

/// Sends the frames of a capture from an interface, one right after the other.
#[allow(dead_code, reason = "each file of tests takes its part")]
pub fn send(capture: &Path, interface: &str) {
    let script = "
import socket, struct, sys
data = open(sys.argv[1], 'rb').read()
order = '<' if data[:4] in (b'\\xd4\\xc3\\xb2\\xa1', b'\\x4d\\x3c\\xb2\\xa1') else '>'
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((sys.argv[2], 0))
at = 24
while at < len(data):
    length = struct.unpack(order + 'I', data[at + 8:at + 12])[0]
    out.send(data[at + 16:at + 16 + length])
    at += 16 + length
";
    let run = Command::new("python3").args(["-c", script]).arg(capture).arg(interface).output().unwrap();
    assert!(run.status.success(), "{run:?}");
}
