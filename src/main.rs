//! The binary: arguments in, exit code out. Results go to standard output, everything else to standard error.

mod cli;
mod commands;
mod memory;

use anyhow::Context;
use clap::Parser;
use cli::{Arguments, Command};
use kaspector::supervisor::report_panics;
use std::io::Write;
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

impl Exit {
    /// How the program ends with this error.
    fn of(error: &anyhow::Error) -> Self {
        if error.is::<commands::Usage>() { Self::Usage } else { Self::Failure }
    }
}

fn main() -> ExitCode {
    if let Err(error) = outlive_file_size_limit() {
        commands::complain(format_args!("the system refused a signal handler: {error}"));
        return Exit::Failure.into();
    }
    report_panics();
    let outcome = std::panic::catch_unwind(|| match Arguments::try_parse() {
        Ok(arguments) => run(arguments.command),
        Err(error) => answer(&error),
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(panic) => {
            // What else a panic was about has been said when it came.
            if let Some(refused) = panic.downcast_ref::<kaspector::flow::NoMemory>() {
                commands::complain(refused);
            }
            return Exit::Failure.into();
        }
    };
    match outcome {
        Ok(exit) => exit.into(),
        // Whoever read our output has seen enough.
        Err(error) if commands::is_closed_pipe(&error) => Exit::Ran.into(),
        Err(error) => {
            commands::complain(format_args!("{error:#}"));
            Exit::of(&error).into()
        }
    }
}

/// Prints help, the version, or what is wrong with the command line.
fn answer(error: &clap::Error) -> anyhow::Result<Exit> {
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    if error.use_stderr() {
        return Ok(Exit::Usage);
    }
    printed.context("standard output: cannot be written")?;
    Ok(Exit::Ran)
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
