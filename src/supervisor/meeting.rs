//! Where threads wait for each other between two steps of common work.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Looks for the end of a meeting before a thread goes to sleep: some tens of microseconds. To be woken takes about as long, and steps
/// of less than two milliseconds are to be told from each other.
const LOOKS: u32 = 2_000;

/// A meeting of a fixed number of threads, again and again.
#[derive(Debug)]
pub struct Meeting {
    threads: usize,
    /// See [`LOOKS`]; none where threads are more than processors, since whoever is waited for may need this one.
    looks: u32,
    /// Threads that have come to this meeting.
    come: AtomicUsize,
    /// Meetings that have ended.
    ended: AtomicUsize,
    /// Held while a meeting ends, so that nobody falls asleep just then.
    ending: Mutex<()>,
    end: Condvar,
}

impl Meeting {
    /// A meeting of so many threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            threads,
            looks: if threads <= processors { LOOKS } else { 0 },
            come: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            ending: Mutex::new(()),
            end: Condvar::new(),
        }
    }

    /// Waits until all have come. The last to come does what is to be done once, before anybody goes on.
    pub fn attend(&self, once: impl FnOnce()) {
        let ended = self.ended.load(Ordering::Acquire);
        // What each thread did before is seen by the last to come, and what that one does by all.
        if self.come.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            once();
            self.come.store(0, Ordering::Relaxed);
            let ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
            self.ended.store(ended.wrapping_add(1), Ordering::Release);
            drop(ending);
            self.end.notify_all();
            return;
        }
        let goes_on = || self.ended.load(Ordering::Acquire) == ended;
        for _ in 0..self.looks {
            if !goes_on() {
                return;
            }
            std::hint::spin_loop();
        }
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        while goes_on() {
            ending = self.end.wait(ending).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each thread counts for itself; at each meeting all counts must be the same, and one thread alone sees to that.
    #[test]
    fn nobody_goes_on_before_all_have_come() {
        const THREADS: usize = 5;
        const MEETINGS: usize = 2_000;
        let meeting = Meeting::new(THREADS);
        let counts: [AtomicUsize; THREADS] = Default::default();
        let met = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for count in &counts {
                scope.spawn(|| {
                    for number in 1..=MEETINGS {
                        count.store(number, Ordering::Relaxed);
                        meeting.attend(|| {
                            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == number));
                            met.fetch_add(1, Ordering::Relaxed);
                        });
                        assert_eq!(met.load(Ordering::Relaxed), number);
                        if number % 500 == 0 {
                            // Long enough for the others to fall asleep.
                            std::thread::sleep(std::time::Duration::from_millis(2));
                        }
                    }
                });
            }
        });
        assert_eq!(met.into_inner(), MEETINGS);
    }
}
