//! The keys of lines that have to be read because of lines before them.

use super::skim::Key;

/// Bits of each set; in 64 KiB they stay in a near cache.
const BITS: usize = 1 << 19;
/// Connections that are added before those that are over are forgotten.
const CONNECTIONS_MAX: usize = 1 << 15;

/// Two sets that may say yes to a stranger, whose line is then read for nothing, and never no to a member.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Empty as long as the set is.
    connections: Vec<u64>,
    others: Vec<u64>,
    added: usize,
}

impl Watch {
    pub fn add(&mut self, key: Key) {
        let words = if key.is_connection() {
            self.added += 1;
            &mut self.connections
        } else {
            &mut self.others
        };
        words.resize(BITS / 64, 0);
        let (word, bit) = place(key);
        if let Some(word) = words.get_mut(word) {
            *word |= bit;
        }
    }

    pub fn may_hold(&self, key: Key) -> bool {
        let words = if key.is_connection() { &self.connections } else { &self.others };
        let (word, bit) = place(key);
        words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Whether connections that are over should be forgotten.
    pub const fn is_crowded(&self) -> bool {
        self.added >= CONNECTIONS_MAX
    }

    /// Forgets all connections but these.
    pub fn keep_connections(&mut self, keys: impl Iterator<Item = Key>) {
        self.connections.clear();
        self.added = 0;
        keys.for_each(|key| self.add(key));
        // However many there are, each gets its time.
        self.added = 0;
    }
}

const fn place(key: Key) -> (usize, u64) {
    let at = (key.0 >> 1) as usize % BITS;
    (at / 64, 1 << (at % 64))
}
