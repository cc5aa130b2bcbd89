//! The command line: the one definition that help, manual page and completions come from.

mod answer;
mod help;
mod logs;
mod merge;
mod report;
mod top;
#[cfg(target_os = "linux")]
mod watch;

pub use answer::{AnswerArguments, LogTimesArguments};
pub use logs::LogsArguments;
pub use merge::MergeArguments;
pub use report::{ReportArguments, ReportFormat};
pub use top::TopArguments;
#[cfg(target_os = "linux")]
pub use watch::WatchArguments;

use self::help::{
    CHECK_EXAMPLES, COMPLETIONS_EXAMPLES, COMPLETIONS_EXIT, COMPLETIONS_FILES, DIFF_EXAMPLES, DIFF_EXIT, DIFF_FILES,
    ENVIRONMENT, EXPLAIN_EXAMPLES, EXPLAIN_EXIT, EXPLAIN_FILES, EXPORT_EXAMPLES, EXPORT_EXIT, EXPORT_FILES,
    HOSTS_EXAMPLES, HOSTS_EXIT, HOSTS_FILES, LIST_EXAMPLES, PROGRAM_EXAMPLES, PROGRAM_EXIT, SCAN_EXAMPLES, SCAN_EXIT,
    SCAN_FILES, SHOW_EXAMPLES, SIGNATURES_EXAMPLES, SIGNATURES_EXIT, SIGNATURES_FILES, TEST_EXAMPLES, TEST_EXIT, long,
};
use crate::config::EvidenceSize;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use kaspector::decode::TunnelPort;
use kaspector::matching::{Category, Role, Verdict};
use kaspector_report::{AddressRange, HostChange};
use std::path::PathBuf;

/// Finds the machines that run Kaspersky software, by the traffic they cannot help making.
///
/// Kaspector reads captured traffic and says which hosts contacted Kaspersky update, telemetry, activation and management endpoints, on
/// what evidence, and how sure that is. It only reads: it never sends a packet.
#[derive(Debug, Parser)]
#[command(name = "kaspector", version, max_term_width = 100, after_help = PROGRAM_EXAMPLES, after_long_help = long(PROGRAM_EXAMPLES, &[PROGRAM_EXIT, ENVIRONMENT]))]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Scan(Box<ScanArguments>),
    Logs(Box<LogsArguments>),
    Merge(Box<MergeArguments>),
    #[cfg(target_os = "linux")]
    Watch(Box<WatchArguments>),
    Top(TopArguments),
    Hosts(Box<HostsArguments>),
    Report(Box<ReportArguments>),
    Explain(ExplainArguments),
    Export(ExportArguments),
    /// Show, check and try out the signature set.
    #[command(subcommand, after_help = SIGNATURES_EXAMPLES, after_long_help = long(SIGNATURES_EXAMPLES, &[SIGNATURES_EXIT, SIGNATURES_FILES, ENVIRONMENT]))]
    Signatures(SignaturesCommand),
    /// Print the completions of a shell, to be written where it looks for them.
    #[command(after_help = COMPLETIONS_EXAMPLES, after_long_help = long(COMPLETIONS_EXAMPLES, &[COMPLETIONS_EXIT, COMPLETIONS_FILES, ENVIRONMENT]))]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
}

/// Scan capture files and list the hosts that show Kaspersky traffic.
///
/// Logs among them are read as 'kaspector logs' reads them.
///
/// Reads pcap, pcapng, snoop, Network Monitor, Sniffer and ERF files, plain or compressed with gzip, zstd, xz, bzip2 or lz4; what a file is
/// shows from its content. A damaged file gives what it
/// holds up to the damage. The answer is the same with any number of threads.
#[derive(Debug, Args)]
#[command(after_help = SCAN_EXAMPLES, after_long_help = long(SCAN_EXAMPLES, &[SCAN_EXIT, SCAN_FILES, ENVIRONMENT]))]
pub struct ScanArguments {
    /// Capture files, folders (searched recursively), patterns such as 'x*.pcap', or - for standard input
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub answer: AnswerArguments,

    /// Keep the packets that prove each finding in DIR, as a pcapng file for each host with a description and a manifest
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub evidence: Option<PathBuf>,

    /// Packets to keep of each host
    #[arg(long, value_name = "N", default_value = "64", requires = "evidence", value_parser = clap::value_parser!(u16).range(4..), value_hint = ValueHint::Other)]
    pub evidence_packets: u16,

    /// Bytes of packets to keep of each host
    #[arg(long, value_name = "SIZE", default_value = "256KiB", requires = "evidence", value_hint = ValueHint::Other)]
    pub evidence_size: EvidenceSize,

