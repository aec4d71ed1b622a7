//! Compressed bodies, expanded under a bound.
//!
//! What every buffer claims to expand to is read before any is expanded, and no buffer is expanded
//! further than it claims. What comes out is a message that is not compressed, for the checks that
//! all messages pass.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::buffer::{Buffer, MutableBuffer};
use arrow_ipc::{
    BodyCompressionMethod, CompressionType, FieldNode, MessageBuilder, MessageHeader,
    MetadataVersion, RecordBatch, RecordBatchBuilder,
};
use flatbuffers::FlatBufferBuilder;
use lz4_flex::frame::FrameDecoder;
use weft_governance::Error;

use super::{BROKE_THE_DECODER, malformed, too_large};

/// Bytes before each buffer that say how long it is once it is expanded.
const PREFIX: usize = 8;
/// What stands there before a buffer that is not compressed.
const AS_IT_IS: i64 = -1;
/// One byte of LZ4 stands for so many at most.
const MOST_RATIO: usize = 255;
/// Buffers start at multiples of it, so that none has to be copied to be read.
const ALIGNMENT: usize = 64;

/// A message that is not compressed.
pub(super) struct Plain {
    pub(super) header: Vec<u8>,
    pub(super) body: Buffer,
}

/// Expands `body`, the compressed body of `batch`, to at most `most` bytes.
///
/// # Errors
/// `InvalidInput` if it is malformed, `ResourceExhausted` if it would be larger.
pub(super) fn expand(batch: &RecordBatch<'_>, body: &[u8], most: usize) -> Result<Plain, Error> {
    let is_lz4 = batch.compression().is_some_and(|compression| {
        compression.codec() == CompressionType::LZ4_FRAME
            && compression.method() == BodyCompressionMethod::BUFFER
    });
    if !is_lz4 {
        return Err(malformed(
            "its body is compressed, and not as it was asked for",
        ));
    }
    let parts = parts(batch, body, most)?;
    let mut plain = MutableBuffer::with_capacity(parts.iter().map(Part::room).sum());
    let mut buffers = Vec::with_capacity(parts.len());
    for part in &parts {
        let start = plain.len();
        plain.resize(start + part.room(), 0);
        let room = plain.get_mut(start..start + part.length());
        part.write(room.ok_or_else(|| malformed(BROKE_THE_DECODER))?)?;
        buffers.push(arrow_ipc::Buffer::new(
            signed(start)?,
            signed(part.length())?,
        ));
    }
    Ok(Plain {
        header: header(batch, &buffers, plain.len())?,
        body: plain.into(),
    })
}

/// The buffers of `body`, which together expand to at most `most` bytes.
fn parts<'a>(batch: &RecordBatch<'_>, body: &'a [u8], most: usize) -> Result<Vec<Part<'a>>, Error> {
    let (mut unclaimed, mut room) = (body.len(), 0_usize);
    let mut parts = Vec::new();
    for buffer in batch.buffers().into_iter().flatten() {
        let bytes = slice(body, buffer)?;
        unclaimed = unclaimed
            .checked_sub(bytes.len())
            .ok_or_else(|| malformed("its buffers overlap"))?;
        let part = Part::of(bytes)?;
        room = room.saturating_add(part.room());
        if room > most {
            return Err(too_large("bytes", most));
        }
        parts.push(part);
    }
    Ok(parts)
}

fn slice<'a>(body: &'a [u8], buffer: &arrow_ipc::Buffer) -> Result<&'a [u8], Error> {
    let offset = usize::try_from(buffer.offset());
    let length = usize::try_from(buffer.length());
    let (Ok(offset), Ok(length)) = (offset, length) else {
        return Err(malformed("a length is negative"));
    };
    let end = offset.checked_add(length);
    end.and_then(|end| body.get(offset..end))
        .ok_or_else(|| malformed("a buffer lies outside its body"))
}

/// A buffer as it came.
enum Part<'a> {
    AsItIs(&'a [u8]),
    Lz4 { frame: &'a [u8], length: usize },
}

impl<'a> Part<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.is_empty() {
            return Ok(Self::AsItIs(bytes));
        }
        let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() else {
            return Err(malformed("a compressed buffer is shorter than its prefix"));
        };
        let claimed = i64::from_le_bytes(*prefix);
        if claimed == AS_IT_IS {
            return Ok(Self::AsItIs(rest));
        }
        let length =
            usize::try_from(claimed).map_err(|_| malformed("an expanded length is negative"))?;
        if length > rest.len().saturating_mul(MOST_RATIO) {
            return Err(malformed("a buffer claims to expand further than it can"));
        }
        Ok(Self::Lz4 {
            frame: rest,
            length,
        })
    }

    /// Bytes of the buffer once it is expanded.
    fn length(&self) -> usize {
        match self {
            Self::AsItIs(bytes) => bytes.len(),
            Self::Lz4 { length, .. } => *length,
        }
    }

    /// The same, up to where the next buffer may start.
    fn room(&self) -> usize {
        self.length()
            .checked_next_multiple_of(ALIGNMENT)
            .unwrap_or(usize::MAX)
    }

    /// Writes the expanded buffer into `room`, which is as long as it.
    fn write(&self, room: &mut [u8]) -> Result<(), Error> {
        match self {
            Self::AsItIs(bytes) => {
                room.copy_from_slice(bytes);
                Ok(())
            }
            Self::Lz4 { length: 0, .. } => Ok(()),
            Self::Lz4 { frame, .. } => catch_unwind(AssertUnwindSafe(|| decompress(frame, room)))
                .unwrap_or_else(|_| Err(malformed(BROKE_THE_DECODER))),
        }
    }
}

fn decompress(frame: &[u8], room: &mut [u8]) -> Result<(), Error> {
    let mut decoder = FrameDecoder::new(frame);
    let unreadable =
        |error| malformed("a buffer does not expand to what it claims").caused_by(error);
    decoder.read_exact(room).map_err(unreadable)?;
    match decoder.read(&mut [0]).map_err(unreadable)? {
        0 => Ok(()),
        _ => Err(malformed("a buffer expands further than it claims")),
    }
}

/// The header of `batch` without its compression, for a body of `length` bytes with `buffers`.
fn header(
    batch: &RecordBatch<'_>,
    buffers: &[arrow_ipc::Buffer],
    length: usize,
) -> Result<Vec<u8>, Error> {
    let mut builder = FlatBufferBuilder::new();
    let nodes: Vec<FieldNode> = batch.nodes().into_iter().flatten().copied().collect();
    let nodes = builder.create_vector(&nodes);
    let buffers = builder.create_vector(buffers);
    let counts: Option<Vec<i64>> = batch
        .variadicBufferCounts()
        .map(|counts| counts.iter().collect());
    let counts = counts.map(|counts| builder.create_vector(&counts));
    let mut plain = RecordBatchBuilder::new(&mut builder);
    plain.add_length(batch.length());
    plain.add_nodes(nodes);
    plain.add_buffers(buffers);
    if let Some(counts) = counts {
        plain.add_variadicBufferCounts(counts);
    }
    let plain = plain.finish().as_union_value();
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::RecordBatch);
    message.add_bodyLength(signed(length)?);
    message.add_header(plain);
    let message = message.finish();
    builder.finish(message, None);
    Ok(builder.finished_data().to_vec())
}

fn signed(length: usize) -> Result<i64, Error> {
    i64::try_from(length).map_err(|_| malformed("a length is impossible"))
}
