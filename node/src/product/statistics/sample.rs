//! Which part of a large table is read.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::physical_plan::ExecutionPlan;
use parquet::file::metadata::ParquetMetaDataReader;

use super::ReadLimits;

/// Parts of a table that are read at most.
const MOST_PARTS: u64 = 16;
/// Parts that are read at least: one part does not say what comes back in others.
const LEAST_PARTS: u64 = 2;

/// What to read of a table.
pub(super) struct Sample {
    /// Each partition is a part of the table, to be read for itself.
    pub(super) plan: Arc<dyn ExecutionPlan>,
    /// How much of the table it is: 1 for all of it.
    pub(super) share: f64,
}

/// A piece of a file.
struct Piece {
    file: PartitionedFile,
    /// Rows or bytes.
    size: u64,
}

impl Sample {
    /// What to read of the table that `plan` reads and that has so many rows, if that is known.
    ///
    /// Parts are whole row groups of Parquet files or pieces of text files, and lie at equal
    /// distances: the same files always give the same sample. Where values of a CSV file hold ends of
    /// lines, a piece may not be readable.
    pub(super) async fn of(
        plan: Arc<dyn ExecutionPlan>,
        rows: Option<u64>,
        limits: ReadLimits,
    ) -> Result<Self> {
        let whole = |plan| Ok(Self { plan, share: 1.0 });
        let Some(config) = files_of(&plan)? else {
            return whole(plan);
        };
        let files: Vec<_> = config
            .file_groups
            .iter()
            .flat_map(|group| group.files().iter().cloned())
            .collect();
        let chosen = match config.file_source.file_type() {
            "parquet" if rows.is_some_and(|rows| rows > limits.whole_rows) => {
                row_groups(files, limits.sample_rows).await
            }
            "csv" | "json"
                if !config.file_compression_type.is_compressed()
                    && size_of(&files) > limits.whole_bytes =>
            {
                Some(pieces(files, limits.sample_bytes))
            }
            _ => None,
        };
        let Some((chosen, share)) = chosen else {
            return whole(plan);
        };
        let groups = chosen
            .into_iter()
            .map(|piece| FileGroup::new(vec![piece.file]));
        let config = FileScanConfigBuilder::from(config)
            .with_file_groups(groups.collect())
            .build();
        let part = DataSourceExec::from_data_source(config);
        let plan = plan.transform_down(|node| {
            Ok(match node.downcast_ref::<DataSourceExec>() {
                Some(_) => Transformed::new(
                    Arc::clone(&part) as Arc<dyn ExecutionPlan>,
                    true,
                    TreeNodeRecursion::Jump,
                ),
                None => Transformed::no(node),
            })
        })?;
        Ok(Self {
            plan: plan.data,
            share,
        })
    }
}

/// The files that `plan` reads, if it does nothing else but name their columns.
fn files_of(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<FileScanConfig>> {
    let mut found = None;
    plan.apply(|node| {
        if let Some(source) = node.downcast_ref::<DataSourceExec>() {
            found = source
                .data_source()
                .downcast_ref::<FileScanConfig>()
                .cloned();
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn size_of(files: &[PartitionedFile]) -> u64 {
    files.iter().map(|file| file.object_meta.size).sum()
}

/// Row groups with about `wanted` rows, and how much of the files they are; `None` for all of them.
async fn row_groups(files: Vec<PartitionedFile>, wanted: u64) -> Option<(Vec<Piece>, f64)> {
    // Footers are read from disk.
    let groups = tokio::task::spawn_blocking(move || {
        let groups = files.into_iter().map(row_groups_of);
        groups.collect::<Option<Vec<_>>>()
    });
    let groups: Vec<Piece> = groups.await.ok()??.into_iter().flatten().collect();
    let total: u64 = groups.iter().map(|group| group.size).sum();
    let count = groups.len() as u64;
    let rows = (total / count.max(1)).max(1);
    let parts = (wanted / rows).clamp(LEAST_PARTS, MOST_PARTS);
    if parts >= count {
        return None;
    }
    // The place in the middle of each of equally many stretches.
    let places: Vec<u64> = (0..parts)
        .map(|part| (2 * part + 1) * count / (2 * parts))
        .collect();
    let chosen: Vec<Piece> = groups
        .into_iter()
        .enumerate()
        .filter(|(place, _)| places.contains(&(*place as u64)))
        .map(|(_, group)| group)
        .collect();
    let read: u64 = chosen.iter().map(|group| group.size).sum();
    Some((chosen, read as f64 / total.max(1) as f64))
}

/// The row groups of `file`. A range that holds the first byte of one and no more stands for it.
fn row_groups_of(file: PartitionedFile) -> Option<Vec<Piece>> {
    let path: PathBuf = LocalFileSystem::new()
        .path_to_filesystem(&file.object_meta.location)
        .ok()?;
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&File::open(path).ok()?)
        .ok()?;
    metadata
        .row_groups()
        .iter()
        .map(|group| {
            let first = group.columns().first()?;
            let start = first
                .dictionary_page_offset()
                .unwrap_or_else(|| first.data_page_offset());
            Some(Piece {
                file: piece_of(&file, start, start + 1),
                size: u64::try_from(group.num_rows()).ok()?,
            })
        })
        .collect()
}

/// Pieces of `files` with about `wanted` bytes, and how much of the files they are.
fn pieces(files: Vec<PartitionedFile>, wanted: u64) -> (Vec<Piece>, f64) {
    let total = size_of(&files);
    let length = (wanted / MOST_PARTS).max(1);
    let mut chosen = Vec::new();
    let mut before = 0;
    for file in files {
        let size = file.object_meta.size;
        for part in 0..MOST_PARTS {
            let start = part * (total / MOST_PARTS);
            if (before..before + size).contains(&start) {
                let start = start - before;
                let end = (start + length).min(size);
                let range = i64::try_from(start).ok().zip(i64::try_from(end).ok());
                if let Some((from, to)) = range {
                    chosen.push(Piece {
                        file: piece_of(&file, from, to),
                        size: end - start,
                    });
                }
            }
        }
        before += size;
    }
    let read: u64 = chosen.iter().map(|piece| piece.size).sum();
    (chosen, read as f64 / total.max(1) as f64)
}

fn piece_of(file: &PartitionedFile, start: i64, end: i64) -> PartitionedFile {
    let mut piece = file.clone().with_range(start, end);
    // Those of the whole file.
    piece.statistics = None;
    piece
}
