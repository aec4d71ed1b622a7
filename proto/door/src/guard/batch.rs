//! What a record batch message must be before Arrow reads its buffers: exactly the nodes and
//! buffers that its schema calls for, each inside the body, none used twice.

use arrow::datatypes::{DataType, Field, Schema};
use arrow_ipc::{Buffer, FieldNode, RecordBatch};
use weft_governance::Error;

use super::{malformed, too_large};

/// Checks a batch of at most `rows` rows whose body has `body` bytes.
pub(super) fn check(
    batch: &RecordBatch<'_>,
    schema: &Schema,
    body: usize,
    rows: usize,
) -> Result<(), Error> {
    if batch.compression().is_some() {
        return Err(malformed("its body is compressed")
            .with_hint("Switch off compression of Arrow data at the sender."));
    }
    let length = count(batch.length())?;
    if length > rows {
        return Err(too_large("rows", rows));
    }
    let mut walk = Walk {
        nodes: batch.nodes().into_iter().flatten(),
        buffers: batch.buffers().into_iter().flatten(),
        variadic: batch.variadicBufferCounts().into_iter().flatten(),
        body,
        unclaimed: body,
        // A value takes at least one bit, except where its type has no data at all.
        values: rows.max(body.saturating_mul(8)),
    };
    for field in schema.fields() {
        if walk.field(field)? != length {
            return Err(malformed("a column is longer or shorter than its batch"));
        }
    }
    walk.end()
}

struct Walk<N, B, V> {
    nodes: N,
    buffers: B,
    variadic: V,
    body: usize,
    unclaimed: usize,
    values: usize,
}

impl<'a, N, B, V> Walk<N, B, V>
where
    N: Iterator<Item = &'a FieldNode>,
    B: Iterator<Item = &'a Buffer>,
    V: Iterator<Item = i64>,
{
    /// Consumes what belongs to `field` and returns its length.
    fn field(&mut self, field: &Field) -> Result<usize, Error> {
        let node = self
            .nodes
            .next()
            .ok_or_else(|| malformed("it has too few nodes"))?;
        let length = count(node.length())?;
        let nulls = count(node.null_count())?;
        if length > self.values || nulls > length {
            return Err(malformed("a column's length is impossible"));
        }
        if *field.data_type() == DataType::Null {
            return Ok(length);
        }
        let validity = self.buffer()?;
        if nulls > 0 && validity.saturating_mul(8) < length {
            return Err(malformed("a column's validity is shorter than the column"));
        }
        match field.data_type() {
            DataType::Utf8 | DataType::Binary => {
                self.offsets(4)?;
                self.buffer()?;
            }
            DataType::LargeUtf8 | DataType::LargeBinary => {
                self.offsets(8)?;
                self.buffer()?;
            }
            DataType::Utf8View | DataType::BinaryView => {
                let data = self
                    .variadic
                    .next()
                    .ok_or_else(|| malformed("it has too few views"))?;
                self.buffers(count(data)?.saturating_add(1))?;
            }
            DataType::List(item) | DataType::Map(item, _) => {
                self.offsets(4)?;
                self.field(item)?;
            }
            DataType::LargeList(item) => {
                self.offsets(8)?;
                self.field(item)?;
            }
            DataType::FixedSizeList(item, _) => {
                self.field(item)?;
            }
            DataType::Struct(fields) => {
                for field in fields {
                    if self.field(field)? != length {
                        return Err(malformed("a nested column has a length of its own"));
                    }
                }
            }
            _ => {
                self.buffer()?;
            }
        }
        Ok(length)
    }

    fn buffers(&mut self, number: usize) -> Result<(), Error> {
        for _ in 0..number {
            self.buffer()?;
        }
        Ok(())
    }

    /// Consumes a buffer of offsets, each `width` bytes wide.
    fn offsets(&mut self, width: usize) -> Result<(), Error> {
        if !self.buffer()?.is_multiple_of(width) {
            return Err(malformed("a buffer of offsets ends inside an offset"));
        }
        Ok(())
    }

    /// Consumes a buffer and returns its length.
    fn buffer(&mut self) -> Result<usize, Error> {
        let buffer = self
            .buffers
            .next()
            .ok_or_else(|| malformed("it has too few buffers"))?;
        let (offset, length) = (count(buffer.offset())?, count(buffer.length())?);
        if offset.checked_add(length).is_none_or(|end| end > self.body) {
            return Err(malformed("a buffer lies outside its body"));
        }
        self.unclaimed = self
            .unclaimed
            .checked_sub(length)
            .ok_or_else(|| malformed("its buffers overlap"))?;
        Ok(length)
    }

    fn end(mut self) -> Result<(), Error> {
        if self.nodes.next().is_some() || self.buffers.next().is_some() {
            return Err(malformed("it has more nodes or buffers than its schema"));
        }
        if self.variadic.next().is_some() {
            return Err(malformed("it has more views than its schema"));
        }
        Ok(())
    }
}

fn count(number: i64) -> Result<usize, Error> {
    usize::try_from(number).map_err(|_| malformed("a length is negative"))
}
