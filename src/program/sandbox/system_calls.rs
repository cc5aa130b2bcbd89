//! Which system calls remain possible: a seccomp filter (seccomp(2)).
//!
//! Three answers. What the sensor works with is allowed. What only a hijacked process would try (run a program, look into another
//! process, mount, load code into the kernel) kills the process at once: SIGSYS, and a line in the kernel's audit log. Everything else
//! fails with EPERM, so that a library's unusual wish is an error it can report, not the end of the sensor.

use super::{Entered, SandboxError};
use libc::c_long;
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter};
use seccompiler::{SeccompRule, TargetArch};
use std::collections::BTreeMap;

/// Rules by system call; no rule means: with any arguments.
type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Whether system calls can be confined here.
pub fn outlook() -> Result<(), String> {
    architecture()?;
    // proc_pid_status(5): the line is there when the kernel can filter.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if status.lines().any(|line| line.starts_with("Seccomp:")) {
        return Ok(());
    }
    Err("this kernel lacks seccomp filters".to_owned())
}

/// Confines all threads.
pub fn confine(entered: &mut Entered) -> Result<(), SandboxError> {
    let architecture = match outlook().and_then(|()| architecture()) {
        Ok(architecture) => architecture,
        Err(missing) => {
            entered.missing.push(missing);
            return Ok(());
        }
    };
    let mut allowed = allowed().map_err(|error| refused(&error))?;
    let count = allowed.len();
    // Of two filters that refuse with an error number, the newer one's number counts: it has to leave these to the older.
    allowed.extend(UNKNOWN.iter().map(|&call| (call, Vec::new())));
    // The strictest answer of all filters counts (seccomp(2)), so their order does not, but for the last: it forbids further ones.
    let program = |rules: Rules, otherwise: SeccompAction, then: SeccompAction| -> Result<BpfProgram, SandboxError> {
        let filter = SeccompFilter::new(rules, otherwise, then, architecture).map_err(|error| refused(&error))?;
        filter.try_into().map_err(|error: seccompiler::BackendError| refused(&error))
    };
    let any = |calls: &[c_long]| calls.iter().map(|&call| (call, Vec::new())).collect();
    let filters = [
        program(any(HOSTILE), SeccompAction::Allow, SeccompAction::KillProcess)?,
        program(any(UNKNOWN), SeccompAction::Allow, SeccompAction::Errno(errno(libc::ENOSYS)))?,
        program(allowed, SeccompAction::Errno(errno(libc::EPERM)), SeccompAction::Allow)?,
    ];
    for filter in &filters {
        seccompiler::apply_filter_all_threads(filter).map_err(|error| refused(&error))?;
    }
    entered.system_calls = Some(count);
    Ok(())
}

fn architecture() -> Result<TargetArch, String> {
    let name = std::env::consts::ARCH;
    match name {
        "x86_64" => Ok(TargetArch::x86_64),
        "aarch64" => Ok(TargetArch::aarch64),
        _ => Err(format!("no list of system calls for {name}")),
    }
}

/// The calls of the sensor's work; some with certain arguments alone.
fn allowed() -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = PLAIN.iter().chain(OLD).map(|&call| (call, Vec::new())).collect();
    // Threads, never processes.
    let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
    rules.insert(libc::SYS_clone, vec![one(0, SeccompCmpOp::MaskedEq(thread), thread)?]);
    // No memory becomes code.
    let code = u64::from(libc::PROT_EXEC.cast_unsigned());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![one(2, SeccompCmpOp::MaskedEq(code), 0)?]);
    }
    // Signals to this process alone: an abort, and the C library's own between threads.
    let own = u64::from(std::process::id());
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        rules.insert(call, vec![one(0, SeccompCmpOp::Eq, own)?]);
    }
    // Limits of this process alone.
    rules.insert(libc::SYS_prlimit64, vec![one(0, SeccompCmpOp::Eq, 0)?, one(0, SeccompCmpOp::Eq, own)?]);
    rules.insert(libc::SYS_prctl, equal(0, PRCTL.iter().map(|&option| option.cast_unsigned()))?);
    rules.insert(libc::SYS_ioctl, equal(1, IOCTL.iter().copied())?);
    let mut sockets = equal(0, FAMILIES.iter().map(|family| family.cast_unsigned()))?;
    // Of netlink, interfaces and addresses (rtnetlink(7)).
    sockets.push(SeccompRule::new(vec![
        condition(0, SeccompCmpOp::Eq, u64::from(libc::AF_NETLINK.cast_unsigned()))?,
        condition(2, SeccompCmpOp::Eq, u64::from(libc::NETLINK_ROUTE.cast_unsigned()))?,
    ])?);
    rules.insert(libc::SYS_socket, sockets);
    rules.insert(libc::SYS_socketpair, equal(0, [libc::AF_UNIX.cast_unsigned()].into_iter())?);
    Ok(rules)
}

