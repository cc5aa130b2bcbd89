//! The command line: the one definition that help, manual page and completions come from.

#[cfg(target_os = "linux")]
use crate::config::{
    BlockSize, Blocks, DrainTimeout, EveVersion, FilterText, InterfaceName, ListenAddress, LogFormat, LogLevel, Output,
    Sandboxing, Several, Snaplen, SpoolSize, StaleAfter, StatsInterval, SummaryInterval, WatchSettings, Workers,
};
use crate::state::AddressRange;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use kaspector::decode::TunnelPort;
use kaspector::matching::{Category, Role, Verdict};
use kaspector_live::CaptureKind;
use std::path::PathBuf;
#[cfg(target_os = "linux")]
use std::str::FromStr;

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
    Scan(ScanArguments),
    #[cfg(target_os = "linux")]
    Watch(Box<WatchArguments>),
    Hosts(HostsArguments),
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
/// Reads pcap, pcapng, snoop, Network Monitor, Sniffer and ERF files, plain or compressed with gzip, zstd, xz, bzip2 or lz4; what a file is
/// shows from its content. A damaged file gives what it
/// holds up to the damage. The answer is the same with any number of threads.
#[derive(Debug, Args)]
#[command(after_help = SCAN_EXAMPLES, after_long_help = long(SCAN_EXAMPLES, &[SCAN_EXIT, SCAN_FILES, ENVIRONMENT]))]
pub struct ScanArguments {
    /// Capture files, folders (searched recursively), patterns such as 'x*.pcap', or - for standard input
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,

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

    #[command(flatten)]
    pub signatures: SignatureFolders,

    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), value_hint = ValueHint::Other)]
    pub threads: Option<u16>,

    /// Look only at packets that this libpcap filter chooses; the others are counted as filtered
    #[arg(long, value_name = "BPF", value_hint = ValueHint::Other)]
    pub filter: Option<String>,

    /// Port of the site's own where datagrams are tunnels: vxlan:PORT, geneve:PORT, gtp-u:PORT or gre:PORT; may be given several times
    #[arg(long = "tunnel", value_name = "KIND:PORT", value_hint = ValueHint::Other)]
    pub tunnels: Vec<TunnelPort>,

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

/// Watch interfaces and report hosts as soon as they show Kaspersky traffic.
///
/// Reads mirrored traffic from a packet ring; it never sends a packet into it. What the command line leaves out is taken from the
/// configuration file, if one is named, and else has its default. Ends with a summary on SIGTERM or Ctrl-C, at once on the second; SIGHUP
/// reads signatures and configuration again and opens output files anew. Needs the capability CAP_NET_RAW.
#[cfg(target_os = "linux")]
#[derive(Clone, Debug, Args)]
#[command(after_help = WATCH_EXAMPLES, after_long_help = long(WATCH_EXAMPLES, &[WATCH_EXIT, WATCH_FILES, WATCH_ENVIRONMENT]))]
pub struct WatchArguments {
    /// Configuration file (TOML): its keys are the long options here; the command line wins
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Check configuration, files, folders and signatures, print what would be in effect, and end
    #[arg(long)]
    pub check_config: bool,

    /// Interface to watch; may be given several times
    #[arg(short, long = "interface", value_name = "IFACE", help_heading = CAPTURE, value_hint = ValueHint::Other)]
    pub interfaces: Vec<InterfaceName>,

    /// What takes packets off an interface: afpacket or pcap [default: afpacket]
    #[arg(long, value_name = "KIND", help_heading = CAPTURE, value_parser = one_of::<CaptureKind>(&["afpacket", "pcap"]), hide_possible_values = true)]
    pub capture: Option<CaptureKind>,

    /// Rings and threads for each interface: 1, 2, 4 or 8; several share its conversations [default: 1]
    #[arg(long, value_name = "N", help_heading = CAPTURE, value_parser = one_of::<Workers>(&["1", "2", "4", "8"]), hide_possible_values = true)]
    pub workers: Option<Workers>,

    /// Bytes of one block of a ring, a power of two [default: 1MiB]
    #[arg(long, value_name = "SIZE", help_heading = CAPTURE, value_hint = ValueHint::Other)]
    pub ring_block_size: Option<BlockSize>,

