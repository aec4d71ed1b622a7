//! Files with one JSON object per line. A member that is missing is NULL.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::json::JsonFormat;

use super::{Arrangement, LaidOut, SourceFormat, Unreadable, declared_fields, distinct};
use crate::product::declared::Declared;
use crate::product::problem::Trouble;

/// How many rows are read when a file is checked.
const SAMPLE: usize = 100;

/// JSON objects, with columns by the names of their members.
#[derive(Debug)]
pub(super) struct Ndjson {
    reader: Arc<JsonFormat>,
}

impl Ndjson {
    pub(super) fn new(session: &dyn Session) -> Self {
        let reader = JsonFormat::default()
            .with_options(session.default_table_options().json)
            .with_newline_delimited(true);
        Self {
            reader: Arc::new(reader),
        }
    }
}

#[async_trait]
impl SourceFormat for Ndjson {
    /// Nothing: each object has members of its own.
    async fn layout(&self, _session: &dyn Session, file: &Path) -> Result<SchemaRef, Unreadable> {
        let mut start = BufReader::new(File::open(file)?);
        let first = start
            .fill_buf()?
            .iter()
            .find(|byte| !byte.is_ascii_whitespace());
        match first {
            Some(b'{') | None => Ok(Arc::new(Schema::empty())),
            Some(_) => Err("it does not hold one JSON object per line".into()),
        }
    }

    fn arrange(
        &self,
        declared: &Declared<'_>,
        _files: &[LaidOut],
    ) -> Result<Arrangement, Vec<Trouble>> {
        Ok(distinct(declared_fields(declared)?))
    }

    fn sample(&self, arrangement: &Arrangement, file: &Path) -> Result<(), Unreadable> {
        let mut rows = ReaderBuilder::new(Arc::clone(&arrangement.files))
            .with_batch_size(SAMPLE)
            .build(BufReader::new(File::open(file)?))?;
        rows.next().transpose()?;
        Ok(())
    }

    fn reader(&self) -> Arc<dyn FileFormat> {
        Arc::<JsonFormat>::clone(&self.reader)
    }
}
