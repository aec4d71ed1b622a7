//! The leaf of a plan before its owner has admitted it.

use std::sync::Arc;

use crate::statistics::{Selectivities, TableStatistics};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, TableScan, TableType};
use datafusion::physical_plan::ExecutionPlan;
use weft_governance::contract::Remark;
use weft_governance::{DomainId, Error, ErrorKind, FlowTo, KeyDisclosure, TableRef, code};

/// A table of a data product, with the columns that the asker may name. It cannot be read.
///
/// It takes no filters: predicates stay as nodes above the scan, where the plan's encoding keeps
/// them. Filters inside a scan would be lost on the way to the node.
#[derive(Debug, Clone)]
pub struct ProductTable {
    table: TableRef,
    schema: SchemaRef,
    key: Vec<String>,
    disclosure: Vec<KeyDisclosure>,
    flow_to: FlowTo,
    statistics: Option<Arc<TableStatistics>>,
    selectivities: Arc<Selectivities>,
    grants: Vec<String>,
    min_group_size: Option<u64>,
    remarks: Arc<[Remark]>,
}

impl ProductTable {
    /// The table with its visible columns.
    pub fn new(table: TableRef, schema: SchemaRef) -> Self {
        Self {
            table,
            schema,
            key: Vec::new(),
            disclosure: Vec::new(),
            flow_to: FlowTo::default(),
            statistics: None,
            selectivities: Arc::default(),
            grants: Vec::new(),
            min_group_size: None,
            remarks: Arc::default(),
        }
    }

    /// The table with a primary key that its contract declares. It is a hint: what the optimizer
    /// may conclude from it must not change an answer, for the data may not keep it.
    #[must_use]
    pub fn with_key(self, key: Vec<String>) -> Self {
        Self { key, ..self }
    }

    /// The table whose owner says of each column how much of it may travel as join keys.
    #[must_use]
    pub fn with_disclosure(self, disclosure: Vec<KeyDisclosure>) -> Self {
        Self { disclosure, ..self }
    }

    /// How much of the visible column `index` may travel to other domains as join keys: nothing,
    /// unless its owner said otherwise.
    pub fn disclosure(&self, index: usize) -> KeyDisclosure {
        self.disclosure.get(index).copied().unwrap_or_default()
    }

    /// The table whose owner lets rows flow to these domains.
    #[must_use]
    pub fn with_flow(self, flow_to: FlowTo) -> Self {
        Self { flow_to, ..self }
    }

    /// Whether its owner lets rows flow to the nodes of `domain`.
    pub fn flows_to(&self, domain: &DomainId) -> bool {
        domain == self.table.domain() || self.flow_to.allows(domain)
    }

    /// The table with what its owner says of its rows as the asker may see them.
    #[must_use]
    pub fn with_statistics(self, statistics: Option<Arc<TableStatistics>>) -> Self {
        Self { statistics, ..self }
    }

    /// What is known of its rows.
    pub fn statistics(&self) -> Option<&TableStatistics> {
        self.statistics.as_deref()
    }

    /// The table with the parts of its rows, as the asker may see them, that meet conditions.
    #[must_use]
    pub fn with_selectivities(self, selectivities: Arc<Selectivities>) -> Self {
        Self {
            selectivities,
            ..self
        }
    }

    /// The parts of its rows that meet conditions, where they were counted.
    pub fn selectivities(&self) -> &Selectivities {
        &self.selectivities
    }

    /// The table with the ids of the grants that the asker holds on it.
    #[must_use]
    pub fn with_grants(self, grants: Vec<String>) -> Self {
        Self { grants, ..self }
    }

    /// The table whose rows may be shown in groups of so many alone.
    #[must_use]
    pub fn with_groups(self, min_group_size: Option<u64>) -> Self {
        Self {
            min_group_size,
            ..self
        }
    }

    /// Whether there are columns of which single rows may not be shown.
    pub fn is_grouped(&self) -> bool {
        self.min_group_size.is_some()
    }

    /// The ids of the grants that the asker holds on it.
    pub fn grants(&self) -> &[String] {
        &self.grants
    }

    /// The table whose owner tells this of each visible column.
    #[must_use]
    pub fn with_remarks(self, remarks: impl Into<Arc<[Remark]>>) -> Self {
        Self {
            remarks: remarks.into(),
            ..self
        }
    }

    /// What the owner tells of the visible column `index`, if anything.
    pub fn remark(&self, index: usize) -> Option<&Remark> {
        self.remarks.get(index)
    }

    /// The columns of the declared primary key, empty without one.
    pub fn key(&self) -> &[String] {
        &self.key
    }

    /// Which table.
    pub fn table(&self) -> &TableRef {
        &self.table
    }

    /// The visible columns.
    pub fn visible(&self) -> &SchemaRef {
        &self.schema
    }
}

#[async_trait]
impl TableProvider for ProductTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let message = format!(
            "`{}` was to be read without its owner's permission",
            self.table
        );
        let error = Error::new(ErrorKind::Internal, code::INTERNAL, message);
        Err(DataFusionError::External(Box::new(error)))
    }
}

/// The product table that `scan` reads, if that is what it reads.
pub fn product_table_of(scan: &TableScan) -> Option<ProductTable> {
    let provider = source_as_provider(&scan.source).ok()?;
    provider.downcast_ref::<ProductTable>().cloned()
}
