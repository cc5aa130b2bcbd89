//! What `--check-config` looks at beyond the text: what is on this machine.

use super::{EvidenceConfig, WatchConfig};
use crate::process::output_file::{Claims, OutputFileError, check_growing};
use kaspector::capture::display_path;
use kaspector::matching::SignatureSet;
use kaspector_report::{Site, SiteError};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

/// What was found. The sensor would not start with a problem; it would with a warning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What has to be put right, and how.
    pub problems: Vec<String>,
    /// What is worth a look.
    pub warnings: Vec<String>,
}

/// Reads the signatures and secrets, and tries whether this user can write where it must. Leaves nothing behind. `file` is where the
/// configuration stands, if it is in one.
#[must_use]
pub fn check(config: &WatchConfig, file: Option<&Path>) -> Checked {
    let mut checked = Checked::default();
    if let Err(error) = config.check_state(file) {
        checked.problems.push(error.to_string());
    }
    let claims = config.claims(file);
    check_signatures(config, &mut checked);
    match config.site.as_deref().map(Site::from_file) {
        Some(Err(SiteError::Wrong(faults))) => checked.problems.extend(faults.iter().map(ToString::to_string)),
        Some(Err(error)) => checked.problems.push(error.to_string()),
        Some(Ok(_)) | None => {}
    }
    for name in &config.interfaces {
        let is_there = Path::new("/sys/class/net").join(name).exists();
        if cfg!(target_os = "linux") && !is_there {
            checked.warnings.push(format!("interface {name}: not there now; `ip -brief link` lists those that are"));
        }
    }
    for output in &config.outputs {
        for path in output.reads() {
            readable(path, &format!("output {output}"), &mut checked);
        }
        if let kaspector_delivery::OutputSpec::File { path, .. } = output {
            writable_file(path, "output", &mut checked);
            if let Err(error) = check_growing(path, "output", &claims)
                && error.is_refusal()
            {
                checked.problems.push(error.to_string());
            }
        }
        for (name, instead) in output.variables().into_iter().filter(|(name, _)| std::env::var_os(name).is_none()) {
            checked.problems.push(format!("output {output}: the environment has no {name}; set it, or use {instead}"));
        }
    }
    if let Some(folder) = &config.spool {
        // It is made when it is not there.
        let nearest = folder.ancestors().find(|path| path.exists()).unwrap_or(folder);
        writable_folder(nearest, &format!("spool {}", display_path(folder)), &mut checked);
    }
    if let Some(EvidenceConfig { folder, .. }) = &config.evidence {
        // It is made when it is not there, in a folder that is.
        let nearest = if folder.exists() { folder } else { crate::sandbox::folder_of(folder) };
        writable_folder(nearest, &format!("evidence {}", display_path(folder)), &mut checked);
    }
    if let Some(file) = &config.state {
        writable_file(file, "state", &mut checked);
    }
    if let Some(path) = config.http.as_ref().and_then(|http| http.token_file.as_deref())
        && let Err(error) = crate::web::Token::from_file(path)
    {
        checked.problems.push(error.to_string());
    }
    checked
}

impl WatchConfig {
    /// The files that are read or written besides alerts, and so are none for alerts. `file` is where the configuration stands.
    #[must_use]
    pub fn claims(&self, file: Option<&Path>) -> Claims {
        let mut claims = self.claims_of_others(file);
        if let Some(state) = &self.state {
            claims.add_database(state);
        }
        claims
    }

    /// Looks that the inventory, and what SQLite keeps beside it, takes the place of nothing else.
    ///
    /// # Errors
    /// [`OutputFileError`].
    pub fn check_state(&self, file: Option<&Path>) -> Result<(), OutputFileError> {
        let claims = self.claims_of_others(file);
        self.state.as_deref().map_or(Ok(()), |state| claims.check_database(state, "--state"))
    }

