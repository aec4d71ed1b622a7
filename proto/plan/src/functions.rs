//! Which functions queries may use, and which of them a node runs inside a fragment.

mod bounded;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, Volatility, WindowUDF};

/// Functions whose result can be far larger than their arguments, or that tell about the server.
const REFUSED: &[&str] = &[
    "repeat",
    "lpad",
    "rpad",
    "range",
    "generate_series",
    "gen_series",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "version",
    "arrow_try_cast",
];

pub use bounded::bounded_calls;

/// The scalar functions of queries, those that make much out of little behind a bound.
pub fn query_functions() -> Vec<Arc<ScalarUDF>> {
    let all = SessionStateDefaults::default_scalar_functions();
    all.into_iter().map(bounded::bounded).collect()
}

/// The closed allow-list: immutable functions of DataFusion whose memory is bounded by their input.
#[derive(Debug, Clone)]
pub struct FragmentFunctions {
    /// One value per row.
    pub scalar: Vec<Arc<ScalarUDF>>,
    /// One value per group.
    pub aggregate: Vec<Arc<AggregateUDF>>,
    /// One value per row and window.
    pub window: Vec<Arc<WindowUDF>>,
}

impl FragmentFunctions {
    /// The functions of this version of Weft.
    pub fn of_this_version() -> Self {
        let scalar = query_functions()
            .into_iter()
            .filter(|function| {
                function.signature().volatility == Volatility::Immutable
                    && !REFUSED.contains(&function.name())
            })
            .collect();
        Self {
            scalar,
            aggregate: SessionStateDefaults::default_aggregate_functions(),
            window: SessionStateDefaults::default_window_functions(),
        }
    }

    /// Their names, as fragments and announcements write them.
    pub fn names(&self) -> BTreeSet<String> {
        let scalar = self.scalar.iter().map(|function| function.name());
        let aggregate = self.aggregate.iter().map(|function| function.name());
        let window = self.window.iter().map(|function| function.name());
        scalar
            .chain(aggregate)
            .chain(window)
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_multiply_their_input_are_not_allowed() {
        let names = FragmentFunctions::of_this_version().names();
        for refused in ["repeat", "lpad", "generate_series", "random", "now", "uuid"] {
            assert!(!names.contains(refused), "{refused}");
        }
        for allowed in [
            "substr",
            "sum",
            "count",
            "avg",
            "row_number",
            "date_part",
            "coalesce",
        ] {
            assert!(names.contains(allowed), "{allowed}");
        }
    }
}
