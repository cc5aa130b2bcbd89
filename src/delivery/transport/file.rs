//! A file that grows, and standard output.
//!
//! What the file is, is asked before and after each batch and never remembered: others move, remove, cut and write it, too.

use super::super::{Message, RecordFormat, alert_line};
use super::{Delivered, Transport, TransportError};
use std::collections::VecDeque;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Appends lines; a batch is there when the file is synced.
pub(crate) struct FileTransport {
    path: PathBuf,
    rotation: Rotation,
    open: Option<Open>,
    recent: Recent,
}

#[derive(Clone, Copy)]
pub(crate) struct Rotation {
    pub size: Option<u64>,
    pub age: Option<Duration>,
    pub keep: u32,
}

/// A file that was opened.
struct Open {
    file: File,
    is_regular: bool,
    since: SystemTime,
    /// Where our last line ended.
    end: u64,
    /// Whether half a line stands at the end of a pipe, where nobody can take it back.
    is_torn: bool,
}

/// The messages written last: whoever removes or cuts the file may not have seen them.
#[derive(Default)]
struct Recent {
    messages: VecDeque<(Instant, Arc<Message>)>,
    bytes: usize,
}

/// More than is written between the moment when somebody has copied a file and the moment when it is cut.
const RECENT: Duration = Duration::from_secs(2);
const RECENT_BYTES: usize = 2 << 20;
/// How long nobody may read a pipe.
const PIPE_PATIENCE: Duration = Duration::from_secs(10);
const PIPE_LOOK: Duration = Duration::from_millis(10);
/// How often a batch is written anew because the file was removed or cut meanwhile.
const TRIES: usize = 3;

/// What has become of a file since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    InPlace,
    /// It has another name now, and what was written stands there.
    Moved,
    /// It has no name any more: nobody will read what was written.
    Removed,
    /// It is shorter than what was written.
    Cut,
}

/// What came of a batch.
struct Appended {
    open: Option<Open>,
    /// Messages that are there, the first of the batch.
    taken: usize,
    error: Option<io::Error>,
}

impl FileTransport {
    pub fn new(path: &Path, rotation: Rotation) -> Self {
        Self { path: path.to_owned(), rotation, open: None, recent: Recent::default() }
    }
}

impl Transport for FileTransport {
    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        let (path, rotation, open) = (self.path.clone(), self.rotation, self.open.take());
        let (recent, messages) = (self.recent.messages(), batch.to_vec());
        let work = tokio::task::spawn_blocking(move || append(&path, rotation, open, &recent, &messages));
        let named = |error: io::Error| format!("{}: {error}", self.path.display());
        let appended = work.await.map_err(|error| TransportError::Retry(error.to_string()))?;
        self.open = appended.open;
        let (taken, again) = batch.split_at_checked(appended.taken).unwrap_or((batch, &[]));
        self.recent.wrote(taken);
        match appended.error {
            Some(error) if taken.is_empty() => Err(TransportError::Retry(named(error))),
            error => Ok(Delivered { again: again.to_vec(), reason: error.map(named), ..Delivered::default() }),
        }
    }

    fn reopen(&mut self) {
        self.open = None;
    }
}

impl Recent {
    fn messages(&self) -> Vec<Arc<Message>> {
        self.messages.iter().map(|(_, message)| Arc::clone(message)).collect()
    }

    fn wrote(&mut self, messages: &[Arc<Message>]) {
        let now = Instant::now();
        for message in messages {
            self.bytes += message.line.len();
            self.messages.push_back((now, Arc::clone(message)));
        }
        while let Some((_, message)) =
            self.messages.pop_front_if(|(at, _)| self.bytes > RECENT_BYTES || now - *at > RECENT)
        {
            self.bytes -= message.line.len();
        }
    }
}

fn lines<'m>(messages: impl Iterator<Item = &'m Arc<Message>>) -> Vec<u8> {
    let mut text = Vec::new();
    for message in messages {
        text.extend_from_slice(message.line.as_bytes());
        text.push(b'\n');
    }
    text
}

