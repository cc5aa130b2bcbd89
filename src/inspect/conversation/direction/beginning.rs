//! What a direction's bytes begin, and what is told of those that begin nothing.

use super::{Direction, TRIES_MAX, Turn};
use crate::inspect::conversation::facts::Emit;
use crate::inspect::conversation::speech::{RECOGNISERS, Speech};
use crate::inspect::lines::LineStream;
use crate::inspect::recognition::Match;
use crate::inspect::reputation::FrameStream;
use crate::inspect::{Bound, Observation, preamble};

/// Bytes kept while they may still become one protocol or another.
pub(super) const PREFIX_MAX: usize = 4096;
/// Bytes that are given of a stream that begins in no protocol that we know.
const UNKNOWN_START_MAX: usize = 16;

impl Direction {
    /// Goes on with bytes that alone were too few to tell.
    pub(super) fn read_prefixed<'b>(
        &mut self,
        bytes: &'b [u8],
        asked: Option<&FrameStream>,
        emit: &mut impl Emit,
    ) -> (Turn, &'b [u8]) {
        let before = self.prefix.len();
        let taken = bytes.len().min(PREFIX_MAX.saturating_sub(before));
        self.prefix.extend_from_slice(bytes.get(..taken).unwrap_or(&[]));
        let mut prefix = std::mem::take(&mut self.prefix);
        let old = prefix.get(..before).unwrap_or(&[]);
        let result = match self.begin(&prefix, emit) {
            Match::NeedMore if prefix.len() < PREFIX_MAX => {
                self.prefix = prefix;
                return (Turn::None, &[]);
            }
            Match::NeedMore => {
                self.fail(emit);
                (Turn::None, &[][..])
            }
            // The new bytes may begin what the old ones did not.
            Match::No => {
                self.tell_unknown(&prefix, emit);
                self.read(bytes, asked, emit)
            }
            // Old and new one after the other, since a border between segments may be one between messages.
            Match::Yes => match self.read(old, asked, emit) {
                (Turn::Tunnel, inside) => {
                    self.carried.extend_from_slice(inside);
                    (Turn::Tunnel, bytes)
                }
                (Turn::None | Turn::Frames, _) => self.read(bytes, asked, emit),
            },
        };
        prefix.clear();
        if self.prefix.is_empty() {
            self.prefix = prefix;
        }
        result
    }

    /// Decides what begins with `bytes`.
    pub(super) fn begin(&mut self, bytes: &[u8], emit: &mut impl Emit) -> Match {
        let mut undecided = false;
        for (recognise, speech) in RECOGNISERS {
            match recognise(bytes) {
                Match::Yes if undecided => break,
                Match::Yes => {
                    self.speech = match speech {
                        Speech::Responses if self.tunnel_asked => Speech::Lines,
                        speech => *speech,
                    };
                    self.lines = LineStream::default();
                    if *speech == Speech::Preamble {
                        self.preamble_left = preamble::length(bytes);
                    }
                    return Match::Yes;
                }
                Match::NeedMore => undecided = true,
                Match::No => {}
            }
        }
        if undecided {
            return Match::NeedMore;
        }
        self.fail(emit);
        Match::No
    }

    /// Tells what the stream began with, once that turned out to be nothing that we know.
    pub(super) fn tell_unknown(&self, start: &[u8], emit: &mut impl Emit) {
        if self.tries == 1 && !self.tunnel_asked && self.preambles == 0 {
            let start = start.get(..UNKNOWN_START_MAX).unwrap_or(start);
            emit(true, &Observation::UnknownStart(start));
        }
    }

    /// Counts a run of bytes that began nothing.
    pub(super) fn fail(&mut self, emit: &mut impl Emit) {
        self.tries += 1;
        if self.tries >= TRIES_MAX {
            self.end(Bound::UnknownPieces, emit);
        }
    }
}
