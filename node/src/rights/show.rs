//! What owners and holders see of grants.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weft_governance::{
    Columns, Error, ErrorKind, FlowTo, Grant, Grantee, Principal, Timestamp, code,
};
use weft_sql::govern::Object;

use super::Rights;

/// The answer to GRANT: one row.
pub(crate) fn grant_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![text("grant_id", false)]))
}

/// The answer to SHOW GRANTS: one row for each table of each grant. What is NULL narrows nothing.
pub(crate) fn grants_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("grant_id", false),
        text("object", false),
        text("grantee", false),
        text("columns", true),
        text("row_filter", true),
        text("masks", true),
        text("purposes", true),
        moment("valid_from"),
        moment("valid_until"),
        text("key_disclosure", true),
        text("flow_to", true),
        text("limits", true),
    ]))
}

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

/// Microseconds since 1970-01-01 UTC.
fn moment(name: &str) -> Field {
    let utc = Some("+00:00".into());
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, utc), true)
}

impl Rights {
    /// The answer to GRANT.
    ///
    /// # Errors
    /// None that a text can cause.
    pub(crate) fn given(id: &str) -> Result<RecordBatch, Error> {
        let ids: ArrayRef = Arc::new(StringArray::from(vec![id]));
        RecordBatch::try_new(grant_schema(), vec![ids]).map_err(|error| defect(&error))
    }

    /// The grants on `on` and to `to` that `asker` may know of: an owner of all, others of their own.
    ///
    /// # Errors
    /// None that a grant can cause.
    pub(crate) fn shown(
        &self,
        asker: &Principal,
        on: Option<&Object>,
        to: Option<&Grantee>,
    ) -> Result<RecordBatch, Error> {
        let policy = self.policy();
        let all = self.is_owner(asker);
        let mut grants: Vec<&Grant> = policy
            .grants()
            .filter(|grant| all || grant.grantee.includes(asker))
            .filter(|grant| to.is_none_or(|to| grant.grantee == *to))
            .filter(|grant| match on {
                None => true,
                Some(Object::Product(product)) => grant.table.product() == product,
                Some(Object::Table(table)) => grant.table == *table,
            })
            .collect();
        grants.sort_by(|one, other| (&one.id, &one.table).cmp(&(&other.id, &other.table)));
        rows(&grants)
    }
}

fn rows(grants: &[&Grant]) -> Result<RecordBatch, Error> {
    let texts = |of: &dyn Fn(&Grant) -> Option<String>| -> ArrayRef {
        let texts: StringArray = grants.iter().map(|grant| of(grant)).collect();
        Arc::new(texts)
    };
    let moments = |of: &dyn Fn(&Grant) -> Option<Timestamp>| -> ArrayRef {
        let moments: TimestampMicrosecondArray = grants
            .iter()
            .map(|grant| of(grant).map(Timestamp::micros))
            .collect();
        Arc::new(moments.with_timezone("+00:00"))
    };
    let columns = vec![
        texts(&|it| Some(it.id.clone())),
        texts(&|it| Some(it.table.to_string())),
        texts(&|it| Some(it.grantee.to_string())),
        texts(&|it| match &it.columns {
            Columns::All => None,
            Columns::Only(columns) => joined(columns),
        }),
        texts(&|it| it.row_filter.clone()),
        texts(&|it| {
            joined(
                it.masks
                    .iter()
                    .map(|(column, mask)| format!("{column}: {mask}")),
            )
        }),
        texts(&|it| joined(&it.purposes)),
        moments(&|it| it.valid_from),
        moments(&|it| it.valid_until),
        texts(&|it| it.key_disclosure.map(|it| it.to_string())),
        texts(&|it| it.flow_to.as_ref().map(flow)),
        texts(&|it| limits(it)),
    ];
    RecordBatch::try_new(grants_schema(), columns).map_err(|error| defect(&error))
}

fn joined(parts: impl IntoIterator<Item = impl ToString>) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().map(|part| part.to_string()).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn flow(to: &FlowTo) -> String {
    match to {
        FlowTo::Nowhere => "nowhere".to_owned(),
        FlowTo::Anywhere => "*".to_owned(),
        FlowTo::Domains(domains) => joined(domains).unwrap_or_default(),
    }
}

fn limits(grant: &Grant) -> Option<String> {
    let rows = grant
        .limits
        .rows_per_day
        .map(|it| format!("{it} rows per day"));
    let bytes = grant
        .limits
        .bytes_per_day
        .map(|it| format!("{it} bytes per day"));
    joined(rows.into_iter().chain(bytes))
}

fn defect(error: &arrow::error::ArrowError) -> Error {
    let message = format!("an answer about rights could not be made: {error}");
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}
