//! Batches of one size.

use std::sync::Arc;

use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DataFusionError, Result};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

/// Batches of a running plan.
pub(crate) type Batches = BoxStream<'static, Result<RecordBatch>>;

/// Full batches of `rows` rows and one last shorter one.
pub(crate) fn rechunk(input: Batches, schema: SchemaRef, rows: usize) -> Batches {
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
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), Vec::new(), &options)
        .map_err(DataFusionError::from)
}
