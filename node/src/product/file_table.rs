//! A table over files: the contract's columns, no others, under the contract's names.

mod checked_file;

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column as NamedColumn, DataFusionError, Result, plan_datafusion_err};
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use url::Url;

use self::checked_file::CheckedFile;
use super::declared::Declared;
use super::source::{Arrangement, LaidOut, SourceFormat};

/// A table of a product, read from the files that were found when it was opened.
///
/// Files that appear later are not seen until the product is loaded again. A file that changes is
/// read as it is then, if its columns are still laid out as before; one that went away or changed
/// its layout is an error, never missing rows.
#[derive(Debug)]
pub(super) struct FileTable {
    schema: SchemaRef,
    /// For each column, which of the listing's it is.
    columns: Vec<usize>,
    listing: ListingTable,
    format: Arc<dyn SourceFormat>,
    files: Vec<CheckedFile>,
}

impl FileTable {
    /// A table over `files`, which have been checked.
    pub(super) fn open(
        session: &dyn Session,
        declared: &Declared<'_>,
        format: Arc<dyn SourceFormat>,
        arrangement: Arrangement,
        files: Vec<LaidOut>,
    ) -> Result<Self> {
        let urls = files.iter().map(file_url).collect::<Result<Vec<_>>>()?;
        let files = files
            .into_iter()
            .map(|file| CheckedFile::new(declared.table.clone(), file))
            .collect::<std::io::Result<_>>()?;
        let Arrangement {
            files: file_schema,
            columns,
        } = arrangement;
        let fields = columns
            .iter()
            .zip(declared.columns())
            .map(|(place, column)| {
                let field = field(&file_schema, *place)?;
                let own = field.data_type().clone();
                Ok(Field::new(&column.name, own, field.is_nullable()))
            })
            .collect::<Result<Vec<_>>>()?;
        let options = ListingOptions::new(format.reader()).with_file_extension("");
        let config = ListingTableConfig::new_with_multi_paths(urls)
            .with_listing_options(options)
            .with_schema(file_schema);
        let statistics = session
            .runtime_env()
            .cache_manager
            .get_file_statistic_cache();
        let listing = ListingTable::try_new(config)?.with_cache(statistics);
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            columns,
            listing,
            format,
            files,
        })
    }

    fn source_column(&self, index: usize) -> Result<usize> {
        let place = self.columns.get(index).copied();
        place.ok_or_else(|| plan_datafusion_err!("the table has no column {index}"))
    }

    /// `filter` in the names of the files.
    fn in_file_names(&self, filter: &Expr) -> Result<Expr> {
        let listed = self.listing.schema();
        let renamed = filter.clone().transform(|expression| match &expression {
            Expr::Column(column) => {
                let source = self.source_column(self.schema.index_of(column.name())?)?;
                let name = field(&listed, source)?.name();
                Ok(Transformed::yes(Expr::Column(NamedColumn::from_name(name))))
            }
            _ => Ok(Transformed::no(expression)),
        })?;
        Ok(renamed.data)
    }

    /// `plan`, which reads the listing's columns `read`, with the columns `wanted` of the contract.
    fn renamed(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        read: &[usize],
        wanted: &[usize],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = plan.schema();
        let mut unchanged = read.len() == wanted.len();
        let mut columns: Vec<(Arc<dyn PhysicalExpr>, String)> = Vec::with_capacity(wanted.len());
        for (position, index) in wanted.iter().enumerate() {
            let source = self.source_column(*index)?;
            let place = read
                .iter()
                .position(|column| *column == source)
                .ok_or_else(|| plan_datafusion_err!("column {source} is not read"))?;
            let (own, name) = (
                field(&schema, place)?.name(),
                field(&self.schema, *index)?.name(),
            );
            unchanged &= place == position && own == name;
            columns.push((Arc::new(Column::new(own, place)), name.clone()));
        }
        Ok(if unchanged {
            plan
        } else {
            Arc::new(ProjectionExec::try_new(columns, plan)?)
        })
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<usize> = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.columns.len()).collect(),
        };
        let mut read = wanted
            .iter()
            .map(|index| self.source_column(*index))
            .collect::<Result<Vec<_>>>()?;
        read.sort_unstable();
        read.dedup();
        let filters = filters
            .iter()
            .map(|filter| self.in_file_names(filter))
            .collect::<Result<Vec<_>>>()?;
        for file in &self.files {
            file.check(state, self.format.as_ref()).await?;
        }
        let plan = self
            .listing
            .scan(state, Some(&read), &filters, limit)
            .await?;
        // The listing takes a file that is not there for an empty folder.
        for file in &self.files {
            file.is_unchanged().await?;
        }
        self.renamed(plan, &read, &wanted)
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

fn field(schema: &SchemaRef, place: usize) -> Result<&FieldRef> {
    schema
        .fields()
        .get(place)
        .ok_or_else(|| plan_datafusion_err!("the schema has no column {place}"))
}

fn file_url(file: &LaidOut) -> Result<ListingTableUrl> {
    let url = Url::from_file_path(&file.path).map_err(|()| {
        DataFusionError::Plan(format!("`{}` is not an absolute path", file.path.display()))
    })?;
    ListingTableUrl::try_new(url, None)
}
