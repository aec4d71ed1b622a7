//! Conditions on their way down.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;

/// Inputs of this node have the same names on purpose.
const UNION: &str = "UnionExec";

/// A rule that sees only parts of a plan whose names are distinct.
///
/// A condition on its way down is matched to columns by their names, so that it ends at the wrong one
/// where two have the same.
#[derive(Debug)]
pub(super) struct Confined {
    pub(super) rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
}

impl PhysicalOptimizerRule for Confined {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !is_mixed(plan.as_ref()) {
            return self.rule.optimize(plan, config);
        }
        let children = plan.children();
        if children.is_empty() {
            return Ok(plan);
        }
        let children = children
            .into_iter()
            .map(|child| self.optimize(Arc::clone(child), config))
            .collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(plan, children)
    }

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

/// Whether two columns have the same name somewhere in `plan`.
fn is_mixed(plan: &dyn ExecutionPlan) -> bool {
    let children = plan.children();
    let own = plan.schema();
    let twice = !distinct([own.as_ref()]);
    let met = plan.name() != UNION && {
        let inputs: Vec<_> = children.iter().map(|child| child.schema()).collect();
        !distinct(inputs.iter().map(AsRef::as_ref))
    };
    twice || met || children.iter().any(|child| is_mixed(child.as_ref()))
}

fn distinct<'a>(schemas: impl IntoIterator<Item = &'a arrow::datatypes::Schema>) -> bool {
    let mut names = HashSet::new();
    schemas
        .into_iter()
        .flat_map(|schema| schema.fields())
        .all(|field| names.insert(field.name().as_str()))
}
