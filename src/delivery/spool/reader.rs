//! The reading end of a spool: one for each output, none waits for another.

use super::super::{Message, Weight};
use super::account::{Account, Loss};
use super::record::{Place, RecordStream};
use super::state::{Segment, State, TakerState};
use super::{ByWeight, Shared, WEIGHTS, look};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Messages in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The messages.
    pub messages: Vec<Arc<Message>>,
    /// Sequence number of the last one, for [`Reader::taken`].
    pub last: u64,
    /// When the first of them came, in milliseconds since 1970.
    pub since_ms: u64,
}

/// Hands messages to one output, each once for each run.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    taker: usize,
    /// Another reader may have taken its place, when the output was removed and came back.
    id: u64,
    account: Arc<Account>,
    cursors: ByWeight<Cursor>,
    /// Sequence number of the last message that was handed out.
    handed: u64,
}

/// Where a reader stands among the messages of one weight.
#[derive(Debug, Default)]
struct Cursor {
    /// The first number of the segment that is being read, and how far.
    segment: Option<(u64, File)>,
    offset: u64,
    stream: RecordStream,
    head: Option<Head>,
    /// The first number of the last segment that is done with.
    passed: Option<u64>,
    /// An error that the log has.
    told: Option<String>,
}

#[derive(Debug)]
struct Head {
    place: Place,
    message: Arc<Message>,
    /// The segment that it is from; `None`: memory.
    segment: Option<u64>,
}

