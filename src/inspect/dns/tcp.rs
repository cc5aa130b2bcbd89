//! DNS over TCP: messages behind a length of two bytes (RFC 7766 section 8).

/// Bytes of one message that are kept: as many as it can have.
const KEPT_MAX: usize = u16::MAX as usize;
/// Memory that is kept from one connection to the next.
const CAPACITY_KEPT: usize = 8 << 10;

/// One direction of a DNS connection.
#[derive(Debug, Default)]
pub struct TcpStream {
    held: Vec<u8>,
    /// Bytes of the message at hand that are let go.
    skip: usize,
}

impl TcpStream {
    /// Takes the next bytes of the stream and gives each whole message, the prefix removed.
    pub fn accept(&mut self, mut bytes: &[u8], mut message: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = bytes.get(skipped..).unwrap_or(&[]);
                continue;
            }
            if self.held.is_empty()
                && let Some((prefix, rest)) = bytes.split_first_chunk::<2>()
                && let Some((whole, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*prefix)))
            {
                if !whole.is_empty() {
                    // The same bytes, whether or not the message came in one piece.
                    message(whole.get(..KEPT_MAX).unwrap_or(whole));
                }
                bytes = rest;
                continue;
            }
            let wanted = match self.held.first_chunk::<2>() {
                Some(prefix) => 2 + usize::from(u16::from_be_bytes(*prefix)),
                None => 2,
            };
            let kept = wanted.min(2 + KEPT_MAX);
            let (taken, rest) = bytes.split_at_checked(kept - self.held.len().min(kept)).unwrap_or((bytes, &[]));
            self.held.extend_from_slice(taken);
            bytes = rest;
            if wanted > 2 && self.held.len() == kept {
                message(self.held.get(2..).unwrap_or(&[]));
                self.skip = wanted - kept;
                self.held.clear();
            } else if self.held.as_slice() == [0, 0] {
                self.held.clear();
            }
        }
    }

    /// Gives what there is of a message that will not be completed.
    pub fn finish(&mut self, message: impl FnOnce(&[u8])) {
        if let Some(begun) = self.held.get(2..).filter(|begun| !begun.is_empty()) {
            message(begun);
        }
        self.clear();
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.held.clear();
        if self.held.capacity() > CAPACITY_KEPT {
            self.held = Vec::new();
        }
        self.skip = 0;
    }
}
