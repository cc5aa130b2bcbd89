//! The folder of evidence: each scan adds files of its own, and a manifest that lists them and names the one before.

use super::{EvidenceError, shown};
use crate::process::output_file::{Claims, OutputFileError};
use crate::process::whole_file::{hexadecimal_digest, write_whole};
use kaspector::matching::HostKey;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// How a manifest begins; what follows is in the form of `sha256sum`.
const MARK: &str = "# Kaspector: evidence of a scan; sha256sum -c checks it\n";
const OPTION: &str = "--evidence";
/// What an earlier manifest has at most: a line for each of two files of each host that a scan can find.
const MANIFEST_MAX: u64 = 256 << 20;

/// The folder, while a scan adds to it: nobody else does.
#[derive(Debug)]
pub struct EvidenceFolder {
    folder: PathBuf,
    run: u64,
    /// What the manifest says so far.
    manifest: String,
    /// What was written so far.
    files: Vec<PathBuf>,
    /// Bytes of them, without the manifest.
    bytes: u64,
    is_new: bool,
    is_kept: bool,
    /// Holds the lock.
    _lock: File,
}

impl EvidenceFolder {
    /// Opens the folder, which is made if it is not there, and begins a manifest in it, so that what cannot be written shows now.
    ///
    /// # Errors
    /// [`OutputFileError`]; there are then no more files than before.
    pub fn open(folder: &Path, claims: &Claims, force: bool) -> Result<Self, OutputFileError> {
        Self::begin(folder, claims, force, None)
    }

    /// The same for whoever added the run `last` to it: unless somebody began another since, the folder need not be searched, however much
    /// is in it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_again(folder: &Path, last: Option<u64>) -> Result<Self, OutputFileError> {
        Self::begin(folder, &Claims::default(), false, last)
    }

    fn begin(folder: &Path, claims: &Claims, force: bool, known: Option<u64>) -> Result<Self, OutputFileError> {
        claims.check(folder, OPTION)?;
        let closed = |cause| OutputFileError::closed(folder, cause);
        let is_new = match folder.metadata() {
            Ok(found) if !found.is_dir() => return Err(closed(io::ErrorKind::NotADirectory.into())),
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(folder).map_err(closed)?;
                true
            }
            Err(error) => return Err(closed(error)),
        };
        let lock = File::open(folder).map_err(closed)?;
        if lock.try_lock().is_err() {
            let (file, what) = (shown(folder), "where another scan keeps evidence right now".to_owned());
            return Err(OutputFileError::Claimed { file, what, option: OPTION });
        }
        let has_manifest = |run: u64| folder.join(manifest_name(run)).exists();
        let known = known.filter(|&run| has_manifest(run) && !has_manifest(run + 1));
        let (last, earlier) = match known {
            Some(run) => (run, Some(manifest_name(run))),
            None => {
                let last = last_run(folder).map_err(closed)?;
                (last, last_manifest(folder, last).map_err(closed)?)
            }
        };
        let mut manifest = MARK.to_owned();
        if let Some(name) = earlier {
            let path = folder.join(&name);
            let bytes = read_manifest(&path).map_err(|error| OutputFileError::closed(&path, error))?;
            if !bytes.starts_with(MARK.as_bytes()) && !force {
                return Err(OutputFileError::Foreign {
                    file: shown(&path),
                    holds: "a manifest of evidence",
                    option: OPTION,
                    advice: ", or have it taken for the last one with --force",
                });
            }
            add_line(&mut manifest, &name, &bytes);
        }
        let run = last + 1;
        let path = folder.join(manifest_name(run));
        let mut file = File::create_new(&path).map_err(|error| OutputFileError::closed(&path, error))?;
        let (folder, files) = (folder.to_owned(), vec![path]);
        let opened = Self { folder, run, manifest, files, bytes: 0, is_new, is_kept: false, _lock: lock };
        let written = file.write_all(opened.manifest.as_bytes());
        written.map_err(|error| OutputFileError::closed(&opened.folder, error))?;
        Ok(opened)
    }

    /// The number of this run.
    pub(super) const fn run(&self) -> u64 {
        self.run
    }

    /// Bytes of all that it adds.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes + self.manifest.len() as u64
    }

    /// What the files of a host are called, but for their endings.
    pub(super) fn name_of(&self, host: &HostKey) -> String {
        let mut name = format!("{:04}-{}", self.run, host.address.to_string().replace(':', "-"));
        let zone = host.zone;
        let tags = [("vlan", zone.vlan.map(u32::from)), ("inner", zone.inner_vlan.map(u32::from)), ("vni", zone.vni)];
        for (kind, tag) in tags {
            if let Some(tag) = tag {
                // Writing to a string cannot fail.
                _ = write!(name, "_{kind}{tag}");
            }
        }
        name
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), EvidenceError> {
        let path = self.folder.join(name);
        write_whole(&path, |out| out.write_all(bytes)).map_err(|error| OutputFileError::closed(&path, error))?;
        self.files.push(path);
        self.bytes += bytes.len() as u64;
        add_line(&mut self.manifest, name, bytes);
        Ok(())
    }

    /// Writes the manifest and gives its path and SHA-256; `None` if there was nothing to keep.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn close(mut self) -> Result<Option<(PathBuf, String)>, EvidenceError> {
        if self.files.len() < 2 {
            return Ok(None);
        }
        let path = self.folder.join(manifest_name(self.run));
        write_whole(&path, |out| out.write_all(self.manifest.as_bytes()))
            .map_err(|error| OutputFileError::closed(&path, error))?;
        // The names, too, are to outlive a loss of power.
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| OutputFileError::closed(&self.folder, error))?;
        self.is_kept = true;
        Ok(Some((path, hexadecimal_digest(self.manifest.as_bytes()))))
    }
}

