//! Why a workload could not be written.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::tpch::Table;

/// Why a workload could not be written.
#[derive(Debug, Error)]
pub enum WorkloadError {
    /// The scale is not one that the generator can make.
    #[error(
        "the scale {scale} is not between {} and {}",
        crate::tpch::SMALLEST_SCALE,
        crate::tpch::LARGEST_SCALE
    )]
    Scale {
        /// The scale that was asked for.
        scale: f64,
    },
    /// A file or folder could not be read or written.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The rows of a table could not be generated.
    #[error("cannot generate table `{table}`")]
    Rows {
        /// The table.
        table: Table,
        /// What the generator said.
        source: arrow::error::ArrowError,
    },
    /// The rows of a table could not be encoded.
    #[error("cannot encode table `{table}`")]
    Encode {
        /// The table.
        table: Table,
        /// What the Parquet writer said.
        source: parquet::errors::ParquetError,
    },
    /// The visible rows of a table could not be copied.
    #[error("cannot copy table `{table}`")]
    Copy {
        /// The table.
        table: Table,
        /// What the engine said.
        source: datafusion::error::DataFusionError,
    },
}

impl WorkloadError {
    /// Names `path` in an error of the operating system.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