/// What to do next for one weight, found out while the state is locked.
enum Step {
    Read {
        until: u64,
    },
    Open {
        first: u64,
        path: PathBuf,
    },
    /// The segment will not grow: what is left of it is damage.
    Finish,
    Restart,
    Found(Head),
    Nothing,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, taker: usize) -> Self {
        let (id, account) = shared.state().takers.get_mut(taker).map_or_else(Default::default, |taker| {
            taker.reader += 1;
            (taker.reader, Arc::clone(&taker.account))
        });
        Self { shared, taker, id, account, cursors: ByWeight::default(), handed: 0 }
    }

    /// The next messages: at most `max` of them, and not many more than `max_bytes`. Empty when there are none.
    pub fn next_batch(&mut self, max: usize, max_bytes: usize) -> Batch {
        // Everything up to here is in some row. What comes while the rows are read could be overtaken by later ones.
        let horizon = self.shared.state().last;
        let lightest = self.with_taker(|taker| taker.lightest).unwrap_or(Weight::Finding);
        for cursor in self.cursors.iter_mut() {
            // It may have been dropped, or moved to disk.
            cursor.head.take_if(|head| head.segment.is_none());
        }
        let mut batch = Batch { last: self.handed, ..Batch::default() };
        let mut bytes = 0;
        while batch.messages.len() < max && bytes < max_bytes {
            for weight in WEIGHTS.into_iter().filter(|&weight| weight >= lightest) {
                self.fill(weight);
            }
            let next = self
                .cursors
                .iter_mut()
                .filter(|cursor| cursor.head.as_ref().is_some_and(|head| head.place.sequence <= horizon))
                .min_by_key(|cursor| cursor.head.as_ref().map(|head| head.place.sequence));
            let Some(Head { place, message, segment }) = next.and_then(|cursor| cursor.head.take()) else { break };
            if !self.claim(message.weight, place.number, segment) {
                continue;
            }
            bytes += message.line.len();
            self.handed = place.sequence;
            batch.last = place.sequence;
            if batch.messages.is_empty() {
                batch.since_ms = place.at_ms;
            }
            batch.messages.push(message);
        }
        if !batch.messages.is_empty() {
            self.account.set_in_hand(&batch.messages);
            self.with_taker(|taker| taker.mark(batch.last));
        }
        batch
    }

    /// Everything up to this number was delivered, but the other side may ask for it again.
    pub fn delivered(&self, last: u64) {
        self.with_taker(|taker| taker.deliver(last));
    }

    /// The other side has acknowledged everything up to this number.
    pub fn taken(&self, last: u64) {
        self.with_taker(|taker| taker.take(last));
    }

    /// What was lost and what waits.
    pub(crate) const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Messages of this output that were dropped or could not be read.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.account.lost().iter().map(|lost| lost.alerts + lost.counters).sum()
    }

    /// Changes with every message that is appended.
    #[must_use]
    pub fn news(&self) -> tokio::sync::watch::Receiver<u64> {
        self.shared.last.subscribe()
    }

    /// Whether nothing will be appended any more, and all there is was handed out.
    #[must_use]
    pub fn is_final(&self) -> bool {
        let state = self.shared.state();
        state.is_final && state.takers.get(self.taker).is_none_or(|taker| state.is_taken(taker))
    }

    /// Whether everything appended so far was handed out and acknowledged, or was lost.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        let state = self.shared.state();
        state.takers.get(self.taker).is_none_or(|taker| state.is_taken(taker))
    }

    /// `None` when another reader has taken this one's place.
    fn with_taker<T>(&self, look: impl FnOnce(&mut TakerState) -> T) -> Option<T> {
        self.shared.state().takers.get_mut(self.taker).filter(|taker| taker.reader == self.id).map(look)
    }

    /// Whether a message is to be handed out: it is this output's next one of its weight. What is missing before it is lost.
    fn claim(&self, weight: Weight, number: u64, segment: Option<u64>) -> bool {
        let mut state = self.shared.state();
        let state = &mut *state;
        let Some(taker) = state.takers.get(self.taker).filter(|taker| taker.reader == self.id) else { return false };
        let gap = taker.rows.of(weight).passed + 1..number;
        if !gap.is_empty() {
            lose_gap(state, weight, segment, gap);
        }
        state.takers.get_mut(self.taker).is_some_and(|taker| taker.claim(weight, number))
    }

    /// Finds the first message of a weight that was not handed out.
    fn fill(&mut self, weight: Weight) {
        let Some(passed) = self.with_taker(|taker| taker.rows.of(weight).passed) else { return };
        let cursor = self.cursors.of_mut(weight);
        let shared = &*self.shared;
        if cursor.is_given_up(shared, weight) {
            cursor.pass();
        }
        while cursor.head.is_none() {
            match cursor.step(shared, weight, passed) {
                Step::Found(head) => cursor.head = Some(head),
                Step::Nothing => return,
                Step::Restart => cursor.pass(),
                Step::Open { first, path } => match look::open(&path) {
                    Ok(file) => cursor.segment = Some((first, file)),
                    // Whatever is wrong with it now may not be soon: there are too many open files, or the folder was moved.
                    Err(error) if look::is_passing(&error) || !shared.is_in_place() => {
                        cursor.wait(format!("spool: {}: {error}; it is tried again", path.display()));
                        return;
                    }
                    Err(error) => {
                        let (loss, why) = reason(&error);
                        lose_rest(&mut shared.state(), weight, first, 0, loss, &why);
                        cursor.passed = Some(first);
                    }
                },
                Step::Read { until } => {
                    if let Err(error) = cursor.read(until)
                        && let Some((first, _)) = cursor.segment
                    {
                        lose_rest(
                            &mut shared.state(),
                            weight,
                            first,
                            passed + 1,
                            Loss::SegmentUnreadable,
                            &error.to_string(),
                        );
                        cursor.pass();
                    }
                }
                Step::Finish => {
                    cursor.head = cursor.next_record(passed, true);
                    if let (None, Some((first, _))) = (&cursor.head, &cursor.segment) {
                        lose_rest(
                            &mut shared.state(),
                            weight,
                            *first,
                            passed + 1,
                            Loss::SegmentDamaged,
                            "it is damaged",
                        );
                        cursor.pass();
                    }
                }
            }
        }
    }
}

/// Why a segment cannot be opened.
fn reason(error: &io::Error) -> (Loss, String) {
    if error.kind() == io::ErrorKind::NotFound {
        (Loss::SegmentGone, "it was removed".to_owned())
    } else {
        (Loss::SegmentUnreadable, error.to_string())
    }
}

