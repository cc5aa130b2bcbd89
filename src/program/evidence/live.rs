//! The evidence of a sensor: a thread that looks among the latest packets for those of a host, and writes what proves its findings.

use super::captures::HeldFrame;
use super::kept_frames::{CHUNK_AGE, KeptFrames};
use super::{Captures, EvidenceError, EvidenceFolder, EvidenceOptions, keep};
use crate::process::output_file::{Claims, OutputFileError};
use crate::process::panics::survive;
use kaspector::decode::TunnelPorts;
use kaspector::matching::{EvidenceLine, HostFinding, HostKey, SignatureSet};
use kaspector_report::{InputReport, ScanReport};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long what is in the folder is taken for known: to count it takes a look at each file.
const COUNTED_FOR: Duration = Duration::from_secs(60);
/// Jobs that wait.
const JOBS_MAX: usize = 512;
/// How often is looked for packets: each time, all that are kept are gone through.
const LOOK: Duration = Duration::from_millis(250);
/// How long after it was asked for a host is looked for: by then its packets are put up.
const SETTLED: Duration = CHUNK_AGE.saturating_mul(3);
/// Hosts whose packets are gathered at a time, and bytes of these packets.
const GATHERED_MAX: usize = 256;
const GATHERED_BYTES: usize = 16 << 20;
/// Packets that are looked through for what proves something of one host, and their bytes.
const PACKETS_EACH: usize = 2048;
const BYTES_EACH: usize = 1 << 20;
/// What the description of a host takes beside its packets, at most for nearly all.
const DESCRIPTION_BYTES: u64 = 64 << 10;
/// How far the times of a packet and of what it shows may lie apart: the numbers of packets begin anew with each start.
const SAME_NS: u64 = 1_000_000_000;

/// Where evidence is kept, and how much.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// The folder.
    pub folder: PathBuf,
    /// Of each host.
    pub each: EvidenceOptions,
    /// Bytes of all that is in the folder, above which nothing is added.
    pub total_bytes: u64,
    /// The filter that chose the packets.
    pub filter: Option<String>,
}

/// An interface, and its latest packets.
#[derive(Debug)]
pub struct KeptInterface {
    /// Its name.
    pub name: String,
    /// What is part of the identifiers of its alerts.
    pub digest: [u8; 32],
    /// By ring.
    pub rings: Vec<Arc<KeptFrames>>,
}

/// What became of findings.
#[derive(Debug, Default)]
pub struct EvidenceCounts {
    /// Captures that were written.
    pub kept: AtomicU64,
    /// Of these, those that by themselves show less than was found.
    pub partial: AtomicU64,
    /// Findings whose packets were gone, or that came too fast.
    pub missed: AtomicU64,
    /// Findings for which the folder had no room.
    pub no_room: AtomicU64,
    /// Findings that could not be written.
    pub failed: AtomicU64,
    /// Bytes in the folder.
    pub used_bytes: AtomicU64,
}

impl EvidenceCounts {
    /// Each under its name.
    #[must_use]
    pub fn by_result(&self) -> Vec<(&'static str, u64)> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let partial = read(&self.partial);
        vec![
            ("kept", read(&self.kept).saturating_sub(partial)),
            ("partial", partial),
            ("missed", read(&self.missed)),
            ("no_room", read(&self.no_room)),
            ("failed", read(&self.failed)),
        ]
    }

    fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// What the thread is asked for.
enum Job {
    /// This host shows something: have its packets before they are gone.
    Look(HostKey),
    /// This is what was found of it.
    Keep(Box<HostFinding>, Arc<SignatureSet>),
}

/// The thread, as those see it who ask it for something. They never wait for it.
#[derive(Debug)]
pub struct LiveEvidence {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
    counts: Arc<EvidenceCounts>,
}

impl LiveEvidence {
    /// Makes the folder if it is not there, and looks that it can be written.
    ///
    /// # Errors
    /// [`OutputFileError`] says what is wrong with it.
    pub fn check(folder: &Path) -> Result<(), OutputFileError> {
        // What was begun goes with the value.
        EvidenceFolder::open(folder, &Claims::default(), false).map(drop)?;
        if !folder.exists() {
            std::fs::create_dir(folder).map_err(|cause| OutputFileError::closed(folder, cause))?;
        }
        Ok(())
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn start(
        options: LiveOptions,
        interfaces: Vec<KeptInterface>,
        ports: &Arc<TunnelPorts>,
        counts: &Arc<EvidenceCounts>,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(JOBS_MAX);
        let mut keeper = Keeper {
            options,
            interfaces,
            ports: Arc::clone(ports),
            counts: Arc::clone(counts),
            fresh: HashMap::new(),
            gathered: HashMap::new(),
            bytes: 0,
            has_failed: false,
            last_run: None,
            used: 0,
            counted: None,
        };
        let builder = std::thread::Builder::new().name("evidence".to_owned());
        let thread = builder.spawn(move || keeper.run(&waiting))?;
        Ok(Self { jobs, thread, counts: Arc::clone(counts) })
    }

    /// Has the packets of a host looked for. Says whether there is room for that.
    pub fn look(&self, host: HostKey) -> bool {
        self.jobs.try_send(Job::Look(host)).is_ok()
    }

    /// Has the evidence of a finding written.
    pub fn keep(&self, finding: HostFinding, signatures: &Arc<SignatureSet>) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.jobs.try_send(Job::Keep(Box::new(finding), Arc::clone(signatures)))
        {
            EvidenceCounts::add(&self.counts.missed, 1);
        }
    }

