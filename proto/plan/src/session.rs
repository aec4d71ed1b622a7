//! Settings that must be the same on both sides, or answers would differ.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::DateTime;
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;

/// Settings of a query that change its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Semantics {
    /// IANA name or offset; how timestamps without a zone are read and shown.
    pub time_zone: String,
    /// What `now()` is for the whole query, in nanoseconds since 1970-01-01 UTC.
    pub query_start_ns: i64,
}

/// The engine's configuration for a query.
///
/// # Errors
/// If the time zone is unknown.
pub fn session_config(semantics: &Semantics, partitions: usize) -> Result<SessionConfig> {
    let mut config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.set("datafusion.execution.time_zone", &semantics.time_zone)?;
    // DataFusion 55.2 returns wrong rows when columns of the same name meet a dynamic filter of a
    // join or a TopK, so no dynamic filter is made at all.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    // DataFusion 55.2 says `IS NOT TRUE` may be NULL in one place and may not in another, and refuses
    // to group by it: a query that groups, or that is answered by grouping, would fail for that.
    options.execution.skip_physical_aggregate_schema_check = true;
    Ok(config)
}

/// The engine's session for one query.
#[derive(Debug, Clone)]
pub struct QuerySession {
    /// Settings, functions and rules, and when the query began.
    pub state: SessionState,
    /// Settings and functions alone, which are the same for all queries alike.
    pub context: Arc<TaskContext>,
}

impl From<SessionState> for QuerySession {
    fn from(state: SessionState) -> Self {
        let context = state.task_ctx();
        Self { state, context }
    }
}

/// Engine sessions that are alike but for the time that their query began. Registering hundreds of
/// functions takes longer than planning a small query, so the last session is kept and copied. Cheap
/// to clone.
#[derive(Debug, Clone, Default)]
pub struct QuerySessions<K>(Arc<Mutex<Option<(K, QuerySession)>>>);

impl<K: PartialEq> QuerySessions<K> {
    /// The session for one query, made by `make` unless the last was like `key`: that is
    /// all that `make` depends on.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn like(
        &self,
        key: K,
        query_start_ns: i64,
        make: impl FnOnce(&K) -> Result<SessionState>,
    ) -> Result<QuerySession> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut session = match &*last {
            Some((known, session)) if *known == key => session.clone(),
            _ => {
                let session = QuerySession::from(make(&key)?);
                *last = Some((key, session.clone()));
                session
            }
        };
        drop(last);
        // The names that a query makes up are counted anew.
        let mut properties = ExecutionProps::new();
        properties.query_execution_start_time =
            Some(DateTime::from_timestamp_nanos(query_start_ns));
        *session.state.execution_props_mut() = properties;
        Ok(session)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use datafusion::execution::session_state::SessionStateBuilder;

    use super::*;

    #[test]
    fn a_session_is_copied_for_a_query_alike_and_knows_its_own_time() {
        let sessions = QuerySessions::default();
        let made = Cell::new(0);
        let session = |time_zone: &str, query_start_ns| {
            let semantics = Semantics {
                time_zone: time_zone.to_owned(),
                query_start_ns,
            };
            let session = sessions.like(semantics.time_zone.clone(), query_start_ns, |_| {
                made.set(made.get() + 1);
                let builder = SessionStateBuilder::new_with_default_features();
                Ok(builder.with_config(session_config(&semantics, 2)?).build())
            });
            let session = session.expect("a session");
            let start = session.state.execution_props().query_execution_start_time;
            assert_eq!(start, Some(DateTime::from_timestamp_nanos(query_start_ns)));
            let name = session.state.execution_props().alias_generator.next("a");
            assert_eq!(name, "a_1");
            session
        };
        session("+00:00", 1);
        session("+00:00", 2);
        assert_eq!(made.get(), 1);
        let tokyo = session("Asia/Tokyo", 3);
        assert_eq!(made.get(), 2);
        let options = tokyo.state.config_options();
        assert_eq!(options.execution.time_zone.as_deref(), Some("Asia/Tokyo"));
        assert!(
            sessions
                .like("?".to_owned(), 0, |_| datafusion::common::plan_err!("no"))
                .is_err()
        );
        session("Asia/Tokyo", 4);
        assert_eq!(made.get(), 2, "a failure keeps what was made");
    }
}
