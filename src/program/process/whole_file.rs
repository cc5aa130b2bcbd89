//! Files that appear whole or not at all, and replace nothing but an earlier answer of the same kind.

use super::output_file::{Claims, OutputFileError};
use kaspector::capture::display_path;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Lists what an export wrote into a folder, as sha256sum does, behind a comment that tells it from the lists of others.
const SUMS: &str = "SHA256SUMS";
const SUMS_MARK: &str = "# Kaspector: what an export wrote here; sha256sum -c checks it\n";

/// How a file of the kind that is written is told from others.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// In words, with an article: `an answer of a scan`.
    pub words: &'static str,
    /// It begins with one of these,
    pub begins: &'static [&'static str],
    /// or one of these stands among its first bytes.
    pub marks: &'static [&'static str],
}

/// Bytes at the beginning of a file in which its mark is looked for.
const HEAD: u64 = 4096;

/// Refuses a file that is claimed, a capture, or another program's, unless the latter is to be replaced by force.
///
/// # Errors
/// [`OutputFileError`].
pub fn check_file(
    path: &Path,
    option: &'static str,
    kind: Kind,
    claims: &Claims,
    force: bool,
) -> Result<(), OutputFileError> {
    claims.check(path, option)?;
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return check_folder_of(path),
        Err(error) => return Err(OutputFileError::closed(path, error)),
    };
    if metadata.is_dir() {
        return Err(OutputFileError::closed(path, io::ErrorKind::IsADirectory.into()));
    }
    if !metadata.is_file() || metadata.len() == 0 || force {
        return Ok(());
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    read.map_err(|error| OutputFileError::closed(path, error))?;
    let has_mark = |mark: &&str| memchr::memmem::find(&head, mark.as_bytes()).is_some();
    if kind.begins.iter().any(|start| head.starts_with(start.as_bytes())) || kind.marks.iter().any(has_mark) {
        return Ok(());
    }
    Err(OutputFileError::Foreign {
        file: display_path(path),
        holds: kind.words,
        option,
        advice: ", or have it replaced with --force",
    })
}

