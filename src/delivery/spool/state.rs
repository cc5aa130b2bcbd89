//! What writer and readers of a spool both see: which messages lie where, how far each output has come, and what it lost.

use super::super::{Message, Weight};
use super::account::{Account, Loss};
use super::checkpoint::{self, Progress};
use super::look::Stamp;
use super::numbers::{Numbers, Row};
use super::record::Place;
use super::{ByWeight, Ranges, Taker, WEIGHTS, Writer};
use std::collections::VecDeque;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[derive(Debug, Default)]
pub(super) struct State {
    pub rows: ByWeight<MessageRow>,
    pub takers: Vec<TakerState>,
    /// The last sequence number that was given.
    pub last: u64,
    pub disk_bytes: u64,
    pub held_bytes: usize,
    pub is_final: bool,
    /// Whether an output lost something that its checkpoint does not say yet.
    pub has_losses: bool,
    /// What was last found wrong with a segment, and when.
    damage: Option<(Instant, String)>,
}

/// The messages of one weight.
#[derive(Debug, Default)]
pub(super) struct MessageRow {
    pub segments: VecDeque<Segment>,
    /// Not on disk, and later than everything of the row that is.
    pub held: VecDeque<(Place, Arc<Message>)>,
    pub numbers: Row,
}

#[derive(Debug)]
pub(super) struct Segment {
    /// Number of its first record; names it.
    pub first: u64,
    /// Behind the number of its last one.
    pub end: u64,
    pub path: PathBuf,
    /// Bytes.
    pub written: u64,
    pub is_closed: bool,
    /// What the file was like when all its records could be read; `None`: nobody has looked.
    pub stamp: Option<Stamp>,
    /// Nothing of it can be read.
    pub is_lost: bool,
    /// The log knows that something is wrong with it.
    pub is_told: bool,
    /// An earlier run wrote it.
    pub is_from_before: bool,
}

#[derive(Debug)]
pub(super) struct TakerState {
    pub name: String,
    pub lightest: Weight,
    /// Nothing is kept for it any more.
    pub is_gone: bool,
    /// Which of its readers counts: the latest.
    pub reader: u64,
    pub rows: ByWeight<TakerRow>,
    /// Where batches ended that were handed out and not acknowledged: the sequence number, and the last number of each weight.
    marks: VecDeque<(u64, ByWeight<u64>)>,
    /// Changes of what a checkpoint says: how many there were, and how many the last one on disk knows.
    pub changes: u64,
    pub saved: Option<u64>,
    pub account: Arc<Account>,
}

/// How far an output has come with the messages of one weight. Each is the last number of which it is so.
#[derive(Debug, Default)]
pub(super) struct TakerRow {
    /// Handed out.
    pub passed: u64,
    /// Delivered, but the other side may ask for it again.
    delivered: u64,
    /// Done with for good: acknowledged by the other side, or counted as lost.
    pub progress: Progress,
}

/// How long damage stands as trouble.
const DAMAGE_SHOWN: Duration = Duration::from_secs(3600);

impl TakerState {
    pub const fn wants(&self, weight: Weight) -> bool {
        !self.is_gone && weight as u8 >= self.lightest as u8
    }

    /// What its checkpoint is to say.
    pub fn progress(&self) -> ByWeight<Progress> {
        self.rows.map(|row| row.progress.clone())
    }

    /// Counts a range of numbers as lost, as far as they were not handed out or counted before. Says how many those were.
    fn lose(&mut self, weight: Weight, range: &Range<u64>, loss: Loss) -> u64 {
        let row = self.rows.of_mut(weight);
        let count = row.progress.done.add(range.start.max(row.passed + 1)..range.end);
        if count > 0 {
            self.account.lose(loss, weight, count);
            self.changes += 1;
            row.absorb();
        }
        count
    }

    /// Notes that a batch ends here.
    pub fn mark(&mut self, last: u64) {
        self.marks.push_back((last, self.rows.map(|row| row.passed)));
    }

    /// Everything up to this sequence number was delivered.
    pub fn deliver(&mut self, last: u64) {
        if let Some((_, passed)) = self.marks.iter().take_while(|(sequence, _)| *sequence <= last).last() {
            for weight in WEIGHTS {
                let row = self.rows.of_mut(weight);
                row.delivered = row.delivered.max(*passed.of(weight));
            }
        }
    }

    /// Whether this number is still to be handed out. It is then, and what was passed over on the way counts as lost.
    pub fn claim(&mut self, weight: Weight, number: u64) -> bool {
        let row = self.rows.of_mut(weight);
        let is_due = number > row.passed && !row.progress.done.contains(number);
        if is_due {
            row.passed = number;
        }
        is_due
    }

