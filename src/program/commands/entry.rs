//! The command line in, an exit code out. Results go to standard output, everything else to standard error.

use super::Exit;
use crate::cli::{Arguments, Command};
use crate::process::report_panics;
use anyhow::Context;
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    if let Err(error) = outlive_file_size_limit() {
        super::complain(format_args!("the system refused a signal handler: {error}"));
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
                super::complain(refused);
            }
            return Exit::Failure.into();
        }
    };
    match outcome {
        Ok(exit) => exit.into(),
        // Whoever read our output has seen enough.
        Err(error) if super::is_closed_pipe(&error) => Exit::Ran.into(),
        Err(error) => {
            super::complain(format_args!("{error:#}"));
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
        Command::Scan(arguments) => super::scan(&arguments),
        Command::Logs(arguments) => super::scan(&(*arguments).into()),
        Command::Merge(arguments) => super::merge(&arguments),
        #[cfg(target_os = "linux")]
        Command::Watch(arguments) => super::watch(&arguments),
        Command::Top(arguments) => super::top(&arguments),
        Command::Hosts(arguments) => super::hosts(&arguments),
        Command::Report(arguments) => super::report(&arguments),
        Command::Explain(arguments) => super::explain(&arguments),
        Command::Export(arguments) => super::export(&arguments),
        Command::Signatures(command) => super::signatures(&command),
        Command::Completions { shell } => super::completions(shell),
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
