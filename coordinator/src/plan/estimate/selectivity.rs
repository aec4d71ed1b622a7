//! Which part of the rows meets a condition.

use std::collections::BTreeMap;

use datafusion::common::DFSchema;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use weft_plan::Selectivities;

use super::{ColumnEstimate, Estimate, index_of, number};

/// Of a comparison whose outcome nothing is known of.
const COMPARISON: f64 = 1.0 / 3.0;
/// Of a pattern.
const PATTERN: f64 = 0.1;
/// Of any other condition.
const OTHER: f64 = 0.25;

/// What `predicate` leaves of `input`, of whose table some parts may have been `counted`.
pub(super) fn filtered(
    mut input: Estimate,
    predicate: &Expr,
    schema: &DFSchema,
    counted: Option<&Selectivities>,
) -> Estimate {
    let mut intervals: BTreeMap<usize, Interval> = BTreeMap::new();
    for condition in split_conjunction(predicate) {
        if let Some(share) = counted.and_then(|counted| counted.of(condition)) {
            input = kept(input, share, named(condition, schema));
            continue;
        }
        match interval(&input, condition, schema) {
            Some((index, found)) => {
                let known = intervals.entry(index).or_default();
                *known = known.and(found);
            }
            None => {
                let share = share(&input, condition, schema);
                let named = named(condition, schema);
                input = kept(input, share, named);
            }
        }
    }
    for (index, interval) in intervals {
        input = kept(input, interval.share(), Some((index, None)));
    }
    input
}

/// What is left of `input` when `share` of the rows is kept; of the column that the condition is
/// about, perhaps only so many values.
fn kept(mut input: Estimate, share: f64, about: Option<(usize, Option<f64>)>) -> Estimate {
    let before = input.rows;
    let share = share.clamp(0.0, 1.0);
    input.rows = (before * share).max(1.0_f64.min(before));
    let rows = input.rows;
    input.columns = input
        .columns
        .into_iter()
        .enumerate()
        .map(|(index, column)| match about {
            Some((only, values)) if only == index => ColumnEstimate {
                distinct: values.map_or(column.distinct * share, |most| column.distinct.min(most)),
                ..column
            },
            _ => column.thinned(before, rows),
        })
        .collect();
    input
}

/// The part of a column's values, in order, that conditions leave.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Interval {
    from: Option<f64>,
    to: Option<f64>,
}

impl Interval {
    fn from(part: f64) -> Self {
        Self {
            from: Some(part),
            to: None,
        }
    }

    fn to(part: f64) -> Self {
        Self {
            from: None,
            to: Some(part),
        }
    }

    /// The part of the rows in it.
    fn share(self) -> f64 {
        self.to.unwrap_or(1.0) - self.from.unwrap_or(0.0)
    }

    fn and(self, other: Self) -> Self {
        let both =
            |one: Option<f64>, other: Option<f64>, pick: fn(f64, f64) -> f64| match (one, other) {
                (Some(one), Some(other)) => Some(pick(one, other)),
                (one, other) => one.or(other),
            };
        Self {
            from: both(self.from, other.from, f64::max),
            to: both(self.to, other.to, f64::min),
        }
    }
}

/// The column that `condition` compares with literals, and what that leaves of its known range.
pub(super) fn interval(
    input: &Estimate,
    condition: &Expr,
    schema: &DFSchema,
) -> Option<(usize, Interval)> {
    let place = |expr: &Expr, bound: &Expr| {
        let index = index_of(expr, schema)?;
        let (low, high) = input.columns.get(index)?.range?;
        Some((index, part(low, high, literal(bound)?)))
    };
    let from = |(index, part)| (index, Interval::from(part));
    let to = |(index, part)| (index, Interval::to(part));
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Lt | Operator::LtEq => place(left, right)
                .map(to)
                .or_else(|| place(right, left).map(from)),
            Operator::Gt | Operator::GtEq => place(left, right)
                .map(from)
                .or_else(|| place(right, left).map(to)),
            _ => None,
        },
        Expr::Between(between) if !between.negated => {
            let (index, low) = place(&between.expr, &between.low)?;
            let (_, high) = place(&between.expr, &between.high)?;
            Some((index, Interval::from(low).and(Interval::to(high))))
        }
        _ => None,
    }
}

