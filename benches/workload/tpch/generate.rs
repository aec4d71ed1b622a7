//! Rows of the tables, written as Parquet.
//!
//! The same scale gives the same bytes on every machine. Rows are generated and encoded in
//! batches, so memory does not grow with the scale (the generator holds a text of 300 MiB).

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tpchgen::generators as rows;
use tpchgen_arrow as arrow_rows;

use super::Table;
use crate::WorkloadError;

/// The smallest scale: 10 suppliers and 1,500 orders.
///
/// Below scale 0.024 the benchmark's own formula can name a supplier twice for one part; at 0.01
/// it does not.
pub const SMALLEST_SCALE: f64 = 0.001;

/// The largest scale: 6,000,000,000 rows of `lineitem`.
pub const LARGEST_SCALE: f64 = 1000.0;

/// Rows per row group: small enough that statistics skip some at scale 0.1, large enough that
/// pages fill.
const ROW_GROUP: usize = 128 * 1024;

/// What one file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The table.
    pub table: Table,
    /// Its rows.
    pub rows: u64,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// Writes every table at `scale` as `DIR/TABLE.parquet`; `dir` is made if it is missing.
///
/// # Errors
/// [`WorkloadError::Scale`] before anything is written, otherwise what stopped the writing.
pub fn generate(dir: &Path, scale: f64) -> Result<Vec<Written>, WorkloadError> {
    check_scale(scale)?;
    std::fs::create_dir_all(dir).map_err(WorkloadError::io(dir))?;
    write(
        scale,
        Table::ALL.map(|table| (table, dir.join(format!("{table}.parquet")))),
    )
}

/// Writes each table at `scale` to its path. A file appears only when it is whole: readers of
/// an older file of that name keep what they opened.
///
/// # Errors
/// [`WorkloadError::Scale`] before anything is written, otherwise what stopped the writing.
pub fn write(
    scale: f64,
    files: impl IntoIterator<Item = (Table, PathBuf)>,
) -> Result<Vec<Written>, WorkloadError> {
    check_scale(scale)?;
    files
        .into_iter()
        .map(|(table, path)| write_one(table, scale, &path))
        .collect()
}

fn write_one(table: Table, scale: f64, path: &Path) -> Result<Written, WorkloadError> {
    let mut writer = TableWriter::create(table, table.schema(), path)?;
    for batch in batches(table, scale) {
        let batch = batch.map_err(|source| WorkloadError::Rows { table, source })?;
        writer.write(&batch)?;
    }
    writer.finish()
}

/// A table's file that is being written. It appears under its name only when it is whole.
pub(crate) struct TableWriter {
    table: Table,
    path: PathBuf,
    unfinished: PathBuf,
    rows: u64,
    writer: ArrowWriter<BufWriter<File>>,
}

impl TableWriter {
    /// Starts the file `path` of `table`.
    pub(crate) fn create(
        table: Table,
        schema: SchemaRef,
        path: &Path,
    ) -> Result<Self, WorkloadError> {
        let unfinished = path.with_extension("unfinished");
        let file = File::create(&unfinished).map_err(WorkloadError::io(&unfinished))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_created_by("weft workload".to_owned())
            .build();
        let writer = ArrowWriter::try_new(BufWriter::new(file), schema, Some(properties))
            .map_err(|source| WorkloadError::Encode { table, source })?;
        Ok(Self {
            table,
            path: path.to_owned(),
            unfinished,
            rows: 0,
            writer,
        })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), WorkloadError> {
        let table = self.table;
        self.rows += batch.num_rows() as u64;
        self.writer
            .write(batch)
            .map_err(|source| WorkloadError::Encode { table, source })
    }

    /// Writes what is left, and gives the file its name.
    pub(crate) fn finish(self) -> Result<Written, WorkloadError> {
        let Self {
            table,
            path,
            unfinished,
            rows,
            writer,
        } = self;
        let file = writer
            .into_inner()
            .map_err(|source| WorkloadError::Encode { table, source })?;
        let file = file.into_inner().map_err(|error| error.into_error());
        let bytes = file
            .and_then(|file| file.metadata())
            .map_err(WorkloadError::io(&unfinished))?
            .len();
        std::fs::rename(&unfinished, &path).map_err(WorkloadError::io(&path))?;
        Ok(Written { table, rows, bytes })
    }
}

/// Refuses a scale that the generator cannot make.
pub(crate) fn check_scale(scale: f64) -> Result<(), WorkloadError> {
    if (SMALLEST_SCALE..=LARGEST_SCALE).contains(&scale) {
        Ok(())
    } else {
        Err(WorkloadError::Scale { scale })
    }
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

fn batches(table: Table, scale: f64) -> Batches {
    match table {
        Table::Orders => Box::new(arrow_rows::OrderArrow::new(rows::OrderGenerator::new(
            scale, 1, 1,
        ))),
        Table::Lineitem => Box::new(arrow_rows::LineItemArrow::new(
            rows::LineItemGenerator::new(scale, 1, 1),
        )),
        Table::Customer => Box::new(arrow_rows::CustomerArrow::new(
            rows::CustomerGenerator::new(scale, 1, 1),
        )),
        Table::Nation => Box::new(arrow_rows::NationArrow::new(rows::NationGenerator::new(
            scale, 1, 1,
        ))),
        Table::Region => Box::new(arrow_rows::RegionArrow::new(rows::RegionGenerator::new(
            scale, 1, 1,
        ))),
        Table::Part => Box::new(arrow_rows::PartArrow::new(rows::PartGenerator::new(
            scale, 1, 1,
        ))),
        Table::Supplier => Box::new(arrow_rows::SupplierArrow::new(
            rows::SupplierGenerator::new(scale, 1, 1),
        )),
        Table::Partsupp => Box::new(arrow_rows::PartSuppArrow::new(
            rows::PartSuppGenerator::new(scale, 1, 1),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_scale_gives_the_same_bytes_every_time() {
        let dir = tempfile::tempdir().expect("a directory");
        for table in [Table::Orders, Table::Partsupp, Table::Nation] {
            let read = |name: &str| {
                let path = dir.path().join(name);
                let written = write_one(table, 0.001, &path).expect("written");
                let bytes = std::fs::read(&path).expect("readable");
                assert_eq!(bytes.len() as u64, written.bytes);
                (written.rows, bytes)
            };
            assert_eq!(read("first.parquet"), read("second.parquet"), "{table}");
        }
    }

    #[test]
    fn rows_grow_with_the_scale() {
        let dir = tempfile::tempdir().expect("a directory");
        let rows = |table, scale| {
            write_one(table, scale, &dir.path().join("t.parquet"))
                .expect("written")
                .rows
        };
        assert_eq!(rows(Table::Customer, 0.001), 150);
        assert_eq!(rows(Table::Customer, 0.01), 1_500);
        assert_eq!(rows(Table::Region, 0.01), 5);
    }

    #[test]
    fn a_scale_that_is_no_scale_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("data");
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.000_1, 10_000.0] {
            let error = generate(&target, scale).expect_err("refused");
            assert!(
                matches!(error, WorkloadError::Scale { .. }),
                "{scale}: {error}"
            );
        }
        assert!(!target.exists());
    }
}
