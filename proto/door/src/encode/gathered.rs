//! Small batches on their way to becoming one message.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::{MAX_ROWS, TARGET_BYTES, size_of};

/// Batches that wait for others, as long as they make no full message.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    batches: Vec<RecordBatch>,
    bytes: usize,
    rows: usize,
}

impl Gathered {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Adds `batch`, and returns what no longer waits, in its order.
    pub(crate) fn add(&mut self, batch: RecordBatch) -> Vec<RecordBatch> {
        let (bytes, rows) = (size_of(&batch), batch.num_rows());
        let alike = self
            .batches
            .first()
            .is_none_or(|it| it.schema() == batch.schema());
        let fits = self.bytes + bytes <= TARGET_BYTES && self.rows + rows <= MAX_ROWS;
        let mut ready = match alike && fits {
            true => Vec::new(),
            false => self.take(),
        };
        self.batches.push(batch);
        self.bytes += bytes;
        self.rows += rows;
        // Another as large as this would not fit.
        if self.bytes + bytes > TARGET_BYTES || self.rows + rows > MAX_ROWS {
            ready.extend(self.take());
        }
        ready
    }

    /// What waits, as one batch if it can be one.
    pub(crate) fn take(&mut self) -> Vec<RecordBatch> {
        let Self { batches, .. } = std::mem::take(self);
        let Some(schema) = batches.first().map(RecordBatch::schema) else {
            return batches;
        };
        match batches.len() {
            1 => batches,
            // Keys of dictionaries may be too narrow for all at once.
            _ => concat_batches(&schema, &batches).map_or(batches, |one| vec![one]),
        }
    }
}
