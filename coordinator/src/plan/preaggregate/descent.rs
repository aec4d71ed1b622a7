//! The way from an aggregate down to the rows of one node.

use std::sync::Arc;

use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{
    Expr, Filter, Join, JoinType, LogicalPlan, Projection, SubqueryAlias, Union,
};

use super::benefit::bounds;
use super::demand::{Demand, Found, Names, canonical, replace};
use super::grouping::{reduced, ungrouped};
use super::side::{Asking, Side};
use crate::plan::Sites;
use crate::plan::site::only_site;

/// Plans that answer a demand with fewer rows.
#[derive(Debug)]
pub(super) struct Descent<'a> {
    sites: &'a Sites,
    names: Names,
}

impl<'a> Descent<'a> {
    pub(super) fn new(plan: &LogicalPlan, sites: &'a Sites) -> Result<Self> {
        Ok(Self {
            sites,
            names: Names::beside(plan)?,
        })
    }

    pub(super) fn sites(&self) -> &Sites {
        self.sites
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// The plans in place of `plan`, one for each node that can group its rows for `demand`, whose
    /// expressions have canonical columns.
    pub(super) fn find(&self, plan: &LogicalPlan, demand: Demand) -> Result<Vec<Found>> {
        if let Some(site) = only_site(plan, self.sites)? {
            return Ok(reduced(plan, &site, demand, &self.names)?
                .into_iter()
                .collect());
        }
        match plan {
            LogicalPlan::Projection(projection) => self.through_projection(projection, demand),
            LogicalPlan::SubqueryAlias(alias) => self.through_alias(alias, demand),
            LogicalPlan::Filter(filter) => self.through_filter(filter, demand),
            LogicalPlan::Union(union) => {
                Ok(self.through_union(union, demand)?.into_iter().collect())
            }
            LogicalPlan::Join(join) => {
                let mut found = Vec::new();
                for side in [Side::Left, Side::Right] {
                    if side.shows(join.join_type) {
                        found.extend(self.through_join(join, side, demand.clone())?);
                    }
                }
                Ok(found)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn through_projection(&self, projection: &Projection, demand: Demand) -> Result<Vec<Found>> {
        let schema = projection.input.schema();
        let mut values = Vec::new();
        for expr in &projection.expr {
            values.push(canonical(expr, schema)?);
        }
        self.through_renaming(&projection.schema, &projection.input, &values, demand)
    }

    fn through_alias(&self, alias: &SubqueryAlias, demand: Demand) -> Result<Vec<Found>> {
        let columns = alias.input.schema().iter();
        let values: Vec<_> = columns
            .map(|field| Some(Expr::Column(Column::from(field))))
            .collect();
        self.through_renaming(&alias.schema, &alias.input, &values, demand)
    }

    /// `values` are the columns of `schema`, by position, as expressions over `input`, as far as
    /// they can stand for them.
    fn through_renaming(
        &self,
        schema: &DFSchema,
        input: &LogicalPlan,
        values: &[Option<Expr>],
        demand: Demand,
    ) -> Result<Vec<Found>> {
        let value = |column: &Column| values.get(schema.maybe_index_of_column(column)?)?.clone();
        let columns = demand.expressions().flat_map(Expr::column_refs);
        if demand.is_empty() || columns.into_iter().any(|column| value(column).is_none()) {
            return Ok(Vec::new());
        }
        let demand = demand.map(|expr| replace(expr, value))?;
        let found = self.find(input, demand)?;
        let renamed = found.into_iter().map(|found| found.renamed(&self.names));
        renamed.collect()
    }

    /// Each input grouped if that can be, and the rest in a shape that fits in.
    fn through_union(&self, union: &Union, demand: Demand) -> Result<Option<Found>> {
        let schema = &union.schema;
        let mut arms: Vec<Found> = Vec::new();
        let mut any = false;
        for input in &union.inputs {
            let own = |column: &Column| {
                let index = schema.maybe_index_of_column(column)?;
                let field = input.schema().qualified_field(index);
                Some(Expr::Column(Column::from(field)))
            };
            let demand = demand.clone().map(|expr| replace(expr, own))?;
            let arm = match best(self.find(input, demand.clone())?) {
                Some(grouped) => {
                    any = true;
                    grouped
                }
                None => match ungrouped(input, demand)? {
                    Some(arm) => arm,
                    None => return Ok(None),
                },
            };
            arms.push(arm.renamed(&self.names)?);
        }
        let Some(first) = arms.first() else {
            return Ok(None);
        };
        let fits = |arm: &Found| {
            let (own, others) = (arm.plan.schema().fields(), first.plan.schema().fields());
            let mut pairs = own.iter().zip(others);
            pairs.all(|(own, other)| own.data_type() == other.data_type())
        };
        if !any || demand.is_empty() || !arms.iter().all(fits) {
            return Ok(None);
        }
        let spared = arms.iter().map(|arm| arm.spared).sum();
        let (keys, partials) = (first.keys.clone(), first.partials.clone());
        let inputs = arms.into_iter().map(|arm| Arc::new(arm.plan)).collect();
        Ok(Some(Found {
            plan: LogicalPlan::Union(Union::try_new(inputs)?),
            keys,
            partials,
            spared,
        }))
    }

    fn through_filter(&self, filter: &Filter, mut demand: Demand) -> Result<Vec<Found>> {
        let Some(predicate) = canonical(&filter.predicate, filter.input.schema())? else {
            return Ok(Vec::new());
        };
        demand.keys.push(predicate);
        let mut filtered = Vec::new();
        for mut found in self.find(&filter.input, demand)? {
            if let Some(predicate) = found.keys.pop() {
                let filter = Filter::try_new(predicate, Arc::new(found.plan))?;
                filtered.push(Found {
                    plan: LogicalPlan::Filter(filter),
                    ..found
                });
            }
        }
        Ok(filtered)
    }

    /// The plans in place of `join` in which rows of `side` are grouped.
    pub(super) fn through_join(
        &self,
        join: &Join,
        side: Side,
        demand: Demand,
    ) -> Result<Vec<Found>> {
        let (own, other) = side.of(join);
        let Some(mut asking) = Asking::new(join, side, &self.names) else {
            return Ok(Vec::new());
        };
        let mut pairs = Vec::new();
        for pair in &join.on {
            let (ours, theirs) = side.pair(pair);
            let Some(ours) = canonical(ours, own.schema())? else {
                return Ok(Vec::new());
            };
            pairs.push((ours, theirs.clone()));
        }
        for bound in bounds(&pairs, other) {
            asking.bound(bound);
        }
        let mut on = Vec::new();
        for (ours, theirs) in pairs {
            on.push((asking.key(ours)?, theirs));
        }
        let filter = match &join.filter {
            None => None,
            Some(filter) => {
                let both = own.schema().join(other.schema());
                let Some(filter) = canonical(filter, &both?)? else {
                    return Ok(Vec::new());
                };
                Some(asking.columns(filter)?)
            }
        };
        let Some((keys, partials)) = asking.demand(demand)? else {
            return Ok(Vec::new());
        };
        let mut joined = Vec::new();
        for mut found in self.find(own, asking.asked())? {
            // What is NULL where a partner lacks must be a column of the side that lacks.
            if asking.is_padded() && !found.keys.iter().chain(&found.partials).all(is_column) {
                found = found.renamed(&self.names)?;
            }
            let fill = |expr: &Expr| asking.fill(expr.clone(), &found);
            let mut pairs = Vec::new();
            for (ours, theirs) in &on {
                pairs.push(side.in_order(fill(ours)?, theirs.clone()));
            }
            let plan = Arc::new(found.plan.clone());
            let (left, right) = side.in_order(plan, Arc::new(other.clone()));
            let plan = Join::try_new(
                left,
                right,
                pairs,
                filter.as_ref().map(fill).transpose()?,
                join.join_type,
                join.join_constraint,
                join.null_equality,
                join.null_aware,
            )?;
            joined.push(Found {
                plan: LogicalPlan::Join(plan),
                keys: keys.iter().map(fill).collect::<Result<_>>()?,
                partials: partials.iter().map(fill).collect::<Result<_>>()?,
                spared: found.spared,
            });
        }
        Ok(joined)
    }
}

/// The one that spares the most, if one spares anything.
pub(super) fn best(found: Vec<Found>) -> Option<Found> {
    found
        .into_iter()
        .filter(|found| found.spared > 0.0)
        .max_by(|one, other| one.spared.total_cmp(&other.spared))
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(_))
}

impl Side {
    /// Whether columns of this side are in the answer of such a join.
    fn shows(self, join_type: JoinType) -> bool {
        match join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => true,
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => self == Self::Left,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => self == Self::Right,
        }
    }
}
