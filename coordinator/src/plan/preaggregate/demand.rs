//! What an aggregate asks of the rows below it, and what it gets.

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};

/// What must be known of the rows of a plan, as expressions over its columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Demand {
    /// Values of each row. Rows in which they are equal may become one row.
    pub(super) keys: Vec<Expr>,
    /// What must be known of the rows that became one.
    pub(super) partials: Vec<Partial>,
    /// What is known of the values of several columns together.
    pub(super) bounds: Vec<Bound>,
}

/// Columns that refer to the key of a table, and how many rows that has. It helps to estimate.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) columns: Vec<Expr>,
    pub(super) most: f64,
}

/// Something of several rows, so that the aggregate over all can be had from those over some.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Partial {
    pub(super) measure: Measure,
    /// Which of the rows count.
    pub(super) filter: Option<Expr>,
}

/// What is measured. All but `Rows` pass over NULL.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Measure {
    Sum(Expr),
    Count(Expr),
    Rows,
    Least(Expr),
    Greatest(Expr),
}

impl Partial {
    /// The same for rows of which `map` says what an expression is called there.
    pub(super) fn map(self, map: &impl Fn(Expr) -> Result<Expr>) -> Result<Self> {
        let measure = match self.measure {
            Measure::Sum(expr) => Measure::Sum(map(expr)?),
            Measure::Count(expr) => Measure::Count(map(expr)?),
            Measure::Rows => Measure::Rows,
            Measure::Least(expr) => Measure::Least(map(expr)?),
            Measure::Greatest(expr) => Measure::Greatest(map(expr)?),
        };
        let filter = self.filter.map(map).transpose()?;
        Ok(Self { measure, filter })
    }

    /// The expressions in it.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let measured = match &self.measure {
            Measure::Sum(expr)
            | Measure::Count(expr)
            | Measure::Least(expr)
            | Measure::Greatest(expr) => Some(expr),
            Measure::Rows => None,
        };
        measured.into_iter().chain(&self.filter)
    }
}

impl Demand {
    /// The same for rows of which `map` says what an expression is called there.
    pub(super) fn map(self, map: impl Fn(Expr) -> Result<Expr>) -> Result<Self> {
        let keys = self.keys.into_iter().map(&map);
        let partials = self.partials.into_iter().map(|it| it.map(&map));
        let bounds = self.bounds.into_iter().map(|Bound { columns, most }| {
            let columns = columns.into_iter().map(&map).collect::<Result<_>>()?;
            Ok(Bound { columns, most })
        });
        Ok(Self {
            keys: keys.collect::<Result<_>>()?,
            partials: partials.collect::<Result<_>>()?,
            bounds: bounds.collect::<Result<_>>()?,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.partials.is_empty()
    }

    /// The expressions in it.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let partials = self.partials.iter().flat_map(Partial::expressions);
        self.keys.iter().chain(partials)
    }
}

/// A plan that answers a demand with fewer rows.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) plan: LogicalPlan,
    /// Each key, over the columns of the plan.
    pub(super) keys: Vec<Expr>,
    /// Each partial, over the columns of the plan.
    pub(super) partials: Vec<Expr>,
    /// Bytes that need not cross.
    pub(super) spared: f64,
}

impl Found {
    /// The same with nothing but columns of names that occur nowhere else.
    pub(super) fn renamed(self, names: &Names) -> Result<Self> {
        let mut exprs = Vec::new();
        let mut rename = |expr: Expr| {
            let name = names.fresh();
            exprs.push(expr.alias(&name));
            Expr::Column(Column::new_unqualified(name))
        };
        let keys = self.keys.into_iter().map(&mut rename).collect();
        let partials = self.partials.into_iter().map(&mut rename).collect();
        let plan = Projection::try_new(exprs, Arc::new(self.plan))?;
        Ok(Self {
            plan: LogicalPlan::Projection(plan),
            keys,
            partials,
            ..self
        })
    }
}

/// Names for columns of a query.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    given: Cell<usize>,
}

impl Names {
    /// Names that no column of `plan` has.
    pub(super) fn beside(plan: &LogicalPlan) -> Result<Self> {
        let mut prefix = "__partial_".to_owned();
        plan.apply_with_subqueries(|node| {
            for field in node.schema().fields() {
                while field.name().starts_with(&prefix) {
                    prefix.push('_');
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(Self {
            prefix,
            given: Cell::new(0),
        })
    }

    /// A name that was not given yet.
    pub(super) fn fresh(&self) -> String {
        let number = self.given.get() + 1;
        self.given.set(number);
        format!("{}{number}", self.prefix)
    }
}

/// `expr` with every column under the full name that it has in `schema`. `None` if that is not all
/// there is to know of it: if it is volatile, or speaks of other rows.
pub(super) fn canonical(expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let known = |column: &&Column| schema.maybe_index_of_column(column).is_some();
    let alone = !expr.is_volatile() && !expr.exists(|expr| Ok(looks_outside(expr)))?;
    if !alone || !expr.column_refs().iter().all(known) {
        return Ok(None);
    }
    let expr = expr.clone().unalias_nested().data;
    let full = |column: &Column| {
        let index = schema.maybe_index_of_column(column)?;
        Some(Expr::Column(Column::from(schema.qualified_field(index))))
    };
    replace(expr, full).map(Some)
}

fn looks_outside(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarSubquery(subquery) => !subquery.outer_ref_columns.is_empty(),
        expr => matches!(
            expr,
            Expr::OuterReferenceColumn(..)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
        ),
    }
}

/// `expr` with what `instead` says in place of columns.
pub(super) fn replace(expr: Expr, instead: impl Fn(&Column) -> Option<Expr>) -> Result<Expr> {
    let replaced = expr.transform_up(|expr| {
        let new = match &expr {
            Expr::Column(column) => instead(column),
            _ => None,
        };
        Ok(match new {
            Some(new) => Transformed::yes(new),
            None => Transformed::no(expr),
        })
    })?;
    Ok(replaced.data)
}
