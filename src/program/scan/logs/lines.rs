//! The lines of a log, each in place in a buffer that is reused.

use kaspector_logs::LINE_MAX;
use std::io::{self, Read};

/// Bytes that are read at once.
const BUFFER: usize = 256 << 10;

/// Lines of a reader.
pub struct Lines<R> {
    reader: R,
    buffer: Box<[u8]>,
    /// What of the buffer was read and not given yet.
    from: usize,
    to: usize,
    is_over: bool,
    /// Bytes of lines given so far, with their ends.
    bytes: u64,
}

impl<R: Read> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; BUFFER].into(), from: 0, to: 0, is_over: false, bytes: 0 }
    }

    /// What can be had of the beginning without giving it: whole lines, as far as there are any.
    pub fn head(&mut self) -> io::Result<&[u8]> {
        while self.to < LINE_MAX && self.fill()? {}
        Ok(self.buffer.get(self.from..self.to).unwrap_or_default())
    }

    /// The next line, without its end. Of one that is longer than [`LINE_MAX`] so much that it shows.
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let mut searched = 0;
        loop {
            let held = self.buffer.get(self.from..self.to).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', held.get(searched..).unwrap_or_default()) {
                let start = self.from;
                let end = start + searched + at;
                self.from = end + 1;
                self.bytes += (end + 1 - start) as u64;
                return Ok(self.buffer.get(start..end));
            }
            searched = held.len();
            if searched > LINE_MAX {
                return self.overlong().map(Some);
            }
            if !self.fill()? {
                let start = std::mem::replace(&mut self.from, self.to);
                self.bytes += (self.to - start) as u64;
                return Ok(self.buffer.get(start..self.to).filter(|line| !line.is_empty()));
            }
        }
    }

    /// Bytes of the lines given so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the beginning of a line, and passes over the rest of it.
    fn overlong(&mut self) -> io::Result<&[u8]> {
        let kept = LINE_MAX + 1;
        self.buffer.copy_within(self.from..self.from + kept, 0);
        self.bytes += (self.to - self.from) as u64;
        // The beginning stays at the front; what follows goes through the rest of the buffer.
        loop {
            let into = self.buffer.get_mut(kept..).unwrap_or_default();
            let count = self.reader.read(into)?;
            if count == 0 {
                self.is_over = true;
                (self.from, self.to) = (0, 0);
                break;
            }
            let end = memchr::memchr(b'\n', into.get(..count).unwrap_or_default());
            self.bytes += end.map_or(count, |at| at + 1) as u64;
            if let Some(at) = end {
                (self.from, self.to) = (kept + at + 1, kept + count);
                break;
            }
        }
        Ok(self.buffer.get(..kept).unwrap_or_default())
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        if self.is_over {
            return Ok(false);
        }
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let count = loop {
            match self.reader.read(self.buffer.get_mut(self.to..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.to += count;
        self.is_over = count == 0;
        Ok(count > 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
        let mut lines = Lines::new(Slow(bytes, step));
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line.to_vec());
        }
        (all, lines.bytes())
    }

    #[test]
    fn the_rest_of_a_line_that_is_too_long_is_passed_over() {
        for length in [LINE_MAX, LINE_MAX + 1, 3 * BUFFER] {
            let text = [&b"a\n"[..], &b"x".repeat(length), b"\nb\n\nc"].concat();
            let (lines, bytes) = all(&text, usize::MAX);
            let long = b"x".repeat(length.min(LINE_MAX + 1));
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
