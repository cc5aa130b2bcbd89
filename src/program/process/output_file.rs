//! Files that the program writes: tried before anything is read, and never written over what is read or belongs to somebody else.

use crate::inputs::{Input, Inputs};
use kaspector::capture::{CaptureFile, display_path};
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Longest line of alerts that is looked at; a longer one is not ours.
const LINE_MAX: u64 = 1 << 20;

/// Why nothing is written to a file. It is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum OutputFileError {
    /// What this run reads or writes otherwise.
    #[error("{file}: this is {what}, and nothing is written over it; name another file with {option}")]
    Claimed {
        /// The file.
        file: String,
        /// What it is to this run.
        what: String,
        /// The option that named it.
        option: &'static str,
    },
    /// A capture. That happens when a shell puts the first of several names behind the option.
    #[error(
        "{file}: this is a capture, and nothing is written over it; {option} takes one name, that of the file to write, and captures stand behind it"
    )]
    Capture {
        /// The file.
        file: String,
        /// The option that named it.
        option: &'static str,
    },
    /// Somebody else's.
    #[error(
        "{file}: holds something else than {holds}, so it is left as it is; name another file with {option}{advice}"
    )]
    Foreign {
        /// The file.
        file: String,
        /// What may be written over.
        holds: &'static str,
        /// The option that named it.
        option: &'static str,
        /// What else may be done.
        advice: &'static str,
    },
    /// The file system refuses.
    #[error("{file}: cannot be written: {cause}; {advice}")]
    Closed {
        /// The file.
        file: String,
        /// What the system says.
        cause: io::Error,
        /// What to do.
        advice: String,
    },
}

impl OutputFileError {
    /// Whether another name has to be given; else the system refused, and may not do so next time.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }

    /// The file system refuses, for this reason.
    #[must_use]
    pub fn closed(path: &Path, cause: io::Error) -> Self {
        let advice = match cause.kind() {
            io::ErrorKind::NotFound => {
                let folder = path.parent().map(display_path).unwrap_or_default();
                format!("make its folder first: install -d -m 0750 '{}'", folder.replace('\'', r"'\''"))
            }
            io::ErrorKind::NotADirectory => "what it names as a folder is a file".to_owned(),
            io::ErrorKind::IsADirectory => "name a file in it".to_owned(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "this user must be allowed to write there".to_owned()
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room".to_owned(),
            _ => "name another file".to_owned(),
        };
        Self::Closed { file: display_path(path), cause, advice }
    }
}

/// Files that a run reads, or writes already, by what they are and not by what they are called: links lead to the same file.
#[derive(Debug, Default)]
pub struct Claims(HashMap<(u64, u64), Claim>);

#[derive(Debug)]
enum Claim {
    /// In words, what it is to this run.
    Is(String),
    /// An input, if it is a capture. Files beside captures in a folder, such as an earlier answer, are not read any further.
    MayBeRead(Input),
}

const INPUT: &str = "an input, which is read";

impl Claims {
    /// Claims a file, if it is there; `what` says in words what it is to this run.
    pub fn add(&mut self, path: &Path, what: impl Into<String>) {
        if let Ok(metadata) = path.metadata() {
            self.insert(&metadata, Claim::Is(what.into()));
        }
    }

