//! How much less a node sends once its rows are grouped.

use std::collections::BTreeSet;

use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::{Aggregate, Expr, Join, JoinType, LogicalPlan, TableScan};
use weft_plan::product_table_of;

use super::demand::{Bound, Demand};
use crate::plan::estimate::{ColumnEstimate, Estimate};
use crate::plan::gather::key::keys;

/// Groups of more than this part of the rows are not worth the work.
const GROUPS: f64 = 0.9;
/// Nor are groups of more than this part of the bytes.
const BYTES: f64 = 0.7;
/// Nor are values of more than this part of the bytes that they are computed of.
const COMPUTED: f64 = 0.8;
/// Days of a year, and of a month.
const DAYS: (f64, f64) = (365.25, 30.4);

/// Bytes that need not cross if `aggregate` is sent in place of what `demand` needs of its input,
/// if that is enough to be worth it.
pub(super) fn spared(aggregate: &Aggregate, demand: &Demand) -> Option<f64> {
    let input = &aggregate.input;
    let schema = input.schema();
    // Groups of one row each.
    let is_group = |column: &Column| aggregate.group_expr.contains(&Expr::Column(column.clone()));
    if keys(input).iter().any(|key| key.iter().all(is_group)) {
        return None;
    }
    let rows = Estimate::of(input);
    let needed: BTreeSet<usize> = demand
        .expressions()
        .flat_map(Expr::column_refs)
        .filter_map(|column| schema.maybe_index_of_column(column))
        .collect();
    let width: f64 = needed
        .iter()
        .filter_map(|index| rows.columns.get(*index))
        .map(|column| column.width)
        .sum();
    let grouped = Estimate::of(&LogicalPlan::Aggregate(aggregate.clone()));
    let groups = groups(&rows, aggregate, &demand.bounds);
    let before = rows.rows * width;
    let after = groups * grouped.width();
    let worthwhile = groups <= GROUPS * rows.rows && after <= BYTES * before;
    worthwhile.then_some(before - after)
}

/// Bytes that need not cross if `computed` is sent in place of the `needed` columns of `plan`, if
/// that is enough to be worth it.
pub(super) fn spared_by_computing(
    plan: &LogicalPlan,
    needed: &BTreeSet<Column>,
    computed: &LogicalPlan,
) -> Option<f64> {
    let rows = Estimate::of(plan);
    let needed = needed
        .iter()
        .filter_map(|column| plan.schema().maybe_index_of_column(column))
        .filter_map(|index| rows.columns.get(index));
    let before: f64 = needed.map(|column| column.width).sum();
    let after = Estimate::of(computed).width();
    (after <= COMPUTED * before).then_some(rows.rows * (before - after))
}

/// How many groups to expect.
fn groups(input: &Estimate, aggregate: &Aggregate, bounds: &[Bound]) -> f64 {
    let schema = aggregate.input.schema();
    let (mut columns, mut values) = (BTreeSet::new(), Vec::new());
    for expr in &aggregate.group_expr {
        match expr {
            Expr::Column(column) => columns.extend(schema.maybe_index_of_column(column)),
            Expr::Alias(alias) => values.push(alias.expr.as_ref()),
            expr => values.push(expr),
        }
    }
    let dependencies = dependencies(&aggregate.input);
    let mut distincts = Vec::new();
    for value in values {
        let own = value.column_refs().into_iter();
        let own: BTreeSet<usize> = own
            .filter_map(|column| schema.maybe_index_of_column(column))
            .collect();
        if !own.is_subset(&closure(&columns, &dependencies)) {
            distincts.push(distinct(value, input, schema));
        }
    }
    // What the other columns determine makes no more groups.
    let mut order: Vec<usize> = columns.iter().copied().collect();
    order.sort_by(|one, other| of(input, *other).total_cmp(&of(input, *one)));
    for column in order {
        let mut rest = columns.clone();
        rest.remove(&column);
        if closure(&rest, &dependencies).contains(&column) {
            columns = rest;
        }
    }
    for Bound {
        columns: keys,
        most,
    } in bounds
    {
        let keys = keys.iter().map(|key| index(key, &aggregate.input));
        let Some(keys) = keys.collect::<Option<BTreeSet<usize>>>() else {
            continue;
        };
        if keys.is_subset(&columns) {
            let apart: f64 = keys.iter().map(|column| of(input, *column)).product();
            distincts.push(apart.min(*most));
            columns.retain(|column| !keys.contains(column));
        }
    }
    distincts.extend(columns.iter().map(|column| of(input, *column)));
    let most = distincts.iter().copied().fold(1.0, f64::max);
    occupied(distincts.iter().product(), input.rows)
        .max(most)
        .min(input.rows)
}

