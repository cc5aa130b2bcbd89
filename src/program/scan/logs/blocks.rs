//! The lines of a log in blocks of whole lines.

use kaspector_logs::LINE_MAX;
use std::io::{self, Read};

/// Bytes of a block: little enough to stay in a near cache between two looks at it.
pub const BLOCK: usize = 256 << 10;

/// Blocks of a reader. Where one ends follows from the bytes alone, not from the pieces in which they come.
pub struct Blocks<R> {
    reader: R,
    /// What was read and not given yet; a part of a line, as a rule.
    held: Vec<u8>,
    is_over: bool,
    /// An error that is told once everything before it was given.
    error: Option<io::Error>,
    /// Bytes given so far.
    bytes: u64,
}

impl<R: Read> Blocks<R> {
    pub const fn new(reader: R) -> Self {
        Self { reader, held: Vec::new(), is_over: false, error: None, bytes: 0 }
    }

    /// What can be had of the beginning without giving it: whole lines, as far as there are any.
    pub fn head(&mut self) -> io::Result<&[u8]> {
        if self.held.len() < LINE_MAX && !self.is_over {
            let mut held = std::mem::take(&mut self.held);
            let used = held.len();
            held.resize(LINE_MAX, 0);
            let used = self.fill(&mut held, used);
            held.truncate(used);
            self.held = held;
        }
        match self.error.take() {
            Some(error) => Err(error),
            None => Ok(&self.held),
        }
    }

    /// Puts the next lines into `block`, which is of [`BLOCK`] bytes, and says how many bytes of it they take; 0 at the end. Of a line that is too
    /// long for it, so much is given that it shows.
    pub fn next(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let used = self.held.len();
        if let Some(place) = block.get_mut(..used) {
            place.copy_from_slice(&self.held);
        }
        self.held.clear();
        let used = self.fill(block, used);
        if self.is_over {
            if used == 0
                && let Some(error) = self.error.take()
            {
                return Err(error);
            }
            self.bytes += used as u64;
            return Ok(used);
        }
        let given = memchr::memrchr(b'\n', block).map_or(0, |at| at + 1);
        if given == 0 {
            return Ok(self.overlong(block));
        }
        self.held.extend_from_slice(block.get(given..).unwrap_or_default());
        self.bytes += given as u64;
        Ok(given)
    }

    /// Bytes of the lines given so far, with their ends.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the beginning of the line that fills `block`, and passes over the rest of it.
    fn overlong(&mut self, block: &mut [u8]) -> usize {
        self.bytes += block.len() as u64;
        let kept = LINE_MAX + 1;
        let rest = block.get_mut(kept + 1..).unwrap_or_default();
        loop {
            let count = self.fill(rest, 0);
            let end = memchr::memchr(b'\n', rest.get(..count).unwrap_or_default());
            self.bytes += end.map_or(count, |at| at + 1) as u64;
            if let Some(at) = end {
                self.held.extend_from_slice(rest.get(at + 1..count).unwrap_or_default());
                break;
            }
            if self.is_over {
                break;
            }
        }
        if let Some(end) = block.get_mut(kept) {
            *end = b'\n';
        }
        kept + 1
    }

    /// Fills `block` from `used` on, as far as there is something; how far is given.
    fn fill(&mut self, block: &mut [u8], mut used: usize) -> usize {
        while !self.is_over
            && let Some(room) = block.get_mut(used..).filter(|room| !room.is_empty())
        {
            match self.reader.read(room) {
                Ok(0) => self.is_over = true,
                Ok(count) => used += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.error = Some(error);
                    self.is_over = true;
                }
            }
        }
        used
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    /// Gives so many bytes at most at once.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(into.len());
            let (now, rest) = self.0.split_at(count);
            into.get_mut(..count).unwrap().copy_from_slice(now);
            self.0 = rest;
            Ok(count)
        }
    }

    fn all(bytes: &[u8], step: usize) -> (Vec<Vec<u8>>, u64) {
        let mut blocks = Blocks::new(Slow(bytes, step));
        let head = blocks.head().unwrap().to_vec();
        assert!(bytes.starts_with(&head) && head.len() == bytes.len().min(LINE_MAX));
        let (mut all, mut block) = (Vec::new(), vec![0; BLOCK]);
        loop {
            let used = blocks.next(&mut block).unwrap();
            if used == 0 {
                return (all, blocks.bytes());
            }
            let text = block[..used].strip_suffix(b"\n").unwrap_or(&block[..used]);
            all.extend(text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec));
        }
    }

    #[test]
    fn the_rest_of_a_line_that_is_too_long_is_passed_over() {
        for length in [LINE_MAX, LINE_MAX + 1, BLOCK, 3 * BLOCK] {
            let text = [&b"a\n"[..], &b"x".repeat(length), b"\nb\n\nc"].concat();
            let (lines, bytes) = all(&text, usize::MAX);
            let long = b"x".repeat(if length < BLOCK { length } else { LINE_MAX + 1 });
            assert_eq!(lines, [b"a".to_vec(), long, b"b".to_vec(), Vec::new(), b"c".to_vec()], "{length}");
            assert_eq!(bytes, text.len() as u64, "{length}");
        }
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_text_in_whatever_pieces_it_comes(text in "[a\n]{0,300}", step in 1_usize..40) {
            let mut expected: Vec<_> = text.split('\n').map(|line| line.as_bytes().to_vec()).collect();
            if expected.last().is_some_and(Vec::is_empty) {
                expected.pop();
            }
            prop_assert_eq!(all(text.as_bytes(), step), (expected, text.len() as u64));
        }
    }
}