    /// Zero the payload behind the last value that matched in a connection
    #[arg(long, requires = "evidence")]
    pub evidence_redact: bool,

    /// Look only at packets that this libpcap filter chooses; the others are counted as filtered
    #[arg(long, value_name = "BPF", value_hint = ValueHint::Other)]
    pub filter: Option<String>,

    /// Port of the site's own where datagrams are tunnels: vxlan:PORT, geneve:PORT, gtp-u:PORT or gre:PORT; may be given several times
    #[arg(long = "tunnel", value_name = "KIND:PORT", value_hint = ValueHint::Other)]
    pub tunnels: Vec<TunnelPort>,

    /// Whether logs alone are meant.
    #[arg(skip)]
    pub logs_only: bool,
}

/// List the hosts of an inventory that 'watch --state' and 'scan --state' keep, also while they run.
///
/// Options that may be given several times list what any of them names; different options must all hold.
#[derive(Debug, Args)]
#[command(after_help = HOSTS_EXAMPLES, after_long_help = long(HOSTS_EXAMPLES, &[HOSTS_EXIT, HOSTS_FILES, ENVIRONMENT]))]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct HostsArguments {
    #[command(subcommand)]
    pub command: Option<HostsCommand>,

    /// The inventory
    #[arg(long, required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub state: Option<PathBuf>,

    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: HostsFormat,

    /// Write it to FILE, whole or not at all [default: standard output]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Write also over a file that another program made
    #[arg(long)]
    pub force: bool,

    /// List hosts with this verdict or a stronger one
    #[arg(long, value_name = "VERDICT")]
    pub verdict: Option<FailOn>,

    /// List hosts with evidence since then: 30m, 12h, 7d, 4w ago, a date such as 2026-11-01, or a time such as 2026-11-01T08:00:00Z
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub since: Option<String>,

    /// List hosts whose last evidence is older than that, such as 14d: what may be gone
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub not_since: Option<String>,

    /// List hosts with evidence by then; of a date that day counts. With --since: hosts whose time from first to last evidence touches that period
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub until: Option<String>,

    /// List hosts that used this service; may be given several times
    #[arg(long = "category", value_name = "SERVICE", value_parser = categories())]
    pub categories: Vec<Category>,

    /// List hosts whose products have this in their names; may be given several times
    #[arg(long = "product", value_name = "TEXT", value_hint = ValueHint::Other)]
    pub products: Vec<String>,

    /// List hosts with this address, or in this range such as 10.20.0.0/16; may be given several times
    #[arg(long = "address", value_name = "ADDRESS", value_hint = ValueHint::Other)]
    pub addresses: Vec<AddressRange>,

    /// List hosts of this role; may be given several times
    #[arg(long = "role", value_name = "ROLE", value_parser = roles())]
    pub roles: Vec<Role>,

    /// List hosts of this VLAN, by its outermost tag; may be given several times
    #[arg(long = "vlan", value_name = "TAG", value_parser = clap::value_parser!(u16).range(1..=4095), value_hint = ValueHint::Other)]
    pub vlans: Vec<u16>,

    /// What is known of the site (TOML): names and owners of subnets and machines, resolvers, proxies, NAT, exceptions
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub site: Option<PathBuf>,

    #[command(flatten)]
    pub signatures: SignatureFolders,
}

#[derive(Debug, Subcommand)]
pub enum HostsCommand {
    Diff(DiffArguments),
}

/// Compare two inventories: which hosts appeared, fell silent, rose or changed.
///
/// OLD and NEW are two copies of one inventory, or the inventories of two periods. A host of OLD is silent when NEW has no evidence of it that is
/// later than OLD's last.
#[derive(Debug, Args)]
#[command(after_help = DIFF_EXAMPLES, after_long_help = long(DIFF_EXAMPLES, &[DIFF_EXIT, DIFF_FILES, ENVIRONMENT]))]
pub struct DiffArguments {
    /// The earlier inventory
    #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
    pub old: PathBuf,

    /// The later inventory
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    pub new: PathBuf,

    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: DiffFormat,

    /// Write it to FILE, whole or not at all [default: standard output]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Write also over a file that another program made
    #[arg(long)]
    pub force: bool,

    /// Exit with code 3 if a host did that; may be given several times
    #[arg(long, value_name = "CHANGE", value_parser = host_changes())]
    pub fail_on: Vec<HostChange>,

    #[command(flatten)]
    pub signatures: SignatureFolders,
}

fn host_changes() -> impl TypedValueParser<Value = HostChange> {
    PossibleValuesParser::new(HostChange::ALL.map(HostChange::name))
        .try_map(|name| HostChange::from_name(&name).ok_or("no such change"))
}

