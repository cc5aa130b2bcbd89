//! Lines to a file that others may rotate, or to a socket that somebody listens to. Only the worker comes here, so it may take its time;
//! but not for ever, since records wait meanwhile.

use super::engine::{Engine, Level};
use super::settings::Target;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a receiver may take for a batch of lines.
const SEND_MAX: Duration = Duration::from_secs(1);
/// How long a file or a receiver that failed is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An open output, or one that is to be opened again.
pub struct Output {
    target: Target,
    open: Option<Open>,
    failed_at: Option<Instant>,
    lost: u64,
}

enum Open {
    File(File),
    Unix(UnixStream),
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl Output {
    /// Opens the output. A socket may have its listener later.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn open(target: Target) -> Result<Self, String> {
        let mut output = Self { target, open: None, failed_at: None, lost: 0 };
        match (output.try_open(), &output.target) {
            (Err(why), Target::File(path)) => {
                Err(format!("{}: {why}; name a file that Suricata may write", path.display()))
            }
            _ => Ok(output),
        }
    }

    /// Lines that found nobody.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Writes whole lines.
    pub fn write(&mut self, lines: &[u8]) {
        self.keep_up();
        let result = match &mut self.open {
            Some(Open::File(file)) => file.write_all(lines),
            Some(Open::Unix(stream)) => stream.write_all(lines),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        if let Err(why) = result {
            self.lost += lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
            // Part of a line may be out: a file is closed by a newline when it is opened again, a receiver sees the end of the stream.
            if self.open.take().is_some() {
                self.failed(&why);
            }
        }
    }

    /// Follows a file that was rotated, and looks for a receiver that is back.
    pub fn keep_up(&mut self) {
        if let (Some(Open::File(file)), Target::File(path)) = (&self.open, &self.target)
            && !is_same(file, path)
        {
            self.open = None;
        }
        let is_time = self.failed_at.is_none_or(|at| at.elapsed() >= RETRY_AFTER);
        if self.open.is_none()
            && is_time
            && let Err(why) = self.try_open()
        {
            self.failed(&why);
        }
    }

    fn try_open(&mut self) -> io::Result<()> {
        self.open = Some(match &self.target {
            Target::File(path) => {
                let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
                if lacks_newline(&mut file)? {
                    file.write_all(b"\n")?;
                }
                Open::File(file)
            }
            Target::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(SEND_MAX))?;
                Open::Unix(stream)
            }
        });
        if self.failed_at.take().is_some() {
            Engine::running().log(Level::Notice, &format!("{}: is there again", self.target));
        }
        Ok(())
    }

    /// Says so the first time.
    fn failed(&mut self, why: &io::Error) {
        if self.failed_at.replace(Instant::now()).is_none() {
            Engine::running().log(Level::Warning, &format!("{}: {why}; it is tried every second", self.target));
        }
    }
}

/// Whether a path still leads to the file that is open.
fn is_same(file: &File, path: &Path) -> bool {
    let names = |metadata: Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => names(open) == names(there),
        _ => false,
    }
}

/// Whether a file ends within a line: whoever wrote it was killed.
fn lacks_newline(file: &mut File) -> io::Result<bool> {
    if !file.metadata()?.is_file() || file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_rotated_file_is_followed_and_a_torn_line_closed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("a.json"), folder.path().join("a.json.1"));
        std::fs::write(&path, "torn").unwrap();
        let mut output = Output::open(Target::File(path.clone())).unwrap();
        output.write(b"one\n");
        std::fs::rename(&path, &old).unwrap();
        output.write(b"two\nthree\n");
        std::fs::remove_file(&path).unwrap();
        output.keep_up();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "torn\none\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        assert_eq!(output.lost(), 0);
        assert!(Output::open(Target::File(folder.path().join("none/a.json"))).is_err());
    }

    #[test]
    fn a_receiver_may_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let mut output = Output::open(Target::Unix(path.clone())).unwrap();
        output.write(b"one\n");
        assert_eq!(output.lost(), 1);
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::sleep(RETRY_AFTER);
        output.write(b"two\n");
        let mut lines = BufReader::new(listener.accept().unwrap().0).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "two");
        drop(lines);
        while output.lost() == 1 {
            output.write(b"three\n");
        }
        std::thread::sleep(RETRY_AFTER);
        output.write(b"four\n");
        assert_eq!(BufReader::new(listener.accept().unwrap().0).lines().next().unwrap().unwrap(), "four");
    }
}