    /// Blocks of each ring [default: what 200 ms at the speed of the link take, 64 where it is not known]
    #[arg(long, value_name = "N", help_heading = CAPTURE, value_hint = ValueHint::Other)]
    pub ring_blocks: Option<Blocks>,

    /// Bytes to take of each packet [default: 65535]
    #[arg(long, value_name = "BYTES", help_heading = CAPTURE, value_hint = ValueHint::Other)]
    pub snaplen: Option<Snaplen>,

    /// Look only at packets that this libpcap filter chooses; the kernel leaves the others out
    #[arg(long, value_name = "BPF", help_heading = CAPTURE, value_hint = ValueHint::Other)]
    pub filter: Option<FilterText>,

    /// Port of the site's own where datagrams are tunnels: vxlan:PORT, geneve:PORT, gtp-u:PORT or gre:PORT; may be given several times
    #[arg(long = "tunnel", value_name = "KIND:PORT", help_heading = CAPTURE, value_hint = ValueHint::Other)]
    pub tunnels: Vec<TunnelPort>,

    /// Take the time of the interface's own clock; only if something sets it, as phc2sys does
    #[arg(long, help_heading = CAPTURE)]
    pub hardware_time: bool,

    /// Do not ask the interface for packets that are not addressed to it
    #[arg(long, help_heading = CAPTURE)]
    pub no_promiscuous: bool,

    #[command(flatten)]
    pub signatures: SignatureFolders,

    /// Where alerts go, as Suricata EVE JSON; may be given several times [default: stdout]
    ///
    /// stdout, file:PATH, unix-stream:PATH, unix-dgram:PATH, syslog+udp://HOST:PORT, syslog+tcp://HOST:PORT, syslog+tls://HOST:PORT,
    /// http(s)://HOST/PATH?shape=elastic|splunk|ndjson, kafka://BROKER/TOPIC; docs/outputs.md has the options of each.
    #[arg(short, long = "output", value_name = "OUTPUT", verbatim_doc_comment, help_heading = ALERTS, value_hint = ValueHint::Other)]
    pub outputs: Vec<Output>,

    /// Suricata version whose EVE schema the alerts keep to: 7 or 8 [default: 7]
    #[arg(long, value_name = "VERSION", help_heading = ALERTS, value_parser = one_of::<EveVersion>(EveVersion::NAMES), hide_possible_values = true)]
    pub eve_compat: Option<EveVersion>,

    /// Keep alerts in this folder until every output has taken them; without it they wait in memory
    #[arg(long, value_name = "DIR", help_heading = ALERTS, value_hint = ValueHint::DirPath)]
    pub spool: Option<PathBuf>,

    /// How much may wait there [default: 256MiB]
    #[arg(long, value_name = "SIZE", help_heading = ALERTS, value_hint = ValueHint::Other)]
    pub spool_size: Option<SpoolSize>,

    /// Time between two summaries of what was reported before, such as 90s, 5m or 1h [default: 1h]
    #[arg(long, value_name = "TIME", help_heading = ALERTS, value_hint = ValueHint::Other)]
    pub summary_interval: Option<SummaryInterval>,

    /// Time between two records of counters [default: 8s]
    #[arg(long, value_name = "TIME", help_heading = ALERTS, value_hint = ValueHint::Other)]
    pub stats_interval: Option<StatsInterval>,

    /// Name of this sensor, as receivers shall see it [default: the host's name]
    #[arg(long, value_name = "NAME", help_heading = ALERTS, value_hint = ValueHint::Other)]
    pub sensor: Option<String>,

    /// Keep the hosts in this SQLite file over restarts
    #[arg(long, value_name = "FILE", help_heading = OPERATION, value_hint = ValueHint::FilePath)]
    pub state: Option<PathBuf>,

