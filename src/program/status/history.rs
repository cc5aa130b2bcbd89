//! The last hour, one sample every ten seconds.

use super::Status;
use kaspector::capture::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// Between two samples.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);
/// Samples kept: an hour.
pub const SAMPLES_MAX: usize = 360;

/// Means over the time since the sample before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// When that time ended.
    pub at: Timestamp,
    /// Packets taken.
    pub packets_per_s: f64,
    /// Bits on the wire of those packets.
    pub bits_per_s: f64,
    /// Packets that the kernel or the interface dropped.
    pub drops_per_s: f64,
}

/// A bounded ring of samples.
#[derive(Clone, Debug, Default)]
pub struct History {
    samples: VecDeque<Sample>,
    /// Counters at the last call: time, packets, bytes, drops.
    last: Option<(Timestamp, [u64; 3])>,
}

impl History {
    /// Takes the counters at a moment. The first call only sets the mark. A counter that went back counts as still.
    pub fn record(&mut self, at: Timestamp, status: &Status) {
        let now = status.interfaces.iter().fold([0_u64; 3], |[packets, bytes, drops], interface| {
            let dropped = interface.kernel_drops.saturating_add(interface.nic_drops);
            [
                packets.saturating_add(interface.packets),
                bytes.saturating_add(interface.bytes),
                drops.saturating_add(dropped),
            ]
        });
        if let Some((before, then)) = self.last {
            let elapsed = at.since(before);
            // The clock stood or went back: nothing can be said about this time.
            if elapsed > 0 {
                let [packets_per_s, bytes_per_s, drops_per_s] =
                    std::array::from_fn(|index| rate(then.get(index).copied(), now.get(index).copied(), elapsed));
                self.push(Sample { at, packets_per_s, bits_per_s: bytes_per_s * 8.0, drops_per_s });
            }
        }
        self.last = Some((at, now));
    }

    /// Adds a sample; the oldest goes when there are [`SAMPLES_MAX`].
    pub fn push(&mut self, sample: Sample) {
        while self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Oldest first.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = &Sample> {
        self.samples.iter()
    }
}

/// Per second.
#[allow(clippy::cast_precision_loss)]
fn rate(then: Option<u64>, now: Option<u64>, elapsed_ns: u64) -> f64 {
    let grown = now.unwrap_or(0).saturating_sub(then.unwrap_or(0));
    grown as f64 * 1e9 / elapsed_ns as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::InterfaceStatus;

    fn status(packets: u64, bytes: u64, drops: u64) -> Status {
        let one = InterfaceStatus { packets, bytes, kernel_drops: drops, ..InterfaceStatus::default() };
        let other = InterfaceStatus { packets: 5, nic_drops: drops, ..InterfaceStatus::default() };
        Status { interfaces: vec![one, other], ..Status::default() }
    }

    #[test]
    fn a_sample_is_the_mean_since_the_one_before() {
        let mut history = History::default();
        history.record(Timestamp(1_000_000_000), &status(100, 1000, 0));
        assert_eq!(history.samples().len(), 0);
        history.record(Timestamp(11_000_000_000), &status(1100, 11_000, 10));
        let expected =
            Sample { at: Timestamp(11_000_000_000), packets_per_s: 100.0, bits_per_s: 8000.0, drops_per_s: 2.0 };
        assert_eq!(history.samples().copied().collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn neither_clock_nor_counters_that_go_back_make_nonsense() {
        let mut history = History::default();
        history.record(Timestamp(10), &status(100, 1000, 5));
        history.record(Timestamp(5), &status(200, 2000, 5));
        history.record(Timestamp(5), &status(200, 2000, 5));
        assert_eq!(history.samples().len(), 0);
        history.record(Timestamp(1_000_000_005), &status(0, 0, 0));
        assert_eq!(history.samples().next().map(|sample| sample.packets_per_s), Some(0.0));
    }

    #[test]
    fn an_hour_is_kept() {
        let mut history = History::default();
        for second in 0..=u64::try_from(SAMPLES_MAX).unwrap_or(0) + 50 {
            history.record(Timestamp(second * 10_000_000_000), &status(second, second, 0));
        }
        assert_eq!(history.samples().len(), SAMPLES_MAX);
        let (first, last) = (history.samples().next(), history.samples().last());
        assert_eq!(first.zip(last).map(|(first, last)| last.at.since(first.at)), Some(3_590_000_000_000));
    }
}
