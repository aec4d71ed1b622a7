//! The aggregate above, over groups in place of rows.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, Projection, cast, lit, when,
};

use super::demand::{Demand, Measure, Partial, canonical};
use super::descent::{Descent, best};
use super::grouping::over;
use super::total::is_total;

/// Digits of decimals of which an average is computed in 128 bits, with a scale that still grows.
const WIDEST: u8 = 25;

/// An aggregate of the query, by the positions of what it is made of.
#[derive(Debug)]
enum Merge {
    Sum(usize),
    Count(usize),
    Least(usize),
    Greatest(usize),
    /// Sum and count.
    Mean(usize, usize),
}

/// `aggregate` over what one node has grouped, if that makes the node send less.
pub(super) fn merged(aggregate: &Aggregate, descent: &Descent<'_>) -> Result<Option<LogicalPlan>> {
    let Some((demand, merges)) = taken_apart(aggregate)? else {
        return Ok(None);
    };
    let keys = demand.keys.len();
    let Some(found) = best(descent.find(&aggregate.input, demand)?) else {
        return Ok(None);
    };
    let found = found.renamed(descent.names())?;
    let mut sums: Vec<Expr> = Vec::new();
    let mut place = |expr: Expr| {
        let known = sums.iter().position(|known| *known == expr);
        keys + known.unwrap_or_else(|| {
            sums.push(expr);
            sums.len() - 1
        })
    };
    let mut places = Vec::new();
    for merge in &merges {
        let (function, parts) = match merge {
            Merge::Sum(part) | Merge::Count(part) => (sum_udaf(), vec![*part]),
            Merge::Least(part) => (min_udaf(), vec![*part]),
            Merge::Greatest(part) => (max_udaf(), vec![*part]),
            Merge::Mean(sum, count) => (sum_udaf(), vec![*sum, *count]),
        };
        let parts = parts
            .into_iter()
            .filter_map(|part| found.partials.get(part));
        let over = |part: &Expr| over(Arc::clone(&function), part.clone(), None);
        places.push(parts.map(|part| place(over(part))).collect::<Vec<_>>());
    }
    let grouped = Aggregate::try_new(Arc::new(found.plan), found.keys, sums)?;
    let column = |index: usize| Expr::Column(Column::from(grouped.schema.qualified_field(index)));
    let mut columns = Vec::new();
    for (index, (qualifier, field)) in aggregate.schema.iter().enumerate() {
        let value = match (index.checked_sub(keys), keys) {
            (None, _) => column(index),
            (Some(index), _) => {
                let (Some(merge), Some(places)) = (merges.get(index), places.get(index)) else {
                    return Ok(None);
                };
                let parts = places.iter().copied().map(column).collect::<Vec<_>>();
                let Some(value) = value(merge, &parts, field)? else {
                    return Ok(None);
                };
                match value.get_type(&grouped.schema)? == *field.data_type() {
                    true => value,
                    false => cast(value, field.data_type().clone()),
                }
            }
        };
        columns.push(value.alias_qualified(qualifier.cloned(), field.name()));
    }
    let grouped = Arc::new(LogicalPlan::Aggregate(grouped));
    let restored = Projection::try_new(columns, grouped)?;
    Ok(Some(LogicalPlan::Projection(restored)))
}

/// What is to be known of the rows below, and how the aggregates come of it. `None` if one of them
/// cannot be had from parts.
fn taken_apart(aggregate: &Aggregate) -> Result<Option<(Demand, Vec<Merge>)>> {
    let schema = aggregate.input.schema();
    let mut demand = Demand::default();
    for expr in &aggregate.group_expr {
        match canonical(expr, schema)? {
            Some(key) if !matches!(key, Expr::GroupingSet(_)) => demand.keys.push(key),
            _ => return Ok(None),
        }
    }
    let mut merges = Vec::new();
    for expr in &aggregate.aggr_expr {
        let Some(Expr::AggregateFunction(call)) = canonical(expr, schema)? else {
            return Ok(None);
        };
        let AggregateFunction { func, params } = call;
        let AggregateFunctionParams {
            args,
            distinct: false,
            filter,
            order_by,
            null_treatment: None,
        } = params
        else {
            return Ok(None);
        };
        let [arg] = args.as_slice() else {
            return Ok(None);
        };
        if !order_by.is_empty() {
            return Ok(None);
        }
        let data_type = arg.get_type(schema)?;
        let filter = filter.map(|filter| *filter);
        let mut ask = |measure: Measure| {
            demand.partials.push(Partial {
                measure,
                filter: filter.clone(),
            });
            demand.partials.len() - 1
        };
        let counted = || match arg {
            Expr::Literal(value, _) if !value.is_null() => Measure::Rows,
            arg => Measure::Count(arg.clone()),
        };
        merges.push(match func.name() {
            "sum" if sum_type(&data_type).is_some() => Merge::Sum(ask(Measure::Sum(arg.clone()))),
            "count" => Merge::Count(ask(counted())),
            "min" => Merge::Least(ask(Measure::Least(arg.clone()))),
            "max" => Merge::Greatest(ask(Measure::Greatest(arg.clone()))),
            "avg" if has_mean(&data_type) => Merge::Mean(
                ask(Measure::Sum(arg.clone())),
                ask(Measure::Count(uncast(arg, schema)?)),
            ),
            _ => return Ok(None),
        });
    }
    Ok(Some((demand, merges)))
}

/// What is NULL where `expr` is.
fn uncast(expr: &Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(match expr {
        Expr::Cast(cast) if is_total(expr, schema)? => cast.expr.as_ref().clone(),
        expr => expr.clone(),
    })
}

/// The aggregate, from its merged parts.
fn value(merge: &Merge, parts: &[Expr], field: &Field) -> Result<Option<Expr>> {
    Ok(match (merge, parts) {
        (Merge::Sum(_) | Merge::Least(_) | Merge::Greatest(_), [part]) => Some(part.clone()),
        // Nothing counts as none.
        (Merge::Count(_), [count]) => {
            let counted = count.clone().is_not_null();
            Some(when(counted, count.clone()).otherwise(lit(0_i64))?)
        }
        (Merge::Mean(..), [sum, count]) => Some(match field.data_type() {
            // Division gives the scale of an average, and cuts off what is finer, as it does.
            DataType::Decimal128(..) => {
                sum.clone() / cast(count.clone(), DataType::Decimal128(20, 0))
            }
            _ => sum.clone() / cast(count.clone(), DataType::Float64),
        }),
        _ => None,
    })
}

/// The type of a sum of values of this type, if sums of it can be added up.
pub(super) fn sum_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Int64 | DataType::UInt64 | DataType::Float64 => Some(data_type.clone()),
        DataType::Decimal128(precision, scale) => {
            let precision = DECIMAL128_MAX_PRECISION.min(precision.saturating_add(10));
            Some(DataType::Decimal128(precision, *scale))
        }
        _ => None,
    }
}

fn has_mean(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float64 => true,
        DataType::Decimal128(precision, scale) => *precision <= WIDEST && *scale >= 0,
        _ => false,
    }
}
