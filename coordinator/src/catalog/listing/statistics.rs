//! What is known of the rows of a table, one row for each column and one for the table. What is
//! unknown is NULL.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::common::ScalarValue;
use weft_governance::{Error, ErrorKind, code};
use weft_plan::{ColumnStatistics, ProductTable};

/// One row of the answer.
#[derive(Default)]
struct Line {
    column: Option<String>,
    size: Option<f64>,
    distinct: Option<u64>,
    nulls: Option<f64>,
    rows: Option<u64>,
    low: Option<String>,
    high: Option<String>,
}

/// What is known of the rows of `table`.
pub(super) fn statistics(table: &ProductTable) -> Result<RecordBatch, Error> {
    let known = table.statistics();
    let rows = known.map(|known| known.rows);
    let unknown = ColumnStatistics::default();
    let columns = table.visible().fields().iter().enumerate();
    let mut lines: Vec<Line> = columns
        .map(|(place, field)| {
            let column = known.and_then(|known| known.columns.get(place));
            Line::of(field.name(), column.unwrap_or(&unknown), rows)
        })
        .collect();
    lines.push(Line {
        rows,
        ..Line::default()
    });
    batch(&lines)
}

/// No row, but the columns.
pub(super) fn none() -> Result<RecordBatch, Error> {
    batch(&[])
}

impl Line {
    fn of(name: &str, column: &ColumnStatistics, rows: Option<u64>) -> Self {
        let ColumnStatistics {
            distinct,
            nulls,
            low,
            high,
            width,
        } = column;
        let part = |nulls: u64, rows: u64| match rows {
            0 => 0.0,
            rows => nulls as f64 / rows as f64,
        };
        Self {
            column: Some(name.to_owned()),
            size: width
                .zip(rows)
                .map(|(width, rows)| (width * rows as f64).round()),
            distinct: *distinct,
            nulls: nulls.zip(rows).map(|(nulls, rows)| part(nulls, rows)),
            rows: None,
            low: low.as_ref().and_then(written),
            high: high.as_ref().and_then(written),
        }
    }
}

/// `value` as a query would show it.
fn written(value: &ScalarValue) -> Option<String> {
    let value = value.to_array().ok()?;
    array_value_to_string(&value, 0).ok()
}

fn batch(lines: &[Line]) -> Result<RecordBatch, Error> {
    let text = |cell: fn(&Line) -> &Option<String>| -> ArrayRef {
        Arc::new(lines.iter().map(cell).collect::<StringArray>())
    };
    let number = |cell: fn(&Line) -> Option<f64>| -> ArrayRef {
        Arc::new(lines.iter().map(cell).collect::<Float64Array>())
    };
    let count = |cell: fn(&Line) -> Option<u64>| -> ArrayRef {
        Arc::new(lines.iter().map(cell).collect::<UInt64Array>())
    };
    let columns = [
        ("column_name", text(|line| &line.column)),
        ("data_size", number(|line| line.size)),
        ("distinct_values_count", count(|line| line.distinct)),
        ("nulls_fraction", number(|line| line.nulls)),
        ("row_count", count(|line| line.rows)),
        ("low_value", text(|line| &line.low)),
        ("high_value", text(|line| &line.high)),
    ];
    let nullable = columns.map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(nullable).map_err(|error| {
        let message = "statistics have no shape";
        Error::new(ErrorKind::Internal, code::INTERNAL, message).caused_by(error)
    })
}
