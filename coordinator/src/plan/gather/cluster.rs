//! Joins whose order is free, taken apart.

use std::sync::Arc;

use datafusion::common::{Column, DFSchemaRef, NullEquality, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan, Projection};

use crate::plan::Sites;
use crate::plan::site::only_site;

/// A query that joins more is left as it is: looking for partners takes the cube of this.
const MOST_INPUTS: usize = 64;

/// What was joined, and on what.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// In the order of the text.
    pub(super) inputs: Vec<LogicalPlan>,
    /// Equalities.
    pub(super) pairs: Vec<(Expr, Expr)>,
    /// Conditions besides.
    pub(super) filters: Vec<Expr>,
    /// Semi and anti joins. Each takes rows away and adds none; its left side stands for whatever
    /// its condition speaks of.
    pub(super) reducers: Vec<Join>,
}

impl Cluster {
    /// The cluster at the top of `plan`, if there is one.
    pub(super) fn of(plan: &LogicalPlan, sites: &Sites) -> Result<Option<Self>> {
        let mut cluster = Self::default();
        cluster.add(plan, sites)?;
        let several = (2..=MOST_INPUTS).contains(&cluster.inputs.len());
        Ok(several.then_some(cluster))
    }

    fn add(&mut self, plan: &LogicalPlan, sites: &Sites) -> Result<()> {
        // What one node does as a whole stays whole.
        if !is_open(plan) || only_site(plan, sites)?.is_some() {
            self.inputs.push(plan.clone());
            return Ok(());
        }
        match plan {
            LogicalPlan::Projection(projection) => self.add(&projection.input, sites),
            LogicalPlan::Filter(filter) => {
                self.keep(&filter.predicate);
                self.add(&filter.input, sites)
            }
            LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
                self.pairs.extend(join.on.iter().cloned());
                if let Some(filter) = &join.filter {
                    self.keep(filter);
                }
                self.add(&join.left, sites)?;
                self.add(&join.right, sites)
            }
            LogicalPlan::Join(join) => {
                self.reducers.push(join.clone());
                self.add(&join.left, sites)
            }
            other => {
                self.inputs.push(other.clone());
                Ok(())
            }
        }
    }

    fn keep(&mut self, condition: &Expr) {
        let conditions = split_conjunction(condition).into_iter();
        self.filters.extend(conditions.cloned());
    }
}

/// Whether `plan` is a join of the cluster, or stands above one and changes nothing that the order
/// depends on.
pub(super) fn is_open(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            expr.iter().all(|expr| matches!(expr, Expr::Column(_))) && is_open(input)
        }
        LogicalPlan::Filter(Filter {
            predicate, input, ..
        }) => !predicate.is_volatile() && is_open(input),
        LogicalPlan::Join(join) => is_free(join),
        _ => false,
    }
}

/// How many of the first children of `plan` belong to its cluster.
pub(super) fn children_inside(plan: &LogicalPlan) -> usize {
    match plan {
        LogicalPlan::Join(join) if is_free(join) && join.join_type == JoinType::Inner => 2,
        plan => usize::from(is_open(plan)),
    }
}

fn is_free(join: &Join) -> bool {
    let volatile = |expr: &Expr| expr.is_volatile();
    matches!(
        join.join_type,
        JoinType::Inner | JoinType::LeftSemi | JoinType::LeftAnti
    ) && join.null_equality == NullEquality::NullEqualsNothing
        && !join.null_aware
        && !join.filter.iter().any(volatile)
        && !join.on.iter().any(|(l, r)| volatile(l) || volatile(r))
}

/// `plan` with the columns of `schema`, in its order.
pub(super) fn restore(plan: LogicalPlan, schema: &DFSchemaRef) -> Result<LogicalPlan> {
    let columns = schema.iter().map(|field| Expr::Column(Column::from(field)));
    let columns = columns.collect();
    let restored = Projection::try_new_with_schema(columns, Arc::new(plan), Arc::clone(schema))?;
    Ok(LogicalPlan::Projection(restored))
}
