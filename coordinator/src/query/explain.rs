//! EXPLAIN: where each part of a query runs, and what crossed.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder, UInt64Builder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use weft_governance::{Error, ErrorKind, code};

use super::flow::{Flow, FlowForm};
use crate::plan::CutPlan;

/// One line of an explanation.
struct Line {
    place: String,
    plan: String,
    rows: Option<u64>,
    bytes: Option<u64>,
}

/// Columns of an explanation: `place` is `coordinator` or a domain, `plan` one line of its plan;
/// with `analyzed` also `rows` and `bytes` that came out of that place.
pub(super) fn schema(analyzed: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new("place", DataType::Utf8, false),
        Field::new("plan", DataType::Utf8, false),
    ];
    if analyzed {
        fields.push(Field::new("rows", DataType::UInt64, true));
        fields.push(Field::new("bytes", DataType::UInt64, true));
    }
    Arc::new(Schema::new(fields))
}

/// The explanation of `cut`, whose flows are `flows`; with the rows of the `answer` if it ran, and
/// what crossed.
pub(super) fn explain(
    cut: &CutPlan,
    flows: &[Flow],
    answer: Option<u64>,
) -> Result<RecordBatch, Error> {
    let mut lines = Vec::new();
    part(
        &mut lines,
        "coordinator",
        &cut.plan.display_indent().to_string(),
        answer,
        None,
    );
    for (index, scalar) in cut.scalars.iter().enumerate() {
        let text = format!("scalar_{index}:\n{}", scalar.display_indent());
        part(&mut lines, "coordinator", &text, None, None);
    }
    for flow in flows.iter().filter(|it| it.form == FlowForm::Estimate) {
        let text = format!("{}: {}", flow.form.name(), flow.operator);
        let rows = answer.map(|_| flow.counters.rows());
        let bytes = answer.map(|_| flow.counters.bytes());
        part(&mut lines, &flow.source.to_string(), &text, rows, bytes);
    }
    for fragment in &cut.fragments {
        for flow in flows
            .iter()
            .filter(|flow| flow.fragment == fragment.ordinal)
        {
            let text = match flow.form {
                FlowForm::Estimate => continue,
                FlowForm::Rows => format!(
                    "fragment #{} at {}\n{}",
                    fragment.ordinal,
                    fragment.site.node,
                    fragment.plan.display_indent()
                ),
                FlowForm::Literal => format!(
                    "{} {} for fragment #{}",
                    flow.form.name(),
                    flow.operator,
                    fragment.ordinal,
                ),
                FlowForm::Shipment => format!(
                    "{} for fragment #{}: {}",
                    flow.form.name(),
                    fragment.ordinal,
                    flow.operator,
                ),
                FlowForm::Bound => format!(
                    "{} of the order by {} for fragment #{}: {}",
                    flow.form.name(),
                    flow.columns.join(", "),
                    fragment.ordinal,
                    flow.operator,
                ),
                FlowForm::Keys(_) => format!(
                    "{} of {} for fragment #{}: {}",
                    flow.form.name(),
                    flow.columns.join(", "),
                    fragment.ordinal,
                    flow.operator,
                ),
            };
            let place = flow.source.to_string();
            let rows = answer.map(|_| flow.counters.rows());
            let bytes = answer.map(|_| flow.counters.bytes());
            part(&mut lines, &place, &text, rows, bytes);
        }
    }
    batch(&lines, answer.is_some())
}

/// The lines of one place; its figures stand on the first.
fn part(lines: &mut Vec<Line>, place: &str, plan: &str, rows: Option<u64>, bytes: Option<u64>) {
    for (index, text) in plan.lines().enumerate() {
        let first = index == 0;
        lines.push(Line {
            place: place.to_owned(),
            plan: text.to_owned(),
            rows: rows.filter(|_| first),
            bytes: bytes.filter(|_| first),
        });
    }
}

fn batch(lines: &[Line], analyzed: bool) -> Result<RecordBatch, Error> {
    let (mut place, mut plan) = (StringBuilder::new(), StringBuilder::new());
    let (mut rows, mut bytes) = (UInt64Builder::new(), UInt64Builder::new());
    for line in lines {
        place.append_value(&line.place);
        plan.append_value(&line.plan);
        rows.append_option(line.rows);
        bytes.append_option(line.bytes);
    }
    let mut columns: Vec<ArrayRef> = vec![Arc::new(place.finish()), Arc::new(plan.finish())];
    if analyzed {
        columns.push(Arc::new(rows.finish()));
        columns.push(Arc::new(bytes.finish()));
    }
    RecordBatch::try_new(schema(analyzed), columns).map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            code::INTERNAL,
            "the explanation has no shape",
        )
        .caused_by(error)
    })
}
