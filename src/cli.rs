//! The command line: the one definition that help, manual page and completions come from.

use clap::{Args, Parser, Subcommand, ValueEnum};
use kaspector::matching::Verdict;
use std::path::PathBuf;

/// Finds the machines that run Kaspersky software, by the traffic they cannot help making.
///
/// Kaspector reads captured traffic and says which hosts contacted Kaspersky update, telemetry, activation and management endpoints, on
/// what evidence, and how sure that is. It only reads: it never sends a packet.
#[derive(Debug, Parser)]
#[command(name = "kaspector", version, max_term_width = 100, after_help = PROGRAM_HELP)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Scan(ScanArguments),
    #[cfg(target_os = "linux")]
    Watch(WatchArguments),
    /// Show, check and try out the signature set.
    #[command(subcommand, after_help = SIGNATURES_EXAMPLES)]
    Signatures(SignaturesCommand),
}

/// Scan capture files and list the hosts that show Kaspersky traffic.
///
/// Reads pcap and pcapng, plain or compressed with gzip or zstd; what a file is shows from its content. A damaged file gives what it
/// holds up to the damage. The answer is the same with any number of threads.
#[derive(Debug, Args)]
#[command(after_help = SCAN_EXAMPLES)]
pub struct ScanArguments {
    /// Capture files, folders (searched recursively), patterns such as 'x*.pcap', or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,

    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,

    /// Write alerts as Suricata EVE JSON lines to FILE; - for standard output, in place of the table
    #[arg(long, value_name = "FILE")]
    pub eve: Option<PathBuf>,

    /// Suricata version whose EVE schema the alerts keep to
    #[arg(long, value_name = "VERSION", default_value = "7", requires = "eve")]
    pub eve_compat: Compat,

    #[command(flatten)]
    pub signatures: SignatureFolders,

    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Look only at packets that this libpcap filter chooses; the others are counted as filtered
    #[arg(long, value_name = "BPF")]
    pub filter: Option<String>,

    /// Exit with code 3 when a host has this verdict or a stronger one
    #[arg(long, value_name = "VERDICT")]
    pub fail_on: Option<FailOn>,

    /// Draw no progress bar, not even on a terminal
    #[arg(long)]
    pub no_progress: bool,

    /// Print nothing but results and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more about inputs, packets and bounds on standard error
    #[arg(short, long)]
    pub verbose: bool,
}

/// Watch interfaces and tell of hosts that show Kaspersky traffic, as they do.
///
/// Reads mirrored traffic from a packet ring; it never sends a packet into it. Ends with a summary on SIGTERM or Ctrl-C, at once on the
/// second; SIGHUP opens output files anew. Needs the capability CAP_NET_RAW.
#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
#[command(after_help = WATCH_EXAMPLES)]
pub struct WatchArguments {
    /// Interface to watch; may be given several times
    #[arg(short, long = "interface", required = true, value_name = "IFACE")]
    pub interfaces: Vec<String>,

    /// Where alerts go, as Suricata EVE JSON; may be given several times [default: stdout]
    ///
    /// stdout, file:PATH, unix-stream:PATH, unix-dgram:PATH, syslog+udp://HOST:PORT, syslog+tcp://HOST:PORT, syslog+tls://HOST:PORT,
    /// http(s)://HOST/PATH?shape=elastic|splunk|ndjson, kafka://BROKER/TOPIC; docs/outputs.md has the options of each.
    #[arg(short, long = "output", value_name = "OUTPUT", verbatim_doc_comment)]
    pub outputs: Vec<String>,

    /// Keep alerts in this folder until every output has taken them; without it they wait in memory
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,

    /// Suricata version whose EVE schema the alerts keep to
    #[arg(long, value_name = "VERSION", default_value = "7")]
    pub eve_compat: Compat,

    #[command(flatten)]
    pub signatures: SignatureFolders,

    /// Look only at packets that this libpcap filter chooses; the others are counted as filtered
    #[arg(long, value_name = "BPF")]
    pub filter: Option<String>,

    /// Bytes to take of each packet
    #[arg(long, value_name = "BYTES", default_value = "65535", value_parser = clap::value_parser!(u32).range(64..=262_144))]
    pub snaplen: u32,

