//! Flows as rows: what `EXPLAIN FLOW` and `system.runtime.flows` show.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use weft_governance::{Error, ErrorKind, TableRef, code};

use super::flow::Flow;
use crate::execute::Counters;

/// The columns that say what a flow is.
const PLANNED: [(&str, DataType); 11] = [
    ("fragment", DataType::UInt64),
    ("source", DataType::Utf8),
    ("destination", DataType::Utf8),
    ("form", DataType::Utf8),
    ("tables", DataType::Utf8),
    ("columns", DataType::Utf8),
    ("operator", DataType::Utf8),
    ("expected_rows", DataType::UInt64),
    ("expected_bytes", DataType::UInt64),
    ("grants", DataType::Utf8),
    ("alternatives", DataType::Utf8),
];

/// The columns that say what did cross.
const ACTUAL: [(&str, DataType); 3] = [
    ("rows", DataType::UInt64),
    ("bytes", DataType::UInt64),
    ("requests", DataType::UInt64),
];

/// The columns of [`flow_table`].
pub fn flow_schema(actual: bool) -> SchemaRef {
    let actual = ACTUAL.iter().filter(|_| actual);
    let fields = PLANNED.iter().chain(actual);
    let fields = fields.map(|(name, data_type)| Field::new(*name, data_type.clone(), false));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// One row for each of `flows`: from where, to where, what, what for, how much is expected, which
/// grants allow it, why not less; with `actual` also what did cross.
///
/// # Errors
/// `Internal` if the columns do not fit together.
pub fn flow_table(flows: &[&Flow], actual: bool) -> Result<RecordBatch, Error> {
    let text = |show: &dyn Fn(&Flow) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            flows.iter().map(|flow| show(flow)),
        ))
    };
    let count = |count: &dyn Fn(&Flow) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(
            flows.iter().map(|flow| count(flow)),
        ))
    };
    let tables = |flow: &Flow| {
        let names = flow.tables.iter().map(TableRef::to_string);
        names.collect::<Vec<_>>().join(", ")
    };
    let destination = |flow: &Flow| match &flow.destination {
        Some(domain) => domain.to_string(),
        None => "coordinator".to_owned(),
    };
    let mut columns = vec![
        count(&|flow| flow.fragment.into()),
        text(&|flow| flow.source.to_string()),
        text(&destination),
        text(&|flow| flow.form.name().to_owned()),
        text(&tables),
        text(&|flow| flow.columns.join(", ")),
        text(&|flow| flow.operator.clone()),
        count(&|flow| flow.expected.rows),
        count(&|flow| flow.expected.bytes),
        text(&|flow| flow.grants.join(", ")),
        text(&|flow| flow.alternatives.join("; ")),
    ];
    if actual {
        for counted in [Counters::rows, Counters::bytes, Counters::requests] {
            columns.push(count(&|flow| counted(&flow.counters)));
        }
    }
    RecordBatch::try_new(flow_schema(actual), columns).map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            code::INTERNAL,
            "the flows have no shape",
        )
        .caused_by(error)
    })
}
