//! What one output was not given, and why: counted where it happens, so that nobody has to wait for the output to hear of it.

use super::super::{Message, Weight};
use super::{ByWeight, WEIGHTS};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Why an output was not given a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Loss {
    /// The spool had reached its bound on disk.
    SpoolFull,
    /// Messages in memory had reached theirs.
    MemoryFull,
    /// Longer than any message may be.
    TooLarge,
    /// It was in memory alone when the sensor ended: there is no spool, or its disk had refused it.
    NotWritten,
    /// Its segment was removed.
    SegmentGone,
    /// Its segment cannot be read.
    SegmentUnreadable,
    /// Its segment was cut or overwritten.
    SegmentDamaged,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::SpoolFull,
        Self::MemoryFull,
        Self::TooLarge,
        Self::NotWritten,
        Self::SegmentGone,
        Self::SegmentUnreadable,
        Self::SegmentDamaged,
    ];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpoolFull => "spool_full",
            Self::MemoryFull => "memory_full",
            Self::TooLarge => "too_large",
            Self::NotWritten => "not_written",
            Self::SegmentGone => "segment_gone",
            Self::SegmentUnreadable => "segment_unreadable",
            Self::SegmentDamaged => "segment_damaged",
        }
    }

    /// The same in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SpoolFull => "the spool was full",
            Self::MemoryFull => "the memory for messages was full",
            Self::TooLarge => "a message was too large",
            Self::NotWritten => "they were in memory alone when the sensor ended",
            Self::SegmentGone => "a segment of the spool was removed",
            Self::SegmentUnreadable => "a segment of the spool cannot be read",
            Self::SegmentDamaged => "a segment of the spool is damaged",
        }
    }
}

/// Messages of one output that were dropped for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Why.
    pub loss: Loss,
    /// First sights, rises and summaries.
    pub alerts: u64,
    /// Records of the sensor's counters.
    pub counters: u64,
}

/// What one output was not given. Whoever finds a loss counts it; readers want a recent value, not an order between counters.
#[derive(Debug, Default)]
pub(crate) struct Account {
    lost: [Counts; Loss::ALL.len()],
    /// Handed to the output and not delivered, by weight.
    in_hand: ByWeight<AtomicU64>,
    /// Written, and not acknowledged.
    unacknowledged: AtomicU64,
    waiting: AtomicU64,
    waiting_bytes: AtomicU64,
    latest: Mutex<Option<(Instant, Loss)>>,
}

#[derive(Debug, Default)]
struct Counts {
    alerts: AtomicU64,
    counters: AtomicU64,
}

/// How long a loss stands as trouble.
const SHOWN: Duration = Duration::from_secs(3600);

impl Account {
    pub fn lose(&self, loss: Loss, weight: Weight, count: u64) {
        if count == 0 {
            return;
        }
        let Some(counts) = self.lost.get(loss as usize) else { return };
        if weight == Weight::Stats {
            counts.counters.fetch_add(count, Ordering::Relaxed);
        } else {
            counts.alerts.fetch_add(count, Ordering::Relaxed);
            *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), loss));
        }
    }

    /// Notes what the output has in hand.
    pub fn set_in_hand(&self, messages: &[Arc<Message>]) {
        for weight in WEIGHTS {
            let count = messages.iter().filter(|message| message.weight == weight).count();
            self.in_hand.of(weight).store(count as u64, Ordering::Relaxed);
        }
    }

    /// Notes what was written, and that the other side has not acknowledged.
    pub fn set_unacknowledged(&self, messages: u64) {
        self.unacknowledged.store(messages, Ordering::Relaxed);
    }

    /// What the output has, and has not delivered.
    pub fn in_hand(&self) -> u64 {
        let in_hand: u64 = WEIGHTS.into_iter().map(|weight| self.in_hand.of(weight).load(Ordering::Relaxed)).sum();
        in_hand + self.unacknowledged.load(Ordering::Relaxed)
    }

    /// What the output had, and will not deliver any more. Of what was written nobody knows the weights: it counts as alerts.
    pub fn take_in_hand(&self, weight: Weight) -> u64 {
        let written = if weight == Weight::Finding { self.unacknowledged.swap(0, Ordering::Relaxed) } else { 0 };
        written + self.in_hand.of(weight).swap(0, Ordering::Relaxed)
    }

    pub fn set_waiting(&self, messages: u64, bytes: u64) {
        self.waiting.store(messages, Ordering::Relaxed);
        self.waiting_bytes.store(bytes, Ordering::Relaxed);
    }

    /// One entry for each reason, in order.
    pub fn lost(&self) -> Vec<Lost> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = self.lost.iter().map(|counts| (read(&counts.alerts), read(&counts.counters)));
        Loss::ALL.into_iter().zip(counts).map(|(loss, (alerts, counters))| Lost { loss, alerts, counters }).collect()
    }

    /// Messages that wait, and about how many bytes they take.
    pub fn waiting(&self) -> (u64, u64) {
        (self.waiting.load(Ordering::Relaxed), self.waiting_bytes.load(Ordering::Relaxed))
    }

    /// Why alerts were lost of late.
    pub fn trouble(&self) -> Option<Loss> {
        let latest = *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.filter(|(at, _)| at.elapsed() < SHOWN).map(|(_, loss)| loss)
    }
}
