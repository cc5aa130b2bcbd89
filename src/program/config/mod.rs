//! What `kaspector watch` was told: by flags and by a TOML file, flags winning.
//!
//! In:    flags and a TOML file.
//! Out:   checked settings, or every fault with its line.
//! Never: opens an interface or an output.
//!
//! Keys of the file are the long flags without their dashes, so that one list serves both. Every value is checked when it is read.

mod changes;
mod check;
mod effective;
mod value;

pub use changes::Changes;
pub use check::{Checked, check};
pub use value::{
    Count, EveVersion, FilterText, InterfaceName, ListenAddress, LogFormat, LogLevel, Output, Sandboxing, Several,
    Size, Span, ValueError,
};

use kaspector::capture::display_path;
use kaspector::decode::{TunnelPort, TunnelPorts};
use kaspector::pipeline::LANES;
use kaspector_delivery::{OutputSpec, RecordFormat};
use kaspector_live::{CaptureKind, RingOptions};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Most bytes of a configuration file.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Workers of one interface.
pub type Workers = Count<1, { LANES as u64 }>;
/// Bytes of one ring block.
pub type BlockSize = Size<{ 64 << 10 }, { 64 << 20 }>;
/// Blocks of one ring.
pub type Blocks = Count<2, 4096>;
/// Longest part of a packet that is looked at, in bytes.
pub type Snaplen = Count<64, 262_144>;
/// Bytes of packets that are kept of each host.
pub type EvidenceSize = Size<{ 4 << 10 }, { 64 << 20 }>;
/// Packets that are kept of each host.
pub type EvidencePackets = Count<4, 65_535>;
/// Bytes of all evidence in the folder.
pub type EvidenceTotal = Size<{ 1 << 20 }, { 1 << 40 }>;
/// Bytes of the spool.
pub type SpoolSize = Size<{ 16 << 20 }, { 1 << 40 }>;
/// Between two summaries of one finding.
pub type SummaryInterval = Span<1, { 7 * 86_400 }>;
/// Between two records of counters.
pub type StatsInterval = Span<1, 86_400>;
/// How long an interface may be silent.
pub type StaleAfter = Span<1, 86_400>;
/// How long a host shows nothing before that is told.
pub type SilentAfter = Span<1, { 3650 * 86_400 }>;
/// How long outputs may take at the end.
pub type DrainTimeout = Span<1, 600>;

/// What one place says; what it leaves out is `None`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WatchSettings {
    /// Interfaces to watch.
    pub interface: Option<Several<InterfaceName>>,
    /// What takes packets off them.
    pub capture: Option<CaptureKind>,
    /// Workers for each interface.
    pub workers: Option<Workers>,
    /// Bytes of one ring block.
    pub ring_block_size: Option<BlockSize>,
    /// Blocks of the ring of one worker.
    pub ring_blocks: Option<Blocks>,
    /// Whether to take the time of the interface's own clock.
    pub hardware_time: Option<bool>,
    /// Bytes of each packet to look at.
    pub snaplen: Option<Snaplen>,
    /// Which packets to look at.
    pub filter: Option<FilterText>,
    /// Ports of the site's own where tunnels are.
    #[serde(alias = "tunnels")]
    pub tunnel: Option<Several<TunnelPort>>,
    /// Whether to take what is addressed to others.
    pub promiscuous: Option<bool>,
    /// Folder that replaces the built-in signatures.
    pub signatures: Option<PathBuf>,
    /// Folder that adds to them.
    pub signatures_extra: Option<PathBuf>,
    /// What is known of the site.
    pub site: Option<PathBuf>,
    /// Where alerts go.
    pub output: Option<Several<Output>>,
    /// Folder where they wait.
    pub spool: Option<PathBuf>,
    /// How much may wait.
    pub spool_size: Option<SpoolSize>,
    /// Folder for the packets that prove something.
    pub evidence: Option<PathBuf>,
    /// How many of each host.
    pub evidence_packets: Option<EvidencePackets>,
    /// Their bytes.
    pub evidence_size: Option<EvidenceSize>,
    /// Bytes of all in the folder.
    pub evidence_total: Option<EvidenceTotal>,
    /// Whether payload behind the proof is zeroed.
    pub evidence_redact: Option<bool>,
    /// File that holds the hosts.
    pub state: Option<PathBuf>,
    /// Where HTTP is served.
    pub http: Option<ListenAddress>,
    /// File with the token that HTTP asks for.
    pub http_token_file: Option<PathBuf>,
    /// Host names under which HTTP is reached.
    pub http_host: Option<Several<String>>,
    /// Between two summaries of one finding.
    pub summary_interval: Option<SummaryInterval>,
    /// Between two records of counters.
    pub stats_interval: Option<StatsInterval>,
    /// How long an interface may be silent.
    pub stale_after: Option<StaleAfter>,
    /// How long a host shows nothing before that is told.
    pub silent_after: Option<SilentAfter>,
    /// How long outputs may take at the end.
    pub drain_timeout: Option<DrainTimeout>,
    /// User to become.
    pub user: Option<String>,
    /// Whether the sensor locks itself in.
    pub sandbox: Option<Sandboxing>,
    /// Name of the sensor.
    pub sensor: Option<String>,
    /// Schema of the alerts.
    pub eve_compat: Option<EveVersion>,
    /// The least that is logged.
    pub log_level: Option<LogLevel>,
    /// What the log looks like.
    pub log_format: Option<LogFormat>,
}

