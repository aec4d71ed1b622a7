//! How much a call would make, by its arguments.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::Result;
use datafusion::common::cast::as_int64_array;
use datafusion::logical_expr::ColumnarValue;

/// Nanoseconds of a day.
const DAY: u64 = 86_400_000_000_000;
/// Bytes that a value takes at least, where its type is not looked at.
const VALUE: u64 = 16;

/// What a function makes of its arguments, in the worst case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Size {
    /// All of them, one after the other.
    Sum,
    /// The same with the first between all others.
    Joined,
    /// The first as often as the second says.
    Repeated,
    /// A text of as many characters as the second says.
    Padded,
    /// A list of as many values as the second says.
    Resized,
    /// The first, with the third in place of each second.
    Replaced,
    /// The first, with the third in many places.
    Matched,
    /// The values of a list with the second between them.
    Written,
    /// A list whose values may become the last.
    Exchanged,
    /// From the first to the second in steps of the third.
    Range,
    /// Nothing, but each letter of the first is compared with each of the second: as long as making a byte
    /// takes, for eight of them.
    Compared,
}

impl Size {
    /// That of the function `name`, if it can make more than it is given.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "concat" | "make_array" | "array_concat" | "array_append" | "array_prepend"
            | "overlay" | "array_union" | "map" => Self::Sum,
            "concat_ws" => Self::Joined,
            "repeat" | "array_repeat" => Self::Repeated,
            "lpad" | "rpad" => Self::Padded,
            "array_resize" => Self::Resized,
            "replace" => Self::Replaced,
            "regexp_replace" => Self::Matched,
            "array_to_string" => Self::Written,
            "array_replace" | "array_replace_n" | "array_replace_all" => Self::Exchanged,
            "range" | "generate_series" | "gen_series" => Self::Range,
            "levenshtein" => Self::Compared,
            _ => return None,
        })
    }

    /// Bytes that a call with `args` makes for `rows` rows at most.
    pub(super) fn estimate(self, args: &[ColumnarValue], rows: usize) -> Result<u64> {
        let arg = |index: usize| args.get(index);
        let bytes = |index: usize| arg(index).map_or(0, |arg| bytes(arg, rows));
        let all = || args.iter().map(|arg| self::bytes(arg, rows));
        let lengths = |index: usize| arg(index).map(Lengths::of);
        Ok(match self {
            Self::Sum => all().fold(0, u64::saturating_add),
            Self::Joined => {
                let between = bytes(0).saturating_mul(args.len() as u64);
                all().fold(between, u64::saturating_add)
            }
            Self::Repeated => {
                let (Some(what), Some(times)) = (lengths(0), arg(1)) else {
                    return Ok(0);
                };
                let times = Numbers::of(times)?;
                sum(rows, |row| {
                    let one = what.at(row, rows).saturating_add(1);
                    one.saturating_mul(times.at(row))
                })
            }
            Self::Padded | Self::Resized => {
                let Some(count) = arg(1) else { return Ok(0) };
                let (count, each) = match self {
                    Self::Padded => (Numbers::of(count)?, 4),
                    _ => (Numbers::of(count)?, VALUE),
                };
                sum(rows, |row| count.at(row).saturating_mul(each))
            }
            Self::Replaced => {
                let (Some(text), Some(from), Some(to)) = (lengths(0), lengths(1), lengths(2))
                else {
                    return Ok(0);
                };
                sum(rows, |row| {
                    let text = text.at(row, rows);
                    let times = (text / from.at(row, rows).max(1)).saturating_add(1);
                    let put = times.saturating_mul(to.at(row, rows));
                    text.saturating_add(put)
                })
            }
            Self::Matched => {
                let (Some(text), Some(to)) = (lengths(0), lengths(2)) else {
                    return Ok(0);
                };
                sum(rows, |row| {
                    let text = text.at(row, rows).saturating_add(1);
                    text.saturating_mul(to.at(row, rows).max(1))
                })
            }
            Self::Written => {
                let (values, between) = (arg(0).map_or(0, |arg| values(arg, rows)), lengths(1));
                let between = between.map_or(0, |between| between.longest());
                let written = values.saturating_mul(between.saturating_add(VALUE));
                bytes(0).saturating_add(written)
            }
            Self::Exchanged => {
                let (values, to) = (arg(0).map_or(0, |arg| values(arg, rows)), lengths(2));
                let to = to.map_or(0, |to| to.longest());
                bytes(0).saturating_add(values.saturating_mul(to))
            }
            Self::Range => range(args, rows)?,
            Self::Compared => compared(args, rows).fold(0, u64::saturating_add),
        })
    }
}

