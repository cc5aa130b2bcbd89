//! Live capture by libpcap, for systems that have no packet ring.

use std::thread;
use std::time::{Duration, Instant};

use pcap::{Active, Capture};

use super::{Choice, LiveError, RingOptions, RingStatistics};
use crate::Filter;
use kaspector::capture::{Block, Frames, LinkType, Record, Timestamp};

/// Frames that are taken at once, so that a flood does not keep the reader from its clock.
const FRAMES_MAX: usize = 4096;
/// Between two looks while nothing comes. libpcap's own waiting knows no bound on every system.
const PAUSE: Duration = Duration::from_millis(2);
/// Between two attempts to open an interface that went away.
const RETRY: Duration = Duration::from_secs(1);

/// An interface that libpcap reads. It copies frames, so [`super::Ring`] is faster where it exists.
pub struct PcapInterface {
    interface: String,
    options: RingOptions,
    /// `None` while the interface is gone.
    capture: Option<Capture<Active>>,
    block: Block,
    next_number: u64,
    tried: Instant,
    statistics: RingStatistics,
    /// What the open handle had counted when it was last asked; libpcap's counters are 32 bits wide and wrap.
    before: pcap::Stat,
}

impl std::fmt::Debug for PcapInterface {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PcapInterface").field("interface", &self.interface).finish_non_exhaustive()
    }
}

impl PcapInterface {
    /// Opens an interface with a buffer of the ring's size. `hardware_time` and `retire` mean as much as libpcap makes of them.
    ///
    /// # Errors
    /// When libpcap refuses, or the options ask for a fanout group, which libpcap has not.
    pub fn open(interface: &str, options: &RingOptions) -> Result<Self, LiveError> {
        if let Some(expression) = &options.filter {
            Filter::new(expression)?;
        }
        if options.fanout.is_some() {
            let what = "libpcap cannot share an interface between several workers: take one".to_owned();
            return Err(LiveError::Options { interface: interface.to_owned(), what });
        }
        if options.snaplen == 0 {
            let what = "a snap length of 0 keeps nothing: take at least 1".to_owned();
            return Err(LiveError::Options { interface: interface.to_owned(), what });
        }
        Ok(Self {
            interface: interface.to_owned(),
            options: options.clone(),
            capture: Some(activate(interface, options)?),
            block: Block::default(),
            next_number: 1,
            tried: Instant::now(),
            statistics: RingStatistics::default(),
            before: NOTHING,
        })
    }

