//! What would cross the boundaries under other ways to federate. See `README.md` beside this file.

use serde::Serialize;

const FIGURES: &str = include_str!("tpch_sf1_bytes.csv");

/// Bytes of one query, or of several, for each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// A: whole tables.
    pub whole_tables: u64,
    /// A1: used columns.
    pub used_columns: u64,
    /// B: after filters and projections.
    pub filter_projection: u64,
    /// C: results of the parts of the plan that one domain can run.
    pub domain_subplan: u64,
    /// D: those parts reduced by keys of the others.
    pub semi_join: u64,
    /// E: with partial aggregation and the small side sent.
    pub best: u64,
}

/// The reference of one query at scale 1 over three domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Reference {
    /// The query's number.
    pub query: usize,
    /// What crosses.
    pub bytes: Bytes,
    /// The keys that D sends down.
    pub keys_down: u64,
    /// The parts of the plan under D.
    pub fragments: u64,
}

impl Reference {
    /// The reference of query `number`.
    pub fn of(number: usize) -> Option<Self> {
        FIGURES
            .lines()
            .filter_map(parse)
            .find(|it| it.query == number)
    }

    /// The bytes at `scale`, as if all of them grew with it.
    pub fn scaled(&self, scale: f64) -> Bytes {
        // Bytes are far below the integers that a float holds exactly.
        let at = |bytes: u64| (bytes as f64 * scale).round() as u64;
        self.bytes.map(at)
    }
}

impl Bytes {
    /// Every figure changed by `change`.
    fn map(self, change: impl Fn(u64) -> u64) -> Self {
        Self {
            whole_tables: change(self.whole_tables),
            used_columns: change(self.used_columns),
            filter_projection: change(self.filter_projection),
            domain_subplan: change(self.domain_subplan),
            semi_join: change(self.semi_join),
            best: change(self.best),
        }
    }

    /// The sum of several.
    pub fn sum(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        all.into_iter().reduce(|a, b| Self {
            whole_tables: a.whole_tables + b.whole_tables,
            used_columns: a.used_columns + b.used_columns,
            filter_projection: a.filter_projection + b.filter_projection,
            domain_subplan: a.domain_subplan + b.domain_subplan,
            semi_join: a.semi_join + b.semi_join,
            best: a.best + b.best,
        })
    }
}

/// The line of one query; the header and the sum are none.
fn parse(line: &str) -> Option<Reference> {
    let mut numbers = line.split(',').map(|field| field.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    Some(Reference {
        query: usize::try_from(next()?).ok()?,
        bytes: Bytes {
            whole_tables: next()?,
            used_columns: next()?,
            filter_projection: next()?,
            domain_subplan: next()?,
            semi_join: next()?,
            best: next()?,
        },
        keys_down: next()?,
        fragments: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Reference> {
        (1..=22).filter_map(Reference::of).collect()
    }

    #[test]
    fn every_query_has_figures_that_add_up_to_the_last_line() {
        let all = all();
        assert_eq!(all.len(), 22);
        let sum = Bytes::sum(all.iter().map(|it| it.bytes)).expect("some");
        let known: Vec<u64> = FIGURES
            .lines()
            .find_map(|line| line.strip_prefix("sum,"))
            .expect("a sum")
            .split(',')
            .filter_map(|field| field.parse().ok())
            .collect();
        assert_eq!(
            [
                sum.whole_tables,
                sum.used_columns,
                sum.filter_projection,
                sum.domain_subplan,
                sum.semi_join,
                sum.best
            ],
            known.as_slice()
        );
    }

    #[test]
    fn each_way_ships_no_more_than_the_one_before() {
        for Reference { query, bytes, .. } in all() {
            assert!(bytes.whole_tables >= bytes.used_columns, "{query}");
            assert!(bytes.used_columns >= bytes.filter_projection, "{query}");
            assert!(bytes.filter_projection >= bytes.domain_subplan, "{query}");
        }
    }

    #[test]
    fn figures_grow_with_the_scale() {
        let third = Reference::of(3).expect("known");
        assert_eq!(third.scaled(1.0), third.bytes);
        assert_eq!(third.scaled(0.1).semi_join, 219_477);
        assert_eq!(Reference::of(23), None);
    }
}
