//! `kaspector logs`.

use super::help::{ENVIRONMENT, LOGS_EXAMPLES, LOGS_FILES, SCAN_EXIT, long};
use super::{AnswerArguments, ScanArguments};
use crate::config::Size;
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// Read logs that other programs wrote and list the hosts that show Kaspersky traffic.
///
/// Reads logs of Suricata (EVE), Zeek (tab-separated and JSON), BIND, Unbound, dnsmasq, Pi-hole, Squid, and of two dozen other resolvers, proxies and
/// firewalls (docs/logs.md), plain or compressed with gzip, zstd, xz, bzip2 or lz4; what a file is shows from its content. Any other log of rows is read by
/// a map of its columns. Files that were rotated, and all logs of one Zeek, are read as one. The answer is the same
/// with any number of threads.
#[derive(Debug, Args)]
#[command(after_help = LOGS_EXAMPLES, after_long_help = long(LOGS_EXAMPLES, &[SCAN_EXIT, LOGS_FILES, ENVIRONMENT]))]
pub struct LogsArguments {
    /// Log files, folders (searched recursively), patterns such as 'conn*.log.gz', or - for standard input
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub answer: AnswerArguments,
}

/// Reading logs is scanning, of logs alone.
impl From<LogsArguments> for ScanArguments {
    fn from(LogsArguments { paths, answer }: LogsArguments) -> Self {
        Self {
            paths,
            answer,
            evidence: None,
            evidence_packets: 0,
            evidence_size: Size(0),
            evidence_redact: false,
            filter: None,
            tunnels: Vec::new(),
            logs_only: true,
        }
    }
}
