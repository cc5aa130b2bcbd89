//! The logs of a stream in pieces, read and looked at ahead by whichever thread has time.
//!
//! Pieces are taken in their order, by the one thread that reads the series. A thread that makes one reads a block while it holds the source, so that
//! blocks come in their order, and looks at it when it has let go of it, which is most of the work.

use super::super::progress::Progress;
use super::blocks::{BLOCK, Blocks};
use super::look::{LogBytes, LogInput};
use crate::process::panics::{Failure, survive};
use kaspector::capture::Unpacked;
use kaspector_logs::{LineParser, LogFormat, Skim, Skimmer, as_lines};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pieces that wait to be taken, or are made, at most.
const AHEAD: u64 = 8;
/// How long a thread sleeps before it looks for work again, should nobody wake it.
const NAP: Duration = Duration::from_millis(20);

/// A piece of a stream.
pub enum Piece {
    /// A log begins.
    Begin(Box<Begun>),
    /// Lines of it.
    Lines(Block),
    /// It is over.
    End(Ended),
    /// A log could not be opened.
    Unopened(Box<LogInput>, String),
}

/// A log that was opened.
pub struct Begun {
    pub index: usize,
    pub name: String,
    pub format: LogFormat,
    pub head: Box<[u8]>,
    pub parser: LineParser,
}

/// Lines, and what a first look at them showed.
pub struct Block {
    bytes: Box<[u8]>,
    used: usize,
    pub skim: Skim,
}

impl Block {
    pub fn text(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}

/// How a log ended.
pub struct Ended {
    pub bytes: u64,
    pub error: Option<io::Error>,
    pub is_interrupted: bool,
}

/// Makes the pieces of a stream.
pub struct Supply<'a> {
    source: Mutex<Source<'a>>,
    made: Mutex<Made>,
    came: Condvar,
}

/// Pieces by their number.
#[derive(Default)]
struct Made {
    pieces: BTreeMap<u64, Piece>,
    /// The next to be taken.
    next: u64,
    /// Blocks to be used again.
    spare: Vec<Block>,
    /// How many pieces there are, once it is known.
    count: Option<u64>,
    failure: Option<Failure>,
}

/// Where pieces come from.
struct Source<'a> {
    waiting: VecDeque<LogInput>,
    open: Option<(Box<Blocks<LogBytes>>, Skimmer)>,
    /// Of no input.
    skimmer: Skimmer,
    /// The number of the next piece.
    number: u64,
    progress: &'a Progress,
}

impl<'a> Supply<'a> {
    pub fn new(logs: Vec<LogInput>, skimmer: Skimmer, progress: &'a Progress) -> Self {
        let source = Source { waiting: logs.into(), open: None, skimmer, number: 0, progress };
        Self { source: Mutex::new(source), made: Mutex::default(), came: Condvar::new() }
    }

    /// The next piece; `None` when there is none left. Makes it if nobody else does.
    pub fn take(&self, helpers: &Helpers<'_>) -> Result<Option<Piece>, Failure> {
        loop {
            {
                let mut made = lock(&self.made);
                if let Some(failure) = made.failure.take() {
                    return Err(failure);
                }
                let next = made.next;
                if let Some(piece) = made.pieces.remove(&next) {
                    made.next += 1;
                    helpers.wake();
                    return Ok(Some(piece));
                }
                if made.count == Some(next) {
                    return Ok(None);
                }
            }
            if !self.make() {
                // Somebody else makes it.
                let made = lock(&self.made);
                let is_there = made.pieces.contains_key(&made.next) || made.failure.is_some();
                if !is_there && made.count != Some(made.next) {
                    drop(self.came.wait_timeout(made, NAP));
                }
            }
        }
    }

    /// Gives a block back to be used again.
    pub fn give_back(&self, block: Block) {
        lock(&self.made).spare.push(block);
    }

