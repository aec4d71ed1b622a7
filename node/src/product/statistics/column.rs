//! One column of what is read.
//!
//! A table is read in one part or in several, each a piece of a file. Values that are near each other
//! in a file are often alike, so a part says little of how often a value comes back within it, and
//! much of whether it comes back in other parts. A value therefore counts once in each part. With `d`
//! different values in all parts, `n` the sum of the different values of each, `f` values that are in
//! one part only, and the share `q` of the table that was read, there are about
//! `n · d / (n - f + f · q)` in the table: Haas and Stokes' first jackknife estimator over parts in
//! place of rows. It yields `d / q` for values that are nowhere twice, such as keys, and for runs of
//! equal values, and `d` for those that every part has.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::length::length;
use arrow::compute::sum;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::hash_utils::{HLL_RANDOM_STATE, create_hashes};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;
use weft_plan::ColumnStatistics;

use super::is_bounded;
use super::sketch::{Registers, Sketch};

/// Bytes of a value beside its own: where it ends.
const OFFSET: f64 = 4.0;
/// When so many values are in one part only, the others are an error of the sketches.
const ALL: f64 = 0.95;

/// What was seen of a column so far.
#[derive(Debug)]
pub(super) struct ColumnTally {
    values: Sketch,
    parts: Vec<Registers>,
    nulls: u64,
    ends: Option<(MinAccumulator, MaxAccumulator)>,
    /// Bytes of all values, where they differ in size.
    bytes: Option<u64>,
    hashes: Vec<u64>,
}

impl ColumnTally {
    /// Nothing of a column of this type.
    pub(super) fn new(data_type: &DataType) -> Self {
        let ends = is_bounded(data_type).then(|| {
            let least = MinAccumulator::try_new(data_type).ok()?;
            Some((least, MaxAccumulator::try_new(data_type).ok()?))
        });
        Self {
            values: Sketch::default(),
            parts: Vec::new(),
            nulls: 0,
            ends: ends.flatten(),
            bytes: is_variable(data_type).then_some(0),
            hashes: Vec::new(),
        }
    }

    /// What is added from now on is from another part of the table.
    pub(super) fn next_part(&mut self) {
        self.parts.push(Registers::default());
    }

    /// Adds `values`.
    pub(super) fn add(&mut self, values: &ArrayRef) -> Result<()> {
        let nulls = values.logical_nulls();
        self.nulls += nulls.as_ref().map_or(0, |nulls| nulls.null_count()) as u64;
        if let Some((least, greatest)) = &mut self.ends {
            least.update_batch(std::slice::from_ref(values))?;
            greatest.update_batch(std::slice::from_ref(values))?;
        }
        if let Some(bytes) = &mut self.bytes {
            *bytes += size(values)?;
        }
        self.hashes.clear();
        self.hashes.resize(values.len(), 0);
        let hashes = create_hashes([values], &HLL_RANDOM_STATE, &mut self.hashes)?;
        for (row, hash) in hashes.iter().enumerate() {
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                self.values.add(*hash);
                if let Some(part) = self.parts.last_mut() {
                    part.add(*hash);
                }
            }
        }
        Ok(())
    }

    /// What follows for the column of a table of `total` rows, of which `read` were read, which is
    /// the `share` of it.
    pub(super) fn statistics(self, read: u64, total: u64, share: f64) -> ColumnStatistics {
        let nulls = match self.nulls == read {
            true => total,
            false => ((self.nulls as f64 / share).round() as u64).min(total),
        };
        let seen = self.values.count();
        let distinct = if share < 1.0 {
            (seen * growth(&self.parts, share)).max(seen)
        } else {
            seen
        };
        let distinct = (distinct.round() as u64).min(total - nulls);
        let ends = self.ends.and_then(|(mut least, mut greatest)| {
            let end = |value: Result<ScalarValue>| value.ok().filter(is_number);
            end(least.evaluate()).zip(end(greatest.evaluate()))
        });
        let (low, high) = ends.unzip();
        let width = self
            .bytes
            .filter(|_| read > 0)
            .map(|bytes| bytes as f64 / read as f64 + OFFSET);
        ColumnStatistics {
            distinct: Some(distinct),
            nulls: Some(nulls),
            low,
            high,
            width,
        }
    }
}

/// How many times as many different values a table has as `parts` of it, which are `share` of it.
fn growth(parts: &[Registers], share: f64) -> f64 {
    let all = union(parts.iter());
    let once: f64 = (0..parts.len())
        .map(|place| {
            let others = parts
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != place);
            (all - union(others.map(|(_, part)| part))).max(0.0)
        })
        .sum();
    let each: f64 = parts.iter().map(Registers::count).sum();
    if each <= 0.0 {
        return 1.0;
    }
    if once >= ALL * each {
        return 1.0 / share;
    }
    let once = once.min(each);
    each / (each - once + once * share)
}

fn union<'a>(parts: impl Iterator<Item = &'a Registers>) -> f64 {
    let mut all = Registers::default();
    parts.for_each(|part| all.unite(part));
    all.count()
}

fn is_variable(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    )
}

/// Bytes of all of `values`, which differ in size.
fn size(values: &ArrayRef) -> Result<u64> {
    let lengths = length(values)?;
    let bytes = match lengths.data_type() {
        DataType::Int64 => sum(lengths.as_primitive::<Int64Type>()),
        // A batch may hold more bytes than an `i32` counts.
        _ => Some(
            lengths
                .as_primitive::<Int32Type>()
                .iter()
                .flatten()
                .map(i64::from)
                .sum(),
        ),
    };
    Ok(bytes
        .and_then(|bytes| u64::try_from(bytes).ok())
        .unwrap_or(0))
}

fn is_number(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float16(Some(number)) => number.is_finite(),
        ScalarValue::Float32(Some(number)) => number.is_finite(),
        ScalarValue::Float64(Some(number)) => number.is_finite(),
        value => !value.is_null(),
    }
}
