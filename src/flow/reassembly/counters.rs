//! What became of segments.

/// What became of segments, for the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamCounters {
    /// Segments that said nothing new.
    pub duplicate: u64,
    /// Segments of which a part had been seen; the first copy won.
    pub overlapping: u64,
    /// Segments that said other things about bytes than an earlier copy.
    pub differing: u64,
    /// Gaps that were skipped.
    pub gaps: u64,
    /// Segments outside every window.
    pub out_of_window: u64,
    /// Times a bound on held segments or bytes was met.
    pub over_bound: u64,
}

impl StreamCounters {
    /// Adds another worker's counts.
    pub fn add(&mut self, other: &Self) {
        self.duplicate += other.duplicate;
        self.overlapping += other.overlapping;
        self.differing += other.differing;
        self.gaps += other.gaps;
        self.out_of_window += other.out_of_window;
        self.over_bound += other.over_bound;
    }
}
