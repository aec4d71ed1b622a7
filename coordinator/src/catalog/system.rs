//! The catalog `system`: Weft's own tables.

mod runtime;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{ArrayRef, BooleanArray, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use weft_governance::{Error, ErrorKind, Principal, code};
use weft_plan::{FullName, event_log_name, event_log_schema};

use super::view::{Entry, View};
use crate::query::{Flow, FlowForm, QueryRecord, flow_table};
use crate::registry::Mesh;
use crate::session::Attendance;
use crate::settings::ShownSetting;
use runtime::{fragments, sessions, settings};

/// Schema, name, and what it holds; but for the event log.
const TABLES: [(&str, &str, &str); 9] = [
    (
        "catalog",
        "columns",
        "The columns that you may see, of the tables of data products.",
    ),
    (
        "catalog",
        "products",
        "The data products that you may know of, and where they are served.",
    ),
    (
        "catalog",
        "tables",
        "The tables that you may know of, and whether you may read them.",
    ),
    (
        "runtime",
        "flows",
        "What queries that you may see have moved between domains.",
    ),
    (
        "runtime",
        "fragments",
        "The parts of queries that you may see, by the domains that run them.",
    ),
    ("runtime", "nodes", "The domains' nodes and how they are."),
    (
        "runtime",
        "queries",
        "Queries that you may see, running and ended.",
    ),
    ("runtime", "sessions", "Sessions that you may see."),
    (
        "runtime",
        "settings",
        "Settings of this coordinator that you may see.",
    ),
];
/// What the event log holds.
const EVENT_LOG: &str = "What this coordinator was asked and did, oldest first.";

/// What system tables are made of, as one principal may see it.
pub(super) struct Shown<'a> {
    /// The nodes.
    pub(super) mesh: &'a Mesh,
    /// The tables.
    pub(super) view: &'a View,
    /// Their queries; all for whoever runs the mesh.
    pub(super) queries: Vec<QueryRecord>,
    /// Their sessions, likewise.
    pub(super) sessions: Vec<Arc<Attendance>>,
    /// The coordinator's settings.
    pub(super) settings: &'a [ShownSetting],
    /// Who asks.
    pub(super) asker: &'a Principal,
}

/// The names of all system tables.
pub(super) fn names() -> impl Iterator<Item = FullName> {
    let tables = TABLES.iter().map(|(schema, table, _)| FullName {
        catalog: "system".to_owned(),
        schema: (*schema).to_owned(),
        table: (*table).to_owned(),
    });
    tables.chain([event_log_name()])
}

/// What the system table `name` holds, for people.
pub(super) fn description(name: &FullName) -> Option<&'static str> {
    if *name == event_log_name() {
        return Some(EVENT_LOG);
    }
    let mut tables = TABLES.iter();
    tables.find_map(|(schema, table, told)| {
        (*schema == name.schema && *table == name.table).then_some(*told)
    })
}

/// The columns of the system table `name`.
///
/// # Errors
/// `WEFT-NOT-FOUND` if there is none.
pub(super) fn schema(name: &FullName, asker: &Principal) -> Result<SchemaRef, Error> {
    if *name == event_log_name() {
        return Ok(event_log_schema());
    }
    let shown = Shown {
        mesh: &Mesh::default(),
        view: &View::default(),
        queries: Vec::new(),
        sessions: Vec::new(),
        settings: &[],
        asker,
    };
    Ok(rows(name, &shown)?.schema())
}

/// The rows of the system table `name`.
pub(super) fn rows(name: &FullName, shown: &Shown<'_>) -> Result<RecordBatch, Error> {
    let Shown {
        mesh,
        view,
        queries,
        ..
    } = shown;
    match (name.schema.as_str(), name.table.as_str()) {
        ("runtime", "nodes") => nodes(mesh),
        ("runtime", "queries") => running(queries),
        ("runtime", "flows") => flows(queries),
        ("runtime", "fragments") => fragments(queries),
        ("runtime", "sessions") => sessions(&shown.sessions),
        ("runtime", "settings") => settings(shown.settings, shown.asker),
        ("catalog", "products") => products(mesh, view),
        ("catalog", "tables") => tables(view),
        ("catalog", "columns") => columns(view),
        _ => Err(Error::new(
            ErrorKind::NotFound,
            code::NOT_FOUND,
            format!("there is no table `{name}`"),
        )),
    }
}

