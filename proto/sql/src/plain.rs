//! Statements that take no longer to plan than to hand to another thread.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, Select, SetExpr, TableFactor, Visit, Visitor,
};

/// Bytes of the longest text that is read at once, on the thread that it came to.
const BRIEF: usize = 512;
/// Expressions, with those inside them, of the largest plain query.
const EXPRESSIONS: usize = 64;
/// Tables that it joins at most.
const TABLES: usize = 2;

/// Whether `sql` is so short that it is parsed before another thread would have woken up. What ends a query
/// is, too: it must not wait for others to be planned.
pub fn is_brief(sql: &str) -> bool {
    sql.len() <= BRIEF
}

/// Whether `query` reads a table, or two that it joins, and compares and computes, and nothing more: no
/// function, no pattern and no query inside it, of which a few words can be much work for a planner.
pub fn is_plain(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return false;
    };
    let mut plain = Plain::default();
    query.with.is_none()
        && select.from.len() <= 1
        && is_ungrouped(select)
        && query.visit(&mut plain).is_continue()
}

fn is_ungrouped(select: &Select) -> bool {
    match &select.group_by {
        GroupByExpr::All(_) => false,
        GroupByExpr::Expressions(columns, modifiers) => columns.is_empty() && modifiers.is_empty(),
    }
}

/// Breaks off a visit at what is not plain.
#[derive(Debug, Default)]
struct Plain {
    queries: usize,
    tables: usize,
    expressions: usize,
}

impl Visitor for Plain {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries += 1;
        unless(self.queries > 1)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.tables += 1;
        let named = matches!(factor, TableFactor::Table { args: None, .. });
        unless(self.tables > TABLES || !named)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.expressions += 1;
        let known = match expr {
            Expr::BinaryOp { op, .. } => compares_or_computes(op),
            Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::Value(_)
            | Expr::Nested(_)
            | Expr::UnaryOp { .. }
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::Between { .. }
            | Expr::InList { .. } => true,
            _ => false,
        };
        unless(!known || self.expressions > EXPRESSIONS)
    }
}

fn unless(found: bool) -> ControlFlow<()> {
    match found {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

fn compares_or_computes(op: &BinaryOperator) -> bool {
    use BinaryOperator as B;
    matches!(
        op,
        B::Plus
            | B::Minus
            | B::Multiply
            | B::Divide
            | B::Modulo
            | B::Gt
            | B::Lt
            | B::GtEq
            | B::LtEq
            | B::Eq
            | B::NotEq
            | B::And
            | B::Or
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Caps, Statement, parse};

    fn plain(sql: &str) -> bool {
        match parse(sql, &Caps::default()).expect(sql) {
            Statement::Query(query) => is_plain(&query),
            _ => panic!("no query: {sql}"),
        }
    }

    #[test]
    fn what_reads_a_table_or_joins_two_and_compares_is_plain() {
        for sql in [
            "SELECT 1",
            "SELECT 1 + 1 AS two, 'x', NULL",
            "SELECT * FROM sales.orders",
            "SELECT o.id, -total FROM orders o WHERE id = $1 AND (total > 5 OR note IS NULL) LIMIT 3",
            "SELECT o.id, name FROM orders o JOIN people p ON o.person = p.id WHERE o.id = 7",
            "SELECT id FROM orders WHERE id IN (1, 2) AND at BETWEEN 1 AND 2 ORDER BY id DESC",
        ] {
            assert!(plain(sql), "{sql}");
        }
    }

    #[test]
    fn what_may_be_much_work_in_a_few_words_is_not() {
        for sql in [
            "SELECT repeat('x', 100000)",
            "SELECT count(*) FROM orders",
            "SELECT 'a' LIKE '%a%'",
            "SELECT 'aaaa' ~ '(a|b){900}'",
            "SELECT '[1]' || id FROM orders",
            "SELECT CAST('1' AS INT)",
            "SELECT 1 FROM a, b",
            "SELECT 1 FROM a JOIN b ON a.x = b.x JOIN c ON a.x = c.x",
            "SELECT 1 FROM a JOIN (SELECT 1 AS x) b ON a.x = b.x",
            "SELECT 1 FROM a JOIN b ON a.x LIKE b.x",
            "SELECT 1 FROM (SELECT 1) x",
            "SELECT 1 FROM orders WHERE id IN (SELECT 1)",
            "SELECT (SELECT 1)",
            "SELECT 1 UNION ALL SELECT 2",
            "VALUES (1), (2)",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "SELECT x FROM orders GROUP BY x",
            "SELECT x, y FROM orders GROUP BY CUBE (x, y)",
            "SELECT x FROM orders GROUP BY ALL",
            "SELECT * FROM generate_series(1, 1000000000)",
            "SELECT CASE WHEN true THEN 1 END",
        ] {
            assert!(!plain(sql), "{sql}");
        }
        let long = format!("SELECT {}", ["1"; EXPRESSIONS].join(" + "));
        assert!(!plain(&long));
    }
}