    /// Waits until all is written.
    pub fn close(self) {
        drop(self.jobs);
        _ = self.thread.join();
    }
}

/// The packets of a host.
#[derive(Debug, Default)]
struct Gathered {
    packets: BTreeMap<(u32, u64), HeldFrame>,
    bytes: usize,
}

struct Keeper {
    options: LiveOptions,
    interfaces: Vec<KeptInterface>,
    ports: Arc<TunnelPorts>,
    counts: Arc<EvidenceCounts>,
    /// Hosts to look for, and since when.
    fresh: HashMap<HostKey, Instant>,
    gathered: HashMap<HostKey, Gathered>,
    bytes: usize,
    /// Whether the last attempt to write failed; said once.
    has_failed: bool,
    /// The last run that was added to the folder.
    last_run: Option<u64>,
    /// Bytes in the folder, and when they were counted.
    used: u64,
    counted: Option<Instant>,
}

impl Keeper {
    fn run(&mut self, jobs: &Receiver<Job>) {
        let mut findings: Vec<(Box<HostFinding>, Arc<SignatureSet>)> = Vec::new();
        let mut next = Instant::now() + LOOK;
        loop {
            let mut is_last = false;
            match jobs.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Job::Look(host)) => {
                    self.fresh.entry(host).or_insert_with(Instant::now);
                }
                Ok(Job::Keep(finding, signatures)) => {
                    self.fresh.insert(finding.host, Instant::now());
                    findings.push((finding, signatures));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_last = true,
            }
            if !is_last && Instant::now() < next {
                continue;
            }
            next = Instant::now() + LOOK;
            self.gather(is_last);
            // What is still to be looked for waits for the next time.
            let is_ready = |finding: &HostFinding| !self.fresh.contains_key(&finding.host);
            let (ready, waiting) = findings.into_iter().partition(|(finding, _)| is_ready(finding));
            findings = waiting;
            self.write(ready);
            if is_last {
                return;
            }
        }
    }

    /// Looks for the packets of the hosts that were asked for long enough ago.
    fn gather(&mut self, all: bool) {
        let wanted: HashSet<HostKey> =
            self.fresh.iter().filter(|(_, since)| all || since.elapsed() >= SETTLED).map(|(host, _)| *host).collect();
        if wanted.is_empty() {
            return;
        }
        self.fresh.retain(|host, _| !wanted.contains(host));
        for (interface, kept) in (0..).zip(&self.interfaces) {
            for ring in &kept.rings {
                for chunk in ring.chunks().iter().rev() {
                    for (packet, bytes) in chunk.latest_first() {
                        let (tuple, zone) = packet.flow.endpoints();
                        for address in [tuple.src, tuple.dst] {
                            let host = HostKey { address, zone };
                            if !wanted.contains(&host) {
                                continue;
                            }
                            if self.gathered.len() >= GATHERED_MAX && !self.gathered.contains_key(&host) {
                                continue;
                            }
                            let of_host = self.gathered.entry(host).or_default();
                            let has_room = of_host.packets.len() < PACKETS_EACH
                                && of_host.bytes + bytes.len() <= BYTES_EACH
                                && self.bytes + bytes.len() <= GATHERED_BYTES;
                            if has_room && let Entry::Vacant(place) = of_host.packets.entry((interface, packet.number))
                            {
                                let (at, link_type, wire_len) = (packet.at, packet.link_type, packet.wire_len);
                                let bytes = bytes.to_vec();
                                of_host.bytes += bytes.len();
                                self.bytes += bytes.len();
                                place.insert(HeldFrame { number: packet.number, at, link_type, wire_len, bytes });
                            }
                        }
                    }
                }
            }
        }
    }