    /// Claims what stands in the files of a folder that end as named.
    pub fn add_folder(&mut self, folder: &Path, extension: &str, what: &str) {
        let entries = folder.read_dir().into_iter().flatten().filter_map(Result::ok);
        for path in
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|found| found == extension))
        {
            self.add(&path, what);
        }
    }

    /// Claims an inventory, and the files that SQLite keeps beside it.
    pub fn add_database(&mut self, path: &Path) {
        for file in files_of_database(path) {
            self.add(&file, "the inventory of hosts");
        }
    }

    /// Claims the inputs of a scan.
    pub fn add_inputs(&mut self, inputs: &Inputs) {
        for input in inputs.list.iter().flatten() {
            match input {
                Input::Stdin => self.add_stream(io::stdin(), "standard input, which is read"),
                Input::Named(path) => self.add(path, INPUT),
                Input::Found(path) => {
                    if let Ok(metadata) = path.metadata() {
                        self.insert(&metadata, Claim::MayBeRead(input.clone()));
                    }
                }
            }
        }
    }

    /// Claims the file behind an open descriptor, if it is one.
    pub fn add_stream(&mut self, stream: impl std::os::fd::AsFd, what: &str) {
        if let Some(metadata) = metadata_of(stream) {
            self.insert(&metadata, Claim::Is(what.to_owned()));
        }
    }

    fn insert(&mut self, metadata: &Metadata, claim: Claim) {
        // Pipes and devices are not cut by whoever writes to them.
        if metadata.is_file() {
            self.0.entry(identity(metadata)).or_insert(claim);
        }
    }

    /// What the file is to this run, if it is claimed.
    fn of(&self, metadata: &Metadata) -> Option<String> {
        match self.0.get(&identity(metadata))? {
            Claim::Is(what) => Some(what.clone()),
            Claim::MayBeRead(input) => (!matches!(input.open(), Ok(None))).then(|| INPUT.to_owned()),
        }
    }

    /// Refuses what standard output is redirected to, if that is claimed.
    ///
    /// # Errors
    /// [`OutputFileError::Claimed`].
    pub fn check_stdout(&self) -> Result<(), OutputFileError> {
        let what = metadata_of(io::stdout()).and_then(|metadata| self.of(&metadata));
        what.map_or(Ok(()), |what| {
            Err(OutputFileError::Claimed { file: "standard output".to_owned(), what, option: "> FILE" })
        })
    }

    /// Refuses a claimed file, and a capture.
    ///
    /// # Errors
    /// [`OutputFileError::Claimed`] or [`OutputFileError::Capture`].
    pub fn check(&self, path: &Path, option: &'static str) -> Result<(), OutputFileError> {
        let Ok(metadata) = path.metadata() else { return Ok(()) };
        let file = || display_path(path);
        if let Some(what) = self.of(&metadata) {
            return Err(OutputFileError::Claimed { file: file(), what, option });
        }
        if metadata.is_file() && metadata.len() > 0 && CaptureFile::open(path).is_ok() {
            return Err(OutputFileError::Capture { file: file(), option });
        }
        Ok(())
    }

    /// As [`Self::check`], for an inventory and the files that SQLite keeps beside it. It would write over those, or remove them, whoever
    /// made them.
    ///
    /// # Errors
    /// As [`Self::check`], and [`OutputFileError::Foreign`] for one that stands beside it and is not SQLite's.
    pub fn check_database(&self, path: &Path, option: &'static str) -> Result<(), OutputFileError> {
        let files = files_of_database(path);
        files.iter().try_for_each(|file| self.check(file, option))?;
        let [_, beside @ ..] = files;
        for (file, begins) in beside.iter().zip([is_log_of_database, is_index_of_database, is_journal_of_database]) {
            if file.metadata().is_ok_and(|metadata| metadata.is_file()) && !begins_so(file, begins) {
                let (file, holds) = (display_path(file), "what SQLite keeps beside an inventory");
                return Err(OutputFileError::Foreign { file, holds, option, advice: ", or move it away" });
            }
        }
        Ok(())
    }
}

/// An SQLite database, and the files that SQLite takes for its own beside it: it removes those that are left over.
fn files_of_database(path: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", "-journal"].map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        name.into()
    })
}

/// Whether the first bytes of a file are such ones. An empty file is anybody's; one that cannot be read is left to those who open it.
fn begins_so(path: &Path, are_ours: fn([u8; 8]) -> bool) -> bool {
    let mut first = [0; 8];
    let Ok(mut file) = File::open(path) else { return true };
    file.metadata().is_ok_and(|metadata| metadata.len() == 0) || file.read_exact(&mut first).is_ok() && are_ours(first)
}

/// The file formats: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.
const fn is_log_of_database(first: [u8; 8]) -> bool {
    matches!(first, [0x37, 0x7f, 0x06, 0x82 | 0x83, ..])
}

/// <https://www.sqlite.org/walformat.html#the_wal_index_header>: in the byte order of the machine that wrote it, and blank until then.
const fn is_index_of_database(first: [u8; 8]) -> bool {
    let [a, b, c, d, ..] = first;
    matches!(u32::from_ne_bytes([a, b, c, d]), 3_007_000 | 0)
}

