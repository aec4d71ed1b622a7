//! The rows of one fragment, made ready for another fragment's node.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use datafusion::execution::memory_pool::MemoryReservation;
use weft_door::encode::Encoder;
use weft_governance::Error;
use weft_wire::rpc::fragment::{ArrowMessage, ShippedRows};

/// Rows that are ready to be sent, by the number of their shipment.
pub type Shipped = BTreeMap<u32, Arc<ReadyRows>>;

/// Encoded rows.
#[derive(Debug)]
pub struct ReadyRows {
    /// What the node gets.
    pub(super) message: ShippedRows,
    /// How many there are.
    pub(super) rows: u64,
    /// Bytes that they take on the wire.
    pub(super) bytes: u64,
    /// What they occupy here.
    _memory: MemoryReservation,
}

impl ReadyRows {
    /// Which shipment they are.
    pub(super) fn number(&self) -> u32 {
        self.message.number
    }

    /// `batches`, which have `schema`, as the shipment `number`.
    ///
    /// # Errors
    /// If they cannot be encoded.
    pub(super) fn new(
        number: u32,
        schema: SchemaRef,
        batches: &[RecordBatch],
        memory: MemoryReservation,
    ) -> Result<Self, Error> {
        let mut encoder = Encoder::new(schema);
        let messages = messages(&mut encoder, batches)?;
        Ok(Self {
            message: ShippedRows { number, messages },
            rows: encoder.rows(),
            bytes: encoder.bytes(),
            _memory: memory,
        })
    }
}

/// The schema of `encoder` and `batches`, to travel inside a request.
///
/// # Errors
/// If they do not have that schema.
pub(super) fn messages(
    encoder: &mut Encoder,
    batches: &[RecordBatch],
) -> Result<Vec<ArrowMessage>, Error> {
    let message = |frame: FlightData| ArrowMessage {
        header: frame.data_header.into(),
        body: frame.data_body.into(),
    };
    let mut messages = vec![message(encoder.schema_frame())];
    for batch in batches {
        messages.extend(encoder.encode(batch)?.into_iter().map(message));
    }
    Ok(messages)
}