fn nodes(mesh: &Mesh) -> Result<RecordBatch, Error> {
    let nodes: Vec<_> = mesh.nodes.values().collect();
    batch(vec![
        (
            "domain",
            text(nodes.iter().map(|node| node.domain.to_string())),
        ),
        ("node", text(nodes.iter().map(|node| node.id.to_string()))),
        (
            "status",
            text(nodes.iter().map(|node| node.status.name().to_owned())),
        ),
        ("since", times(nodes.iter().map(|node| node.since))),
        (
            "last_heartbeat",
            times(nodes.iter().map(|node| node.last_heartbeat)),
        ),
        (
            "endpoint",
            text(nodes.iter().map(|node| node.endpoint.clone())),
        ),
        (
            "version",
            text(nodes.iter().map(|node| node.software_version.clone())),
        ),
        ("epoch", counts(nodes.iter().map(|node| node.epoch))),
    ])
}

fn running(queries: &[QueryRecord]) -> Result<RecordBatch, Error> {
    let bytes = |query: &QueryRecord| query.flows.iter().map(|flow| flow.counters.bytes()).sum();
    let fragments = |query: &QueryRecord| {
        let answers = query
            .flows
            .iter()
            .filter(|flow| flow.form == FlowForm::Rows);
        answers.count() as u64
    };
    let fetched_at = |query: &QueryRecord| query.fetched_at.as_ref().map(ToString::to_string);
    let millis = |query: &QueryRecord| u64::try_from(query.elapsed.as_millis()).unwrap_or(u64::MAX);
    batch(vec![
        (
            "query_id",
            text(queries.iter().map(|query| query.id.to_string())),
        ),
        (
            "principal",
            text(queries.iter().map(|query| query.principal.clone())),
        ),
        (
            "state",
            text(queries.iter().map(|query| query.state.name().to_owned())),
        ),
        (
            "started_at",
            times(queries.iter().map(|query| query.started)),
        ),
        ("elapsed_ms", counts(queries.iter().map(millis))),
        ("fragments", counts(queries.iter().map(fragments))),
        ("rows", counts(queries.iter().map(|query| query.rows))),
        ("bytes", counts(queries.iter().map(bytes))),
        ("fetched_at", optional(queries.iter().map(fetched_at))),
    ])
}

fn flows(queries: &[QueryRecord]) -> Result<RecordBatch, Error> {
    let flows: Vec<_> = queries
        .iter()
        .flat_map(|query| query.flows.iter().map(move |flow| (query.id, flow)))
        .collect();
    let ids = flows.iter().map(|(id, _)| id.to_string());
    let only_flows: Vec<&Flow> = flows.iter().map(|(_, flow)| *flow).collect();
    let table = flow_table(&only_flows, true)?;
    let schema = table.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let columns = names.zip(table.columns().iter().cloned());
    batch(
        std::iter::once(("query_id", text(ids)))
            .chain(columns)
            .collect(),
    )
}

fn products(mesh: &Mesh, view: &View) -> Result<RecordBatch, Error> {
    let mut found = std::collections::BTreeMap::new();
    for (name, entry) in view.entries() {
        if !matches!(entry, Entry::System) {
            let granted: &mut bool = found
                .entry((name.catalog.clone(), name.schema.clone()))
                .or_default();
            *granted |= matches!(entry, Entry::Visible { .. });
        }
    }
    let announced = |(domain, product): &(String, String)| {
        mesh.nodes
            .values()
            .filter(|node| node.domain.as_str() == domain)
            .flat_map(|node| node.products.iter())
            .find(|summary| summary.name == *product)
    };
    batch(vec![
        (
            "domain",
            text(found.keys().map(|(domain, _)| domain.clone())),
        ),
        (
            "product",
            text(found.keys().map(|(_, product)| product.clone())),
        ),
        (
            "version",
            optional(
                found
                    .keys()
                    .map(|key| announced(key).map(|s| s.version.clone())),
            ),
        ),
        ("granted", flags(found.values().copied())),
        (
            "description",
            optional(
                found
                    .keys()
                    .map(|key| announced(key).map(|s| s.description.clone())),
            ),
        ),
    ])
}

