//! Record batches on their way out: cast to what every client understands, cut into messages of
//! about 1 MiB, encoded as Arrow IPC.
//!
//! The sizes that decide where to cut are those of the visible rows, never those of the buffers
//! behind them: a slice of a large batch leaves at the size of the slice.

mod gathered;
mod shown;
mod size;
mod wire;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Field, SchemaRef};
use arrow_flight::{FlightData, SchemaAsIpc};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use weft_governance::{Error, ErrorKind, code};
use weft_wire::receipt::{Sent, StreamDigest};

pub(crate) use gathered::Gathered;
pub use size::logical_size;
pub(crate) use wire::same_columns;
pub use wire::{can_be_sent_as, wire_schema};

/// Bytes of rows that one message aims at.
const TARGET_BYTES: usize = 1 << 20;
/// Bytes that no message exceeds, unless a single row does: clients refuse 4 MiB.
const MAX_BYTES: usize = 7 << 19;
/// Rows that no message exceeds.
const MAX_ROWS: usize = 1 << 16;

/// Bytes of which headers for clients are a multiple.
const HEADER_UNIT: usize = 8;

/// How the bodies of messages with rows are written, if that makes them smaller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// Every buffer as an LZ4 frame.
    Lz4,
}

/// Turns the batches of one result into Flight messages of exactly one schema.
#[derive(Debug)]
pub struct Encoder {
    schema: SchemaRef,
    options: IpcWriteOptions,
    /// For messages that may be compressed.
    compressed: Option<IpcWriteOptions>,
    /// Bytes that a client takes in one message.
    most: Option<usize>,
    context: IpcWriteContext,
    bytes: u64,
    rows: u64,
    batches: u64,
    digest: Option<StreamDigest>,
}

impl Encoder {
    /// An encoder for the schema that was announced; [`wire_schema`] is applied to it.
    pub fn new(schema: SchemaRef) -> Self {
        let mut context = IpcWriteContext::default();
        // A message is about as large as the one before: one allocation instead of a growing one.
        context.set_reserve_scratch(true);
        Self {
            schema: wire_schema(&schema),
            options: IpcWriteOptions::default(),
            compressed: None,
            most: None,
            context,
            bytes: 0,
            rows: 0,
            batches: 0,
            digest: None,
        }
    }

    /// The same, which also remembers what it has made.
    pub fn digesting(self) -> Self {
        Self {
            digest: Some(StreamDigest::new()),
            ..self
        }
    }

    /// The same, for a reader that asked for `compression`.
    ///
    /// # Errors
    /// `Internal` if this build does not have it.
    pub fn compressing(self, compression: Compression) -> Result<Self, Error> {
        let compressed = match compression {
            Compression::None => None,
            Compression::Lz4 => {
                let codec = Some(CompressionType::LZ4_FRAME);
                let options = IpcWriteOptions::default().try_with_compression(codec);
                Some(options.map_err(|error| misfit("no LZ4 in this build").caused_by(error))?)
            }
        };
        Ok(Self { compressed, ..self })
    }

    /// The same, for a client that takes no message with more than `most` bytes: a row that needs
    /// more is refused. Headers are padded to 8 bytes: there are clients that misread others.
    #[must_use]
    pub fn for_client(self, most: usize) -> Self {
        Self {
            most: Some(most),
            ..self
        }
    }

    /// The schema that every message has.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The message that comes before all batches.
    pub fn schema_frame(&mut self) -> FlightData {
        let frame = FlightData::from(SchemaAsIpc::new(&self.schema, &self.options));
        let frame = self.padded(frame);
        self.count(&frame);
        frame
    }

    /// Encodes `batch` as zero or more messages; none of them exceeds 3.5 MiB unless a single row
    /// does. Names and nullability are those of the announced schema.
    ///
    /// # Errors
    /// `Internal` if the batch does not fit the announced schema, `WEFT-RESOURCES` if a row is larger
    /// than the reader takes.
    pub fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<FlightData>, Error> {
        self.check(batch)?;
        let batch = shown::shown(batch)
            .map_err(|error| misfit("a batch cannot be copied").caused_by(error))?;
        let mut frames = Vec::new();
        self.cut(&batch, MAX_ROWS, &mut frames)?;
        Ok(frames)
    }

    /// Bytes of headers and bodies of all messages so far as they are sent, the schema included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Messages with rows so far.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// What all messages so far amount to; of an encoder that does not digest, without a digest.
    pub fn sent(&self) -> Sent {
        let digest = self.digest.as_ref().map(StreamDigest::text);
        Sent {
            rows: self.rows,
            bytes: self.bytes,
            digest: digest.unwrap_or_default(),
        }
    }

