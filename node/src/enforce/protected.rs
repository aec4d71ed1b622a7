//! The protected scan: filter and masks first, planned alone, behind a barrier.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, DataFusionError, Result, project_schema};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, col,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use weft_governance::{Error, ErrorKind, code};

use super::barrier::BarrierExec;
use super::bound::unqualified;
use super::grouped::ROW;
use super::leakproof::is_leakproof;
use super::mask;
use super::permit::Binding;

/// Rows of one batch: fixed, so that batch sizes tell nothing about hidden rows.
pub(super) const BATCH_ROWS: usize = 8_192;

/// A table of which the asker sees `mask(row_filter(source))`.
#[derive(Debug)]
pub(super) struct ProtectedTable {
    schema: SchemaRef,
    source: Arc<dyn TableProvider>,
    row_filter: Option<Expr>,
    /// What each admitted column shows, by its place in `schema`.
    shown: Vec<Option<Expr>>,
    masked: BTreeSet<String>,
    /// Whether it has a column for that.
    tells_rows_apart: bool,
}

impl ProtectedTable {
    /// The table of `binding` as the plan's leaf names its columns.
    pub(super) fn new(schema: &SchemaRef, binding: &Binding) -> Result<Self> {
        let Binding {
            guarded,
            obligations,
            row_filter,
            columns,
        } = binding;
        if obligations.row_filter.is_some() != row_filter.is_some() {
            return Err(uncompiled());
        }
        let shown = schema
            .fields()
            .iter()
            .map(|field| {
                let name = field.name();
                if name == ROW && obligations.min_group_size.is_some() {
                    return Ok(Some(col(Column::new_unqualified(ROW))));
                }
                let expr = match obligations.masks.get(name) {
                    _ if !columns.contains(name) => return Ok(None),
                    Some(mask) => mask::masked(name, field.data_type(), *mask)?.alias(name),
                    None => col(Column::new_unqualified(name)),
                };
                Ok(Some(expr))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            schema: Arc::clone(schema),
            source: Arc::clone(&guarded.table.source),
            row_filter: row_filter.clone(),
            shown,
            masked: obligations.masks.keys().cloned().collect(),
            tells_rows_apart: obligations.min_group_size.is_some(),
        })
    }

    fn plan(
        &self,
        projection: &[usize],
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<LogicalPlan> {
        let source = provider_as_source(Arc::clone(&self.source));
        let mut plan = LogicalPlanBuilder::scan("protected", source, None)?;
        if let Some(row_filter) = &self.row_filter {
            plan = plan.filter(row_filter.clone())?;
        }
        for filter in filters {
            if !is_leakproof(filter, &self.schema, &self.masked) {
                return Err(leaky());
            }
            plan = plan.filter(unqualified(filter)?)?;
        }
        let is_row = |index: &usize| {
            let fields = self.schema.fields();
            fields.get(*index).is_some_and(|field| field.name() == ROW)
        };
        let counted = self.tells_rows_apart && projection.iter().any(is_row);
        if counted {
            plan = plan.window([row_number().alias(ROW)])?;
        }
        let shown = projection
            .iter()
            .map(|index| {
                self.shown
                    .get(*index)
                    .cloned()
                    .flatten()
                    .ok_or_else(unadmitted)
            })
            .collect::<Result<Vec<_>>>()?;
        plan.project(shown)?.limit(0, limit)?.build()
    }
}

#[async_trait]
impl TableProvider for ProtectedTable {
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
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let plan = self.plan(projection.unwrap_or(&all), filters, limit)?;
        let inner = SessionStateBuilder::new_with_default_features()
            .with_config(inner_config(state.config()))
            .with_runtime_env(Arc::clone(state.runtime_env()))
            .build();
        let inner_plan = inner.create_physical_plan(&plan).await?;
        let schema = project_schema(&self.schema, projection)?;
        Ok(Arc::new(BarrierExec::new(inner_plan, schema, BATCH_ROWS)))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let judged = filters.iter().map(|filter| {
            if is_leakproof(filter, &self.schema, &self.masked) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        });
        Ok(judged.collect())
    }
}

/// One partition, so that rows come in a stable order, and an operator that holds the others back.
fn inner_config(outer: &SessionConfig) -> SessionConfig {
    let mut inner = outer
        .clone()
        .with_target_partitions(1)
        .with_batch_size(BATCH_ROWS);
    inner.options_mut().execution.parquet.pushdown_filters = false;
    inner
}

fn defect(message: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Error::new(
        ErrorKind::Internal,
        code::INTERNAL,
        message,
    )))
}

fn uncompiled() -> DataFusionError {
    defect("the row filter of the deciding grant was not compiled")
}

fn leaky() -> DataFusionError {
    defect("a condition that is not leakproof reached a protected scan")
}

fn unadmitted() -> DataFusionError {
    defect("a column that was not admitted reached a protected scan")
}
