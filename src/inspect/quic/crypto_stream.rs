//! The handshake bytes that CRYPTO frames carry (RFC 9000 section 19.6), in whatever order they come.

/// Bytes that are kept: the longest hello and its header (RFC 8446 section 4.1.2).
const KEPT_MAX: usize = 131_400;
/// Memory that is kept from one connection to the next.
const CAPACITY_KEPT: usize = 8 << 10;
/// Separate runs that are kept; browsers shuffle a hello into a dozen.
const RUNS_MAX: usize = 256;

/// One direction of a connection's handshake, up to its first message.
#[derive(Clone, Debug, Default)]
pub struct CryptoStream {
    bytes: Vec<u8>,
    /// Received runs, `(from, to)`, apart from each other and in order.
    runs: Vec<(usize, usize)>,
}

impl CryptoStream {
    /// Takes the bytes of a frame. Those beyond what is kept are left out, and of bytes that come twice the first copy stays.
    pub fn insert(&mut self, offset: u64, data: &[u8]) {
        let Ok(from) = usize::try_from(offset) else { return };
        let to = from.saturating_add(data.len()).min(KEPT_MAX);
        if from >= to {
            return;
        }
        if self.bytes.len() < to {
            self.bytes.resize(to, 0);
        }
        // Only the bytes between known runs are new.
        let mut at = from;
        for &(known_from, known_to) in &self.runs {
            copy(&mut self.bytes, data, from, at, to.min(known_from));
            at = at.max(known_to);
        }
        copy(&mut self.bytes, data, from, at, to);
        self.add_run(from, to);
    }

    /// The bytes from the first on, as far as they are without a gap.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        match self.runs.first() {
            Some(&(0, to)) => self.bytes.get(..to).unwrap_or(&[]),
            _ => &[],
        }
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > CAPACITY_KEPT {
            self.bytes = Vec::new();
        }
        self.runs.clear();
    }

    fn add_run(&mut self, mut from: usize, mut to: usize) {
        self.runs.retain(|&(known_from, known_to)| {
            let apart = known_to < from || known_from > to;
            if !apart {
                from = from.min(known_from);
                to = to.max(known_to);
            }
            apart
        });
        if self.runs.len() < RUNS_MAX {
            let at = self.runs.partition_point(|&(known, _)| known < from);
            self.runs.insert(at, (from, to));
        }
    }
}

/// Copies what `data`, which begins at `start`, has for the places `from..to`.
fn copy(bytes: &mut [u8], data: &[u8], start: usize, from: usize, to: usize) {
    if from >= to {
        return;
    }
    if let (Some(into), Some(new)) = (bytes.get_mut(from..to), data.get(from - start..to - start)) {
        into.copy_from_slice(new);
    }
}
