//! What owners and holders see of grants.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weft_governance::{
    Columns, Error, ErrorKind, FlowTo, Grant, Grantee, Principal, Timestamp, code,
};
use weft_sql::govern::Object;

use super::Rights;
use super::state::{Answer, Request};
use crate::enforce::Policy;

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

/// The answer to REQUEST ACCESS: one row.
pub(crate) fn request_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![text("request_id", false)]))
}

/// The answer to SHOW REQUESTS: one row for each. `status` is `open`, `approved` or `rejected`;
/// `answer` is the grant's id or the reason.
pub(crate) fn requests_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("request_id", false),
        text("object", false),
        text("columns", true),
        text("requester", false),
        text("purposes", false),
        moment("valid_until"),
        text("reason", false),
        text("status", false),
        text("answer", true),
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
    /// The requests that `asker` may know of: an owner of all, others of their own.
    ///
    /// # Errors
    /// None that a request can cause.
    pub(crate) async fn requests(&self, asker: &Principal) -> Result<RecordBatch, Error> {
        let all = self.is_owner(asker);
        let state = self.0.state.lock().await;
        let requests: Vec<(&String, &Request)> = state
            .requests
            .iter()
            .filter(|(_, request)| all || request.by == asker.subject)
            .collect();
        let texts = |of: &dyn Fn(&Request) -> Option<String>| -> ArrayRef {
            let texts: StringArray = requests.iter().map(|(_, it)| of(it)).collect();
            Arc::new(texts)
        };
        let ids: StringArray = requests.iter().map(|(id, _)| Some(id.as_str())).collect();
        let until: TimestampMicrosecondArray = requests
            .iter()
            .map(|(_, it)| Some(it.asked.until.micros()))
            .collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(ids),
            texts(&|it| {
                Some(match &it.asked.on {
                    Object::Product(product) => product.to_string(),
                    Object::Table(table) => table.to_string(),
                })
            }),
            texts(&|it| only(&it.asked.columns)),
            texts(&|it| Some(it.by.clone())),
            texts(&|it| joined(&it.asked.purposes)),
            Arc::new(until.with_timezone("+00:00")),
            texts(&|it| Some(it.asked.reason.clone())),
            texts(&|it| {
                let status = match &it.answer {
                    None => "open",
                    Some(Answer::Given(_)) => "approved",
                    Some(Answer::Refused(_)) => "rejected",
                };
                Some(status.to_owned())
            }),
            texts(&|it| match &it.answer {
                None => None,
                Some(Answer::Given(answer) | Answer::Refused(answer)) => Some(answer.clone()),
            }),
        ];
        RecordBatch::try_new(requests_schema(), columns).map_err(|error| defect(&error))
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
        rows(&policy, &grants)
    }
}

/// Grants as they are in force: what the mesh's policy adds is named with the rule that does.
fn rows(policy: &Policy, grants: &[&Grant]) -> Result<RecordBatch, Error> {
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
        texts(&|it| only(&it.columns)),
        texts(&|it| it.row_filter.clone()),
        texts(&|it| {
            joined(it.masks.iter().map(|(column, mask)| {
                format!("{column}: {mask}{}", why_masked(policy, it, column))
            }))
        }),
        texts(&|it| joined(&it.purposes).or_else(|| why_purpose(policy, it))),
        moments(&|it| it.valid_from),
        moments(&|it| it.valid_until),
        texts(&|it| it.key_disclosure.map(|it| it.to_string())),
        texts(&|it| it.flow_to.as_ref().map(flow)),
        texts(&|it| limits(it)),
    ];
    RecordBatch::try_new(grants_schema(), columns).map_err(|error| defect(&error))
}

/// The rules by which a column is masked, if the owner did not say so.
fn why_masked(policy: &Policy, grant: &Grant, column: &str) -> String {
    let narrowing = policy.narrowing(grant);
    let masked = narrowing.and_then(|narrowing| narrowing.masks.get(column));
    masked.map_or_else(String::new, |(_, rules)| by_rules(policy, rules))
}

/// Why a purpose has to be named, if any will do.
fn why_purpose(policy: &Policy, grant: &Grant) -> Option<String> {
    let rules = &policy.narrowing(grant)?.purpose;
    (!rules.is_empty()).then(|| format!("any that is named{}", by_rules(policy, rules)))
}

fn by_rules(policy: &Policy, rules: &[String]) -> String {
    let version = policy.federated_version().unwrap_or_default();
    format!(" (policy {version}: {})", rules.join(", "))
}

/// One id, as the only cell of an answer with `schema`.
///
/// # Errors
/// None that a text can cause.
pub(crate) fn one_id(schema: SchemaRef, id: &str) -> Result<RecordBatch, Error> {
    let ids: ArrayRef = Arc::new(StringArray::from(vec![id]));
    RecordBatch::try_new(schema, vec![ids]).map_err(|error| defect(&error))
}

fn only(columns: &Columns) -> Option<String> {
    match columns {
        Columns::All => None,
        Columns::Only(columns) => joined(columns),
    }
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