/// What to do, every question answered.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchConfig {
    /// Interfaces to watch, at least one, none twice.
    pub interfaces: Vec<String>,
    /// What takes packets off them.
    pub capture: CaptureKind,
    /// Workers for each interface: a power of two, at most [`LANES`].
    pub workers: usize,
    /// Bytes of one ring block: a power of two, at least the snap length.
    pub ring_block_bytes: u32,
    /// Blocks of the ring of one worker; `None`: as the speed of the link asks for.
    pub ring_blocks: Option<u32>,
    /// Whether to take the time of the interface's own clock.
    pub hardware_time: bool,
    /// Bytes of each packet to look at.
    pub snaplen: u32,
    /// libpcap expression that chooses packets.
    pub filter: Option<String>,
    /// Ports of the site's own where tunnels are opened, as many as [`TunnelPorts`] can hold.
    pub tunnels: Vec<TunnelPort>,
    /// Whether to take what is addressed to others.
    pub promiscuous: bool,
    /// Folder that replaces the built-in signatures.
    pub signatures: Option<PathBuf>,
    /// Folder that adds to them.
    pub signatures_extra: Option<PathBuf>,
    /// File with what is known of the site.
    pub site: Option<PathBuf>,
    /// Where alerts go; standard output when nothing was said.
    pub outputs: Vec<OutputSpec>,
    /// How the outputs were said, for showing.
    said_outputs: Vec<toml::Value>,
    /// Folder where alerts wait; `None`: in memory.
    pub spool: Option<PathBuf>,
    /// Bytes that may wait.
    pub spool_bytes: u64,
    /// Where the packets are kept that prove something.
    pub evidence: Option<EvidenceConfig>,
    /// File that holds the hosts; `None`: they are forgotten at the end.
    pub state: Option<PathBuf>,
    /// HTTP, if it is wanted.
    pub http: Option<HttpConfig>,
    /// Between two summaries of one finding.
    pub summary_interval: Duration,
    /// Between two records of counters.
    pub stats_interval: Duration,
    /// How long an interface may be silent before the sensor is not ready.
    pub stale_after: Duration,
    /// How long a host shows nothing before that is told; `None`: it is not told.
    pub silent_after: Option<Duration>,
    /// How long outputs may take at the end.
    pub drain_timeout: Duration,
    /// User to become; `None`: as the sandbox's own rule says.
    pub user: Option<String>,
    /// Whether the sensor locks itself in.
    pub sandbox: Sandboxing,
    /// Name of the sensor.
    pub sensor: String,
    /// Schema of the alerts.
    pub eve_compat: EveVersion,
    /// The least that is logged.
    pub log_level: LogLevel,
    /// What the log looks like.
    pub log_format: LogFormat,
}

/// Where evidence is kept, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceConfig {
    /// The folder.
    pub folder: PathBuf,
    /// Packets of each host.
    pub packets: u16,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes of all that is in the folder, above which nothing is added.
    pub total_bytes: u64,
    /// Whether payload behind the proof is zeroed.
    pub redacts: bool,
}

