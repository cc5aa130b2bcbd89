//! Outputs come and go while a spool is in use.

use super::{Reader, Shared, State, Taker, TakerState, checkpoint};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Where takers are added and removed, by whatever thread.
#[derive(Debug)]
pub struct Takers {
    /// The spool waits for its readers at the end, not for this.
    shared: Weak<Shared>,
    folder: Option<PathBuf>,
}

impl Takers {
    pub(super) fn new(shared: &Arc<Shared>, folder: Option<PathBuf>) -> Self {
        Self { shared: Arc::downgrade(shared), folder }
    }

    /// The reading end for `taker`, which begins where it stood when it was last there, and else behind what has come so far. `None` when
    /// the spool is gone.
    #[must_use]
    pub fn add(&self, taker: Taker) -> Option<Reader> {
        let shared = self.shared.upgrade()?;
        let number = shared.state().add(taker, self.folder.as_deref());
        Some(Reader::new(shared, number))
    }

    /// Keeps nothing more for the taker of this name.
    pub fn remove(&self, name: &str) {
        let Some(shared) = self.shared.upgrade() else { return };
        for taker in shared.state().takers.iter_mut().filter(|taker| taker.name == name) {
            taker.is_gone = true;
        }
    }
}

impl State {
    /// Sees to it that there is a taker of this name, and gives its number.
    pub(super) fn add(&mut self, Taker { name, takes_stats }: Taker, folder: Option<&Path>) -> usize {
        if let Some(number) = self.takers.iter().position(|taker| taker.name == name) {
            if let Some(taker) = self.takers.get_mut(number) {
                (taker.is_gone, taker.takes_stats, taker.handed) = (false, takes_stats, taker.taken);
            }
            return number;
        }
        let path = folder.map(|folder| checkpoint::path_of(folder, &name));
        let taken = match path {
            // One that was there and cannot be read: everything again rather than too little.
            Some(path) if path.exists() => checkpoint::read(&path).unwrap_or(0),
            _ => self.last,
        };
        self.takers.push(TakerState { name, takes_stats, is_gone: false, handed: taken, taken, saved: 0, lost: 0 });
        self.takers.len() - 1
    }
}