    /// Serve metrics, health and a page over HTTP, such as on 127.0.0.1:9317
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = OPERATION, value_hint = ValueHint::Other)]
    pub http: Option<ListenAddress>,

    /// File with the token that HTTP asks for; needed when the address is not a loopback address
    #[arg(long, value_name = "FILE", help_heading = OPERATION, value_hint = ValueHint::FilePath)]
    pub http_token_file: Option<PathBuf>,

    /// Name under which a proxy in front reaches HTTP on loopback; may be given several times
    #[arg(long = "http-host", value_name = "NAME", help_heading = OPERATION, value_hint = ValueHint::Other)]
    pub http_hosts: Vec<String>,

    /// How long an interface may be silent before the sensor is not ready [default: 2m]
    #[arg(long, value_name = "TIME", help_heading = OPERATION, value_hint = ValueHint::Other)]
    pub stale_after: Option<StaleAfter>,

    /// How long outputs may take at the end [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = OPERATION, value_hint = ValueHint::Other)]
    pub drain_timeout: Option<DrainTimeout>,

    /// User to become once the sockets are open
    #[arg(long, value_name = "NAME", help_heading = OPERATION, value_hint = ValueHint::Username)]
    pub user: Option<String>,

    /// Lock the sensor in with Landlock and seccomp: auto (as far as the kernel can), on or off [default: auto]
    #[arg(long, value_name = "MODE", help_heading = OPERATION, value_parser = one_of::<Sandboxing>(Sandboxing::NAMES), hide_possible_values = true)]
    pub sandbox: Option<Sandboxing>,

    /// The least that is logged: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL", help_heading = OPERATION, value_parser = one_of::<LogLevel>(LogLevel::NAMES), hide_possible_values = true)]
    pub log_level: Option<LogLevel>,

    /// What the log on standard error looks like: text or json [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = OPERATION, value_parser = one_of::<LogFormat>(LogFormat::NAMES), hide_possible_values = true)]
    pub log_format: Option<LogFormat>,

    /// Print nothing on standard error but warnings and errors, as --log-level warn
    #[arg(short, long, conflicts_with = "log_level")]
    pub quiet: bool,
}

#[cfg(target_os = "linux")]
const CAPTURE: &str = "Capture";
#[cfg(target_os = "linux")]
const ALERTS: &str = "Alerts";
#[cfg(target_os = "linux")]
const OPERATION: &str = "Operation";

#[cfg(target_os = "linux")]
impl WatchArguments {
    /// What was said on the command line, as a configuration.
    pub fn settings(&self) -> WatchSettings {
        fn said<T: Clone>(list: &[T]) -> Option<Several<T>> {
            (!list.is_empty()).then(|| Several(list.to_vec()))
        }
        WatchSettings {
            interface: said(&self.interfaces),
            capture: self.capture,
            workers: self.workers,
            ring_block_size: self.ring_block_size,
            ring_blocks: self.ring_blocks,
            hardware_time: self.hardware_time.then_some(true),
            snaplen: self.snaplen,
            filter: self.filter.clone(),
            tunnel: said(&self.tunnels),
            promiscuous: self.no_promiscuous.then_some(false),
            signatures: self.signatures.replace.clone(),
            signatures_extra: self.signatures.extra.clone(),
            output: said(&self.outputs),
            spool: self.spool.clone(),
            spool_size: self.spool_size,
            state: self.state.clone(),
            http: self.http,
            http_token_file: self.http_token_file.clone(),
            http_host: said(&self.http_hosts),
            summary_interval: self.summary_interval,
            stats_interval: self.stats_interval,
            stale_after: self.stale_after,
            drain_timeout: self.drain_timeout,
            user: self.user.clone(),
            sandbox: self.sandbox,
            sensor: self.sensor.clone(),
            eve_compat: self.eve_compat,
            log_level: if self.quiet { Some(LogLevel::Warn) } else { self.log_level },
            log_format: self.log_format,
        }
    }
}

/// List the hosts of an inventory that 'watch --state' and 'scan --state' keep, also while they run.
///
/// Options that may be given several times list what any of them names; different options must all hold.
#[derive(Debug, Args)]
#[command(after_help = HOSTS_EXAMPLES, after_long_help = long(HOSTS_EXAMPLES, &[HOSTS_EXIT, HOSTS_FILES, ENVIRONMENT]))]
pub struct HostsArguments {
    /// The inventory
    #[arg(long, required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub state: PathBuf,

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

