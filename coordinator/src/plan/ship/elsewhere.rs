//! A query taken apart anew, with the rows of one fragment at the node of another.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, SubqueryAlias};
use weft_plan::{PlannedShipment, ShippedTable};

use super::Shipment;
use super::early::early;
use crate::plan::RemoteFragment;
use crate::plan::cut::{self, CutPlan, Cutter, FragmentPlan};
use crate::plan::gather::key::indexes;
use crate::plan::pieces::Planner;
use crate::plan::reduce::{disclosure, leaves};
use crate::plan::site::Site;

/// `cut` with the rows of `from` at the node of `to`, if they are read there and nowhere else. The rest
/// is made of `ground`, which has the same answer.
///
/// # Errors
/// If the plan is malformed.
pub(super) fn elsewhere(
    cut: &CutPlan,
    ground: &LogicalPlan,
    from: &FragmentPlan,
    to: &Site,
    planner: &Planner<'_>,
) -> Result<Option<CutPlan>> {
    let number = u32::try_from(cut.shipments.len()).unwrap_or(u32::MAX);
    let Some(leaf) = only_leaf(ground, from)? else {
        return Ok(None);
    };
    let plan = whole(ground, leaf, &shipped(number, from, to)?)?;
    let known = fetched_before(cut, Some(from.ordinal))?;
    let mut cutter = Cutter::new(
        planner.sites,
        planner.steps,
        &planner.session.context,
        known,
    );
    let plan = cutter.cut(early(planner.arranged(plan)?.plan)?)?;
    if !cut::shipped(&plan)?.is_empty() {
        return Ok(None);
    }
    let fragments = cutter.finish();
    let mut shipments = Vec::new();
    let earlier = cut.shipments.iter().map(|it| (it.number, it.from));
    for (number, from) in earlier.chain([(number, from.ordinal)]) {
        let reads = |it: &&Arc<FragmentPlan>| it.shipped.contains(&number);
        let readers: Vec<_> = fragments.iter().filter(reads).collect();
        match readers.as_slice() {
            // A fragment that reads nothing of its node would be refused there.
            [reader] if !reader.tables.is_empty() => shipments.push(Shipment {
                number,
                from,
                to: reader.ordinal,
            }),
            _ => return Ok(None),
        }
    }
    let anew = CutPlan::new(plan, cut.scalars.clone(), fragments)?;
    let anew = CutPlan { shipments, ..anew };
    planner.reduced(anew).map(Some)
}

/// The number that the fragment `from` has in `plan`, if its rows are read there once.
fn only_leaf(plan: &LogicalPlan, from: &FragmentPlan) -> Result<Option<u32>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        let same = |it: &&FragmentPlan| {
            it.site.node == from.site.node
                && it.encoded == from.encoded
                && it.output == from.output
                && it.scalars == from.scalars
        };
        let leaf = RemoteFragment::of(node).map(|it| it.fragment().as_ref());
        found.extend(leaf.filter(same).map(|it| it.ordinal));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(match found.as_slice() {
        [leaf] => Some(*leaf),
        _ => None,
    })
}

/// The fragments whose rows are there before the query goes on: those of scalars, those that were
/// shipped before, and the one that is shipped now.
pub(super) fn fetched_before(cut: &CutPlan, from: Option<u32>) -> Result<Vec<Arc<FragmentPlan>>> {
    let mut before: Vec<u32> = from.into_iter().collect();
    before.extend(cut.shipments.iter().map(|it| it.from));
    for scalar in &cut.scalars {
        before.extend(leaves(scalar)?);
    }
    let known = cut.fragments.iter();
    let known = known.filter(|it| before.contains(&it.ordinal));
    Ok(known.cloned().collect())
}

/// The rows of `from`, read at `to`. Its columns are numbered, since several may have one name.
fn shipped(number: u32, from: &FragmentPlan, to: &Site) -> Result<LogicalPlan> {
    let fields = from
        .output
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let name = format!("c{index}");
            Field::new(name, field.data_type().clone(), field.is_nullable())
        });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let columns = 0..from.output.fields().len();
    let planned = PlannedShipment {
        to: to.node.clone(),
        statistics: from.estimate.statistics(),
        keys: indexes(&from.plan),
        disclosure: columns
            .map(|column| disclosure(&from.plan, column))
            .collect::<Result<_>>()?,
    };
    let table = ShippedTable::new(number, Arc::new(schema)).with_plan(planned);
    let source = provider_as_source(Arc::new(table));
    LogicalPlanBuilder::scan(format!("shipped_{number}"), source, None)?.build()
}

/// The plan that was taken apart, with `shipped` in place of the fragment `from`.
fn whole(plan: &LogicalPlan, from: u32, shipped: &LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.clone().transform_down_with_subqueries(|node| {
        let Some(remote) = RemoteFragment::of(&node) else {
            return Ok(Transformed::no(node));
        };
        let plan = match remote.fragment().ordinal == from {
            true => renamed(shipped.clone(), remote.columns())?,
            false => named(remote.fragment().plan.clone(), remote.columns())?,
        };
        Ok(Transformed::new(plan, true, TreeNodeRecursion::Jump))
    })?;
    Ok(plan.data)
}

/// `plan` under the name that it lost when it was cut off.
fn named(plan: LogicalPlan, columns: &DFSchema) -> Result<LogicalPlan> {
    let qualifiers = |schema: &DFSchema| -> Vec<Option<TableReference>> {
        schema.iter().map(|(name, _)| name.cloned()).collect()
    };
    let wanted = qualifiers(columns);
    if qualifiers(plan.schema()) == wanted {
        return Ok(plan);
    }
    match wanted.first() {
        Some(Some(name)) if wanted.iter().all(|it| it.as_ref() == Some(name)) => {
            SubqueryAlias::try_new(Arc::new(plan), name.clone()).map(LogicalPlan::SubqueryAlias)
        }
        _ => renamed(plan, columns),
    }
}

/// `plan` with its columns under the names of `columns`.
fn renamed(plan: LogicalPlan, columns: &DFSchema) -> Result<LogicalPlan> {
    let own = plan.schema().iter().map(Column::from);
    let exprs = own.zip(columns.iter());
    let exprs: Vec<Expr> = exprs
        .map(|(own, (qualifier, field))| {
            Expr::Column(own).alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    Projection::try_new(exprs, Arc::new(plan)).map(LogicalPlan::Projection)
}
