//! How long it takes to plan a query, with few products in the catalog and with many.

use std::time::Duration;

use serde::Serialize;

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Planning {
    /// The number of the query that was planned.
    pub query: usize,
    /// Products in the catalog beside those of the query.
    pub more_products: usize,
    few: Vec<Duration>,
    many: Vec<Duration>,
}

/// Medians in seconds, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Medians {
    pub(super) few_seconds: f64,
    pub(super) many_seconds: f64,
    pub(super) ratio: f64,
}

impl Planning {
    /// Nothing measured yet.
    pub fn new(query: usize, more_products: usize) -> Self {
        Self {
            query,
            more_products,
            ..Self::default()
        }
    }

    /// Adds a time with few products and one with many.
    pub fn add(&mut self, few: Duration, many: Duration) {
        self.few.push(few);
        self.many.push(many);
    }

    /// Nothing before something was measured.
    pub(super) fn medians(&self) -> Option<Medians> {
        let [few, many] = [&self.few, &self.many].map(|times| {
            let mut times = times.clone();
            times.sort();
            times.get(times.len() / 2).map(Duration::as_secs_f64)
        });
        let (few_seconds, many_seconds) = few.zip(many)?;
        Some(Medians {
            few_seconds,
            many_seconds,
            ratio: super::unit::ratio(many_seconds, few_seconds)?,
        })
    }
}
