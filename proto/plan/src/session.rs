//! Settings that must be the same on both sides, or answers would differ.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::DateTime;
use datafusion::common::Result;
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

/// Engine sessions that are alike but for the time that their query began. Registering hundreds of
/// functions takes longer than planning a small query, so the last session is kept and copied. Cheap
/// to clone.
#[derive(Debug, Clone, Default)]
pub struct SessionStates<K>(Arc<Mutex<Option<(K, SessionState)>>>);

impl<K: PartialEq> SessionStates<K> {
    /// The state of a session for one query, made by `make` unless the last was like `key`: that is
    /// all that `make` depends on.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn like(
        &self,
        key: K,
        query_start_ns: i64,
        make: impl FnOnce(&K) -> Result<SessionState>,
    ) -> Result<SessionState> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = match &*last {
            Some((known, state)) if *known == key => state.clone(),
            _ => {
                let state = make(&key)?;
                *last = Some((key, state.clone()));
                state
            }
        };
        drop(last);
        // The names that a query makes up are counted anew.
        let mut properties = ExecutionProps::new();
        properties.query_execution_start_time =
            Some(DateTime::from_timestamp_nanos(query_start_ns));
        *state.execution_props_mut() = properties;
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use datafusion::execution::session_state::SessionStateBuilder;

    use super::*;

    #[test]
    fn a_session_is_copied_for_a_query_alike_and_knows_its_own_time() {
        let states = SessionStates::default();
        let made = Cell::new(0);
        let state = |time_zone: &str, query_start_ns| {
            let semantics = Semantics {
                time_zone: time_zone.to_owned(),
                query_start_ns,
            };
            let state = states.like(semantics.time_zone.clone(), query_start_ns, |_| {
                made.set(made.get() + 1);
                let builder = SessionStateBuilder::new_with_default_features();
                Ok(builder.with_config(session_config(&semantics, 2)?).build())
            });
            let state = state.expect("a state");
            let start = state.execution_props().query_execution_start_time;
            assert_eq!(start, Some(DateTime::from_timestamp_nanos(query_start_ns)));
            let name = state.execution_props().alias_generator.next("a");
            assert_eq!(name, "a_1");
            state
        };
        state("+00:00", 1);
        state("+00:00", 2);
        assert_eq!(made.get(), 1);
        let tokyo = state("Asia/Tokyo", 3);
        assert_eq!(made.get(), 2);
        let options = tokyo.config_options();
        assert_eq!(options.execution.time_zone.as_deref(), Some("Asia/Tokyo"));
        assert!(
            states
                .like("?".to_owned(), 0, |_| datafusion::common::plan_err!("no"))
                .is_err()
        );
        state("Asia/Tokyo", 4);
        assert_eq!(made.get(), 2, "a failure keeps what was made");
    }
}
