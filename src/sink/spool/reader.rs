//! The reading end of a spool: one for each output, none waits for another.

use super::super::{Message, Weight};
use super::record::RecordStream;
use super::{Segment, Shared, WEIGHTS};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Messages in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The messages.
    pub messages: Vec<Arc<Message>>,
    /// Sequence number of the last one, for [`Reader::taken`].
    pub last: u64,
}

/// Hands messages to one output, each once for each run.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    taker: usize,
    cursors: [Cursor; 3],
    handed: u64,
}

/// Where a reader stands in one lane.
#[derive(Debug, Default)]
struct Cursor {
    /// First sequence number of the segment that is being read, and how far.
    segment: Option<(u64, File)>,
    offset: u64,
    stream: RecordStream,
    head: Option<Head>,
    /// First sequence number of the last segment that is done with.
    passed: Option<u64>,
    lost: u64,
}

#[derive(Debug)]
struct Head {
    sequence: u64,
    message: Arc<Message>,
    is_from_memory: bool,
}

/// What to do next for one lane, found out while the state is locked.
enum Step {
    Read {
        until: u64,
    },
    Open {
        first: u64,
        path: std::path::PathBuf,
    },
    /// The segment will not grow: what is left of it is damage.
    Finish,
    Restart,
    Found(Head),
    Nothing,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, taker: usize) -> Self {
        let handed = shared.state().takers.get(taker).map_or(0, |taker| taker.handed);
        Self { shared, taker, cursors: Default::default(), handed }
    }

    /// The next messages: at most `max` of them, and not many more than `max_bytes`. Empty when there are none.
    pub fn next_batch(&mut self, max: usize, max_bytes: usize) -> Batch {
        // Everything up to here is in some lane. What comes while the lanes are read could be overtaken by later ones.
        let horizon = self.shared.state().last;
        let takes_stats = self.shared.state().takers.get(self.taker).is_some_and(|taker| taker.takes_stats);
        for cursor in &mut self.cursors {
            // It may have been given up, or moved to disk.
            cursor.head.take_if(|head| head.is_from_memory);
        }
        let mut batch = Batch { last: self.handed, ..Batch::default() };
        let mut bytes = 0;
        while batch.messages.len() < max && bytes < max_bytes {
            for weight in WEIGHTS.into_iter().filter(|&weight| takes_stats || weight != Weight::Stats) {
                self.fill(weight);
            }
            let next = self
                .cursors
                .iter_mut()
                .filter(|cursor| cursor.head.as_ref().is_some_and(|head| head.sequence <= horizon))
                .min_by_key(|cursor| cursor.head.as_ref().map(|head| head.sequence));
            let Some(head) = next.and_then(|cursor| cursor.head.take()) else { break };
            bytes += head.message.line.len();
            self.handed = head.sequence;
            batch.last = head.sequence;
            batch.messages.push(head.message);
        }
        let mut state = self.shared.state();
        if let Some(taker) = state.takers.get_mut(self.taker) {
            taker.handed = self.handed;
            taker.lost += self.cursors.iter_mut().map(Cursor::take_lost).sum::<u64>();
        }
        batch
    }

    /// The other side has acknowledged everything up to this number.
    pub fn taken(&self, last: u64) {
        if let Some(taker) = self.shared.state().takers.get_mut(self.taker) {
            taker.taken = taker.taken.max(last);
        }
    }

    /// Messages of this output that were given up or could not be read.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.state().takers.get(self.taker).map_or(0, |taker| taker.lost)
    }

    /// Bytes on disk, of all outputs together.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.shared.state().disk_bytes
    }

    /// Changes with every message that is appended.
    #[must_use]
    pub fn news(&self) -> tokio::sync::watch::Receiver<u64> {
        self.shared.last.subscribe()
    }

    /// Whether nothing will be appended any more, and all there is was handed out.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.shared.state().is_final && self.is_caught_up()
    }

    /// Whether everything appended so far was handed out and acknowledged.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        let state = self.shared.state();
        let Some(taker) = state.takers.get(self.taker) else { return true };
        WEIGHTS.into_iter().filter(|&weight| taker.wants(weight)).all(|weight| {
            let lane = state.lane(weight);
            let last = lane.held.back().map(|&(sequence, _)| sequence);
            last.or(lane.segments.back().map(|segment| segment.last)).is_none_or(|last| last <= taker.taken)
        })
    }

    /// Finds the first message of a lane that was not handed out.
    fn fill(&mut self, weight: Weight) {
        let handed = self.handed;
        let Some(cursor) = self.cursors.get_mut(weight as usize) else { return };
        if cursor.is_given_up(&self.shared, weight) {
            cursor.pass();
        }
        while cursor.head.is_none() {
            match cursor.step(&self.shared, weight, handed) {
                Step::Found(head) => cursor.head = Some(head),
                Step::Nothing => return,
                Step::Restart => cursor.pass(),
                Step::Open { first, path } => match File::open(&path) {
                    Ok(file) => cursor.segment = Some((first, file)),
                    Err(error) => {
                        tracing::warn!("spool: {}: {error}; its messages cannot be delivered now", path.display());
                        return;
                    }
                },
                Step::Read { until } => cursor.read(until),
                Step::Finish => {
                    cursor.head = cursor.next_record(handed, true);
                    if cursor.head.is_none() {
                        cursor.pass();
                    }
                }
            }
        }
    }
}

