//! The leaf of the coordinator's physical plan.

use std::fmt;
use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::{StreamExt, TryStreamExt};

use super::relay::Relay;
use crate::plan::FragmentPlan;

/// Reads one fragment's rows. The request goes out when the first row is asked for.
#[derive(Debug)]
pub struct RemoteFragmentExec {
    fragment: Arc<FragmentPlan>,
    relay: Arc<Relay>,
    properties: Arc<PlanProperties>,
}

impl RemoteFragmentExec {
    /// The leaf for `fragment`, whose rows come through `relay`.
    pub fn new(fragment: Arc<FragmentPlan>, relay: Arc<Relay>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&fragment.read_as)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            fragment,
            relay,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for RemoteFragmentExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FragmentPlan { ordinal, site, .. } = self.fragment.as_ref();
        write!(f, "RemoteFragmentExec: #{ordinal} at {}", site.domain)
    }
}

impl ExecutionPlan for RemoteFragmentExec {
    fn name(&self) -> &str {
        "RemoteFragmentExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            Ok(self)
        } else {
            internal_err!("a remote fragment has no children")
        }
    }

    fn partition_statistics(&self, _partition: Option<usize>) -> Result<Arc<Statistics>> {
        let (rows, bytes) = self.relay.expected(&self.fragment);
        let count = |expected: f64| Precision::Inexact(expected.round() as usize);
        Ok(Arc::new(Statistics {
            num_rows: count(rows),
            total_byte_size: count(bytes),
            ..Statistics::new_unknown(&self.schema())
        }))
    }

    fn execute(
        &self,
        partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a remote fragment has one partition");
        }
        let rows = Arc::clone(&self.relay)
            .rows(self.fragment.ordinal)
            .map_err(|error| DataFusionError::External(Box::new(error)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            rows.boxed(),
        )))
    }
}