/// Say in plain words how the verdict of a host came about, or what a name or an indicator means.
///
/// Says of each piece of evidence which indicator it is of, what that matches, what its source says, how strong it is, and which packet shows it;
/// which rule made verdict, confidence and role of them; and what would have changed these.
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_EXAMPLES, after_long_help = long(EXPLAIN_EXAMPLES, &[EXPLAIN_EXIT, EXPLAIN_FILES, ENVIRONMENT]))]
pub struct ExplainArguments {
    /// Address of a host, or uid of an alert, with where it was found; else a name, URL or value, or the id of an indicator
    #[arg(value_name = "WHAT", value_hint = ValueHint::Other)]
    pub what: String,

    /// Captures that show the host: files, folders, patterns
    #[arg(value_name = "PATH", conflicts_with = "state", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    /// Inventory that knows the host
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub state: Option<PathBuf>,

    /// Port of the site's own where datagrams are tunnels: vxlan:PORT, geneve:PORT, gtp-u:PORT or gre:PORT; may be given several times
    #[arg(long = "tunnel", value_name = "KIND:PORT", value_hint = ValueHint::Other)]
    pub tunnels: Vec<TunnelPort>,

    #[command(flatten)]
    pub signatures: SignatureFolders,
}

fn categories() -> impl TypedValueParser<Value = Category> {
    PossibleValuesParser::new(Category::ALL.map(Category::name))
        .try_map(|name| Category::from_name(&name).ok_or("no such service"))
}

fn roles() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name)).try_map(|name| Role::from_name(&name).ok_or("no such role"))
}

/// Where signatures come from.
#[derive(Clone, Debug, Args)]
pub struct SignatureFolders {
    /// Use the signature files (*.toml) of this folder in place of the built-in set
    #[arg(long = "signatures", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub replace: Option<PathBuf>,

    /// Add the signature files (*.toml) of this folder to the set
    #[arg(long = "signatures-extra", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub extra: Option<PathBuf>,
}

/// Write what is looked for as rules and data for other programs.
///
/// What comes out follows from the signature set alone: the same set gives the same bytes. What a format cannot say is counted on standard
/// error and in the files. docs/plugins.md says what each format finds, and what it does not.
#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES, after_long_help = long(EXPORT_EXAMPLES, &[EXPORT_EXIT, EXPORT_FILES, ENVIRONMENT]))]
pub struct ExportArguments {
    /// What to write
    #[arg(value_name = "FORMAT")]
    pub format: ExportFormat,

    /// Where to write it: a folder for formats of several files, else a file [default: standard output]
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub signatures: SignatureFolders,

    /// Also web sites that say nothing about a product (strength browse)
    #[arg(long)]
    pub browse: bool,

    /// Day of the export, such as 2026-11-23 [default: that of the newest indicator]
    #[arg(long, value_name = "DATE", value_hint = ValueHint::Other)]
    pub date: Option<String>,

    /// Write also over files that another program made
    #[arg(long)]
    pub force: bool,

    /// Do not count what was left out on standard error
    #[arg(short, long)]
    pub quiet: bool,
}

/// Forms in which others take indicators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Rules and datasets for Suricata 7 and 8, a folder
    Suricata,
    /// Intelligence file and package for Zeek, a folder
    Zeek,
    /// Rules for Snort 3
    Snort,
    /// Sigma rules for DNS and proxy logs, a folder
    Sigma,
    /// STIX 2.1 bundle
    Stix,
    /// MISP event
    Misp,
    /// Response policy zones for DNS, a folder
    Rpz,
    /// Table of the indicators
    Csv,
    /// Table for plugins/wireshark/kaspector.lua
    Wireshark,
}

