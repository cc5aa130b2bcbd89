//! `kaspector watch`.

use super::figures::{rate, scaled};
use super::{Exit, Usage, complain, load, load_site, of_stdout, say, warn};
use crate::cli::{SignatureFolders, WatchArguments};
use crate::config::{
    ConfigError, EveVersion, HttpConfig, LogFormat, LogLevel, Sandboxing, WatchConfig, WatchSettings, check, merge,
    merged,
};
use crate::evidence::{EvidenceOptions, LiveOptions};
use crate::process::output_file::{OutputFileError, check_growing};
use crate::sandbox::{Privileges, Sandbox, SandboxMode, folder_of};
use crate::sensor::{
    Attention, Log, Notice, Reload, Renewed, Settings, WatchError, WatchOptions, Watched, watch as run,
};
use crate::status::MessageCounts;
use crate::web::{Limits, Token, WebOptions};
use kaspector_delivery::spool::SpoolLimits;
use kaspector_delivery::{OutputOptions, OutputSpec};
use kaspector_live::{CaptureKind, Choice, RingOptions};
use kaspector_report::{EveCompat, Site, host_label};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Watches until told to end, and says how the program is to end.
pub fn watch(arguments: &WatchArguments) -> anyhow::Result<Exit> {
    let attention = Attention::begin()?;
    if arguments.check_config {
        return check_config(arguments);
    }
    let config = configuration(arguments).map_err(|error| Usage(error.to_string()))?;
    config.check_state(arguments.config.as_deref()).map_err(|error| Usage(error.to_string()))?;
    check_outputs(arguments, &config).map_err(|error| Usage(error.to_string()))?;
    let signatures = Arc::new(load(&folders(&config))?);
    let site = load_site(config.site.as_deref())?;
    let log = Log::start(config.log_level, config.log_format)?;
    let web = config.http.as_ref().map(|http| web(http, &config)).transpose()?;
    let options = WatchOptions {
        interfaces: config.interfaces.clone(),
        workers: config.workers,
        capture: config.capture,
        ring: RingOptions {
            block_bytes: config.ring_block_bytes,
            snaplen: config.snaplen,
            promiscuous: config.promiscuous,
            filter: config.filter.clone(),
            hardware_time: config.hardware_time,
            ..RingOptions::default()
        },
        ring_blocks: config.ring_blocks,
        tunnels: config.tunnels.clone(),
        output_options: OutputOptions {
            spool: config.spool.clone(),
            limits: SpoolLimits { disk_bytes: config.spool_bytes, ..SpoolLimits::default() },
            sensor: config.sensor.as_str().into(),
        },
        compat: match config.eve_compat {
            EveVersion::V7 => EveCompat::V7,
            EveVersion::V8 => EveCompat::V8,
        },
        state: config.state.clone(),
        evidence: config.evidence.as_ref().map(|evidence| LiveOptions {
            folder: evidence.folder.clone(),
            each: EvidenceOptions {
                packets: evidence.packets.into(),
                bytes: evidence.bytes,
                redacts: evidence.redacts,
            },
            total_bytes: evidence.total_bytes,
            filter: config.filter.clone(),
        }),
        web,
        patience: config.drain_timeout,
        privileges: Some(privileges(&config)),
        sandbox: sandbox(arguments, &config),
        sandbox_mode: match config.sandbox {
            Sandboxing::Auto => SandboxMode::Auto,
            Sandboxing::On => SandboxMode::On,
            Sandboxing::Off => SandboxMode::Off,
        },
        reload: Some(reload(arguments, &config, log)),
    };
    let settings = Settings {
        signatures,
        outputs: config.outputs.clone(),
        summary_interval_s: config.summary_interval.as_secs(),
        stats_interval_s: config.stats_interval.as_secs(),
        stale_after: config.stale_after,
        silent_after: config.silent_after,
        site,
    };
    let is_quiet = matches!(config.log_level, LogLevel::Error | LogLevel::Warn);
    let started = Instant::now();
    let mut tell = |notice: Notice<'_>| match notice {
        Notice::Capturing => {
            let interfaces = config.interfaces.join(", ");
            match config.log_format {
                LogFormat::Json => tracing::info!("Watching {interfaces}"),
                LogFormat::Text if is_quiet => {}
                LogFormat::Text => say(format_args!("Watching {interfaces}; Ctrl-C ends it.")),
            }
        }
        Notice::Event(text) => tracing::info!("{text}"),
        Notice::Detail(text) => tracing::debug!("{text}"),
        Notice::SoFar(watched) => summary(watched, started).lines().for_each(|line| tracing::info!("{line}")),
        Notice::Warning(text) => tracing::warn!("{text}"),
    };
    match run(&options, &settings, attention, &mut tell) {
        Ok(watched) => {
            let summary = summary(&watched, started);
            match config.log_format {
                LogFormat::Json => summary.lines().for_each(|line| tracing::info!("{line}")),
                LogFormat::Text if is_quiet => {}
                LogFormat::Text => summary.lines().for_each(say),
            }
            Ok(Exit::Ran)
        }
        Err(WatchError::Filter(error)) => Err(Usage(error.to_string()).into()),
        Err(WatchError::Live(error)) => {
            complain(error);
            Ok(Exit::Unreadable)
        }
        Err(other) => Err(other.into()),
    }
}

