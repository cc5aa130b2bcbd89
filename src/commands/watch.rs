//! `kaspector watch`.

use super::{Exit, Usage, label, load};
use crate::cli::{SignatureFolders, WatchArguments};
use kaspector::capture::RingOptions;
use kaspector::sink::spool::SpoolLimits;
use kaspector::sink::{EveCompat, OutputOptions};
use kaspector::supervisor::attend::{rate, scaled};
use kaspector::supervisor::config::{
    ConfigError, EveVersion, LogFormat, LogLevel, WatchConfig, WatchSettings, check, merged,
};
use kaspector::supervisor::{Log, Notice, Reload, Renewed, Settings, WatchError, WatchOptions, Watched, watch as run};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

/// Hosts that the summary names, strongest verdict first.
const HOSTS_TOLD: usize = 20;

/// Watches until told to end, and says how the program is to end.
pub fn watch(arguments: &WatchArguments) -> anyhow::Result<Exit> {
    let config = configuration(arguments).map_err(|error| Usage(error.to_string()))?;
    if arguments.check_config {
        return check_config(&config);
    }
    let signatures = Arc::new(load(&folders(&config))?);
    let log = Log::start(config.log_level, config.log_format)?;
    let options = WatchOptions {
        interfaces: config.interfaces.clone(),
        workers: config.workers,
        ring: RingOptions {
            block_bytes: config.ring_block_bytes,
            blocks: config.ring_blocks,
            snaplen: config.snaplen,
            promiscuous: config.promiscuous,
            ..RingOptions::default()
        },
        outputs: config.outputs.clone(),
        output_options: OutputOptions {
            spool: config.spool.clone(),
            limits: SpoolLimits { disk_bytes: config.spool_bytes, ..SpoolLimits::default() },
            sensor: config.sensor.as_str().into(),
        },
        compat: match config.eve_compat {
            EveVersion::V7 => EveCompat::V7,
            EveVersion::V8 => EveCompat::V8,
        },
        reload: Some(reload(arguments, &config, log)),
    };
    let settings = Settings {
        signatures,
        filter: config.filter.as_deref().map(Arc::from),
        summary_interval_s: config.summary_interval.as_secs(),
        stats_interval_s: config.stats_interval.as_secs(),
    };
    let is_quiet = matches!(config.log_level, LogLevel::Error | LogLevel::Warn);
    let started = Instant::now();
    let mut tell = |notice: Notice<'_>| match notice {
        Notice::Capturing => {
            let interfaces = config.interfaces.join(", ");
            match config.log_format {
                LogFormat::Json => tracing::info!("Watching {interfaces}"),
                LogFormat::Text if is_quiet => {}
                LogFormat::Text => anstream::eprintln!("Watching {interfaces}; Ctrl-C ends it."),
            }
        }
        Notice::Event(text) => tracing::info!("{text}"),
        Notice::Detail(text) => tracing::debug!("{text}"),
        Notice::Warning(text) => tracing::warn!("{text}"),
    };
    match run(&options, &settings, &mut tell) {
        Ok(watched) => {
            let summary = summary(&watched, started);
            match config.log_format {
                LogFormat::Json => summary.lines().for_each(|line| tracing::info!("{line}")),
                LogFormat::Text if is_quiet => {}
                LogFormat::Text => anstream::eprint!("{summary}"),
            }
            Ok(Exit::Ran)
        }
        Err(WatchError::Filter(error)) => Err(Usage(error.to_string()).into()),
        Err(WatchError::Live(error)) => {
            anstream::eprintln!("{} {error}", label("error:"));
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

/// Prints the configuration as a file would say it, and what is wrong with it on this machine.
fn check_config(config: &WatchConfig) -> anyhow::Result<Exit> {
    let checked = check(config);
    for warning in &checked.warnings {
        anstream::eprintln!("{} {warning}", label("warning:"));
    }
    for problem in &checked.problems {
        anstream::eprintln!("{} {problem}", label("error:"));
    }
    if !checked.problems.is_empty() {
        return Ok(Exit::Usage);
    }
    std::io::stdout().write_all(config.to_string().as_bytes())?;
    Ok(Exit::Ran)
}

fn folders(config: &WatchConfig) -> SignatureFolders {
    SignatureFolders { replace: config.signatures.clone(), extra: config.signatures_extra.clone() }
}

/// Reads configuration and signatures again. What cannot change while the sensor runs, next to `running`, is named.
fn reload(arguments: &WatchArguments, running: &WatchConfig, log: Log) -> Reload {
    let (arguments, running) = (arguments.clone(), running.clone());
    Reload::new(move || {
        let config = configuration(&arguments).map_err(|error| error.to_string())?;
        let signatures = load(&folders(&config)).map_err(|error| error.to_string())?;
        log.set_level(config.log_level);
        Ok(Renewed {
            signatures,
            summary_interval_s: config.summary_interval.as_secs(),
            stats_interval_s: config.stats_interval.as_secs(),
            remarks: running.changes(&config).remark().into_iter().collect(),
            filter: config.filter,
        })
    })
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
    for (name, count) in &watched.given_up {
        _ = writeln!(text, "  given up at bound {name}: {count}");
    }
    for output in &watched.outputs {
        _ = writeln!(text, "{}: {} messages delivered, {} lost.", output.name, output.delivered, output.lost);
    }
    if watched.lost > 0 {
        _ = writeln!(text, "Messages lost because the outputs had no room: {}.", watched.lost);
    }
    if watched.behind > 0 {
        _ = writeln!(text, "{} of the outputs had not taken everything.", watched.behind);
    }
    for host in watched.hosts.iter().take(HOSTS_TOLD) {
        _ = writeln!(text, "{} {} {} %", host.host.address, host.verdict.name(), host.confidence.0);
    }
    if let Some(more) = watched.hosts.len().checked_sub(HOSTS_TOLD).filter(|&more| more > 0) {
        _ = writeln!(text, "and {more} more hosts; the alerts name all.");
    }
    text
}
