//! Confines the sensor to the files and system calls of its work, whatever a packet may talk it into.
//!
//! In:    files, ports and a user that the sensor needs.
//! Out:   a process that can reach nothing else.
//! Never: gives anything back.
//!
//! Files are held by Landlock (landlock(7)), system calls by a seccomp filter (seccomp(2)). Neither needs a privilege, and neither can be
//! taken back. Enter in the main thread after [`Privileges::give_up`] and before any other thread starts:
//! the filter reaches all threads, but on kernels before Landlock ABI 8 the file rules reach only this thread and those it starts.

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod privileges;
#[cfg(target_os = "linux")]
mod system_calls;

#[cfg(target_os = "linux")]
pub use privileges::{Dropped, PrivilegeError, Privileges};

use std::fmt;
use std::path::{Path, PathBuf};

/// What the sensor may touch.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    /// Files and folders to read: configuration, signature folders, certificates. They must exist. A file that others may replace by
    /// renaming is better given as its folder: the rule follows the file, not the name.
    pub read: Vec<PathBuf>,
    /// Folders (or files that exist) to read, write, create, rename and remove in: state, spool, logs.
    pub write: Vec<PathBuf>,
    /// TCP ports to connect to, where outputs leave no other; `None` for any. 53 is added, for name lookups that outgrow a datagram.
    pub connect: Option<Vec<u16>>,
    /// TCP ports to listen on.
    pub listen: Vec<u16>,
    /// Allow to reach Unix sockets without a path (unix(7), "abstract") of processes outside.
    pub abstract_sockets: bool,
}

/// The folder that a file stands in, which a rule is for where the file may be made or replaced.
#[must_use]
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How much the sandbox matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxMode {
    /// Whatever the kernel can; the rest is said.
    #[default]
    Auto,
    /// All of it, or an error.
    On,
    /// Nothing.
    Off,
}

/// What holds from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entered {
    /// Landlock's version in force; `None` where files are not confined.
    pub landlock_abi: Option<u32>,
    /// Number of system calls that remain possible; `None` where they are not confined.
    pub system_calls: Option<usize>,
    /// What could not be had, and why.
    pub missing: Vec<String>,
}

impl fmt::Display for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock_abi {
            Some(abi) => write!(f, "files confined (Landlock {abi})")?,
            None => f.write_str("files not confined")?,
        }
        match self.system_calls {
            Some(count) => write!(f, ", {count} system calls allowed")?,
            None => f.write_str(", system calls not confined")?,
        }
        self.missing.iter().try_for_each(|what| write!(f, "; {what}"))
    }
}

/// Why the sandbox was not entered. Part of it may already hold: end the process.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A path of the configuration is not there.
    #[error("sandbox: {path}: {cause}; create it, or take it out of the configuration")]
    Path {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// Asked to be on, and not all of it can be had.
    #[error("sandbox: {0}; --sandbox auto goes on without")]
    Missing(String),
    /// The kernel refused a rule that it should have taken.
    #[error("sandbox: the kernel refused {what}: {reason}; --sandbox off leaves it out")]
    Refused {
        /// Which part.
        what: &'static str,
        /// Its answer.
        reason: String,
    },
}

impl Sandbox {
    /// Confines this process for good.
    ///
    /// # Errors
    /// [`SandboxError::Path`] for a path that is not there; [`SandboxError::Missing`] with [`SandboxMode::On`] when the kernel lacks
    /// something; [`SandboxError::Refused`] when a rule fails that this kernel should know.
    pub fn enter(&self, mode: SandboxMode) -> Result<Entered, SandboxError> {
        if mode == SandboxMode::Off {
            return Ok(Entered { missing: vec!["switched off".to_owned()], ..Entered::default() });
        }
        let entered = self.confine(mode)?;
        if mode == SandboxMode::On && !entered.missing.is_empty() {
            return Err(SandboxError::Missing(entered.missing.join("; ")));
        }
        Ok(entered)
    }

    #[cfg(target_os = "linux")]
    fn confine(&self, mode: SandboxMode) -> Result<Entered, SandboxError> {
        let mut entered = Entered::default();
        // With `On`, nothing is confined by halves: what is known to be missing is said before the first rule holds.
        if let Err(missing) = files::outlook().and_then(|()| system_calls::outlook())
            && mode == SandboxMode::On
        {
            return Err(SandboxError::Missing(missing));
        }
        files::confine(self, &mut entered)?;
        // Last: making the file rules takes calls that the filter refuses.
        system_calls::confine(&mut entered)?;
        Ok(entered)
    }

    #[cfg(not(target_os = "linux"))]
    fn confine(&self, _mode: SandboxMode) -> Result<Entered, SandboxError> {
        Ok(Entered { missing: vec!["this system has neither Landlock nor seccomp".to_owned()], ..Entered::default() })
    }
}
