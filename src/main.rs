//! The binary: arguments in, exit code out. Results go to standard output, everything else to standard error.

mod cli;
mod commands;
mod memory;

use clap::Parser;
use cli::{Arguments, Command};
use std::process::ExitCode;

/// How the program ends, as the documentation promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Ran.
    Ran = 0,
    /// Anything that none of the others says.
    Failure = 1,
    /// Bad usage.
    Usage = 2,
    /// `--fail-on` met, or nothing matches a test.
    Found = 3,
    /// An input could not be read at all.
    Unreadable = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

fn main() -> ExitCode {
    if let Err(error) = outlive_file_size_limit() {
        anstream::eprintln!("{} the system refused a signal handler: {error}", commands::label("error:"));
        return Exit::Failure.into();
    }
    let command = Arguments::parse().command;
    let outcome = match std::panic::catch_unwind(|| run(command)) {
        Ok(outcome) => outcome,
        Err(panic) => {
            match panic.downcast_ref::<kaspector::flow::NoMemory>() {
                Some(refused) => anstream::eprintln!("{} {refused}", commands::label("error:")),
                // Where a panic came from was said when it came.
                None => {
                    anstream::eprintln!(
                        "{} this is a defect of the program; please report it",
                        commands::label("error:")
                    );
                }
            }
            return Exit::Failure.into();
        }
    };
    match outcome {
        Ok(exit) => exit.into(),
        // Whoever read our output has seen enough.
        Err(error) if is_closed_pipe(&error) => Exit::Ran.into(),
        Err(error) => {
            anstream::eprintln!("{} {error:#}", commands::label("error:"));
            if error.is::<commands::Usage>() { Exit::Usage.into() } else { Exit::Failure.into() }
        }
    }
}

fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Scan(arguments) => commands::scan(&arguments),
        #[cfg(target_os = "linux")]
        Command::Watch(arguments) => commands::watch(&arguments),
        Command::Hosts(arguments) => commands::hosts(&arguments),
        Command::Signatures(command) => commands::signatures(&command),
    }
}

/// A file that grows beyond the limit of the process (`ulimit -f`) is an error of its writing, as a full disk is, and not the end of the process,
/// which SIGXFSZ would be (setrlimit(2)).
#[cfg(unix)]
fn outlive_file_size_limit() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    // Once there is a handler it stays, whether or not anybody listens. It has nothing to do.
    runtime.block_on(async { signal(SignalKind::from_raw(libc::SIGXFSZ)) }).map(drop)
}

#[cfg(not(unix))]
fn outlive_file_size_limit() -> std::io::Result<()> {
    Ok(())
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
