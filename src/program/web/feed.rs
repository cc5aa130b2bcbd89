//! Alerts for those who look: the recent ones, and each new one.

use kaspector_delivery::{Message, Weight};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast::{self, Receiver, Sender};

/// Alerts that somebody who comes back can still be given.
pub const RECENT_MAX: usize = 1000;
/// Bytes of their lines.
const RECENT_BYTES_MAX: usize = 4 << 20;
/// Alerts that a slow reader may be behind.
const BEHIND_MAX: usize = 1024;

/// Where alerts are published. Nobody who reads can hold the publisher up.
#[derive(Debug)]
pub(super) struct AlertFeed {
    recent: Mutex<Recent>,
    sender: Sender<Arc<Message>>,
}

#[derive(Debug, Default)]
struct Recent {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
}

/// What somebody gets who begins to read.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Alerts from before, oldest first.
    pub before: VecDeque<Arc<Message>>,
    /// Whether there may have been more between those and the one that was named.
    pub has_gap: bool,
    /// Alerts from now on.
    pub receiver: Receiver<Arc<Message>>,
}

impl Default for AlertFeed {
    fn default() -> Self {
        Self { recent: Mutex::default(), sender: broadcast::channel(BEHIND_MAX).0 }
    }
}

impl AlertFeed {
    /// Shows a message to everybody who reads. Counters are no alerts, and are left out.
    pub fn publish(&self, message: &Message) {
        if message.weight == Weight::Stats {
            return;
        }
        let message = Arc::new(message.clone());
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.bytes += message.line.len();
        recent.messages.push_back(Arc::clone(&message));
        while recent.messages.len() > RECENT_MAX || recent.bytes > RECENT_BYTES_MAX {
            let Some(oldest) = recent.messages.pop_front() else { break };
            recent.bytes -= oldest.line.len();
        }
        // Under the lock, so that whoever subscribes gets each message once: from before, or as new.
        let _ = self.sender.send(message);
    }

    /// Begins to read behind the alert `after`; without one, with the last `count`.
    pub(super) fn subscribe(&self, after: Option<&str>, count: usize) -> Subscription {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        let held = recent.messages.len();
        let known = after.and_then(|uid| recent.messages.iter().rposition(|message| &*message.uid == uid));
        let start = match (after, known) {
            (_, Some(at)) => at + 1,
            (Some(_), None) => 0,
            (None, None) => held.saturating_sub(count),
        };
        let has_gap = after.is_some() && known.is_none();
        Subscription { before: recent.messages.iter().skip(start).cloned().collect(), has_gap, receiver }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message(uid: usize, weight: Weight, bytes: usize) -> Message {
        let line = "x".repeat(bytes).into();
        Message { uid: uid.to_string().into(), host: "10.0.0.1".into(), weight, line }
    }

    fn uids(subscription: &Subscription) -> Vec<&str> {
        subscription.before.iter().map(|message| &*message.uid).collect()
    }

    #[test]
    fn one_reads_on_where_one_stopped() {
        let feed = AlertFeed::default();
        (0..5).for_each(|uid| feed.publish(&message(uid, Weight::Finding, 10)));
        assert_eq!(uids(&feed.subscribe(Some("2"), 0)), ["3", "4"]);
        assert_eq!(uids(&feed.subscribe(None, 2)), ["3", "4"]);
        assert!(feed.subscribe(None, 0).before.is_empty());
        let unknown = feed.subscribe(Some("gone"), 0);
        assert!(unknown.has_gap && unknown.before.len() == 5);
        let mut last = feed.subscribe(Some("4"), 9);
        feed.publish(&message(5, Weight::Summary, 10));
        assert!(last.before.is_empty() && !last.has_gap);
        assert_eq!(&*last.receiver.try_recv().unwrap().uid, "5");
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let feed = AlertFeed::default();
        (0..2 * RECENT_MAX).for_each(|uid| feed.publish(&message(uid, Weight::Finding, 10)));
        assert_eq!(feed.subscribe(None, usize::MAX).before.len(), RECENT_MAX);
        (0..200).for_each(|uid| feed.publish(&message(uid, Weight::Finding, 60_000)));
        let bytes: usize = feed.subscribe(None, usize::MAX).before.iter().map(|message| message.line.len()).sum();
        assert!(bytes <= RECENT_BYTES_MAX && bytes > RECENT_BYTES_MAX - 60_001);
    }

    #[test]
    fn counters_are_no_alerts() {
        let feed = AlertFeed::default();
        feed.publish(&message(0, Weight::Stats, 10));
        assert!(feed.subscribe(None, 9).before.is_empty());
    }
}