/// Counts as lost what is left of a segment from a number on.
fn lose_rest(state: &mut State, weight: Weight, first: u64, from: u64, loss: Loss, why: &str) {
    let segment = state.rows.of(weight).segments.iter().find(|segment| segment.first == first);
    if let Some(range) = segment.map(|segment| from.max(first)..segment.end).filter(|range| !range.is_empty()) {
        state.lose_of_segment(weight, first, &[range], loss, why);
    }
}

/// Counts as lost what is missing before a message.
fn lose_gap(state: &mut State, weight: Weight, segment: Option<u64>, gap: std::ops::Range<u64>) {
    if let Some(first) = segment
        && gap.end > first
    {
        let inside = std::slice::from_ref(&gap);
        state.lose_of_segment(weight, first, inside, Loss::SegmentDamaged, "it is damaged");
    }
    // What lies before the segment was counted when it was found to be missing.
    state.lose(weight, &gap, Loss::SegmentGone);
}

impl Cursor {
    fn is_given_up(&self, shared: &Shared, weight: Weight) -> bool {
        let Some((current, _)) = &self.segment else { return false };
        let state = shared.state();
        !state.rows.of(weight).segments.iter().any(|segment| segment.first == *current && !segment.is_lost)
    }

    fn next_record(&mut self, passed: u64, ended: bool) -> Option<Head> {
        let segment = self.segment.as_ref().map(|(first, _)| *first);
        loop {
            let record = self.stream.next(ended)?;
            if record.place.number > passed {
                return Some(Head { place: record.place, message: Arc::new(record.message), segment });
            }
        }
    }

    fn step(&mut self, shared: &Shared, weight: Weight, passed: u64) -> Step {
        if let Some(head) = self.next_record(passed, false) {
            return Step::Found(head);
        }
        let state = shared.state();
        let row = state.rows.of(weight);
        if let Some((current, _)) = &self.segment {
            let Some(segment) = row.segments.iter().find(|segment| segment.first == *current && !segment.is_lost)
            else {
                return Step::Restart;
            };
            if self.offset < segment.written {
                return Step::Read { until: segment.written };
            }
            if segment.is_closed {
                return Step::Finish;
            }
        } else if let Some(segment) = row.segments.iter().find(|segment| self.is_ahead(segment, passed)) {
            return Step::Open { first: segment.first, path: segment.path.clone() };
        }
        let held = row.held.iter().find(|(place, _)| place.number > passed);
        held.map_or(Step::Nothing, |(place, message)| {
            Step::Found(Head { place: *place, message: Arc::clone(message), segment: None })
        })
    }

    /// # Errors
    /// When the disk fails, or it is not a file.
    fn read(&mut self, until: u64) -> io::Result<()> {
        let Some((_, file)) = &self.segment else { return Ok(()) };
        let wanted = usize::try_from(until - self.offset).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; wanted];
        match file.read_at(&mut chunk, self.offset) {
            Ok(0) => {
                // The file is shorter than it was: the rest of it is damage.
                self.offset = until;
                Ok(())
            }
            Ok(count) => {
                self.stream.feed(chunk.get(..count).unwrap_or_default());
                self.offset += count as u64;
                Ok(())
            }
            Err(error) if look::is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn is_ahead(&self, segment: &Segment, passed: u64) -> bool {
        !segment.is_lost && segment.end > passed + 1 && self.passed.is_none_or(|done| segment.first > done)
    }

    /// Says once why it has to wait.
    fn wait(&mut self, why: String) {
        if self.told.as_ref() != Some(&why) {
            tracing::warn!("{why}");
            self.told = Some(why);
        }
    }

    /// Is done with the segment.
    fn pass(&mut self) {
        let passed = self.segment.take().map(|(first, _)| first).or(self.passed);
        *self = Self { passed, told: self.told.take(), ..Self::default() };
    }
}

const CHUNK: usize = 256 << 10;
