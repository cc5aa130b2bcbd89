//! Reads what each input showed.

use super::rows::Row;
use super::schema::{VERSION, VERSION_KEY, schema};
use super::{InputPart, LeftOut, PartialError, convert};
use arrow::json::LineDelimitedWriter;
use kaspector::matching::{Machines, SignatureSet, StoredMachines};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a file holds.
#[derive(Debug, Default)]
pub struct Part {
    /// What each scan left out.
    pub left_out: Vec<LeftOut>,
    /// The inputs, in the order in which they were written.
    pub inputs: Vec<InputPart>,
    /// Lines of evidence whose indicators the set at hand does not know; nobody can say what they prove, so they are left out.
    pub unknown_evidence: u64,
}

/// Reads a file. Indicators are looked up in `signatures`.
///
/// # Errors
/// When it is damaged, of something else, or of another version of the format.
pub fn read(file: File, signatures: &SignatureSet) -> Result<Part, PartialError> {
    // A library for a format as rich as this one may fail on damage in ways of its own.
    let read = catch_unwind(AssertUnwindSafe(|| read_rows(file, signatures)));
    read.unwrap_or_else(|_| Err(PartialError::Damaged("its reader gave up".to_owned())))
}

fn read_rows(file: File, signatures: &SignatureSet) -> Result<Part, PartialError> {
    let damaged = |error: &dyn std::fmt::Display| PartialError::Damaged(error.to_string());
    let file = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let metadata = file.metadata().file_metadata().key_value_metadata();
    let version =
        metadata.into_iter().flatten().find(|pair| pair.key == VERSION_KEY).and_then(|pair| pair.value.clone());
    match version {
        None => return Err(PartialError::Foreign),
        Some(version) if version != VERSION => return Err(PartialError::OtherVersion(version)),
        Some(_) => {}
    }
    if file.schema().fields() != schema().fields() {
        return Err(PartialError::Damaged("its columns are not those of its version".to_owned()));
    }
    let mut rows = RowReader { part: Part::default(), machines: StoredMachines::default(), signatures };
    let mut number = 0;
    for batch in file.build()? {
        let batch = batch.map_err(|error| damaged(&error))?;
        let mut lines = LineDelimitedWriter::new(Vec::new());
        lines.write(&batch).map_err(|error| damaged(&error))?;
        for line in lines.into_inner().split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            number += 1;
            let row = serde_json::from_slice(line).map_err(|error| error.to_string());
            row.and_then(|row| rows.row(row)).map_err(|what| PartialError::Row { number, what })?;
        }
    }
    rows.end_input();
    Ok(rows.part)
}

struct RowReader<'s> {
    part: Part,
    /// Of the input at hand.
    machines: StoredMachines,
    signatures: &'s SignatureSet,
}

impl RowReader<'_> {
    fn row(&mut self, row: Row) -> convert::Read<()> {
        match row {
            Row { left_out: Some(left_out), .. } => self.part.left_out.push(convert::left_out(left_out)?),
            Row { input: Some(input), .. } => {
                self.end_input();
                (self.machines.dropped, self.machines.statements_dropped) =
                    (input.machines_dropped, input.statements_dropped);
                self.part.inputs.push(convert::input(input)?);
            }
            Row { host: Some(host), .. } => {
                let (host, record, unknown) = convert::host(host, self.signatures)?;
                self.part.unknown_evidence += unknown;
                let input = self.part.inputs.last_mut().ok_or("a host before any input")?;
                input.findings.hosts.insert(host, record);
            }
            Row { machine: Some(machine), .. } => self.machines.addresses.push(convert::machine(machine)?),
            Row { link: Some(link), .. } => self.machines.links.push(convert::link(link)?),
            _ => return Err("none of the columns is filled".to_owned()),
        }
        Ok(())
    }

    /// Gives the input that was read its machines.
    fn end_input(&mut self) {
        let machines = std::mem::take(&mut self.machines);
        if let Some(input) = self.part.inputs.last_mut() {
            input.findings.machines = Machines::from_stored(machines);
        }
    }
}
