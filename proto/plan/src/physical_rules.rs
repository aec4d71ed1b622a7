//! The engine's physical rules, kept from where they are wrong.

mod confined;
mod outer;
mod whole_order;

use std::sync::Arc;

use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use confined::Confined;
use outer::OuterSides;
use whole_order::WholeOrder;

/// The rule that moves conditions down to the files.
const PUSHDOWN: &str = "FilterPushdown";

/// A rule, as the engine takes it.
type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The rules of DataFusion, kept from errors of 55.2 by which rows of an answer are lost, or come in
/// the wrong order or group.
pub fn physical_rules() -> Vec<Rule> {
    let rules = PhysicalOptimizer::new().rules.into_iter();
    let rules = rules.map(|rule| match rule.name().starts_with(PUSHDOWN) {
        true => Arc::new(Confined { rule }) as Rule,
        false => rule,
    });
    let first: Rule = Arc::new(OuterSides);
    let last: Rule = Arc::new(WholeOrder);
    [first].into_iter().chain(rules).chain([last]).collect()
}
