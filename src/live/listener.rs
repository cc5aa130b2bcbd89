//! An interface, however its frames are taken.

use std::time::Duration;

#[cfg(feature = "libpcap")]
use super::PcapInterface;
#[cfg(target_os = "linux")]
use super::Ring;
use super::{CaptureKind, Choice, LiveError, RingOptions, RingStatistics};
use kaspector::capture::Frames;

/// An open interface of either kind.
#[derive(Debug)]
pub enum Listener {
    /// Linux: a packet ring.
    #[cfg(target_os = "linux")]
    Ring(Ring),
    /// libpcap.
    #[cfg(feature = "libpcap")]
    Pcap(PcapInterface),
}

impl Listener {
    /// Opens an interface.
    ///
    /// # Errors
    /// As [`Ring::open`] or [`PcapInterface::open`], or when this build lacks the kind.
    #[cfg_attr(not(all(target_os = "linux", feature = "libpcap")), allow(rustdoc::broken_intra_doc_links))]
    pub fn open(kind: CaptureKind, interface: &str, options: &RingOptions) -> Result<Self, LiveError> {
        match kind {
            #[cfg(target_os = "linux")]
            CaptureKind::Afpacket => Ring::open(interface, options).map(Self::Ring),
            #[cfg(feature = "libpcap")]
            CaptureKind::Pcap => PcapInterface::open(interface, options).map(Self::Pcap),
            #[cfg(not(all(target_os = "linux", feature = "libpcap")))]
            _ => {
                let _ = options;
                let instead = match kind {
                    CaptureKind::Afpacket => "packet rings are Linux's alone: take --capture pcap",
                    CaptureKind::Pcap => "build with `--features libpcap`",
                };
                Err(LiveError::Unsupported { interface: interface.to_owned(), kind, instead })
            }
        }
    }

    /// Waits at most `timeout` for frames and shows them to `read` where they lie. `None`: nothing came.
    ///
    /// # Errors
    /// When the interface fails for good; going down, or away, is no failure.
    pub fn with_block<T>(
        &mut self,
        timeout: Duration,
        read: impl FnOnce(Frames<'_>) -> T,
    ) -> Result<Option<T>, LiveError> {
        match *self {
            #[cfg(target_os = "linux")]
            Self::Ring(ref mut ring) => ring.with_block(timeout, read),
            #[cfg(feature = "libpcap")]
            Self::Pcap(ref mut interface) => interface.with_block(timeout, read),
        }
    }

    /// Keeps other frames from now on, or more or less of them. Frames that the kernel has taken already come as they were chosen then.
    pub fn choose(&mut self, choice: &Choice) {
        match *self {
            #[cfg(target_os = "linux")]
            Self::Ring(ref mut ring) => ring.choose(choice),
            #[cfg(feature = "libpcap")]
            Self::Pcap(ref mut interface) => interface.choose(choice),
        }
    }

    /// What happened since the interface was opened.
    ///
    /// # Errors
    /// When the kernel or libpcap does not say.
    pub fn statistics(&mut self) -> Result<RingStatistics, LiveError> {
        match *self {
            #[cfg(target_os = "linux")]
            Self::Ring(ref mut ring) => ring.statistics(),
            #[cfg(feature = "libpcap")]
            Self::Pcap(ref mut interface) => interface.statistics(),
        }
    }

    /// Whether the interface was last seen down or gone.
    #[must_use]
    pub fn link_is_down(&self) -> bool {
        match *self {
            #[cfg(target_os = "linux")]
            Self::Ring(ref ring) => ring.link_is_down(),
            #[cfg(feature = "libpcap")]
            Self::Pcap(ref interface) => interface.link_is_down(),
        }
    }
}
