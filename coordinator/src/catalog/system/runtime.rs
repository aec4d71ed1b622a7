//! `system.runtime`: what runs, for whom, and under which settings.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use weft_governance::{Error, Principal};

use super::{batch, counts, optional, text, times};
use crate::query::{FlowForm, QueryRecord};
use crate::session::Attendance;
use crate::settings::ShownSetting;

/// Settings whose names begin like this concern everybody who asks; the others say how the server is set
/// up, which is for whoever runs the mesh.
const FOR_EVERYBODY: [&str; 3] = ["limits.", "door.", "transport."];

/// The fragments of `queries`.
pub(super) fn fragments(queries: &[QueryRecord]) -> Result<RecordBatch, Error> {
    let all: Vec<_> = queries
        .iter()
        .flat_map(|query| {
            let rows = query
                .flows
                .iter()
                .filter(|flow| flow.form == FlowForm::Rows);
            rows.map(move |flow| (query, flow))
        })
        .collect();
    let state = |query: &QueryRecord, asked: u64| match (query.state.is_over(), asked) {
        (false, 0) => "waiting",
        (false, _) => "running",
        (true, 0) => "not sent",
        (true, _) => query.state.name(),
    };
    batch(vec![
        (
            "query_id",
            text(all.iter().map(|(query, _)| query.id.to_string())),
        ),
        (
            "fragment",
            counts(all.iter().map(|(_, flow)| u64::from(flow.fragment))),
        ),
        (
            "domain",
            text(all.iter().map(|(_, flow)| flow.source.to_string())),
        ),
        (
            "state",
            text(
                all.iter()
                    .map(|(query, flow)| state(query, flow.counters.requests()).to_owned()),
            ),
        ),
        (
            "requests",
            counts(all.iter().map(|(_, flow)| flow.counters.requests())),
        ),
        (
            "rows",
            counts(all.iter().map(|(_, flow)| flow.counters.rows())),
        ),
        (
            "bytes",
            counts(all.iter().map(|(_, flow)| flow.counters.bytes())),
        ),
    ])
}

/// The open sessions in `all`.
pub(super) fn sessions(all: &[Arc<Attendance>]) -> Result<RecordBatch, Error> {
    batch(vec![
        ("session_id", text(all.iter().map(|it| it.id.clone()))),
        ("principal", text(all.iter().map(|it| it.principal.clone()))),
        ("opened_at", times(all.iter().map(|it| it.opened_at))),
        ("expires_at", times(all.iter().map(|it| it.expires_at))),
    ])
}

/// The settings that `asker` may see.
pub(super) fn settings(all: &[ShownSetting], asker: &Principal) -> Result<RecordBatch, Error> {
    let shown: Vec<_> = all
        .iter()
        .filter(|it| {
            asker.is_admin() || FOR_EVERYBODY.iter().any(|start| it.name.starts_with(start))
        })
        .collect();
    batch(vec![
        ("name", text(shown.iter().map(|it| it.name.clone()))),
        ("value", optional(shown.iter().map(|it| it.value.clone()))),
        ("source", text(shown.iter().map(|it| it.source.clone()))),
        ("meaning", text(shown.iter().map(|it| it.meaning.clone()))),
    ])
}
