//! Parameters that a client binds: rows of values, by position.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema};
use weft_governance::{Error, ErrorKind, code};

use crate::encode::{logical_size, wire_schema};
use crate::guard::{DecodeLimits, Decoded, Decoder};

/// Messages that a stream of parameters may have.
const MAX_MESSAGES: usize = 64;
/// Rows that may be bound at once: the statement runs for each.
const MAX_ROWS: usize = 1 << 10;
/// Bytes that may be bound at once. They are kept as long as the statement is.
const MAX_BYTES: usize = 16 << 20;

/// Collects the messages of a stream of parameters.
#[derive(Debug)]
pub(super) struct Binding {
    decoder: Decoder,
    messages: usize,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
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
            batches: Vec::new(),
            rows: 0,
            bytes: 0,
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
        self.rows += batch.num_rows();
        // What it takes once dictionaries are written out.
        let sizes = batch.columns().iter().map(|column| logical_size(column));
        self.bytes = self.bytes.saturating_add(sizes.sum());
        if self.rows > MAX_ROWS || self.bytes > MAX_BYTES {
            let message = format!(
                "more than {MAX_ROWS} rows or {MAX_BYTES} bytes of parameters were bound at once"
            );
            return Err(
                Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
                    .with_hint("Bind fewer rows at a time."),
            );
        }
        if batch.num_rows() > 0 {
            self.batches.push(batch);
        }
        Ok(())
    }

    /// The rows, with the names that `parameters` declares; nothing if there were none, or none is
    /// declared. Types stay those of the client, except that an untyped NULL takes the declared one.
    pub(super) fn finish(self, parameters: &Schema) -> Result<Option<RecordBatch>, Error> {
        let Some(first) = self.batches.first() else {
            return Ok(None);
        };
        if first.num_columns() == 0 {
            return Ok(None);
        }
        let row = concat_batches(&first.schema(), &self.batches)
            .map_err(|error| refused("a parameter is malformed").caused_by(error))?;
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
        new_null_array(declared.data_type(), value.len())
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