fn tables(view: &View) -> Result<RecordBatch, Error> {
    let entries: Vec<_> = view.entries().collect();
    let kind = |entry: &Entry| match entry {
        Entry::System => "SYSTEM TABLE",
        Entry::Visible { .. } | Entry::Closed { .. } => "TABLE",
    };
    let description = |entry: &Entry| match entry {
        Entry::Visible { description, .. } | Entry::Closed { description } => {
            Some(description.clone())
        }
        Entry::System => None,
    };
    batch(vec![
        (
            "domain",
            text(entries.iter().map(|(name, _)| name.catalog.clone())),
        ),
        (
            "product",
            text(entries.iter().map(|(name, _)| name.schema.clone())),
        ),
        (
            "table",
            text(entries.iter().map(|(name, _)| name.table.clone())),
        ),
        (
            "kind",
            text(entries.iter().map(|(_, entry)| kind(entry).to_owned())),
        ),
        (
            "granted",
            flags(
                entries
                    .iter()
                    .map(|(_, entry)| !matches!(entry, Entry::Closed { .. })),
            ),
        ),
        (
            "filtered",
            flags(
                entries
                    .iter()
                    .map(|(_, entry)| matches!(entry, Entry::Visible { filtered: true, .. })),
            ),
        ),
        (
            "description",
            optional(entries.iter().map(|(_, entry)| description(entry))),
        ),
    ])
}

fn columns(view: &View) -> Result<RecordBatch, Error> {
    let mut found = Vec::new();
    for (name, entry) in view.entries() {
        if let Entry::Visible { table, masked, .. } = entry {
            for (position, field) in table.visible().fields().iter().enumerate() {
                found.push((
                    name,
                    position as u64 + 1,
                    field,
                    masked.contains(field.name()),
                ));
            }
        }
    }
    batch(vec![
        (
            "domain",
            text(found.iter().map(|(name, ..)| name.catalog.clone())),
        ),
        (
            "product",
            text(found.iter().map(|(name, ..)| name.schema.clone())),
        ),
        (
            "table",
            text(found.iter().map(|(name, ..)| name.table.clone())),
        ),
        (
            "column",
            text(found.iter().map(|(_, _, field, _)| field.name().clone())),
        ),
        (
            "position",
            counts(found.iter().map(|(_, position, ..)| *position)),
        ),
        (
            "type",
            text(
                found
                    .iter()
                    .map(|(_, _, field, _)| type_name(field.data_type())),
            ),
        ),
        (
            "nullable",
            flags(found.iter().map(|(_, _, field, _)| field.is_nullable())),
        ),
        ("masked", flags(found.iter().map(|(.., masked)| *masked))),
    ])
}

/// A type as SQL names it.
pub(super) fn type_name(data_type: &arrow::datatypes::DataType) -> String {
    use arrow::datatypes::DataType as T;
    match data_type {
        T::Utf8 | T::Utf8View | T::LargeUtf8 => "varchar".to_owned(),
        T::Int8 => "tinyint".to_owned(),
        T::Int16 => "smallint".to_owned(),
        T::Int32 => "integer".to_owned(),
        T::Int64 => "bigint".to_owned(),
        T::Float32 => "real".to_owned(),
        T::Float64 => "double".to_owned(),
        T::Boolean => "boolean".to_owned(),
        T::Date32 | T::Date64 => "date".to_owned(),
        T::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        T::Timestamp(_, None) => "timestamp".to_owned(),
        T::Timestamp(_, Some(zone)) => format!("timestamp with time zone ({zone})"),
        T::Binary | T::BinaryView | T::LargeBinary => "varbinary".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

/// Columns of equal length under their names.
pub(super) fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, Error> {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| {
        let nullable = matches!(name, "description" | "version" | "value" | "fetched_at");
        (name, column, nullable)
    }))
    .map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            code::INTERNAL,
            "a system table has no shape",
        )
        .caused_by(error)
    })
}

pub(super) fn text(values: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub(super) fn optional(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

pub(super) fn flags(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(BooleanArray::from_iter(values.map(Some)))
}

pub(super) fn counts(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(values))
}

pub(super) fn times(values: impl Iterator<Item = SystemTime>) -> ArrayRef {
    let micros = values.map(|time| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    });
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}
