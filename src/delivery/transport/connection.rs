//! What was written to a connection and may not have arrived.
//!
//! A stream that breaks loses what lies in buffers: what the other system has not acknowledged, and what it has acknowledged and the program
//! there has not read. The first counts as delivered nowhere; both are written again over the next connection. Receivers know doubles by
//! their uid.

use super::super::Message;
use super::Standing;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The last messages that were written, in order: all that the other side has not acknowledged, and before them what it may have acknowledged
/// without reading it.
#[derive(Debug)]
pub(super) struct Outstanding {
    messages: VecDeque<Written>,
    bytes: usize,
    /// Bytes of acknowledged messages that stay remembered.
    bytes_max: usize,
    /// How many of the first the other side has acknowledged over the connection that is open.
    arrived: usize,
    /// The same over any connection: these were counted.
    acknowledged: usize,
    /// How many of the first arrived so long ago that they were read, too.
    settled: usize,
    last_arrival: Option<Instant>,
}

#[derive(Debug)]
struct Written {
    message: Arc<Message>,
    /// Bytes that the connection had been given when it had been given this.
    end: u64,
    /// When the other side acknowledged it; of no meaning before.
    at: Instant,
}

/// More than lies unread where bytes arrive over TCP. By Linux's defaults that buffer grows up to 6 MiB (tcp(7), `tcp_rmem`), which it does
/// when a receiver that was away is given all that it missed.
const TCP_BYTES_MAX: usize = 16 << 20;
/// More than lies in a Unix socket: 208 KiB by Linux's default (socket(7), `wmem_default`).
pub(super) const UNIX_BYTES_MAX: usize = 256 << 10;
/// Longer than a receiver that is well leaves bytes unread.
const AGE_MAX: Duration = Duration::from_secs(10);

impl Outstanding {
    pub fn over_tcp() -> Self {
        Self::within(TCP_BYTES_MAX)
    }

    pub fn over_unix_socket() -> Self {
        Self::within(UNIX_BYTES_MAX)
    }

    fn within(bytes_max: usize) -> Self {
        let messages = VecDeque::new();
        Self { messages, bytes: 0, bytes_max, arrived: 0, acknowledged: 0, settled: 0, last_arrival: None }
    }

    /// What is to be written first over a new connection, in order.
    pub fn again(&self) -> Vec<Arc<Message>> {
        self.messages.iter().map(|written| Arc::clone(&written.message)).collect()
    }

    /// Takes note that all of it was written over a new connection, which had then been given so many bytes with each.
    pub fn wrote_again(&mut self, ends: &[u64]) {
        self.arrived = 0;
        for (written, &end) in self.messages.iter_mut().zip(ends) {
            written.end = end;
        }
    }

    /// Remembers what was written, and how many bytes the connection had been given with each.
    pub fn wrote(&mut self, batch: &[Arc<Message>], ends: &[u64]) {
        let at = Instant::now();
        for (message, &end) in batch.iter().zip(ends) {
            self.bytes += message.line.len();
            self.messages.push_back(Written { message: Arc::clone(message), end, at });
        }
    }

    /// The other side has acknowledged so many bytes of the connection.
    pub fn acknowledge(&mut self, bytes: u64) {
        let now = Instant::now();
        for written in self.messages.range_mut(self.arrived..) {
            if written.end > bytes {
                break;
            }
            written.at = now;
            self.arrived += 1;
            self.last_arrival = Some(now);
        }
        self.acknowledged = self.acknowledged.max(self.arrived);
        self.forget();
    }

    /// Forgets what was certainly read. Measured from what arrived last, not from now: what lay unread when the receiver died does so however
    /// long nobody comes in its place.
    fn forget(&mut self) {
        while let Some(last) = self.last_arrival
            && self.arrived > 0
            && self.messages.len() > 1
            && let Some(first) =
                self.messages.pop_front_if(|first| self.bytes > self.bytes_max || last - first.at > AGE_MAX)
        {
            self.bytes -= first.message.line.len();
            self.arrived -= 1;
            self.acknowledged -= 1;
            self.settled = self.settled.saturating_sub(1);
        }
    }

    /// How many of the messages written have not been acknowledged, and how many a break could still swallow.
    pub fn standing(&mut self) -> Standing {
        while self.settled < self.arrived
            && self.messages.get(self.settled).is_some_and(|written| written.at.elapsed() > AGE_MAX)
        {
            self.settled += 1;
        }
        let left = |of: usize| self.messages.len() - of;
        Standing { unacknowledged: left(self.acknowledged), unsettled: left(self.settled), is_broken: false }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Weight;

    fn message(number: usize, bytes: usize) -> Arc<Message> {
        let line = format!("{}{number}", "0".repeat(bytes - 1)).into();
        Arc::new(Message { uid: "".into(), host: "".into(), weight: Weight::Finding, line })
    }

    fn long_ago() -> Instant {
        Instant::now().checked_sub(2 * AGE_MAX).unwrap()
    }

    fn last_digits(outstanding: &Outstanding) -> String {
        outstanding.again().iter().filter_map(|message| message.line.chars().last()).collect()
    }

    fn counts(outstanding: &mut Outstanding) -> (usize, usize) {
        let Standing { unacknowledged, unsettled, .. } = outstanding.standing();
        (unacknowledged, unsettled)
    }

    #[test]
    fn what_is_not_acknowledged_waits_however_much_and_long() {
        let mut outstanding = Outstanding::over_tcp();
        for number in 1..=5_u64 {
            outstanding.wrote(&[message(number as usize, 6 << 20)], &[number * 10]);
        }
        outstanding.messages.iter_mut().for_each(|written| written.at = long_ago());
        outstanding.acknowledge(9);
        assert_eq!((counts(&mut outstanding), last_digits(&outstanding)), ((5, 5), "12345".to_owned()));
        // Of what has been acknowledged, no buffer holds more than the newest.
        outstanding.acknowledge(49);
        assert_eq!((counts(&mut outstanding), last_digits(&outstanding)), ((1, 2), "45".to_owned()));
    }

    #[test]
    fn what_arrived_is_remembered_until_later_messages_arrive() {
        let mut outstanding = Outstanding::over_tcp();
        outstanding.wrote(&[message(1, 10), message(2, 10)], &[10, 20]);
        outstanding.acknowledge(20);
        assert_eq!(counts(&mut outstanding), (0, 2));
        outstanding.messages.iter_mut().for_each(|written| written.at = long_ago());
        outstanding.last_arrival = Some(long_ago());
        // They have settled; but nobody knows whether the receiver still lives.
        outstanding.wrote(&[message(3, 10)], &[30]);
        outstanding.acknowledge(20);
        assert_eq!((counts(&mut outstanding), last_digits(&outstanding)), ((1, 1), "123".to_owned()));
        outstanding.acknowledge(30);
        assert_eq!((counts(&mut outstanding), last_digits(&outstanding)), ((0, 1), "3".to_owned()));
    }

    #[test]
    fn what_is_written_again_is_acknowledged_anew_and_counted_once() {
        let mut outstanding = Outstanding::over_tcp();
        outstanding.wrote(&[message(1, 10), message(2, 10), message(3, 10)], &[10, 20, 30]);
        outstanding.acknowledge(20);
        assert_eq!(counts(&mut outstanding), (1, 3));
        outstanding.wrote_again(&[110, 120, 130]);
        outstanding.acknowledge(110);
        assert_eq!((counts(&mut outstanding), outstanding.arrived), ((1, 3), 1));
        outstanding.acknowledge(130);
        assert_eq!((counts(&mut outstanding), outstanding.arrived), ((0, 3), 3));
    }
}