    #[command(flatten)]
    pub signatures: SignatureFolders,
}

fn categories() -> impl TypedValueParser<Value = Category> {
    PossibleValuesParser::new(Category::ALL.map(Category::name))
        .try_map(|name| Category::from_name(&name).ok_or("no such service"))
}

/// One of these names, which completions offer.
#[cfg(target_os = "linux")]
fn one_of<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
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

/// What `--help` and the manual page say at their ends: examples, then the rest.
fn long(examples: &str, rest: &[&str]) -> String {
    let parts: Vec<&str> = std::iter::once(examples).chain(rest.iter().copied()).collect();
    parts.join("\n\n")
}

const PROGRAM_EXAMPLES: &str = "\
Examples:
  kaspector scan office.pcap
  kaspector scan /captures --format json
  kaspector watch -i eth1 -o file:eve.json
  kaspector hosts --state hosts.state --since 7d
  kaspector signatures test s07.upd.kaspersky.com";

const PROGRAM_EXIT: &str = "\
Exit status:
  0  ran
  1  an output could not be written, or anything that none of the others says
  2  bad usage
  3  --fail-on met; for 'signatures test', nothing matches
  4  an input could not be read at all; the others are still reported";

const SCAN_EXIT: &str = "\
Exit status:
  0  every input was read
  1  an output could not be written, the scan was interrupted, or a defect
  2  bad usage; an output that is an input, or that belongs to another program
  3  --fail-on met
  4  an input could not be read at all; the others are still reported";

const SCAN_FILES: &str = "\
Files:
  PATH          a name that is not UTF-8 is shown with \\xNN for such bytes and
                with \\\\ for a backslash
  --output FILE replaced when it is an answer of this program, left alone else
  --eve FILE    replaced when each of its lines is an alert of a scan, left
                alone else; never an input, nor a capture
  --state FILE  an SQLite database; FILE-wal and FILE-shm stand beside it while
                it is in use";

const ENVIRONMENT: &str = "\
Environment:
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE  whether there is colour on a terminal
  RUST_BACKTRACE                      1: where a defect came from, call by call";

const HOSTS_EXIT: &str = "\
Exit status:
  0  the inventory was read, whether a host is what was asked for or not
  1  it could not be read, or standard output could not be written
  2  bad usage; no such inventory";

const HOSTS_FILES: &str = "\
Files:
  --state FILE  read, never changed
  /var/lib/kaspector/hosts.db
                the inventory of the packaged service";

const SIGNATURES_EXIT: &str = "\
Exit status:
  0  ran
  1  standard output could not be written
  2  bad usage; signature files that are wrong";

const COMPLETIONS_EXIT: &str = "\
Exit status:
  0  ran
  1  standard output could not be written
  2  bad usage";

const EXPORT_EXIT: &str = "\
Exit status:
  0  written
  1  a file could not be written
  2  bad usage; signature files that are wrong; a file of another program";

const EXPORT_FILES: &str = "\
Files:
  PATH             replaced when an export wrote it, left alone else
  PATH/SHA256SUMS  what an export wrote into a folder";

const EXPORT_EXAMPLES: &str = "\
Examples:
  kaspector export suricata -o kaspector-rules
  kaspector export zeek -o kaspector-zeek --signatures-extra ./my-signatures
  kaspector export stix -o kaspector.stix.json
  kaspector export csv --browse > kaspector.csv
  kaspector export wireshark -o ~/.local/lib/wireshark/plugins/kaspector.tsv";

const TEST_EXIT: &str = "\
Exit status:
  0  an indicator matches
  1  standard output could not be written
  2  bad usage; signature files that are wrong
  3  no indicator matches";