/// How HTTP is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where.
    pub address: SocketAddr,
    /// File with the token; always there when the address is not loopback.
    pub token_file: Option<PathBuf>,
    /// Names besides `localhost` under which a loopback address is reached, such as that of a proxy in front.
    pub hosts: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {cause}; give another with --config", display_path(file))]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file is no configuration.
    #[error("{}: longer than {FILE_BYTES_MAX} bytes; this is no configuration", display_path(file))]
    TooLong {
        /// The file.
        file: PathBuf,
    },
    /// Something in the file.
    #[error("{}:{line}: {what}", display_path(file))]
    Wrong {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong, and what is expected.
        what: String,
    },
    /// Nothing to watch.
    #[error("no interface: name one with --interface, or with `interface = \"eth1\"` in the configuration file")]
    NoInterface,
    /// Two values that do not go together.
    #[error("{0}")]
    Clash(String),
}

impl WatchSettings {
    /// Reads the text of `file`, which names it in errors.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`] with the line, for the first thing that is wrong.
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let (settings, faults) = Self::read(text, file);
        faults.into_iter().next().map_or(Ok(settings), Err)
    }

    /// Reads the text of `file`: what it says, as far as that is right, and all that is wrong, by line.
    #[must_use]
    pub fn read(text: &str, file: &Path) -> (Self, Vec<ConfigError>) {
        let line_of =
            |start: usize| 1 + memchr::memchr_iter(b'\n', text.as_bytes().get(..start).unwrap_or_default()).count();
        let fault = |error: &toml::de::Error| {
            let line = line_of(error.span().map_or(0, |span| span.start));
            (line, error.message().trim_end().replace('\n', "; "))
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut faults: Vec<(usize, String)> = errors.iter().map(fault).collect();
        // What stands on a line that is no TOML is a guess.
        let guessed: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
        let span = table.span();
        let mut settings = Self::default();
        for (key, value) in table.into_inner() {
            let of_value = |value: Spanned<DeValue<'_>>| {
                let mut alone = DeTable::new();
                alone.insert(key.clone(), value);
                Self::deserialize(toml::Deserializer::from(Spanned::new(span.clone(), alone)))
            };
            let parts = match value.get_ref() {
                DeValue::Array(list) if list.len() > 1 => list.iter().cloned().collect(),
                _ => Vec::new(),
            };
            match of_value(value.clone()) {
                Ok(said) => settings = settings.or(said),
                Err(error) => {
                    // Of a list, each part may be wrong in a way of its own.
                    let whole = |part: Spanned<DeValue<'_>>| {
                        let list: DeArray<'_> = std::iter::once(part.clone()).collect();
                        of_value(Spanned::new(part.span(), DeValue::Array(list))).err()
                    };
                    let of_parts: Vec<_> = parts.into_iter().filter_map(whole).map(|error| fault(&error)).collect();
                    let of_all = if of_parts.is_empty() { vec![fault(&error)] } else { of_parts };
                    faults.extend(of_all.into_iter().filter(|(line, _)| !guessed.contains(line)));
                }
            }
        }
        faults.sort();
        let wrong = |(line, what)| ConfigError::Wrong { file: file.to_owned(), line, what };
        (settings, faults.into_iter().map(wrong).collect())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] when it cannot be read, or is not right.
    pub fn from_file(file: &Path) -> Result<Self, ConfigError> {
        Self::from_toml(&text_of(file)?, file)
    }

    /// Reads a file, as far as it is right, and says all that is wrong with it.
    ///
    /// # Errors
    /// [`ConfigError`] when it cannot be read at all.
    pub fn read_file(file: &Path) -> Result<(Self, Vec<ConfigError>), ConfigError> {
        Ok(Self::read(&text_of(file)?, file))
    }

    /// What `self` says, and where it says nothing what `other` says. Lists are not joined.
    #[must_use]
    fn or(self, other: Self) -> Self {
        Self {
            interface: self.interface.or(other.interface),
            capture: self.capture.or(other.capture),
            workers: self.workers.or(other.workers),
            ring_block_size: self.ring_block_size.or(other.ring_block_size),
            ring_blocks: self.ring_blocks.or(other.ring_blocks),
            hardware_time: self.hardware_time.or(other.hardware_time),
            snaplen: self.snaplen.or(other.snaplen),
            filter: self.filter.or(other.filter),
            tunnel: self.tunnel.or(other.tunnel),
            promiscuous: self.promiscuous.or(other.promiscuous),
            signatures: self.signatures.or(other.signatures),
            signatures_extra: self.signatures_extra.or(other.signatures_extra),
            site: self.site.or(other.site),
            output: self.output.or(other.output),
            spool: self.spool.or(other.spool),
            spool_size: self.spool_size.or(other.spool_size),
            evidence: self.evidence.or(other.evidence),
            evidence_packets: self.evidence_packets.or(other.evidence_packets),
            evidence_size: self.evidence_size.or(other.evidence_size),
            evidence_total: self.evidence_total.or(other.evidence_total),
            evidence_redact: self.evidence_redact.or(other.evidence_redact),
            state: self.state.or(other.state),
            http: self.http.or(other.http),
            http_token_file: self.http_token_file.or(other.http_token_file),
            http_host: self.http_host.or(other.http_host),
            summary_interval: self.summary_interval.or(other.summary_interval),
            stats_interval: self.stats_interval.or(other.stats_interval),
            stale_after: self.stale_after.or(other.stale_after),
            silent_after: self.silent_after.or(other.silent_after),
            drain_timeout: self.drain_timeout.or(other.drain_timeout),
            user: self.user.or(other.user),
            sandbox: self.sandbox.or(other.sandbox),
            sensor: self.sensor.or(other.sensor),
            eve_compat: self.eve_compat.or(other.eve_compat),
            log_level: self.log_level.or(other.log_level),
            log_format: self.log_format.or(other.log_format),
        }
    }
}

