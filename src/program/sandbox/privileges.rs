//! Gives up what the sensor needed to open its sockets: the user, the groups, the capabilities.
//!
//! Call [`Privileges::give_up`] in the main thread, after the rings are open and **before** any other thread starts. The C library
//! changes the user of all threads at once, but capabilities and `no_new_privs` belong to one thread (capabilities(7), prctl(2)); a
//! thread that started earlier would keep them. That is looked for, and is an error.

use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{AccessFlags, Gid, Uid, User, eaccess, getegid, geteuid, getgroups, getresgid, getresuid};
use nix::unistd::{setegid, seteuid, setgroups, setresgid, setresuid, setuid};
use std::fmt;
use std::path::{Path, PathBuf};

/// What to keep when everything else goes.
#[derive(Clone, Debug, Default)]
pub struct Privileges {
    /// User to become: a name, `UID` or `UID:GID`. By default `kaspector` where it exists, else `nobody`; whoever is not root to begin
    /// with stays who they are. So does root, without capabilities, where nobody was named and the default user could not write what
    /// must be written: a sensor that starts is worth more than one that has the right name.
    pub user: Option<String>,
    /// Keep `CAP_NET_RAW`, to open a ring anew when its interface comes back.
    pub keep_net_raw: bool,
    /// Files and folders that must be writable afterwards: the state file and its folder, the spool, folders of logs. What does not
    /// exist yet is judged by the folder that would hold it.
    pub writes: Vec<PathBuf>,
}

/// Who the sensor is from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Name of the user, or its number where it has none.
    pub user: String,
    /// Its number.
    pub uid: u32,
    /// Number of its group.
    pub gid: u32,
    /// Whether the user was changed; false where the sensor was not started by root.
    pub is_changed: bool,
    /// Capabilities that are left, such as `CAP_NET_RAW`.
    pub capabilities: Vec<String>,
    /// Why root is still root, and what to do about it.
    pub still_root: Option<String>,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.is_changed { "became" } else { "runs as" };
        write!(f, "{verb} user {} (uid {}, gid {}), ", self.user, self.uid, self.gid)?;
        match self.capabilities.as_slice() {
            [] => f.write_str("no capability left")?,
            left => write!(f, "left: {}", left.join(", "))?,
        }
        self.still_root.as_ref().map_or(Ok(()), |reason| write!(f, "; {reason}"))
    }
}

/// Why privileges were not given up. The process may have lost some of them: end it.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// The user does not exist.
    #[error("user {0} does not exist; make it with: useradd --system --no-create-home --shell /usr/sbin/nologin {0}")]
    UnknownUser(String),
    /// Root was asked for.
    #[error("user {0} is root; name a user without privileges, or leave the option out")]
    IsRoot(String),
    /// Only root can become someone else.
    #[error("only root can become user {wanted}, and this is uid {uid}; start as root, or leave the user out")]
    NotRoot {
        /// The user asked for.
        wanted: String,
        /// Who we are.
        uid: u32,
    },
    /// `CAP_NET_RAW` was to be kept, and was not there.
    #[error("CAP_NET_RAW is missing; run as root, or give it with: setcap cap_net_raw=ep {0}")]
    NoNetRaw(String),
    /// A path cannot be written as the new user.
    #[error("user {user} cannot write {path}; allow it with: {remedy}")]
    NotWritable {
        /// The new user.
        user: String,
        /// The path.
        path: PathBuf,
        /// A command for root.
        remedy: String,
    },
    /// The system refused a step.
    #[error("cannot {step}: {source}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A thread that was there before has more than it should.
    #[error("thread {thread} still has {what}; privileges must go before other threads start")]
    Thread {
        /// Its number.
        thread: String,
        /// What it has.
        what: String,
    },
    /// Something could be had back, or was never given up.
    #[error("privileges are left: {0}; this is a defect, please report it")]
    Left(String),
}

