//! Parameters that a client binds: one row, by position.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use weft_governance::{Error, ErrorKind, code};

use crate::encode::wire_schema;
use crate::guard::{DecodeLimits, Decoded, Decoder};

/// Messages that a row of parameters may take.
const MAX_MESSAGES: usize = 64;

/// Collects the messages of a stream of parameters.
#[derive(Debug)]
pub(super) struct Binding {
    decoder: Decoder,
    messages: usize,
    row: Option<RecordBatch>,
}

impl Binding {
    /// Nothing is bound yet; a message has at most `message` bytes.
    pub(super) fn new(message: usize) -> Self {
        let limits = DecodeLimits {
            message,
            expanded: message,
            ..DecodeLimits::default()
        };
        Self {
            decoder: Decoder::new(limits),
            messages: 0,
            row: None,
        }
    }

    /// Takes the next message.
    pub(super) fn take(&mut self, message: arrow_flight::FlightData) -> Result<(), Error> {
        self.messages += 1;
        if self.messages > MAX_MESSAGES {
            return Err(refused("parameters come in too many messages"));
        }
        let Decoded::Batch(batch) = self.decoder.decode(message)? else {
            return Ok(());
        };
        if batch.num_rows() > 1 || (batch.num_rows() == 1 && self.row.is_some()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                code::UNSUPPORTED,
                "a statement runs with one row of parameters at a time",
            )
            .with_hint("Execute the statement once per row."));
        }
        if batch.num_rows() == 1 {
            self.row = Some(batch);
        }
        Ok(())
    }

    /// The row, with the names that `parameters` declares; nothing if there was none, or none is
    /// declared. Types stay those of the client, except that an untyped NULL takes the declared one.
    pub(super) fn finish(self, parameters: &Schema) -> Result<Option<RecordBatch>, Error> {
        let Some(row) = self.row.filter(|row| row.num_columns() > 0) else {
            return Ok(None);
        };
        if row.num_columns() != parameters.fields().len() {
            return Err(refused(&format!(
                "the statement has {} parameters and {} values are bound",
                parameters.fields().len(),
                row.num_columns()
            )));
        }
        let plain = wire_schema(&row.schema());
        let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = row
            .columns()
            .iter()
            .zip(plain.fields().iter().zip(parameters.fields()))
            .map(|(value, (plain, declared))| bind(value, plain.data_type(), declared))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .unzip();
        let row = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
        row.map(Some)
            .map_err(|error| refused("a parameter is malformed").caused_by(error))
    }
}

fn bind(value: &ArrayRef, plain: &DataType, declared: &Field) -> Result<(Field, ArrayRef), Error> {
    let value = if *plain == DataType::Null {
        new_null_array(declared.data_type(), 1)
    } else {
        cast(value, plain).map_err(|error| refused("a parameter is malformed").caused_by(error))?
    };
    Ok((
        Field::new(declared.name(), value.data_type().clone(), true),
        value,
    ))
}

fn refused(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, code::PLAN, message)
}