    fn check(&self, batch: &RecordBatch) -> Result<(), Error> {
        if batch.num_columns() != self.schema.fields().len() {
            return Err(misfit(format!(
                "a batch has {} columns where {} were announced",
                batch.num_columns(),
                self.schema.fields().len()
            )));
        }
        for (column, field) in batch.columns().iter().zip(self.schema.fields()) {
            if !wire::fits(column.data_type(), field.data_type()) {
                return Err(misfit(format!(
                    "column `{}` has type {} where {} was announced",
                    field.name(),
                    column.data_type(),
                    field.data_type()
                )));
            }
        }
        Ok(())
    }

    /// Encodes `batch` in pieces of at most `rows` rows, and those that are too large in smaller ones.
    fn cut(
        &mut self,
        batch: &RecordBatch,
        rows: usize,
        frames: &mut Vec<FlightData>,
    ) -> Result<(), Error> {
        let mut start = 0;
        while start < batch.num_rows() {
            let length = rows.max(1).min(batch.num_rows() - start);
            self.encode_piece(&batch.slice(start, length), frames)?;
            start += length;
        }
        Ok(())
    }

    fn encode_piece(
        &mut self,
        piece: &RecordBatch,
        frames: &mut Vec<FlightData>,
    ) -> Result<(), Error> {
        let rows = piece.num_rows();
        let size = size_of(piece);
        // The tail of a batch is not worth a message of its own.
        let parts = size
            .saturating_sub(TARGET_BYTES / 4)
            .div_ceil(TARGET_BYTES)
            .min(rows);
        if parts > 1 {
            return self.cut(piece, rows.div_ceil(parts), frames);
        }
        let conformed = self.conform(piece)?;
        let mut message = frame(&conformed, &self.options, &mut self.context)?;
        if length(&message) > MAX_BYTES && rows > 1 {
            return self.cut(piece, rows.div_ceil(2), frames);
        }
        if let Some(options) = &self.compressed {
            let compressed = frame(&conformed, options, &mut self.context)?;
            if length(&compressed) < length(&message) {
                message = compressed;
            }
        }
        let message = self.padded(message);
        if let Some(most) = self.most.filter(|most| length(&message) > *most) {
            return Err(too_wide(most));
        }
        self.count(&message);
        self.rows += rows as u64;
        self.batches += 1;
        frames.push(message);
        Ok(())
    }

    fn padded(&self, mut frame: FlightData) -> FlightData {
        let missing = frame.data_header.len().wrapping_neg() % HEADER_UNIT;
        if self.most.is_some() && missing > 0 {
            let padding = [0; HEADER_UNIT];
            let padding = padding.get(..missing).unwrap_or_default();
            frame.data_header = [&frame.data_header[..], padding].concat().into();
        }
        frame
    }

    fn conform(&self, piece: &RecordBatch) -> Result<RecordBatch, Error> {
        let columns = piece
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| conform_column(column, field))
            .collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(piece.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| misfit("a batch does not fit its announced schema").caused_by(error))
    }

    fn count(&mut self, frame: &FlightData) {
        self.bytes += length(frame) as u64;
        if let Some(digest) = &mut self.digest {
            digest.add(&frame.data_header);
            digest.add(&frame.data_body);
        }
    }
}

/// Bytes that the values of `batch` take once they are written out, about.
pub(crate) fn size_of(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns.map(|column| logical_size(column)).sum()
}

fn length(frame: &FlightData) -> usize {
    frame.data_header.len() + frame.data_body.len()
}

fn frame(
    piece: &RecordBatch,
    options: &IpcWriteOptions,
    context: &mut IpcWriteContext,
) -> Result<FlightData, Error> {
    let mut dictionaries = DictionaryTracker::new(true);
    let (_, encoded) = IpcDataGenerator::default()
        .encode(piece, &mut dictionaries, options, context)
        .map_err(|error| misfit("a batch cannot be encoded").caused_by(error))?;
    Ok(encoded.into())
}

fn conform_column(column: &ArrayRef, field: &Field) -> Result<ArrayRef, Error> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(column, field.data_type(), &options).map_err(|error| {
        let message = format!("column `{}` does not fit its announced type", field.name());
        misfit(message).caused_by(error)
    })
}

fn too_wide(most: usize) -> Error {
    let message = format!("a row is larger than the {most} bytes that clients take at once");
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message).with_hint(
        "Select fewer or shorter columns, for example with `substr`, or send the header \
         `x-weft-max-message` with the bytes that the client takes, up to 67108864.",
    )
}

fn misfit(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}

#[cfg(test)]
mod tests;
