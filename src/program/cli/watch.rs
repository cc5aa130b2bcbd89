//! The options of `kaspector watch`, and the configuration that they make.

use super::SignatureFolders;
use super::help::{WATCH_ENVIRONMENT, WATCH_EXAMPLES, WATCH_EXIT, WATCH_FILES, long};
use crate::config::{
    BlockSize, Blocks, DrainTimeout, EveVersion, EvidencePackets, EvidenceSize, EvidenceTotal, FilterText,
    InterfaceName, ListenAddress, LogFormat, LogLevel, Output, Sandboxing, Several, SilentAfter, Snaplen, SpoolSize,
    StaleAfter, StatsInterval, SummaryInterval, WatchSettings, Workers,
};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use kaspector::decode::TunnelPort;
use kaspector_live::CaptureKind;
use std::path::PathBuf;
use std::str::FromStr;

/// Watch interfaces and report hosts as soon as they show Kaspersky traffic.
///
/// Reads mirrored traffic from a packet ring; it never sends a packet into it. What the command line leaves out is taken from the
/// configuration file, if one is named, and else has its default. Ends with a summary on SIGTERM or Ctrl-C, at once on the second; SIGHUP
/// reads signatures and configuration again and opens output files anew. Needs the capability CAP_NET_RAW.
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

    /// What is known of the site (TOML): names and owners of subnets and machines, resolvers, proxies, NAT, exceptions
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub site: Option<PathBuf>,

    /// Where alerts go, as Suricata EVE JSON if not told else; may be given several times [default: stdout]
    ///
    /// stdout, file:PATH, unix-stream:PATH, unix-dgram:PATH, syslog+udp://HOST:PORT, syslog+tcp://HOST:PORT, syslog+tls://HOST:PORT,
    /// http(s)://HOST/PATH?shape=elastic|splunk|ndjson, https:?shape=slack|teams&url-file=PATH,
    /// smtp://HOST:25?from=A&to=B, smtp+starttls://HOST:587, smtps://HOST:465, kafka://BROKER/TOPIC. ?format=ecs|ocsf (syslog:
    /// body=json|cef|ecs|ocsf) writes in other words than EVE's; docs/outputs.md has the options of each.
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

    /// Report a known host that has shown nothing for so long, such as 14d, and its return [default: not]
    #[arg(long, value_name = "TIME", help_heading = ALERTS, value_hint = ValueHint::Other)]
    pub silent_after: Option<SilentAfter>,

    /// Name of this sensor, as receivers shall see it [default: the host's name]
    #[arg(long, value_name = "NAME", help_heading = ALERTS, value_hint = ValueHint::Other)]
    pub sensor: Option<String>,

    /// Keep the packets that prove each finding in DIR, as a pcapng file for each host with a description and a manifest
    #[arg(long, value_name = "DIR", help_heading = ALERTS, value_hint = ValueHint::DirPath)]
    pub evidence: Option<PathBuf>,

    /// Packets to keep of each host [default: 64]
    #[arg(long, value_name = "N", help_heading = ALERTS, value_hint = ValueHint::Other)]
    pub evidence_packets: Option<EvidencePackets>,

    /// Bytes of packets to keep of each host [default: 256KiB]
    #[arg(long, value_name = "SIZE", help_heading = ALERTS, value_hint = ValueHint::Other)]
    pub evidence_size: Option<EvidenceSize>,

    /// Bytes of all evidence in the folder; then nothing is added any more [default: 1GiB]
    #[arg(long, value_name = "SIZE", help_heading = ALERTS, value_hint = ValueHint::Other)]
    pub evidence_total: Option<EvidenceTotal>,

    /// Zero the payload behind the last value that matched in a connection
    #[arg(long, help_heading = ALERTS)]
    pub evidence_redact: bool,

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

const CAPTURE: &str = "Capture";
const ALERTS: &str = "Alerts";
const OPERATION: &str = "Operation";

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
            site: self.site.clone(),
            output: said(&self.outputs),
            spool: self.spool.clone(),
            spool_size: self.spool_size,
            evidence: self.evidence.clone(),
            evidence_packets: self.evidence_packets,
            evidence_size: self.evidence_size,
            evidence_total: self.evidence_total,
            evidence_redact: self.evidence_redact.then_some(true),
            state: self.state.clone(),
            http: self.http,
            http_token_file: self.http_token_file.clone(),
            http_host: said(&self.http_hosts),
            summary_interval: self.summary_interval,
            stats_interval: self.stats_interval,
            stale_after: self.stale_after,
            silent_after: self.silent_after,
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

/// One of these names, which completions offer.
fn one_of<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}
