//! The threads of a watch, all of which are there before it begins: one that the system refuses later would be an output that stands still.

use std::sync::{Arc, Barrier};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Threads for tasks.
const WORKERS: usize = 2;
/// Threads for what waits for a disk or a name, besides one for each output: outputs that SIGHUP brings, a reload, the end.
const WAITING: usize = 8;
/// The spool's two, and that of the state file.
const OTHERS: usize = 3;
/// Longer than anything waits: a thread that ends could not be had again.
const FOR_GOOD: Duration = Duration::from_secs(365 * 86_400);

/// The runtime of a watch with so many outputs and rings.
///
/// # Errors
/// When the system gives fewer threads than all of it needs: in a sentence that says what to do.
pub fn runtime(outputs: usize, rings: usize) -> Result<Runtime, String> {
    let waiting = outputs + WAITING;
    let wanted = WORKERS + waiting + OTHERS + rings;
    // Tried with threads that only wait, because the runtime does not say when it cannot have one.
    let (release, begun) = std::sync::mpsc::channel::<()>();
    let begun = Arc::new(std::sync::Mutex::new(begun));
    let mut threads = Vec::new();
    let mut refused = None;
    for _ in 0..wanted {
        let begun = Arc::clone(&begun);
        // Until the other end is dropped.
        match std::thread::Builder::new().spawn(move || drop(begun.lock().map(|begun| begun.recv()))) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    drop(release);
    let given = threads.len();
    for thread in threads {
        let _ = thread.join();
    }
    let said = |error: std::io::Error| {
        format!(
            "the system gives this process {given} threads more, of the {wanted} that a watch needs: {error}; \
             raise what limits it: processes of its user (ulimit -u), tasks of its unit or container (TasksMax=, pids.max), \
             or memory (ulimit -v)"
        )
    };
    if let Some(error) = refused {
        return Err(said(error));
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(waiting)
        .thread_keep_alive(FOR_GOOD)
        .enable_all()
        .build()
        .map_err(said)?;
    let all = Arc::new(Barrier::new(waiting + 1));
    for _ in 0..waiting {
        let all = Arc::clone(&all);
        runtime.spawn_blocking(move || all.wait());
    }
    all.wait();
    Ok(runtime)
}
