//! Rows on standard output.

mod cell;
mod delimited;
mod json;
mod table;

use std::io::{self, IsTerminal, Write};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use clap::ValueEnum;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    Table,
    /// Comma-separated values with a header; NULL is empty, an empty text is ""
    Csv,
    /// Tab-separated values with a header; NULL is \N
    Tsv,
    /// One array of objects
    Json,
    /// One object a line
    Ndjson,
}

impl Format {
    /// A table on a terminal, CSV in a pipe.
    pub(crate) fn usual() -> Self {
        if io::stdout().is_terminal() {
            Self::Table
        } else {
            Self::Csv
        }
    }
}

/// Prints the batches of one result.
pub(crate) trait Printer {
    /// Prints or keeps a batch.
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()>;
    /// Prints what is left.
    fn finish(&mut self) -> io::Result<()>;
}

/// A printer of `format` to `out`.
pub(crate) fn printer<'a>(
    format: Format,
    schema: SchemaRef,
    out: Box<dyn Write + 'a>,
) -> Box<dyn Printer + 'a> {
    match format {
        Format::Table => Box::new(table::Table::new(schema, out, terminal_width())),
        Format::Csv => Box::new(delimited::Delimited::csv(schema, out)),
        Format::Tsv => Box::new(delimited::Delimited::tsv(schema, out)),
        Format::Json => Box::new(json::Json::array(out)),
        Format::Ndjson => Box::new(json::Json::lines(out)),
    }
}

/// Columns of the terminal, if standard output is one.
fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    };

    use super::*;

    pub(crate) fn sample() -> RecordBatch {
        let price = Decimal128Array::from(vec![Some(1_050), None, Some(-5)])
            .with_precision_and_scale(10, 2)
            .expect("precision");
        RecordBatch::try_from_iter([
            (
                "id",
                Arc::new(Int64Array::from(vec![1, 20, 300])) as ArrayRef,
            ),
            (
                "name",
                Arc::new(StringArray::from(vec![Some("a,\"b\"\n"), Some(""), None])),
            ),
            ("price", Arc::new(price)),
            (
                "day",
                Arc::new(Date32Array::from(vec![Some(0), None, Some(365)])),
            ),
            ("x", Arc::new(Float64Array::from(vec![0.5, -1.0, f64::NAN]))),
        ])
        .expect("batch")
    }

    pub(crate) fn printed(format: Format) -> String {
        let batch = sample();
        let mut out = Vec::new();
        {
            let mut printer = printer(format, batch.schema(), Box::new(&mut out));
            printer.batch(&batch).expect("printed");
            printer.finish().expect("printed");
        }
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn csv_tells_null_from_empty_text() {
        assert_eq!(
            printed(Format::Csv),
            "id,name,price,day,x\n1,\"a,\"\"b\"\"\n\",10.50,1970-01-01,0.5\n20,\"\",,,-1.0\n300,,-0.05,1971-01-01,NaN\n"
        );
    }

    #[test]
    fn tsv_escapes_what_would_break_a_line() {
        assert_eq!(
            printed(Format::Tsv),
            "id\tname\tprice\tday\tx\n1\ta,\"b\"\\n\t10.50\t1970-01-01\t0.5\n20\t\t\\N\t\\N\t-1.0\n300\t\\N\t-0.05\t1971-01-01\tNaN\n"
        );
    }

    #[test]
    fn json_keeps_numbers_exact_and_nulls_null() {
        let lines = printed(Format::Ndjson);
        let first: serde_json::Value =
            serde_json::from_str(lines.lines().next().expect("line")).expect("json");
        assert_eq!(first["price"].to_string(), "10.5");
        assert_eq!(first["name"], "a,\"b\"\n");
        let all: serde_json::Value = serde_json::from_str(&printed(Format::Json)).expect("json");
        assert_eq!(all.as_array().expect("array").len(), 3);
        assert!(all[1]["price"].is_null() && all[2]["x"].is_null());
    }

    #[test]
    fn a_table_aligns_numbers_to_the_right_and_keeps_rows_on_one_line() {
        let table = printed(Format::Table);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5, "{table}");
        assert!(lines[0].starts_with(" id | name"), "{table}");
        assert!(lines[2].contains("a,\"b\"\\n"), "{table}");
        assert!(lines[3].contains("NULL"), "{table}");
    }
}