/// How many of `places` are taken when `rows` come at random.
fn occupied(places: f64, rows: f64) -> f64 {
    places * -(-rows / places).exp_m1()
}

fn of(input: &Estimate, column: usize) -> f64 {
    input.columns.get(column).map_or(1.0, |it| it.distinct)
}

/// How many values to expect of something computed.
fn distinct(expr: &Expr, input: &Estimate, schema: &DFSchema) -> f64 {
    let columns = expr.column_refs().into_iter();
    let columns: Vec<&ColumnEstimate> = columns
        .filter_map(|column| input.columns.get(schema.maybe_index_of_column(column)?))
        .collect();
    let all: f64 = columns.iter().map(|column| column.distinct).product();
    let all = all.min(input.rows).max(1.0);
    let Expr::ScalarFunction(function) = expr else {
        return all;
    };
    let part = match function.args.first() {
        Some(Expr::Literal(ScalarValue::Utf8(Some(part)), _)) if function.name() == "date_part" => {
            part.to_lowercase()
        }
        _ => return all,
    };
    let (year, month) = DAYS;
    match part.as_str() {
        "year" => {
            let range = columns.iter().find_map(|column| column.range);
            let days = range.map_or(all, |(first, last)| last - first);
            (days / year).ceil().clamp(1.0, all)
        }
        "month" => all.min(year / month),
        _ => all,
    }
}

/// Columns that determine others: in rows where the former are equal, so are the latter, if the
/// data keeps the keys that its contracts declare.
#[derive(Debug, Clone)]
struct Dependency {
    from: BTreeSet<usize>,
    to: BTreeSet<usize>,
}

/// `columns`, and all that they determine.
fn closure(columns: &BTreeSet<usize>, dependencies: &[Dependency]) -> BTreeSet<usize> {
    let mut all = columns.clone();
    loop {
        let before = all.len();
        for dependency in dependencies {
            if dependency.from.is_subset(&all) {
                all.extend(&dependency.to);
            }
        }
        if all.len() == before {
            return all;
        }
    }
}

/// What determines what in the rows of `plan`.
fn dependencies(plan: &LogicalPlan) -> Vec<Dependency> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let Some(table) = product_table_of(scan).filter(|table| !table.key().is_empty()) else {
                return Vec::new();
            };
            let fields = scan.projected_schema.fields();
            let place = |name: &String| fields.iter().position(|field| field.name() == name);
            let key: Option<BTreeSet<usize>> = table.key().iter().map(place).collect();
            let whole = |from| Dependency {
                from,
                to: (0..fields.len()).collect(),
            };
            key.map(whole).into_iter().collect()
        }
        LogicalPlan::Filter(filter) => dependencies(&filter.input),
        LogicalPlan::Sort(sort) => dependencies(&sort.input),
        LogicalPlan::Limit(limit) => dependencies(&limit.input),
        LogicalPlan::SubqueryAlias(alias) => dependencies(&alias.input),
        LogicalPlan::Projection(projection) => through(
            &projection.expr,
            &projection.input,
            dependencies(&projection.input),
        ),
        LogicalPlan::Aggregate(aggregate) => {
            let inner = dependencies(&aggregate.input);
            let mut found = through(&aggregate.group_expr, &aggregate.input, inner);
            found.push(Dependency {
                from: (0..aggregate.group_expr.len()).collect(),
                to: (0..aggregate.schema.fields().len()).collect(),
            });
            found
        }
        LogicalPlan::Join(join) => of_join(join),
        _ => Vec::new(),
    }
}

