//! Turns what the user names into a list of inputs, in a stable order.
//!
//! In:    paths, folders and patterns.
//! Out:   [`Inputs`]: each capture once, and what was left out.
//! Never: reads more of a file than shows whether it is a capture.

mod pattern;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kaspector::capture::{CaptureError, CaptureFile, ForeignKind, display_path};
use pattern::leads_up;

/// One input that can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input, named `-`.
    Stdin,
    /// A file that the user named, or whose name the pattern matched: that it is no capture is an error.
    Named(PathBuf),
    /// A file found in a folder: that it is no capture is expected.
    Found(PathBuf),
}

impl Input {
    /// Opens the input. `None`: a file found in a folder holds no frames by its content; the caller counts it.
    ///
    /// A found file stays an error where frames are missed: a capture in a format that we cannot read, a file named as
    /// captures are that is none (emptied, overwritten), or one called a pcap that is compressed in a way we cannot undo.
    ///
    /// # Errors
    /// As [`CaptureFile::open`].
    pub fn open(&self) -> Result<Option<CaptureFile>, CaptureError> {
        let path = match self {
            Self::Stdin => return CaptureFile::stdin().map(Some),
            Self::Named(path) => return CaptureFile::open(path).map(Some),
            Self::Found(path) => path,
        };
        match CaptureFile::open(path) {
            Err(CaptureError::NotACapture { kind: ForeignKind::Other, .. }) if !is_named_as_capture(path) => Ok(None),
            Err(CaptureError::NotACapture { kind: ForeignKind::Packed, .. }) if !is_called_pcap(path) => Ok(None),
            opened => opened.map(Some),
        }
    }
}

/// What the user named, as inputs that can be opened.
#[derive(Debug, Default)]
pub struct Inputs {
    /// In the order named, folders by path; what cannot be had is an error in its place.
    pub list: Vec<Result<Input, CaptureError>>,
    /// Links that lead nowhere, found in folders.
    pub dangling_links: u64,
    /// Sockets, pipes and devices, found in folders.
    pub special_files: u64,
    /// Files found in folders that are written to: what they hold by the time they are read would depend on when that is.
    pub own_outputs: u64,
}

impl Inputs {
    /// Leaves out what was found in folders and is one of these files.
    pub fn leave_out_outputs<'a>(&mut self, outputs: impl Iterator<Item = &'a Path>) {
        let outputs: Vec<PathBuf> = outputs.filter_map(|path| path.canonicalize().ok()).collect();
        let before = self.list.len();
        self.list.retain(|input| match input {
            Ok(Input::Found(path)) if !outputs.is_empty() => {
                path.canonicalize().map_or(true, |path| !outputs.contains(&path))
            }
            _ => true,
        });
        self.own_outputs += (before - self.list.len()) as u64;
    }
}

