//! Writes the alerts of a scan as EVE, input by input.

use super::targets::AlertTarget;
use crate::process::output_file::cut_half_line;
use kaspector::matching::{Alert, SignatureSet};
use kaspector_logs::FlowName;
use kaspector_report::{EveCompat, EveLog, EveOrigin, EveWriter, InputReport};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::{Mutex, PoisonError};

/// Writes alerts. Inputs may end on any thread, one at a time.
pub struct AlertWriter<'a> {
    writer: Mutex<EveWriter<'a, BufWriter<Box<dyn Write + Send>>>>,
    /// The file behind it, if it is one.
    file: Option<File>,
    /// The first thing that went wrong.
    trouble: Mutex<Option<io::Error>>,
}

impl<'a> AlertWriter<'a> {
    /// Writes to `target`, as Suricata of that version does.
    #[must_use]
    pub fn new(target: AlertTarget, signatures: &'a SignatureSet, compat: EveCompat) -> Self {
        let (out, file): (Box<dyn Write + Send>, _) = match target {
            AlertTarget::Stdout => (Box::new(io::stdout()), None),
            AlertTarget::File(file) => {
                let regular = file.regular();
                (Box::new(file), regular)
            }
        };
        let writer = Mutex::new(EveWriter::new(BufWriter::with_capacity(1 << 16, out), signatures, compat));
        Self { writer, file, trouble: Mutex::default() }
    }

    /// What one input showed is written when the input is through, so that a kill takes no more than what is under way.
    pub fn write(&self, input: &InputReport, alerts: &[Alert], flow_names: &[FlowName]) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_some() {
            return;
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (path, digest) = (&*input.path, &input.digest);
        let unnamed = FlowName::default();
        let names = flow_names.iter().chain(std::iter::repeat(&unnamed));
        let written = alerts.iter().zip(names).try_for_each(|(alert, name)| {
            let origin = match &input.log {
                None => EveOrigin::File { path, digest },
                Some(_) => EveOrigin::Log(EveLog {
                    path: Some(path),
                    digest,
                    flow_id: name.flow_id,
                    community_id: name.community_id.as_deref(),
                }),
            };
            writer.write(alert, origin)
        });
        *trouble = written.and_then(|()| writer.flush()).err();
    }

    /// Says what went wrong, if anything did: lines behind that were not written.
    pub fn finish(self) -> io::Result<()> {
        let trouble = self.trouble.into_inner().unwrap_or_else(PoisonError::into_inner);
        let writer = self.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        // What could not be written must not be tried again when the buffer goes.
        drop(writer.into_inner().into_parts());
        let Some(error) = trouble else { return Ok(()) };
        if let Some(mut file) = self.file {
            // The lines before are whole, and whoever reads them need not know that there was one more.
            cut_half_line(&mut file)?;
        }
        Err(error)
    }
}