fn check_folder_of(path: &Path) -> Result<(), OutputFileError> {
    match folder_of(path).metadata() {
        Ok(folder) if folder.is_dir() => Ok(()),
        Ok(_) => Err(OutputFileError::closed(path, io::ErrorKind::NotADirectory.into())),
        Err(error) => Err(OutputFileError::closed(path, error)),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file under another name beside it and puts it in its place. What is no file proper, such as a pipe, is written to.
///
/// # Errors
/// When the file system refuses; the file is then as it was.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // The file behind a link is replaced, and the link stays.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        let mut out = io::BufWriter::new(File::options().write(true).open(&path)?);
        return write(&mut out).and_then(|()| out.flush());
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let beside = folder_of(&path).join(name);
    let written = File::create_new(&beside).and_then(|file| {
        if let Ok(earlier) = path.metadata() {
            file.set_permissions(earlier.permissions())?;
        }
        let mut out = io::BufWriter::with_capacity(1 << 16, file);
        write(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(&beside, &path));
    if placed.is_err() {
        _ = fs::remove_file(&beside);
    }
    placed
}

/// Writes files into a folder, which is made if it is not there, with a list of their checksums; takes away what an earlier export wrote
/// there and this one does not. `files`: paths below the folder, with `/` between parts.
///
/// # Errors
/// [`OutputFileError::Foreign`], before anything is written, when a file would be replaced that no export wrote or that was changed since,
/// unless by `force`. Else when the file system refuses.
pub fn write_folder(
    folder: &Path,
    option: &'static str,
    files: &[(&str, &[u8])],
    claims: &Claims,
    force: bool,
) -> Result<(), OutputFileError> {
    if folder.metadata().is_ok_and(|metadata| !metadata.is_dir()) {
        return Err(OutputFileError::closed(folder, io::ErrorKind::NotADirectory.into()));
    }
    let listed = earlier(folder);
    for path in files.iter().map(|(path, _)| *path).chain([SUMS]) {
        let path = folder.join(path);
        claims.check(&path, option)?;
        if path.symlink_metadata().is_ok() && !force && !listed.contains(&path) {
            return Err(OutputFileError::Foreign {
                file: display_path(&path),
                holds: "what an export wrote",
                option,
                advice: ", or have it replaced with --force",
            });
        }
    }
    let closed = |path: &Path| {
        let path = path.to_owned();
        move |error| OutputFileError::closed(&path, error)
    };
    if folder.metadata().is_err() {
        fs::create_dir(folder).map_err(closed(folder))?;
    }
    let mut sums = SUMS_MARK.to_owned();
    for (name, bytes) in files {
        let path = folder.join(name);
        let parent = folder_of(&path);
        fs::create_dir_all(parent).map_err(closed(parent))?;
        write_whole(&path, |out| out.write_all(bytes)).map_err(closed(&path))?;
        sums.push_str(&format!("{}  {name}\n", hexadecimal_digest(bytes)));
    }
    let list = folder.join(SUMS);
    write_whole(&list, |out| out.write_all(sums.as_bytes())).map_err(closed(&list))?;
    for left in
        listed.iter().filter(|path| **path != list && !files.iter().any(|(name, _)| folder.join(name) == **path))
    {
        _ = fs::remove_file(left);
    }
    Ok(())
}

/// The list that an earlier export left in a folder, and the files in it that nobody changed since. A list of another program names
/// nothing of ours.
fn earlier(folder: &Path) -> Vec<PathBuf> {
    let sums = folder.join(SUMS);
    let list = fs::read_to_string(&sums).unwrap_or_default();
    let Some(list) = list.strip_prefix(SUMS_MARK) else { return Vec::new() };
    let is_plain = |name: &str| !name.starts_with('/') && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let is_unchanged =
        |path: &Path, digest: &str| fs::read(path).is_ok_and(|bytes| hexadecimal_digest(&bytes) == digest);
    let entries = list.lines().filter_map(|line| line.split_once("  ")).filter(|(_, name)| is_plain(name));
    let files = entries.map(|(digest, name)| (digest, folder.join(name)));
    files.filter(|(digest, path)| is_unchanged(path, digest)).map(|(_, path)| path).chain([sums.clone()]).collect()
}

/// The SHA-256 of bytes, as sha256sum writes it.
#[must_use]
pub fn hexadecimal_digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The SHA-256 of a file, as sha256sum writes it.
///
/// # Errors
/// When it cannot be read.
pub fn file_digest(path: &Path) -> io::Result<String> {
    let (mut file, mut digest) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&digest.finalize())),
            count => digest.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { words: "a test", begins: &["T-"], marks: &["mark of a test"] };

    #[test]
    fn only_its_own_kind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, force| check_file(&folder.path().join(name), "-o", KIND, &Claims::default(), force);
        fs::write(folder.path().join("own"), "a mark of a test\n").unwrap();
        fs::write(folder.path().join("begun"), "T-1\n").unwrap();
        fs::write(folder.path().join("empty"), "").unwrap();
        fs::write(folder.path().join("mentions"), "see T-1\n").unwrap();
        fs::write(folder.path().join("foreign"), "something else\n").unwrap();
        for name in ["new", "own", "begun", "empty"] {
            check(name, false).unwrap();
        }
        for name in ["foreign", "mentions"] {
            assert!(matches!(check(name, false), Err(OutputFileError::Foreign { .. })), "{name}");
        }
        check("foreign", true).unwrap();
        for name in ["no/such/folder", "own/below", ""] {
            assert!(matches!(check(name, true), Err(OutputFileError::Closed { .. })), "{name}");
        }
    }

    #[test]
    fn a_file_that_fails_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_whole(&path, |out| out.write_all(b"one")).unwrap();
        let failed = write_whole(&path, |out| {
            out.write_all(b"two")?;
            Err(io::Error::other("no more"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        std::os::unix::fs::symlink("file", folder.path().join("link")).unwrap();
        write_whole(&folder.path().join("link"), |out| out.write_all(b"three")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        write_whole(Path::new("/dev/null"), |out| out.write_all(b"four")).unwrap();
    }

    #[test]
    fn a_list_of_others_is_kept_with_the_files_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk.iso");
        fs::write(&image, "image").unwrap();
        let list = format!("{}  disk.iso\n", hexadecimal_digest(b"image"));
        fs::write(folder.path().join(SUMS), &list).unwrap();
        let write = |force| write_folder(folder.path(), "-o", &[("a", b"1")], &Claims::default(), force);
        assert!(matches!(write(false), Err(OutputFileError::Foreign { .. })));
        assert_eq!(fs::read_to_string(folder.path().join(SUMS)).unwrap(), list);
        write(true).unwrap();
        assert!(image.exists());
    }

    #[test]
    fn a_file_that_was_changed_since_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let write = |files: &[(&str, &[u8])]| write_folder(folder.path(), "-o", files, &Claims::default(), false);
        write(&[("a", b"1"), ("b", b"2")]).unwrap();
        fs::write(folder.path().join("b"), "mine").unwrap();
        assert!(matches!(write(&[("a", b"3"), ("b", b"4")]), Err(OutputFileError::Foreign { .. })));
        write(&[("a", b"3")]).unwrap();
        assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"mine");
    }

    #[test]
    fn a_folder_keeps_what_is_not_of_an_export() {
        let folder = tempfile::tempdir().unwrap();
        let pack = folder.path().join("pack");
        let write = |files: &[(&str, &[u8])], force| write_folder(&pack, "-o", files, &Claims::default(), force);
        write(&[("a", b"1"), ("in/b", b"2")], false).unwrap();
        fs::write(pack.join("own"), "mine").unwrap();
        write(&[("a", b"3")], false).unwrap();
        assert_eq!(fs::read(pack.join("a")).unwrap(), b"3");
        assert!(!pack.join("in/b").exists());
        assert!(matches!(write(&[("a", b"4"), ("own", b"5")], false), Err(OutputFileError::Foreign { .. })));
        assert_eq!(fs::read(pack.join("a")).unwrap(), b"3", "nothing is written before all is looked at");
        assert_eq!(fs::read(pack.join("own")).unwrap(), b"mine");
        write(&[("own", b"5")], true).unwrap();
        assert_eq!(fs::read(pack.join("own")).unwrap(), b"5");
        let outside = folder.path().join("outside");
        fs::write(&outside, "mine").unwrap();
        let digest = hexadecimal_digest(b"mine");
        fs::write(pack.join(SUMS), format!("{SUMS_MARK}{digest}  ../outside\n{digest}  {}\n", outside.display()))
            .unwrap();
        write(&[("own", b"6")], true).unwrap();
        assert!(outside.exists());
    }
}
