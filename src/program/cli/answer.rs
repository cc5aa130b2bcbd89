//! What `kaspector scan` and `kaspector logs` have in common: how to read, and what to do with what was found.

use super::{Compat, Format, ScanFailOn, SignatureFolders};
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// How to read, and what to do with what was found.
#[derive(Debug, Args)]
pub struct AnswerArguments {
    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,

    /// Write what can be merged with other scans by 'kaspector merge', in place of an answer to read
    #[arg(long, requires = "output", conflicts_with = "format")]
    pub partial: bool,

    /// Write it to FILE, whole or not at all [default: standard output]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Write alerts as Suricata EVE JSON lines to FILE; - for standard output, in place of the table
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub eve: Option<PathBuf>,

    /// Write --output, --eve and --state also over files that another program made; never over inputs or captures
    #[arg(long)]
    pub force: bool,

    /// Suricata version whose EVE schema the alerts keep to
    #[arg(long, value_name = "VERSION", default_value = "7", requires = "eve")]
    pub eve_compat: Compat,

    /// Merge what is found into the inventory of hosts in FILE, which 'kaspector hosts' lists
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub state: Option<PathBuf>,

    /// What is known of the site (TOML): names and owners of subnets and machines, resolvers, proxies, NAT, exceptions
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub site: Option<PathBuf>,

    #[command(flatten)]
    pub signatures: SignatureFolders,

    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), value_hint = ValueHint::Other)]
    pub threads: Option<u16>,

    #[command(flatten)]
    pub log_times: LogTimesArguments,

    /// Exit with code 3 when a host has this verdict or a stronger one; inconclusive: when the verdict of the whole is not none-found
    #[arg(long, value_name = "VERDICT")]
    pub fail_on: Option<ScanFailOn>,

    /// Draw no progress bar, not even on a terminal
    #[arg(long)]
    pub no_progress: bool,

    /// Print nothing but results and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more about inputs, what was read of them, and bounds on standard error
    #[arg(short, long)]
    pub verbose: bool,
}

/// What the times of logs leave out.
#[derive(Clone, Debug, Default, Args)]
pub struct LogTimesArguments {
    /// Time zone of logs whose times have none: UTC, an offset such as +02:00, or a name such as Europe/Berlin
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true, value_hint = ValueHint::Other)]
    pub timezone: Option<String>,

    /// Year of the first line of logs whose times have none [default: by the date of the file]
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i16).range(1970..=9998), value_hint = ValueHint::Other)]
    pub year: Option<i16>,

    /// Map of a log format of one's own (TOML): which columns, or paths in JSON, are time, client, server and name; see docs/logs.md
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub map: Option<PathBuf>,
}