impl Drop for EvidenceFolder {
    /// Half of the evidence is none: without a manifest nothing says that there was more.
    fn drop(&mut self) {
        if !self.is_kept {
            for path in &self.files {
                _ = fs::remove_file(path);
            }
            if self.is_new {
                _ = fs::remove_dir(&self.folder);
            }
        }
    }
}

fn manifest_name(run: u64) -> String {
    format!("manifest-{run:04}.sha256")
}

/// The highest number that a file in the folder begins with, or has as a manifest; whoever made it.
fn last_run(folder: &Path) -> io::Result<u64> {
    let mut last = 0;
    for entry in folder.read_dir()? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        last = last.max(run_of(name).unwrap_or(0));
    }
    Ok(last)
}

fn run_of(name: &str) -> Option<u64> {
    let digits = match name.strip_prefix("manifest-") {
        Some(rest) => rest.strip_suffix(".sha256")?,
        None => name.split_once('-')?.0,
    };
    // A number that leaves no room for the next is no run's.
    digits.parse().ok().filter(|&run: &u64| digits.len() >= 4 && run < u64::MAX)
}

/// The name of the manifest with the highest number, up to `last`.
fn last_manifest(folder: &Path, last: u64) -> io::Result<Option<String>> {
    let mut found = None;
    for entry in folder.read_dir()? {
        let name = entry?.file_name();
        let run = name.to_str().filter(|name| name.starts_with("manifest-")).and_then(run_of);
        found = found.max(run.filter(|&run| run <= last));
    }
    Ok(found.map(manifest_name))
}

fn read_manifest(path: &Path) -> io::Result<Vec<u8>> {
    if path.metadata()?.len() > MANIFEST_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than any manifest"));
    }
    fs::read(path)
}

