//! The keys of one fragment's rows, made ready for another fragment's node.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weft_door::encode::Encoder;
use weft_governance::{Error, ErrorKind, KeyDisclosure, code};
use weft_plan::KeySet;
use weft_wire::rpc::fragment::key_filter::Form;
use weft_wire::rpc::fragment::{ArrowMessage, KeyFilter};

use super::shipment::messages;
use crate::plan::KeyFlow;

/// Bytes of keys that travel with one fragment at most.
const MOST_BYTES: usize = 16 << 20;
/// How often a Bloom filter may take a stranger for a key.
const FALSE_POSITIVES: f64 = 0.01;

/// Keys on their way.
#[derive(Debug)]
pub(super) struct Keys {
    /// What the node gets.
    pub(super) filter: KeyFilter,
    /// How many there are.
    pub(super) count: u64,
}

impl Keys {
    /// Whether no row can have one of them.
    pub(super) fn are_none(&self) -> bool {
        self.count == 0
    }

    /// Bytes that they take on the wire.
    pub(super) fn bytes(&self) -> u64 {
        let messages = self.filter.messages.iter();
        let messages: usize = messages.map(|it| it.header.len() + it.body.len()).sum();
        (messages + self.filter.bits.len()) as u64
    }
}

/// Collects the keys of one flow from the rows as they pass.
pub(super) struct Collector {
    flow: KeyFlow,
    schema: SchemaRef,
    keys: KeySet,
}

impl Collector {
    /// A collector for `flow`, whose keys go to columns of `target`.
    ///
    /// # Errors
    /// If the columns cannot be keys.
    pub(super) fn new(flow: KeyFlow, target: &Schema) -> Result<Self, Error> {
        let fields: Option<Vec<Field>> = flow
            .to_columns
            .iter()
            .map(|index| target.fields().get(*index))
            .enumerate()
            .map(|(number, field)| {
                let data_type = field?.data_type().clone();
                Some(Field::new(format!("key_{number}"), data_type, true))
            })
            .collect();
        let schema = Schema::new(fields.ok_or_else(misfit)?);
        let types = schema.fields().iter().map(|it| it.data_type().clone());
        let keys = KeySet::new(types.collect(), flow.nulls_equal)
            .map_err(|error| misfit().caused_by(error))?;
        Ok(Self {
            flow,
            schema: Arc::new(schema),
            keys,
        })
    }

    /// Adds the keys of `batch`.
    ///
    /// # Errors
    /// If it does not have the columns.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let columns = self
            .flow
            .from_columns
            .iter()
            .zip(&self.flow.types)
            .zip(self.keys.types())
            .map(|((index, compared), own)| {
                let column = batch.columns().get(*index).ok_or_else(misfit)?;
                // A value that the other side's type has no place for has no partner there: it
                // becomes NULL, which is no key.
                as_type(&as_type(column, compared)?, own)
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.keys
            .insert(&columns)
            .map_err(|error| misfit().caused_by(error))
    }

    /// Bytes of memory that the keys take, about.
    pub(super) fn bytes(&self) -> usize {
        self.keys.bytes()
    }

    /// Whether sending so many keys, and setting `read` bytes of rows aside for them, would cost
    /// more than it spares.
    pub(super) fn is_lost(&self, read: f64) -> bool {
        self.flow.is_lost(self.keys.len(), read)
    }

    /// The keys as they may travel, unless they would be too many.
    ///
    /// # Errors
    /// If they cannot be encoded.
    pub(super) fn finish(self) -> Result<Option<Keys>, Error> {
        let count = self.keys.len() as u64;
        let spared = self.flow.unreduced.spared_by(self.keys.len());
        let columns = self
            .flow
            .to_columns
            .iter()
            .filter_map(|index| u32::try_from(*index).ok());
        let mut filter = KeyFilter {
            form: Form::List.into(),
            columns: columns.collect(),
            nulls: self.flow.nulls_equal,
            ..KeyFilter::default()
        };
        match self.flow.disclosure {
            KeyDisclosure::None => return Ok(None),
            KeyDisclosure::List => {
                let list = encoded(&self.schema, self.keys.columns())?;
                let bytes: usize = list.iter().map(|it| it.header.len() + it.body.len()).sum();
                match self.keys.bitmap(bytes.min(MOST_BYTES)) {
                    Some(bitmap) => {
                        filter.form = Form::Bitmap.into();
                        filter.base = bitmap.base();
                        filter.bits = bitmap.bits().to_vec();
                    }
                    None if bytes <= MOST_BYTES => filter.messages = list,
                    None => return self.bloom(filter, count),
                }
            }
            KeyDisclosure::Bloom => return self.bloom(filter, count),
            KeyDisclosure::Range => {
                filter.form = Form::Range.into();
                let ends = self.keys.range();
                let ends = ends.map_err(|error| misfit().caused_by(error))?;
                filter.messages = match ends {
                    Some(ends) => encoded(&self.schema, Ok(ends))?,
                    None => encoded(&self.schema, self.keys.columns())?,
                };
            }
        }
        let keys = Keys { filter, count };
        Ok((keys.bytes() as f64 <= spared || keys.are_none()).then_some(keys))
    }

    fn bloom(&self, mut filter: KeyFilter, count: u64) -> Result<Option<Keys>, Error> {
        if self.flow.nulls_equal || self.flow.to_columns.len() != 1 {
            return Ok(None);
        }
        filter.form = Form::Bloom.into();
        filter.bits = self
            .keys
            .bloom(FALSE_POSITIVES)
            .map_err(|error| misfit().caused_by(error))?;
        let fits = filter.bits.len() <= MOST_BYTES;
        Ok(fits.then_some(Keys { filter, count }))
    }
}

/// `columns` with `schema`, as it comes before them, on the wire.
pub(super) fn encoded(
    schema: &SchemaRef,
    columns: Result<Vec<ArrayRef>, arrow::error::ArrowError>,
) -> Result<Vec<ArrowMessage>, Error> {
    let batch = columns
        .and_then(|columns| RecordBatch::try_new(Arc::clone(schema), columns))
        .map_err(|error| misfit().caused_by(error))?;
    messages(&mut Encoder::new(Arc::clone(schema)), &[batch])
}

fn as_type(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, Error> {
    if column.data_type() == data_type {
        return Ok(Arc::clone(column));
    }
    cast_with_options(column, data_type, &CastOptions::default())
        .map_err(|error| misfit().caused_by(error))
}

fn misfit() -> Error {
    let message = "join keys do not fit the columns that they are compared with";
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}
