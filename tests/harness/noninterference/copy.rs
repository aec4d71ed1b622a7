//! The same query in one process, over a copy that holds no more than somebody sees.

use datafusion::prelude::SessionContext;

use super::outcome::{failure_code, shown};
use super::queries::Attempt;
use crate::random::verdict::{Alone, alone, loses_order};

/// How an answer compares with that over a copy.
pub(super) enum Copied {
    Same,
    /// The engine does not answer it, or when it fails depends on the plan.
    Unknown,
    Other(String),
}

pub(super) async fn is_answer_of(copy: &SessionContext, attempt: &Attempt, told: &str) -> Copied {
    let Attempt {
        sql,
        ordered,
        tree,
        risky,
    } = attempt;
    // The types of texts differ on the way.
    if sql.contains("arrow_typeof") {
        return Copied::Unknown;
    }
    let rows = match alone(copy, sql).await {
        Alone::Rows(rows) => rows,
        Alone::Refused(_) | Alone::Failed(_) | Alone::TooLong => return Copied::Unknown,
    };
    if failure_code(told).is_some() && *risky {
        return Copied::Unknown;
    }
    let rows = match ordered {
        true => rows,
        false => rows.sorted(),
    };
    let copied = shown(rows);
    // No rows have no names.
    let is_empty = |text: &str| text.lines().count() < 2 && failure_code(text).is_none();
    if copied == told || is_empty(&copied) && is_empty(told) {
        return Copied::Same;
    }
    if let Some(tree) = tree
        && loses_order(copy, tree).await
    {
        return Copied::Unknown;
    }
    Copied::Other(copied)
}
