//! Answers of engines that compute in different types.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// How far two inexact numbers may be apart, relative to the larger.
const RELATIVE: f64 = 1e-9;

/// The rows of an answer, in their order.
#[derive(Debug, Clone)]
pub struct Answer(Vec<Vec<Cell>>);

/// One value. Whole numbers are decimals without a part.
#[derive(Debug, Clone)]
enum Cell {
    Null,
    Text(String),
    Decimal { digits: i128, scale: u8 },
    Float(f64),
}

impl Answer {
    /// The rows of `batches`.
    pub fn of(batches: &[RecordBatch]) -> Self {
        let mut rows = Vec::new();
        for batch in batches {
            let columns: Vec<Vec<Cell>> = batch.columns().iter().map(cells).collect();
            let row = |row: usize| columns.iter().map(|column| column[row].clone()).collect();
            rows.extend((0..batch.num_rows()).map(row));
        }
        Self(rows)
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it says nothing: no rows, or nothing but NULL and zero in them.
    pub fn is_void(&self) -> bool {
        self.0.iter().flatten().all(Cell::is_void)
    }

    /// What is different in `other`, if anything: rows are compared one by one if they are
    /// `ordered`, otherwise as a multiset.
    ///
    /// # Errors
    /// The first difference.
    pub fn same_as(&self, other: &Self, ordered: bool) -> Result<(), String> {
        let (mut left, mut right) = (self.0.clone(), other.0.clone());
        if left.len() != right.len() {
            return Err(format!("{} and {} rows", left.len(), right.len()));
        }
        if !ordered {
            let inexact = inexact_columns(&left, &right);
            for rows in [&mut left, &mut right] {
                rows.sort_by(|one, another| by_exact_cells(one, another, &inexact));
            }
        }
        for (number, (left, right)) in left.iter().zip(&right).enumerate() {
            let same = left.len() == right.len() && left.iter().zip(right).all(|(l, r)| l.same(r));
            if !same {
                let text = |row: &[Cell]| {
                    let cells: Vec<String> = row.iter().map(Cell::exact).collect();
                    cells.join(" | ")
                };
                return Err(format!(
                    "row {} of {}:\n    {}\n    {}",
                    number + 1,
                    self.len(),
                    text(left),
                    text(right)
                ));
            }
        }
        Ok(())
    }
}

impl Cell {
    fn is_void(&self) -> bool {
        match self {
            Self::Null | Self::Decimal { digits: 0, .. } => true,
            Self::Float(value) => *value == 0.0,
            Self::Text(_) | Self::Decimal { .. } => false,
        }
    }

    /// Whether both are the same value. An average or a quotient of decimals is a DOUBLE in DuckDB
    /// and may be a decimal of fewer digits elsewhere: then one unit of the last digit is allowed.
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(left), Self::Float(right)) => close(*left, *right, RELATIVE),
            (Self::Float(float), Self::Decimal { digits, scale })
            | (Self::Decimal { digits, scale }, Self::Float(float)) => {
                let unit = 10f64.powi(-i32::from(*scale));
                close(*float, number(*digits, *scale), unit)
            }
            (left, right) => left.exact() == right.exact(),
        }
    }

    /// The value as text, without zeros at the end: the scales of two engines need not agree.
    fn exact(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Text(text) => format!("'{text}'"),
            Self::Decimal { digits, scale } => {
                let (mut digits, mut scale) = (*digits, *scale);
                while scale > 0 && digits % 10 == 0 {
                    (digits, scale) = (digits / 10, scale - 1);
                }
                format!("{digits}e-{scale}")
            }
            Self::Float(value) => format!("{value:?}"),
        }
    }
}

fn close(left: f64, right: f64, least: f64) -> bool {
    left == right
        || (left.is_nan() && right.is_nan())
        || (left - right).abs() <= least.max(RELATIVE * left.abs().max(right.abs()))
}

#[expect(clippy::cast_precision_loss, reason = "compared with a float")]
fn number(digits: i128, scale: u8) -> f64 {
    digits as f64 / 10f64.powi(i32::from(scale))
}

fn cells(column: &ArrayRef) -> Vec<Cell> {
    let rows = 0..column.len();
    let or_null = |row: usize, cell: &dyn Fn(usize) -> Cell| match column.is_null(row) {
        true => Cell::Null,
        false => cell(row),
    };
    match column.data_type() {
        DataType::Float32 | DataType::Float64 => {
            let floats = cast(column, &DataType::Float64).expect("a float");
            let floats = floats.as_primitive::<Float64Type>();
            rows.map(|row| or_null(row, &|row| Cell::Float(floats.value(row))))
                .collect()
        }
        kind if kind.is_numeric() => {
            let scale = match kind {
                DataType::Decimal128(_, scale) => *scale,
                _ => 0,
            };
            let digits = u8::try_from(scale).expect("no negative scale");
            let decimals = cast(column, &DataType::Decimal128(38, scale)).expect("a decimal");
            let decimals = decimals.as_primitive::<Decimal128Type>();
            rows.map(|row| {
                or_null(row, &|row| Cell::Decimal {
                    digits: decimals.value(row),
                    scale: digits,
                })
            })
            .collect()
        }
        _ => {
            let options = FormatOptions::default();
            let text = ArrayFormatter::try_new(column, &options).expect("printable");
            rows.map(|row| or_null(row, &|row| Cell::Text(text.value(row).to_string())))
                .collect()
        }
    }
}

/// Whether each column holds a float on either side.
fn inexact_columns(left: &[Vec<Cell>], right: &[Vec<Cell>]) -> Vec<bool> {
    let columns = left.first().map_or(0, Vec::len);
    let rows = || left.iter().chain(right);
    (0..columns)
        .map(|column| rows().any(|row| matches!(row.get(column), Some(Cell::Float(_)))))
        .collect()
}

fn by_exact_cells(one: &[Cell], another: &[Cell], inexact: &[bool]) -> Ordering {
    let exact = |row: &[Cell]| -> Vec<String> {
        let cells = row.iter().zip(inexact).filter(|(_, inexact)| !**inexact);
        cells.map(|(cell, _)| cell.exact()).collect()
    };
    exact(one).cmp(&exact(another))
}
