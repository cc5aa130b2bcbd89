//! Which numbers were given: one small file, written in place with every message. By it a segment that is missing at the next start is
//! known to be missing, and how many messages with it.

use super::ByWeight;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Of one row of segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// What is below was taken by every output that was there, and need not be on disk.
    pub kept_from: u64,
    /// The last one that was written to a segment.
    pub written: u64,
    /// The last one that was given.
    pub given: u64,
}

/// Of the whole spool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The last sequence number that was given.
    pub last: u64,
    pub rows: ByWeight<Row>,
}

const MAGIC: [u8; 8] = *b"KSnumbr1";
const BODY: usize = 8 + 8 + 3 * 24;

pub(super) fn path_in(folder: &Path) -> PathBuf {
    folder.join("numbers")
}

/// Opens the file to write to, and makes it if need be.
pub(super) fn open(folder: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path_in(folder))
}

/// `None` when the file is not there or makes no sense.
pub(super) fn read(folder: &Path) -> Option<Numbers> {
    let path = path_in(folder);
    // Nothing but a file may be opened: a pipe would wait for its writer.
    std::fs::metadata(&path).ok()?.is_file().then_some(())?;
    let mut bytes = [0; BODY + 4];
    File::open(&path).ok()?.read_exact_at(&mut bytes, 0).ok()?;
    let (body, sum) = bytes.split_first_chunk::<BODY>()?;
    if crc32c::crc32c(body).to_le_bytes() != sum || !body.starts_with(&MAGIC) {
        return None;
    }
    let mut words = body.chunks_exact(8).skip(1).filter_map(|word| Some(u64::from_le_bytes(word.try_into().ok()?)));
    let last = words.next()?;
    let mut row = || Some(Row { kept_from: words.next()?, written: words.next()?, given: words.next()? });
    Some(Numbers { last, rows: ByWeight { stats: row()?, summary: row()?, finding: row()? } })
}

impl Numbers {
    /// Puts them in the place of those before.
    pub fn write(&self, file: &File) -> io::Result<()> {
        let ByWeight { stats, summary, finding } = &self.rows;
        let mut bytes = Vec::with_capacity(BODY + 4);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.last.to_le_bytes());
        for word in [stats, summary, finding].into_iter().flat_map(|row| [row.kept_from, row.written, row.given]) {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        file.write_all_at(&bytes, 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn they_are_whole_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), None);
        let file = open(folder.path()).unwrap();
        let row = |written| Row { kept_from: 1, written, given: 9 };
        let numbers = Numbers { last: 30, rows: ByWeight { stats: row(2), summary: row(3), finding: row(4) } };
        Numbers::default().write(&file).unwrap();
        numbers.write(&file).unwrap();
        assert_eq!(read(folder.path()).unwrap(), numbers);
        let whole = std::fs::read(path_in(folder.path())).unwrap();
        for at in 0..whole.len() {
            std::fs::write(path_in(folder.path()), whole.get(..at).unwrap()).unwrap();
            assert_eq!(read(folder.path()), None, "{at}");
            let mut changed = whole.clone();
            *changed.get_mut(at).unwrap() ^= 4;
            std::fs::write(path_in(folder.path()), changed).unwrap();
            assert_eq!(read(folder.path()), None, "{at}");
        }
        std::fs::remove_file(path_in(folder.path())).unwrap();
        std::fs::create_dir(path_in(folder.path())).unwrap();
        assert_eq!(read(folder.path()), None);
    }
}
