//! CSV and TSV.

use std::borrow::Cow;
use std::io::{self, Write};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::Printer;
use super::cell::Column;

/// A header and a line for each row.
pub(super) struct Delimited<'a> {
    schema: SchemaRef,
    out: Box<dyn Write + 'a>,
    style: Style,
    started: bool,
}

#[derive(Clone, Copy)]
enum Style {
    Csv,
    Tsv,
}

impl<'a> Delimited<'a> {
    pub(super) fn csv(schema: SchemaRef, out: Box<dyn Write + 'a>) -> Self {
        Self {
            schema,
            out,
            style: Style::Csv,
            started: false,
        }
    }

    pub(super) fn tsv(schema: SchemaRef, out: Box<dyn Write + 'a>) -> Self {
        Self {
            schema,
            out,
            style: Style::Tsv,
            started: false,
        }
    }

    fn header(&mut self) -> io::Result<()> {
        if self.started || self.schema.fields().is_empty() {
            return Ok(());
        }
        self.started = true;
        let names: Vec<_> = self
            .schema
            .fields()
            .iter()
            .map(|f| Some(f.name().clone()))
            .collect();
        self.line(&names)
    }

    fn line(&mut self, values: &[Option<String>]) -> io::Result<()> {
        let style = self.style;
        let separator = match style {
            Style::Csv => ",",
            Style::Tsv => "\t",
        };
        let written: Vec<_> = values
            .iter()
            .map(|value| style.write(value.as_deref()))
            .collect();
        writeln!(self.out, "{}", written.join(separator))
    }
}

impl Style {
    fn write(self, value: Option<&str>) -> Cow<'_, str> {
        match (self, value) {
            (Self::Csv, None) => "".into(),
            (Self::Csv, Some("")) => "\"\"".into(),
            (Self::Csv, Some(text)) if text.contains([',', '"', '\n', '\r']) => {
                format!("\"{}\"", text.replace('"', "\"\"")).into()
            }
            (Self::Tsv, None) => "\\N".into(),
            (Self::Tsv, Some(text)) if text.contains(['\t', '\n', '\r', '\\']) => text
                .replace('\\', "\\\\")
                .replace('\t', "\\t")
                .replace('\n', "\\n")
                .replace('\r', "\\r")
                .into(),
            (Self::Csv | Self::Tsv, Some(text)) => text.into(),
        }
    }
}

impl Printer for Delimited<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.header()?;
        let columns = batch
            .columns()
            .iter()
            .map(Column::new)
            .collect::<io::Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let values: Vec<_> = columns.iter().map(|column| column.value(row)).collect();
            self.line(&values)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.header()?;
        self.out.flush()
    }
}
