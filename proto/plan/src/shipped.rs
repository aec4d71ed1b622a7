//! The leaf for rows of another domain that travel with a fragment.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, TableScan, TableType};
use datafusion::physical_plan::ExecutionPlan;
use weft_governance::{KeyDisclosure, ServerId};

use crate::statistics::TableStatistics;

/// Rows of one domain that are read at the node of another. Where a query is planned it stands for
/// rows to come; where the fragment runs it holds them.
#[derive(Debug, Clone)]
pub struct ShippedTable {
    number: u32,
    schema: SchemaRef,
    rows: Vec<RecordBatch>,
    planned: Option<Arc<PlannedShipment>>,
}

/// What a planner knows of rows that will travel.
#[derive(Debug)]
pub struct PlannedShipment {
    /// The node that they go to.
    pub to: ServerId,
    /// What is expected of them.
    pub statistics: TableStatistics,
    /// Sets of columns of which no two rows have the same values. Hints, like declared keys.
    pub keys: Vec<Vec<usize>>,
    /// How much of each column may travel on as join keys.
    pub disclosure: Vec<KeyDisclosure>,
}

impl ShippedTable {
    /// The shipment `number` of a fragment, as it is written in a plan: without its rows.
    pub fn new(number: u32, schema: SchemaRef) -> Self {
        Self {
            number,
            schema,
            rows: Vec::new(),
            planned: None,
        }
    }

    /// The shipment with what a planner knows of it.
    #[must_use]
    pub fn with_plan(self, planned: PlannedShipment) -> Self {
        let planned = Some(Arc::new(planned));
        Self { planned, ..self }
    }

    /// The shipment with its rows.
    #[must_use]
    pub fn with_rows(self, rows: Vec<RecordBatch>) -> Self {
        Self { rows, ..self }
    }

    /// Its number within its query.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What a planner knows of it.
    pub fn planned(&self) -> Option<&PlannedShipment> {
        self.planned.as_deref()
    }
}

#[async_trait]
impl TableProvider for ShippedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = std::slice::from_ref(&self.rows);
        let exec = MemorySourceConfig::try_new_exec(rows, self.schema(), projection.cloned())?;
        Ok(exec)
    }
}

/// The shipped rows that `scan` reads, if that is what it reads.
pub fn shipped_table_of(scan: &TableScan) -> Option<ShippedTable> {
    let provider = source_as_provider(&scan.source).ok()?;
    provider.downcast_ref::<ShippedTable>().cloned()
}
