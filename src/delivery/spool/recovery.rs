//! What an earlier run has left in the folder.

use super::checkpoint::{self, Progress};
use super::look;
use super::numbers::{self, Row};
use super::record::RecordStream;
use super::state::{Segment, State};
use super::{WEIGHTS, name_of};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// No sensor gives so many; a name that says so is none of ours.
const NUMBER_MAX: u64 = 1 << 60;

impl State {
    /// Finds the segments of an earlier run, and which numbers it gave. Nothing is written to those segments any more.
    ///
    /// A segment that cannot be read is there all the same: whoever comes to it passes over it.
    pub(super) fn recover(&mut self, folder: &Path) -> io::Result<()> {
        let known = numbers::read(folder);
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.ends_with(".checkpoint") {
                // Also those of outputs that are no longer configured: numbers must never come twice.
                let progress = checkpoint::read(&path).unwrap_or_default();
                for weight in WEIGHTS {
                    let Progress { taken, done } = progress.of(weight);
                    let given = &mut self.rows.of_mut(weight).numbers.given;
                    *given = (*given).max(*taken).max(done.last().unwrap_or(0));
                }
            }
            let Some((weight, first)) = name.strip_suffix(".segment").and_then(|stem| stem.split_once('-')) else {
                continue;
            };
            let weight = WEIGHTS.into_iter().find(|&known| name_of(known) == weight);
            let (Some(weight), Some(first)) = (weight, first.parse().ok().filter(|&first| first < NUMBER_MAX)) else {
                continue;
            };
            let written =
                fs::symlink_metadata(&path).map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 });
            self.disk_bytes += written;
            self.rows.of_mut(weight).segments.push_back(Segment {
                first,
                end: first + 1,
                path,
                written,
                is_closed: true,
                stamp: None,
                is_lost: false,
                is_told: false,
                is_from_before: true,
            });
        }
        self.last = known.as_ref().map_or(0, |known| known.last);
        for weight in WEIGHTS {
            let row = self.rows.of_mut(weight);
            row.segments.make_contiguous().sort_by_key(|segment| segment.first);
            let firsts: Vec<u64> = row.segments.iter().map(|segment| segment.first).collect();
            for (segment, next) in row.segments.iter_mut().zip(firsts.iter().skip(1)) {
                segment.end = *next;
            }
            // The file of numbers may be older than the segment after a loss of power.
            let (number, sequence) = row.segments.back().map_or((0, 0), |segment| last_in(&segment.path));
            self.last = self.last.max(sequence);
            let behind = row.segments.back().map_or(0, |segment| segment.first);
            let row_known = known.as_ref().map(|known| *known.rows.of(weight));
            let written = row_known.map_or(0, |row| row.written).max(number).max(behind);
            let given = row_known.map_or(0, |row| row.given).max(written).max(row.numbers.given);
            if let Some(segment) = row.segments.back_mut() {
                segment.end = written + 1;
            }
            let there = row.segments.front().map_or(given + 1, |segment| segment.first);
            row.numbers = match row_known {
                Some(row) => Row { kept_from: row.kept_from, written, given },
                // Nobody can say what there was before, or was not written.
                None => Row { kept_from: there, written: given, given },
            };
            if let (None, Some(segment)) = (row_known, row.segments.back_mut()) {
                segment.end = number.max(behind) + 1;
            }
        }
        Ok(())
    }
}

/// The highest number and sequence number in a segment; zeros, when nothing of it can be read.
fn last_in(path: &Path) -> (u64, u64) {
    let mut bytes = Vec::new();
    let read = look::open(path).and_then(|file| file.take(look::SEGMENT_BYTES_MAX).read_to_end(&mut bytes));
    if read.is_err() {
        return (0, 0);
    }
    let mut stream = RecordStream::default();
    stream.feed(&bytes);
    let places = std::iter::from_fn(|| stream.next(true)).map(|record| (record.place.number, record.place.sequence));
    places.fold((0, 0), |(number, sequence), (other, next)| (number.max(other), sequence.max(next)))
}
