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
        let name = taker.name.clone();
        let (number, taken) = shared.state().add(taker, self.folder.as_deref());
        if let Some(path) = self.folder.as_deref().map(|folder| checkpoint::path_of(folder, &name))
            && !path.exists()
        {
            // At once: a sensor that is killed before the next upkeep would take it for new, and skip what was told meanwhile. Should the
            // disk refuse, it says so at the next upkeep.
            let _ = checkpoint::write(&path, &name, taken);
        }
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
    /// Sees to it that there is a taker of this name; gives its number, and how far it has come.
    pub(super) fn add(&mut self, Taker { name, takes_stats }: Taker, folder: Option<&Path>) -> (usize, u64) {
        if let Some((number, taker)) = self.takers.iter_mut().enumerate().find(|(_, taker)| taker.name == name) {
            (taker.is_gone, taker.takes_stats, taker.handed) = (false, takes_stats, taker.taken);
            return (number, taker.taken);
        }
        let path = folder.map(|folder| checkpoint::path_of(folder, &name));
        let taken = match path {
            // One that was there and cannot be read: everything again rather than too little.
            Some(path) if path.exists() => checkpoint::read(&path).unwrap_or(0),
            _ => self.last,
        };
        self.takers.push(TakerState { name, takes_stats, is_gone: false, handed: taken, taken, saved: 0, lost: 0 });
        (self.takers.len() - 1, taken)
    }
}