#[derive(Debug, Subcommand)]
pub enum SignaturesCommand {
    /// List every indicator: id, category, strength, what it matches.
    #[command(after_help = LIST_EXAMPLES, after_long_help = long(LIST_EXAMPLES, &[SIGNATURES_EXIT, SIGNATURES_FILES, ENVIRONMENT]))]
    List {
        /// What to print
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        format: ListFormat,
        /// Write it to FILE, whole or not at all [default: standard output]
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// Write also over a file that another program made
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        signatures: SignatureFolders,
    },
    /// Show everything known of one indicator, with its sources.
    #[command(after_help = SHOW_EXAMPLES, after_long_help = long(SHOW_EXAMPLES, &[SIGNATURES_EXIT, SIGNATURES_FILES, ENVIRONMENT]))]
    Show {
        /// Identifier of the indicator
        #[arg(value_name = "ID", value_hint = ValueHint::Other)]
        id: String,
        #[command(flatten)]
        signatures: SignatureFolders,
    },
    /// Check the signature files of a folder, as --signatures would read them, and say all that is wrong.
    #[command(after_help = CHECK_EXAMPLES, after_long_help = long(CHECK_EXAMPLES, &[SIGNATURES_EXIT, SIGNATURES_FILES, ENVIRONMENT]))]
    Check {
        /// Folder with *.toml files
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Say which indicator a name, address, URL or user agent would match, and why.
    ///
    /// Exit code 0 with the indicator that wins, or 3 when none matches.
    #[command(after_help = TEST_EXAMPLES, after_long_help = long(TEST_EXAMPLES, &[TEST_EXIT, SIGNATURES_FILES, ENVIRONMENT]))]
    Test {
        /// A domain name, IP address, URL or user agent
        #[arg(value_name = "NAME-OR-IP", value_hint = ValueHint::Other)]
        text: String,
        #[command(flatten)]
        signatures: SignatureFolders,
    },
}

/// Forms of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: one host after the other, strongest verdict first.
    Table,
    /// One JSON object, schema kaspector.scan/1.
    Json,
    /// One line per host and piece of evidence.
    Csv,
    /// One JSON object on a line per host, schema kaspector.host/1.
    Jsonl,
    /// As CSV, one line per machine inside that was seen, whether or not it shows anything.
    Machines,
}

/// Forms of an inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HostsFormat {
    /// For people: one host after the other, strongest verdict first.
    Table,
    /// One JSON object, schema kaspector.hosts/1.
    Json,
    /// One line per host and piece of evidence.
    Csv,
}

/// Forms of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For people: what is different, one host after the other.
    Table,
    /// One JSON object, schema kaspector.diff/1.
    Json,
    /// One line per host that is different.
    Csv,
}

/// Forms of the list of indicators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people: id, service, strength, kind and value.
    Table,
    /// One JSON object with all that is known, schema kaspector.signatures/1.
    Json,
    /// One line per indicator with all that is known.
    Csv,
}

/// Suricata versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compat {
    /// Suricata 7; also satisfies the schema of 8.
    #[value(name = "7")]
    V7,
    /// Suricata 8.
    #[value(name = "8")]
    V8,
}

/// What a scan fails on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScanFailOn {
    /// A product contacted its endpoint.
    Confirmed,
    /// Names looked up, ambiguous names, hints.
    Suspected,
    /// Somebody read the vendor's web pages.
    Browsing,
    /// The verdict of the whole is found or inconclusive.
    Inconclusive,
}

/// Verdicts to list by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A product contacted its endpoint.
    Confirmed,
    /// Names looked up, ambiguous names, hints.
    Suspected,
    /// Somebody read the vendor's web pages.
    Browsing,
}

impl From<FailOn> for Verdict {
    fn from(verdict: FailOn) -> Self {
        match verdict {
            FailOn::Confirmed => Self::Confirmed,
            FailOn::Suspected => Self::Suspected,
            FailOn::Browsing => Self::Browsing,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::{ArgAction, Command, CommandFactory};

    fn each(command: &Command, look: &mut dyn FnMut(&Command)) {
        look(command);
        command.get_subcommands().for_each(|child| each(child, look));
    }

    /// Shells offer files for a value of which they know nothing.
    #[test]
    fn every_value_says_what_it_is() {
        let mut program = Arguments::command();
        program.build();
        let mut seen = 0;
        each(&program, &mut |command| {
            for argument in command.get_arguments() {
                let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
                if takes_value && argument.get_possible_values().is_empty() && command.get_name() != "help" {
                    let hint = argument.get_value_hint();
                    assert!(hint != ValueHint::Unknown, "{} {}", command.get_name(), argument.get_id());
                    let takes_path = argument.get_value_names().is_some_and(|names| {
                        names.iter().any(|name| matches!(name.as_str(), "FILE" | "DIR" | "PATH" | "OLD" | "NEW"))
                    });
                    assert_eq!(
                        takes_path,
                        matches!(hint, ValueHint::FilePath | ValueHint::DirPath | ValueHint::AnyPath)
                    );
                    seen += 1;
                }
            }
        });
        assert!(seen > 30, "{seen}");
    }

    #[test]
    fn help_fits_eighty_columns() {
        let mut program = Arguments::command().term_width(80);
        program.build();
        each(&program, &mut |command| {
            let mut command = command.clone().term_width(80);
            for help in [command.render_help(), command.render_long_help()] {
                for line in help.to_string().lines() {
                    assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
                }
            }
        });
    }
}