/// What comparing the first of `args` with the second amounts to, for each of `rows` rows.
pub(super) fn compared(args: &[ColumnarValue], rows: usize) -> impl Iterator<Item = u64> {
    let lengths = match args {
        [left, right, ..] => Some((Lengths::of(left), Lengths::of(right))),
        _ => None,
    };
    (0..rows).map(move |row| {
        lengths.as_ref().map_or(0, |(left, right)| {
            left.at(row, rows).saturating_mul(right.at(row, rows)) / 8
        })
    })
}

fn sum(rows: usize, of: impl Fn(usize) -> u64) -> u64 {
    (0..rows).map(of).fold(0, u64::saturating_add)
}

/// Bytes of the values of `value` for `rows` rows.
fn bytes(value: &ColumnarValue, rows: usize) -> u64 {
    match value {
        ColumnarValue::Array(array) => array_bytes(array),
        ColumnarValue::Scalar(scalar) => {
            let one = scalar
                .to_array()
                .map_or(u64::MAX, |array| array_bytes(&array));
            one.saturating_mul(rows as u64)
        }
    }
}

fn array_bytes(array: &ArrayRef) -> u64 {
    let texts = match array.data_type() {
        DataType::Utf8View => Some(array.as_string_view().lengths().map(u64::from).sum()),
        DataType::BinaryView => Some(array.as_binary_view().lengths().map(u64::from).sum()),
        _ => None,
    };
    let data = || array.to_data().get_slice_memory_size();
    texts.unwrap_or_else(|| data().map_or(u64::MAX, |bytes| bytes as u64))
}

/// Values in the lists of `value` for `rows` rows.
fn values(value: &ColumnarValue, rows: usize) -> u64 {
    let (array, times) = match value {
        ColumnarValue::Array(array) => (Ok(array.clone()), 1),
        ColumnarValue::Scalar(scalar) => (scalar.to_array(), rows as u64),
    };
    let count = |array: ArrayRef| match array.data_type() {
        DataType::List(_) => list_values(array.as_list::<i32>().value_offsets()),
        DataType::LargeList(_) => list_values(array.as_list::<i64>().value_offsets()),
        // At least one byte each.
        _ => array_bytes(&array),
    };
    array.map_or(u64::MAX, count).saturating_mul(times)
}

fn list_values<O: Copy + Into<i64>>(offsets: &[O]) -> u64 {
    let ends = offsets.first().zip(offsets.last());
    ends.map_or(0, |(first, last)| {
        let (first, last): (i64, i64) = ((*first).into(), (*last).into());
        u64::try_from(last.saturating_sub(first)).unwrap_or(0)
    })
}

/// Bytes of each text.
enum Lengths {
    One(u64),
    Each(Vec<u64>),
    /// Of what is no text: all values together.
    Together(u64),
}

impl Lengths {
    fn of(value: &ColumnarValue) -> Self {
        match value {
            ColumnarValue::Scalar(_) => Self::One(bytes(value, 1)),
            ColumnarValue::Array(array) => match array.data_type() {
                DataType::Utf8 => Self::each(array.as_string::<i32>().iter()),
                DataType::LargeUtf8 => Self::each(array.as_string::<i64>().iter()),
                DataType::Utf8View => Self::each(array.as_string_view().iter()),
                _ => Self::Together(array_bytes(array)),
            },
        }
    }

    fn each<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Self {
        let length = |text: Option<&str>| text.map_or(0, str::len) as u64;
        Self::Each(texts.map(length).collect())
    }

    fn at(&self, row: usize, rows: usize) -> u64 {
        match self {
            Self::One(length) => *length,
            Self::Each(lengths) => lengths.get(row).copied().unwrap_or(0),
            Self::Together(all) => all / (rows.max(1) as u64) + 1,
        }
    }

