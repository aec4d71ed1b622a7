//! The engine's rules, kept from where they are wrong.
//!
//! DataFusion 55.2 answers some queries with wrong rows, and says nothing, or refuses them for what it did
//! itself. Each guard here goes with a rule of the engine, and says what would be wrong without it.

mod alike;
mod confined;
mod correlation;
mod missing_order;
mod outer_sides;
mod same_types;
mod whole_order;

use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::optimizer::analyzer::{Analyzer, AnalyzerRule};
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use alike::Alike;
use confined::Confined;
use correlation::ToldApart;
use missing_order::MissingOrder;
use outer_sides::OuterSides;
use same_types::SameTypes;
use whole_order::WholeOrder;

/// The rule that makes joins of cross joins.
const CROSS_JOINS: &str = "eliminate_cross_join";
/// The rule that groups twice for aggregates of different values.
const DISTINCT_GROUPS: &str = "single_distinct_aggregation_to_group_by";
/// The rule that moves conditions down to the files.
const PUSHDOWN: &str = "FilterPushdown";
/// The rule that refuses what the others left wrong.
const CHECK: &str = "SanityCheckPlan";

/// `session` with all rules of the engine, guarded.
pub fn guarded(session: SessionStateBuilder) -> SessionStateBuilder {
    session
        .with_analyzer_rules(analyzer_rules())
        .with_optimizer_rules(logical_rules())
        .with_physical_optimizer_rules(physical_rules())
}

/// The same, but no rule makes two groupings of one. Where groups are shown by their size, those in
/// between are too small.
pub fn whole_groups(session: SessionStateBuilder) -> SessionStateBuilder {
    let mut rules = logical_rules();
    rules.retain(|rule| rule.name() != DISTINCT_GROUPS);
    guarded(session).with_optimizer_rules(rules)
}

fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    rules.push(Arc::new(ToldApart));
    rules
}

fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let rules = Optimizer::new().rules.into_iter();
    let rules = rules.map(|rule| match rule.name() == CROSS_JOINS {
        true => Arc::new(Alike { rule }) as Arc<dyn OptimizerRule + Send + Sync>,
        false => rule,
    });
    // Last: it looks at what all others have made.
    rules.chain([Arc::new(SameTypes) as _]).collect()
}

/// The physical rules of [`guarded`].
pub fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(OuterSides)];
    for rule in PhysicalOptimizer::new().rules {
        if rule.name() == CHECK {
            rules.push(Arc::new(MissingOrder));
        }
        rules.push(match rule.name().starts_with(PUSHDOWN) {
            true => Arc::new(Confined { rule }),
            false => rule,
        });
    }
    rules.push(Arc::new(WholeOrder));
    rules
}