fn text_of(file: &Path) -> Result<String, ConfigError> {
    let unreadable = |cause| ConfigError::Unreadable { file: file.to_owned(), cause };
    let mut text = String::new();
    File::open(file).and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(ConfigError::TooLong { file: file.to_owned() });
    }
    Ok(text)
}

/// The configuration that flags and file make together; flags win, key by key.
///
/// # Errors
/// [`ConfigError`] when no interface is named, or two values do not go together: the first such thing.
pub fn merged(flags: WatchSettings, file: WatchSettings) -> Result<WatchConfig, ConfigError> {
    let (config, faults) = merge(flags, file);
    faults.into_iter().next().map_or(Ok(config), Err)
}

/// As [`merged`], with all that is wrong. Where something is, the configuration is of no use but to look for more.
#[must_use]
pub fn merge(flags: WatchSettings, file: WatchSettings) -> (WatchConfig, Vec<ConfigError>) {
    let mut faults = Vec::new();
    let settings = flags.or(file);
    let interfaces: Vec<String> =
        settings.interface.map_or_else(Vec::new, |names| names.0.into_iter().map(|name| name.0).collect());
    if interfaces.is_empty() {
        faults.push(ConfigError::NoInterface);
    }
    for (number, name) in interfaces.iter().enumerate() {
        if interfaces.iter().take(number).any(|other| other == name) {
            faults.push(ConfigError::Clash(format!("interface {name}: named twice; its packets would count twice")));
        }
    }
    let capture = settings.capture.unwrap_or_default();
    faults.extend(can_capture(capture).err());
    let http = http(settings.http, settings.http_token_file, settings.http_host).unwrap_or_else(|fault| {
        faults.push(fault);
        None
    });
    let bounds = [
        ("evidence-packets", settings.evidence_packets.is_some()),
        ("evidence-size", settings.evidence_size.is_some()),
        ("evidence-total", settings.evidence_total.is_some()),
        ("evidence-redact", settings.evidence_redact.is_some()),
    ];
    if settings.evidence.is_none()
        && let Some((key, _)) = bounds.iter().find(|(_, is_said)| *is_said)
    {
        faults.push(ConfigError::Clash(format!("{key}: no evidence is kept; name a folder with evidence, too")));
    }
    let evidence = settings.evidence.map(|folder| EvidenceConfig {
        folder,
        packets: settings.evidence_packets.map_or(64, |count| u16::try_from(count.0).unwrap_or(u16::MAX)),
        bytes: settings.evidence_size.map_or(256 << 10, |size| size.0),
        total_bytes: settings.evidence_total.map_or(1 << 30, |size| size.0),
        redacts: settings.evidence_redact.unwrap_or(false),
    });
    let workers = settings.workers.map_or(1, |count| count.0);
    if !workers.is_power_of_two() {
        faults.push(ConfigError::Clash(format!("workers {workers}: expected 1, 2, 4 or {LANES}")));
    }
    let ring_block_bytes = short(settings.ring_block_size.map_or(1 << 20, |size| size.0));
    let snaplen = short(settings.snaplen.map_or(65_535, |count| count.0));
    if !ring_block_bytes.is_power_of_two() {
        let what = format!("ring-block-size: {ring_block_bytes} bytes are no power of two; the kernel needs one");
        faults.push(ConfigError::Clash(what));
    }
    // A block holds a header of its own, and one for each packet.
    if capture == CaptureKind::Afpacket && snaplen > ring_block_bytes.saturating_sub(RING_HEADERS) {
        let what = format!(
            "snaplen {snaplen} does not fit into a ring-block-size of {ring_block_bytes} bytes; make one smaller or the other larger"
        );
        faults.push(ConfigError::Clash(what));
    }
    let tunnels = settings.tunnel.map_or_else(Vec::new, |list| list.0);
    faults.extend(TunnelPorts::complaint(&tunnels).map(ConfigError::Clash));
    let outputs = settings.output.map_or_else(
        || {
            vec![Output {
                spec: OutputSpec::Stdout { format: RecordFormat::Eve },
                said: toml::Value::String("stdout".to_owned()),
            }]
        },
        |list| list.0,
    );
    let (specs, said_outputs) = outputs.into_iter().map(|output| (output.spec, output.said)).unzip();
    let config = WatchConfig {
        interfaces,
        capture,
        workers: usize::try_from(workers).unwrap_or(1),
        ring_block_bytes,
        ring_blocks: settings.ring_blocks.map(|count| short(count.0)),
        hardware_time: settings.hardware_time.unwrap_or(false),
        snaplen,
        filter: settings.filter.map(|filter| filter.0),
        tunnels,
        promiscuous: settings.promiscuous.unwrap_or(true),
        signatures: settings.signatures,
        signatures_extra: settings.signatures_extra,
        site: settings.site,
        outputs: specs,
        said_outputs,
        spool: settings.spool,
        spool_bytes: settings.spool_size.map_or(256 << 20, |size| size.0),
        evidence,
        state: settings.state,
        http,
        summary_interval: settings.summary_interval.map_or(HOUR, |span| span.0),
        stats_interval: settings.stats_interval.map_or(Duration::from_secs(8), |span| span.0),
        stale_after: settings.stale_after.map_or(Duration::from_secs(120), |span| span.0),
        silent_after: settings.silent_after.map(|span| span.0),
        drain_timeout: settings.drain_timeout.map_or(Duration::from_secs(10), |span| span.0),
        user: settings.user,
        sandbox: settings.sandbox.unwrap_or(Sandboxing::Auto),
        sensor: settings.sensor.unwrap_or_else(host_name),
        eve_compat: settings.eve_compat.unwrap_or(EveVersion::V7),
        log_level: settings.log_level.unwrap_or(LogLevel::Info),
        log_format: settings.log_format.unwrap_or(LogFormat::Text),
    };
    (config, faults)
}

