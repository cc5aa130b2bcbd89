//! What SIGHUP has read again: checked as a whole before any of it counts.

use super::control::Control;
use super::{Notice, Reload, Renewed, Settings, Tell};
use crate::sandbox::{Sandbox, folder_of};
use kaspector_delivery::{OutputSpec, Outputs, Prepared};
use kaspector_live::{Choice, Filter};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A reload that is under way.
pub type Reloading = JoinHandle<Result<Reloaded, String>>;

/// What the sensor does now, and how far it reaches.
#[derive(Clone, Debug)]
pub struct Current {
    /// What it was told last.
    pub settings: Settings,
    /// Which frames it takes.
    pub choice: Arc<Choice>,
    /// Its name.
    pub sensor: Arc<str>,
    /// The files within reach, where the kernel holds it to them.
    pub confined: Option<Sandbox>,
}

/// What can be taken up at once, none of it can fail any more.
#[derive(Debug)]
pub struct Reloaded {
    /// As [`Current::settings`].
    pub settings: Settings,
    /// As [`Current::choice`]; the very same where nothing changed.
    pub choice: Arc<Choice>,
    /// The outputs, where they changed.
    pub outputs: Option<Prepared>,
    /// What the user should know besides.
    pub remarks: Vec<String>,
}

impl Reloaded {
    /// Reads everything again; says what is wrong if anything is. May take as long as a disk or a name lookup takes.
    pub fn read(reload: &Reload, current: Current) -> Result<Self, String> {
        let Current { settings: before, choice: chosen, sensor, confined } = current;
        let renewed = (reload.0)()?;
        let Renewed { summary_interval_s, stats_interval_s, stale_after, silent_after, ref site, .. } = renewed;
        let site = Arc::clone(site);
        let Renewed { signatures, choice, outputs: specs, remarks, .. } = renewed;
        choice.filter.as_deref().map(Filter::new).transpose().map_err(|error| error.to_string())?;
        let outputs = if specs == before.outputs {
            None
        } else {
            let mut new = specs.iter().filter(|spec| !before.outputs.contains(spec));
            new.try_for_each(|spec| within_reach(spec, confined.as_ref()))?;
            Some(Outputs::prepare(&specs, &before.outputs, &sensor).map_err(|error| error.to_string())?)
        };
        let known = &before.signatures;
        let is_same = signatures.sha256() == known.sha256() && signatures.version() == known.version();
        let signatures = match is_same {
            true => Arc::clone(known),
            false => Arc::new(signatures.succeed(known).map_err(|error| error.to_string())?),
        };
        let settings = Settings {
            signatures,
            outputs: specs,
            summary_interval_s,
            stats_interval_s,
            stale_after,
            silent_after,
            site,
        };
        let choice = if choice == *chosen { chosen } else { Arc::new(choice) };
        Ok(Self { settings, choice, outputs, remarks })
    }
}

impl Control<'_> {
    /// Begins to read configuration and signatures again, beside the work.
    pub fn begin_reload(&self) -> Option<Reloading> {
        let reload = self.options.reload.clone()?;
        let current = Current {
            settings: self.settings.clone(),
            choice: Arc::clone(&self.choice),
            sensor: Arc::clone(&self.options.output_options.sensor),
            confined: self.is_confined.then(|| self.options.sandbox.clone()),
        };
        let handle = self.alerts.publisher().outputs().handle();
        Some(handle.spawn_blocking(move || Reloaded::read(&reload, current)))
    }

    /// Takes up what was read again, or says why everything stays as it was.
    pub fn renew(&mut self, renewed: Result<Reloaded, String>, tell: Tell<'_>) {
        let reloaded = match renewed {
            Ok(reloaded) => reloaded,
            Err(error) => {
                tell(Notice::Warning(&format!("not reloaded, everything stays as it was: {error}")));
                return;
            }
        };
        reloaded.remarks.iter().for_each(|remark| tell(Notice::Warning(remark)));
        self.alerts.set(&reloaded);
        let Reloaded { settings, choice, outputs, .. } = reloaded;
        if let Some(web) = &self.web {
            web.set_stale_after(settings.stale_after);
        }
        let signatures = &settings.signatures;
        tell(Notice::Event(&format!(
            "reloaded: signature set {} with {} indicators{}",
            signatures.version(),
            signatures.len(),
            if Arc::ptr_eq(signatures, &self.settings.signatures) { ", as before" } else { "" },
        )));
        if choice != self.choice {
            let Choice { filter, snaplen } = &*choice;
            let filter = filter.as_deref().unwrap_or("none");
            tell(Notice::Event(&format!("reloaded: filter: {filter}; snap length: {snaplen}")));
        }
        if let Some(prepared) = outputs {
            self.alerts.publisher_mut().outputs_mut().replace(prepared);
            let names: Vec<String> = settings.outputs.iter().map(ToString::to_string).collect();
            tell(Notice::Event(&format!("reloaded: outputs: {}", names.join(", "))));
        }
        (self.settings, self.choice) = (settings, choice);
    }
}

/// The result of a reload, once it is through; never, while none is under way.
pub async fn finished(reloading: &mut Option<Reloading>) -> Option<Result<Reloaded, String>> {
    match reloading {
        Some(task) => Some(task.await.unwrap_or_else(|error| Err(format!("the reload failed: {error}")))),
        None => std::future::pending().await,
    }
}

/// Whether an output's files can be used by a sensor that gave up its privileges and is held to the folders of its start.
fn within_reach(spec: &OutputSpec, confined: Option<&Sandbox>) -> Result<(), String> {
    for path in spec.reads() {
        File::open(path).map_err(|error| {
            format!(
                "output {spec}: {}: {error}; what was not within reach at the start needs a restart",
                path.display()
            )
        })?;
    }
    let folder = spec.writes().map(folder_of);
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match folder.zip(confined) {
        Some((folder, sandbox)) if !sandbox.write.iter().any(|within| real(folder).starts_with(real(within))) => {
            Err(format!(
                "output {spec}: the sandbox was closed without {}; restart the sensor to have it opened",
                folder.display()
            ))
        }
        _ => Ok(()),
    }
}
