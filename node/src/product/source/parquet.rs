//! Parquet files: types and nullability come from their footers.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::object_store::ObjectStoreExt;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path as StorePath;
use weft_governance::contract::Property;

use super::{Arrangement, LaidOut, SourceFormat, Unreadable, distinct};
use crate::contract::announced;
use crate::product::declared::Declared;
use crate::product::problem::Trouble;

/// The bytes of a footer's length and of the mark behind it.
const TAIL: u64 = 8;

/// Parquet, with text and bytes as views.
#[derive(Debug)]
pub(super) struct Parquet {
    reader: Arc<ParquetFormat>,
    /// The names of the columns that matter.
    wanted: Vec<String>,
}

impl Parquet {
    pub(super) fn new(session: &dyn Session, declared: &Declared<'_>) -> Self {
        let options = session.default_table_options().parquet;
        let reader = ParquetFormat::new()
            .with_options(options)
            .with_force_view_types(true)
            .with_skip_metadata(true)
            .with_binary_as_string(false);
        let wanted = declared
            .columns()
            .iter()
            .map(|column| column.source_name().to_owned());
        Self {
            reader: Arc::new(reader),
            wanted: wanted.collect(),
        }
    }
}

#[async_trait]
impl SourceFormat for Parquet {
    /// The wanted columns of the footer, as far as they are there; all, where none is.
    async fn layout(&self, session: &dyn Session, file: &Path) -> Result<SchemaRef, Unreadable> {
        check_footer(file)?;
        let store: Arc<dyn datafusion::object_store::ObjectStore> =
            Arc::new(LocalFileSystem::new());
        let meta = store.head(&StorePath::from_absolute_path(file)?).await?;
        let schema = self.reader.infer_schema(session, &store, &[meta]).await?;
        let (wanted, others): (Vec<FieldRef>, Vec<FieldRef>) = schema
            .fields()
            .iter()
            .map(|field| {
                let own = field.data_type().clone();
                Arc::new(Field::new(field.name(), own, field.is_nullable()))
            })
            .partition(|field| self.wanted.contains(field.name()));
        let complete = self
            .wanted
            .iter()
            .all(|name| wanted.iter().any(|f| f.name() == name));
        // Columns that nobody wants are of use only in a message.
        let fields = if complete {
            wanted
        } else {
            [wanted, others].concat()
        };
        Ok(Arc::new(Schema::new(fields)))
    }

    fn arrange(
        &self,
        declared: &Declared<'_>,
        files: &[LaidOut],
    ) -> Result<Arrangement, Vec<Trouble>> {
        let mut fields = Vec::new();
        let mut troubles = Vec::new();
        for column in declared.columns() {
            match unified(declared, column, files) {
                Ok(field) => fields.push(field),
                Err(trouble) => troubles.push(trouble),
            }
        }
        if troubles.is_empty() {
            Ok(distinct(fields))
        } else {
            Err(troubles)
        }
    }

    fn sample(&self, _arrangement: &Arrangement, _file: &Path) -> Result<(), Unreadable> {
        Ok(())
    }

    fn reader(&self) -> Arc<dyn FileFormat> {
        Arc::<ParquetFormat>::clone(&self.reader)
    }
}

/// Refuses a file whose footer would begin before the file: the decoder computes with its length.
fn check_footer(file: &Path) -> Result<(), Unreadable> {
    let mut file = File::open(file)?;
    let bytes = file.metadata()?.len();
    let Some(before) = bytes.checked_sub(TAIL) else {
        return Err("the file is too short for Parquet".into());
    };
    file.seek(SeekFrom::Start(before))?;
    let mut length = [0; 4];
    let mut mark = [0; 4];
    file.read_exact(&mut length)?;
    file.read_exact(&mut mark)?;
    if mark != *b"PAR1" && mark != *b"PARE" {
        return Err("the file does not end like Parquet".into());
    }
    if u64::from(u32::from_le_bytes(length)) > before {
        return Err("the footer is longer than the file".into());
    }
    Ok(())
}

/// The field under which `column` is read from all `files`.
fn unified(
    declared: &Declared<'_>,
    column: &Property,
    files: &[LaidOut],
) -> Result<FieldRef, Trouble> {
    let mut unified: Option<(DataType, &LaidOut)> = None;
    let mut nullable = false;
    for file in files {
        let name = file.name();
        let fields = file.layout.fields();
        let mut same = fields
            .iter()
            .filter(|field| field.name() == column.source_name());
        let Some(found) = same.next() else {
            let names = fields.iter().map(|field| field.name().as_str());
            return Err(declared.missing(column, &name, names));
        };
        if same.next().is_some() {
            let message = format!(
                "column `{}` is in `{name}` more than once",
                column.source_name()
            );
            return Err(declared.trouble(message));
        }
        let own = announced(column, declared.version, found.data_type())
            .map_err(|misfit| declared.misfit(column, &misfit, Some(&name)))?;
        nullable |= found.is_nullable();
        match &unified {
            None => unified = Some((own, file)),
            Some((first, _)) if *first == own => {}
            Some((first, other)) => {
                let message = format!(
                    "column `{}` is `{first}` in `{}`, but `{own}` in `{name}`",
                    column.name,
                    other.name()
                );
                return Err(declared.trouble(message).with_hint(
                    "Write the files with one type, or name the wider one as `physicalType`.",
                ));
            }
        }
    }
    let (own, _) = unified.ok_or_else(|| declared.trouble("there are no files"))?;
    Ok(Arc::new(Field::new(column.source_name(), own, nullable)))
}