    /// The other side has acknowledged everything up to this sequence number.
    pub fn take(&mut self, last: u64) {
        while let Some((_, passed)) = self.marks.pop_front_if(|(sequence, _)| *sequence <= last) {
            for weight in WEIGHTS {
                let row = self.rows.of_mut(weight);
                row.progress.taken = row.progress.taken.max(*passed.of(weight));
                row.absorb();
            }
            self.changes += 1;
        }
    }

    /// What was delivered of a range will not be asked for again, acknowledged or not: it is not there any more.
    fn settle(&mut self, weight: Weight, range: &Range<u64>) {
        let row = self.rows.of_mut(weight);
        let delivered = range.start.max(row.progress.taken + 1)..range.end.min(row.delivered + 1);
        self.changes += u64::from(row.progress.done.add(delivered) > 0);
        row.absorb();
    }

    /// Begins where a checkpoint says, but not before `floor`.
    fn begin(&mut self, progress: &ByWeight<Progress>, floor: &ByWeight<u64>) {
        self.marks.clear();
        for weight in WEIGHTS {
            let mut progress = progress.of(weight).clone();
            progress.taken = progress.taken.max(floor.of(weight).saturating_sub(1));
            progress.done.forget_below(progress.taken + 1);
            let mut row = TakerRow { passed: progress.taken, delivered: progress.taken, progress };
            row.absorb();
            *self.rows.of_mut(weight) = row;
        }
        self.changes += 1;
    }
}

impl TakerRow {
    /// Takes what was lost right behind what was taken for taken: nobody will ever acknowledge it.
    fn absorb(&mut self) {
        let Progress { taken, done } = &mut self.progress;
        while let Some(range) = done.take_from(*taken + 1) {
            *taken = (*taken).max(range.end - 1);
        }
        self.passed = self.passed.max(*taken);
        self.delivered = self.delivered.max(*taken);
    }

    /// How many of a range wait for the other side's acknowledgement.
    fn unacknowledged(&self, range: Range<u64>) -> u64 {
        let range = range.start.max(self.progress.taken + 1)..range.end;
        range.end.saturating_sub(range.start) - self.progress.done.count_in(&range)
    }
}

impl Segment {
    /// Whether all of it is up to the number `taken`, and nothing will be added.
    const fn is_passed(&self, taken: u64, also_open: bool) -> bool {
        self.end <= taken.saturating_add(1) && (self.is_closed || also_open)
    }
}

impl State {
    /// Gives the next message of a weight its place.
    pub fn place(&mut self, weight: Weight) -> Place {
        self.last += 1;
        let numbers = &mut self.rows.of_mut(weight).numbers;
        numbers.given += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        Place { sequence: self.last, number: numbers.given, at_ms }
    }

    /// The numbers that were given, for the file of them.
    pub fn numbers(&self) -> Numbers {
        Numbers { last: self.last, rows: self.rows.map(|row| row.numbers) }
    }

    /// Counts messages as lost, for each output that was to be given them and was not. Says how many that is for the one with most.
    pub fn lose(&mut self, weight: Weight, range: &Range<u64>, loss: Loss) -> u64 {
        let takers = self.takers.iter_mut().filter(|taker| taker.wants(weight));
        let most = takers.map(|taker| taker.lose(weight, range, loss)).max().unwrap_or(0);
        self.has_losses |= most > 0;
        most
    }

    /// Counts as lost what cannot be read of a segment. Says so once.
    pub fn lose_of_segment(&mut self, weight: Weight, first: u64, ranges: &[Range<u64>], loss: Loss, why: &str) {
        let Some(segment) = self.rows.of_mut(weight).segments.iter_mut().find(|segment| segment.first == first) else {
            return;
        };
        let (whole, path) = (segment.first..segment.end, segment.path.clone());
        if ranges.iter().any(|range| range.start <= whole.start && range.end >= whole.end) && !segment.is_lost {
            segment.is_lost = true;
            self.disk_bytes -= std::mem::take(&mut segment.written);
        }
        let count: u64 = ranges
            .iter()
            .map(|range| self.lose(weight, &(range.start.max(whole.start)..range.end.min(whole.end)), loss))
            .sum();
        if count == 0 {
            return;
        }
        let mut segments = self.rows.of_mut(weight).segments.iter_mut();
        if segments
            .find(|segment| segment.first == first)
            .is_some_and(|segment| !std::mem::replace(&mut segment.is_told, true))
        {
            let text = format!("spool: {}: {why}; {count} messages are lost", path.display());
            tracing::warn!("{text}");
            self.damage = Some((Instant::now(), text));
        }
    }