impl Privileges {
    /// Drops every capability but the one to keep, for good. Root also becomes the user and leaves all groups but the user's own.
    ///
    /// Sets `no_new_privs` and makes the process undumpable, then looks at every thread and tries to become root again.
    ///
    /// # Errors
    /// Any [`PrivilegeError`]; the process is then in between and should end.
    pub fn give_up(&self) -> Result<Dropped, PrivilegeError> {
        let mut identity = Identity::choose(self.user.as_deref())?;
        let mut still_root = None;
        if self.user.is_none()
            && identity.is_changed
            && let Some(obstacle) = self.obstacle(&identity)?
        {
            still_root = Some(format!("still root, because {obstacle}"));
            identity = Identity { name: "root".to_owned(), uid: geteuid(), gid: getegid(), is_changed: false };
        }
        let kept = self.kept()?;
        // Both need CAP_SETPCAP, so they come first. A service manager may have taken it already, and has then set the bounds itself.
        if has(Capability::CAP_SETPCAP)? {
            empty_bounds()?;
        }
        clear(CapSet::Ambient, "empty the ambient capabilities")?;
        if identity.is_changed {
            become_user(&identity, !kept.is_empty())?;
        }
        // Effective first: it may never exceed what is permitted.
        for (set, name) in [
            (CapSet::Effective, "reduce the effective capabilities"),
            (CapSet::Permitted, "reduce the permitted capabilities"),
        ] {
            caps::set(None, set, &kept).map_err(|error| refused(name, error))?;
        }
        clear(CapSet::Inheritable, "empty the inheritable capabilities")?;
        prctl::set_no_new_privs().map_err(|errno| denied("forbid new privileges", errno))?;
        // Nobody who takes over another process of this user can read keys and traffic from our memory.
        prctl::set_dumpable(false).map_err(|errno| denied("make the process undumpable", errno))?;
        verify(&identity, &kept)?;
        for path in &self.writes {
            writable(path, &identity)?;
        }
        let capabilities = kept.iter().map(ToString::to_string).collect();
        let Identity { name: user, uid, gid, is_changed } = identity;
        Ok(Dropped { user, uid: uid.as_raw(), gid: gid.as_raw(), is_changed, capabilities, still_root })
    }

    /// The first of the paths that the user could not write. Root becomes the user for the moment of the question.
    fn obstacle(&self, identity: &Identity) -> Result<Option<PrivilegeError>, PrivilegeError> {
        let groups = getgroups().map_err(|errno| denied("read the supplementary groups", errno))?;
        let (uid, gid) = (geteuid(), getegid());
        setgroups(&[]).map_err(|errno| denied("leave the supplementary groups", errno))?;
        setegid(identity.gid).map_err(|errno| denied("change the group", errno))?;
        seteuid(identity.uid).map_err(|errno| denied("change the user", errno))?;
        let obstacle = self.writes.iter().find_map(|path| writable(path, identity).err());
        seteuid(uid).map_err(|errno| denied("change the user back", errno))?;
        setegid(gid).map_err(|errno| denied("change the group back", errno))?;
        setgroups(&groups).map_err(|errno| denied("take the supplementary groups back", errno))?;
        Ok(obstacle)
    }

    /// The capabilities to keep; they have to be there.
    fn kept(&self) -> Result<CapsHashSet, PrivilegeError> {
        if !self.keep_net_raw {
            return Ok(CapsHashSet::new());
        }
        let permitted = caps::read(None, CapSet::Permitted).map_err(|error| refused("read the capabilities", error))?;
        if !permitted.contains(&Capability::CAP_NET_RAW) {
            let program = std::env::current_exe().unwrap_or_else(|_| "kaspector".into());
            return Err(PrivilegeError::NoNetRaw(program.display().to_string()));
        }
        Ok([Capability::CAP_NET_RAW].into())
    }
}

/// Who to be.
struct Identity {
    name: String,
    uid: Uid,
    gid: Gid,
    is_changed: bool,
}

impl Identity {
    fn choose(wanted: Option<&str>) -> Result<Self, PrivilegeError> {
        let current = geteuid();
        let chosen = match wanted {
            Some(wanted) => Self::named(wanted)?.ok_or_else(|| PrivilegeError::UnknownUser(wanted.to_owned()))?,
            None if !current.is_root() => Self::current(current)?,
            None => Self::default_user()?,
        };
        // Whoever runs us already may have group 0, as some container platforms do; changing to it would be our choice.
        if chosen.uid.is_root() || current.is_root() && chosen.gid.as_raw() == 0 {
            return Err(PrivilegeError::IsRoot(chosen.name));
        }
        if !current.is_root() && chosen.uid != current {
            return Err(PrivilegeError::NotRoot { wanted: chosen.name, uid: current.as_raw() });
        }
        Ok(Self { is_changed: current.is_root(), ..chosen })
    }

    /// A user by name, `UID` or `UID:GID`. A number needs no entry in the user database: container images often have none.
    fn named(wanted: &str) -> Result<Option<Self>, PrivilegeError> {
        let (user, group) = wanted.split_once(':').map_or((wanted, None), |(user, group)| (user, Some(group)));
        let Ok(uid) = user.parse::<u32>() else {
            let found = User::from_name(wanted).map_err(|errno| denied("look the user up", errno))?;
            return Ok(found.map(|user| Self { name: user.name, uid: user.uid, gid: user.gid, is_changed: false }));
        };
        let gid = match group.map(str::parse) {
            None => uid,
            Some(Ok(gid)) => gid,
            Some(Err(_)) => return Ok(None),
        };
        // All ones means "leave as it is" to setresuid(2).
        if uid == u32::MAX || gid == u32::MAX {
            return Ok(None);
        }
        Ok(Some(Self { name: wanted.to_owned(), uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), is_changed: false }))
    }

    fn default_user() -> Result<Self, PrivilegeError> {
        for name in ["kaspector", "nobody"] {
            if let Some(found) = Self::named(name)? {
                return Ok(found);
            }
        }
        // The kernel's own number for "nobody" (user_namespaces(7), overflowuid).
        Self::named("65534:65534")?.ok_or_else(|| PrivilegeError::UnknownUser("nobody".to_owned()))
    }

    fn current(uid: Uid) -> Result<Self, PrivilegeError> {
        let found = User::from_uid(uid).map_err(|errno| denied("look the user up", errno))?;
        let name = found.map_or_else(|| uid.to_string(), |user| user.name);
        Ok(Self { name, uid, gid: getegid(), is_changed: false })
    }
}

