//! Why an interface cannot be listened to.

use super::CaptureKind;
use crate::FilterError;
use std::io;

/// Why an interface cannot be listened to, or no longer. The text names it and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The process may not open packet sockets.
    #[error(
        "{interface}: listening needs the capability CAP_NET_RAW, which is missing; \
         run as root, or once: sudo setcap cap_net_raw=ep $(command -v kaspector)"
    )]
    NotPermitted {
        /// As the user wrote it.
        interface: String,
    },
    /// No interface has this name.
    #[error("{interface}: no such interface; there are: {}", .present.join(", "))]
    NoSuchInterface {
        /// As the user wrote it.
        interface: String,
        /// The interfaces of this network namespace, sorted.
        present: Vec<String>,
    },
    /// Its frames begin with a header that this ring does not read.
    #[error(
        "{interface}: hardware type {hardware} (ARPHRD) is not read; choose an Ethernet, loopback, tunnel or PPP interface"
    )]
    LinkType {
        /// As the user wrote it.
        interface: String,
        /// `ARPHRD_` number of the kernel.
        hardware: u16,
    },
    /// A ring of such a shape cannot be.
    #[error("{interface}: {what}")]
    Options {
        /// As the user wrote it.
        interface: String,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// The filter of the options is none.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// This build or this system has no such capture.
    #[error("{interface}: this build has no {kind} capture; {instead}")]
    Unsupported {
        /// As the user wrote it.
        interface: String,
        /// What was asked for.
        kind: CaptureKind,
        /// What would do.
        instead: &'static str,
    },
    /// libpcap refuses.
    #[error("{interface}: cannot {doing}: {cause}")]
    Pcap {
        /// As the user wrote it.
        interface: String,
        /// What was asked of libpcap.
        doing: &'static str,
        /// What it says.
        cause: String,
    },
    /// The kernel refuses something else.
    #[error("{interface}: cannot {doing}: {cause}{}", advice(.cause))]
    System {
        /// As the user wrote it.
        interface: String,
        /// What was asked of the kernel.
        doing: &'static str,
        /// What it says.
        cause: io::Error,
    },
}

#[cfg(target_os = "linux")]
impl LiveError {
    /// Names the interfaces of the thread's own network namespace: `/sys` shows those of whoever mounted it.
    pub(super) fn no_such_interface(interface: &str) -> Self {
        let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
        let names = table.lines().filter_map(|line| line.split_once(':'));
        let mut present: Vec<String> = names.map(|(name, _)| name.trim().to_owned()).collect();
        present.sort();
        Self::NoSuchInterface { interface: interface.to_owned(), present }
    }
}

/// What to do about a refusal, where that is known.
fn advice(cause: &io::Error) -> &'static str {
    match cause.raw_os_error() {
        Some(libc::ENOMEM) => "; take fewer or smaller blocks",
        Some(libc::EAFNOSUPPORT) => "; this kernel has no packet sockets (CONFIG_PACKET)",
        _ => "",
    }
}
