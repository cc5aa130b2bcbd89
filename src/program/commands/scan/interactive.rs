//! Attends to terminal and signals while a scan runs: draws the bar, and turns the first Ctrl-C into an early end with an answer.

use super::super::figures::rate;
use crate::scan::{Progress, Scan, ScanOptions, Snapshot, Takers, scan};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kaspector::matching::SignatureSet;
use kaspector_live::FilterError;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the bar is drawn.
const REDRAW: Duration = Duration::from_millis(200);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The filter expression is not one.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The system refused a thread or a timer.
    #[error("the system refused what a scan needs")]
    System(#[from] std::io::Error),
}

/// Runs a scan, and `then` what needs its answer and may be interrupted, too; with `draws_bar`, draws its progress on standard error. Also
/// says how long the scan took.
///
/// # Errors
/// When the filter is not one, or the system refuses a thread.
///
/// # Panics
/// When a worker panicked: an answer without its share would be wrong.
pub fn scan_interactively<T: Send>(
    options: &ScanOptions,
    signatures: &Arc<SignatureSet>,
    draws_bar: bool,
    takers: Takers<'_>,
    then: impl FnOnce(&Scan, &Progress) -> T + Send,
) -> Result<(Scan, Duration, T), ScanError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let progress = Progress::default();
    let started = Instant::now();
    std::thread::scope(|scope| {
        let (done, mut finished) = tokio::sync::oneshot::channel();
        let (options, signatures, shared) = (options, signatures, &progress);
        let worker = std::thread::Builder::new().name("scan".to_owned()).spawn_scoped(scope, move || {
            let answer = scan(options, signatures, shared, takers);
            let elapsed = started.elapsed();
            let answer = answer.map(|scan| {
                let after = then(&scan, shared);
                (scan, elapsed, after)
            });
            // Whoever attends may have left.
            let _ = done.send(());
            answer
        })?;
        let bar = Bar::new(draws_bar);
        runtime.block_on(async {
            let mut redraw = tokio::time::interval(REDRAW);
            loop {
                tokio::select! {
                    // An error means that the worker is gone without a word; joining it says why.
                    _ = &mut finished => break,
                    _ = redraw.tick() => bar.draw(&progress.snapshot(), started.elapsed()),
                    interrupted = tokio::signal::ctrl_c() => {
                        // A process that cannot be told of signals is ended by them.
                        if interrupted.is_ok() && progress.is_stopped() {
                            bar.clear();
                            std::process::exit(130);
                        }
                        progress.stop();
                    }
                }
            }
        });
        bar.clear();
        match worker.join() {
            Ok(answer) => Ok(answer?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

struct Bar(ProgressBar);

impl Bar {
    fn new(visible: bool) -> Self {
        if !visible {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        // With sizes unknown there is no end to draw towards.
        let style = ProgressStyle::with_template("{bar:24.cyan} {percent:>3}%  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    fn draw(&self, now: &Snapshot, elapsed: Duration) {
        if let Some(size) = now.size {
            self.0.set_length(size.max(1));
            self.0.set_position(now.position.min(size));
        }
        self.0.set_message(message(now, elapsed));
    }

    fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// Rate, and what is left: `3/12 inputs  1.2 M packets/s  7.4 Gb/s  12 s left`.
fn message(now: &Snapshot, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let mut text = String::new();
    if now.inputs > 1 {
        text = format!("{}/{} inputs  ", now.inputs_done, now.inputs);
    }
    text.push_str(&rate(now.packets, now.bytes, elapsed));
    if let Some(size) = now.size.filter(|&size| size > now.position && now.position > 0) {
        #[allow(clippy::cast_precision_loss)]
        let left = seconds * (size - now.position) as f64 / now.position as f64;
        text.push_str(&format!("  {} left", duration(left)));
    }
    text
}

fn duration(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = seconds.min(1e9) as u64;
    match whole {
        0..=119 => format!("{whole} s"),
        120..=7199 => format!("{} min", whole / 60),
        _ => format!("{} h", whole / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_rate_and_time_left() {
        let now = Snapshot {
            packets: 2_400_000,
            bytes: 1_850_000_000,
            position: 500,
            size: Some(2_000),
            inputs: 12,
            inputs_done: 3,
        };
        assert_eq!(message(&now, Duration::from_secs(2)), "3/12 inputs  1.2 M packets/s  7.4 Gb/s  6 s left");
        assert_eq!(message(&Snapshot { inputs: 1, ..Snapshot::default() }, Duration::ZERO), "0 packets/s  0 b/s");
    }
}
