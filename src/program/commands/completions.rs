//! `kaspector completions`.

use super::{Exit, of_stdout};
use crate::cli::Arguments;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;

/// Prints the completions of a shell.
///
/// # Errors
/// When standard output cannot be written.
pub fn completions(shell: Shell) -> anyhow::Result<Exit> {
    std::io::stdout().write_all(&completion_script(shell)).map_err(of_stdout)?;
    Ok(Exit::Ran)
}

/// The completions of a shell, as its script.
#[must_use]
pub fn completion_script(shell: Shell) -> Vec<u8> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, name, &mut script);
    script
}