/// One rule for each value that an argument may have.
fn equal(argument: u8, values: impl Iterator<Item = u32>) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    values.map(|value| one(argument, SeccompCmpOp::Eq, u64::from(value))).collect()
}

fn one(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![condition(argument, operator, value)?])
}

/// The kernel reads these arguments as 32 bits; what the upper half holds is chance.
fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn errno(code: i32) -> u32 {
    code.cast_unsigned()
}

fn refused(error: &dyn std::error::Error) -> SandboxError {
    SandboxError::Refused { what: "the system call filter", reason: error.to_string() }
}

/// Sockets: outputs and the page, local outputs, the ring of an interface that came back (which needs CAP_NET_RAW besides).
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_PACKET];

/// Names of threads, and of memory for whoever reads the process's map.
const PRCTL: [i32; 3] = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA];

/// Terminals (is it one, how wide), sockets (bytes waiting, blocking or not), facts of an interface (netdevice(7)).
#[allow(clippy::cast_possible_truncation)]
const IOCTL: [u32; 13] = [
    libc::TCGETS as u32,
    libc::TIOCGWINSZ as u32,
    libc::FIONREAD as u32,
    libc::FIONBIO as u32,
    libc::FIOCLEX as u32,
    libc::TIOCOUTQ as u32,
    libc::SIOCGIFNAME as u32,
    libc::SIOCGIFFLAGS as u32,
    libc::SIOCGIFMTU as u32,
    libc::SIOCGIFHWADDR as u32,
    libc::SIOCGIFINDEX as u32,
    // Reading as a rule; what would change the interface needs CAP_NET_ADMIN, which is gone.
    SIOCETHTOOL,
    SIOCGHWTSTAMP,
];

/// linux/sockios.h.
const SIOCETHTOOL: u32 = 0x8946;
const SIOCGHWTSTAMP: u32 = 0x89b1;

/// Newer than what the C library can do without: "no such call" makes it take the older one, whose arguments can be judged.
const UNKNOWN: &[c_long] = &[
    // Its flags lie in memory, where a filter cannot look.
    libc::SYS_clone3,
    // A second way into the kernel, past every filter.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_openat2,
    libc::SYS_pidfd_open,
    libc::SYS_close_range,
];

/// What the sensor never does, and an attacker would do next.
const HOSTILE: &[c_long] = &[
    // Other programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Another view of the file system.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    // Other namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    // The kernel itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_personality,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// Allowed with any arguments.
const PLAIN: &[c_long] = &[
    // Open files: read, write, wait.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
    libc::SYS_splice,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    // Names of files; which of them, Landlock says.
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_utimensat,
    libc::SYS_umask,
    // Sockets; which of them, `socket` says.
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_membarrier,
    // Threads.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getcpu,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Clocks, chance, who and where we are.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getgroups,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_capget,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// What else x86-64 has by its age; musl and older C libraries use some of it.
#[cfg(target_arch = "x86_64")]
const OLD: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_sync_file_range,
    libc::SYS_link,
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_getrlimit,
    libc::SYS_time,
    libc::SYS_pause,
];
/// `renameat` and `sync_file_range`, which the `libc` crate does not name here (asm-generic/unistd.h).
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[c_long] = &[38, 84];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_call_has_two_answers() {
        let allowed: BTreeSet<c_long> = allowed().unwrap().into_keys().collect();
        assert_eq!(allowed.len(), PLAIN.len() + OLD.len() + 10, "a call is named twice");
        let mut refused = BTreeSet::new();
        for &call in HOSTILE.iter().chain(UNKNOWN) {
            assert!(refused.insert(call), "{call} is named twice");
            assert!(!allowed.contains(&call), "{call} is both allowed and refused");
        }
    }

    #[test]
    fn the_filters_fit_into_the_kernel() {
        let filter = SeccompFilter::new(
            allowed().unwrap(),
            SeccompAction::Errno(errno(libc::EPERM)),
            SeccompAction::Allow,
            architecture().unwrap(),
        );
        let program: BpfProgram = filter.unwrap().try_into().unwrap();
        // BPF_MAXINSNS of linux/bpf_common.h.
        assert!(program.len() < 4096, "{}", program.len());
    }
}
