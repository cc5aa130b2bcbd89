//! What becomes of a panic, which is a defect of the program: one sentence for the user, and no more loss than there has to be.

use kaspector::flow::NoMemory;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};

/// Characters of a panic's message that are repeated.
const MESSAGE_MAX: usize = 300;

static HAS_SPOKEN: AtomicBool = AtomicBool::new(false);

/// Has a panic in any thread say one sentence on standard error: what, where, and what to do. Only the first one speaks, since those after
/// it follow from it, as a rule: threads that waited for the one that is gone. With `RUST_BACKTRACE` set, its calls are listed, too.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if HAS_SPOKEN.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut text = format!("error: {}\n", sentence(panic));
        let calls = Backtrace::capture();
        if calls.status() == BacktraceStatus::Captured {
            text += &calls.to_string();
        }
        // Where nobody listens, nobody can be told.
        _ = std::io::stderr().lock().write_all(text.as_bytes());
    }));
}

fn sentence(panic: &PanicHookInfo<'_>) -> String {
    let place =
        panic.location().map_or_else(String::new, |at| format!(" at {}:{}:{}", at.file(), at.line(), at.column()));
    let thread = std::thread::current();
    let thread =
        thread.name().filter(|name| *name != "main").map_or_else(String::new, |name| format!(", thread {name}"));
    let message = panic.payload_as_str().unwrap_or("no message");
    // It may repeat what came off the wire, and stays on its line.
    let message: String = message
        .chars()
        .take(MESSAGE_MAX)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    format!(
        "kaspector {} failed{place}{thread}: {message}; unless this machine ran out of memory or the like, this is a defect: please report this line",
        env!("CARGO_PKG_VERSION")
    )
}

/// Whether a panic was told, as [`report_panics`] has it.
pub(crate) fn was_reported() -> bool {
    HAS_SPOKEN.load(Ordering::Relaxed)
}

/// Why something did not come to its end.
#[derive(Debug)]
pub(crate) struct Failure(Option<String>);

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(refused) => out.write_str(refused),
            None => out.write_str("this program failed at it; please report that"),
        }
    }
}

/// Runs `work`, which may panic. Whatever it worked on may then be half done, and is to be thrown away.
pub(crate) fn survive<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(|panic| Failure(panic.downcast_ref::<NoMemory>().map(ToString::to_string)))
}
