//! The real Suricata, with a configuration of its own.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Whether Suricata is there. Where tests must run it has to be.
pub fn is_there() -> bool {
    let is_there = Command::new("suricata").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "this test must run here: scripts/install-deps test");
        eprintln!("skipped: needs suricata");
    }
    is_there
}

/// Types of records that the detector reads, as they stand in a configuration.
pub const TYPES: &str = "[alert, dns, {tls: {extended: yes}}, quic, {http: {extended: yes}}, ftp, smtp, flow]";

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
