//! A part of a plan, and whose rows could still be told apart in what it yields.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, SubqueryAlias};
use weft_governance::{GroupSize, TableRef};

use super::harmless::{carried, check_harmless};
use super::{Ungrouped, Withheld};

/// A plan with the protected rows that it yields.
pub(super) struct Part {
    pub(super) plan: LogicalPlan,
    pub(super) rows: Vec<Rows>,
    /// Whether a row may stand in it several times.
    pub(super) joined: bool,
}

/// The rows of one protected table in what a part yields.
pub(super) struct Rows {
    pub(super) table: TableRef,
    pub(super) least: GroupSize,
    /// The column that tells them apart.
    pub(super) id: Column,
    /// The columns that hold values of the table as they are.
    pub(super) columns: HashSet<Column>,
}

impl Rows {
    /// The refusal of a query that would show single rows.
    pub(super) fn told(&self, reason: &str) -> Ungrouped {
        Ungrouped::Rows(self.table.clone(), reason.to_owned())
    }
}

impl Part {
    /// A part that yields no protected rows.
    pub(super) fn open(plan: LogicalPlan) -> Self {
        Self {
            plan,
            rows: Vec::new(),
            joined: false,
        }
    }

    /// Refuses an expression that could tell rows apart by failing, or is no choice among them.
    pub(super) fn check(&self, expr: &Expr) -> Withheld<()> {
        match self.rows.first() {
            Some(rows) => check_harmless(expr, self.plan.schema(), &rows.table),
            None => Ok(()),
        }
    }

    /// The same rows under `operator`, which yields all columns of its input.
    pub(super) fn under(self, operator: &LogicalPlan, exprs: Vec<Expr>) -> Withheld<Self> {
        Ok(Self {
            plan: operator.with_new_exprs(exprs, vec![self.plan])?,
            ..self
        })
    }
}

/// `exprs` of `part`, and beside them what tells its rows apart.
pub(super) fn projected(exprs: &[Expr], part: Part) -> Withheld<Part> {
    let mut rows = part.rows;
    for expr in exprs {
        for rows in &rows {
            check_harmless(expr, part.plan.schema(), &rows.table)?;
        }
    }
    for rows in &mut rows {
        let mut columns = HashSet::new();
        for expr in exprs {
            let column = carried(expr, part.plan.schema())?;
            if column.is_some_and(|column| rows.columns.contains(column)) {
                let (relation, field) = expr.qualified_name();
                columns.insert(Column::new(relation, field));
            }
        }
        rows.columns = columns;
    }
    let ids = rows.iter().map(|rows| Expr::Column(rows.id.clone()));
    let exprs = exprs.iter().cloned().chain(ids).collect();
    let projection = Projection::try_new(exprs, Arc::new(part.plan))?;
    Ok(Part {
        plan: LogicalPlan::Projection(projection),
        rows,
        joined: part.joined,
    })
}

/// `part` under another name.
pub(super) fn aliased(alias: &SubqueryAlias, part: Part) -> Withheld<Part> {
    if let [first, _, ..] = part.rows.as_slice() {
        return Err(first.told("two tables under one name cannot be told apart"));
    }
    let named = |column: &Column| Column::new(Some(alias.alias.clone()), &column.name);
    let rows = part.rows.into_iter().map(|rows| Rows {
        id: named(&rows.id),
        columns: rows.columns.iter().map(named).collect(),
        ..rows
    });
    let rows = rows.collect();
    let named = SubqueryAlias::try_new(Arc::new(part.plan), alias.alias.clone())?;
    Ok(Part {
        plan: LogicalPlan::SubqueryAlias(named),
        rows,
        joined: part.joined,
    })
}