/// Of a condition on rows of which nothing is known.
pub(super) fn unknown(predicate: &Expr) -> f64 {
    split_conjunction(predicate)
        .into_iter()
        .map(|condition| match condition {
            Expr::BinaryExpr(BinaryExpr {
                op: Operator::Eq, ..
            })
            | Expr::Like(_) => PATTERN,
            Expr::BinaryExpr(BinaryExpr {
                op: Operator::NotEq,
                ..
            }) => 1.0 - PATTERN,
            Expr::BinaryExpr(_) | Expr::Between(_) => COMPARISON,
            _ => OTHER,
        })
        .product()
}

/// The column whose values `condition` bounds, and how many values are left if it names them.
fn named(condition: &Expr, schema: &DFSchema) -> Option<(usize, Option<f64>)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let column = index_of(left, schema).or_else(|| index_of(right, schema))?;
            match op {
                Operator::Eq => Some((column, Some(1.0))),
                Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                    Some((column, None))
                }
                _ => None,
            }
        }
        Expr::Between(between) if !between.negated => {
            Some((index_of(&between.expr, schema)?, None))
        }
        Expr::InList(list) if !list.negated => {
            Some((index_of(&list.expr, schema)?, Some(list.list.len() as f64)))
        }
        _ => None,
    }
}

fn share(input: &Estimate, condition: &Expr, schema: &DFSchema) -> f64 {
    let of = |expr: &Expr| share(input, expr, schema).clamp(0.0, 1.0);
    let column = |expr: &Expr| index_of(expr, schema).and_then(|index| input.columns.get(index));
    if let Some((_, interval)) = interval(input, condition, schema) {
        return interval.share();
    }
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => of(left) * of(right),
            Operator::Or => {
                let (left, right) = (of(left), of(right));
                left + right - left * right
            }
            Operator::Eq => match (column(left), column(right)) {
                (Some(left), Some(right)) => 1.0 / left.distinct.max(right.distinct),
                (Some(one), None) | (None, Some(one)) => (1.0 - one.nulls) / one.distinct,
                (None, None) => PATTERN,
            },
            Operator::NotEq => match column(left).or_else(|| column(right)) {
                Some(one) => (1.0 - one.nulls) * (1.0 - 1.0 / one.distinct),
                None => 1.0 - PATTERN,
            },
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => COMPARISON,
            Operator::LikeMatch | Operator::ILikeMatch | Operator::RegexMatch => PATTERN,
            _ => OTHER,
        },
        Expr::Not(inner) => 1.0 - of(inner),
        Expr::IsNull(inner) => column(inner).map_or(PATTERN, |column| column.nulls),
        Expr::IsNotNull(inner) => 1.0 - column(inner).map_or(PATTERN, |column| column.nulls),
        Expr::Like(like) => match like.negated {
            true => 1.0 - PATTERN,
            false => PATTERN,
        },
        Expr::InList(list) => {
            let distinct = column(&list.expr).map_or(1.0 / PATTERN, |column| column.distinct);
            let share = (list.list.len() as f64 / distinct).min(1.0);
            match list.negated {
                true => 1.0 - share,
                false => share,
            }
        }
        Expr::Between(between) if between.negated => {
            let mut within = between.clone();
            within.negated = false;
            1.0 - of(&Expr::Between(within))
        }
        Expr::Between(_) => COMPARISON * COMPARISON,
        Expr::Literal(value, _) => match value {
            datafusion::common::ScalarValue::Boolean(Some(true)) => 1.0,
            _ => 0.0,
        },
        _ => OTHER,
    }
}

/// The part of `low..high` that lies below `bound`.
fn part(low: f64, high: f64, bound: f64) -> f64 {
    if high <= low {
        return if bound >= low { 1.0 } else { 0.0 };
    }
    ((bound - low) / (high - low)).clamp(0.0, 1.0)
}

fn literal(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(value, _) => number(value),
        Expr::Cast(cast) => literal(&cast.expr),
        _ => None,
    }
}