    /// Makes one piece; false if there is no room or nothing left.
    fn make(&self) -> bool {
        let (number, mut piece, looks) = {
            let mut source = lock(&self.source);
            let spare = {
                let mut made = lock(&self.made);
                if made.count.is_some() || source.number >= made.next + AHEAD {
                    return false;
                }
                made.spare.pop()
            };
            match source.next_piece(spare) {
                Some((piece, looks)) => {
                    source.number += 1;
                    (source.number - 1, piece, looks)
                }
                None => {
                    lock(&self.made).count = Some(source.number);
                    self.came.notify_all();
                    return false;
                }
            }
        };
        if let (Piece::Lines(block), Some(mut skimmer)) = (&mut piece, looks) {
            let Block { bytes, used, skim } = block;
            skimmer.skim(bytes.get(..*used).unwrap_or_default(), skim);
        }
        lock(&self.made).pieces.insert(number, piece);
        self.came.notify_all();
        true
    }
}

impl Source<'_> {
    /// The next piece; of lines with what looks at them.
    fn next_piece(&mut self, spare: Option<Block>) -> Option<(Piece, Option<Skimmer>)> {
        let Some((blocks, skimmer)) = &mut self.open else { return self.open_next().map(|piece| (piece, None)) };
        let is_interrupted = self.progress.is_stopped();
        let mut block = spare.unwrap_or_else(|| Block { bytes: vec![0; BLOCK].into(), used: 0, skim: Skim::default() });
        let read = if is_interrupted { Ok(0) } else { blocks.next(&mut block.bytes) };
        let error = match read {
            Ok(0) => None,
            Ok(used) => {
                block.used = used;
                let looks = skimmer.clone();
                skimmer.advance(block.text());
                return Some((Piece::Lines(block), Some(looks)));
            }
            Err(error) => Some(error),
        };
        let ended = Ended { bytes: blocks.bytes(), error, is_interrupted };
        self.open = None;
        self.progress.finish_input();
        Some((Piece::End(ended), None))
    }

    fn open_next(&mut self) -> Option<Piece> {
        let mut log = self.waiting.pop_front()?;
        let opened = match (log.opened.take(), &log.path) {
            (Some(blocks), _) => Ok(blocks),
            (None, Some(path)) => Unpacked::open(path).map_err(|error| error.to_string()).and_then(|file| {
                self.progress.begin(file.position());
                let lines = as_lines(file).map_err(|error| format!("{}: cannot be read: {error}", log.name))?;
                Ok(Box::new(Blocks::new(lines)))
            }),
            // Standard input is open already.
            (None, None) => return self.open_next(),
        };
        match opened {
            Ok(blocks) => {
                let LogInput { index, name, format, head, clock, .. } = log;
                let parser = LineParser::new(format, clock);
                self.open = Some((blocks, self.skimmer.of_input(&parser)));
                Some(Piece::Begin(Box::new(Begun { index, name, format, head, parser })))
            }
            Err(error) => {
                self.progress.finish_input();
                Some(Piece::Unopened(Box::new(log), error))
            }
        }
    }
}

/// Threads that make pieces for whoever takes them.
pub struct Helpers<'a> {
    supplies: Vec<Arc<Supply<'a>>>,
    /// Whether nobody takes pieces any more.
    is_over: Mutex<bool>,
    work: Condvar,
}

impl<'a> Helpers<'a> {
    pub fn of(supplies: impl Iterator<Item = Arc<Supply<'a>>>) -> Self {
        Self { supplies: supplies.collect(), is_over: Mutex::new(false), work: Condvar::new() }
    }

    /// Makes pieces until [`Self::dismiss`].
    pub fn help(&self) {
        loop {
            let mut has_made = false;
            for supply in &self.supplies {
                match survive(|| supply.make()) {
                    Ok(made) => has_made |= made,
                    Err(failure) => {
                        lock(&supply.made).failure.get_or_insert(failure);
                        supply.came.notify_all();
                    }
                }
            }
            let is_over = lock(&self.is_over);
            if *is_over {
                return;
            }
            if !has_made {
                drop(self.work.wait_timeout(is_over, NAP));
            }
        }
    }

    /// Says that there is room for another piece.
    fn wake(&self) {
        self.work.notify_one();
    }

    /// Says that all is read.
    pub fn dismiss(&self) {
        *lock(&self.is_over) = true;
        self.work.notify_all();
    }
}

/// What the locks guard is whole between any two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
