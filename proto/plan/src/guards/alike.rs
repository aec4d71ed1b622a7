//! Joins that mean different things by equality.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{NullEquality, Result};
use datafusion::logical_expr::{JoinType, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// A rule that sees only inner joins that are alike.
///
/// It takes inner joins apart and puts them together again with what one of them says of NULL. Where
/// `=` stands beside `IS NOT DISTINCT FROM`, NULL would be equal to NULL in both, or in neither. Such
/// joins stay as they are.
#[derive(Debug)]
pub(super) struct Alike {
    pub(super) rule: Arc<dyn OptimizerRule + Send + Sync>,
}

impl OptimizerRule for Alike {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if !is_mixed_somewhere(&plan)? {
            return self.rule.rewrite(plan, config);
        }
        plan.map_uncorrelated_subqueries(|subquery| self.rewrite(subquery, config))?
            .transform_sibling(|plan| plan.map_children(|input| self.rewrite(input, config)))
    }
}

fn is_mixed_somewhere(plan: &LogicalPlan) -> Result<bool> {
    let mut mixed = false;
    plan.apply_with_subqueries(|node| {
        mixed |= match node {
            // Its conditions may become conditions of the joins below.
            LogicalPlan::Filter(filter) => joins(&filter.input).contains(&NULL_SAFE),
            node => {
                let joins = joins(node);
                joins.contains(&NULL_SAFE) && joins.iter().any(|join| *join != NULL_SAFE)
            }
        };
        Ok(match mixed {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(mixed)
}

/// NULL is equal to NULL.
const NULL_SAFE: NullEquality = NullEquality::NullEqualsNull;

/// What the inner joins at the top of `plan` say of NULL.
fn joins(plan: &LogicalPlan) -> Vec<NullEquality> {
    match plan {
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            let mut found = joins(&join.left);
            found.append(&mut joins(&join.right));
            found.push(join.null_equality);
            found
        }
        _ => Vec::new(),
    }
}
