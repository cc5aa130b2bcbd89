//! The command line of `kaspector report`.

use super::SignatureFolders;
use super::help::{ENVIRONMENT, REPORT_EXAMPLES, REPORT_EXIT, REPORT_FILES, long};
use clap::{Args, ValueEnum, ValueHint};
use kaspector::decode::TunnelPort;
use std::path::PathBuf;

/// Write the report that an auditor signs: which machines, found how, and are they gone.
///
/// Reads captures, or an inventory that 'watch --state' and 'scan --state' keep. The page is one file without scripts that also prints;
/// JSON and CSV say the same. The same input gives the same bytes, apart from the day.
#[derive(Debug, Args)]
#[command(after_help = REPORT_EXAMPLES, after_long_help = long(REPORT_EXAMPLES, &[REPORT_EXIT, REPORT_FILES, ENVIRONMENT]))]
pub struct ReportArguments {
    /// Capture files, folders (searched recursively), patterns such as 'x*.pcap', or - for standard input
    #[arg(required_unless_present = "state", conflicts_with = "state", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    /// Report what this inventory holds, in place of captures
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub state: Option<PathBuf>,

    /// Say what is different from this earlier inventory: who appeared, and who is silent; of several, the earliest first, from one to the next
    #[arg(long, value_name = "OLD", value_hint = ValueHint::FilePath)]
    pub compare: Vec<PathBuf>,

    /// What is known of the site (TOML): names and owners, exceptions, what the rules ask of the organisation, states of findings
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub site: Option<PathBuf>,

    /// Form of the report [default: as the file's name ends, .html, .json or .csv]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<ReportFormat>,

    /// Write it to FILE, whole or not at all [default: standard output, with --format]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Write also over a file that another program made; never over inputs or captures
    #[arg(long)]
    pub force: bool,

    /// Day of the report, such as 2026-11-23 [default: today, in UTC]
    #[arg(long, value_name = "DATE", value_hint = ValueHint::Other)]
    pub date: Option<String>,

    #[command(flatten)]
    pub signatures: SignatureFolders,

    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", conflicts_with = "state", value_parser = clap::value_parser!(u16).range(1..=1024), value_hint = ValueHint::Other)]
    pub threads: Option<u16>,

    /// Look only at packets that this libpcap filter chooses; the others are counted as filtered
    #[arg(long, value_name = "BPF", conflicts_with = "state", value_hint = ValueHint::Other)]
    pub filter: Option<String>,

    /// Port of the site's own where datagrams are tunnels: vxlan:PORT, geneve:PORT, gtp-u:PORT or gre:PORT; may be given several times
    #[arg(long = "tunnel", value_name = "KIND:PORT", conflicts_with = "state", value_hint = ValueHint::Other)]
    pub tunnels: Vec<TunnelPort>,

    /// Draw no progress bar, not even on a terminal
    #[arg(long)]
    pub no_progress: bool,

    /// Print nothing but results and errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// Forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// A page for people, to read and to print.
    Html,
    /// One JSON object, schema kaspector.report/1.
    Json,
    /// One line per finding.
    Csv,
}