/// What command line and file say together.
fn configuration(arguments: &WatchArguments) -> Result<WatchConfig, ConfigError> {
    let file = arguments.config.as_deref().map(WatchSettings::from_file).transpose()?;
    merged(arguments.settings(), file.unwrap_or_default())
}

/// Looks that no alert is written into what the sensor reads, or what is no file of alerts.
fn check_outputs(arguments: &WatchArguments, config: &WatchConfig) -> Result<(), OutputFileError> {
    let claims = config.claims(arguments.config.as_deref());
    config.outputs.iter().try_for_each(|output| match output.writes() {
        Some(path) => check_growing(path, "--output file:", &claims),
        None => Ok(()),
    })
}

/// Prints the configuration as a file would say it, and all that is wrong with it, by itself and on this machine.
fn check_config(arguments: &WatchArguments) -> anyhow::Result<Exit> {
    let file = arguments.config.as_deref().map(WatchSettings::read_file).transpose();
    let (file, mut faults) = file.map_err(|error| Usage(error.to_string()))?.unwrap_or_default();
    let (config, more) = merge(arguments.settings(), file);
    faults.extend(more);
    let mut checked = check(&config, arguments.config.as_deref());
    checked.problems.splice(..0, faults.iter().map(ToString::to_string));
    for warning in &checked.warnings {
        warn(warning);
    }
    for problem in &checked.problems {
        complain(problem);
    }
    if !checked.problems.is_empty() {
        return Ok(Exit::Usage);
    }
    let mut out = std::io::stdout().lock();
    out.write_all(config.to_string().as_bytes()).and_then(|()| out.flush()).map_err(of_stdout)?;
    Ok(Exit::Ran)
}

fn folders(config: &WatchConfig) -> SignatureFolders {
    SignatureFolders { replace: config.signatures.clone(), extra: config.signatures_extra.clone() }
}

/// How HTTP is served. The token is read before privileges are given up: its file is nobody's but root's.
fn web(http: &HttpConfig, config: &WatchConfig) -> anyhow::Result<(SocketAddr, WebOptions)> {
    let token = http.token_file.as_deref().map(Token::from_file).transpose();
    let options = WebOptions {
        token: token.map_err(|error| Usage(error.to_string()))?,
        host_names: http.hosts.clone(),
        sensor: config.sensor.clone(),
        stale_after: config.stale_after,
        limits: Limits::default(),
    };
    Ok((http.address, options))
}

/// Who to be once the interfaces are open. `CAP_NET_RAW` stays, to open an interface anew that comes back.
fn privileges(config: &WatchConfig) -> Privileges {
    Privileges {
        user: config.user.clone(),
        keep_net_raw: config.capture == CaptureKind::Afpacket,
        writes: written(config),
    }
}

/// What the sensor writes: alert files and the older ones beside them, the state file and its log, the spool.
fn written(config: &WatchConfig) -> Vec<PathBuf> {
    let beside = |file: &Path, end: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        [file.to_owned(), PathBuf::from(name)]
    };
    let outputs = config.outputs.iter().filter_map(OutputSpec::writes).map(|path| beside(path, ".1"));
    let state = config.state.iter().map(|file| beside(file, "-wal"));
    outputs.chain(state).flatten().chain(config.spool.clone()).chain(evidence_folder(config).cloned()).collect()
}

fn evidence_folder(config: &WatchConfig) -> Option<&PathBuf> {
    config.evidence.as_ref().map(|evidence| &evidence.folder)
}

