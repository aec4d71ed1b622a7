//! What a person asked this node, parsed and, where it is a query, planned.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use datafusion::common::ScalarValue;
use weft_plan::Current;
use weft_sql::{Govern, ast};

use super::{Scope, State};
use crate::enforce::Policy;
use crate::fragment::Fragment;

/// How long a plan made while preparing serves for the first run.
const PLAN_LIFETIME: Duration = Duration::from_secs(10);

/// A parsed statement.
pub(crate) enum DirectStatement {
    Query(Box<DirectQuery>),
    /// Where short names start from now on.
    Use(Current),
    /// What rows will be used for from now on.
    Purpose(Option<String>),
    Govern(Box<Govern>),
    /// What would be seen of a query.
    Access(Box<ast::Query>),
}

/// A query, and the plan of it that nobody has run yet.
pub(crate) struct DirectQuery {
    pub(super) query: ast::Query,
    fresh: Mutex<Option<Fresh>>,
}

/// A plan, and all that it depends on.
struct Fresh {
    values: Vec<ScalarValue>,
    state: State,
    policy: Weak<Policy>,
    at: Instant,
    fragment: Fragment,
}

impl DirectQuery {
    pub(super) fn new(query: ast::Query) -> Self {
        Self {
            query,
            fresh: Mutex::new(None),
        }
    }

    /// Keeps the plan that was made for these values, names and rights.
    pub(super) fn keep(&self, values: Vec<ScalarValue>, scope: &Scope, fragment: Fragment) {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        *fresh = Some(Fresh {
            values,
            state: scope.state.clone(),
            policy: Arc::downgrade(&scope.policy),
            at: Instant::now(),
            fragment,
        });
    }

    /// The plan that was kept, if nothing has changed since, and not long ago.
    pub(super) fn take(&self, values: &[ScalarValue], scope: &Scope) -> Option<Fragment> {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |it: &Fresh| {
            it.values == values
                && it.state == scope.state
                && std::ptr::eq(it.policy.as_ptr(), Arc::as_ptr(&scope.policy))
                && it.at.elapsed() < PLAN_LIFETIME
        };
        fresh.take().filter(fits).map(|it| it.fragment)
    }
}
