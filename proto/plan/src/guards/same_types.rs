//! Joins whose sides became different types after they were compared.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Compares the keys of a join in one type.
///
/// A subquery remembers the types of outer columns as they were before the engine fitted them
/// together, `CASE` among them. The join that is made of it compares decimals of different scales by
/// their digits, and loses or makes up rows.
#[derive(Debug)]
pub(super) struct SameTypes;

impl OptimizerRule for SameTypes {
    fn name(&self) -> &str {
        "same_types"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = plan else {
            return Ok(Transformed::no(plan));
        };
        let mut changed = false;
        let mut on = Vec::with_capacity(join.on.len());
        for (left, right) in &join.on {
            let fitted = fitted(&join, left, right)?;
            changed |= fitted.is_some();
            on.push(fitted.unwrap_or_else(|| (left.clone(), right.clone())));
        }
        Ok(match changed {
            true => Transformed::yes(LogicalPlan::Join(Join { on, ..join })),
            false => Transformed::no(LogicalPlan::Join(join)),
        })
    }
}

/// The two keys in the type that they are compared in, unless they are of one type.
fn fitted(join: &Join, left: &Expr, right: &Expr) -> Result<Option<(Expr, Expr)>> {
    let (left_side, right_side) = (join.left.schema(), join.right.schema());
    let (left_type, right_type) = (left.get_type(left_side)?, right.get_type(right_side)?);
    if left_type == right_type {
        return Ok(None);
    }
    let Some(common) = comparison_coercion(&left_type, &right_type) else {
        return Ok(None);
    };
    Ok(Some((
        left.clone().cast_to(&common, left_side)?,
        right.clone().cast_to(&common, right_side)?,
    )))
}