    /// Blocks of 1 MiB in each interface's ring
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(2..=4096))]
    pub ring_blocks: u32,

    /// Do not ask the interface for packets that are not addressed to it
    #[arg(long)]
    pub no_promiscuous: bool,

    /// Seconds between two summaries of what was told before
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub summary_interval: u64,

    /// Seconds between two records of counters
    #[arg(long, value_name = "SECONDS", default_value = "8", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub stats_interval: u64,

    /// Name of this sensor, as receivers shall see it [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub sensor: Option<String>,

    /// Print nothing on standard error but warnings and errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// Where signatures come from.
#[derive(Debug, Args)]
pub struct SignatureFolders {
    /// Use the signature files (*.toml) of this folder in place of the built-in set
    #[arg(long = "signatures", value_name = "DIR")]
    pub replace: Option<PathBuf>,

    /// Add the signature files (*.toml) of this folder to the set
    #[arg(long = "signatures-extra", value_name = "DIR")]
    pub extra: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum SignaturesCommand {
    /// List every indicator: id, category, strength, what it matches.
    #[command(after_help = LIST_EXAMPLES)]
    List {
        #[command(flatten)]
        signatures: SignatureFolders,
    },
    /// Show everything known of one indicator, with its sources.
    #[command(after_help = "Example:\n  kaspector signatures show KL-UPD-0001")]
    Show {
        /// Identifier of the indicator
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        signatures: SignatureFolders,
    },
    /// Check the signature files of a folder, as --signatures would read them.
    #[command(after_help = "Example:\n  kaspector signatures check ./my-signatures")]
    Check {
        /// Folder with *.toml files
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Say which indicator a name, address, URL or user agent would match, and why.
    ///
    /// Exit code 0 with the indicator that wins, or 3 when none matches.
    #[command(after_help = TEST_EXAMPLES)]
    Test {
        /// A domain name, IP address, URL or user agent
        #[arg(value_name = "NAME-OR-IP")]
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

/// Verdicts to fail on.
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

const PROGRAM_HELP: &str = "\
Examples:
  kaspector scan office.pcap
  kaspector scan /captures --format json
  kaspector watch -i eth1 -o file:eve.json
  kaspector signatures test s07.upd.kaspersky.com

Exit codes:
  0  ran
  1  unexpected failure
  2  bad usage
  3  --fail-on met; for 'signatures test', nothing matches
  4  an input could not be read at all; the others are still reported";

const SCAN_EXAMPLES: &str = "\
Examples:
  kaspector scan office.pcap                        a table of hosts
  kaspector scan /captures --format json            everything below a folder
  kaspector scan 'span-*.pcap.zst' --eve eve.json   alerts for an IDS pipeline
  zcat old.pcap.gz | kaspector scan -               standard input
  kaspector scan a.pcap --filter 'not port 22'      a libpcap filter
  kaspector scan a.pcap --fail-on confirmed         exit code 3 when found";

#[cfg(target_os = "linux")]
const WATCH_EXAMPLES: &str = "\
Examples:
  kaspector watch -i eth1                            alerts on standard output
  kaspector watch -i eth1 -o file:/var/log/eve.json --spool /var/lib/kaspector
  kaspector watch -i eth1 -i eth2 -o unix-stream:/run/eve.sock
  kaspector watch -i eth1 --filter 'not port 22' -o syslog+tcp://siem:601";

const SIGNATURES_EXAMPLES: &str = "\
Examples:
  kaspector signatures list
  kaspector signatures show KL-UPD-0001
  kaspector signatures check ./my-signatures
  kaspector signatures test s07.upd.kaspersky.com";

const LIST_EXAMPLES: &str = "\
Examples:
  kaspector signatures list
  kaspector signatures list | grep installed
  kaspector signatures list --signatures-extra ./my-signatures";

const TEST_EXAMPLES: &str = "\
Examples:
  kaspector signatures test s07.upd.kaspersky.com
  kaspector signatures test 77.74.181.10
  kaspector signatures test http://mirror.example/index/u1313g.xml";
