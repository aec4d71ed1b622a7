//! What somebody may see, as rows: what EXPLAIN ACCESS and SHOW EFFECTIVE ACCESS show.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use weft_governance::{Error, ErrorKind, code};
use weft_wire::rpc::node::ColumnAccess;

/// One row for each column, or for a table as a whole where `column` is NULL. `access` is `allowed`,
/// `filtered`, `masked`, `grouped` or `denied`; `grant_id` is the grant that decides, `row_filter`,
/// `mask` and `min_group_size` what it hides; `reason` and `help` say why something is denied and what to
/// do.
pub fn access_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("table", false),
        text("column", true),
        text("access", false),
        text("grant_id", true),
        text("row_filter", true),
        text("mask", true),
        Field::new("min_group_size", DataType::UInt64, true),
        text("reason", true),
        text("help", true),
    ]))
}

/// `rows` as a table.
///
/// # Errors
/// None that rows can cause.
pub fn access_table(rows: &[ColumnAccess]) -> Result<RecordBatch, Error> {
    let texts = |of: &dyn Fn(&ColumnAccess) -> Option<String>| -> ArrayRef {
        let texts: StringArray = rows.iter().map(of).collect();
        Arc::new(texts)
    };
    let sizes: UInt64Array = rows.iter().map(|it| it.min_group_size).collect();
    let columns = vec![
        texts(&|it| Some(it.table.clone())),
        texts(&|it| it.column.clone()),
        texts(&|it| Some(it.access.clone())),
        texts(&|it| it.grant.clone()),
        texts(&|it| it.row_filter.clone()),
        texts(&|it| it.mask.clone()),
        Arc::new(sizes),
        texts(&|it| it.reason.clone()),
        texts(&|it| it.help.clone()),
    ];
    RecordBatch::try_new(access_schema(), columns).map_err(|error| {
        let message = "what may be seen could not be shown";
        Error::new(ErrorKind::Internal, code::INTERNAL, message).caused_by(error)
    })
}