const SIGNATURES_FILES: &str = "\
Files:
  DIR/*.toml  signature files, read in the order of their names";

#[cfg(target_os = "linux")]
const WATCH_EXIT: &str = "\
Exit status:
  0    ended by SIGTERM or Ctrl-C
  1    anything that none of the others says
  2    bad usage, or a configuration that is wrong
  4    an interface could not be read
  130  ended at once, by a second signal";

#[cfg(target_os = "linux")]
const WATCH_FILES: &str = "\
Files:
  /etc/kaspector/kaspector.toml  configuration of the packaged service
  /var/log/kaspector/eve.json    its alerts
  /var/lib/kaspector/spool       its spool
  /var/lib/kaspector/hosts.db    its inventory of hosts
  file:PATH                      alerts are added at the end of a file that is
                                 new, empty or holds EVE lines, and of no other";

#[cfg(target_os = "linux")]
const WATCH_ENVIRONMENT: &str = "\
Environment:
  NAME of token-env=NAME          secret of an HTTP output
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                                  proxies of HTTP outputs
  SSL_CERT_FILE, SSL_CERT_DIR     authorities in place of the system's
  NOTIFY_SOCKET, WATCHDOG_USEC    set by systemd: readiness and watchdog
  JOURNAL_STREAM                  set by systemd: the log has no time of its own
  NO_COLOR                        no colour in the log
  RUST_BACKTRACE                  1: where a defect came from, call by call";

const SCAN_EXAMPLES: &str = "\
Examples:
  kaspector scan office.pcap                        a table of hosts
  kaspector scan /captures --format json            everything below a folder
  kaspector scan /captures --format csv -o hosts.csv
  kaspector scan 'span-*.pcap.zst' --eve eve.json   alerts for an IDS pipeline
  zcat old.pcap.gz | kaspector scan -               standard input
  kaspector scan a.pcap --filter 'not port 22'      a libpcap filter
  kaspector scan a.pcap --fail-on confirmed         exit code 3 when found
  kaspector scan /captures --state hosts.state      add to an inventory";

const HOSTS_EXAMPLES: &str = "\
Examples:
  kaspector hosts --state hosts.state                             all hosts
  kaspector hosts --state hosts.state --verdict confirmed --since 7d
  kaspector hosts --state hosts.state --address 10.20.0.0/16 --format csv
  kaspector hosts --state hosts.state --format json | jq '.hosts[].address'";

#[cfg(target_os = "linux")]
const WATCH_EXAMPLES: &str = "\
Examples:
  kaspector watch -i eth1                            alerts on standard output
  kaspector watch -i eth1 -o file:eve.json --spool ./spool
  kaspector watch -i eth1 -i eth2 -o unix-stream:/run/eve.sock
  kaspector watch -i eth1 --filter 'not port 22' -o syslog+tcp://siem:601
  kaspector watch -i eth1 --http 127.0.0.1:9317      metrics, health and a page
  kaspector watch -c /etc/kaspector/watch.toml --check-config";

const SIGNATURES_EXAMPLES: &str = "\
Examples:
  kaspector signatures list
  kaspector signatures show KL-UPD-0001
  kaspector signatures check ./my-signatures
  kaspector signatures test s07.upd.kaspersky.com";

const SHOW_EXAMPLES: &str = "Example:\n  kaspector signatures show KL-UPD-0001";

const CHECK_EXAMPLES: &str = "Example:\n  kaspector signatures check ./my-signatures";

const LIST_EXAMPLES: &str = "\
Examples:
  kaspector signatures list
  kaspector signatures list | grep installed
  kaspector signatures list --format csv -o indicators.csv
  kaspector signatures list --signatures-extra ./my-signatures";

const COMPLETIONS_FILES: &str = "\
Files:
  ~/.local/share/bash-completion/completions/kaspector  where bash looks
  ~/.config/fish/completions/kaspector.fish             where fish looks
  _kaspector in a folder of $fpath                      where zsh looks";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  kaspector completions bash > ~/.local/share/bash-completion/completions/kaspector
  kaspector completions zsh > ~/.zfunc/_kaspector
  kaspector completions fish > ~/.config/fish/completions/kaspector.fish";

const TEST_EXAMPLES: &str = "\
Examples:
  kaspector signatures test s07.upd.kaspersky.com
  kaspector signatures test 77.74.181.10
  kaspector signatures test http://mirror.example/index/u1313g.xml";

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
                    let takes_path = argument
                        .get_value_names()
                        .is_some_and(|names| names.iter().any(|name| matches!(name.as_str(), "FILE" | "DIR" | "PATH")));
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