/// The folders that all of this stands in: rules are for what is there.
fn folders_written(config: &WatchConfig) -> Vec<PathBuf> {
    let folders = [config.spool.as_ref(), evidence_folder(config)];
    let mut folders: Vec<PathBuf> = written(config)
        .into_iter()
        .map(|path| if folders.contains(&Some(&path)) { path } else { folder_of(&path).to_owned() })
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

/// What the sensor reaches for while it runs.
fn sandbox(arguments: &WatchArguments, config: &WatchConfig) -> Sandbox {
    let read = config.signatures.iter().chain(&config.signatures_extra).cloned();
    // A file that an editor, or whoever renews certificates, puts in the place of another is reached by its folder.
    let files = arguments
        .config
        .as_deref()
        .into_iter()
        .chain(config.site.as_deref())
        .chain(config.outputs.iter().flat_map(OutputSpec::reads));
    Sandbox {
        read: read.chain(files.map(|file| folder_of(file).to_owned())).collect(),
        write: folders_written(config),
        abstract_sockets: std::env::var_os("NOTIFY_SOCKET")
            .is_some_and(|socket| socket.as_encoded_bytes().starts_with(b"@")),
        ..Sandbox::default()
    }
}

/// Reads configuration and signatures again. What cannot change while the sensor runs, next to `running`, is named.
fn reload(arguments: &WatchArguments, running: &WatchConfig, log: Log) -> Reload {
    let (arguments, running) = (arguments.clone(), running.clone());
    Reload::new(move || {
        let config = configuration(&arguments).map_err(|error| error.to_string())?;
        check_outputs(&arguments, &config).map_err(|error| error.to_string())?;
        let signatures = load(&folders(&config)).map_err(|error| error.to_string())?;
        let site = config.site.as_deref().map_or_else(|| Ok(Site::default()), Site::from_file);
        let site = Arc::new(site.map_err(|error| error.to_string().replace('\n', "; "))?);
        log.set_level(config.log_level);
        Ok(Renewed {
            signatures,
            choice: Choice { filter: config.filter.clone(), snaplen: config.snaplen },
            outputs: config.outputs.clone(),
            summary_interval_s: config.summary_interval.as_secs(),
            stats_interval_s: config.stats_interval.as_secs(),
            stale_after: config.stale_after,
            silent_after: config.silent_after,
            site,
            remarks: running.changes(&config).remark().into_iter().collect(),
        })
    })
}

/// Whether an alert may be missing somewhere.
fn has_lost(watched: &Watched) -> bool {
    watched.no_room.alerts > 0
        || watched.behind > 0
        || watched.interfaces.iter().any(|interface| interface.queue_drops > 0)
        || watched
            .outputs
            .iter()
            .any(|output| output.rejected > 0 || output.waiting > 0 || output.losses.iter().any(|lost| lost.alerts > 0))
}

/// How much was seen, where it went, and what it showed.
fn summary(watched: &Watched, started: Instant) -> String {
    let mut text = String::new();
    let elapsed = started.elapsed();
    for interface in &watched.interfaces {
        #[allow(clippy::cast_precision_loss)]
        let bytes = scaled(interface.bytes as f64);
        _ = writeln!(
            text,
            "{}: {} packets, {bytes}B in {:.1} s ({}); dropped by the kernel: {}.",
            interface.name,
            interface.packets,
            elapsed.as_secs_f64(),
            rate(interface.packets, interface.bytes, elapsed),
            interface.kernel_drops,
        );
        if interface.queue_drops > 0 {
            _ = writeln!(text, "  events lost because their queue was full: {}", interface.queue_drops);
        }
    }
    for (outcome, count) in watched.outcomes.non_zero() {
        _ = writeln!(text, "  packets {}: {count}", outcome.name());
    }
    for (name, count) in &watched.dropped {
        _ = writeln!(text, "  dropped at bound {name}: {count}");
    }
    for output in &watched.outputs {
        _ = writeln!(text, "{}: {} messages delivered, {} lost.", output.name, output.delivered, output.lost);
        for lost in output.losses.iter().filter(|lost| lost.alerts + lost.counters > 0) {
            let (why, alerts, counters) = (lost.loss.words(), lost.alerts, lost.counters);
            _ = writeln!(text, "  lost because {why}: {alerts} alerts, {counters} records of counters");
        }
        if output.rejected > 0 {
            _ = writeln!(text, "  refused by the other side: {}", output.rejected);
        }
        if output.waiting > 0 {
            _ = writeln!(text, "  still waiting: {}", output.waiting);
        }
    }
    if watched.no_room.sum() > 0 {
        let MessageCounts { alerts, counters } = watched.no_room;
        _ = writeln!(text, "Lost because no output had room: {alerts} alerts, {counters} records of counters.");
    }
    if watched.behind > 0 {
        _ = writeln!(text, "{} of the outputs had not taken everything.", watched.behind);
    }
    for host in &watched.hosts {
        _ = writeln!(text, "{} {} {} %", host_label(host), host.verdict.name(), host.confidence.0);
    }
    if let Some(more) = watched.hosts_in_all.checked_sub(watched.hosts.len() as u64).filter(|&more| more > 0) {
        let said = if has_lost(watched) {
            "alerts were lost, so not all of them may be named there"
        } else {
            "the alerts name all"
        };
        _ = writeln!(text, "and {more} more hosts; {said}.");
    }
    text
}
