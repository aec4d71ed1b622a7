//! The leaf that everything above sees instead of the protected plan.

use std::fmt;
use std::sync::Arc;

use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, execute_stream,
};
use futures::{StreamExt, TryStreamExt};

/// Runs the protected plan as a leaf without children: no rule of the optimizer looks or pushes
/// inside, no metric of the inside is shown, and batches have a fixed number of rows.
#[derive(Debug)]
pub(super) struct BarrierExec {
    inner: Arc<dyn ExecutionPlan>,
    batch_rows: usize,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl BarrierExec {
    pub(super) fn new(inner: Arc<dyn ExecutionPlan>, schema: SchemaRef, batch_rows: usize) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            inner,
            batch_rows,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for BarrierExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProtectedScanExec")
    }
}

impl ExecutionPlan for BarrierExec {
    fn name(&self) -> &str {
        "ProtectedScanExec"
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
            internal_err!("a protected scan has no children")
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a protected scan has one partition");
        }
        let schema = self.schema();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let stream = execute_stream(Arc::clone(&self.inner), context)?;
        let stamped = Arc::clone(&schema);
        let stream = stream.map(move |batch| batch.and_then(|batch| stamp(&stamped, batch)));
        let rechunked = rechunk(stream.boxed(), Arc::clone(&schema), self.batch_rows).inspect_ok(
            move |batch| {
                batch.record_output(&metrics);
            },
        );
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rechunked)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

type Batches = futures::stream::BoxStream<'static, Result<RecordBatch>>;

/// The rows of `batch` under the announced schema.
fn stamp(schema: &SchemaRef, batch: RecordBatch) -> Result<RecordBatch> {
    let rows =
        arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &rows)
        .map_err(DataFusionError::from)
}

/// Full batches of `rows` rows and one last shorter one.
fn rechunk(input: Batches, schema: SchemaRef, rows: usize) -> Batches {
    if schema.fields().is_empty() {
        return rechunk_counts(input, schema, rows);
    }
    let state = Some((input, BatchCoalescer::new(schema, rows)));
    futures::stream::try_unfold(state, |state| async move {
        let Some((mut input, mut coalescer)) = state else {
            return Ok(None);
        };
        loop {
            if let Some(full) = coalescer.next_completed_batch() {
                return Ok(Some((full, Some((input, coalescer)))));
            }
            match input.try_next().await? {
                Some(batch) => coalescer.push_batch(batch)?,
                None => {
                    coalescer.finish_buffered_batch()?;
                    return Ok(coalescer.next_completed_batch().map(|last| (last, None)));
                }
            }
        }
    })
    .boxed()
}

/// The same for batches that have rows and no columns.
fn rechunk_counts(input: Batches, schema: SchemaRef, rows: usize) -> Batches {
    futures::stream::try_unfold(Some((input, 0_usize)), move |state| {
        let schema = Arc::clone(&schema);
        async move {
            let Some((mut input, mut held)) = state else {
                return Ok(None);
            };
            while held < rows {
                match input.try_next().await? {
                    Some(batch) => held += batch.num_rows(),
                    None => {
                        let last = (held > 0).then(|| counted(&schema, held)).transpose()?;
                        return Ok(last.map(|last| (last, None)));
                    }
                }
            }
            Ok(Some((counted(&schema, rows)?, Some((input, held - rows)))))
        }
    })
    .boxed()
}

fn counted(schema: &SchemaRef, rows: usize) -> Result<RecordBatch> {
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), Vec::new(), &options)
        .map_err(DataFusionError::from)
}
