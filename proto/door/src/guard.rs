//! Arrow IPC on its way in, from a peer that is not trusted: every length, count and type is
//! checked before Arrow decodes a message.
//!
//! Compressed bodies are refused unless the reader asked for them, and expanded here, no further
//! than a body may be that is not compressed: Arrow's own reader would expand a buffer as far as its
//! sender likes. Dictionaries, unions and runs are refused: none of Weft's servers sends them.

mod batch;
mod compressed;
mod schema;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::FlightData;
use arrow_ipc::reader::read_record_batch;
use arrow_ipc::{Message, MessageHeader, MetadataVersion, root_as_message};
use bytes::Bytes;
use weft_governance::{Error, ErrorKind, code};
use weft_wire::receipt::{Sent, StreamDigest};

use crate::encode::{Compression, logical_size};

/// What one message may hold at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of a message's header and body, and of its body once it is expanded.
    pub message: usize,
    /// Rows of a batch.
    pub rows: usize,
    /// Fields of a schema, nested ones included.
    pub fields: usize,
    /// Bytes of a batch once views are written out.
    pub expanded: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            message: 64 << 20,
            rows: 1 << 20,
            fields: 10_000,
            expanded: 256 << 20,
        }
    }
}

/// What a message turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// The schema of all batches that follow.
    Schema(SchemaRef),
    /// Rows.
    Batch(RecordBatch),
    /// A message without Arrow data: its application metadata.
    Metadata(Bytes),
}

/// Decodes the messages of one stream.
#[derive(Debug)]
pub struct Decoder {
    limits: DecodeLimits,
    asked: Compression,
    schema: Option<SchemaRef>,
    bytes: u64,
    rows: u64,
    digest: Option<StreamDigest>,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(limits: DecodeLimits) -> Self {
        Self {
            limits,
            asked: Compression::None,
            schema: None,
            bytes: 0,
            rows: 0,
            digest: None,
        }
    }

    /// The same, which also remembers what it has read.
    pub fn digesting(self) -> Self {
        Self {
            digest: Some(StreamDigest::new()),
            ..self
        }
    }

    /// The same, for a reader that asked for `compression`.
    pub fn having_asked_for(self, compression: Compression) -> Self {
        Self {
            asked: compression,
            ..self
        }
    }

    /// Decodes the next message of the stream.
    ///
    /// # Errors
    /// `InvalidInput` with code `PROTOCOL` if the message is malformed or out of order;
    /// `ResourceExhausted` if it is larger than the limits.
    pub fn decode(&mut self, frame: FlightData) -> Result<Decoded, Error> {
        let FlightData {
            flight_descriptor: _,
            data_header,
            app_metadata,
            data_body,
        } = frame;
        if data_header.is_empty() {
            return Ok(Decoded::Metadata(app_metadata));
        }
        let size = data_header.len().saturating_add(data_body.len());
        if size > self.limits.message {
            return Err(too_large("bytes", self.limits.message));
        }
        let message = root_as_message(&data_header).map_err(|error| {
            malformed("its header is no Arrow message").caused_by(error.to_string())
        })?;
        check_envelope(&message, data_body.len())?;
        if let Some(digest) = &mut self.digest {
            digest.add(&data_header);
            digest.add(&data_body);
        }
        let decoded = match message.header_type() {
            MessageHeader::Schema => Decoded::Schema(self.decode_schema(&message)?),
            MessageHeader::RecordBatch => Decoded::Batch(self.decode_batch(&message, data_body)?),
            _ => return Err(malformed("it is neither a schema nor a record batch")),
        };
        self.bytes += size as u64;
        Ok(decoded)
    }

    /// Bytes of the headers and bodies of all messages so far, as they came.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Rows of all batches so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What all messages so far amount to; of a decoder that does not digest, without a digest.
    pub fn came(&self) -> Sent {
        let digest = self.digest.as_ref().map(StreamDigest::text);
        Sent {
            rows: self.rows,
            bytes: self.bytes,
            digest: digest.unwrap_or_default(),
        }
    }

    /// The schema of the stream, once it has come.
    pub fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }

    fn decode_schema(&mut self, message: &Message<'_>) -> Result<SchemaRef, Error> {
        if self.schema.is_some() {
            return Err(malformed("the stream has a schema already"));
        }
        let ipc = message
            .header_as_schema()
            .ok_or_else(|| malformed("it has no schema"))?;
        schema::check(&ipc, self.limits.fields)?;
        let schema: Schema = contained(|| Ok(arrow_ipc::convert::fb_to_schema(ipc)))?;
        let schema = Arc::new(schema);
        self.schema = Some(Arc::clone(&schema));
        Ok(schema)
    }

    fn decode_batch(&mut self, message: &Message<'_>, body: Bytes) -> Result<RecordBatch, Error> {
        let ipc = batch_of(message)?;
        if ipc.compression().is_none() || self.asked == Compression::None {
            return self.read_batch(message, &Buffer::from(body));
        }
        let plain = compressed::expand(&ipc, &body, self.limits.message)?;
        let message = root_as_message(&plain.header)
            .map_err(|error| malformed("it cannot be expanded").caused_by(error.to_string()))?;
        self.read_batch(&message, &plain.body)
    }

    fn read_batch(&mut self, message: &Message<'_>, body: &Buffer) -> Result<RecordBatch, Error> {
        let schema = self
            .schema
            .clone()
            .ok_or_else(|| malformed("a batch came before its schema"))?;
        let ipc = batch_of(message)?;
        batch::check(&ipc, &schema, body.len(), self.limits.rows)?;
        let version = message.version();
        let batch =
            contained(|| read_record_batch(body, ipc, schema, &HashMap::new(), None, &version))?;
        let size: usize = batch
            .columns()
            .iter()
            .map(|column| logical_size(column))
            .sum();
        if size > self.limits.expanded {
            return Err(too_large("bytes of values", self.limits.expanded));
        }
        self.rows += batch.num_rows() as u64;
        Ok(batch)
    }
}

fn batch_of<'a>(message: &Message<'a>) -> Result<arrow_ipc::RecordBatch<'a>, Error> {
    let batch = message.header_as_record_batch();
    batch.ok_or_else(|| malformed("it has no batch"))
}

fn check_envelope(message: &Message<'_>, body: usize) -> Result<(), Error> {
    if ![MetadataVersion::V4, MetadataVersion::V5].contains(&message.version()) {
        return Err(malformed("its metadata version is neither 4 nor 5"));
    }
    match usize::try_from(message.bodyLength()) {
        Ok(length) if length <= body => Ok(()),
        _ => Err(malformed("its body is shorter than announced")),
    }
}

/// Runs Arrow's own decoder. The checks before it leave no panic that we know of; one that we do
/// not know of ends the message, not the connection.
fn contained<T>(decode: impl FnOnce() -> Result<T, arrow::error::ArrowError>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(malformed("its data is inconsistent").caused_by(error)),
        Err(_) => Err(malformed(BROKE_THE_DECODER)),
    }
}

/// Why a message was refused that our checks should have refused earlier.
pub(crate) const BROKE_THE_DECODER: &str = "its data cannot be decoded";

fn malformed(reason: impl std::fmt::Display) -> Error {
    let message = format!("an Arrow message is malformed: {reason}");
    Error::new(ErrorKind::InvalidInput, code::PROTOCOL, message)
}

fn too_large(what: &str, limit: usize) -> Error {
    let message = format!("an Arrow message has more than {limit} {what}");
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
        .with_hint("Send the data in smaller messages.")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::sample_messages;
