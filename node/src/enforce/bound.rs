//! A permit's tables in place of the plan's leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DataFusionError, Result, Statistics};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{
    Expr, LogicalPlan, TableProviderFilterPushDown, TableScan, TableType,
};
use datafusion::physical_plan::ExecutionPlan;
use weft_governance::{Error, ErrorKind, TableRef, code};
use weft_plan::{ProductTable, product_table_of, shipped_table_of};

use super::grouped::is_grouped;
use super::permit::Binding;
use super::protected::ProtectedTable;

/// Replaces every product table of `plan` by the table that the permit allows, open or protected.
/// Rows that came with the fragment, and groups that the gate has made, stay.
///
/// # Errors
/// `WEFT-SCHEMA-DRIFT` if the plan was made for columns of another type or nullability.
pub(crate) fn bind(
    plan: LogicalPlan,
    bindings: &BTreeMap<TableRef, Binding>,
) -> Result<LogicalPlan, Error> {
    plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::TableScan(scan) => Ok(Transformed::yes(LogicalPlan::TableScan(bind_scan(
            scan, bindings,
        )?))),
        node => Ok(Transformed::no(node)),
    })
    .map(|bound| bound.data)
    .map_err(weft_plan::from_datafusion)
}

fn bind_scan(scan: TableScan, bindings: &BTreeMap<TableRef, Binding>) -> Result<TableScan> {
    if shipped_table_of(&scan).is_some() || is_grouped(&scan) {
        return Ok(scan);
    }
    let leaf = product_table_of(&scan).ok_or_else(|| foreign("a leaf that is no product table"))?;
    let binding = bindings
        .get(leaf.table())
        .ok_or_else(|| foreign("a table without a binding"))?;
    check_schema(&leaf, binding)?;
    let open = OpenTable {
        schema: Arc::clone(leaf.visible()),
        source: Arc::clone(&binding.guarded.table.source),
        columns: source_columns(&leaf, binding),
    };
    let provider: Arc<dyn TableProvider> = if binding.obligations.is_open() {
        Arc::new(open)
    } else {
        Arc::new(ProtectedTable::new(leaf.visible(), binding)?)
    };
    Ok(TableScan {
        source: provider_as_source(provider),
        ..scan
    })
}

/// The columns that the permit covers must be what the plan was made for.
fn check_schema(leaf: &ProductTable, binding: &Binding) -> Result<()> {
    let actual = &binding.guarded.table.schema;
    for column in &binding.columns {
        let expected = leaf.visible().field_with_name(column);
        let found = actual.field_with_name(column);
        let same = matches!((expected, found), (Ok(expected), Ok(found))
            if expected.data_type() == found.data_type()
                && expected.is_nullable() >= found.is_nullable());
        if !same {
            let error = Error::new(
                ErrorKind::SchemaDrift,
                code::SCHEMA_DRIFT,
                format!(
                    "column `{column}` of `{}` is not what the query was planned for",
                    leaf.table()
                ),
            );
            return Err(DataFusionError::External(Box::new(error)));
        }
    }
    Ok(())
}

/// For each column of the leaf, its place in the source, if the permit covers it.
fn source_columns(leaf: &ProductTable, binding: &Binding) -> Vec<Option<usize>> {
    let schema = &binding.guarded.table.schema;
    leaf.visible()
        .fields()
        .iter()
        .map(|field| {
            binding
                .columns
                .contains(field.name())
                .then(|| schema.index_of(field.name()).ok())?
        })
        .collect()
}

fn foreign(what: &str) -> DataFusionError {
    let error = Error::new(
        ErrorKind::Internal,
        code::INTERNAL,
        format!("the plan holds {what}"),
    );
    DataFusionError::External(Box::new(error))
}

/// A table whose rows and admitted cells are all visible: a window on the source's columns.
#[derive(Debug)]
struct OpenTable {
    schema: SchemaRef,
    source: Arc<dyn TableProvider>,
    columns: Vec<Option<usize>>,
}

impl OpenTable {
    fn source_column(&self, index: usize) -> Result<usize> {
        self.columns
            .get(index)
            .copied()
            .flatten()
            .ok_or_else(|| foreign("a column that was not admitted"))
    }
}

#[async_trait]
impl TableProvider for OpenTable {
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
        let columns = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.columns.len()).collect(),
        };
        let columns = columns
            .into_iter()
            .map(|index| self.source_column(index))
            .collect::<Result<_>>()?;
        self.source
            .scan(state, Some(&columns), filters, limit)
            .await
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.source.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        None
    }
}

/// `column` without the name of the table that the asker gave it.
pub(super) fn unqualified(expr: &Expr) -> Result<Expr> {
    expr.clone()
        .transform(|node| match node {
            Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(
                column.name,
            )))),
            node => Ok(Transformed::no(node)),
        })
        .map(|rewritten| rewritten.data)
}
