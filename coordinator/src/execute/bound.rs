//! The last of the first rows of an order, as far as they have come by: how it is found, and how it
//! is told a node.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{Field, Schema};
use arrow::row::{OwnedRow, Row, RowConverter, SortField};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::execution::memory_pool::MemoryReservation;
use tokio::sync::watch;
use weft_governance::{Error, ErrorKind, code};
use weft_wire::rpc::fragment::{self as rpc, FragmentControl};

use super::keys::encoded;
use crate::plan::{Tightened, Tightening};

/// The newest bound of a fragment's rows.
pub(super) type Bounds = watch::Receiver<Option<Told>>;

/// A bound, as it is told one fragment.
#[derive(Debug, Clone)]
pub(super) struct Told {
    bound: Arc<Bound>,
    column: usize,
}

/// Rows whose first key comes after it are of no use.
#[derive(Debug)]
pub(super) struct Bound {
    /// Where it is in the order.
    rank: OwnedRow,
    value: ArrayRef,
    options: SortOptions,
}

impl Told {
    /// `bound` for `target`.
    pub(super) fn new(bound: &Arc<Bound>, target: &Tightened) -> Self {
        Self {
            bound: Arc::clone(bound),
            column: target.column,
        }
    }

    /// Whether it leaves out more rows than `other`, which is of the same order.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        self.bound.rank.cmp(&other.bound.rank) == Ordering::Less
    }

    /// The message to a node whose rows have the columns of `output`.
    ///
    /// # Errors
    /// If the value does not fit them.
    pub(super) fn message(&self, output: &Schema) -> std::result::Result<FragmentControl, Error> {
        let field = output.fields().get(self.column).ok_or_else(misfit)?;
        let value = cast(&self.bound.value, field.data_type());
        let field = Field::new("bound", field.data_type().clone(), true);
        let value = value.map(|value| vec![value]);
        let SortOptions {
            descending,
            nulls_first,
        } = self.bound.options;
        let bound = rpc::Bound {
            column: u32::try_from(self.column).map_err(|_| misfit())?,
            value: encoded(&Arc::new(Schema::new(vec![field])), value)?,
            descending,
            nulls_first,
        };
        Ok(FragmentControl {
            bound: Some(bound),
            ..FragmentControl::default()
        })
    }
}

/// The first keys of an order among the rows that have come by.
pub(super) struct FirstKeys {
    column: usize,
    options: SortOptions,
    rows: usize,
    converter: RowConverter,
    /// At most so many as rows are asked for, the last of them on top.
    kept: BinaryHeap<OwnedRow>,
    memory: MemoryReservation,
}

impl FirstKeys {
    /// None yet, of rows with `schema`. What is kept is taken from `memory`.
    ///
    /// # Errors
    /// If there is no order on the column.
    pub(super) fn new(
        tightening: &Tightening,
        schema: &Schema,
        memory: MemoryReservation,
    ) -> Result<Self> {
        let Some(field) = schema.fields().get(tightening.column) else {
            return Err(no_column());
        };
        let options = SortOptions {
            descending: tightening.descending,
            nulls_first: tightening.nulls_first,
        };
        let field = SortField::new_with_options(field.data_type().clone(), options);
        Ok(Self {
            column: tightening.column,
            options,
            rows: tightening.rows,
            converter: RowConverter::new(vec![field])?,
            kept: BinaryHeap::new(),
            memory,
        })
    }

    /// Adds the rows of `batch`. Returns what is known afterwards, if that is more than before. Where
    /// memory runs out nothing is known any more: the answer is the same without it.
    ///
    /// # Errors
    /// If they do not have the column.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<Option<Arc<Bound>>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let column = batch.columns().get(self.column).ok_or_else(no_column)?;
        let known = self.last().cloned();
        let keys = self
            .converter
            .convert_columns(std::slice::from_ref(column))?;
        for key in &keys {
            let size = |key: Row<'_>| size_of::<OwnedRow>() + key.as_ref().len();
            let last = match self.last() {
                Some(last) if key >= last.row() => continue,
                last => last.map(|last| size(last.row())),
            };
            if self.memory.try_grow(size(key)).is_err() {
                self.give_up();
                return Ok(None);
            }
            if let Some(last) = last {
                self.kept.pop();
                self.memory.shrink(last);
            }
            self.kept.push(key.owned());
        }
        let Some(last) = self.last().filter(|last| Some(*last) != known.as_ref()) else {
            return Ok(None);
        };
        let values = self.converter.convert_rows([last.row()])?;
        let Some(value) = values.into_iter().next() else {
            return Err(no_column());
        };
        // Nothing comes after a NULL at the end.
        let bounds = self.options.nulls_first || value.null_count() == 0;
        let bound = Bound {
            rank: last.clone(),
            value,
            options: self.options,
        };
        Ok(bounds.then_some(Arc::new(bound)))
    }

    fn give_up(&mut self) {
        self.rows = 0;
        self.kept = BinaryHeap::new();
        self.memory.free();
    }

    /// The last key of as many rows as are asked for.
    fn last(&self) -> Option<&OwnedRow> {
        self.kept.peek().filter(|_| self.kept.len() == self.rows)
    }
}

fn no_column() -> datafusion::common::DataFusionError {
    internal_datafusion_err!("rows lack the column that they are ordered by")
}

fn misfit() -> Error {
    let message = "a bound does not fit the column that it is compared with";
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}

#[cfg(test)]
mod tests;