    /// Writes the evidence of these findings, those of one signature set together.
    fn write(&mut self, mut findings: Vec<(Box<HostFinding>, Arc<SignatureSet>)>) {
        while let Some((_, signatures)) = findings.first() {
            let signatures = Arc::clone(signatures);
            let (together, rest) = findings.into_iter().partition(|(_, other)| Arc::ptr_eq(other, &signatures));
            findings = rest;
            self.write_together(together, &signatures);
        }
    }

    fn write_together(&mut self, findings: Vec<(Box<HostFinding>, Arc<SignatureSet>)>, signatures: &Arc<SignatureSet>) {
        let mut room = self.room();
        let (mut frames, mut hosts) = (BTreeMap::<u32, Vec<HeldFrame>>::new(), Vec::new());
        for (finding, _) in findings {
            let packets = self.gathered.remove(&finding.host).unwrap_or_default();
            self.bytes -= packets.bytes;
            let mut finding = *finding;
            let shown = |line: &EvidenceLine| {
                let packet = packets.packets.get(&(line.example.input, line.example.packet));
                packet.is_some_and(|packet| packet.at.0.abs_diff(line.first_seen.0) <= SAME_NS)
            };
            // What was found before stands in an earlier capture.
            finding.evidence.retain(shown);
            let most = DESCRIPTION_BYTES + (packets.bytes as u64).min(self.options.each.bytes);
            if finding.evidence.is_empty() {
                EvidenceCounts::add(&self.counts.missed, 1);
            } else if most > room {
                EvidenceCounts::add(&self.counts.no_room, 1);
                // Perhaps somebody makes room.
                self.counted = None;
            } else {
                room -= most;
                for ((interface, _), held) in packets.packets {
                    frames.entry(interface).or_default().push(held);
                }
                hosts.push(finding);
            }
        }
        if hosts.is_empty() {
            return;
        }
        hosts.sort_by_key(|finding| finding.host);
        let mut places = HashMap::new();
        for (&interface, held) in &mut frames {
            // Rings count by themselves, so only the time says what came first.
            held.sort_by_key(|held| (held.at, held.number));
            held.dedup_by_key(|held| held.number);
            places.extend((1_u64..).zip(&*held).map(|(place, held)| ((interface, held.number), place)));
        }
        for line in hosts.iter_mut().flat_map(|finding| &mut finding.evidence) {
            let number = line.example.packet;
            line.example.packet = places.get(&(line.example.input, number)).copied().unwrap_or(number);
        }
        let count = hosts.len();
        let named = |kept: &KeptInterface| InputReport {
            path: kept.name.clone(),
            digest: kept.digest,
            ..InputReport::default()
        };
        let inputs = self.interfaces.iter().map(named).collect();
        let report = ScanReport { inputs, hosts, ..ScanReport::default() };
        let captures = Captures::held(&frames, self.options.filter.as_deref(), &self.ports);
        let (folder, last_run) = (&self.options.folder, self.last_run);
        let written = survive(|| {
            let folder = EvidenceFolder::open_again(folder, last_run).map_err(EvidenceError::from)?;
            keep(folder, &self.options.each, &report, signatures, &captures)
        });
        match written {
            Ok(Ok(written)) => {
                EvidenceCounts::add(&self.counts.kept, written.captures);
                EvidenceCounts::add(&self.counts.partial, written.partial);
                (self.has_failed, self.last_run) = (false, Some(written.run));
                self.used = self.used.saturating_add(written.bytes);
                self.counts.used_bytes.store(self.used, Ordering::Relaxed);
            }
            Ok(Err(error)) => self.fail(count, &error.to_string()),
            Err(panic) => self.fail(count, &panic.to_string()),
        }
    }

    fn fail(&mut self, count: usize, why: &str) {
        (self.last_run, self.counted) = (None, None);
        EvidenceCounts::add(&self.counts.failed, count);
        if !std::mem::replace(&mut self.has_failed, true) {
            tracing::warn!("{why}; the evidence of {count} hosts was not kept");
        }
    }

    /// Bytes that may be added to the folder. Others may add to it, or take away, so it is counted now and then.
    fn room(&mut self) -> u64 {
        if self.counted.is_some_and(|at| at.elapsed() < COUNTED_FOR) {
            return self.options.total_bytes.saturating_sub(self.used);
        }
        let entries = self.options.folder.read_dir().into_iter().flatten().filter_map(Result::ok);
        let used = entries.filter_map(|entry| entry.metadata().ok()).filter(|file| file.is_file());
        let used = used.map(|file| file.len()).fold(0, u64::saturating_add);
        (self.used, self.counted) = (used, Some(Instant::now()));
        self.counts.used_bytes.store(used, Ordering::Relaxed);
        self.options.total_bytes.saturating_sub(used)
    }
}
