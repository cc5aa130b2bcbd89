//! A signature file, piece by piece: what a reader makes of TOML takes twenty times the memory of the text.
//!
//! Long files are lists of names by the hundred thousand, so each processor reads pieces of its own. What they say is taken in the order of
//! the file, whichever was done first.

use super::place::File;
use super::statement::{Statement, statements};
use crate::matching::SignatureError;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{Builder, available_parallelism, scope};
use toml::de::DeTable;

/// Bytes of a piece, at least; a file that is shorter is one.
const PIECE_BYTES: usize = 64 << 10;
/// Where a file may be cut: a list of tables goes on in the next piece as if nothing had been between.
const CUT: &[u8] = b"\n[[indicator]]";
/// Pieces that a thread reads before what they say is taken.
const PIECES_OF_THREAD: usize = 8;
/// Threads at most.
const THREADS_MAX: usize = 8;

/// What a piece of a file says.
pub struct Piece {
    /// One thing after the other.
    pub statements: Vec<Statement>,
    /// What is no TOML in it.
    pub errors: Vec<SignatureError>,
}

/// Reads a text and gives the pieces to `take`, in order. `is_proven`: each indicator by itself is known to be right.
pub fn read(path: &Arc<str>, text: &str, is_proven: bool, mut take: impl FnMut(Piece)) {
    let mut rest = Rest { text, lines_before: 0 };
    while !rest.text.is_empty() {
        let mut starts = Vec::new();
        let threads = if text.len() > PIECE_BYTES { available_parallelism().map_or(1, usize::from) } else { 1 };
        while !rest.text.is_empty() && starts.len() < PIECES_OF_THREAD * threads.min(THREADS_MAX) {
            let (piece, behind) = rest.cut();
            starts.push((piece, rest));
            rest = behind;
        }
        let pieces = in_parallel(&starts, |(piece, _)| piece.read(path, is_proven));
        for (piece, (start, from_here)) in pieces.into_iter().zip(&starts) {
            // If all of a piece is TOML, no text of several lines goes on behind it. If not, a line within such a text may look like a cut.
            if piece.errors.is_empty() || start.text.len() == from_here.text.len() {
                take(piece);
            } else {
                return take(from_here.read(path, is_proven));
            }
        }
    }
}

/// A part of a text, and how many lines are before it.
#[derive(Clone, Copy)]
struct Rest<'t> {
    text: &'t str,
    lines_before: usize,
}

impl Rest<'_> {
    /// The first piece, and what is behind it.
    fn cut(self) -> (Self, Self) {
        let at = self.text.as_bytes().get(PIECE_BYTES..).and_then(|rest| memchr::memmem::find(rest, CUT));
        let (text, behind) =
            at.and_then(|at| self.text.split_at_checked(PIECE_BYTES + at + 1)).unwrap_or((self.text, ""));
        let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
        (Self { text, ..self }, Self { text: behind, lines_before: self.lines_before + lines })
    }

    fn read(self, path: &Arc<str>, is_proven: bool) -> Piece {
        let lines = memchr::memchr_iter(b'\n', self.text.as_bytes()).collect();
        let file = File { path: Arc::clone(path), lines_before: self.lines_before, lines };
        let (document, errors) = DeTable::parse_recoverable(self.text);
        let errors = errors.into_iter().map(|error| {
            let message = error.message().replace('\n', ", ");
            file.bad(
                &error.span().unwrap_or_default(),
                format!("not TOML: {message}; see docs/signatures.md for an example"),
            )
        });
        Piece { errors: errors.collect(), statements: statements(&file, document.get_ref(), is_proven) }
    }
}

/// Does the same with each, on as many threads as there are groups of [`PIECES_OF_THREAD`]. Where no thread can be had, on this one.
fn in_parallel<T: Sync, R: Send>(all: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let act_on = |group: &[T]| group.iter().map(&act).collect::<Vec<R>>();
    let (own, others) = all.split_at_checked(PIECES_OF_THREAD).unwrap_or((all, &[]));
    if others.is_empty() {
        // A scope notes the thread that waits, which of a thread of C's is never freed.
        return act_on(own);
    }
    scope(|scope| {
        let others: Vec<_> = others
            .chunks(PIECES_OF_THREAD)
            .map(|group| (group, Builder::new().spawn_scoped(scope, move || act_on(group))))
            .collect();
        let mut results = act_on(own);
        for (group, thread) in others {
            match thread {
                Ok(thread) => results.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic))),
                Err(_) => results.extend(act_on(group)),
            }
        }
        results
    })
}
