//! `kaspector watch`.

use super::{Exit, Usage, label, load};
use crate::cli::WatchArguments;
use kaspector::capture::RingOptions;
use kaspector::sink::spool::SpoolLimits;
use kaspector::sink::{OutputOptions, OutputSpec};
use kaspector::supervisor::attend::{rate, scaled};
use kaspector::supervisor::{Notice, WatchError, WatchOptions, Watched, watch as run};
use std::time::Instant;

/// Watches until told to end, and says how the program is to end.
pub fn watch(arguments: &WatchArguments) -> anyhow::Result<Exit> {
    let signatures = load(&arguments.signatures)?;
    let texts = if arguments.outputs.is_empty() { &["stdout".to_owned()][..] } else { &arguments.outputs };
    let outputs = texts.iter().map(|text| text.parse::<OutputSpec>()).collect::<Result<Vec<_>, _>>();
    let outputs = outputs.map_err(|error| Usage(error.to_string()))?;
    let sensor = arguments.sensor.clone().unwrap_or_else(host_name);
    let options = WatchOptions {
        interfaces: arguments.interfaces.clone(),
        ring: RingOptions {
            blocks: arguments.ring_blocks,
            snaplen: arguments.snaplen,
            promiscuous: !arguments.no_promiscuous,
            ..RingOptions::default()
        },
        filter: arguments.filter.clone(),
        outputs,
        output_options: OutputOptions {
            spool: arguments.spool.clone(),
            limits: SpoolLimits::default(),
            sensor: sensor.into(),
        },
        compat: arguments.eve_compat.into(),
        summary_interval_s: arguments.summary_interval,
        stats_interval_s: arguments.stats_interval,
    };
    // What the outputs say of themselves, the time included: a log may be read much later.
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).with_ansi(false).init();
    let started = Instant::now();
    let mut tell = |notice: Notice<'_>| match notice {
        Notice::Capturing if arguments.quiet => {}
        Notice::Capturing => {
            anstream::eprintln!("Watching {}; Ctrl-C ends it.", arguments.interfaces.join(", "));
        }
        Notice::Warning(text) => anstream::eprintln!("{} {text}", label("warning:")),
    };
    match run(&options, &signatures, &mut tell) {
        Ok(watched) => {
            if !arguments.quiet {
                summarise(&watched, started);
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

/// What Linux calls this machine.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "kaspector".to_owned() } else { name.trim().to_owned() }
}

/// Says how much was seen, where it went, and what it showed.
fn summarise(watched: &Watched, started: Instant) {
    let elapsed = started.elapsed();
    for interface in &watched.interfaces {
        #[allow(clippy::cast_precision_loss)]
        let bytes = scaled(interface.bytes as f64);
        anstream::eprintln!(
            "{}: {} packets, {bytes}B in {:.1} s ({}); dropped by the kernel: {}.",
            interface.name,
            interface.packets,
            elapsed.as_secs_f64(),
            rate(interface.packets, interface.bytes, elapsed),
            interface.kernel_drops,
        );
        if interface.queue_drops > 0 {
            anstream::eprintln!("  alerts lost because their queue was full: {}", interface.queue_drops);
        }
    }
    for (outcome, count) in watched.outcomes.non_zero() {
        anstream::eprintln!("  packets {}: {count}", outcome.name());
    }
    for (name, count) in &watched.given_up {
        anstream::eprintln!("  given up at bound {name}: {count}");
    }
    for output in &watched.outputs {
        anstream::eprintln!("{}: {} messages delivered, {} lost.", output.name, output.delivered, output.lost);
    }
    if watched.behind > 0 {
        anstream::eprintln!("{} outputs had not taken everything.", watched.behind);
    }
    for host in &watched.hosts {
        anstream::eprintln!("{} {} {} %", host.host.address, host.verdict.name(), host.confidence.0);
    }
}
