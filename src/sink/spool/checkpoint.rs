//! How far an output has come: one small file for each, replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "kaspector checkpoint 1";

/// The file of the output `name` in `folder`.
pub(super) fn path_of(folder: &Path, name: &str) -> PathBuf {
    use sha2::Digest;
    let digest: [u8; 32] = sha2::Sha256::digest(name.as_bytes()).into();
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("{digits}.checkpoint"))
}

/// The sequence number of the last message that was taken; `None` when the file is not there or makes no sense.
pub(super) fn read(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let (content, sum) = text.trim_end().rsplit_once('\n')?;
    let holds = u32::from_str_radix(sum, 16).is_ok_and(|sum| sum == crc32c::crc32c(content.as_bytes()));
    let mut lines = content.lines();
    let first = lines.next()?;
    let number = lines.next()?;
    (holds && first == FIRST_LINE).then(|| number.parse().ok()).flatten()
}

/// Writes it beside, syncs it, and puts it in place.
pub(super) fn write(path: &Path, name: &str, taken: u64) -> io::Result<()> {
    let content = format!("{FIRST_LINE}\n{taken}\n{}", name.replace('\n', " "));
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
        write(&path, "file:/a", 41).unwrap();
        write(&path, "file:/a", 42).unwrap();
        assert_eq!(read(&path), Some(42));
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() - 1 {
            fs::write(&path, whole.get(..end).unwrap()).unwrap();
            assert_eq!(read(&path), None, "{end}");
        }
    }
}
