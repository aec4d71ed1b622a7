//! Rows as text, compared as multisets.

use std::fmt;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// A result as text: exact for everything but floats, which have 9 digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    /// The rows of `batches`.
    pub fn of(batches: &[RecordBatch]) -> Self {
        let columns = batches
            .first()
            .map(|batch| {
                batch
                    .schema()
                    .fields()
                    .iter()
                    .map(|f| f.name().clone())
                    .collect()
            })
            .unwrap_or_default();
        let mut rows = Vec::new();
        for batch in batches {
            for row in 0..batch.num_rows() {
                rows.push(
                    batch
                        .columns()
                        .iter()
                        .map(|column| cell(column, row))
                        .collect(),
                );
            }
        }
        Self { columns, rows }
    }

    /// Rows that are known already.
    pub fn known(rows: Vec<Vec<String>>) -> Self {
        Self {
            columns: Vec::new(),
            rows,
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// The values of a column.
    pub fn column(&self, name: &str) -> Vec<&str> {
        let index = self
            .columns
            .iter()
            .position(|column| column == name)
            .expect("column");
        self.rows.iter().map(|row| row[index].as_str()).collect()
    }

    /// The one value of one row.
    pub fn only(&self) -> String {
        match self.rows.as_slice() {
            [row] if row.len() == 1 => row[0].clone(),
            rows => panic!("{} rows where one value was expected", rows.len()),
        }
    }

    /// The rows in a fixed order.
    pub fn sorted(mut self) -> Self {
        self.rows.sort();
        self
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(f, "{}", row.join(" | "))?;
        }
        Ok(())
    }
}

/// Fails unless both hold the same rows, in any order.
pub fn assert_same_rows(what: &str, left: Rows, right: Rows) {
    let (left, right) = (left.sorted(), right.sorted());
    assert_eq!(
        left.len(),
        right.len(),
        "{what}: {} and {} rows",
        left.len(),
        right.len()
    );
    for (left, right) in left.rows.iter().zip(&right.rows) {
        assert_eq!(left, right, "{what}");
    }
}

fn cell(column: &arrow::array::ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    match column.data_type() {
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => float(column.as_primitive::<Float32Type>().value(row).into()),
        DataType::Decimal128(_, scale) => {
            decimal(column.as_primitive::<Decimal128Type>().value(row), *scale)
        }
        _ => {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(column, &options).expect("printable");
            formatter.value(row).to_string()
        }
    }
}

fn float(value: f64) -> String {
    format!("{value:.9e}")
}

/// Without zeros at the end, so that scales need not agree.
fn decimal(value: i128, scale: i8) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let part = part.trim_end_matches('0');
    let sign = if value < 0 { "-" } else { "" };
    if part.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{part}")
    }
}
