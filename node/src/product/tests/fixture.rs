//! A data directory that is thrown away, and questions to what is loaded from it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use crate::product::{Loaded, Table, load};

const HEAD: &str = "\
apiVersion: v3.1.0
kind: DataContract
id: c
version: 1.0.0
status: active
";

/// A data directory.
pub(super) struct Data {
    dir: TempDir,
}

impl Data {
    pub(super) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
        }
    }

    /// A directory with the product `p`, whose contract ends with `body`. Line 6 is the first of
    /// `body`.
    pub(super) fn with(body: &str) -> Self {
        let data = Self::new();
        data.contract("p", body);
        data
    }

    pub(super) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The file at `path`, whose folders are made.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        path
    }

    pub(super) fn contract(&self, product: &str, body: &str) {
        self.text(
            &format!("{product}/{product}.odcs.yaml"),
            &format!("{HEAD}{body}"),
        );
    }

    pub(super) fn text(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).expect("written");
    }

    /// Writes `batch` as Parquet in row groups of `rows`.
    pub(super) fn parquet(&self, path: &str, batch: &RecordBatch, rows: usize) {
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(rows))
            .build();
        let file = File::create(self.path(path)).expect("made");
        let mut writer =
            ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
        writer.write(batch).expect("written");
        writer.close().expect("closed");
    }

    pub(super) async fn load(&self) -> Loaded {
        load(&"sales".parse().expect("valid"), self.root()).await
    }

    /// What was loaded, which has to be all.
    pub(super) async fn served(&self) -> Served {
        let loaded = self.load().await;
        let problems: Vec<_> = loaded.problems.iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{problems:#?}");
        Served { loaded }
    }

    /// Each problem as `PLACE message`, without the directory and in the order of loading.
    pub(super) async fn problems(&self) -> Vec<String> {
        let root = format!("{}/", self.root().display());
        let resolved = self.root().canonicalize().expect("there");
        let resolved = format!("{}/", resolved.display());
        let problems = self.load().await.problems;
        problems
            .iter()
            .map(|p| p.to_string().replace(&resolved, "").replace(&root, ""))
            .collect()
    }
}

/// Loaded products.
pub(super) struct Served {
    pub(super) loaded: Loaded,
}

impl Served {
    pub(super) fn table(&self, name: &str) -> &Table {
        let mut tables = self
            .loaded
            .products
            .iter()
            .flat_map(|product| &product.tables);
        tables
            .find(|table| table.reference.table() == name)
            .expect("served")
    }

    /// Each column as `NAME TYPE`, with `?` where it may be null.
    pub(super) fn columns(&self, table: &str) -> Vec<String> {
        let Table { schema, source, .. } = self.table(table);
        assert_eq!(*schema, source.schema());
        let fields = schema.fields().iter();
        fields
            .map(|field| {
                let null = if field.is_nullable() { "?" } else { "" };
                format!("{} {}{null}", field.name(), field.data_type())
            })
            .collect()
    }

    /// A context that knows every table by its own name.
    pub(super) fn context(&self) -> SessionContext {
        let context =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        for table in self
            .loaded
            .products
            .iter()
            .flat_map(|product| &product.tables)
        {
            let source: Arc<dyn TableProvider> = Arc::clone(&table.source);
            context
                .register_table(table.reference.table(), source)
                .expect("registered");
        }
        context
    }

    pub(super) async fn try_rows(&self, sql: &str) -> Result<Vec<String>, DataFusionError> {
        let batches = self.context().sql(sql).await?.collect().await?;
        let text = pretty_format_batches(&batches)?.to_string();
        let lines = text.lines().filter(|line| line.starts_with('|'));
        let cells = lines.map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" ")
        });
        Ok(cells.skip(1).collect())
    }

    /// The rows of an answer, cells set apart by a space.
    pub(super) async fn rows(&self, sql: &str) -> Vec<String> {
        match self.try_rows(sql).await {
            Ok(rows) => rows,
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    pub(super) async fn plan(&self, sql: &str) -> Arc<dyn ExecutionPlan> {
        let frame = self.context().sql(sql).await.expect("planned");
        frame.create_physical_plan().await.expect("planned")
    }
}