impl WatchConfig {
    /// Bytes of memory that all rings take together, if the speeds of the links are not known.
    #[must_use]
    pub fn ring_memory(&self) -> u64 {
        let ring =
            u64::from(self.ring_block_bytes) * u64::from(self.ring_blocks.unwrap_or(RingOptions::default().blocks));
        ring.saturating_mul(self.workers as u64).saturating_mul(self.interfaces.len() as u64)
    }
}

const HOUR: Duration = Duration::from_secs(3600);
/// Room for the headers of a block and of one packet in it.
const RING_HEADERS: u32 = 512;

/// A number whose bounds leave it far below the largest.
fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn can_capture(kind: CaptureKind) -> Result<(), ConfigError> {
    let trouble = match kind {
        CaptureKind::Afpacket if !cfg!(target_os = "linux") => "capture afpacket: only Linux has it; take pcap",
        CaptureKind::Pcap if !cfg!(feature = "libpcap") => {
            "capture pcap: this build has no libpcap; build with --features libpcap"
        }
        _ => return Ok(()),
    };
    Err(ConfigError::Clash(trouble.to_owned()))
}

fn http(
    address: Option<ListenAddress>,
    token_file: Option<PathBuf>,
    hosts: Option<Several<String>>,
) -> Result<Option<HttpConfig>, ConfigError> {
    let Some(ListenAddress(address)) = address else {
        if token_file.is_some() || hosts.is_some() {
            let what = "http-token-file and http-host: nothing is served; say where with http = \"127.0.0.1:9317\"";
            return Err(ConfigError::Clash(what.to_owned()));
        }
        return Ok(None);
    };
    if !address.ip().is_loopback() && token_file.is_none() {
        let what = format!(
            "http {address}: others can reach this address, so a token is needed; name its file with --http-token-file, or serve on 127.0.0.1"
        );
        return Err(ConfigError::Clash(what));
    }
    Ok(Some(HttpConfig { address, token_file, hosts: hosts.map_or_else(Vec::new, |list| list.0) }))
}