    /// Counts as lost what had no place on disk any more when the spool was opened.
    pub fn lose_unkept(&mut self) {
        for weight in WEIGHTS {
            let row = self.rows.of(weight);
            let Row { kept_from, written, given } = row.numbers;
            let there = row.segments.front().map_or(written + 1, |segment| segment.first);
            let gone = self.lose(weight, &(kept_from..there), Loss::SegmentGone);
            if gone > 0 {
                let text = format!(
                    "spool: segments of the kind {} are gone; {gone} messages are lost",
                    super::name_of(weight)
                );
                tracing::warn!("{text}");
                self.damage = Some((Instant::now(), text));
            }
            let unwritten = self.lose(weight, &(written + 1..given + 1), Loss::NotWritten);
            if unwritten > 0 {
                tracing::warn!("spool: {unwritten} messages were in memory alone when the sensor ended, and are lost");
            }
        }
    }

    /// Nothing will be handed out any more: what is in memory alone is lost, and without a disk also what outputs have in hand.
    pub fn lose_held(&mut self, has_disk: bool) {
        for weight in WEIGHTS {
            let row = self.rows.of(weight);
            if let Some((first, _)) = row.held.front() {
                let range = first.number..row.numbers.given + 1;
                self.lose(weight, &range, Loss::NotWritten);
            }
            for taker in self.takers.iter().filter(|taker| taker.wants(weight) && !has_disk) {
                taker.account.lose(Loss::NotWritten, weight, taker.account.take_in_hand(weight));
            }
        }
    }

