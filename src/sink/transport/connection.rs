//! What a broken connection may have swallowed.

use super::super::Message;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The last messages that were written to a connection and that the other side may not have read when it broke.
///
/// Streams without acknowledgements lose what lies unread in socket buffers when the reader dies. So that much is sent once more
/// over the next connection; receivers know doubles by their uid.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    messages: VecDeque<(Instant, Arc<Message>)>,
    bytes: usize,
}

// Linux gives a socket 208 KiB of send buffer by default.
const BYTES_MAX: usize = 256 << 10;
const AGE_MAX: Duration = Duration::from_secs(10);

impl Unconfirmed {
    /// Remembers what was written.
    pub fn wrote(&mut self, batch: &[Arc<Message>]) {
        let now = Instant::now();
        for message in batch {
            self.bytes += message.line.len();
            self.messages.push_back((now, Arc::clone(message)));
        }
        while self.bytes > BYTES_MAX && self.messages.len() > 1 {
            self.forget_first();
        }
    }

    /// What is to be written again, in order. It stays remembered.
    pub fn again(&mut self) -> Vec<Arc<Message>> {
        while self.messages.front().is_some_and(|(at, _)| at.elapsed() > AGE_MAX) {
            self.forget_first();
        }
        self.messages.iter().map(|(_, message)| Arc::clone(message)).collect()
    }

    fn forget_first(&mut self) {
        if let Some((_, message)) = self.messages.pop_front() {
            self.bytes -= message.line.len();
        }
    }
}
