//! Rows that are of no use any more to whoever asked for a running fragment.
//!
//! A bound is laid on the rows that the answer would show. It makes the node send fewer of them and
//! reads nothing, so no grant is needed for it.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::{SortOptions, cast, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};
use prost::Message;
use weft_door::encode::wire_schema;
use weft_governance::Error;
use weft_wire::rpc::fragment as rpc;

use super::arrival::decode;
use super::engine::malformed;
use crate::incident;

/// Bytes that one may have.
const MOST_BYTES: usize = 1 << 20;

/// The last row that is of use, in an order by one column.
#[derive(Debug)]
pub(super) struct Bound {
    column: usize,
    converter: RowConverter,
    last: OwnedRow,
}

impl Bound {
    /// The bound in `message`, for rows with the columns of `output`.
    ///
    /// # Errors
    /// `WEFT-PROTOCOL` if it does not fit them.
    pub(super) fn decode(message: rpc::Bound, output: &SchemaRef) -> Result<Self, Error> {
        if message.encoded_len() > MOST_BYTES {
            return Err(misfit());
        }
        let rpc::Bound {
            column,
            value,
            descending,
            nulls_first,
        } = message;
        let column = usize::try_from(column).map_err(|_| misfit())?;
        let wire = wire_schema(output);
        let fields = output.fields().get(column).zip(wire.fields().get(column));
        let (field, sent) = fields.ok_or_else(misfit)?;
        let (_, batches) = decode(value)?;
        let [batch] = batches.as_slice() else {
            return Err(misfit());
        };
        let [value] = batch.columns() else {
            return Err(misfit());
        };
        if value.len() != 1 || value.data_type() != sent.data_type() {
            return Err(misfit());
        }
        let options = SortOptions {
            descending,
            nulls_first,
        };
        let order = SortField::new_with_options(field.data_type().clone(), options);
        let found = || -> Result<_, ArrowError> {
            let value = cast(value, field.data_type())?;
            let converter = RowConverter::new(vec![order])?;
            let rows = converter.convert_columns(&[value])?;
            Ok((rows.iter().next().map(|row| row.owned()), converter))
        };
        match found() {
            Ok((Some(last), converter)) => Ok(Self {
                column,
                converter,
                last,
            }),
            Ok((None, _)) | Err(_) => Err(misfit()),
        }
    }

    /// The rows of `batch` that do not come after the last that is of use.
    ///
    /// # Errors
    /// If the batch does not have the announced columns.
    pub(super) fn apply(&self, batch: RecordBatch) -> Result<RecordBatch, Error> {
        let column = batch.columns().get(self.column).ok_or_else(misfit)?;
        let keys = self.converter.convert_columns(&[Arc::clone(column)]);
        let kept = keys.and_then(|keys| {
            let last = self.last.row();
            let keep: BooleanArray = keys.iter().map(|key| Some(key <= last)).collect();
            match keep.has_false() {
                true => filter_record_batch(&batch, &keep).map(Some),
                false => Ok(None),
            }
        });
        match kept {
            Ok(kept) => Ok(kept.unwrap_or(batch)),
            Err(error) => Err(incident::unnumbered("a bound does not fit", error.into())),
        }
    }
}

fn misfit() -> Error {
    malformed("bound")
}

#[cfg(test)]
mod tests;
