//! What each command does.
//!
//! In:    parsed arguments.
//! Out:   results on standard output, everything else on standard error, and an exit code.
//! Never: touches a packet.

mod answer;
mod completions;
mod entry;
mod exit;
mod explain;
mod export;
mod figures;
mod hosts;
mod merge;
mod part_file;
mod report;
mod scan;
mod signatures;
mod top;
#[cfg(target_os = "linux")]
mod watch;

use crate::cli::{Compat, SignatureFolders, SignaturesCommand};
use crate::state::StateError;
use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use kaspector::capture::display_path;
use kaspector::matching::SignatureSet;
use kaspector_report::{EveCompat, Site, SiteError, TableStyle};
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

pub use completions::{completion_script, completions};
pub use entry::main;
pub use exit::Exit;
pub use explain::explain;
pub use export::export;
pub use hosts::hosts;
pub use merge::merge;
pub use report::report;
pub use scan::scan;
pub use top::top;
#[cfg(target_os = "linux")]
pub use watch::watch;

/// Something about the command line is wrong: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Runs one of the commands about signatures.
pub fn signatures(command: &SignaturesCommand) -> anyhow::Result<Exit> {
    signatures::run(command)
}

/// Says something on standard error. Where nobody listens, that is no reason to end.
pub fn say(text: impl Display) {
    _ = writeln!(anstream::stderr(), "{text}");
}

/// Says what went wrong.
pub fn complain(text: impl Display) {
    say(format_args!("{} {text}", label("error:")));
}

/// Says what is worth a look.
pub fn warn(text: impl Display) {
    say(format_args!("{} {text}", label("warning:")));
}

/// `text` in the colour of a complaint, where there are colours.
fn label(text: &str) -> impl Display + use<'_> {
    let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    format!("{style}{text}{style:#}")
}

/// What went wrong with standard output, in words.
fn of_stdout(error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("standard output: cannot be written")
}

/// Whether whoever read our output has seen enough.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The set that the options ask for.
fn load(folders: &SignatureFolders) -> anyhow::Result<SignatureSet> {
    let usage = |error: kaspector::matching::SignatureError| Usage(error.to_string());
    let mut set = match &folders.replace {
        Some(folder) => SignatureSet::from_folder(folder).map_err(usage)?,
        None => SignatureSet::builtin(),
    };
    if let Some(folder) = &folders.extra {
        set = set.with_folder(folder).map_err(usage)?;
    }
    if let (true, Some(folder)) = (set.is_empty(), &folders.replace) {
        return Err(holds_nothing(folder).into());
    }
    Ok(set)
}

/// Faults of a site file that are named one by one: what is no site file at all has one on each line.
const SITE_FAULTS_SHOWN: usize = 20;

/// What is known of the site; nothing where no file is named. Of several faults in it, all but the last are said at once.
fn load_site(file: Option<&Path>) -> anyhow::Result<Arc<Site>> {
    let Some(file) = file else { return Ok(Arc::default()) };
    match Site::from_file(file) {
        Ok(site) => Ok(Arc::new(site)),
        Err(SiteError::Wrong(faults)) => {
            let last = faults.len().saturating_sub(1);
            faults.iter().take(last.min(SITE_FAULTS_SHOWN)).for_each(complain);
            let left = last.saturating_sub(SITE_FAULTS_SHOWN);
            let said = if left > 0 {
                format!(
                    "{}: {} more like these; see docs/site.md for how a site file looks",
                    display_path(file),
                    left + 1
                )
            } else {
                faults.last().map(ToString::to_string).unwrap_or_default()
            };
            Err(Usage(said).into())
        }
        Err(error) => Err(Usage(error.to_string()).into()),
    }
}

/// A set without indicators finds nothing, which would look like a clean network.
fn holds_nothing(folder: &Path) -> Usage {
    Usage(format!("{}: no indicator in this folder's files; each begins with [[indicator]]", display_path(folder)))
}

/// A state file that another name would help with is bad usage.
fn of_state(error: StateError) -> anyhow::Error {
    match error {
        StateError::Missing { .. }
        | StateError::Empty { .. }
        | StateError::Closed { .. }
        | StateError::Foreign { .. }
        | StateError::Newer { .. }
        | StateError::ReadOnly { .. } => Usage(error.to_string()).into(),
        other => other.into(),
    }
}

/// How a table on standard output is to look.
fn table_style() -> TableStyle {
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| width.0.into());
    let colour = AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    TableStyle { width, colour }
}

impl From<Compat> for EveCompat {
    fn from(compat: Compat) -> Self {
        match compat {
            Compat::V7 => Self::V7,
            Compat::V8 => Self::V8,
        }
    }
}
