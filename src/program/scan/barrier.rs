//! Where threads wait for each other between two steps of common work.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// How often a thread looks whether the barrier has opened before it goes to sleep: some tens of microseconds. To be woken takes about as
/// long, and steps of less than two milliseconds are to be told from each other.
const LOOKS: u32 = 2_000;

/// A barrier for a fixed number of threads, used again and again.
#[derive(Debug)]
pub struct Barrier {
    threads: usize,
    /// See [`LOOKS`]; none where threads are more than processors, since whoever is waited for may need this one.
    looks: u32,
    /// Threads that have come to the barrier this time.
    come: AtomicUsize,
    /// How often it has opened.
    ended: AtomicUsize,
    /// Whether somebody will not come any more.
    is_broken: AtomicBool,
    /// Held while the barrier opens, so that nobody falls asleep just then.
    ending: Mutex<()>,
    end: Condvar,
}

impl Barrier {
    /// A barrier for so many threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            threads,
            looks: if threads <= processors { LOOKS } else { 0 },
            come: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            is_broken: AtomicBool::new(false),
            ending: Mutex::new(()),
            end: Condvar::new(),
        }
    }

    /// Has the others stop waiting should this thread panic while it holds the seat.
    #[must_use]
    pub const fn seat(&self) -> Seat<'_> {
        Seat(self)
    }

    /// Waits until all have come. The last to come does what is to be done once, before anybody goes on. False when one of them will not
    /// come any more: then it never opens again.
    #[must_use]
    pub fn wait(&self, once: impl FnOnce()) -> bool {
        let ended = self.ended.load(Ordering::Acquire);
        // What each thread did before is seen by the last to come, and what that one does by all.
        if self.come.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            once();
            self.come.store(0, Ordering::Relaxed);
            self.wake(|| self.ended.store(ended.wrapping_add(1), Ordering::Release));
            return true;
        }
        let is_over = || self.ended.load(Ordering::Acquire) != ended;
        let goes_on = || !is_over() && !self.is_broken.load(Ordering::Relaxed);
        for _ in 0..self.looks {
            if !goes_on() {
                return is_over();
            }
            std::hint::spin_loop();
        }
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        while goes_on() {
            ending = self.end.wait(ending).unwrap_or_else(PoisonError::into_inner);
        }
        is_over()
    }

    /// Changes what those who wait are waiting for.
    fn wake(&self, change: impl FnOnce()) {
        let ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        change();
        drop(ending);
        self.end.notify_all();
    }
}

/// A thread's place at the barrier.
#[derive(Debug)]
pub struct Seat<'m>(&'m Barrier);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.wake(|| self.0.is_broken.store(true, Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each thread counts for itself; each time the barrier opens all counts must be the same, and one thread alone sees to that.
    #[test]
    fn nobody_goes_on_before_all_have_come() {
        const THREADS: usize = 5;
        const MEETINGS: usize = 2_000;
        let barrier = Barrier::new(THREADS);
        let counts: [AtomicUsize; THREADS] = Default::default();
        let met = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for count in &counts {
                scope.spawn(|| {
                    for number in 1..=MEETINGS {
                        count.store(number, Ordering::Relaxed);
                        assert!(barrier.wait(|| {
                            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == number));
                            met.fetch_add(1, Ordering::Relaxed);
                        }));
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

    #[test]
    fn nobody_waits_for_a_thread_that_panicked() {
        let barrier = Barrier::new(3);
        let told = AtomicUsize::new(0);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            std::thread::scope(|scope| {
                for number in 0..3 {
                    let (barrier, told) = (&barrier, &told);
                    scope.spawn(move || {
                        let _seat = barrier.seat();
                        assert!(barrier.wait(|| ()));
                        assert!(number != 2, "this one does not come again");
                        told.fetch_add(usize::from(!barrier.wait(|| ())), Ordering::Relaxed);
                    });
                }
            });
        }));
        assert!(ended.is_err());
        assert_eq!(told.into_inner(), 2);
    }
}