fn add_line(manifest: &mut String, name: &str, bytes: &[u8]) {
    // Writing to a string cannot fail.
    _ = writeln!(manifest, "{}  {name}", hexadecimal_digest(bytes));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use kaspector::decode::Zone;

    fn open(folder: &Path) -> Result<EvidenceFolder, OutputFileError> {
        EvidenceFolder::open(folder, &Claims::default(), false)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn each_manifest_names_the_one_before() {
        let house = tempfile::tempdir().unwrap();
        let folder = house.path().join("new");
        let mut first = open(&folder).unwrap();
        first.add("0001-a.json", b"1").unwrap();
        let (path, digest) = first.close().unwrap().unwrap();
        assert_eq!(hexadecimal_digest(&fs::read(&path).unwrap()), digest);
        let mut second = open(&folder).unwrap();
        second.add("0002-a.json", b"2").unwrap();
        let (path, _) = second.close().unwrap().unwrap();
        assert!(fs::read_to_string(path).unwrap().contains(&format!("{digest}  manifest-0001.sha256\n")));
        assert_eq!(names(&folder), ["0001-a.json", "0002-a.json", "manifest-0001.sha256", "manifest-0002.sha256"]);
    }

    #[test]
    fn whoever_added_the_last_run_goes_on_from_there_unless_somebody_else_did() {
        let house = tempfile::tempdir().unwrap();
        let add = |last, name: &str| {
            let mut folder = EvidenceFolder::open_again(house.path(), last).unwrap();
            folder.add(name, b"1").unwrap();
            let run = folder.run();
            folder.close().unwrap();
            run
        };
        assert_eq!((add(None, "0001-a.json"), add(Some(1), "0002-a.json")), (1, 2));
        let manifest = |run| fs::read_to_string(house.path().join(manifest_name(run))).unwrap();
        assert!(manifest(2).contains("  manifest-0001.sha256\n"));
        // A scan into the same folder.
        assert_eq!(add(None, "0003-b.json"), 3);
        assert_eq!(add(Some(2), "0004-a.json"), 4);
        assert!(manifest(4).contains("  manifest-0003.sha256\n"));
        // Somebody moved it all away.
        names(house.path()).iter().for_each(|name| fs::remove_file(house.path().join(name)).unwrap());
        assert_eq!(add(Some(4), "0001-a.json"), 1);
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let house = tempfile::tempdir().unwrap();
        let mut cut = open(house.path()).unwrap();
        cut.add("0001-a.json", b"1").unwrap();
        assert!(matches!(open(house.path()), Err(OutputFileError::Claimed { .. })), "one scan at a time");
        drop(cut);
        assert!(open(house.path()).unwrap().close().unwrap().is_none());
        assert!(names(house.path()).is_empty());
    }

    #[test]
    fn files_of_others_are_neither_replaced_nor_taken_for_a_manifest() {
        let house = tempfile::tempdir().unwrap();
        fs::write(house.path().join("0007-10.0.0.1.pcapng"), "mine").unwrap();
        fs::write(house.path().join("manifest-old.sha256"), "mine").unwrap();
        let folder = open(house.path()).unwrap();
        assert_eq!(folder.run, 8);
        drop(folder);
        fs::write(house.path().join("manifest-0009.sha256"), "mine").unwrap();
        assert!(matches!(open(house.path()), Err(OutputFileError::Foreign { .. })));
        assert_eq!(EvidenceFolder::open(house.path(), &Claims::default(), true).unwrap().run, 10);
        fs::write(house.path().join("file"), "").unwrap();
        for name in ["file", "no/folder"] {
            assert!(matches!(open(&house.path().join(name)), Err(OutputFileError::Closed { .. })), "{name}");
        }
    }

    #[test]
    fn hosts_of_several_tenants_have_names_of_their_own() {
        let house = tempfile::tempdir().unwrap();
        let folder = open(house.path()).unwrap();
        let name = |address: &str, vlan, vni| {
            let zone = Zone { vlan, inner_vlan: None, vni };
            folder.name_of(&HostKey { address: address.parse().unwrap(), zone })
        };
        assert_eq!(name("10.0.0.1", None, None), "0001-10.0.0.1");
        assert_eq!(name("2001:db8::1", Some(7), Some(9)), "0001-2001-db8--1_vlan7_vni9");
    }
}
