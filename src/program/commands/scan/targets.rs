//! What a scan writes besides its report, opened before anything is read.

use super::super::answer::AnswerPlace;
use super::super::{Exit, Usage, complain, of_state};
use crate::cli::ScanArguments;
use crate::process::output_file::{AlertsFile, Claims, OutputFileError};
use crate::scan::ScanOptions;
use crate::state::{State, StateError};
use std::fmt::Display;
use std::io;
use std::path::Path;

/// What a scan writes besides its report.
pub struct Targets<'a> {
    /// Where the report goes.
    pub place: AnswerPlace<'a>,
    /// Where alerts go, if anywhere.
    pub alerts: Option<AlertTarget>,
    /// The inventory, if there is one.
    pub state: Option<State>,
    /// How the program is to end, since one of them could not be opened.
    pub failure: Option<Exit>,
}

/// Where alerts go.
pub enum AlertTarget {
    /// Standard output.
    Stdout,
    /// A file that only grows, or anything else with a name.
    File(AlertsFile),
}

impl<'a> Targets<'a> {
    /// Opens what can be opened, and says what cannot. What must not be written ends the program before anything is read or changed.
    pub fn open(arguments: &'a ScanArguments, options: &ScanOptions) -> anyhow::Result<Self> {
        let usage = |error: OutputFileError| Usage(error.to_string());
        let mut claims = Claims::default();
        claims.add_inputs(&options.inputs);
        for folder in [&arguments.signatures.replace, &arguments.signatures.extra].into_iter().flatten() {
            claims.add_folder(folder, "toml", "a signature file, which is read");
        }
        claims.check_stdout().map_err(usage)?;
        claims.add_stream(io::stdout(), "standard output");
        if let Some(path) = &arguments.state {
            claims.check_database(path, "--state").map_err(usage)?;
            claims.add_database(path);
        }
        let mut failure = None;
        let mut refused = |error: &dyn Display| {
            complain(error);
            failure = Some(Exit::Failure);
        };
        // Nothing is changed until all of them were looked at.
        let mut file = match arguments.eve.as_deref().filter(|path| *path != Path::new("-")) {
            None => None,
            Some(path) => match AlertsFile::open(path, "--eve", &claims, arguments.force) {
                Ok(file) => Some((file, path)),
                Err(error) if error.is_refusal() => return Err(usage(error).into()),
                Err(error) => {
                    refused(&error);
                    None
                }
            },
        };
        let mut state = None;
        if let Some(path) = arguments.state.as_deref() {
            let opened = match &file {
                Some((file, _)) => file.check_apart(path, "--state").map_err(|error| usage(error).into()),
                None => Ok(()),
            };
            match opened.and_then(|()| open_state(path, arguments.force)) {
                Ok(opened) => state = opened.map_err(|error| refused(&format_args!("{error:#}"))).ok(),
                Err(error) => {
                    if let Some((file, path)) = file {
                        file.withdraw(path);
                    }
                    return Err(error);
                }
            }
        }
        // The last to be looked at: it must be none of the others.
        if let Some((file, _)) = &file {
            file.claim(&mut claims);
        }
        if let Some(path) = &arguments.state {
            claims.add_database(path);
        }
        let place = match AnswerPlace::new(arguments.output.as_deref(), &claims, arguments.force) {
            Ok(place) => place,
            Err(error) => {
                if let Some((file, path)) = file {
                    file.withdraw(path);
                }
                return Err(error);
            }
        };
        let alerts = match file.take() {
            _ if arguments.eve.as_deref() == Some(Path::new("-")) => Some(AlertTarget::Stdout),
            None => None,
            Some((mut file, path)) => match file.begin() {
                Ok(()) => Some(AlertTarget::File(file)),
                Err(error) => {
                    refused(&OutputFileError::closed(path, error));
                    None
                }
            },
        };
        Ok(Self { alerts, state, place, failure })
    }
}

/// Opens the inventory; by force, in the place of what another program made. The inner error is one that costs nothing but the inventory.
fn open_state(path: &Path, force: bool) -> anyhow::Result<Result<State, anyhow::Error>> {
    let opened = match State::open(path) {
        Err(StateError::Foreign { .. }) if force => std::fs::remove_file(path)
            .map_err(|error| StateError::Closed { path: path.to_owned(), error: error.to_string() })
            .and_then(|()| State::open(path)),
        other => other,
    };
    match opened {
        Err(error @ (StateError::Foreign { .. } | StateError::Newer { .. })) => Err(of_state(error)),
        other => Ok(other.map_err(Into::into)),
    }
}
