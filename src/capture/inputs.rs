//! Turns what the user names into a list of inputs, in a stable order.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{CaptureError, CaptureFile, ForeignKind};

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

/// Expands `arguments` into inputs: in their order, folders by path, each file once.
///
/// - A name that exists is taken literally, also if it could be read as a pattern.
/// - Folders are walked to any depth and symbolic links are followed; a link back to a folder above is left out, and so are
///   hidden files and folders (name them to have them read), sockets, pipes and devices.
/// - Else a name with `*`, `?` or `[` is a pattern (`**` for any folders); it matches hidden files only where it says the dot.
/// - A file that was named before, also by another path to it, is not read twice.
/// - What does not exist, matches nothing or cannot be listed is an error in its place; the others still run.
pub fn expand(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Vec<Result<Input, CaptureError>> {
    let mut list = List::default();
    for argument in arguments {
        let argument = argument.as_ref();
        let path = Path::new(argument);
        if argument == "-" {
            list.add_stdin();
            continue;
        }
        match path.metadata() {
            Ok(_) => list.add_existing(path),
            Err(cause) => match argument.to_str().filter(|text| text.contains(['*', '?', '['])) {
                Some(pattern) => list.add_matching(pattern),
                None => list.fail(CaptureError::Open { input: path.display().to_string(), cause }),
            },
        }
    }
    list.inputs
}

#[derive(Default)]
struct List {
    inputs: Vec<Result<Input, CaptureError>>,
    /// Where in `inputs` a file stands, by its path without links.
    seen: HashMap<PathBuf, usize>,
}

impl List {
    fn add_stdin(&mut self) {
        if !self.inputs.iter().any(|input| matches!(input, Ok(Input::Stdin))) {
            self.inputs.push(Ok(Input::Stdin));
        }
    }

    fn add_existing(&mut self, path: &Path) {
        if !path.is_dir() {
            return self.add(Input::Named(path.to_owned()), path);
        }
        let walk = walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name();
        // The folder itself (depth 0) was named, so it may be hidden.
        let visible =
            |entry: &walkdir::DirEntry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
        for entry in walk.into_iter().filter_entry(|entry| visible(entry) && !leads_up(entry)) {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    self.add(Input::Found(entry.path().to_owned()), entry.path());
                }
                Ok(_) => {}
                // A loop: what it leads to is walked already.
                Err(error) if error.loop_ancestor().is_some() => {}
                Err(error) => {
                    let input = error.path().unwrap_or(path).display().to_string();
                    self.fail(CaptureError::Open { input, cause: error.into() });
                }
            }
        }
    }

    fn add_matching(&mut self, pattern: &str) {
        let input = || pattern.to_owned();
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let matches = match glob::glob_with(pattern, options) {
            Ok(matches) => matches,
            Err(error) => return self.fail(CaptureError::BadPattern { input: input(), what: error.to_string() }),
        };
        let before = self.inputs.len();
        let mut matched = false;
        for found in matches {
            matched = true;
            match found {
                Ok(path) => self.add_existing(&path),
                Err(error) => {
                    let input = error.path().display().to_string();
                    self.fail(CaptureError::Open { input, cause: error.into() });
                }
            }
        }
        if !matched && self.inputs.len() == before {
            self.fail(CaptureError::NoMatch { input: input() });
        }
    }

    fn add(&mut self, input: Input, path: &Path) {
        // A pipe such as /dev/fd/63 has no path without links; it is what it is called.
        let identity = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(&index) = self.seen.get(&identity) {
            // Named outright after being found in a folder: now it has to be a capture.
            if let (Some(Ok(earlier @ Input::Found(_))), Input::Named(_)) = (self.inputs.get_mut(index), &input) {
                *earlier = input;
            }
            return;
        }
        self.seen.insert(identity, self.inputs.len());
        self.inputs.push(Ok(input));
    }

    fn fail(&mut self, error: CaptureError) {
        self.inputs.push(Err(error));
    }
}

/// Whether `entry` is a link to a folder that it lies in. The walk itself notices only loops that it has gone through, and
/// would list all that a folder above the named one holds.
fn leads_up(entry: &walkdir::DirEntry) -> bool {
    if entry.depth() == 0 || !entry.path_is_symlink() || !entry.file_type().is_dir() {
        return false;
    }
    let place = entry.path().parent().and_then(|parent| parent.canonicalize().ok());
    place.zip(entry.path().canonicalize().ok()).is_some_and(|(place, target)| place.starts_with(target))
}

/// Whether the name ends as programs that capture let it end. `pcap.h` and `x.pcap.expect.json` do not.
fn is_named_as_capture(path: &Path) -> bool {
    let has = |path: &Path, extensions: &[&str]| {
        path.extension().is_some_and(|found| extensions.iter().any(|extension| found.eq_ignore_ascii_case(extension)))
    };
    let unpacked = if has(path, &["gz", "zst"]) { path.with_extension("") } else { path.to_owned() };
    has(&unpacked, &["pcap", "pcapng", "cap"])
}

fn is_called_pcap(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().to_ascii_lowercase().contains("pcap"))
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
        assert!(names[1].starts_with("!a/dangling: cannot be opened"), "{names:?}");
        assert!(names.contains(&"a/z/2.pcap".to_owned()), "{names:?}");
        let found: Vec<_> = names.iter().filter(|name| name.ends_with("1.pcap")).collect();
        assert_eq!(found.len(), 1, "{names:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_in_a_folder_is_not_opened() {
        let house = house(&["1.pcap"]);
        let _socket = std::os::unix::net::UnixListener::bind(house.path().join("0.socket")).unwrap();
        assert_eq!(names(house.path(), &[""]), ["1.pcap"]);
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
        let xz = write("log.xz", b"\xfd7zXZ\0rest");
        let xz_pcap = write("1.pcap.xz", b"\xfd7zXZ\0rest");
        let snoop = write("1.snoop", b"snoop\0\0\0rest");
        for path in [&text, &empty, &sidecar, &xz] {
            assert!(Input::Found(path.clone()).open().unwrap().is_none());
            assert!(Input::Named(path.clone()).open().is_err());
        }
        for path in [&xz_pcap, &snoop] {
            let Err(error) = Input::Found(path.clone()).open() else { panic!("{} was read", path.display()) };
            let text = error.to_string();
            assert!(text.contains("xz -d") || text.contains("editcap -F pcap"), "{text}");
        }
        for name in ["emptied.pcap", "zeroed.CAP", "overwritten.pcapng.gz"] {
            let path = write(name, if name.starts_with('e') { b"" } else { &[0; 64] });
            assert!(Input::Found(path).open().is_err(), "{name} is no capture, and its frames are missed");
        }
        assert!(Input::Found(house.path().join("1.pcap")).open().unwrap().is_some());
        assert!(Input::Found(house.path().join("gone.pcap")).open().is_err());
    }
}
