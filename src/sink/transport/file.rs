//! A file that grows, and standard output.

use super::super::Message;
use super::{Delivered, Transport, TransportError};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Appends lines; a batch is there when the file is synced.
pub(in super::super) struct FileTransport {
    path: PathBuf,
    rotation: Rotation,
    open: Option<Open>,
}

#[derive(Clone, Copy)]
pub(in super::super) struct Rotation {
    pub size: Option<u64>,
    pub age: Option<Duration>,
    pub keep: u32,
}

struct Open {
    file: File,
    length: u64,
    is_regular: bool,
    since: SystemTime,
}

impl FileTransport {
    pub fn new(path: &Path, rotation: Rotation) -> Self {
        Self { path: path.to_owned(), rotation, open: None }
    }
}

impl Transport for FileTransport {
    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        let (path, rotation, open) = (self.path.clone(), self.rotation, self.open.take());
        let text = lines(batch);
        let work = tokio::task::spawn_blocking(move || append(&path, rotation, open, &text));
        let open = work.await.map_err(|error| TransportError::Retry(error.to_string()))?;
        self.open = Some(open.map_err(|error| TransportError::Retry(format!("{}: {error}", self.path.display())))?);
        Ok(Delivered::default())
    }

    fn reopen(&mut self) {
        self.open = None;
    }
}

fn lines(batch: &[Arc<Message>]) -> Vec<u8> {
    let mut text = Vec::with_capacity(batch.iter().map(|message| message.line.len() + 1).sum());
    for message in batch {
        text.extend_from_slice(message.line.as_bytes());
        text.push(b'\n');
    }
    text
}

fn append(path: &Path, rotation: Rotation, open: Option<Open>, text: &[u8]) -> io::Result<Open> {
    let mut open = open.map_or_else(|| Open::at(path), Ok)?;
    let too_large = rotation.size.is_some_and(|size| open.length > 0 && open.length + text.len() as u64 > size);
    let too_old =
        rotation.age.is_some_and(|age| open.length > 0 && open.since.elapsed().is_ok_and(|since| since >= age));
    if open.is_regular && (too_large || too_old) {
        rotate(path, rotation.keep)?;
        open = Open::at(path)?;
    }
    let written = open.file.write_all(text).and_then(|()| if open.is_regular { open.file.sync_data() } else { Ok(()) });
    if let Err(error) = written {
        // Half a line must not stand before the next one. If it cannot be taken back, opening anew ends it.
        let _ = open.file.set_len(open.length);
        return Err(error);
    }
    open.length += text.len() as u64;
    Ok(open)
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        // A pipe or a device is not read.
        let is_regular = fs::metadata(path).map_or(true, |metadata| metadata.is_file());
        let file = OpenOptions::new().append(true).read(is_regular).create(true).mode(0o640).open(path)?;
        let mut open = Self { length: 0, is_regular, since: SystemTime::now(), file };
        if is_regular {
            let metadata = open.file.metadata()?;
            open.length = metadata.len();
            open.since = metadata.created().or_else(|_| metadata.modified()).unwrap_or(open.since);
            if open.length > 0 {
                let mut last = [0];
                open.file.seek(SeekFrom::End(-1))?;
                open.file.read_exact(&mut last)?;
                if last != *b"\n" {
                    open.file.write_all(b"\n")?;
                    open.length += 1;
                }
            }
        }
        Ok(open)
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

/// Lines on standard output; a batch is there when the system has it.
pub(in super::super) struct StdoutTransport;

impl Transport for StdoutTransport {
    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        let text = lines(batch);
        let work = tokio::task::spawn_blocking(move || {
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