/// <https://www.sqlite.org/fileformat2.html#the_rollback_journal>: blank once it has served.
const fn is_journal_of_database(first: [u8; 8]) -> bool {
    matches!(first, [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7] | [0, 0, 0, 0, 0, 0, 0, 0])
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn metadata_of(stream: impl std::os::fd::AsFd) -> Option<Metadata> {
    File::from(stream.as_fd().try_clone_to_owned().ok()?).metadata().ok()
}

/// A file for the alerts of a scan, open for writing. What it held is there until [`Self::begin`].
#[derive(Debug)]
pub struct AlertsFile {
    file: File,
    is_new: bool,
    is_regular: bool,
}

impl AlertsFile {
    /// Opens `path`, which `option` named. A file that is there is taken when it is empty, or when each of its lines is an alert of a
    /// scan, or with `force` whatever it holds; never when it is claimed or a capture.
    ///
    /// # Errors
    /// [`OutputFileError`]; the file is then as it was.
    pub fn open(path: &Path, option: &'static str, claims: &Claims, force: bool) -> Result<Self, OutputFileError> {
        let closed = |cause| OutputFileError::closed(path, cause);
        claims.check(path, option)?;
        let found = match path.metadata() {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(closed(error)),
        };
        let is_regular = found.as_ref().is_none_or(Metadata::is_file);
        if found.as_ref().is_some_and(|found| found.file_type().is_socket()) {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, "it is a socket");
            return Err(closed(cause));
        }
        // What a pipe or a device has given cannot be read again.
        let file = OpenOptions::new()
            .write(true)
            .read(is_regular)
            .create(is_regular)
            .truncate(false)
            .open(path)
            .map_err(closed)?;
        let metadata = file.metadata().map_err(closed)?;
        if is_regular && metadata.len() > 0 && !force && !is_of_a_scan(&file).map_err(closed)? {
            let advice = ", or have it replaced with --force";
            return Err(OutputFileError::Foreign {
                file: display_path(path),
                holds: "alerts of a scan",
                option,
                advice,
            });
        }
        Ok(Self { file, is_new: found.is_none(), is_regular })
    }

    /// Claims it: nothing else is written there.
    pub fn claim(&self, claims: &mut Claims) {
        claims.add_stream(&self.file, "the file for alerts");
    }

    /// Refuses an inventory that would be the same file, or have it beside it.
    ///
    /// # Errors
    /// [`OutputFileError::Claimed`].
    pub fn check_apart(&self, inventory: &Path, option: &'static str) -> Result<(), OutputFileError> {
        let mut claims = Claims::default();
        claims.add_stream(&self.file, "the file for alerts");
        claims.check_database(inventory, option)
    }

    /// Empties the file: from now on the alerts of this scan are written.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn begin(&mut self) -> io::Result<()> {
        if self.is_regular {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
        }
        Ok(())
    }

    /// Another handle of a file proper, to cut off half a line in the end.
    #[must_use]
    pub fn regular(&self) -> Option<File> {
        self.file.try_clone().ok().filter(|_| self.is_regular)
    }

    /// Takes the file away again, if it was not there before: the scan does not take place.
    pub fn withdraw(self, path: &Path) {
        if self.is_new {
            _ = std::fs::remove_file(path);
        }
    }
}

impl Write for AlertsFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Cuts off what stands behind the last line end: half a line, left by a disk that is full.
pub fn cut_half_line(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(LINE_MAX)))?;
    file.take(LINE_MAX).read_to_end(&mut end)?;
    let half = memchr::memrchr(b'\n', &end).map_or(end.len(), |at| end.len() - at - 1);
    file.set_len(length.saturating_sub(half as u64))
}

/// What a line of EVE says of where it comes from.
#[derive(Deserialize)]
struct Line {
    event_type: String,
    #[serde(default)]
    pcap_filename: Option<String>,
    #[serde(default)]
    alert: Option<LineAlert>,
}

#[derive(Deserialize)]
struct LineAlert {
    #[serde(default)]
    metadata: Option<LineMetadata>,
}

#[derive(Deserialize)]
struct LineMetadata {
    #[serde(default)]
    kaspector_uid: Option<Vec<String>>,
    /// The log that it was found in, where a capture would have its name.
    #[serde(default)]
    kaspector_log: Option<Vec<String>>,
}

impl Line {
    fn is_of_a_scan(&self) -> bool {
        let metadata = self.alert.as_ref().and_then(|alert| alert.metadata.as_ref());
        let is_ours = metadata.is_some_and(|metadata| metadata.kaspector_uid.is_some());
        let is_of_log = metadata.is_some_and(|metadata| metadata.kaspector_log.is_some());
        self.event_type == "alert" && (self.pcap_filename.is_some() || is_of_log) && is_ours
    }
}