/// Writes a batch to wherever `path` leads now, and before it the `recent` messages where these went with the file.
fn append(
    path: &Path,
    rotation: Rotation,
    mut open: Option<Open>,
    recent: &[Arc<Message>],
    batch: &[Arc<Message>],
) -> Appended {
    let failed = |error| Appended { open: None, taken: 0, error: Some(error) };
    let mut again: &[Arc<Message>] = &[];
    for _ in 0..TRIES {
        let mut current = match opened(path, rotation, open.take(), &mut again, recent, batch) {
            Ok(current) => current,
            Err(error) => return failed(error),
        };
        let text = lines(again.iter().chain(batch));
        if let Err((done, error)) = current.write(&text) {
            let written = text.get(..done).unwrap_or_default();
            let whole = written.iter().filter(|&&byte| byte == b'\n').count();
            if !current.is_regular {
                current.is_torn |= written.last().is_some_and(|&last| last != b'\n');
                let taken = whole.saturating_sub(again.len());
                return Appended { open: Some(current), taken, error: Some(error) };
            }
            // Half a line must not stand before the next one. Where it cannot be taken back, opening anew ends it.
            let half = written.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
            let _ = current.take_back(half);
            let is_there = whole > again.len() && current.sync().is_ok();
            let taken = if is_there { whole - again.len() } else { 0 };
            return Appended { open: None, taken, error: Some(error) };
        }
        match current.sync().and_then(|()| current.fate(path)) {
            Ok(Fate::InPlace | Fate::Moved) => {
                return Appended { open: Some(current), taken: batch.len(), error: None };
            }
            // While it was written: this batch went with it.
            Ok(Fate::Removed | Fate::Cut) => open = Some(current),
            Err(error) => return failed(error),
        }
    }
    failed(io::Error::other("it is removed or cut as often as it is written"))
}

