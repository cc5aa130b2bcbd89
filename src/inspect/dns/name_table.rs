//! The names of one message, each kept once: most records point to a name that was read before, and a name is large.

use super::name::read_name;
use crate::inspect::DomainName;

/// A name of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameId(u16);

/// Names by number, and where in the message each was read.
#[derive(Clone, Debug, Default)]
pub(super) struct NameTable {
    names: Vec<DomainName>,
    /// Where names begin in the message, in the order in which they were read; `None` for the root.
    offsets: Vec<(usize, Option<NameId>)>,
    questions: Vec<NameId>,
}

impl NameTable {
    /// Forgets the last message.
    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.offsets.clear();
        self.questions.clear();
    }

    /// Enters a question's name, which begins at `at`.
    pub(super) fn ask(&mut self, question: &DomainName, at: usize) {
        let id = self.enter(question);
        self.offsets.push((at, id));
        if let Some(id) = id.filter(|id| !self.questions.contains(id)) {
            self.questions.push(id);
        }
    }

    /// The questions' names, each once.
    pub(super) fn questions(&self) -> &[NameId] {
        &self.questions
    }

    pub(super) fn get(&self, id: NameId) -> Option<DomainName> {
        self.names.get(usize::from(id.0)).copied()
    }

    /// Reads the name that begins at `at`: the name, `None` for the root, and where the bytes after it begin.
    ///
    /// `None` when it cannot be read, as [`read_name`] says.
    pub(super) fn read(&mut self, message: &[u8], at: usize) -> Option<(Option<NameId>, usize)> {
        if let Some(&[high, low]) = message.get(at..).and_then(<[u8]>::first_chunk)
            && high >= 0xc0
        {
            let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
            if let Some(&(_, id)) = self.offsets.iter().find(|&&(offset, _)| offset == target) {
                return Some((id, at + 2));
            }
        }
        let (name, after) = read_name(message, at)?;
        let id = match name {
            Some(name) => Some(self.enter(&name)?),
            None => None,
        };
        self.offsets.push((at, id));
        Some((id, after))
    }

    /// The number of a name, which it is given when it is new.
    fn enter(&mut self, name: &DomainName) -> Option<NameId> {
        let known = self.names.iter().position(|known| known == name);
        let number = known.unwrap_or_else(|| {
            self.names.push(*name);
            self.names.len() - 1
        });
        u16::try_from(number).ok().map(NameId)
    }
}