/// Whether each line of a file is an alert of a scan. The last one may have been cut by a full disk or a kill.
fn is_of_a_scan(file: &File) -> io::Result<bool> {
    let mut reader = BufReader::with_capacity(1 << 17, file);
    let (mut line, mut count) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(true);
        }
        let is_cut = line.last() != Some(&b'\n');
        match serde_json::from_slice::<Line>(&line) {
            Ok(line) if line.is_of_a_scan() => {}
            Err(error) if error.is_eof() && is_cut && count > 0 && (line.len() as u64) < LINE_MAX => {}
            _ => return Ok(false),
        }
        count += 1;
    }
}

/// A line of EVE, of ECS or of OCSF, by what each demands.
#[derive(Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "the keys have to be there, whatever they hold")]
enum GrowingLine {
    Eve { event_type: String },
    Ecs { ecs: serde_json::Map<String, serde_json::Value> },
    Ocsf { class_uid: u64, type_uid: u64 },
}

const FIRST_KEYS: [&[u8]; 3] = [br#"{"timestamp":""#, br#"{"@timestamp":""#, br#"{"activity_id":"#];

/// Looks whether lines of alerts may be added to the end of a file: a new one, an empty one, or one that begins with a line of EVE, ECS or
/// OCSF, whoever wrote it. Its folder has to be there; what else may refuse shows when it is opened.
///
/// # Errors
/// [`OutputFileError`].
pub fn check_growing(path: &Path, option: &'static str, claims: &Claims) -> Result<(), OutputFileError> {
    claims.check(path, option)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder.metadata().map_err(|cause| OutputFileError::closed(path, cause))?;
    if !path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
        return Ok(());
    }
    let Ok(file) = File::open(path) else { return Ok(()) };
    let mut line = Vec::new();
    if BufReader::new(file).take(LINE_MAX).read_until(b'\n', &mut line).is_err() {
        return Ok(());
    }
    let is_ours = match serde_json::from_slice::<GrowingLine>(&line) {
        Ok(_) => true,
        // A disk that was full may have cut the first line.
        Err(error) => error.is_eof() && FIRST_KEYS.iter().any(|key| line.starts_with(key)),
    };
    let foreign = || OutputFileError::Foreign {
        file: display_path(path),
        holds: "EVE, ECS or OCSF lines",
        option,
        advice: ", or move it away",
    };
    if is_ours { Ok(()) } else { Err(foreign()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::inputs::expand;
    use std::fs;

    const OF_A_SCAN: &str =
        r#"{"timestamp":"t","event_type":"alert","alert":{"metadata":{"kaspector_uid":["01"]}},"pcap_filename":"a"}"#;
    const OF_A_SENSOR: &str =
        r#"{"timestamp":"t","event_type":"alert","in_iface":"lo","alert":{"metadata":{"kaspector_uid":["01"]}}}"#;
    const OF_SURICATA: &str = r#"{"timestamp":"t","event_type":"alert","alert":{"signature":"x"},"pcap_filename":"a"}"#;

    fn folder() -> (tempfile::TempDir, impl Fn(&str, &str) -> PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_owned();
        let write = move |name: &str, text: &str| {
            fs::write(at.join(name), text).unwrap();
            at.join(name)
        };
        (folder, write)
    }

    #[test]
    fn only_alerts_of_a_scan_are_written_over_and_only_eve_is_added_to() {
        let (_folder, write) = folder();
        let whole = format!("{OF_A_SCAN}\n{OF_A_SCAN}\n");
        let cut = format!("{whole}{}", &OF_A_SCAN[..40]);
        let mixed = format!("{whole}{OF_A_SENSOR}\n");
        for (text, is_replaced, is_added_to) in [
            ("", true, true),
            (&whole, true, true),
            (&cut, true, true),
            (&mixed, false, true),
            (OF_A_SENSOR, false, true),
            (OF_SURICATA, false, true),
            (&OF_A_SCAN[..40], false, true),
            ("{}\n", false, false),
            ("notes\n", false, false),
            ("\n", false, false),
            ("[1]", false, false),
        ] {
            let path = write("file", text);
            let opened = AlertsFile::open(&path, "--eve", &Claims::default(), false);
            assert_eq!(opened.is_ok(), is_replaced, "{text}: {opened:?}");
            assert_eq!(check_growing(&path, "--output", &Claims::default()).is_ok(), is_added_to, "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "nothing was changed yet");
            let mut forced = AlertsFile::open(&path, "--eve", &Claims::default(), true).unwrap();
            forced.begin().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "");
        }
    }

    #[test]
    fn inputs_are_known_by_any_name_and_not_written_over_even_by_force() {
        let (folder, write) = folder();
        let capture =
            fs::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("pcaps/dns-then-tls.pcap")).unwrap();
        let input = folder.path().join("a.pcap");
        fs::write(&input, capture).unwrap();
        let earlier = write("eve.json", OF_A_SCAN);
        let (hard, soft) = (folder.path().join("hard"), folder.path().join("soft"));
        fs::hard_link(&input, &hard).unwrap();
        std::os::unix::fs::symlink(&input, &soft).unwrap();
        let named = write("named.txt", "");
        for arguments in [vec![input.clone(), named.clone()], vec![folder.path().to_owned(), named.clone()]] {
            let mut claims = Claims::default();
            claims.add_inputs(&expand(&arguments));
            for path in [&input, &hard, &soft, &named] {
                for force in [false, true] {
                    let error = AlertsFile::open(path, "--eve", &claims, force).unwrap_err();
                    assert!(matches!(error, OutputFileError::Claimed { .. }) && error.is_refusal(), "{error}");
                }
                assert!(check_growing(path, "--output", &claims).is_err());
            }
            // The answer of the scan before lies beside the captures.
            AlertsFile::open(&earlier, "--eve", &claims, false).unwrap();
        }
        let error = AlertsFile::open(&hard, "--eve", &Claims::default(), true).unwrap_err();
        assert!(matches!(error, OutputFileError::Capture { .. }), "{error}");
    }

    #[test]
    fn what_the_system_refuses_is_said_with_what_to_do() {
        let (folder, write) = folder();
        let file = write("file", "");
        for (path, part) in [
            (folder.path().join("no/such"), "make its folder first"),
            (file.join("below"), "is a file"),
            (folder.path().to_owned(), "name a file in it"),
        ] {
            let error = AlertsFile::open(&path, "--eve", &Claims::default(), true).unwrap_err();
            assert!(!error.is_refusal() && error.to_string().contains(part), "{error}");
        }
        let error = check_growing(&folder.path().join("no/such"), "--output", &Claims::default()).unwrap_err();
        assert!(error.to_string().contains("install -d"), "{error}");
        let full = AlertsFile::open(Path::new("/dev/full"), "--eve", &Claims::default(), false).unwrap();
        assert!(full.regular().is_none());
    }

    #[test]
    fn half_a_line_is_cut_off() {
        let (_folder, write) = folder();
        for (text, left) in [("a\nb", "a\n"), ("a\n", "a\n"), ("ab", ""), ("", "")] {
            let path = write("file", text);
            cut_half_line(&mut OpenOptions::new().read(true).write(true).open(&path).unwrap()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), left);
        }
    }

    #[test]
    fn what_stands_beside_an_inventory_is_taken_only_from_sqlite() {
        let (folder, write) = folder();
        let inventory = folder.path().join("hosts");
        let check = || Claims::default().check_database(&inventory, "--state");
        let capture = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps/dns-then-tls.pcap")).unwrap();
        for name in ["hosts-wal", "hosts-shm", "hosts-journal"] {
            let path = write(name, "");
            check().unwrap();
            fs::write(&path, &capture).unwrap();
            assert!(matches!(check(), Err(OutputFileError::Capture { .. })), "{name}");
            for text in ["notes of a colleague", "short"] {
                write(name, text);
                assert!(matches!(check(), Err(OutputFileError::Foreign { .. })), "{name}");
            }
            fs::remove_file(&path).unwrap();
        }
        // Those that SQLite made, while it has them open.
        for mode in ["wal", "truncate", "persist"] {
            let database = rusqlite::Connection::open(&inventory).unwrap();
            database.pragma_update(None, "journal_mode", mode).unwrap();
            database.execute_batch("CREATE TABLE IF NOT EXISTS t (x); BEGIN; INSERT INTO t VALUES (1)").unwrap();
            let beside = fs::read_dir(folder.path()).unwrap().count() - 1;
            assert!(beside > 0 && check().is_ok(), "{mode}: {:?}", check());
            database.execute_batch("COMMIT").unwrap();
            check().unwrap();
            drop(database);
            check().unwrap();
        }
    }
}