    fn longest(&self) -> u64 {
        match self {
            Self::One(length) | Self::Together(length) => *length,
            Self::Each(lengths) => lengths.iter().copied().max().unwrap_or(0),
        }
    }
}

/// Numbers, those below zero as zero.
enum Numbers {
    One(u64),
    Each(Int64Array),
}

impl Numbers {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Scalar(scalar) => {
                let array = whole(&scalar.to_array()?, &DataType::Int64)?;
                let one = as_int64_array(&array)?.iter().next().flatten();
                Self::One(one.map_or(0, |one| u64::try_from(one).unwrap_or(0)))
            }
            ColumnarValue::Array(array) => {
                let array = whole(array, &DataType::Int64)?;
                Self::Each(as_int64_array(&array)?.clone())
            }
        })
    }

    fn at(&self, row: usize) -> u64 {
        match self {
            Self::One(number) => *number,
            Self::Each(numbers) if row < numbers.len() && numbers.is_valid(row) => {
                u64::try_from(numbers.value(row)).unwrap_or(0)
            }
            Self::Each(_) => 0,
        }
    }
}

/// `array` as `to`; what does not fit is the function's to refuse.
fn whole(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    Ok(cast_with_options(array, to, &options)?)
}

/// Values of ranges of numbers or times.
fn range(args: &[ColumnarValue], rows: usize) -> Result<u64> {
    let arrays = ColumnarValue::values_to_arrays(args)?;
    let (start, stop, step) = match arrays.as_slice() {
        [stop] => (None, stop, None),
        [start, stop] => (Some(start), stop, None),
        [start, stop, step, ..] => (Some(start), stop, Some(step)),
        [] => return Ok(0),
    };
    let times = stop.data_type().is_temporal();
    let position = match times {
        true => DataType::Timestamp(TimeUnit::Nanosecond, None),
        false => DataType::Int64,
    };
    let positions = |array: &ArrayRef| -> Result<Int64Array> {
        let array = whole(&whole(array, &position)?, &DataType::Int64)?;
        Ok(array.as_primitive::<Int64Type>().clone())
    };
    let start = start.map(&positions).transpose()?;
    let stop = positions(stop)?;
    let steps = step.map(|step| steps(step, times)).transpose()?;
    let usual = if times { DAY } else { 1 };
    // Scalars alone are one row, which stands for all.
    let repeated = (rows / stop.len().max(1)).max(1) as u64;
    let values = sum(stop.len(), |row| {
        let start = start
            .as_ref()
            .map_or(0, |start| valid(start, row).unwrap_or(0));
        let span = valid(&stop, row).map_or(0, |stop| stop.abs_diff(start));
        let step = steps.as_ref().and_then(|steps| steps.get(row).copied());
        (span / step.unwrap_or(usual).max(1)).saturating_add(1)
    });
    Ok(values.saturating_mul(VALUE / 2).saturating_mul(repeated))
}

fn valid(numbers: &Int64Array, row: usize) -> Option<i64> {
    (row < numbers.len() && numbers.is_valid(row)).then(|| numbers.value(row))
}

/// How far each step goes.
fn steps(array: &ArrayRef, times: bool) -> Result<Vec<u64>> {
    if !times {
        let steps = whole(array, &DataType::Int64)?;
        let steps = steps.as_primitive::<Int64Type>().iter();
        return Ok(steps
            .map(|step| step.map_or(1, i64::unsigned_abs))
            .collect());
    }
    let steps = whole(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let steps = steps.as_primitive::<IntervalMonthDayNanoType>().iter();
    let length = |step: Option<_>| {
        step.map_or(
            DAY,
            |step: datafusion::arrow::datatypes::IntervalMonthDayNano| {
                let days = u64::from(step.months.unsigned_abs())
                    .saturating_mul(28)
                    .saturating_add(u64::from(step.days.unsigned_abs()));
                days.saturating_mul(DAY)
                    .saturating_add(step.nanoseconds.unsigned_abs())
            },
        )
    };
    Ok(steps.map(length).collect())
}
