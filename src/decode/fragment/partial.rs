//! A datagram of which some fragments came.

use super::{DATAGRAM_MAX, RUNS_MAX};
use crate::capture::Timestamp;
use crate::decode::Context;

#[derive(Debug)]
pub(super) struct Partial {
    pub(super) serial: u64,
    pub(super) since: Timestamp,
    /// Of the first fragment, once it is there.
    pub(super) head: Option<(u8, Context)>,
    pub(super) length: Option<u32>,
    /// Runs that are covered: sorted, apart from each other.
    pub(super) runs: Vec<(u32, u32)>,
    /// First byte that the snap length cut off.
    pub(super) missing: u32,
    pub(super) bytes: Vec<u8>,
}

pub(super) enum Covered {
    Nothing,
    Some { overlapping: bool },
    TooManyRuns,
}

impl Partial {
    /// Takes the bytes of `from..to` that are not there yet. Those beyond the end of `bytes` were cut off by the snap length.
    pub(super) fn cover(&mut self, from: u32, to: u32, bytes: &[u8]) -> Covered {
        let mut at = from;
        let mut overlapping = false;
        let mut fresh = false;
        // Walk the gaps between the covered runs that lie within `from..to`.
        for run in 0..=self.runs.len() {
            let (start, end) = self.runs.get(run).copied().unwrap_or((DATAGRAM_MAX, DATAGRAM_MAX));
            if end <= at {
                continue;
            }
            let gap_end = start.min(to);
            if at < gap_end {
                fresh = true;
                self.write(at, gap_end, from, bytes);
            }
            if start < to {
                overlapping = true;
            }
            at = at.max(end);
            if at >= to {
                break;
            }
        }
        if !fresh {
            return Covered::Nothing;
        }
        // Join with every run that touches.
        let (mut low, mut high) = (from, to);
        self.runs.retain(|&(start, end)| {
            let touches = start <= high && end >= low;
            if touches {
                low = low.min(start);
                high = high.max(end);
            }
            !touches
        });
        let at = self.runs.partition_point(|&(start, _)| start < low);
        self.runs.insert(at, (low, high));
        if self.runs.len() > RUNS_MAX { Covered::TooManyRuns } else { Covered::Some { overlapping } }
    }

    /// Copies `at..end` out of a fragment whose first byte is number `from`.
    fn write(&mut self, at: u32, end: u32, from: u32, bytes: &[u8]) {
        let (skip, len) = ((at - from) as usize, (end - at) as usize);
        let there = bytes.get(skip..).unwrap_or(&[]);
        let there = there.get(..len).unwrap_or(there);
        if there.len() < len {
            self.missing = self.missing.min(at.saturating_add(u32::try_from(there.len()).unwrap_or(0)));
        }
        let at = at as usize;
        if self.bytes.len() < end as usize {
            self.bytes.resize(end as usize, 0);
        }
        if let Some(room) = self.bytes.get_mut(at..at + there.len()) {
            room.copy_from_slice(there);
        }
    }
}
