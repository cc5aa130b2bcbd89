//! What an `eve-log` with `filetype: kaspector` may say beside `types`.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

/// Keys and their meanings: docs/plugins.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub target: Target,
    /// A folder of signatures in place of those that are built in.
    pub signatures: Option<PathBuf>,
    /// Whether Suricata 8 is to name what matches in its records.
    pub marks_records: bool,
}

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    File(PathBuf),
    /// A socket that somebody listens to.
    Unix(PathBuf),
}

impl Settings {
    /// Reads the keys of an output. `log_folder` is where relative paths begin.
    ///
    /// # Errors
    /// What is wrong with a value, and what would be right.
    pub fn read(value: impl Fn(&CStr) -> Option<String>, log_folder: Option<String>) -> Result<Self, String> {
        let folder = log_folder.map(PathBuf::from);
        let absolute = |path: &str| match &folder {
            _ if Path::new(path).is_absolute() => Ok(PathBuf::from(path)),
            Some(folder) => Ok(folder.join(path)),
            None => Err(format!(
                "filename: {path}: Suricata does not say where its logs are; write a path that begins with /"
            )),
        };
        let filename = value(c"filename").unwrap_or_else(|| "kaspector.json".to_owned());
        let target = match filename.strip_prefix("unix:") {
            Some("") => return Err("filename: unix: lacks the path of a socket".to_owned()),
            Some(path) => Target::Unix(absolute(path)?),
            None => Target::File(absolute(&filename)?),
        };
        let marks_records = match value(c"mark-records").as_deref() {
            None | Some("yes" | "true" | "on" | "1") => true,
            Some("no" | "false" | "off" | "0") => false,
            Some(other) => return Err(format!("mark-records: {other}: expected yes or no")),
        };
        Ok(Self { target, signatures: value(c"signatures").map(PathBuf::from), marks_records })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(keys: &[(&str, &str)]) -> Result<Settings, String> {
        let value = |name: &CStr| {
            keys.iter().find(|(key, _)| *key == name.to_str().unwrap()).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(value, Some("/var/log/suricata".to_owned()))
    }

    #[test]
    fn paths_begin_where_the_logs_are() {
        let target = |name| read(&[("filename", name)]).unwrap().target;
        assert_eq!(read(&[]).unwrap().target, Target::File("/var/log/suricata/kaspector.json".into()));
        assert_eq!(target("a.json"), Target::File("/var/log/suricata/a.json".into()));
        assert_eq!(target("/tmp/a.json"), Target::File("/tmp/a.json".into()));
        assert_eq!(target("unix:/run/a.sock"), Target::Unix("/run/a.sock".into()));
    }

    #[test]
    fn a_wrong_value_says_what_is_right() {
        assert_eq!(read(&[("mark-records", "maybe")]).unwrap_err(), "mark-records: maybe: expected yes or no");
        assert!(read(&[("filename", "unix:")]).unwrap_err().contains("lacks the path"));
        assert!(!read(&[("mark-records", "no")]).unwrap().marks_records);
        assert!(Settings::read(|_| None, None).unwrap_err().contains("begins with /"));
    }
}
