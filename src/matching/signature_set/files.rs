//! Where signatures come from: the files that are compiled in, and those of a folder.

use super::SignatureError;
use super::load::Loader;
use crate::capture::display_path;
use std::path::{Path, PathBuf};

/// Most bytes of one signature file.
pub const FILE_BYTES_MAX: u64 = 1 << 30;

/// Reads the signature files of a folder in the order of their names.
pub(super) fn read_folder(folder: &Path, loader: &mut Loader) -> Result<(), SignatureError> {
    for path in files_of(folder)? {
        loader.file(&display_path(&path), &text_of(&path)?)?;
    }
    Ok(())
}

/// The signature files of a folder, in the order of their names; at least one.
pub(super) fn files_of(folder: &Path) -> Result<Vec<PathBuf>, SignatureError> {
    let refused = |cause| SignatureError::Read { path: display_path(folder), cause };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(SignatureError::Empty { path: display_path(folder) });
    }
    files.sort();
    Ok(files)
}

pub(super) fn text_of(path: &Path) -> Result<String, SignatureError> {
    let refused = |cause| SignatureError::Read { path: display_path(path), cause };
    let bytes = std::fs::metadata(path).map_err(refused)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(SignatureError::TooLong { path: display_path(path), bytes, most: FILE_BYTES_MAX });
    }
    let bytes = std::fs::read(path).map_err(refused)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + memchr::memchr_iter(b'\n', good).count();
        SignatureError::Bad {
            path: display_path(path),
            line,
            what: "not UTF-8, as TOML files are; save it in that encoding".to_owned(),
        }
    })
}

/// The signature files, compiled in.
macro_rules! builtin {
    ($($name:literal),+ $(,)?) => {
        &[$((concat!("signatures/", $name), include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/signatures/", $name)))),+]
    };
}

pub(super) const BUILTIN: &[(&str, &str)] = builtin![
    "account.toml",
    "activation.toml",
    "addresses.toml",
    "behaviours.toml",
    "certificates.toml",
    "cloud-console.toml",
    "download.toml",
    "fingerprints.toml",
    "http.toml",
    "in-page-script.toml",
    "mail.toml",
    "messaging.toml",
    "mobile.toml",
    "oem.toml",
    "password-manager.toml",
    "payloads.toml",
    "pki.toml",
    "ports.toml",
    "products.toml",
    "reputation.toml",
    "set.toml",
    "syslog.toml",
    "telemetry.toml",
    "threat-intel.toml",
    "update.toml",
    "web-browse.toml",
];
