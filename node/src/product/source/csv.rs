//! CSV files as in RFC 4180: comma, double quotes, a header. An empty field is NULL.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;

use super::{Arrangement, LaidOut, SourceFormat, Unreadable, declared_fields};
use crate::product::declared::Declared;
use crate::product::problem::Trouble;

/// How many rows are read when a file is checked.
const SAMPLE: usize = 100;

/// CSV, with columns by the names in the header.
#[derive(Debug)]
pub(super) struct Csv {
    reader: Arc<CsvFormat>,
}

impl Csv {
    pub(super) fn new(session: &dyn Session) -> Self {
        let reader = CsvFormat::default()
            .with_options(session.default_table_options().csv)
            .with_has_header(true)
            .with_delimiter(b',')
            .with_quote(b'"')
            .with_escape(None)
            .with_comment(None)
            .with_terminator(None)
            .with_null_regex(None)
            .with_truncated_rows(false)
            // A line break may stand between quotes, so that no file can be cut at one.
            .with_newlines_in_values(true);
        Self {
            reader: Arc::new(reader),
        }
    }
}

#[async_trait]
impl SourceFormat for Csv {
    /// The names in the header, in order.
    async fn layout(&self, _session: &dyn Session, file: &Path) -> Result<SchemaRef, Unreadable> {
        let (header, _) = Format::default()
            .with_header(true)
            .infer_schema(File::open(file)?, Some(0))?;
        let names = header.fields().iter().map(|field| field.name().as_str());
        let names: Vec<&str> =
            // Some programs mark a file as UTF-8 with a character that is none of the name's.
            names.enumerate().map(|(place, name)| match place {
                0 => name.trim_start_matches('\u{feff}'),
                _ => name,
            }).collect();
        if names.is_empty() {
            return Err("there is no header".into());
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(**name)) {
            return Err(format!("the header names `{twice}` more than once").into());
        }
        let fields: Vec<Field> = names
            .into_iter()
            .map(|name| Field::new(name, DataType::Utf8View, true))
            .collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    fn arrange(
        &self,
        declared: &Declared<'_>,
        files: &[LaidOut],
    ) -> Result<Arrangement, Vec<Trouble>> {
        let Some((first, others)) = files.split_first() else {
            return Err(vec![declared.trouble("there are no files")]);
        };
        if let Some(other) = others.iter().find(|other| other.layout != first.layout) {
            let message = format!(
                "the headers of `{}` and `{}` differ, but a table's files must have one header",
                first.name(),
                other.name()
            );
            return Err(vec![declared.trouble(message)]);
        }
        let mut fields: Vec<FieldRef> = first.layout.fields().iter().cloned().collect();
        let mut columns = Vec::new();
        let mut troubles = Vec::new();
        for (column, own) in declared.columns().iter().zip(declared_fields(declared)?) {
            if own.data_type().is_nested() {
                let message = format!(
                    "table `{}`: column `{}` is nested, which CSV cannot hold",
                    declared.object.name, column.name
                );
                troubles.push(Trouble::contract(column.at, message));
                continue;
            }
            let place = fields.iter().position(|field| field.name() == own.name());
            match place.and_then(|place| Some((place, fields.get_mut(place)?))) {
                Some((place, field)) => {
                    *field = own;
                    columns.push(place);
                }
                None => {
                    let names = first
                        .layout
                        .fields()
                        .iter()
                        .map(|field| field.name().as_str());
                    troubles.push(declared.missing(column, &first.name(), names));
                }
            }
        }
        if troubles.is_empty() {
            Ok(Arrangement {
                files: Arc::new(Schema::new(fields)),
                columns,
            })
        } else {
            Err(troubles)
        }
    }

    fn sample(&self, arrangement: &Arrangement, file: &Path) -> Result<(), Unreadable> {
        let mut rows = ReaderBuilder::new(Arc::clone(&arrangement.files))
            .with_header(true)
            .with_batch_size(SAMPLE)
            .with_projection(arrangement.columns.clone())
            .build(File::open(file)?)?;
        rows.next().transpose()?;
        Ok(())
    }

    fn reader(&self) -> Arc<dyn FileFormat> {
        Arc::<CsvFormat>::clone(&self.reader)
    }
}
