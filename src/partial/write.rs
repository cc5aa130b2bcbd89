//! Writes what each input showed, one after the other.

use super::convert::{input_row, left_out_row, other_rows};
use super::rows::Row;
use super::schema::{SCHEMA, VERSION, VERSION_KEY, schema};
use super::{LeftOut, PartialError, Reading};
use arrow::json::reader::{Decoder, ReaderBuilder};
use kaspector::matching::SignatureSet;
use kaspector::pipeline::Findings;
use kaspector_report::InputReport;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::io::Write;

/// Rows that are turned into columns at once, and at most so many in a row group.
const ROWS: usize = 8192;

/// A file that is being written. It is whole only once [`Self::finish`] has returned.
pub struct PartWriter<W: Write + Send> {
    file: ArrowWriter<W>,
    decoder: Decoder,
    rows: Vec<Row>,
}

impl<W: Write + Send> PartWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn new(out: W) -> Result<Self, PartialError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            // Not packed, so that whoever looks at the first bytes sees what it is.
            .set_column_compression(ColumnPath::from("schema"), Compression::UNCOMPRESSED)
            .set_max_row_group_row_count(Some(ROWS))
            // Who wrote it stands in the rows; the library's version would change the bytes of the same answer.
            .set_created_by("kaspector".to_owned())
            .set_key_value_metadata(Some(vec![KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_owned())]))
            .build();
        let file = ArrowWriter::try_new(out, schema(), Some(properties))?;
        let decoder = ReaderBuilder::new(schema()).with_batch_size(ROWS).build_decoder();
        let decoder = decoder.map_err(|error| PartialError::Damaged(error.to_string()))?;
        Ok(Self { file, decoder, rows: Vec::new() })
    }

    /// Adds what a scan left out.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_left_out(&mut self, left_out: &LeftOut) -> Result<(), PartialError> {
        self.push(Row { left_out: Some(left_out_row(left_out)), ..Row::default() })
    }

    /// Adds an input, whose evidence was found with `signatures`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_input(
        &mut self,
        reading: &Reading,
        report: &InputReport,
        findings: &Findings,
        is_defective: bool,
        signatures: &SignatureSet,
    ) -> Result<(), PartialError> {
        let machines = findings.machines.to_stored();
        let input = input_row(reading, report, findings, is_defective, (machines.dropped, machines.statements_dropped));
        self.push(Row { input: Some(input), ..Row::default() })?;
        other_rows(findings, machines, signatures).try_for_each(|row| self.push(row))
    }

    /// Ends the file, and gives back what it was written to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<W, PartialError> {
        self.flush()?;
        Ok(self.file.into_inner()?)
    }

    fn push(&mut self, row: Row) -> Result<(), PartialError> {
        self.rows.push(Row { schema: SCHEMA.to_owned(), ..row });
        if self.rows.len() < ROWS { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), PartialError> {
        let broken = |error: arrow::error::ArrowError| PartialError::Damaged(error.to_string());
        self.decoder.serialize(&self.rows).map_err(broken)?;
        self.rows.clear();
        if let Some(batch) = self.decoder.flush().map_err(broken)? {
            self.file.write(&batch)?;
        }
        Ok(())
    }
}
