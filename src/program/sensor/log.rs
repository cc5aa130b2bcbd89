//! The sensor's log: lines on standard error, nothing per packet.

use crate::config::{LogFormat, LogLevel};
use std::io::{self, IsTerminal};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// The running log.
#[derive(Clone, Debug)]
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
}

impl Log {
    /// Starts the log of this process. Text has colour on a terminal only (and not with `NO_COLOR`), and no time where the system's
    /// journal puts one before each line.
    ///
    /// # Errors
    /// When there is a log already.
    pub fn start(level: LogLevel, format: LogFormat) -> Result<Self, TryInitError> {
        let (filter, handle) = reload::Layer::new(filter(level));
        let lines: Box<dyn Layer<_> + Send + Sync> = match format {
            LogFormat::Json => Box::new(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false)
                    .with_span_events(FmtSpan::NONE)
                    .with_writer(io::stderr),
            ),
            LogFormat::Text => {
                let colour =
                    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
                let lines = fmt::layer().with_ansi(colour).with_target(false).with_writer(io::stderr);
                if std::env::var_os("JOURNAL_STREAM").is_some() {
                    Box::new(lines.without_time())
                } else {
                    Box::new(lines)
                }
            }
        };
        tracing_subscriber::registry().with(filter).with(lines).try_init()?;
        Ok(Self { level: handle })
    }

    /// From now on leaves out what is below `level`.
    pub fn set_level(&self, level: LogLevel) {
        // Fails only when the log is gone, and then nobody misses it.
        let _ = self.level.reload(filter(level));
    }
}

const fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
