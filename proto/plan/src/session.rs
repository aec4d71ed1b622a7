//! Settings that must be the same on both sides, or answers would differ.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use chrono::DateTime;
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;

/// States that are kept for queries to come.
const FREE: usize = 8;

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
#[derive(Debug)]
pub struct QuerySession {
    /// Settings, functions and rules, and when the query began.
    pub state: Lent,
    /// Settings and functions alone, which are the same for all queries alike.
    pub context: Arc<TaskContext>,
}

impl From<SessionState> for QuerySession {
    fn from(state: SessionState) -> Self {
        let context = state.task_ctx();
        let state = Lent {
            state: Arc::new(state),
            shelf: Weak::new(),
        };
        Self { state, context }
    }
}

/// A session's state, which serves another query alike when this one is over.
#[derive(Debug)]
pub struct Lent {
    state: Arc<SessionState>,
    shelf: Weak<Shelf>,
}

impl Deref for Lent {
    type Target = SessionState;

    fn deref(&self) -> &SessionState {
        &self.state
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(shelf) = self.shelf.upgrade() {
            let mut free = shelf.lock();
            if free.len() < FREE {
                free.push(Arc::clone(&self.state));
            }
        }
    }
}

/// Engine sessions that are alike but for the time that their query began. Registering hundreds of
/// functions takes longer than planning a small query, and copying them is a twelfth of the work of a
/// `SELECT 1`, so those of the last queries are kept and used again. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct QuerySessions<K>(Arc<Mutex<Option<Alike<K>>>>);

#[derive(Debug)]
struct Alike<K> {
    key: K,
    pattern: SessionState,
    context: Arc<TaskContext>,
    shelf: Arc<Shelf>,
}

/// States that no query uses.
#[derive(Debug, Default)]
struct Shelf(Mutex<Vec<Arc<SessionState>>>);

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<SessionState>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
        let alike = match last.take() {
            Some(alike) if alike.key == key => last.insert(alike),
            other => {
                let pattern = make(&key).inspect_err(|_| *last = other)?;
                let context = pattern.task_ctx();
                last.insert(Alike {
                    key,
                    pattern,
                    context,
                    shelf: Arc::default(),
                })
            }
        };
        let free = alike.shelf.lock().pop();
        let mut state = free.unwrap_or_else(|| Arc::new(alike.pattern.clone()));
        let context = Arc::clone(&alike.context);
        let shelf = Arc::downgrade(&alike.shelf);
        drop(last);
        // The names that a query makes up are counted anew.
        let mut properties = ExecutionProps::new();
        properties.query_execution_start_time =
            Some(DateTime::from_timestamp_nanos(query_start_ns));
        // Only in the moment in which the last query lets it go is it not this one's alone.
        *Arc::make_mut(&mut state).execution_props_mut() = properties;
        let state = Lent { state, shelf };
        Ok(QuerySession { state, context })
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
        let one = session("+00:00", 1);
        let other = session("+00:00", 2);
        assert_eq!(made.get(), 1);
        let start =
            |session: &QuerySession| session.state.execution_props().query_execution_start_time;
        assert_ne!(
            start(&one),
            start(&other),
            "each has its own while both are used"
        );
        let used = [&*one.state, &*other.state].map(std::ptr::from_ref);
        drop((one, other));
        let again = session("+00:00", 3);
        assert!(
            used.contains(&std::ptr::from_ref(&*again.state)),
            "no copy was made"
        );
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
