//! A file that was checked, and whether it still is what was checked.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, Result};
use tracing::error;
use weft_governance::{Error, ErrorKind, TableRef, code};

use crate::product::near::is_near;
use crate::product::source::{LaidOut, SourceFormat};

/// A file of a table and the state in which it was last checked.
#[derive(Debug)]
pub(super) struct CheckedFile {
    table: TableRef,
    path: PathBuf,
    layout: SchemaRef,
    /// Whether it takes less time to look at it than to have another thread do so.
    near: bool,
    seen: Mutex<Stamp>,
}

/// What changes when a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: SystemTime,
}

impl CheckedFile {
    /// `file` as it is now.
    pub(super) fn new(table: TableRef, file: LaidOut) -> std::io::Result<Self> {
        let LaidOut { path, layout } = file;
        let seen = Mutex::new(Stamp::of(&std::fs::metadata(&path)?)?);
        Ok(Self {
            near: is_near(&path),
            table,
            path,
            layout,
            seen,
        })
    }

    /// Makes sure that the file is there, and checks it again if it was written since.
    pub(super) async fn check(
        &self,
        session: &dyn Session,
        format: &dyn SourceFormat,
    ) -> Result<()> {
        let now = self.stamp().await?;
        if now == self.seen() {
            return Ok(());
        }
        match format.layout(session, &self.path).await {
            Ok(layout) if layout == self.layout => {
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
                Ok(())
            }
            Ok(_) => Err(self.refuse("its columns are not laid out as when it was loaded")),
            Err(cause) => Err(self.refuse(&cause.to_string())),
        }
    }

    /// Makes sure that the file is what was checked last.
    pub(super) async fn is_unchanged(&self) -> Result<()> {
        if self.stamp().await? == self.seen() {
            return Ok(());
        }
        Err(self.refuse("it was written while a query was planned"))
    }

    fn seen(&self) -> Stamp {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn stamp(&self) -> Result<Stamp> {
        let metadata = match self.near {
            true => std::fs::metadata(&self.path),
            false => tokio::fs::metadata(&self.path).await,
        };
        metadata
            .and_then(|metadata| Stamp::of(&metadata))
            .map_err(|cause| self.refuse(&cause.to_string()))
    }

    /// The owner's log gets the reason, the asker only the table.
    fn refuse(&self, reason: &str) -> DataFusionError {
        let Self { table, path, .. } = self;
        error!(%table, file = %path.display(), reason, "data file is not what was checked");
        let message = format!("the data of `{table}` is not what was checked when it was loaded");
        let error = Error::new(ErrorKind::Unavailable, code::SOURCE, message).with_hint(format!(
            "Try again, or ask the owner of domain `{}` to load the product again.",
            table.domain()
        ));
        DataFusionError::External(Box::new(error))
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> std::io::Result<Self> {
        Ok(Self {
            bytes: metadata.len(),
            modified: metadata.modified()?,
        })
    }
}
