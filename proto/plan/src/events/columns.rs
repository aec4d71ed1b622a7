//! What an event says, as columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use serde_json::Value;
use weft_governance::{Timestamp, hex};
use weft_ledger::Record;

/// The column of the query's id.
pub(super) const QUERY: &str = "query_id";

/// Columns of the log. `at` is the server's clock's time; `sequence` counts its events from 1, and `hash` is
/// the record's link in their chain: both tell of all events, and so are for the log's owner alone.
/// `columns` are those that a query could tell anything about; `policy` is the version of the federated
/// policy. `rows` and `bytes` are what had left at the end. `digest` is the SHA-256 of the request that
/// was decided on, and at the end the BLAKE3 of the bytes that were sent, with `blake3:` before it. `details`
/// is all that was written down, as JSON, for the log's owner alone.
pub fn schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let count = |name: &str, nullable| Field::new(name, DataType::UInt64, nullable);
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    Arc::new(Schema::new(vec![
        text("server", false),
        count("sequence", true),
        Field::new("at", utc, false),
        text("kind", false),
        text("principal", true),
        text(QUERY, true),
        Field::new("fragment", DataType::UInt32, true),
        text("purpose", true),
        text("tables", true),
        text("columns", true),
        text("grants", true),
        count("policy", true),
        count("rows", true),
        count("bytes", true),
        text("digest", true),
        text("code", true),
        text("statement", true),
        text("details", true),
        text("hash", true),
    ]))
}

/// One row for each of `records` of `server`, with their details if the reader is an owner.
pub(super) fn table(
    server: &str,
    owner: bool,
    records: &[Record],
) -> Result<RecordBatch, ArrowError> {
    let texts = |of: &dyn Fn(&Record) -> Option<String>| -> ArrayRef {
        Arc::new(records.iter().map(of).collect::<StringArray>())
    };
    let counts = |of: &dyn Fn(&Record) -> Option<u64>| -> ArrayRef {
        Arc::new(records.iter().map(of).collect::<UInt64Array>())
    };
    let said = |name: &'static str| texts(&|record| said(&record.event.details, name));
    let counted = |name: &str| counts(&|record| record.event.details.get(name)?.as_u64());
    let at = records
        .iter()
        .map(|record| Timestamp::from(record.event.at).micros());
    let at = TimestampMicrosecondArray::from_iter_values(at).with_timezone("+00:00");
    let fragments: UInt32Array = records.iter().map(|record| record.event.fragment).collect();
    let columns: Vec<ArrayRef> = vec![
        texts(&|_| Some(server.to_owned())),
        counts(&|record| owner.then_some(record.sequence)),
        Arc::new(at),
        texts(&|record| Some(record.event.kind.to_string())),
        texts(&|record| record.event.principal.clone()),
        texts(&|record| record.event.query.map(|query| query.to_string())),
        Arc::new(fragments),
        said("purpose"),
        texts(&|record| listed(&record.event.details, "table")),
        texts(&|record| columns_of(&record.event.details)),
        texts(&|record| listed(&record.event.details, "grant")),
        counted("policy"),
        counted("rows"),
        counted("bytes"),
        said("digest"),
        texts(&|record| code(&record.event.details)),
        said("statement"),
        texts(&|record| owner.then(|| record.event.details.to_string())),
        texts(&|record| owner.then(|| hex(&record.hash))),
    ];
    RecordBatch::try_new(schema(), columns)
}

fn said(details: &Value, name: &str) -> Option<String> {
    details.get(name)?.as_str().map(str::to_owned)
}

/// Why it was refused, or failed.
fn code(details: &Value) -> Option<String> {
    ["refused", "error"]
        .into_iter()
        .find_map(|name| said(details, name))
}

fn tables(details: &Value) -> impl Iterator<Item = &Value> {
    let tables = details.get("tables").and_then(Value::as_array);
    tables.into_iter().flatten()
}

/// What the tables say under `name`, if any does.
fn listed(details: &Value, name: &str) -> Option<String> {
    let mut all: Vec<String> = tables(details)
        .filter_map(|table| said(table, name))
        .collect();
    all.dedup();
    (!all.is_empty()).then(|| all.join(", "))
}

/// `orders (o_orderkey, o_clerk); lineitem (l_orderkey)`.
fn columns_of(details: &Value) -> Option<String> {
    let of = |table: &Value| {
        let names = table.get("columns")?.as_array()?.iter();
        let names: Vec<&str> = names.filter_map(Value::as_str).collect();
        Some(format!("{} ({})", said(table, "table")?, names.join(", ")))
    };
    let all: Vec<String> = tables(details).filter_map(of).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::json;
    use weft_ledger::{Event, EventKind};

    use super::*;

    fn row(details: Value, owner: bool) -> Vec<(String, String)> {
        let event = Event {
            at: SystemTime::UNIX_EPOCH,
            kind: EventKind::Admitted,
            principal: Some("ann".to_owned()),
            query: None,
            fragment: Some(1),
            details,
        };
        let record = Record {
            sequence: 7,
            event,
            previous: [0; 32],
            hash: [171; 32],
        };
        let table = table("node/sales/n1", owner, &[record]).expect("fits");
        let fields = table.schema();
        let cells = fields.fields().iter().zip(table.columns());
        let cells = cells
            .filter(|(_, column)| column.is_valid(0))
            .map(|(field, column)| {
                let shown = arrow::util::display::array_value_to_string(column, 0);
                (field.name().clone(), shown.expect("shown"))
            });
        cells.collect()
    }

    fn admitted() -> Value {
        let table = |name: &str, columns: &[&str]| json!({"table": name, "columns": columns, "grant": "g1"});
        json!({
            "purpose": "fraud",
            "policy": 3,
            "digest": "00ff",
            "secret": "x",
            "tables": [table("sales.o.o", &["a", "b"]), table("sales.o.l", &["c"])],
        })
    }

    #[test]
    fn an_admission_is_told_in_columns() {
        let row = row(admitted(), false);
        let said = |name: &str| {
            let found = row.iter().find(|(column, _)| column == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(said("columns"), Some("sales.o.o (a, b); sales.o.l (c)"));
        assert_eq!(said("tables"), Some("sales.o.o, sales.o.l"));
        assert_eq!((said("grants"), said("policy")), (Some("g1"), Some("3")));
        assert_eq!(
            (said("purpose"), said("digest")),
            (Some("fraud"), Some("00ff"))
        );
        assert_eq!((said("sequence"), said("fragment")), (None, Some("1")));
        assert_eq!((said("rows"), said("code")), (None, None));
        assert_eq!(said("hash"), None);
    }

    #[test]
    fn what_is_not_in_a_column_is_for_owners_alone() {
        let shown = |owner| {
            row(admitted(), owner)
                .into_iter()
                .any(|(_, it)| it.contains("secret"))
        };
        assert!(shown(true));
        assert!(!shown(false));
        let owned = row(admitted(), true);
        let link = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert!(owned.contains(&link("sequence", "7")));
        assert!(owned.contains(&link("hash", &"ab".repeat(32))));
    }

    #[test]
    fn refusals_and_failures_have_a_code() {
        for name in ["refused", "error"] {
            let row = row(json!({ name: "WEFT-LIMIT" }), false);
            assert!(
                row.contains(&("code".to_owned(), "WEFT-LIMIT".to_owned())),
                "{name}"
            );
        }
    }
}