    /// Waits at most `timeout` for frames and shows them to `read`; numbered on from the last. `None`: nothing came. An interface that
    /// went away is opened anew when it is there again.
    ///
    /// # Errors
    /// None today: what libpcap cannot read is taken for an interface that is gone.
    pub fn with_block<T>(
        &mut self,
        timeout: Duration,
        read: impl FnOnce(Frames<'_>) -> T,
    ) -> Result<Option<T>, LiveError> {
        let deadline = Instant::now() + timeout;
        loop {
            self.fill();
            if !self.block.records.is_empty() {
                self.next_number += self.block.records.len() as u64;
                return Ok(Some(read(self.block.view())));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.open_anew();
                return Ok(None);
            }
            thread::sleep(PAUSE.min(left));
        }
    }

    /// Keeps other frames from now on, or more or less of them. A larger snap length takes a new handle: what comes between the two is
    /// missed.
    pub fn choose(&mut self, Choice { filter, snaplen }: &Choice) {
        let grows = *snaplen > self.options.snaplen;
        (self.options.filter, self.options.snaplen) = (filter.clone(), *snaplen);
        if grows && self.capture.is_some() {
            // What it counted until now. If the interface cannot be opened again, that is tried until it can.
            let _ = self.statistics();
            self.capture = activate(&self.interface, &self.options).ok();
            self.before = NOTHING;
        } else if let Some(capture) = &mut self.capture {
            // An empty expression chooses everything.
            let _ = capture.filter(filter.as_deref().unwrap_or_default(), true);
        }
    }

    /// What happened since the interface was opened. Drops are those of libpcap's buffer.
    ///
    /// # Errors
    /// None today: a handle that does not say is taken for an interface that is gone.
    pub fn statistics(&mut self) -> Result<RingStatistics, LiveError> {
        match self.capture.as_mut().map(Capture::stats) {
            None => {}
            Some(Ok(now)) => {
                let dropped = now.dropped.wrapping_sub(self.before.dropped);
                let received = now.received.wrapping_sub(self.before.received);
                self.statistics.drops += u64::from(dropped);
                // On Linux and the BSDs, what was dropped is among what was received.
                self.statistics.packets += u64::from(received.saturating_sub(dropped));
                self.before = now;
            }
            Some(Err(_)) => {
                self.capture = None;
                self.tried = Instant::now();
            }
        }
        Ok(self.statistics)
    }

    /// Whether the interface was last seen gone.
    #[must_use]
    pub fn link_is_down(&self) -> bool {
        self.capture.is_none()
    }

    /// Moves what libpcap holds into the block.
    fn fill(&mut self) {
        let Self { block, capture, options, .. } = self;
        block.bytes.clear();
        block.records.clear();
        block.first_number = self.next_number;
        let Some(open) = capture else { return };
        let link_type = LinkType(u16::try_from(open.get_datalink().0).unwrap_or(u16::MAX));
        let taken = open.dispatch(Some(FRAMES_MAX), |packet| {
            let (start, bytes) =
                (block.bytes.len(), packet.data.get(..options.snaplen as usize).unwrap_or(packet.data));
            // At most `FRAMES_MAX` frames of 256 KiB, libpcap's largest: an offset fits.
            let (Ok(start), Ok(len)) = (u32::try_from(start), u32::try_from(bytes.len())) else { return };
            block.bytes.extend_from_slice(bytes);
            let wire_len = packet.header.len;
            block.records.push(Record { at: time(packet.header), start, len, wire_len, link_type });
        });
        if taken.is_err() {
            // What it counted until now; a handle that fails may not say.
            let _ = self.statistics();
            self.capture = None;
            self.tried = Instant::now();
        }
    }

    fn open_anew(&mut self) {
        if self.capture.is_some() || self.tried.elapsed() < RETRY {
            return;
        }
        self.tried = Instant::now();
        if let Ok(capture) = activate(&self.interface, &self.options) {
            self.capture = Some(capture);
            self.before = NOTHING;
            self.statistics.reopened += 1;
        }
    }
}

/// What a fresh handle has counted.
const NOTHING: pcap::Stat = pcap::Stat { received: 0, dropped: 0, if_dropped: 0 };

fn activate(interface: &str, options: &RingOptions) -> Result<Capture<Active>, LiveError> {
    let bytes = u64::from(options.block_bytes) * u64::from(options.blocks);
    let capture = Capture::from_device(interface)
        .map_err(|cause| failed(interface, "open it", &cause))?
        .promisc(options.promiscuous)
        .snaplen(i32::try_from(options.snaplen).unwrap_or(i32::MAX).min(256 << 10))
        .buffer_size(i32::try_from(bytes).unwrap_or(i32::MAX))
        .timeout(i32::try_from(options.retire.as_millis()).unwrap_or(i32::MAX).max(1));
    #[cfg(target_os = "linux")]
    let capture = capture.precision(pcap::Precision::Nano);
    let mut capture = capture
        .open()
        .and_then(Capture::setnonblock)
        .map_err(|cause| failed(interface, "capture from it with libpcap", &cause))?;
    if let Some(expression) = &options.filter {
        // An expression without meaning for this link type chooses nothing; the filter behind the capture sees to that.
        let _ = capture.filter(expression, true);
    }
    Ok(capture)
}

fn time(header: &pcap::PacketHeader) -> Timestamp {
    // Asked for nanoseconds on Linux; elsewhere they are what libpcap gives unasked.
    let scale = if cfg!(target_os = "linux") { 1 } else { 1000 };
    let seconds = u64::try_from(header.ts.tv_sec).unwrap_or(0);
    let fraction = u64::try_from(header.ts.tv_usec).unwrap_or(0);
    Timestamp(seconds.saturating_mul(1_000_000_000).saturating_add(fraction.saturating_mul(scale)))
}

fn failed(interface: &str, doing: &'static str, cause: &pcap::Error) -> LiveError {
    LiveError::Pcap { interface: interface.to_owned(), doing, cause: cause.to_string() }
}
