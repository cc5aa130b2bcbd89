//! Outputs come and go while a spool is in use.

use super::{Reader, Shared, Taker, checkpoint};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

/// Where takers are added and removed, and the spool is asked how it is, by whatever thread.
#[derive(Clone, Debug)]
pub struct Takers {
    /// The spool waits for its readers at the end, not for this.
    shared: Weak<Shared>,
    folder: Option<PathBuf>,
}

impl Takers {
    pub(super) fn new(shared: &Arc<Shared>, folder: Option<PathBuf>) -> Self {
        Self { shared: Arc::downgrade(shared), folder }
    }

    /// The reading end for `taker`, which begins where it stood when it was last there, as far as that is still there, and else behind what
    /// has come so far. `None` when the spool is gone.
    #[must_use]
    pub fn add(&self, taker: Taker) -> Option<Reader> {
        let shared = self.shared.upgrade()?;
        let name = taker.name.clone();
        let (number, progress) = {
            let mut state = shared.state();
            let floor = state.first_kept();
            let number = state.add(taker, self.folder.as_deref(), &floor);
            (number, state.takers.get(number)?.progress())
        };
        if let Some(path) = self.folder.as_deref().map(|folder| checkpoint::path_of(folder, &name))
            && !path.exists()
        {
            // At once: a sensor that is killed before the next upkeep would take it for new, and skip what was told meanwhile. Should the
            // disk refuse, it says so at the next upkeep.
            let _ = checkpoint::write(&path, &name, &progress);
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

    /// Brings what is known of each taker up to date. Says how many bytes messages take now, on disk or else in memory, and what was found
    /// wrong with segments of late. `None` when the spool is gone.
    #[must_use]
    pub fn look(&self) -> Option<(u64, Option<String>)> {
        let shared = self.shared.upgrade()?;
        let state = shared.state();
        state.note_waiting();
        let used = if self.folder.is_some() { state.disk_bytes } else { state.held_bytes as u64 };
        Some((used, state.damage().map(str::to_owned)))
    }
}
