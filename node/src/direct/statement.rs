//! What a person asked this node, parsed and, where it is a query, planned.

use std::sync::{Arc, Weak};

use datafusion::common::ScalarValue;
use weft_plan::{Current, FreshPlan};
use weft_sql::{Govern, ast};

use super::{Scope, State};
use crate::enforce::Policy;
use crate::fragment::Fragment;

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
    fresh: FreshPlan<MadeFor, Fragment>,
}

/// All that a plan depends on.
struct MadeFor {
    values: Vec<ScalarValue>,
    state: State,
    policy: Weak<Policy>,
}

impl DirectQuery {
    pub(super) fn new(query: ast::Query) -> Self {
        Self {
            query,
            fresh: FreshPlan::default(),
        }
    }

    /// Keeps the plan that was made for these values, names and rights.
    pub(super) fn keep(&self, values: Vec<ScalarValue>, scope: &Scope, fragment: Fragment) {
        let made_for = MadeFor {
            values,
            state: scope.state.clone(),
            policy: Arc::downgrade(&scope.policy),
        };
        self.fresh.keep(made_for, fragment);
    }

    /// The plan that was kept, if nothing has changed since, and not long ago.
    pub(super) fn take(&self, values: &[ScalarValue], scope: &Scope) -> Option<Fragment> {
        self.fresh.take(|made_for| {
            made_for.values == values
                && made_for.state == scope.state
                && std::ptr::eq(made_for.policy.as_ptr(), Arc::as_ptr(&scope.policy))
        })
    }
}
