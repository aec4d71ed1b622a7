//! The rows of one node, grouped there.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, Result};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Expr, ExprSchemable, LogicalPlan, cast, lit, when,
};

use super::benefit::{spared, spared_by_computing};
use super::demand::{Demand, Found, Measure, Names, Partial, replace};
use super::merge::sum_type;
use super::total::is_total;
use crate::plan::shippable::is_shippable;
use crate::plan::site::Site;

/// `plan`, all of it at `site`, so that it sends less: one row for each set of values that `demand`
/// needs or, if those are too many, what is computed of each row in place of what it is computed of.
/// `None` if that cannot be, or is not worth it.
pub(super) fn reduced(
    plan: &LogicalPlan,
    site: &Site,
    demand: Demand,
    names: &Names,
) -> Result<Option<Found>> {
    if demand.is_empty() {
        return Ok(None);
    }
    let found = match grouped(plan, demand.clone(), names)? {
        Some(found) => Some(found),
        None => computed(plan, demand, names)?,
    };
    Ok(match found {
        Some(found) if is_shippable(&found.plan, &site.functions)? => Some(found),
        _ => None,
    })
}

fn grouped(plan: &LogicalPlan, demand: Demand, names: &Names) -> Result<Option<Found>> {
    let Some(groups) = groups(plan, &demand.keys)? else {
        return Ok(None);
    };
    for partial in &demand.partials {
        for expr in partial.expressions() {
            if !is_total(expr, plan.schema())? {
                return Ok(None);
            }
        }
    }
    let mut measures: Vec<Expr> = Vec::new();
    let mut places = Vec::new();
    for partial in &demand.partials {
        let measure = aggregate_of(partial.clone());
        let known = measures.iter().position(|known| *known == measure);
        places.push(groups.len() + known.unwrap_or(measures.len()));
        if known.is_none() {
            measures.push(measure);
        }
    }
    // What is computed gets a name that nothing else has: two expressions may go by the same.
    let named = |expr: &Expr| match expr {
        Expr::Column(_) => expr.clone(),
        expr => expr.clone().alias(names.fresh()),
    };
    let grouped = Aggregate::try_new(
        Arc::new(plan.clone()),
        groups.iter().map(named).collect(),
        measures.iter().map(named).collect(),
    )?;
    let Some(spared) = spared(&grouped, &demand) else {
        return Ok(None);
    };
    let schema = Arc::clone(&grouped.schema);
    let columns: Vec<Expr> = schema.iter().map(|it| Expr::Column(it.into())).collect();
    let place = |expr: &Expr| {
        columns
            .get(groups.iter().position(|group| group == expr)?)
            .cloned()
    };
    let keys = demand.keys.into_iter().map(|key| match place(&key) {
        Some(column) => Ok(column),
        None => replace(key, |column| place(&Expr::Column(column.clone()))),
    });
    let keys = keys.collect::<Result<_>>()?;
    let partials = places
        .iter()
        .filter_map(|place| columns.get(*place).cloned());
    Ok(Some(Found {
        keys,
        partials: partials.collect(),
        plan: LogicalPlan::Aggregate(grouped),
        spared,
    }))
}

fn computed(plan: &LogicalPlan, demand: Demand, names: &Names) -> Result<Option<Found>> {
    let needed: BTreeSet<Column> = demand
        .expressions()
        .flat_map(|expr| expr.column_refs().into_iter().cloned())
        .collect();
    let Some(found) = ungrouped(plan, demand)? else {
        return Ok(None);
    };
    let found = found.renamed(names)?;
    let spared = spared_by_computing(plan, &needed, &found.plan);
    Ok(spared.map(|spared| Found { spared, ..found }))
}

/// `plan` with what `demand` needs of each row as if it were a group. `None` if that may fail.
pub(super) fn ungrouped(plan: &LogicalPlan, demand: Demand) -> Result<Option<Found>> {
    let schema = plan.schema();
    let mut partials = Vec::new();
    for partial in demand.partials {
        let Partial { measure, filter } = partial;
        let value = match measure {
            Measure::Sum(expr) => match sum_type(&expr.get_type(schema)?) {
                Some(sum) => cast(expr, sum),
                None => return Ok(None),
            },
            Measure::Count(expr) => when(expr.is_not_null(), lit(1_i64)).end()?,
            Measure::Rows => lit(1_i64),
            Measure::Least(expr) | Measure::Greatest(expr) => expr,
        };
        partials.push(match filter {
            Some(filter) => when(filter, value).end()?,
            None => value,
        });
    }
    for expr in demand.keys.iter().chain(&partials) {
        if !is_total(expr, schema)? {
            return Ok(None);
        }
    }
    Ok(Some(Found {
        plan: plan.clone(),
        keys: demand.keys,
        partials,
        spared: 0.0,
    }))
}

/// What to group by so that all `keys` are known of each group: the keys themselves where they can
/// be computed for every row, else the columns in them.
fn groups(plan: &LogicalPlan, keys: &[Expr]) -> Result<Option<Vec<Expr>>> {
    let schema = plan.schema();
    let mut groups: Vec<Expr> = Vec::new();
    let mut add = |expr: Expr| {
        if !groups.contains(&expr) {
            groups.push(expr);
        }
    };
    let (columns, computed): (Vec<_>, Vec<_>) =
        keys.iter().partition(|key| matches!(key, Expr::Column(_)));
    for column in columns {
        add(column.clone());
    }
    for key in computed {
        let known = key.column_refs().into_iter().cloned().map(Expr::Column);
        if known.into_iter().all(|column| keys.contains(&column)) {
            continue;
        }
        let simple = is_total(key, schema)? && is_comparable(&key.get_type(schema)?);
        let parts = key.column_refs().into_iter().cloned().map(Expr::Column);
        match simple {
            true => add(key.clone()),
            false => parts.for_each(&mut add),
        }
    }
    // Without a key a group stands also where there is no row at all.
    let mut fit = !groups.is_empty();
    for group in &groups {
        fit &= is_comparable(&group.get_type(schema)?);
    }
    Ok(fit.then_some(groups))
}

/// Whether values of this type are equal in a group only if nothing tells them apart.
fn is_comparable(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_string()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Decimal128(..)
                | DataType::Date32
                | DataType::Date64
                | DataType::Time32(_)
                | DataType::Time64(_)
                | DataType::Timestamp(..)
                | DataType::Binary
                | DataType::BinaryView
                | DataType::LargeBinary
        )
}

fn aggregate_of(partial: Partial) -> Expr {
    let Partial { measure, filter } = partial;
    let (function, arg) = match measure {
        Measure::Sum(expr) => (sum_udaf(), expr),
        Measure::Count(expr) => (count_udaf(), expr),
        Measure::Rows => (count_udaf(), lit(1_i64)),
        Measure::Least(expr) => (min_udaf(), expr),
        Measure::Greatest(expr) => (max_udaf(), expr),
    };
    over(function, arg, filter)
}

/// `function` over `arg` in the rows that meet `filter`.
pub(super) fn over(function: Arc<AggregateUDF>, arg: Expr, filter: Option<Expr>) -> Expr {
    let filter = filter.map(Box::new);
    let call = AggregateFunction::new_udf(function, vec![arg], false, filter, Vec::new(), None);
    Expr::AggregateFunction(call)
}
