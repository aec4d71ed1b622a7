//! Groups of enough rows, as a table that shows nothing of the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result, project_schema};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, TableType, col};
use datafusion::physical_plan::ExecutionPlan;
use weft_governance::{Error, TableRef};

use super::super::barrier::BarrierExec;
use super::super::bound::bind;
use super::super::permit::Binding;
use super::super::protected::BATCH_ROWS;

/// What the table is called within a plan; nobody sees it.
const NAME: &str = "__weft_groups";

/// The rows of a plan, planned alone and seen through a barrier: what stands above is computed of them
/// alone.
#[derive(Debug)]
struct GroupedTable {
    schema: SchemaRef,
    plan: LogicalPlan,
}

/// `plan` over the tables of `bindings`, behind a barrier, under the names of `schema`.
///
/// # Errors
/// If the plan does not fit the tables.
pub(super) fn behind_barrier(
    plan: LogicalPlan,
    schema: &DFSchema,
    bindings: &BTreeMap<TableRef, Binding>,
) -> std::result::Result<LogicalPlan, Error> {
    let plan = bind(plan, bindings)?;
    let table = GroupedTable {
        schema: Arc::new(numbered(schema)),
        plan,
    };
    let named = schema.iter().enumerate().map(|(place, (relation, field))| {
        col(name(place)).alias_qualified(relation.cloned(), field.name())
    });
    LogicalPlanBuilder::scan(NAME, provider_as_source(Arc::new(table)), None)
        .and_then(|scan| scan.project(named))
        .and_then(LogicalPlanBuilder::build)
        .map_err(weft_plan::from_datafusion)
}

/// Whether `scan` is one that [`behind_barrier`] made.
pub(crate) fn is_grouped(scan: &TableScan) -> bool {
    source_as_provider(&scan.source).is_ok_and(|provider| provider.is::<GroupedTable>())
}

/// Columns may be called alike, and a table's may not.
fn numbered(schema: &DFSchema) -> Schema {
    let fields = schema.fields().iter().enumerate();
    let fields = fields.map(|(place, field)| {
        Field::new(name(place), field.data_type().clone(), field.is_nullable())
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn name(place: usize) -> String {
    format!("c{place}")
}

#[async_trait]
impl TableProvider for GroupedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = self.plan.schema().columns();
        let chosen = projection.map_or_else(
            || (0..columns.len()).collect(),
            |projection| projection.clone(),
        );
        let shown = chosen.iter().filter_map(|place| columns.get(*place));
        let plan = LogicalPlanBuilder::from(self.plan.clone())
            .project(shown.cloned().map(Expr::Column))?
            .build()?;
        let inner = state.create_physical_plan(&plan).await?;
        let schema = project_schema(&self.schema, projection)?;
        Ok(Arc::new(BarrierExec::new(inner, schema, BATCH_ROWS)))
    }
}
