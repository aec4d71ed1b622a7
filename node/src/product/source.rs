//! The formats that tables are read in.
//!
//! A format knows how a file is laid out and how its columns become those of the contract.

mod csv;
mod ndjson;
mod parquet;

use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::file_format::FileFormat;
use futures::FutureExt;

use self::csv::Csv;
use self::ndjson::Ndjson;
use self::parquet::Parquet;
use super::declared::Declared;
use super::file_table::FileTable;
use super::files::{Files, Format};
use super::problem::Trouble;

/// Why a file cannot be read; the text is for its owner.
pub(super) type Unreadable = Box<dyn Error + Send + Sync>;

/// A file and how it is laid out.
#[derive(Debug, Clone)]
pub(super) struct LaidOut {
    pub(super) path: PathBuf,
    pub(super) layout: SchemaRef,
}

impl LaidOut {
    /// The name of the file, for messages.
    fn name(&self) -> String {
        self.path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

/// How the columns of the files become those of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrangement {
    /// The columns as the files are read.
    pub(super) files: SchemaRef,
    /// For each column of the contract, in order, which of them it is.
    pub(super) columns: Vec<usize>,
}

/// A format of files.
#[async_trait]
pub(super) trait SourceFormat: fmt::Debug + Send + Sync {
    /// What of `file`'s structure the columns depend on. Two files with equal layouts can be read
    /// in the same way.
    async fn layout(&self, session: &dyn Session, file: &Path) -> Result<SchemaRef, Unreadable>;

    /// Maps the columns of `files` to those that are declared.
    fn arrange(
        &self,
        declared: &Declared<'_>,
        files: &[LaidOut],
    ) -> Result<Arrangement, Vec<Trouble>>;

    /// Reads the first rows of `file`, for formats whose types only rows can contradict.
    fn sample(&self, arrangement: &Arrangement, file: &Path) -> Result<(), Unreadable>;

    /// How the engine reads it.
    fn reader(&self) -> Arc<dyn FileFormat>;
}

/// Checks every file of a table and opens the table over them.
pub(super) async fn open(
    session: &dyn Session,
    declared: &Declared<'_>,
    files: Files,
) -> Result<FileTable, Vec<Trouble>> {
    let format = format(files.format, session, declared);
    let mut laid_out = Vec::with_capacity(files.paths.len());
    for path in files.paths {
        let layout = layout_of(session, format.as_ref(), &path).await;
        let layout = layout.map_err(|error| vec![unreadable(declared, &path, &error)])?;
        laid_out.push(LaidOut { path, layout });
    }
    let arrangement = format.arrange(declared, &laid_out)?;
    for file in &laid_out {
        let sampled = format.sample(&arrangement, &file.path);
        sampled.map_err(|error| vec![unreadable(declared, &file.path, &error)])?;
    }
    FileTable::open(session, declared, format, arrangement, laid_out)
        .map_err(|error| vec![declared.trouble(format!("cannot be opened: {error}"))])
}

fn format(format: Format, session: &dyn Session, declared: &Declared<'_>) -> Arc<dyn SourceFormat> {
    match format {
        Format::Parquet => Arc::new(Parquet::new(session, declared)),
        Format::Csv => Arc::new(Csv::new(session)),
        Format::Ndjson => Arc::new(Ndjson::new(session)),
    }
}

/// The layout of `file`. A decoder that gives up on a damaged file by a panic must not keep other
/// products from being served.
async fn layout_of(
    session: &dyn Session,
    format: &dyn SourceFormat,
    file: &Path,
) -> Result<SchemaRef, Unreadable> {
    let read = AssertUnwindSafe(format.layout(session, file)).catch_unwind();
    read.await
        .unwrap_or_else(|_| Err("the file is damaged".into()))
}

fn unreadable(declared: &Declared<'_>, file: &Path, error: &Unreadable) -> Trouble {
    let message = format!(
        "the data of table `{}` cannot be read: {error}",
        declared.object.name
    );
    Trouble::file(file, message)
}

/// The columns that the contract gives to files without types of their own, under the names that
/// the files use.
fn declared_fields(declared: &Declared<'_>) -> Result<Vec<FieldRef>, Vec<Trouble>> {
    let mut fields = Vec::new();
    let mut troubles = Vec::new();
    for column in declared.columns() {
        match crate::contract::declared(column, declared.version) {
            Ok(own) => fields.push(Arc::new(Field::new(column.source_name(), own, true))),
            Err(misfit) => troubles.push(declared.misfit(column, &misfit, None)),
        }
    }
    if troubles.is_empty() {
        Ok(fields)
    } else {
        Err(troubles)
    }
}

/// A schema with each name once, and the place of each of `fields` in it.
fn distinct(fields: Vec<FieldRef>) -> Arrangement {
    let mut kept: Vec<FieldRef> = Vec::new();
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let place = kept.iter().position(|known| known.name() == field.name());
        columns.push(place.unwrap_or(kept.len()));
        if place.is_none() {
            kept.push(field);
        }
    }
    Arrangement {
        files: Arc::new(Schema::new(kept)),
        columns,
    }
}