    /// What was found wrong with segments of late.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_ref().filter(|(at, _)| at.elapsed() < DAMAGE_SHOWN).map(|(_, text)| text.as_str())
    }

    /// Keeps a message in memory, and drops what is too much then.
    pub fn hold(&mut self, place: Place, message: Arc<Message>, memory_bytes: usize) {
        self.held_bytes += cost(&message);
        self.rows.of_mut(message.weight).held.push_back((place, message));
        if self.held_bytes > memory_bytes {
            self.forget_taken();
        }
        while self.held_bytes > memory_bytes {
            let Some(weight) = WEIGHTS.into_iter().find(|&weight| !self.rows.of(weight).held.is_empty()) else {
                return;
            };
            if let Some(place) = self.release_front(weight) {
                self.lose(weight, &(place.number..place.number + 1), Loss::MemoryFull);
            }
        }
    }

    pub fn release_front(&mut self, weight: Weight) -> Option<Place> {
        let (place, message) = self.rows.of_mut(weight).held.pop_front()?;
        self.held_bytes -= cost(&message);
        Some(place)
    }

    fn taken_by_all(&self, weight: Weight) -> u64 {
        let wanting = self.takers.iter().filter(|taker| taker.wants(weight));
        wanting.map(|taker| taker.rows.of(weight).progress.taken).min().unwrap_or(u64::MAX)
    }

    /// Lets messages in memory go that every output has taken.
    pub fn forget_taken(&mut self) {
        for weight in WEIGHTS {
            let taken = self.taken_by_all(weight);
            while self.rows.of(weight).held.front().is_some_and(|(place, _)| place.number <= taken) {
                self.release_front(weight);
            }
        }
    }

    /// Notes what will not be needed any more once [`collect`](Self::collect) has removed it.
    pub fn note_kept(&mut self, also_open: bool) {
        for weight in WEIGHTS {
            let taken = self.taken_by_all(weight);
            let row = self.rows.of_mut(weight);
            let stays = row.segments.iter().find(|segment| !segment.is_passed(taken, also_open));
            let there = stays.map_or(row.numbers.given + 1, |segment| segment.first);
            row.numbers.kept_from = row.numbers.kept_from.max(taken.saturating_add(1).min(there));
        }
    }

    /// Removes segments that every output has passed; the one being written only if `also_open`.
    pub fn collect(&mut self, also_open: bool, writers: &mut ByWeight<Option<Writer>>) {
        for weight in WEIGHTS {
            let taken = self.taken_by_all(weight);
            let front =
                |state: &Self| state.rows.of(weight).segments.front().map(|front| front.is_passed(taken, also_open));
            while front(self) == Some(true) {
                self.remove_front(weight, writers);
            }
        }
    }

    fn remove_front(&mut self, weight: Weight, writers: &mut ByWeight<Option<Writer>>) {
        let Some(segment) = self.rows.of_mut(weight).segments.pop_front() else { return };
        self.disk_bytes -= segment.written;
        writers.of_mut(weight).take_if(|writer| writer.first == segment.first);
        match fs::remove_file(&segment.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!("spool: {}: {error}; remove it by hand", segment.path.display());
            }
            _ => {}
        }
    }

    /// Drops the oldest segment of the least weight, up to `heaviest`. `false` when there is none.
    pub fn give_up_segment(&mut self, heaviest: Weight, writers: &mut ByWeight<Option<Writer>>) -> bool {
        let lightest = WEIGHTS.into_iter().find(|&weight| !self.rows.of(weight).segments.is_empty());
        let Some(weight) = lightest.filter(|&weight| weight <= heaviest) else { return false };
        let range = self.rows.of(weight).segments.front().map_or(0..0, |segment| segment.first..segment.end);
        self.lose(weight, &range, Loss::SpoolFull);
        self.takers.iter_mut().for_each(|taker| taker.settle(weight, &range));
        tracing::warn!("spool: full; dropped the oldest messages of the kind {}", super::name_of(weight));
        self.remove_front(weight, writers);
        true
    }

    /// Whether everything was acknowledged by a taker, or counted as lost.
    pub fn is_taken(&self, taker: &TakerState) -> bool {
        let mut wanted = WEIGHTS.into_iter().filter(|&weight| taker.wants(weight));
        wanted.all(|weight| self.rows.of(weight).numbers.given <= taker.rows.of(weight).progress.taken)
    }

    /// Brings each output's account up to date.
    pub fn note_waiting(&self) {
        for taker in &self.takers {
            let (mut messages, mut bytes) = (0, 0);
            for weight in WEIGHTS.into_iter().filter(|&weight| taker.wants(weight)) {
                let (row, progress) = (self.rows.of(weight), taker.rows.of(weight));
                let left = progress.passed + 1..row.numbers.given + 1;
                messages += left.end.saturating_sub(left.start) - progress.progress.done.count_in(&left);
                bytes += row.segments.iter().map(|segment| waiting_bytes(segment, progress)).sum::<u64>();
                let held =
                    row.held.iter().filter(|(place, _)| progress.unacknowledged(place.number..place.number + 1) > 0);
                bytes += held.map(|(_, message)| message.line.len() as u64).sum::<u64>();
            }
            taker.account.set_waiting(messages + taker.account.in_hand(), bytes);
        }
    }

    /// Sees to it that there is a taker of this name, which begins where it stood, but not before `floor`; gives its number.
    pub fn add(&mut self, Taker { name, lightest }: Taker, folder: Option<&Path>, floor: &ByWeight<u64>) -> usize {
        if let Some((number, taker)) = self.takers.iter_mut().enumerate().find(|(_, taker)| taker.name == name) {
            (taker.is_gone, taker.lightest) = (false, lightest);
            let progress = taker.progress();
            taker.begin(&progress, floor);
            return number;
        }
        let path = folder.map(|folder| checkpoint::path_of(folder, &name));
        let progress = match path {
            Some(path) if path.exists() => checkpoint::read(&path).unwrap_or_else(|| {
                // Everything again rather than too little.
                tracing::warn!(
                    "spool: {}: the checkpoint of {name} cannot be read; what is still there is given to it again",
                    path.display()
                );
                ByWeight::default()
            }),
            _ => self.rows.map(|row| Progress { taken: row.numbers.given, done: Ranges::default() }),
        };
        let mut taker = TakerState {
            name,
            lightest,
            is_gone: false,
            reader: 0,
            rows: ByWeight::default(),
            marks: VecDeque::new(),
            changes: 0,
            saved: None,
            account: Arc::default(),
        };
        taker.begin(&progress, floor);
        self.takers.push(taker);
        self.takers.len() - 1
    }

    /// The first number of each weight that is still there.
    pub fn first_kept(&self) -> ByWeight<u64> {
        self.rows.map(|row| {
            let segment = row.segments.iter().find(|segment| !segment.is_lost).map(|segment| segment.first);
            let held = row.held.front().map(|(place, _)| place.number);
            segment.or(held).unwrap_or(row.numbers.given + 1)
        })
    }
}

/// About how many bytes of a segment wait: records are taken for equally long.
fn waiting_bytes(segment: &Segment, row: &TakerRow) -> u64 {
    let (all, left) = (segment.end - segment.first, row.unacknowledged(segment.first..segment.end));
    let bytes = u128::from(segment.written) * u128::from(left) / u128::from(all.max(1));
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What a message takes in memory.
fn cost(message: &Message) -> usize {
    message.uid.len() + message.host.len() + message.line.len() + 128
}
