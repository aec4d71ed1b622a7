//! How many tables a query reads once its own definitions are put in place.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, TableFactor, Visit, Visitor};

use crate::mentioned::folded;

/// Counts while it visits a query.
#[derive(Debug, Default)]
pub(crate) struct Fan {
    frames: Vec<Frame>,
    most: u64,
}

/// A query inside the query.
#[derive(Debug, Default)]
struct Frame {
    tables: u64,
    /// Definitions that are still to be visited, by where they stand.
    expected: HashMap<*const Query, String>,
    /// What was defined, and how many tables are read for it.
    defined: HashMap<String, u64>,
}

impl Fan {
    /// The tables of `query`; of definitions that nobody uses, those of the largest.
    pub(crate) fn of(query: &Query) -> u64 {
        let mut fan = Self::default();
        // Nothing here ends the visit early.
        let _: ControlFlow<()> = query.visit(&mut fan);
        fan.most
    }

    fn read(&mut self, tables: u64) {
        if let Some(frame) = self.frames.last_mut() {
            frame.tables = frame.tables.saturating_add(tables);
        }
    }
}

impl Visitor for Fan {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let definitions = query.with.iter().flat_map(|with| &with.cte_tables);
        let expected = definitions.map(|cte| {
            (
                std::ptr::from_ref(cte.query.as_ref()),
                folded(&cte.alias.name),
            )
        });
        self.frames.push(Frame {
            expected: expected.collect(),
            ..Frame::default()
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = self.frames.pop().map_or(0, |frame| frame.tables);
        self.most = self.most.max(tables);
        let own: *const Query = query;
        if let Some(outer) = self.frames.last_mut() {
            match outer.expected.remove(&own) {
                // One that reads no table is planned as often as it is named, too.
                Some(name) => drop(outer.defined.insert(name, tables.max(1))),
                None => outer.tables = outer.tables.saturating_add(tables),
            }
        }
        ControlFlow::Continue(())
    }

    /// What is grouped in many ways is gone through as many times.
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Cube(columns) = expr {
            let columns = u32::try_from(columns.len()).unwrap_or(u32::MAX);
            self.read(1_u64.checked_shl(columns).unwrap_or(u64::MAX));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let tables = match factor {
            TableFactor::Table { name, .. } => {
                let name = match name.0.as_slice() {
                    [only] => only.as_ident().map(folded),
                    _ => None,
                };
                let defined = name.and_then(|name| {
                    let frames = self.frames.iter().rev();
                    frames.filter_map(|frame| frame.defined.get(&name)).next()
                });
                defined.copied().unwrap_or(1)
            }
            // What they hold is visited by itself.
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => 0,
            _ => 1,
        };
        self.read(tables);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use weft_governance::code;

    use super::*;
    use crate::{Caps, Statement, parse};

    fn tables(sql: &str) -> u64 {
        let caps = Caps {
            relations: u64::MAX,
            ..Caps::default()
        };
        match parse(sql, &caps) {
            Ok(Statement::Query(query)) => Fan::of(&query),
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn tables_are_counted_wherever_they_are_read() {
        for (sql, found) in [
            ("SELECT 1", 0),
            ("SELECT * FROM a, b JOIN c ON true", 3),
            (
                "SELECT * FROM (SELECT * FROM a) x WHERE EXISTS (SELECT 1 FROM b)",
                2,
            ),
            (
                "SELECT * FROM a UNION ALL SELECT * FROM b UNION ALL SELECT * FROM a",
                3,
            ),
            ("WITH x AS (SELECT * FROM a, b) SELECT * FROM x, X, s.x", 5),
            (
                "WITH x AS (SELECT * FROM a) SELECT * FROM (WITH x AS (SELECT * FROM a, a) SELECT * FROM x) y, x",
                3,
            ),
            (
                "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT * FROM r) SELECT * FROM r",
                1,
            ),
            ("SELECT (SELECT max(v) FROM a) FROM (b JOIN c ON true)", 3),
        ] {
            assert_eq!(tables(sql), found, "{sql}");
        }
    }

    #[test]
    fn groups_in_every_way_are_counted() {
        assert_eq!(tables("SELECT count(*) FROM a GROUP BY CUBE (x, y, z)"), 9);
        let columns: Vec<String> = (0..24).map(|column| format!("c{column}")).collect();
        let cube = format!("SELECT 1 FROM a GROUP BY CUBE ({})", columns.join(", "));
        let refused = parse(&cube, &Caps::default()).expect_err("too many");
        assert_eq!(refused.code(), code::TOO_COMPLEX);
    }

    #[test]
    fn definitions_that_double_are_counted_to_the_end() {
        let doubling = |levels: usize| {
            let first = "WITH t0 AS (SELECT * FROM a)".to_owned();
            let with = (1..=levels).fold(first, |with, level| {
                let below = level - 1;
                format!("{with}, t{level} AS (SELECT * FROM t{below} x, t{below} y)")
            });
            format!("{with} SELECT * FROM t{levels}")
        };
        assert_eq!(tables(&doubling(8)), 256);
        assert_eq!(tables(&doubling(8).replace("* FROM a", "1")), 256);
        assert_eq!(tables(&doubling(90)), u64::MAX);
        parse(&doubling(8), &Caps::default()).expect("within the cap");
        let refused = parse(&doubling(30), &Caps::default()).expect_err("too many");
        assert_eq!(refused.code(), code::TOO_COMPLEX);
        assert!(refused.hint().is_some());
        let unused = doubling(30).replace("SELECT * FROM t30", "SELECT 1");
        assert!(
            parse(&unused, &Caps::default()).is_err(),
            "it is planned all the same"
        );
    }
}
