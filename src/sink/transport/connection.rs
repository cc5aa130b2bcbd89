//! What a broken connection may have swallowed.

use super::super::Message;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The last messages that were written to a connection and that the other side may not have read when it broke.
///
/// Streams without acknowledgements lose what lies unread in socket buffers when the reader dies. So that much is sent once more
/// over the next connection; receivers know doubles by their uid.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    messages: VecDeque<(Instant, Arc<Message>)>,
    bytes: usize,
    bytes_max: usize,
}

/// More than lies between two ends of a TCP connection. By Linux's defaults its buffers grow up to 4 MiB where bytes are sent and 6 MiB
/// where they arrive (tcp(7), `tcp_wmem` and `tcp_rmem`), which they do when a receiver that was away is given all that it missed.
const TCP_BYTES_MAX: usize = 16 << 20;
/// More than lies in a Unix socket: 208 KiB by Linux's default (socket(7), `wmem_default`).
const UNIX_BYTES_MAX: usize = 256 << 10;
/// Longer than a receiver that is well leaves bytes unread.
const AGE_MAX: Duration = Duration::from_secs(10);

impl Unconfirmed {
    pub fn over_tcp() -> Self {
        Self::within(TCP_BYTES_MAX)
    }

    pub fn over_unix_socket() -> Self {
        Self::within(UNIX_BYTES_MAX)
    }

    fn within(bytes_max: usize) -> Self {
        Self { messages: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// How many bytes a connection of this kind may swallow.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Remembers what was written.
    pub fn wrote(&mut self, batch: &[Arc<Message>]) {
        let now = Instant::now();
        for message in batch {
            self.bytes += message.line.len();
            self.messages.push_back((now, Arc::clone(message)));
        }
        // Measured from what was written last, not from now: what lay unread when the reader died does so however long nobody comes in its
        // place.
        while let Some((at, _)) = self.messages.front()
            && self.messages.len() > 1
            && (self.bytes > self.bytes_max || now - *at > AGE_MAX)
        {
            self.forget_first();
        }
    }

    /// What is to be written again, in order. It stays remembered, as written now.
    pub fn again(&mut self) -> Vec<Arc<Message>> {
        let now = Instant::now();
        self.messages.iter_mut().for_each(|(at, _)| *at = now);
        self.messages.iter().map(|(_, message)| Arc::clone(message)).collect()
    }

    fn forget_first(&mut self) {
        if let Some((_, message)) = self.messages.pop_front() {
            self.bytes -= message.line.len();
        }
    }
}

/// Batches that were written to a connection without acknowledgements, by the number of their last message. As long as a broken
/// connection could swallow them they do not count as taken: a sensor that is killed has forgotten what to write again.
#[derive(Debug, Default)]
pub(in super::super) struct Settling {
    batches: VecDeque<(Instant, u64, usize)>,
    bytes: usize,
}

impl Settling {
    /// Remembers a batch of so many bytes.
    pub fn wrote(&mut self, last: u64, bytes: usize) {
        self.batches.push_back((Instant::now(), last, bytes));
        self.bytes += bytes;
    }

    /// All that is remembered may have been written once more just now.
    pub fn renew(&mut self) {
        let now = Instant::now();
        self.batches.iter_mut().for_each(|(at, ..)| *at = now);
    }

    /// Number of the last message that has settled since the last call, where a connection may swallow so many bytes.
    pub fn settled(&mut self, bytes_max: usize) -> Option<u64> {
        let mut settled = None;
        while let Some((at, last, bytes)) = self.batches.front().copied()
            && (at.elapsed() > AGE_MAX || self.bytes > bytes_max)
        {
            self.batches.pop_front();
            self.bytes -= bytes;
            settled = Some(last);
        }
        settled
    }

    /// Number of the last message at all: in good order nothing is swallowed.
    pub fn last(&self) -> Option<u64> {
        self.batches.back().map(|(_, last, _)| *last)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sink::Weight;

    fn message(number: usize, bytes: usize) -> Arc<Message> {
        let line = format!("{}{number}", "0".repeat(bytes - 1)).into();
        Arc::new(Message { uid: "".into(), host: "".into(), weight: Weight::Finding, line })
    }

    fn long_ago() -> Instant {
        Instant::now().checked_sub(2 * AGE_MAX).unwrap()
    }

    #[test]
    fn a_reader_that_stays_away_for_long_gets_what_the_last_one_left() {
        let mut unconfirmed = Unconfirmed::over_tcp();
        unconfirmed.wrote(&[message(1, 10), message(2, 10)]);
        unconfirmed.messages.iter_mut().for_each(|(at, _)| *at = long_ago());
        assert_eq!(unconfirmed.again().len(), 2);
        // Written before those that came last by more than an unread message stays.
        unconfirmed.messages.iter_mut().for_each(|(at, _)| *at = long_ago());
        unconfirmed.wrote(&[message(3, 10)]);
        assert_eq!(
            unconfirmed.again().iter().map(|message| message.line.to_string()).collect::<Vec<_>>(),
            ["0000000003"]
        );
    }

    #[test]
    fn what_no_buffer_can_hold_was_read() {
        let mut unconfirmed = Unconfirmed::over_tcp();
        (0..10).for_each(|number| unconfirmed.wrote(&[message(number, 6 << 20)]));
        assert_eq!(unconfirmed.again().len(), 2);
        let mut settling = Settling::default();
        (1..=10).for_each(|number| settling.wrote(number, 6 << 20));
        assert_eq!(settling.settled(TCP_BYTES_MAX), Some(8));
        assert_eq!((settling.settled(TCP_BYTES_MAX), settling.last()), (None, Some(10)));
    }

    #[test]
    fn a_batch_settles_with_time_unless_it_was_written_again() {
        let mut settling = Settling::default();
        settling.wrote(7, 10);
        settling.batches.iter_mut().for_each(|(at, ..)| *at = long_ago());
        settling.renew();
        assert_eq!(settling.settled(TCP_BYTES_MAX), None);
        settling.batches.iter_mut().for_each(|(at, ..)| *at = long_ago());
        assert_eq!((settling.settled(TCP_BYTES_MAX), settling.last()), (Some(7), None));
    }
}