impl IntoIterator for Inputs {
    type Item = Result<Input, CaptureError>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// Expands `arguments` into inputs: in their order, folders by path, each file once. Names may be any bytes.
///
/// - A name that exists is taken literally, also if it could be read as a pattern.
/// - Folders are walked to any depth and symbolic links are followed; a link back to a folder above is left out, and so are
///   hidden files and folders (name them to have them read). Links that lead nowhere, sockets, pipes and devices are counted.
/// - Else a name with `*`, `?` or `[` is a pattern (`**` for any folders); it matches hidden files only where it says the dot.
/// - A file that was named before, also by another path to it, is not read twice.
/// - What does not exist, matches nothing or cannot be listed is an error in its place; the others still run.
pub fn expand(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Inputs {
    let mut list = List::default();
    for argument in arguments {
        let argument = argument.as_ref();
        let path = Path::new(argument);
        if argument == "-" {
            list.add_stdin();
            continue;
        }
        let is_pattern = argument.as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
        match path.metadata() {
            Ok(_) => list.add_existing(path),
            // A link of this name that leads nowhere is meant, too.
            Err(_) if is_pattern && path.symlink_metadata().is_err() => list.add_matching(path),
            Err(cause) => list.fail(CaptureError::Open { input: display_path(path), cause }),
        }
    }
    list.inputs
}

#[derive(Default)]
struct List {
    inputs: Inputs,
    /// Where in the list a file stands, by its path without links.
    seen: HashMap<PathBuf, usize>,
}

impl List {
    fn add_stdin(&mut self) {
        if !self.inputs.list.iter().any(|input| matches!(input, Ok(Input::Stdin))) {
            self.inputs.list.push(Ok(Input::Stdin));
        }
    }

    fn add_existing(&mut self, path: &Path) {
        if !path.is_dir() {
            return self.add(Input::Named(path.to_owned()), path);
        }
        let walk = walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name();
        // The folder itself (depth 0) was named, so it may be hidden, and a link.
        let belongs = |entry: &walkdir::DirEntry| {
            entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".") && !leads_up(entry)
        };
        for entry in walk.into_iter().filter_entry(belongs) {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    self.add(Input::Found(entry.path().to_owned()), entry.path());
                }
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(_) => self.inputs.special_files += 1,
                // A loop: what it leads to is walked already.
                Err(error) if error.loop_ancestor().is_some() => {}
                Err(error) if is_hidden_error(&error) => {}
                Err(error) if is_dangling(&error) => self.inputs.dangling_links += 1,
                Err(error) => {
                    let input = display_path(error.path().unwrap_or(path));
                    self.fail(CaptureError::Open { input, cause: error.into() });
                }
            }
        }
    }

    fn add_matching(&mut self, pattern: &Path) {
        let input = display_path(pattern);
        let matches = match pattern::find(pattern) {
            Ok(matches) if matches.is_empty() => return self.fail(CaptureError::NoMatch { input }),
            Ok(matches) => matches,
            Err(what) => return self.fail(CaptureError::BadPattern { input, what }),
        };
        for (path, trouble) in matches {
            match trouble {
                None => self.add_existing(&path),
                Some(cause) => self.fail(CaptureError::Open { input: display_path(&path), cause }),
            }
        }
    }

    fn add(&mut self, input: Input, path: &Path) {
        // A pipe such as /dev/fd/63 has no path without links; it is what it is called.
        let identity = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(&index) = self.seen.get(&identity) {
            // Named outright after being found in a folder: now it has to be a capture.
            if let (Some(Ok(earlier @ Input::Found(_))), Input::Named(_)) = (self.inputs.list.get_mut(index), &input) {
                *earlier = input;
            }
            return;
        }
        self.seen.insert(identity, self.inputs.list.len());
        self.inputs.list.push(Ok(input));
    }

    fn fail(&mut self, error: CaptureError) {
        self.inputs.list.push(Err(error));
    }
}

/// Whether this concerns a link whose target is not there, or that leads to itself.
fn is_dangling(error: &walkdir::Error) -> bool {
    let is_link = error.path().and_then(|path| path.symlink_metadata().ok()).is_some_and(|found| found.is_symlink());
    let leads_nowhere = error.io_error().is_some_and(|cause| {
        let is_loop = cause.raw_os_error() == Some(libc::ELOOP);
        is_loop || matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
    });
    is_link && leads_nowhere
}

