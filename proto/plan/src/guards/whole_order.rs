//! The first rows of several partitions.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;

/// Sorts partitions by all columns that they are merged by.
///
/// A column that is the same in all rows of a partition, as in a branch of a union, is left out of
/// the order that its partition is sorted by. But if only the first rows are asked for, partitions
/// tell one another which rows come too late, by that shorter order.
#[derive(Debug)]
pub(super) struct WholeOrder;

impl PhysicalOptimizerRule for WholeOrder {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(merge) = node.downcast_ref::<SortPreservingMergeExec>() else {
                return Ok(Transformed::no(node));
            };
            let Some(sort) = merge.input().downcast_ref::<SortExec>() else {
                return Ok(Transformed::no(node));
            };
            if sort.fetch().is_none() || sort.expr() == merge.expr() {
                return Ok(Transformed::no(node));
            }
            let whole = SortExec::new(merge.expr().clone(), Arc::clone(sort.input()))
                .with_fetch(sort.fetch())
                .with_preserve_partitioning(sort.preserve_partitioning());
            let merge = replace_children_if_necessary(node, vec![Arc::new(whole)])?;
            Ok(Transformed::yes(merge))
        })
        .data()
    }

    fn name(&self) -> &str {
        "WholeOrder"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
