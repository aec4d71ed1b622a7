//! What a node says of a fragment, message by message. Nothing of it is taken for granted: an answer of
//! which a row is missing is an error, whatever its node says.

use std::sync::Arc;

use arrow::array::RecordBatchOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use bytes::Bytes;
use prost::Message;
use weft_door::Compression;
use weft_door::guard::{DecodeLimits, Decoded, Decoder};
use weft_governance::{DomainId, Error, ErrorKind, FragmentId, ServerId, code};
use weft_wire::receipt::Receipt;
use weft_wire::rpc::fragment::FragmentTerminal;
use weft_wire::rpc::fragment::fragment_terminal::End;

/// The answer as far as it has come.
pub(super) struct Answer {
    id: FragmentId,
    node: ServerId,
    domain: DomainId,
    /// What whoever reads it expects.
    schema: SchemaRef,
    decoder: Decoder,
    /// Whether the last row has come.
    whole: bool,
}

/// Something that a node has said.
#[derive(Debug)]
pub(super) enum Said {
    Rows(RecordBatch),
    /// There are no more rows; the end is yet to come.
    LastRow,
    /// The end, with what the node has signed for it.
    End(String),
}

impl Answer {
    /// The answer of `node` to the fragment `id`, with columns as in `schema`, of which bodies may come as
    /// `compression` has them.
    pub(super) fn new(
        id: FragmentId,
        (node, domain): (ServerId, DomainId),
        schema: SchemaRef,
        compression: Compression,
    ) -> Self {
        let decoder = Decoder::new(DecodeLimits::default());
        Self {
            id,
            node,
            domain,
            schema,
            decoder: decoder.having_asked_for(compression).digesting(),
            whole: false,
        }
    }

    /// The fragment.
    pub(super) fn id(&self) -> FragmentId {
        self.id
    }

    /// Whose answer it is.
    pub(super) fn domain(&self) -> &DomainId {
        &self.domain
    }

    /// Rows that have come.
    pub(super) fn rows(&self) -> u64 {
        self.decoder.rows()
    }

    /// Bytes that have come, counted as the node's encoder counts.
    pub(super) fn bytes(&self) -> u64 {
        self.decoder.bytes()
    }

    /// What `frame` says, if that concerns whoever reads the rows.
    ///
    /// # Errors
    /// `WEFT-PROTOCOL` if it cannot be read or is out of order, `WEFT-INCOMPLETE` if other rows should have
    /// come by then.
    pub(super) fn heed(&mut self, frame: FlightData) -> Result<Option<Said>, Error> {
        let decoded = self.decoder.decode(frame);
        match decoded.map_err(|error| self.broken("the answer cannot be read").caused_by(error))? {
            Decoded::Schema(_) => Ok(None),
            Decoded::Batch(_) if self.whole => Err(self.goes_on()),
            Decoded::Batch(batch) => Ok(Some(Said::Rows(self.restored(&batch)?))),
            Decoded::Metadata(bytes) => self.ends(&bytes).map(Some),
        }
    }

    /// Compares what was sent with what came.
    fn ends(&mut self, terminal: &Bytes) -> Result<Said, Error> {
        let terminal = FragmentTerminal::decode(terminal.clone())
            .map_err(|_| self.broken("the terminal message is malformed"))?;
        let came = self.decoder.came();
        if (terminal.rows, terminal.bytes) != (came.rows, came.bytes) {
            return Err(incomplete(&self.domain));
        }
        match terminal.end() {
            End::Rows if self.whole => return Err(self.goes_on()),
            End::Rows => {
                self.whole = true;
                return Ok(Said::LastRow);
            }
            End::Complete => {}
            End::Stopped | End::Unspecified => return Err(incomplete(&self.domain)),
        }
        let receipt = Receipt::read(&terminal.receipt)
            .map_err(|error| self.broken("its receipt is none").caused_by(error))?;
        match receipt.tells(self.id, &self.node, &came) {
            true => Ok(Said::End(terminal.receipt)),
            false => Err(self.broken("its receipt is for something else")),
        }
    }

    /// `batch` in the types that whoever reads it expects.
    fn restored(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        if batch.num_columns() != self.schema.fields().len() {
            return Err(self.broken("the answer has another number of columns"));
        }
        let columns = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(
                |(column, field)| match column.data_type() == field.data_type() {
                    true => Ok(Arc::clone(column)),
                    false => arrow::compute::cast(column, field.data_type()),
                },
            )
            .collect::<Result<Vec<_>, _>>();
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::clone(&self.schema);
        let restored =
            columns.and_then(|columns| RecordBatch::try_new_with_options(schema, columns, &rows));
        restored.map_err(|error| {
            let message = "the answer does not have the announced types";
            self.broken(message).caused_by(error)
        })
    }

    fn goes_on(&self) -> Error {
        self.broken("the answer goes on after its last row")
    }

    fn broken(&self, message: &'static str) -> Error {
        Error::new(ErrorKind::Internal, code::PROTOCOL, message).at(self.domain.clone())
    }
}

/// The error of an answer of `domain` that ended before its end.
pub(super) fn incomplete(domain: &DomainId) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        code::INCOMPLETE,
        "the answer ended before it was complete",
    )
    .at(domain.clone())
    .with_hint("Run the query again.")
}

#[cfg(test)]
mod tests;
