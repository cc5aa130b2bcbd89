//! What a scan writes besides its report, opened before anything is read.

use super::super::answer::{AnswerPlace, of_output};
use super::super::{Exit, Usage, complain, of_state};
use crate::cli::ScanArguments;
use crate::evidence::{Captures, EvidenceFolder};
use crate::process::output_file::{AlertsFile, Claims, OutputFileError};
use crate::scan::ScanOptions;
use crate::state::{State, StateError};
use kaspector::capture::display_path;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// What a scan writes besides its report.
pub struct Targets<'a> {
    /// Where the report goes.
    pub place: AnswerPlace<'a>,
    /// Where evidence is kept, if anywhere.
    pub evidence: Option<EvidenceFolder>,
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
        for folder in [&arguments.answer.signatures.replace, &arguments.answer.signatures.extra].into_iter().flatten() {
            claims.add_folder(folder, "toml", "a signature file, which is read");
        }
        if let Some(site) = &arguments.answer.site {
            claims.add(site, "the site file, which is read");
        }
        if let Some(map) = &arguments.answer.log_times.map {
            claims.add(map, "the map of a log format, which is read");
        }
        claims.check_stdout().map_err(usage)?;
        claims.add_stream(io::stdout(), "standard output");
        if let Some(path) = &arguments.answer.state {
            claims.check_database(path, "--state").map_err(usage)?;
            claims.add_database(path);
        }
        let evidence = match &arguments.evidence {
            Some(folder) => Some(open_evidence(folder, arguments, options, &claims)?),
            None => None,
        };
        let mut failure = None;
        let mut refused = |error: &dyn Display| {
            complain(error);
            failure = Some(Exit::Failure);
        };
        // Nothing is changed until all of them were looked at.
        let mut file = match arguments.answer.eve.as_deref().filter(|path| *path != Path::new("-")) {
            None => None,
            Some(path) => match AlertsFile::open(path, "--eve", &claims, arguments.answer.force) {
                Ok(file) => Some((file, path)),
                Err(error) if error.is_refusal() => return Err(usage(error).into()),
                Err(error) => {
                    refused(&error);
                    None
                }
            },
        };
        let mut state = None;
        if let Some(path) = arguments.answer.state.as_deref() {
            let opened = match &file {
                Some((file, _)) => file.check_apart(path, "--state").map_err(|error| usage(error).into()),
                None => Ok(()),
            };
            match opened.and_then(|()| open_state(path, arguments.answer.force)) {
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
        if let Some(path) = &arguments.answer.state {
            claims.add_database(path);
        }
        let place = match AnswerPlace::new(arguments.answer.output.as_deref(), &claims, arguments.answer.force) {
            Ok(place) => place,
            Err(error) => {
                if let Some((file, path)) = file {
                    file.withdraw(path);
                }
                return Err(error);
            }
        };
        let alerts = match file.take() {
            _ if arguments.answer.eve.as_deref() == Some(Path::new("-")) => Some(AlertTarget::Stdout),
            None => None,
            Some((mut file, path)) => match file.begin() {
                Ok(()) => Some(AlertTarget::File(file)),
                Err(error) => {
                    refused(&OutputFileError::closed(path, error));
                    None
                }
            },
        };
        Ok(Self { alerts, state, place, evidence, failure })
    }
}

/// Opens the folder of evidence. Without it a scan need not begin: whoever wants proof would have to scan again.
fn open_evidence(
    folder: &Path,
    arguments: &ScanArguments,
    options: &ScanOptions,
    claims: &Claims,
) -> anyhow::Result<EvidenceFolder> {
    if let Some(what) = Captures::read_only_once(&options.inputs) {
        let advice = "write it to a file first, and scan that";
        return Err(Usage(format!(
            "{what}: --evidence reads inputs again, and this gives its packets only once; {advice}"
        ))
        .into());
    }
    let is_scanned = |input: &&PathBuf| input.is_dir() && lies_in(folder, input);
    if let Some(input) = arguments.paths.iter().find(is_scanned) {
        let (folder, input) = (display_path(folder), display_path(input));
        let what = "what is kept there would be an input of the next scan";
        return Err(Usage(format!(
            "{folder}: lies in {input}, which is scanned, so {what}; name another folder with --evidence"
        ))
        .into());
    }
    EvidenceFolder::open(folder, claims, arguments.answer.force).map_err(of_output)
}

/// Whether a folder, which may not be there yet, is another or lies in it.
fn lies_in(folder: &Path, other: &Path) -> bool {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = folder.canonicalize().or_else(|_| parent.canonicalize());
    matches!((real, other.canonicalize()), (Ok(real), Ok(other)) if real.starts_with(&other))
}

/// Opens the inventory; by force, in the place of what another program made. The inner error is one that costs nothing but the inventory.
pub fn open_state(path: &Path, force: bool) -> anyhow::Result<Result<State, anyhow::Error>> {
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
