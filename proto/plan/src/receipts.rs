//! Receipts as rows: what SHOW RECEIPTS shows, at a node and at a coordinator.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use weft_governance::{Error, ErrorKind, code};
use weft_wire::receipt::Receipt;

/// The answer to SHOW RECEIPTS: one row for each fragment, as its node signed it. `epoch` is the state of
/// its rights, `policy` the version of the mesh's policy that was in force. `rows` and `bytes`
/// are those that left the node, `digest` is the BLAKE3 of the bytes; it is empty for a query on a
/// connection straight to the node. `receipt` is the whole, to be kept and checked.
pub fn receipts_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let count = |name: &str| Field::new(name, DataType::UInt64, false);
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    Arc::new(Schema::new(vec![
        text("query_id", false),
        Field::new("fragment", DataType::UInt32, false),
        text("node", false),
        text("principal", false),
        text("purpose", true),
        text("tables", false),
        count("epoch"),
        Field::new("policy", DataType::UInt64, true),
        Field::new("complete", DataType::Boolean, false),
        count("rows"),
        count("bytes"),
        text("digest", false),
        Field::new("at", utc, false),
        text("receipt", false),
    ]))
}

/// One row for each of `receipts`, in the order of fragments.
///
/// # Errors
/// `WEFT-UNAUTHENTICATED` if one is no receipt or was changed.
pub fn receipts_table(receipts: &[String]) -> Result<RecordBatch, Error> {
    let mut read = receipts
        .iter()
        .map(|text| Receipt::read(text).map(|receipt| (receipt, text)))
        .collect::<Result<Vec<_>, _>>()?;
    read.sort_by(|(one, _), (other, _)| {
        (one.fragment, &one.node, one.at).cmp(&(other.fragment, &other.node, other.at))
    });
    let texts = |of: &dyn Fn(&Receipt) -> Option<String>| -> ArrayRef {
        let texts: StringArray = read.iter().map(|(it, _)| of(it)).collect();
        Arc::new(texts)
    };
    let counts = |of: &dyn Fn(&Receipt) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(
            read.iter().map(|(it, _)| of(it)),
        ))
    };
    let tables = |it: &Receipt| {
        let tables = it.tables.iter().map(ToString::to_string);
        tables.collect::<Vec<_>>().join("; ")
    };
    let ordinals = UInt32Array::from_iter_values(read.iter().map(|(it, _)| it.fragment));
    let complete: BooleanArray = read.iter().map(|(it, _)| Some(it.complete)).collect();
    let at = TimestampMicrosecondArray::from_iter_values(read.iter().map(|(it, _)| it.at.micros()));
    let whole = StringArray::from_iter_values(read.iter().map(|(_, text)| text.as_str()));
    let columns: Vec<ArrayRef> = vec![
        texts(&|it| Some(it.query.clone())),
        Arc::new(ordinals),
        texts(&|it| Some(it.node.clone())),
        texts(&|it| Some(it.principal.clone())),
        texts(&|it| it.purpose.clone()),
        texts(&|it| Some(tables(it))),
        counts(&|it| it.epoch),
        Arc::new(
            read.iter()
                .map(|(it, _)| it.policy)
                .collect::<UInt64Array>(),
        ),
        Arc::new(complete),
        counts(&|it| it.rows),
        counts(&|it| it.bytes),
        texts(&|it| Some(it.digest.clone())),
        Arc::new(at.with_timezone("+00:00")),
        Arc::new(whole),
    ];
    RecordBatch::try_new(receipts_schema(), columns).map_err(|error| {
        let message = "receipts could not be shown";
        Error::new(ErrorKind::Internal, code::INTERNAL, message).caused_by(error)
    })
}
