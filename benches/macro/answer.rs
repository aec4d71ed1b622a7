//! What an engine answered, in a form that two engines can be compared by.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::{Deserialize, Serialize};

/// An answer without its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How many rows it has.
    pub rows: u64,
    /// A sum over its rows, the same in whatever order they come; absent if the engine makes none.
    /// Decimals are the same whatever their scale, floats if they agree in nine digits.
    pub checksum: Option<String>,
}

impl Answer {
    /// Whether both can be the same answer, by all that both know.
    pub fn agrees(&self, other: &Self) -> bool {
        let same_sum = match (&self.checksum, &other.checksum) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        };
        self.rows == other.rows && same_sum
    }
}

/// Makes an [`Answer`] of batches.
#[derive(Debug, Default)]
pub struct Digest {
    rows: u64,
    sum: u64,
}

impl Digest {
    /// The answer in `batches`.
    ///
    /// # Errors
    /// If a value cannot be shown as text.
    pub fn of(batches: &[RecordBatch]) -> Result<Answer, ArrowError> {
        let mut digest = Self::default();
        for batch in batches {
            digest.add(batch)?;
        }
        Ok(digest.answer())
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let columns = batch
            .columns()
            .iter()
            .map(Cells::of)
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            // Keys are fixed, so two processes of one program agree.
            let mut hasher = DefaultHasher::new();
            for column in &columns {
                column.text(row).hash(&mut hasher);
            }
            self.sum = self.sum.wrapping_add(hasher.finish());
            self.rows += 1;
        }
        Ok(())
    }

    fn answer(&self) -> Answer {
        Answer {
            rows: self.rows,
            checksum: Some(format!("{:016x}", self.sum)),
        }
    }
}

/// The cells of a column as text.
enum Cells<'a> {
    Double(&'a Float64Array),
    Single(&'a Float32Array),
    Decimal(&'a Decimal128Array, usize),
    Other(ArrayFormatter<'a>, &'a ArrayRef),
}

impl<'a> Cells<'a> {
    fn of(column: &'a ArrayRef) -> Result<Self, ArrowError> {
        Ok(match column.data_type() {
            DataType::Float64 => Self::Double(column.as_primitive::<Float64Type>()),
            DataType::Float32 => Self::Single(column.as_primitive::<Float32Type>()),
            DataType::Decimal128(_, scale) if *scale >= 0 => Self::Decimal(
                column.as_primitive::<Decimal128Type>(),
                usize::from(scale.unsigned_abs()),
            ),
            _ => Self::Other(
                ArrayFormatter::try_new(column, &FormatOptions::default())?,
                column,
            ),
        })
    }

    fn text(&self, row: usize) -> Option<String> {
        match self {
            Self::Double(cells) => (!cells.is_null(row)).then(|| float(cells.value(row))),
            Self::Single(cells) => (!cells.is_null(row)).then(|| float(cells.value(row).into())),
            Self::Decimal(cells, scale) => {
                (!cells.is_null(row)).then(|| decimal(cells.value(row), *scale))
            }
            Self::Other(cells, column) => {
                (!column.is_null(row)).then(|| cells.value(row).to_string())
            }
        }
    }
}

fn float(value: f64) -> String {
    format!("{value:.8e}")
}

/// Without zeros at the end, so that scales need not agree.
fn decimal(value: i128, scale: usize) -> String {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{whole}.{}", part.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{StringArray, StringViewArray};

    use super::*;

    fn answer(columns: Vec<(&str, ArrayRef)>) -> Answer {
        Digest::of(&[RecordBatch::try_from_iter(columns).expect("a batch")]).expect("printable")
    }

    fn texts(values: &[Option<&str>]) -> Answer {
        answer(vec![(
            "a",
            Arc::new(StringArray::from(values.to_vec())) as ArrayRef,
        )])
    }

    fn decimals(values: &[i128], scale: i8) -> Answer {
        let array = Decimal128Array::from(values.to_vec())
            .with_precision_and_scale(20, scale)
            .expect("fits");
        answer(vec![("a", Arc::new(array) as ArrayRef)])
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_every_value_does() {
        let one = texts(&[Some("x"), Some("y"), None]);
        assert_eq!(one, texts(&[None, Some("y"), Some("x")]));
        assert_eq!(one.rows, 3);
        assert_ne!(one, texts(&[Some("x"), Some("y"), Some("")]));
        assert_ne!(one, texts(&[Some("x"), Some("x"), None]));
        let views = StringViewArray::from(vec![Some("x"), Some("y"), None]);
        assert_eq!(one, answer(vec![("b", Arc::new(views) as ArrayRef)]));
    }

    #[test]
    fn values_stay_in_their_columns() {
        let pair = |a: &str, b: &str| {
            answer(vec![
                ("a", Arc::new(StringArray::from(vec![a])) as ArrayRef),
                ("b", Arc::new(StringArray::from(vec![b])) as ArrayRef),
            ])
        };
        assert_ne!(pair("x", "y"), pair("y", "x"));
        assert_ne!(pair("xy", ""), pair("x", "y"));
    }

    #[test]
    fn decimals_agree_whatever_their_scale() {
        assert_eq!(decimals(&[150, -25], 2), decimals(&[15_000, -2_500], 4));
        assert_ne!(decimals(&[150], 2), decimals(&[150], 1));
        assert_eq!(decimals(&[7], 0), decimals(&[70], 1));
    }

    #[test]
    fn floats_agree_in_nine_digits() {
        let floats = |value: f64| {
            answer(vec![(
                "a",
                Arc::new(Float64Array::from(vec![value])) as ArrayRef,
            )])
        };
        assert_eq!(floats(0.1 + 0.2), floats(0.3));
        assert_ne!(floats(0.300_000_1), floats(0.3));
    }

    #[test]
    fn an_answer_without_a_sum_is_compared_by_its_rows() {
        let full = texts(&[Some("x")]);
        let rows = |rows| Answer {
            rows,
            checksum: None,
        };
        assert!(full.agrees(&rows(1)) && !full.agrees(&rows(2)));
        assert!(!full.agrees(&texts(&[Some("y")])));
    }
}