/// The file that `path` names, with room for a batch. `again` is what is to be written first.
fn opened<'m>(
    path: &Path,
    rotation: Rotation,
    open: Option<Open>,
    again: &mut &'m [Arc<Message>],
    recent: &'m [Arc<Message>],
    batch: &[Arc<Message>],
) -> io::Result<Open> {
    let mut open = match open {
        None => Open::at(path)?,
        Some(open) => match open.fate(path)? {
            Fate::InPlace => open,
            Fate::Moved => {
                tracing::info!("{}: was moved away; a new one is begun", path.display());
                Open::at(path)?
            }
            fate => {
                let what = if fate == Fate::Cut { "was cut by somebody else" } else { "was removed" };
                tracing::warn!("{}: {what}; what was written last is written again", path.display());
                *again = recent;
                Open::at(path)?
            }
        },
    };
    if open.is_regular && (rotation.size.is_some() || rotation.age.is_some()) {
        let (length, more) = (open.file.metadata()?.len(), lines(again.iter().chain(batch)).len() as u64);
        let too_large = rotation.size.is_some_and(|size| length > 0 && length + more > size);
        let too_old =
            rotation.age.is_some_and(|age| length > 0 && open.since.elapsed().is_ok_and(|since| since >= age));
        if too_large || too_old {
            rotate(path, rotation.keep)?;
            open = Open::at(path)?;
        }
    }
    Ok(open)
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        // A pipe or a device is not read; and a pipe that nobody reads must not hold us up.
        let is_regular = fs::metadata(path).map_or(true, |metadata| metadata.is_file());
        let mut options = OpenOptions::new();
        options.append(true).read(is_regular).create(true).mode(0o640).custom_flags(libc::O_NONBLOCK);
        let file = options.open(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ENXIO) => io::Error::new(error.kind(), "nobody reads this pipe"),
            _ => error,
        })?;
        let mut open = Self { is_regular, since: SystemTime::now(), end: 0, is_torn: false, file };
        if is_regular {
            let metadata = open.file.metadata()?;
            open.end = metadata.len();
            open.since = metadata.created().or_else(|_| metadata.modified()).unwrap_or(open.since);
            if open.end > 0 {
                let mut last = [0];
                open.file.seek(SeekFrom::End(-1))?;
                open.file.read_exact(&mut last)?;
                if last != *b"\n" {
                    open.file.write_all(b"\n")?;
                    open.end = open.file.stream_position()?;
                }
            }
        }
        Ok(open)
    }

    /// What has become of it.
    fn fate(&self, path: &Path) -> io::Result<Fate> {
        let ours = self.file.metadata()?;
        if ours.nlink() == 0 {
            return Ok(Fate::Removed);
        }
        let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        match fs::metadata(path) {
            Ok(there) if identity(&there) != identity(&ours) => Ok(Fate::Moved),
            Ok(_) if self.is_regular && ours.len() < self.end => Ok(Fate::Cut),
            Ok(_) => Ok(Fate::InPlace),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Fate::Moved),
            Err(error) => Err(error),
        }
    }

    /// Writes all of it, or says how many bytes were written before the error.
    fn write(&mut self, text: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.is_torn {
            self.write_bytes(b"\n").map_err(|(_, error)| (0, error))?;
            self.is_torn = false;
        }
        self.write_bytes(text)
    }

    fn write_bytes(&mut self, text: &[u8]) -> Result<(), (usize, io::Error)> {
        let (mut done, mut since) = (0, Instant::now());
        while let Some(rest) = text.get(done..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return Err((done, io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    done += count;
                    since = Instant::now();
                    if self.is_regular {
                        // Behind what was appended, wherever others have written (write(2)).
                        self.end = self.file.stream_position().map_err(|error| (done, error))?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && since.elapsed() < PIPE_PATIENCE => {
                    std::thread::sleep(PIPE_LOOK);
                }
                Err(error) => return Err((done, error)),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.is_regular { self.file.sync_data() } else { Ok(()) }
    }

    /// Takes back the half line that was written last, if it still is the last thing in the file: read back, not remembered.
    fn take_back(&self, half: &[u8]) -> io::Result<()> {
        let begin = self.end.saturating_sub(half.len() as u64);
        if half.is_empty() || self.file.metadata()?.len() != self.end {
            return Ok(());
        }
        let mut there = vec![0; half.len()];
        self.file.read_exact_at(&mut there, begin)?;
        if there == half { self.file.set_len(begin) } else { Ok(()) }
    }
}

/// `PATH` becomes `PATH.1`, that becomes `PATH.2`, and what would be above `keep` goes.
fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    if keep == 0 {
        return fs::remove_file(path);
    }
    for number in (1..keep).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(1))
}

/// Lines on standard output; a batch is there when the system has it. A terminal gets alerts in words, and no counters.
pub(crate) struct StdoutTransport {
    /// What the lines are.
    pub format: RecordFormat,
}

/// Standard output is one for all: a task that was given up while nobody reads it still waits there with its thread.
static STDOUT: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn in_words(batch: &[Arc<Message>]) -> Vec<u8> {
    batch.iter().filter_map(|message| alert_line(&message.line)).flat_map(|line| (line + "\n").into_bytes()).collect()
}

impl Transport for StdoutTransport {
    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        let is_read = self.format == RecordFormat::Eve && io::stdout().is_terminal();
        let text = if is_read { in_words(batch) } else { lines(batch.iter()) };
        let turn = STDOUT.lock().await;
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut out = io::stdout().lock();
            out.write_all(&text).and_then(|()| out.flush())
        });
        match work.await.map_err(|error| TransportError::Retry(error.to_string()))? {
            Ok(()) => Ok(Delivered::default()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // It never comes back, and keeping messages for it would only fill the spool.
                let reason = Some("standard output is closed".to_owned());
                Ok(Delivered { rejected: batch.len(), reason, is_closed: true, ..Delivered::default() })
            }
            Err(error) => Err(error.into()),
        }
    }
}
