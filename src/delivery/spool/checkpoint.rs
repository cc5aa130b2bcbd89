//! How far an output has come: one small file for each, replaced as a whole.

use super::{ByWeight, Ranges, WEIGHTS, name_of};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "kaspector checkpoint 2";

/// How far an output is done with the messages of one weight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Up to this number.
    pub taken: u64,
    /// And with these beyond, most of them because they were lost.
    pub done: Ranges,
}

/// The file of the output `name` in `folder`.
pub(super) fn path_of(folder: &Path, name: &str) -> PathBuf {
    use sha2::Digest;
    let digest: [u8; 32] = sha2::Sha256::digest(name.as_bytes()).into();
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("{digits}.checkpoint"))
}

/// How far it says that the output has come; `None` when the file is not there or makes no sense.
pub(super) fn read(path: &Path) -> Option<ByWeight<Progress>> {
    // Nothing but a file may be opened: a pipe would wait for its writer.
    fs::metadata(path).ok()?.is_file().then_some(())?;
    let text = fs::read_to_string(path).ok()?;
    let (content, sum) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    if u32::from_str_radix(sum, 16).ok()? != crc32c::crc32c(content.as_bytes()) {
        return None;
    }
    let mut lines = content.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let mut progress = ByWeight::<Progress>::default();
    for weight in WEIGHTS {
        let mut words = lines.next()?.split(' ');
        if words.next()? != name_of(weight) {
            return None;
        }
        let row = progress.of_mut(weight);
        row.taken = words.next()?.parse().ok()?;
        for range in words {
            let (start, end) = range.split_once('-')?;
            row.done.add(start.parse().ok()?..end.parse::<u64>().ok()?.checked_add(1)?);
        }
    }
    Some(progress)
}

/// Writes it beside, syncs it, and puts it in place.
pub(super) fn write(path: &Path, name: &str, progress: &ByWeight<Progress>) -> io::Result<()> {
    let mut content = format!("{FIRST_LINE}\n");
    for weight in WEIGHTS {
        let Progress { taken, done } = progress.of(weight);
        let _ = write!(content, "{} {taken}", name_of(weight));
        for range in done.iter() {
            let _ = write!(content, " {}-{}", range.start, range.end - 1);
        }
        content.push('\n');
    }
    content.push_str(&name.replace('\n', " "));
    let beside = path.with_extension("checkpoint-new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    write!(file, "{content}\n{:08x}\n", crc32c::crc32c(content.as_bytes()))?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder_of(path)
}

/// Makes the names in a file's folder last.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_checkpoint_is_whole_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_of(folder.path(), "file:/a");
        assert_eq!(read(&path), None);
        write(&path, "file:/a", &ByWeight::default()).unwrap();
        let mut progress = ByWeight::<Progress>::default();
        progress.finding.taken = 41;
        progress.finding.done.add(50..60);
        progress.finding.done.add(70..71);
        progress.summary.taken = 7;
        write(&path, "file:/a", &progress).unwrap();
        assert_eq!(read(&path), Some(progress));
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() {
            fs::write(&path, whole.get(..end).unwrap()).unwrap();
            assert_eq!(read(&path), None, "{end}");
            let mut changed = whole.clone();
            *changed.get_mut(end).unwrap() ^= 1;
            fs::write(&path, changed).unwrap();
            assert_eq!(read(&path), None, "{end}");
        }
    }
}
