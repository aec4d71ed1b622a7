//! A schema by itself, as bytes: an encapsulated Arrow IPC message, types unchanged.

use arrow::datatypes::Schema;
use arrow_flight::{FlightData, SchemaAsIpc};
use arrow_ipc::writer::IpcWriteOptions;
use bytes::Bytes;
use weft_governance::{Error, ErrorKind, code};

use crate::guard::{DecodeLimits, Decoded, Decoder};

/// The bytes of `schema`.
pub fn to_bytes(schema: &Schema) -> Vec<u8> {
    FlightData::from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()))
        .data_header
        .to_vec()
}

/// The schema that `bytes` from another server hold.
///
/// # Errors
/// `WEFT-PROTOCOL` if they hold anything else, `WEFT-RESOURCES` if it is too large.
pub fn from_bytes(bytes: &[u8]) -> Result<Schema, Error> {
    let frame = FlightData {
        data_header: Bytes::copy_from_slice(bytes),
        ..FlightData::default()
    };
    match Decoder::new(DecodeLimits::default()).decode(frame)? {
        Decoded::Schema(schema) => Ok(schema.as_ref().clone()),
        Decoded::Batch(_) | Decoded::Metadata(_) => Err(Error::new(
            ErrorKind::InvalidInput,
            code::PROTOCOL,
            "a schema is malformed",
        )),
    }
}
