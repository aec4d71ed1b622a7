//! Rows on their way to an order with a limit, and what they tell the fragments that they come of.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_datafusion_err, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use super::bound::FirstKeys;
use super::relay::Relay;
use crate::plan::Tightening;

/// Passes rows on as they are. Whenever the first of them end at a better row than before, running
/// fragments are told; nobody waits for it.
#[derive(Debug)]
pub(super) struct TightenExec {
    input: Arc<dyn ExecutionPlan>,
    tightening: Arc<Tightening>,
    relay: Arc<Relay>,
    properties: Arc<PlanProperties>,
}

impl TightenExec {
    /// Over the rows of `input`.
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        tightening: Arc<Tightening>,
        relay: Arc<Relay>,
    ) -> Self {
        Self {
            properties: Arc::clone(input.properties()),
            input,
            tightening,
            relay,
        }
    }
}

impl DisplayAs for TightenExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TightenExec")
    }
}

impl ExecutionPlan for TightenExec {
    fn name(&self) -> &str {
        "TightenExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
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
        let Ok([input]) = <[_; 1]>::try_from(children) else {
            return internal_err!("rows that tighten fragments have one source");
        };
        let (tightening, relay) = (Arc::clone(&self.tightening), Arc::clone(&self.relay));
        Ok(Arc::new(Self::new(input, tightening, relay)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let input = inputs.first().map(Arc::clone);
        input.ok_or_else(|| internal_datafusion_err!("an input has no statistics"))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        // The first rows of one partition are at best those of all.
        let memory = MemoryConsumer::new("TightenExec").register(context.memory_pool());
        let mut first = FirstKeys::new(&self.tightening, &schema, memory)?;
        let (tightening, relay) = (Arc::clone(&self.tightening), Arc::clone(&self.relay));
        let rows = self.input.execute(partition, context)?.map(move |batch| {
            let batch = batch?;
            if let Some(bound) = first.add(&batch)? {
                for target in &tightening.targets {
                    relay.tighten(target, &bound);
                }
            }
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
