//! Where the answer of a command goes: to standard output, or into a file that appears whole.

use super::{Usage, of_stdout, table_style};
use crate::process::output_file::{Claims, OutputFileError};
use crate::process::whole_file::{Kind, check_file, write_whole};
use anyhow::Context;
use kaspector::capture::display_path;
use kaspector_report::TableStyle;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// How answers begin: the table, JSON, lines of JSON and CSV of each command.
const ANSWER: Kind = Kind {
    words: "an answer of this program",
    begins: &["KL-"],
    marks: &[
        "SURE  FIRST SEEN",
        "No host shows Kaspersky traffic.",
        "No packet was read.",
        "No line of a log told of traffic.",
        "Nothing was read.",
        "No host is ",
        "\"kaspector.scan/1\"",
        "\"kaspector.host/1\"",
        "\"kaspector.hosts/1\"",
        "\"kaspector.diff/1\"",
        "\"kaspector.report/1\"",
        ", kaspector.report/1\">",
        "\"kaspector.signatures/1\"",
        "address,vlan,inner_vlan,vni,mac,verdict,",
        "machine,addresses,vlan,inner_vlan,vni,mac,",
        "change,address,vlan,inner_vlan,vni,differs,",
        "CHANGE    HOST",
        "No host is different.",
        "id,match,value,literal,also,ports,",
        "finding_id,state,address,vlan,",
        "kaspector.partial/1",
    ],
};

/// The place for an answer.
#[derive(Clone, Copy, Debug)]
pub struct AnswerPlace<'a>(Option<&'a Path>);

impl<'a> AnswerPlace<'a> {
    /// The place that `--output` names; `-` and nothing are standard output.
    ///
    /// # Errors
    /// When nothing may be written there, before anything is.
    pub fn new(output: Option<&'a Path>, claims: &Claims, force: bool) -> anyhow::Result<Self> {
        let path = output.filter(|path| *path != Path::new("-"));
        if let Some(path) = path {
            check_file(path, "--output", ANSWER, claims, force).map_err(of_output)?;
        }
        Ok(Self(path))
    }

    /// Whether it is standard output.
    pub const fn is_stdout(self) -> bool {
        self.0.is_none()
    }

    /// Writes an answer that is not to be read by people. What a file cannot take is an error: on a terminal it would be of no use.
    ///
    /// # Errors
    /// When it cannot be written; a file is then as it was.
    pub fn write_bytes(self, bytes: &[u8]) -> anyhow::Result<()> {
        match self.0 {
            None => io::stdout().lock().write_all(bytes).map_err(of_stdout),
            Some(path) => write_whole(path, |out| out.write_all(bytes))
                .with_context(|| format!("{}: cannot be written", display_path(path))),
        }
    }

    /// Writes the answer. In a file it is plain and has 80 columns. What a file cannot take goes to standard output, so that it is not lost.
    ///
    /// # Errors
    /// When it cannot be written; a file is then as it was.
    pub fn write(self, write: impl Fn(&mut dyn Write, TableStyle) -> io::Result<()>) -> anyhow::Result<()> {
        let to_stdout = || {
            let mut out = BufWriter::new(io::stdout().lock());
            write(&mut out, table_style()).and_then(|()| out.flush()).map_err(of_stdout)
        };
        let Some(path) = self.0 else { return to_stdout() };
        let written = write_whole(path, |out| write(out, TableStyle { width: 80, colour: false }));
        if written.is_err() {
            to_stdout()?;
        }
        written
            .with_context(|| format!("{}: cannot be written, so the answer is on standard output", display_path(path)))
    }
}

/// A file that another name would help with is bad usage.
pub fn of_output(error: OutputFileError) -> anyhow::Error {
    if error.is_refusal() { Usage(error.to_string()).into() } else { error.into() }
}
