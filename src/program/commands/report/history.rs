//! Earlier inventories, which a report is compared with.

use crate::commands::of_state;
use crate::state::{Form, State};
use kaspector::capture::display_path;
use kaspector::matching::{HostFinding, SignatureSet};
use kaspector_report::compliance::{Changes, Stage};
use kaspector_report::{HostsDiff, HostsReport};
use std::path::{Path, PathBuf};

/// The earlier inventories, of which the hosts of the latest are kept.
pub struct History {
    stages: Vec<Stage>,
    latest: (String, HostsReport),
}

impl History {
    /// Reads them, the earliest first; `None` if there are none.
    pub fn read(paths: &[PathBuf], signatures: &SignatureSet) -> anyhow::Result<Option<Self>> {
        // What is wrong with one of them is said before any is read, which may take long.
        for path in paths {
            State::open_to_read(path).map_err(of_state)?;
        }
        let mut history: Option<Self> = None;
        for path in paths {
            let (name, inventory) = (display_path(path), slim_inventory(path, signatures)?);
            history = Some(match history {
                None => Self { stages: vec![Stage::of(&name, &inventory.hosts, None)], latest: (name, inventory) },
                Some(before) => {
                    let (_, stages) = before.until(&name, &inventory)?;
                    Self { stages, latest: (name, inventory) }
                }
            });
        }
        Ok(history)
    }

    /// What is different in a later inventory, and all stages with it.
    pub fn until(self, name: &str, inventory: &HostsReport) -> anyhow::Result<(Changes, Vec<Stage>)> {
        let Self { mut stages, latest: (before, earlier) } = self;
        let diff = HostsDiff::of((&before, &earlier), (name, inventory));
        crate::commands::hosts::check_order(&diff, &before, name)?;
        let changes = Changes::of(&diff);
        stages.push(Stage::of(name, &inventory.hosts, Some(&changes)));
        Ok((changes, stages))
    }
}

/// What a comparison needs of a host.
pub fn without_evidence(mut finding: HostFinding) -> HostFinding {
    finding.evidence = Vec::new();
    finding
}

fn slim_inventory(path: &Path, signatures: &SignatureSet) -> anyhow::Result<HostsReport> {
    let state = State::open_to_read(path).map_err(of_state)?;
    let form = Form { make: &without_evidence, order: |finding: &HostFinding| (finding.verdict, finding.host) };
    let (report, hosts) = state.listing_as(signatures, form).map_err(of_state)?;
    Ok(HostsReport { hosts, ..report })
}