/// What the kernel calls this machine.
fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() || name == "(none)" { "kaspector".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<WatchSettings, ConfigError> {
        WatchSettings::from_toml(text, Path::new("k.toml"))
    }

    fn config(text: &str) -> Result<WatchConfig, ConfigError> {
        merged(WatchSettings::default(), read(text)?)
    }

    fn error(text: &str) -> String {
        config(text).unwrap_err().to_string()
    }

    #[test]
    fn an_interface_is_enough() {
        let config = config("interface = 'eth1'").unwrap();
        assert_eq!(config.interfaces, ["eth1"]);
        assert_eq!(config.outputs, [OutputSpec::Stdout { format: RecordFormat::Eve }]);
        assert_eq!((config.ring_memory(), config.snaplen), ((64 << 20) * config.workers as u64, 65_535));
        assert_eq!((config.stats_interval, config.http), (Duration::from_secs(8), None));
        assert!(config.promiscuous && !config.sensor.is_empty());
    }

    #[test]
    fn flags_win_key_by_key() {
        let file = read("interface = ['eth1', 'eth2']\nstats-interval = '1m'\noutput = 'stdout'\npromiscuous = false")
            .unwrap();
        let flags = WatchSettings {
            interface: Some(Several(vec!["lo".parse().unwrap()])),
            output: Some(Several(vec!["file:/tmp/e".parse().unwrap()])),
            promiscuous: Some(true),
            ..WatchSettings::default()
        };
        let config = merged(flags, file).unwrap();
        assert_eq!(config.interfaces, ["lo"]);
        assert_eq!(config.stats_interval, Duration::from_secs(60));
        assert_eq!(config.outputs, ["file:/tmp/e".parse().unwrap()]);
        assert!(config.promiscuous);
    }

    #[test]
    fn outputs_are_texts_or_tables() {
        let config = config(
            "interface = 'lo'\noutput = ['stdout', { kind = 'file', path = '/var/log/e.json', rotate-size = '1M' }]",
        );
        assert_eq!(
            config.unwrap().outputs,
            ["stdout", "file:/var/log/e.json?rotate-size=1M"].map(|text| text.parse().unwrap())
        );
        let config = read("[[output]]\nkind = 'unix-stream'\npath = '/run/s'").unwrap();
        assert_eq!(config.output.unwrap().0.first().unwrap().spec, "unix-stream:/run/s".parse().unwrap());
    }

    #[test]
    fn errors_say_where_and_what_was_expected() {
        let said = error("# one\ninterface = 'eth1'\nstats-interval = '0s'");
        assert_eq!(said, "k.toml:3: \"0s\": expected a time from 1s to 1d, with s, m, h or d behind the number");
        let said = error("interface = 'eth1'\n\nstats-intervall = '8s'");
        assert!(said.starts_with("k.toml:3: unknown field `stats-intervall`"), "{said}");
        assert!(said.contains("stats-interval"), "{said}");
        assert!(
            error("interface = 'eth1'\ncapture = 'dpdk'")
                .starts_with("k.toml:2: \"dpdk\" is no kind of capture; there are: afpacket")
        );
        assert!(
            error("interface = 'eth1'\nsnaplen = 1").starts_with("k.toml:2: \"1\": expected a whole number from 64")
        );
        assert!(error("interface = 'eth1'\noutput = ['stdout',\n 'gopher:x']").starts_with("k.toml:3: output gopher:"));
        assert!(error("interface = 7\n").starts_with("k.toml:1: invalid type: integer `7`, expected a text"));
        assert!(error("interface = 'eth1'\n[[output]]\nkind = 'file'\n").starts_with("k.toml:2: missing field `path`"));
        assert!(
            error("interface = 'eth1'\nhttp = 'localhost'")
                .starts_with("k.toml:2: \"localhost\": expected ADDRESS:PORT")
        );
        assert!(error("interface = \n").starts_with("k.toml:1: "));
        assert!(error("workers = 2").starts_with("no interface"));
        assert!(error("interface = ['a', 'a']").contains("twice"));
    }

    #[test]
    fn all_that_is_wrong_is_said_by_line() {
        let text = "interface = ['eth1', 'no/slash', 'eth2', 'a b']\nstats-intervall = '8s'\nsnaplen = 1\n\
            output = ['stdout',\n 'gopher:x',\n 'file:/x',\n 'ftp:y']\nworkers = 3\nring-block-size = '100KiB'\n\
            = 7\nstate = 8\n[[output]]\nkind = 'file'\n[[output]]\nkind = 'nothing'\n";
        let (settings, faults) = WatchSettings::read(text, Path::new("k.toml"));
        let lines: Vec<usize> = faults
            .iter()
            .map(|fault| match fault {
                ConfigError::Wrong { line, .. } => *line,
                other => panic!("{other}"),
            })
            .collect();
        for line in [1, 2, 3, 5, 7, 10, 11] {
            assert!(lines.contains(&line), "{line}: {faults:?}");
        }
        assert_eq!(lines.iter().filter(|&&line| line == 1).count(), 2, "{faults:?}");
        assert!(lines.is_sorted());
        assert!(lines.iter().all(|line| ![4, 6, 8, 9].contains(line)), "{faults:?}");
        let said: Vec<String> = merge(WatchSettings::default(), settings).1.iter().map(ToString::to_string).collect();
        for part in ["no interface", "workers 3", "power of two"] {
            assert!(said.iter().any(|fault| fault.contains(part)), "{part}: {said:?}");
        }
    }

    #[cfg(feature = "libpcap")]
    #[test]
    fn filters_are_compiled_at_once() {
        assert!(error("interface = 'lo'\nfilter = 'host and'").starts_with("k.toml:2: the filter \"host and\""));
        assert!(config("interface = 'lo'\nfilter = 'tcp port 443'").is_ok());
    }

    #[test]
    fn others_are_let_in_only_with_a_token() {
        assert!(error("interface = 'lo'\nhttp = '0.0.0.0:9317'").contains("token"));
        assert!(error("interface = 'lo'\nhttp-token-file = '/t'").contains("nothing is served"));
        assert!(config("interface = 'lo'\nhttp = '[::1]:9317'").is_ok());
        assert!(config("interface = 'lo'\nhttp = '0.0.0.0:9317'\nhttp-token-file = '/t'").is_ok());
    }

    #[test]
    fn workers_share_an_interface_by_halves() {
        assert!(error("interface = 'lo'\nworkers = 3").starts_with("workers 3: expected 1, 2, 4 or 8"));
        assert!(error("interface = 'lo'\nworkers = 16").starts_with("k.toml:2: "));
        assert_eq!(config("interface = 'lo'\nworkers = 4").unwrap().workers, 4);
    }

    #[test]
    fn tunnels_are_named_by_kind_and_port() {
        let tunnels = |text: &str| config(&format!("interface = 'lo'\n{text}")).map(|config| config.tunnels);
        let said: Vec<String> =
            tunnels("tunnels = ['vxlan:14789', 'gre:9']").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(said, ["vxlan:14789", "gre:9"]);
        assert_eq!(tunnels("tunnel = 'geneve:7'").unwrap().len(), 1);
        let wrong = error("interface = 'lo'\ntunnel = 'vxlan'");
        assert!(wrong.starts_with("k.toml:2: \"vxlan\": expected KIND:PORT"), "{wrong}");
        let nine: Vec<String> = (1..10).map(|port| format!("'vxlan:{port}'")).collect();
        assert!(error(&format!("interface = 'lo'\ntunnel = [{}]", nine.join(", "))).contains("at most 8"));
    }

    #[test]
    fn rings_must_hold_a_packet() {
        assert!(error("interface = 'lo'\nring-block-size = '100KiB'").contains("power of two"));
        assert!(error("interface = 'lo'\nring-block-size = '64KiB'").contains("does not fit"));
        assert!(config("interface = 'lo'\nring-block-size = '128KiB'").is_ok());
    }

    #[test]
    fn every_prefix_of_a_file_is_taken_or_refused_with_a_line() {
        let text = "interface = ['eth1']\nhttp = '127.0.0.1:9317'\n[[output]]\nkind = 'file'\npath = '/x'\n";
        for end in 0..=text.len() {
            if let Err(error) = config(text.get(..end).unwrap()) {
                let said = error.to_string();
                assert!(said.starts_with("k.toml:") || said.starts_with("no interface"), "{said}");
            }
        }
    }
}
