//! Window functions whose value does not depend on which of two like rows comes first.

use super::Generator;
use super::scope::Scope;
use crate::random::query::{Expr, Kind};

/// So many columns can be named in an order that leaves no ties.
const COLUMNS: usize = 9;

impl Generator<'_> {
    /// A window function of `kind` over the rows of `scope`.
    pub(super) fn window(&mut self, scope: &Scope, kind: Kind) -> Expr {
        let mut operands = Vec::new();
        let columns = scope.columns();
        let total = columns.len() <= COLUMNS && self.dice.chance(60);
        let function = self.function(scope, kind, total, &mut operands);
        let mut over = String::new();
        if self.dice.chance(60)
            && let Some(column) = scope.any(&mut self.dice)
        {
            over.push_str("PARTITION BY {}");
            operands.push(column);
        }
        let mut by = columns;
        self.dice.shuffle(&mut by);
        if !total {
            by.truncate(1 + self.dice.below(2));
        }
        for (at, column) in by.into_iter().enumerate() {
            let before = if at == 0 { " ORDER BY" } else { "," };
            let way = *self.dice.pick(&["ASC", "ASC", "DESC"]);
            let nulls = *self.dice.pick(&["FIRST", "LAST"]);
            over.push_str(&format!("{before} {{}} {way} NULLS {nulls}"));
            operands.push(column);
        }
        if total && function.frames && self.dice.chance(40) {
            over.push_str(" ROWS BETWEEN 2 PRECEDING AND CURRENT ROW");
        }
        Expr::form(format!("{} OVER ({over})", function.sql), operands, kind)
    }

    fn function(
        &mut self,
        scope: &Scope,
        kind: Kind,
        total: bool,
        operands: &mut Vec<Expr>,
    ) -> Function {
        let numbered = if total { 40 } else { 0 };
        if self.dice.chance(numbered) {
            if kind == Kind::Int && self.dice.chance(60) {
                return Function::plain("row_number()");
            }
            operands.push(self.leaf(scope, kind));
            let sql = *self.dice.pick(&["lag({})", "lead({})", "first_value({})"]);
            return Function::plain(sql);
        }
        if kind == Kind::Int && self.dice.chance(60) {
            let sql = *self.dice.pick(&["rank()", "dense_rank()", "count(*)"]);
            return Function::plain(sql);
        }
        let sql = match kind {
            Kind::Int | Kind::Decimal | Kind::Double => {
                *self.dice.pick(&["sum({})", "min({})", "max({})"])
            }
            _ => *self.dice.pick(&["min({})", "max({})"]),
        };
        operands.push(self.leaf(scope, kind));
        Function { sql, frames: true }
    }
}

/// A window function, and whether a frame changes what it says.
struct Function {
    sql: &'static str,
    frames: bool,
}

impl Function {
    fn plain(sql: &'static str) -> Self {
        Self { sql, frames: false }
    }
}
