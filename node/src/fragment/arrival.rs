//! Columns that came with a fragment, checked and in the types of its plan.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_flight::FlightData;
use weft_door::guard::{DecodeLimits, Decoded, Decoder};
use weft_governance::Error;
use weft_wire::rpc::fragment::ArrowMessage;

use super::engine::malformed;

/// The batches in `messages`, and their schema if one came.
///
/// # Errors
/// If they are not Arrow, or too large.
pub(super) fn decode(
    messages: Vec<ArrowMessage>,
) -> Result<(Option<SchemaRef>, Vec<RecordBatch>), Error> {
    let mut decoder = Decoder::new(DecodeLimits::default());
    let mut schema = None;
    let mut batches = Vec::new();
    for ArrowMessage { header, body } in messages {
        let frame = FlightData {
            data_header: header.into(),
            data_body: body.into(),
            ..FlightData::default()
        };
        match decoder.decode(frame)? {
            Decoded::Schema(came) => schema = Some(came),
            Decoded::Batch(batch) => batches.push(batch),
            Decoded::Metadata(_) => return Err(malformed("Arrow message")),
        }
    }
    Ok((schema, batches))
}

/// `batch` with the columns of `schema`, which may hold text or lists in another layout.
///
/// # Errors
/// If it does not fit.
pub(super) fn cast_to(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns: Vec<_> = columns
        .map(
            |(column, field)| match column.data_type() == field.data_type() {
                true => Ok(Arc::clone(column)),
                false => cast(column, field.data_type()),
            },
        )
        .collect::<Result<_, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)
}
