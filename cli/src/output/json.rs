//! JSON.

use std::io::{self, Write};

use arrow::json::LineDelimitedWriter;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use arrow::record_batch::RecordBatch;

use super::Printer;

/// Objects, one a line; between brackets if they are to be one array.
pub(super) struct Json<'a> {
    out: Box<dyn Write + 'a>,
    array: bool,
    rows: usize,
}

impl<'a> Json<'a> {
    pub(super) fn array(out: Box<dyn Write + 'a>) -> Self {
        Self {
            out,
            array: true,
            rows: 0,
        }
    }

    pub(super) fn lines(out: Box<dyn Write + 'a>) -> Self {
        Self {
            out,
            array: false,
            rows: 0,
        }
    }
}

impl Printer for Json<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let mut text = Vec::new();
        {
            let mut writer: LineDelimitedWriter<_> = WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, LineDelimited>(&mut text);
            writer
                .write(batch)
                .and_then(|()| writer.finish())
                .map_err(io::Error::other)?;
        }
        if !self.array {
            return self.out.write_all(&text);
        }
        for line in text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            self.out
                .write_all(if self.rows == 0 { b"[" } else { b",\n " })?;
            self.out.write_all(line)?;
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.array {
            self.out
                .write_all(if self.rows == 0 { b"[]\n" } else { b"]\n" })?;
        }
        self.out.flush()
    }
}
