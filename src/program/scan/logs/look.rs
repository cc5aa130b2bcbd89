//! Looks at an input: whether it is a log, of which format, and what its times leave out.

use super::blocks::Blocks;
use crate::inputs::Input;
use jiff::tz::TimeZone;
use kaspector::capture::{CaptureError, Timestamp, Unpacked, display_path};
use kaspector_logs::{Clock, Lacks, LineParser, LogFormat, Mapped, as_lines};
use memchr::memmem;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What logs do not say of themselves, as far as somebody said it.
#[derive(Clone, Debug, Default)]
pub struct LogTimes {
    /// The zone of times without one.
    pub zone: Option<TimeZone>,
    /// The year of the first line of logs whose times have none.
    pub year: Option<i16>,
    /// A map of a format of one's own.
    pub map: Option<Mapped>,
}

/// The bytes of a log, in lines.
pub type LogBytes = Box<dyn Read + Send>;

/// A log among the inputs.
#[derive(Debug)]
pub struct LogInput {
    /// Its place in the list that is scanned.
    pub index: usize,
    /// Where it lies; `None` for standard input.
    pub path: Option<PathBuf>,
    /// Its name in reports.
    pub name: String,
    /// Its format.
    pub format: LogFormat,
    /// The beginning, as far as it was looked at: whole lines and a part of one.
    pub head: Box<[u8]>,
    /// How to read its times.
    pub clock: Clock,
    /// The time of its first line with one.
    pub first: Option<Timestamp>,
    /// What was opened to look, where it cannot be opened again.
    pub opened: Option<Box<Blocks<LogBytes>>>,
}

impl std::fmt::Debug for Blocks<LogBytes> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Blocks").finish_non_exhaustive()
    }
}

/// What an input turned out to be.
#[derive(Debug)]
pub enum Found {
    /// A log.
    Log(Box<LogInput>),
    /// A capture.
    Capture,
    /// Neither.
    Neither,
    /// A log that cannot be read without something that nobody said, or a file that cannot be read at all.
    Trouble(String),
}

/// Bytes of the beginning that are kept to say which lines a log begins with.
const HEAD_KEPT: usize = 4 << 10;

/// What only alerts of this program have.
const OWN_ALERT: &[u8] = b"\"kaspector_uid\"";

/// Looks at an input.
pub fn look(index: usize, input: &Input, times: &LogTimes) -> Found {
    let (path, opened) = match input {
        Input::Stdin => (None, Unpacked::stdin()),
        Input::Named(path) | Input::Found(path) => (Some(path.as_path()), Unpacked::open(path)),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(CaptureError::NotACapture { .. }) if matches!(input, Input::Found(_)) => return Found::Neither,
        Err(error) => return Found::Trouble(error.to_string()),
    };
    if opened.is_capture() {
        return Found::Capture;
    }
    let name = path.map_or_else(|| "-".to_owned(), display_path);
    let mut blocks = match as_lines(opened) {
        Ok(lines) => Box::new(Blocks::new(lines)),
        Err(error) => return Found::Trouble(format!("{name}: cannot be read: {error}")),
    };
    let head = match blocks.head() {
        Ok(head) => head,
        Err(error) => return Found::Trouble(format!("{name}: cannot be read: {error}")),
    };
    let format = match times.map.map(|map| (map, map.fits(head))) {
        Some((map, Ok(()))) => LogFormat::Mapped(map),
        unmapped => match (LogFormat::recognise(head), unmapped) {
            (Some(format), _) => format,
            (None, Some((map, Err(what)))) if !matches!(input, Input::Found(_)) => {
                return Found::Trouble(format!("{name}: the map of {} does not fit: {what}", map.name()));
            }
            (None, _) => return Found::Neither,
        },
    };
    // What this program said of other inputs is none itself, unless somebody names it.
    if matches!(input, Input::Found(_)) && memmem::find(head, OWN_ALERT).is_some() {
        return Found::Neither;
    }
    let clock = match clock(format.lacks(head), path, &name, times) {
        Ok(clock) => clock,
        Err(what) => return Found::Trouble(what),
    };
    let first = first_time(format, &clock, head);
    let head = head.get(..HEAD_KEPT).unwrap_or(head).into();
    let opened = path.is_none().then_some(blocks);
    Found::Log(Box::new(LogInput { index, path: path.map(Path::to_owned), name, format, head, clock, first, opened }))
}

/// How to read times that leave this out.
fn clock(lacks: Lacks, path: Option<&Path>, name: &str, times: &LogTimes) -> Result<Clock, String> {
    let zone = match &times.zone {
        Some(zone) => zone.clone(),
        None if lacks.zone => {
            return Err(format!(
                "{name}: its times have no time zone: say which with --timezone, such as UTC, +02:00 or Europe/Berlin"
            ));
        }
        None => TimeZone::UTC,
    };
    if !lacks.year {
        return Ok(Clock::until(zone, Timestamp(u64::MAX)));
    }
    if let Some(year) = times.year {
        return Ok(Clock::from_year(zone, year));
    }
    let changed = path.and_then(|path| path.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    let changed = changed.and_then(|since| u64::try_from(since.as_nanos()).ok());
    match changed {
        Some(changed) => Ok(Clock::until(zone, Timestamp(changed))),
        None => Err(format!("{name}: its times have no year: say that of the first line with --year")),
    }
}

/// The time of the first line that has one.
fn first_time(format: LogFormat, clock: &Clock, head: &[u8]) -> Option<Timestamp> {
    let mut parser = LineParser::new(format, clock.clone());
    head.split(|&byte| byte == b'\n').find_map(|line| parser.time(line))
}