    /// As [`Self::claims`], but for the inventory.
    fn claims_of_others(&self, file: Option<&Path>) -> Claims {
        let mut claims = Claims::default();
        if let Some(file) = file {
            claims.add(file, "the configuration, which is read");
        }
        for folder in self.signatures.iter().chain(&self.signatures_extra) {
            claims.add_folder(folder, "toml", "a signature file, which is read");
        }
        if let Some(site) = &self.site {
            claims.add(site, "the site file, which is read");
        }
        if let Some(path) = self.http.as_ref().and_then(|http| http.token_file.as_deref()) {
            claims.add(path, "the token file, which is read");
        }
        for path in self.outputs.iter().flat_map(kaspector_delivery::OutputSpec::reads) {
            claims.add(path, "a secret or a certificate of an output, which is read");
        }
        if let Some(evidence) = &self.evidence {
            claims.add_folder(&evidence.folder, "pcapng", "evidence");
            claims.add_folder(&evidence.folder, "json", "a description of evidence");
            claims.add_folder(&evidence.folder, "sha256", "a manifest of evidence");
        }
        if let Some(spool) = &self.spool {
            claims.add_folder(spool, "segment", "a part of the spool");
        }
        claims
    }
}

fn check_signatures(config: &WatchConfig, checked: &mut Checked) {
    let (replace, extra) = (config.signatures.as_deref(), config.signatures_extra.as_deref());
    match SignatureSet::of_folders(replace, extra) {
        Err(faults) => checked.problems.extend(faults.iter().map(ToString::to_string)),
        Ok(set) if set.is_empty() => {
            checked.problems.push("signatures: no indicator in these folders, so nothing would be found".to_owned());
        }
        Ok(_) => {}
    }
}

fn readable(path: &Path, whose: &str, checked: &mut Checked) {
    if let Err(cause) = fs::File::open(path) {
        checked.problems.push(format!("{whose}: {} cannot be read: {cause}", display_path(path)));
    }
}

/// A file that is there must take more; else its folder must take a file.
fn writable_file(path: &Path, whose: &str, checked: &mut Checked) {
    match OpenOptions::new().append(true).open(path) {
        Ok(_) => {}
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            writable_folder(folder, &format!("{whose} {}", display_path(path)), checked);
        }
        Err(cause) => checked.problems.push(format!("{whose} {}: cannot be written: {cause}", display_path(path))),
    }
}

fn writable_folder(folder: &Path, whose: &str, checked: &mut Checked) {
    let probe = folder.join(format!(".kaspector-check-{}", std::process::id()));
    match OpenOptions::new().write(true).create_new(true).open(&probe) {
        Ok(_) => _ = fs::remove_file(&probe),
        Err(cause) => {
            let folder = display_path(folder);
            checked
                .problems
                .push(format!("{whose}: no file can be made in {folder}: {cause}; make it writable for this user"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{WatchSettings, merged};
    use super::*;

    fn checked(text: &str) -> Checked {
        let config = merged(WatchSettings::default(), WatchSettings::from_toml(text, Path::new("k")).unwrap());
        check(&config.unwrap(), None)
    }

    #[test]
    fn a_sound_configuration_leaves_nothing_to_say_and_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let found = checked(&format!(
            "interface = 'lo'\nspool = '{at}/spool/deep'\nstate = '{at}/hosts.db'\noutput = 'file:{at}/eve.json'"
        ));
        assert_eq!(found, Checked::default());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let found = checked(
            "interface = 'nosuch0'\nsignatures = '/nonexistent/s'\nstate = '/nonexistent/h.db'\nspool = '/proc/spool'\n\
            site = '/nonexistent/site.toml'\nhttp = '0.0.0.0:1'\nhttp-token-file = '/nonexistent/token'\n\
            output = 'http://127.0.0.1/?auth=bearer&token-env=KASPECTOR_SURELY_UNSET'",
        );
        assert!(found.warnings.first().unwrap().starts_with("interface nosuch0: not there"));
        let said = found.problems.join("\n");
        for part in [
            "/nonexistent/s",
            "/nonexistent/site.toml: cannot be read",
            "state /nonexistent/h.db",
            "spool /proc/spool",
            "/nonexistent/token",
            "KASPECTOR_SURELY_UNSET",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn a_set_without_indicators_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("empty.toml"), "").unwrap();
        let found = checked(&format!("interface = 'lo'\nsignatures = '{}'", folder.path().display()));
        assert!(found.problems.first().unwrap().contains("nothing would be found"));
    }
}
