//! How large the expressions of a plan may become.
//!
//! The optimizer puts expressions into each other: a condition on a column that is computed from others
//! is moved below the computation, and names the computation wherever it named the column. Where each
//! of thirty subqueries adds a column to itself, the condition names the first one a billion times, and
//! nothing ends that once it has begun. So a plan is weighed before it is optimized.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};
use weft_governance::{Error, ErrorKind, code};

use crate::failure::from_datafusion;

/// Parts that one expression may have once all that it names is put into it.
const MOST: u64 = 200_000;

/// Refuses `plan` if an expression of it would grow beyond measure. Needs a deep stack.
///
/// # Errors
/// `WEFT-TOO-COMPLEX` if one would.
pub fn weigh(plan: &LogicalPlan) -> std::result::Result<(), Error> {
    let heaviest = heaviest(plan).map_err(from_datafusion)?;
    match heaviest <= MOST {
        true => Ok(()),
        false => Err(too_complex()),
    }
}

fn heaviest(plan: &LogicalPlan) -> Result<u64> {
    let mut scale = Scale { heaviest: 0 };
    scale.columns(plan)?;
    Ok(scale.heaviest)
}

struct Scale {
    heaviest: u64,
}

impl Scale {
    /// The weight of each column of `plan`.
    fn columns(&mut self, plan: &LogicalPlan) -> Result<Vec<u64>> {
        let inputs = plan.inputs();
        let mut below = Vec::new();
        for input in &inputs {
            below.push((input.schema(), self.columns(input)?));
        }
        for expr in plan.expressions() {
            self.weight(&expr, &below)?;
        }
        let width = plan.schema().fields().len();
        let columns = match plan {
            LogicalPlan::Projection(projection) => {
                let each = projection.expr.iter();
                each.map(|expr| self.weight(expr, &below))
                    .collect::<Result<_>>()?
            }
            LogicalPlan::Aggregate(aggregate) => {
                let groups = aggregate.group_expr.iter();
                let mut columns: Vec<u64> = groups
                    .map(|expr| self.weight(expr, &below))
                    .collect::<Result<_>>()?;
                // A condition on an aggregate stays above it.
                columns.resize(width, 1);
                columns
            }
            LogicalPlan::Union(_) => (0..width)
                .map(|index| {
                    let column = below.iter().filter_map(|(_, columns)| columns.get(index));
                    column.copied().max().unwrap_or(1)
                })
                .collect(),
            _ => {
                let mut all: Vec<u64> =
                    below.into_iter().flat_map(|(_, columns)| columns).collect();
                if all.len() != width {
                    // Columns are left out or added, and not where is known here.
                    let most = all.iter().copied().max().unwrap_or(1);
                    all = vec![most; width];
                }
                all
            }
        };
        Ok(columns)
    }

    /// The weight of `expr` over the columns `below`.
    fn weight(
        &mut self,
        expr: &Expr,
        below: &[(&std::sync::Arc<DFSchema>, Vec<u64>)],
    ) -> Result<u64> {
        let mut weight: u64 = 0;
        expr.apply(|part| {
            let own = match part {
                Expr::Column(column) => of_column(column, below),
                Expr::ScalarSubquery(subquery) => self.subquery(&subquery.subquery)?,
                Expr::InSubquery(within) => self.subquery(&within.subquery.subquery)?,
                Expr::Exists(exists) => self.subquery(&exists.subquery.subquery)?,
                Expr::SetComparison(set) => self.subquery(&set.subquery.subquery)?,
                _ => 1,
            };
            weight = weight.saturating_add(own);
            Ok(TreeNodeRecursion::Continue)
        })?;
        self.heaviest = self.heaviest.max(weight);
        Ok(weight)
    }

    fn subquery(&mut self, plan: &LogicalPlan) -> Result<u64> {
        let columns = self.columns(plan)?;
        Ok(columns.into_iter().max().unwrap_or(1))
    }
}

fn of_column(column: &Column, below: &[(&std::sync::Arc<DFSchema>, Vec<u64>)]) -> u64 {
    let found = below.iter().find_map(|(schema, columns)| {
        let index = schema.maybe_index_of_column(column)?;
        columns.get(index)
    });
    found.copied().unwrap_or(1)
}

fn too_complex() -> Error {
    let message = format!(
        "an expression of the statement would have more than {MOST} parts, as columns that are computed \
         from columns that are computed are counted"
    );
    Error::new(ErrorKind::InvalidInput, code::TOO_COMPLEX, message).with_hint(
        "Use a computed column fewer times in the computation of the next, or split the query.",
    )
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn weight(sql: &str) -> u64 {
        let session = SessionContext::new();
        let planned = session.state().create_logical_plan(sql).await;
        let plan = planned.expect("planned");
        heaviest(&plan).expect("weighed")
    }

    fn nested(levels: usize, select: &str) -> String {
        (0..levels).fold(
            "SELECT n AS x FROM (VALUES (1)) t(n)".to_owned(),
            |from, level| format!("SELECT {select} AS x FROM ({from}) t{level}"),
        )
    }

    #[tokio::test]
    async fn a_column_weighs_what_it_is_computed_from() {
        let flat = weight(&nested(10, "x + 1")).await;
        assert!(flat < 100, "{flat}");
        let double = weight(&nested(10, "x + x")).await;
        assert!((1 << 10..1 << 13).contains(&double), "{double}");
        let condition = format!("SELECT 1 FROM ({}) t WHERE x > 0", nested(10, "x + x"));
        assert!(weight(&condition).await > double);
        let subquery = format!("SELECT (SELECT max(x) FROM ({}) t)", nested(10, "x + x"));
        assert!(weight(&subquery).await >= double);
    }

    #[tokio::test]
    async fn what_would_explode_is_refused() {
        let session = SessionContext::new();
        let planned = session
            .state()
            .create_logical_plan(&nested(12, "x + x * x - x"))
            .await;
        let refused = weigh(&planned.expect("planned")).expect_err("too complex");
        assert_eq!(refused.code(), code::TOO_COMPLEX);
        let planned = session
            .state()
            .create_logical_plan(&nested(12, "x + 1"))
            .await;
        weigh(&planned.expect("planned")).expect("the control");
    }

    #[tokio::test]
    async fn an_aggregate_ends_the_growth() {
        let grouped = (0..12).fold(
            "SELECT n AS x FROM (VALUES (1)) t(n)".to_owned(),
            |from, level| format!("SELECT max(x + x) AS x FROM ({from}) t{level}"),
        );
        let weight = weight(&grouped).await;
        assert!(weight < 100, "{weight}");
    }
}