/// Groups first: after the user is gone, nobody may change them.
fn become_user(identity: &Identity, keeps_capabilities: bool) -> Result<(), PrivilegeError> {
    setgroups(&[]).map_err(|errno| denied("leave the supplementary groups", errno))?;
    setresgid(identity.gid, identity.gid, identity.gid).map_err(|errno| denied("change the group", errno))?;
    if keeps_capabilities {
        prctl::set_keepcaps(true).map_err(|errno| denied("keep capabilities over the change of user", errno))?;
    }
    setresuid(identity.uid, identity.uid, identity.uid).map_err(|errno| denied("change the user", errno))?;
    prctl::set_keepcaps(false).map_err(|errno| denied("lose capabilities at the next change of user", errno))
}

/// Fails when a thread has more than it should, or root can be had back.
fn verify(identity: &Identity, kept: &CapsHashSet) -> Result<(), PrivilegeError> {
    let left = |what: String| Err(PrivilegeError::Left(what));
    let unread = |errno| denied("read who we are", errno);
    let users = getresuid().map_err(unread)?;
    if [users.real, users.effective, users.saved].iter().any(|&uid| uid != identity.uid) {
        return left(format!("the user is {}/{}/{}", users.real, users.effective, users.saved));
    }
    if identity.is_changed {
        let groups = getresgid().map_err(unread)?;
        if [groups.real, groups.effective, groups.saved].iter().any(|&gid| gid != identity.gid) {
            return left(format!("the group is {}/{}/{}", groups.real, groups.effective, groups.saved));
        }
        if !getgroups().map_err(unread)?.is_empty() {
            return left("supplementary groups".to_owned());
        }
    }
    let allowed = kept.iter().fold(0, |mask, capability| mask | capability.bitmask());
    for task in std::fs::read_dir("/proc/self/task").map_err(|source| unseen("list the threads", source))? {
        let task = task.map_err(|source| unseen("list the threads", source))?;
        // A thread may end while we look.
        let Ok(status) = std::fs::read_to_string(task.path().join("status")) else { continue };
        if let Some(what) = excess(&status, allowed) {
            return Err(PrivilegeError::Thread { thread: task.file_name().display().to_string(), what });
        }
    }
    if !identity.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
        return left("user 0 can be had back".to_owned());
    }
    Ok(())
}

/// What a thread has beyond the capabilities of mask `allowed`, by its status (proc_pid_status(5)). A line that is missing counts.
fn excess(status: &str, allowed: u64) -> Option<String> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    for (name, allowed) in [("CapInh", 0), ("CapPrm", allowed), ("CapEff", allowed), ("CapAmb", 0)] {
        let mask = field(name).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if mask.is_none_or(|mask| mask & !allowed != 0) {
            return Some(format!("{name} {}", field(name).unwrap_or("unknown")));
        }
    }
    (field("NoNewPrivs") != Some("1")).then(|| "no bar to new privileges".to_owned())
}

/// Asks the kernel, as the new user, so that access lists and read-only mounts count.
fn writable(path: &Path, identity: &Identity) -> Result<(), PrivilegeError> {
    // The nearest thing that exists decides; a relative path ends in the working folder.
    let nearest = path.ancestors().find(|part| part.symlink_metadata().is_ok()).unwrap_or(Path::new("."));
    let wanted = if nearest.is_dir() { AccessFlags::W_OK | AccessFlags::X_OK } else { AccessFlags::W_OK };
    if eaccess(nearest, wanted).is_ok() {
        return Ok(());
    }
    let remedy = remedy(path, nearest, identity);
    Err(PrivilegeError::NotWritable { user: identity.name.clone(), path: path.to_owned(), remedy })
}

/// A command for root. It never gives away a folder that may hold other programs' files, such as `/var/log`.
fn remedy(path: &Path, nearest: &Path, identity: &Identity) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let (uid, gid) = (identity.uid, identity.gid);
    let is_ours = nearest.file_name().is_some_and(|name| name.display().to_string().contains("kaspector"));
    if nearest == path || is_ours {
        return format!("chown {uid}:{gid} {}", quoted(nearest));
    }
    let install = |folder: &Path| format!("install -d -o {uid} -g {gid} -m 0750 {}", quoted(folder));
    match path.parent() {
        Some(folder) if folder != nearest => install(folder),
        _ => format!("{}   (and name a file in that folder)", install(&nearest.join("kaspector"))),
    }
}