/// `inner` as far as it shows in the columns `exprs` over `input`.
fn through(exprs: &[Expr], input: &LogicalPlan, inner: Vec<Dependency>) -> Vec<Dependency> {
    let origins: Vec<Option<usize>> = exprs.iter().map(|expr| index(expr, input)).collect();
    let place = |column: &usize| origins.iter().position(|it| *it == Some(*column));
    inner
        .into_iter()
        .filter_map(|Dependency { from, to }| {
            Some(Dependency {
                from: from.iter().map(place).collect::<Option<_>>()?,
                to: to.iter().filter_map(place).collect(),
            })
        })
        .collect()
}

fn of_join(join: &Join) -> Vec<Dependency> {
    let before = join.left.schema().fields().len();
    let moved = |columns: BTreeSet<usize>| columns.into_iter().map(|it| it + before).collect();
    match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => dependencies(&join.left),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            dependencies(&join.right)
        }
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            let mut found = dependencies(&join.left);
            let right = dependencies(&join.right).into_iter();
            found.extend(right.map(|Dependency { from, to }| Dependency {
                from: moved(from),
                to: moved(to),
            }));
            if join.join_type != JoinType::Inner {
                return found;
            }
            for (left, right) in &join.on {
                let (left, right) = (index(left, &join.left), index(right, &join.right));
                if let Some((left, right)) = left.zip(right) {
                    equal(left, right + before, &mut found);
                }
            }
            found
        }
    }
}

/// Adds what follows from two columns being equal. A plan above may show only one of them.
fn equal(one: usize, other: usize, dependencies: &mut Vec<Dependency>) {
    let mut more = Vec::new();
    for (this, that) in [(one, other), (other, one)] {
        more.push(Dependency {
            from: BTreeSet::from([this]),
            to: BTreeSet::from([that]),
        });
        for dependency in dependencies.iter().filter(|it| it.from.contains(&this)) {
            let mut dependency = dependency.clone();
            dependency.from.remove(&this);
            dependency.from.insert(that);
            more.push(dependency);
        }
    }
    dependencies.extend(more);
}

fn index(expr: &Expr, input: &LogicalPlan) -> Option<usize> {
    match expr {
        Expr::Column(column) => input.schema().maybe_index_of_column(column),
        Expr::Alias(alias) => index(&alias.expr, input),
        _ => None,
    }
}

/// What is known of the left sides of `pairs` when they equal keys of tables that `other` reads.
pub(super) fn bounds(pairs: &[(Expr, Expr)], other: &LogicalPlan) -> Vec<Bound> {
    let mut bounds = Vec::new();
    let traced: Vec<_> = pairs
        .iter()
        .filter_map(|(ours, theirs)| {
            let (scan, column) = origin(other, index(theirs, other)?)?;
            Some((
                ours,
                scan,
                scan.projected_schema.fields().get(column)?.name(),
            ))
        })
        .collect();
    let mut seen = BTreeSet::new();
    for (_, scan, _) in &traced {
        let Some(table) = product_table_of(scan).filter(|table| table.key().len() > 1) else {
            continue;
        };
        let part = |name: &String| {
            let mut parts = traced.iter();
            let same = |(_, other, column): &&(&Expr, &TableScan, &String)| {
                other.table_name == scan.table_name && *column == name
            };
            parts.find(same).map(|(ours, ..)| (*ours).clone())
        };
        if seen.insert(scan.table_name.to_string())
            && let Some(columns) = table.key().iter().map(part).collect()
        {
            let most = Estimate::of(&LogicalPlan::TableScan((*scan).clone())).rows;
            bounds.push(Bound { columns, most });
        }
    }
    bounds
}

/// The column of a table that column `index` of `plan` shows.
fn origin(plan: &LogicalPlan, column: usize) -> Option<(&TableScan, usize)> {
    match plan {
        LogicalPlan::TableScan(scan) => Some((scan, column)),
        LogicalPlan::Filter(filter) => origin(&filter.input, column),
        LogicalPlan::Sort(sort) => origin(&sort.input, column),
        LogicalPlan::SubqueryAlias(alias) => origin(&alias.input, column),
        LogicalPlan::Projection(projection) => {
            let column = index(projection.expr.get(column)?, &projection.input)?;
            origin(&projection.input, column)
        }
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            let left = join.left.schema().fields().len();
            match column.checked_sub(left) {
                None => origin(&join.left, column),
                Some(column) => origin(&join.right, column),
            }
        }
        _ => None,
    }
}
