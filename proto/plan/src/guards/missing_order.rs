//! Orders that are required and were lost.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Sorts once more where an operator requires an order that its input does not have by now.
///
/// The engine moves a sort below a join and leaves columns out of it that are constant there. Where the join
/// does not know that they are, the order above is not met, and its own check refuses the plan.
#[derive(Debug)]
pub(super) struct MissingOrder;

impl PhysicalOptimizerRule for MissingOrder {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let mut children = Vec::new();
            let mut is_changed = false;
            let required = node.required_input_ordering();
            for (child, required) in node.children().into_iter().zip(required) {
                let required = required.map(|required| required.into_single());
                let missing = match required {
                    Some(required) => {
                        let known = child.equivalence_properties();
                        let is_met = known.ordering_satisfy_requirement(required.clone())?;
                        (!is_met).then(|| LexOrdering::from(required))
                    }
                    None => None,
                };
                is_changed |= missing.is_some();
                children.push(match missing {
                    Some(order) => sorted(order, child),
                    None => Arc::clone(child),
                });
            }
            if !is_changed {
                return Ok(Transformed::no(node));
            }
            replace_children_if_necessary(node, children).map(Transformed::yes)
        })
        .data()
    }

    fn name(&self) -> &str {
        "MissingOrder"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn sorted(order: LexOrdering, input: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let partitions = input.output_partitioning().partition_count();
    let sort = SortExec::new(order, Arc::clone(input));
    Arc::new(sort.with_preserve_partitioning(partitions > 1))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::arrow::compute::SortOptions;
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::physical_expr::PhysicalSortExpr;
    use datafusion::physical_expr::expressions::col;
    use datafusion::physical_plan::displayable;
    use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;

    use super::*;

    #[test]
    fn an_order_is_made_where_it_is_missing_and_nowhere_else() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![2, 1]));
        let batch = RecordBatch::try_from_iter([("a", numbers)]).expect("a batch");
        let schema = batch.schema();
        let partitions = [vec![batch.clone()], vec![batch]];
        let rows = MemorySourceConfig::try_new_exec(&partitions, Arc::clone(&schema), None);
        let rows = rows.expect("rows");
        let order = || {
            let column = col("a", &schema).expect("a column");
            LexOrdering::new([PhysicalSortExpr::new(column, SortOptions::default())]).expect("one")
        };
        let merge = |input| Arc::new(SortPreservingMergeExec::new(order(), input));
        let shown = |plan: Arc<dyn ExecutionPlan>| {
            let plan = MissingOrder.optimize(plan, &ConfigOptions::default());
            let plan = plan.expect("a plan");
            let lines = displayable(plan.as_ref()).indent(false).to_string();
            let lines = lines.lines().map(|line| line.trim_start().to_owned());
            lines
                .filter(|line| !line.starts_with("DataSource"))
                .collect::<Vec<_>>()
        };
        let sort = "SortExec: expr=[a@0 ASC], preserve_partitioning=[true]";
        let expected = ["SortPreservingMergeExec: [a@0 ASC]", sort];
        assert_eq!(shown(merge(rows.clone() as _)), expected);
        let sorted = sorted(order(), &(rows as _));
        assert_eq!(shown(merge(sorted)), expected);
    }
}