/// Whether this concerns a hidden entry, which is left out whatever it is.
fn is_hidden_error(error: &walkdir::Error) -> bool {
    let name = error.path().filter(|_| error.depth() > 0).and_then(Path::file_name);
    name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether the name ends as programs that capture let it end. `pcap.h` and `x.pcap.expect.json` do not.
fn is_named_as_capture(path: &Path) -> bool {
    let has = |path: &Path, extensions: &[&str]| {
        path.extension().is_some_and(|found| extensions.iter().any(|extension| found.eq_ignore_ascii_case(extension)))
    };
    let unpacked =
        if has(path, &["gz", "zst", "xz", "bz2", "lz4"]) { path.with_extension("") } else { path.to_owned() };
    has(&unpacked, &["pcap", "pcapng", "cap"])
}

fn is_called_pcap(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| memchr::memmem::find(&name.as_encoded_bytes().to_ascii_lowercase(), b"pcap").is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::fs;

    const PCAP: &[u8] = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0";

    fn house(files: &[&str]) -> tempfile::TempDir {
        let house = tempfile::tempdir().unwrap();
        for file in files {
            let path = house.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, PCAP).unwrap();
        }
        house
    }

    /// Names relative to the folder: `=` before named ones, `!` before errors.
    fn names(house: &Path, arguments: &[&str]) -> Vec<String> {
        let short = |path: &Path| path.strip_prefix(house).unwrap().display().to_string();
        let shown = expand(arguments.iter().map(|argument| match *argument {
            "-" => PathBuf::from("-"),
            name => house.join(name),
        }));
        let show = |input: Result<Input, CaptureError>| match input {
            Ok(Input::Stdin) => "-".to_owned(),
            Ok(Input::Named(path)) => format!("={}", short(&path)),
            Ok(Input::Found(path)) => short(&path),
            Err(error) => format!("!{}", error.to_string().replace(&format!("{}/", house.display()), "")),
        };
        shown.into_iter().map(show).collect()
    }

    #[test]
    fn folders_are_walked_in_path_order_without_hidden_files() {
        let house = house(&["b/2.pcap", "b/10.pcap", "a.pcap", "b/.git/x.pcap", ".hidden", "c/d/e.pcap"]);
        assert_eq!(names(house.path(), &[""]), ["a.pcap", "b/10.pcap", "b/2.pcap", "c/d/e.pcap"]);
        assert_eq!(names(house.path(), &[".hidden", "b/.git"]), ["=.hidden", "b/.git/x.pcap"]);
    }

    #[test]
    fn arguments_keep_their_order_and_a_file_comes_once() {
        let house = house(&["a.pcap", "b.pcap", "c.pcap"]);
        assert_eq!(names(house.path(), &["c.pcap", "-", "a.pcap", "-", "c.pcap"]), ["=c.pcap", "-", "=a.pcap"]);
        assert_eq!(names(house.path(), &["c.pcap", ""]), ["=c.pcap", "a.pcap", "b.pcap"]);
        assert_eq!(names(house.path(), &["", "b.pcap"]), ["a.pcap", "=b.pcap", "c.pcap"]);
    }

    #[test]
    fn patterns_that_the_shell_left_are_expanded_but_an_existing_name_wins() {
        let house = house(&["x1.pcap", "x2.pcap", "y[1].pcap", "y1.pcap", "d/x3.pcap", ".x4.pcap"]);
        assert_eq!(names(house.path(), &["*.pcap"]), ["=x1.pcap", "=x2.pcap", "=y1.pcap", "=y[1].pcap"]);
        assert_eq!(names(house.path(), &["y[1].pcap"]), ["=y[1].pcap"]);
        assert_eq!(names(house.path(), &["x?.pcap"]), ["=x1.pcap", "=x2.pcap"]);
        assert_eq!(names(house.path(), &["**/x3*"]), ["=d/x3.pcap"]);
        assert_eq!(names(house.path(), &["?"]), ["d/x3.pcap"]);
    }

    #[test]
    fn what_does_not_exist_is_an_error_in_its_place() {
        let house = house(&["a.pcap"]);
        let names = names(house.path(), &["gone.pcap", "a.pcap", "*.zip", "a[.pcap"]);
        assert!(names[0].starts_with("!gone.pcap: cannot be opened: No such file"), "{names:?}");
        assert_eq!(names[1], "=a.pcap");
        assert!(names[2].starts_with("!*.zip: no file has this name and none matches"), "{names:?}");
        assert!(names[3].starts_with("!a[.pcap: no file has this name, and as a pattern it is wrong"), "{names:?}");
        assert_eq!(names.len(), 4);
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_links_are_followed_and_loops_end() {
        use std::os::unix::fs::symlink;
        let house = house(&["a/1.pcap", "z/2.pcap"]);
        symlink(house.path(), house.path().join("a/loop")).unwrap();
        symlink(house.path().join("z"), house.path().join("a/z")).unwrap();
        symlink("nowhere", house.path().join("a/dangling")).unwrap();
        let names = names(house.path(), &["a"]);
        assert_eq!(names[0], "a/1.pcap");
        assert!(names.iter().all(|name| !name.contains("dangling")), "{names:?}");
        assert!(names.contains(&"a/z/2.pcap".to_owned()), "{names:?}");
        let found: Vec<_> = names.iter().filter(|name| name.ends_with("1.pcap")).collect();
        assert_eq!(found.len(), 1, "{names:?}");
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_a_capture_is_counted_in_folders_and_an_error_when_named() {
        use std::os::unix::fs::symlink;
        let house = house(&["1.pcap"]);
        let at = |name: &str| house.path().join(name);
        let _socket = std::os::unix::net::UnixListener::bind(at("0.socket")).unwrap();
        nix::unistd::mkfifo(&at("0.fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink("/dev/null", at("null.pcap")).unwrap();
        symlink("nowhere", at("dangling.pcap")).unwrap();
        symlink("self", at("self")).unwrap();
        symlink("1.pcap/below", at("through-a-file")).unwrap();
        symlink("nowhere", at(".hidden")).unwrap();
        let found = expand([house.path()]);
        assert_eq!((found.special_files, found.dangling_links), (3, 3));
        assert_eq!(names(house.path(), &[""]), ["1.pcap"]);
        for name in ["0.socket", "dangling.pcap", "self"] {
            let named = expand([at(name)]).into_iter().next().unwrap();
            assert!(named.and_then(|input| input.open()).is_err(), "{name}");
        }
        let matched = names(house.path(), &["dang*"]);
        assert_eq!(matched, ["=dangling.pcap"]);
    }

    #[cfg(unix)]
    #[test]
    fn names_of_any_bytes_are_found_and_matched() {
        use std::os::unix::ffi::OsStrExt;
        let house = house(&[]);
        let folder = house.path().join(OsStr::from_bytes(b"caf\xe9"));
        fs::create_dir(&folder).unwrap();
        let file = folder.join(OsStr::from_bytes(b"\xff\n.pcap"));
        fs::write(&file, PCAP).unwrap();
        fs::write(house.path().join("a.pcap"), PCAP).unwrap();
        let [in_folder, doubly, by_question] =
            [&b"caf\xe9/*.pcap"[..], b"**/*.pcap", b"caf?/?\n.pcap"].map(|pattern| {
                let pattern = house.path().join(OsStr::from_bytes(pattern));
                expand([pattern]).into_iter().map(Result::unwrap).collect::<Vec<_>>()
            });
        assert_eq!(in_folder, [Input::Named(file.clone())]);
        assert_eq!(by_question, in_folder);
        assert_eq!(doubly, [Input::Named(house.path().join("a.pcap")), Input::Named(file.clone())]);
        let opened = CaptureFile::open(&file).unwrap();
        assert!(opened.input().ends_with(r"/caf\xe9/\xff\x0a.pcap"), "{}", opened.input());
        let gone = expand([folder.join("gone*")]).into_iter().next().unwrap().unwrap_err();
        assert!(gone.input().ends_with(r"/caf\xe9/gone*"), "{gone}");
    }

    #[test]
    fn found_files_may_be_anything_but_named_ones_must_be_captures() {
        let house = house(&["1.pcap"]);
        let write = |name: &str, bytes: &[u8]| {
            fs::write(house.path().join(name), bytes).unwrap();
            house.path().join(name)
        };
        let text = write("notes.txt", b"seen at noon\n");
        let empty = write("empty", b"");
        let sidecar = write("1.pcap.md5", b"d41d8cd98f00b204e9800998ecf8427e\n");
        let packed = write("log.7z", b"7z\xbc\xaf\x27\x1crest");
        let packed_pcap = write("1.pcap.7z", b"7z\xbc\xaf\x27\x1crest");
        let iptrace = write("1.trc", b"iptrace 2.0rest");
        for path in [&text, &empty, &sidecar, &packed] {
            assert!(Input::Found(path.clone()).open().unwrap().is_none());
            assert!(Input::Named(path.clone()).open().is_err());
        }
        for path in [&packed_pcap, &iptrace] {
            let Err(error) = Input::Found(path.clone()).open() else { panic!("{} was read", path.display()) };
            let text = error.to_string();
            assert!(text.contains("7z x") || text.contains("editcap -F pcap"), "{text}");
        }
        for name in ["emptied.pcap", "zeroed.CAP", "overwritten.pcapng.gz"] {
            let path = write(name, if name.starts_with('e') { b"" } else { &[0; 64] });
            assert!(Input::Found(path).open().is_err(), "{name} is no capture, and its frames are missed");
        }
        assert!(Input::Found(house.path().join("1.pcap")).open().unwrap().is_some());
        assert!(Input::Found(house.path().join("gone.pcap")).open().is_err());
    }
}