fn has(capability: Capability) -> Result<bool, PrivilegeError> {
    caps::has_cap(None, CapSet::Effective, capability).map_err(|error| refused("read the capabilities", error))
}

/// Only those that this kernel knows: asking for others is an error.
fn empty_bounds() -> Result<(), PrivilegeError> {
    for capability in caps::runtime::thread_all_supported() {
        caps::drop(None, CapSet::Bounding, capability)
            .map_err(|error| refused("empty the capability bounding set", error))?;
    }
    Ok(())
}

fn clear(set: CapSet, step: &'static str) -> Result<(), PrivilegeError> {
    caps::clear(None, set).map_err(|error| refused(step, error))
}

fn refused(step: &'static str, error: caps::errors::CapsError) -> PrivilegeError {
    PrivilegeError::Refused { step, source: std::io::Error::other(error.to_string()) }
}

fn denied(step: &'static str, errno: Errno) -> PrivilegeError {
    PrivilegeError::Refused { step, source: errno.into() }
}

fn unseen(step: &'static str, source: std::io::Error) -> PrivilegeError {
    PrivilegeError::Refused { step, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLEAN: &str = "Name:\tx\nCapInh:\t0000000000000000\nCapPrm:\t0000000000002000\nCapEff:\t0000000000002000\n\
                         CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n";

    fn someone() -> Identity {
        Identity { name: "kaspector".into(), uid: Uid::from_raw(990), gid: Gid::from_raw(991), is_changed: true }
    }

    #[test]
    fn a_thread_has_what_was_kept_and_no_more() {
        let net_raw = Capability::CAP_NET_RAW.bitmask();
        assert_eq!(excess(CLEAN, net_raw), None);
        assert_eq!(excess(CLEAN, 0), Some("CapPrm 0000000000002000".to_owned()));
        assert_eq!(
            excess(&CLEAN.replace("Privs:\t1", "Privs:\t0"), net_raw),
            Some("no bar to new privileges".to_owned())
        );
        assert_eq!(
            excess(&CLEAN.replace("CapAmb:\t0", "CapAmb:\t4"), net_raw),
            Some("CapAmb 4000000000000000".to_owned())
        );
    }

    #[test]
    fn a_status_that_was_cut_short_never_passes() {
        let net_raw = Capability::CAP_NET_RAW.bitmask();
        let whole = CLEAN.trim_end();
        for end in 0..whole.len() {
            assert!(excess(&whole[..end], net_raw).is_some(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn any_status_text_is_judged(status in ".{0,400}", allowed: u64) {
            prop_assert!(excess(&status, allowed).is_some());
        }

        #[test]
        fn any_user_text_is_a_user_or_none(wanted in "[0-9:a-z-]{0,24}") {
            if let Ok(Some(found)) = Identity::named(&wanted) {
                prop_assert_ne!(found.uid.as_raw(), u32::MAX);
                prop_assert_ne!(found.gid.as_raw(), u32::MAX);
            }
        }
    }

    #[test]
    fn numbers_need_no_entry_in_the_user_database() {
        let found = Identity::named("65532:65533").unwrap().unwrap();
        assert_eq!((found.uid.as_raw(), found.gid.as_raw()), (65532, 65533));
        let alone = Identity::named("65532").unwrap().unwrap();
        assert_eq!((alone.uid.as_raw(), alone.gid.as_raw()), (65532, 65532));
        assert!(Identity::named("65532:x").unwrap().is_none());
        assert!(Identity::named("4294967295").unwrap().is_none(), "would leave the user as it is");
        assert!(Identity::named("nobody-has-this-name").unwrap().is_none());
    }

    #[test]
    fn the_remedy_gives_away_nothing_of_others() {
        let remedy = |path: &str, nearest: &str| remedy(Path::new(path), Path::new(nearest), &someone());
        assert_eq!(remedy("/var/lib/kaspector/state.db", "/var/lib/kaspector"), "chown 990:991 '/var/lib/kaspector'");
        assert_eq!(remedy("/var/log/eve.json", "/var/log/eve.json"), "chown 990:991 '/var/log/eve.json'");
        assert_eq!(
            remedy("/var/log/eve.json", "/var/log"),
            "install -d -o 990 -g 991 -m 0750 '/var/log/kaspector'   (and name a file in that folder)"
        );
        assert_eq!(remedy("/srv/it's/a.db", "/srv"), r"install -d -o 990 -g 991 -m 0750 '/srv/it'\''s'");
    }
}
