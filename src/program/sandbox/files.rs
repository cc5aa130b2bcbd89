//! Which files, ports and neighbours remain within reach: Landlock (landlock(7)).

use super::{Entered, Sandbox, SandboxError};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, PathFdError,
    RestrictSelf, RestrictSelfAttr, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};

/// The newest version whose rules were tried. Later ones confine more, which would break something after a kernel update.
const NEWEST: ABI = ABI::V7;

/// What the C library, name lookups, TLS and interface facts read. What is not there is left out.
const SYSTEM: [&str; 23] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ca-certificates",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
    "/dev/urandom",
    "/proc/meminfo",
    "/proc/self",
    // An entry of the first is a link into the second.
    "/sys/class/net",
    "/sys/devices",
    "/sys/fs/cgroup",
    "/proc/sys/net/core",
];

/// Whether files can be confined here, as far as can be told without confining anything.
pub fn outlook() -> Result<(), String> {
    match status() {
        Ok(LandlockStatus::Available { effective_abi, .. }) => {
            let threads = threads();
            if threads > 1 && effective_abi < ABI::V8 {
                return Err(format!(
                    "{} threads were started before the sandbox and stay outside its file rules",
                    threads - 1
                ));
            }
            Ok(())
        }
        Ok(LandlockStatus::NotEnabled) => Err("Landlock is not enabled: boot with lsm=landlock,...".to_owned()),
        _ => Err("this kernel lacks Landlock: it came with Linux 5.13".to_owned()),
    }
}

/// Confines this thread and those it will start; all threads from Landlock 8 on.
pub fn confine(sandbox: &Sandbox, entered: &mut Entered) -> Result<(), SandboxError> {
    if let Err(missing) = outlook() {
        entered.missing.push(missing);
    }
    let Ok(LandlockStatus::Available { effective_abi, .. }) = status() else { return Ok(()) };
    // The C library loads what looks names up at the first lookup, from folders that are about to close.
    let _ = ("localhost", 0).to_socket_addrs();
    let abi = effective_abi.min(NEWEST);
    let mut rules = Rules(handled(sandbox, abi).map_err(refused)?);
    for path in &sandbox.read {
        rules.allow(path, reading(abi))?;
    }
    for path in &sandbox.write {
        rules.allow(path, writing(abi))?;
    }
    for path in system_paths() {
        match rules.allow(&path, reading(abi)) {
            // Not every system has all of them, and not every user may open them.
            Ok(()) | Err(SandboxError::Path { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    // Where output that nobody wants goes; never a way out.
    rules.allow(Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)?;
    let ruleset = rules.with_ports(sandbox, abi).map_err(refused)?;
    let ruleset = ruleset.all_threads(true).map_err(refused)?;
    ruleset.restrict_self().map_err(refused)?;
    entered.landlock_abi = Some(abi as u32);
    if abi < ABI::V4 && (sandbox.connect.is_some() || !sandbox.listen.is_empty()) {
        entered.missing.push("TCP ports are not confined: that came with Linux 6.7".to_owned());
    }
    Ok(())
}

/// What is forbidden unless a rule allows it.
fn handled(sandbox: &Sandbox, abi: ABI) -> Result<RulesetCreated, RulesetError> {
    let mut ruleset = Ruleset::default().handle_access(AccessFs::from_all(abi))?;
    if abi >= ABI::V4 {
        ruleset = ruleset.handle_access(AccessNet::BindTcp)?;
        if sandbox.connect.is_some() {
            ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
        }
    }
    if abi >= ABI::V6 {
        ruleset = ruleset.scope(Scope::Signal)?;
        if !sandbox.abstract_sockets {
            ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
        }
    }
    ruleset.create()
}

fn reading(abi: ABI) -> BitFlags<AccessFs> {
    // Nothing is ever run.
    AccessFs::from_read(abi) & !BitFlags::from(AccessFs::Execute)
}

fn writing(abi: ABI) -> BitFlags<AccessFs> {
    let odd = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSym | AccessFs::MakeFifo | AccessFs::MakeSock;
    let odd = odd | AccessFs::IoctlDev | AccessFs::Execute;
    AccessFs::from_all(abi) & !odd
}

/// The system's files, and where links of `/etc` lead: a resolver writes its file anew beside the old one, so its folder is needed.
fn system_paths() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    let target = Path::new("/etc/resolv.conf").canonicalize();
    // Only a folder of run-time files; a link to elsewhere gets its one file.
    paths.extend(target.ok().filter(|path| path.starts_with("/run")).and_then(|path| {
        let folder = path.parent()?;
        (folder != Path::new("/run")).then(|| folder.to_owned())
    }));
    paths
}

struct Rules(RulesetCreated);

impl Rules {
    /// Allows `access` to a file, or to a folder and all below it.
    fn allow(&mut self, path: &Path, access: BitFlags<AccessFs>) -> Result<(), SandboxError> {
        let at = |source: std::io::Error| SandboxError::Path { path: path.to_owned(), cause: source };
        let opened = PathFd::new(path).map_err(|error| match error {
            PathFdError::OpenCall { source, .. } => at(source),
            other => at(std::io::Error::other(other)),
        })?;
        let access = if path.metadata().map_err(at)?.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
        (&mut self.0).add_rule(PathBeneath::new(opened, access)).map_err(refused)?;
        Ok(())
    }

    fn with_ports(mut self, sandbox: &Sandbox, abi: ABI) -> Result<RulesetCreated, RulesetError> {
        if abi < ABI::V4 {
            return Ok(self.0);
        }
        for &port in &sandbox.listen {
            self.0 = self.0.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
        }
        for &port in sandbox.connect.iter().flatten().chain(sandbox.connect.iter().map(|_| &DOMAIN)) {
            self.0 = self.0.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        }
        Ok(self.0)
    }
}

/// DNS over TCP (RFC 7766).
const DOMAIN: u16 = 53;

/// What the kernel has. A request that asks for nothing confines nothing, but says what could be.
fn status() -> Result<LandlockStatus, RulesetError> {
    Ok(RestrictSelf::default().no_new_privs(false).apply()?.landlock)
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

fn refused(error: RulesetError) -> SandboxError {
    SandboxError::Refused { what: "a file rule", reason: error.to_string() }
}