impl Cursor {
    fn is_given_up(&self, shared: &Shared, weight: Weight) -> bool {
        let Some((current, _)) = &self.segment else { return false };
        !shared.state().lane(weight).segments.iter().any(|segment| segment.first == *current)
    }

    fn next_record(&mut self, handed: u64, ended: bool) -> Option<Head> {
        loop {
            let record = self.stream.next(ended)?;
            if record.sequence > handed {
                let message = Arc::new(record.message);
                return Some(Head { sequence: record.sequence, message, is_from_memory: false });
            }
        }
    }

    fn step(&mut self, shared: &Shared, weight: Weight, handed: u64) -> Step {
        if let Some(head) = self.next_record(handed, false) {
            return Step::Found(head);
        }
        let state = shared.state();
        let lane = state.lane(weight);
        if let Some((current, _)) = &self.segment {
            let Some(segment) = lane.segments.iter().find(|segment| segment.first == *current) else {
                return Step::Restart;
            };
            if self.offset < segment.written {
                return Step::Read { until: segment.written };
            }
            if segment.is_closed {
                return Step::Finish;
            }
        } else if let Some(segment) = lane.segments.iter().find(|segment| self.is_ahead(segment, handed)) {
            return Step::Open { first: segment.first, path: segment.path.clone() };
        }
        let held = lane.held.iter().find(|&&(sequence, _)| sequence > handed);
        held.map_or(Step::Nothing, |(sequence, message)| {
            Step::Found(Head { sequence: *sequence, message: Arc::clone(message), is_from_memory: true })
        })
    }

    fn read(&mut self, until: u64) {
        let Some((_, file)) = &self.segment else { return };
        let wanted = usize::try_from(until - self.offset).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; wanted];
        match file.read_at(&mut chunk, self.offset) {
            Ok(count) if count > 0 => {
                self.stream.feed(chunk.get(..count).unwrap_or_default());
                self.offset += count as u64;
            }
            // The file is shorter than it was, or the disk fails: the rest of it is damage.
            _ => self.offset = until,
        }
    }

    fn is_ahead(&self, segment: &Segment, handed: u64) -> bool {
        segment.last > handed && self.passed.is_none_or(|passed| segment.first > passed)
    }

    /// Is done with the segment.
    fn pass(&mut self) {
        let lost = self.take_lost();
        let passed = self.segment.take().map(|(first, _)| first).or(self.passed);
        *self = Self { passed, lost, ..Self::default() };
    }

    fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost) + self.stream.take_lost()
    }
}

const CHUNK: usize = 256 << 10;
