//! Tables that are granted for aggregates alone: nothing leaves that says something of fewer rows than
//! a group needs.
//!
//! What a query does with their rows before it groups them may only choose and bring together, never
//! compute or fail: no condition or value of the asker's making can weigh single rows. Every group is
//! counted by the rows that are in it, each once, and a group of too few, or in which a row stands more
//! than once, is withheld. Above the groups everything is as in any query.

mod harmless;
mod rows;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError};
use datafusion::datasource::provider_as_source;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, TableScan, lit,
};
use weft_governance::{Error, GroupSize, TableRef};
use weft_plan::{ProductTable, product_table_of};

use harmless::{check_aggregate, check_harmless};
use rows::{Part, Rows};
use table::behind_barrier;
pub(super) use table::is_grouped;

use super::permit::Binding;

/// The column that tells the rows of a protected table apart.
pub(super) const ROW: &str = "__weft_row";
/// How many rows a group has.
const IN_GROUP: &str = "__weft_rows";

/// Why a query may not have aggregates of a table.
#[derive(Debug)]
pub(super) enum Ungrouped {
    /// It shows single rows of this table, or could: the reason, for the asker.
    Rows(TableRef, String),
    /// The plan cannot be rewritten.
    Plan(Box<DataFusionError>),
    /// It does not fit the tables.
    Misfit(Error),
}

impl From<DataFusionError> for Ungrouped {
    fn from(error: DataFusionError) -> Self {
        Self::Plan(Box::new(error))
    }
}

type Withheld<T> = Result<T, Ungrouped>;

impl From<Error> for Ungrouped {
    fn from(error: Error) -> Self {
        Self::Misfit(error)
    }
}

/// `plan`, in which small groups of rows are withheld, of those tables of `bindings` that are granted
/// for aggregates alone.
///
/// # Errors
/// If rows of them could be told apart.
pub(super) fn withhold(
    plan: &LogicalPlan,
    bindings: &BTreeMap<TableRef, Binding>,
) -> Withheld<LogicalPlan> {
    check_subqueries(plan, bindings)?;
    let part = part(plan, bindings)?;
    match part.rows.first() {
        None => Ok(part.plan),
        Some(rows) => Err(rows.told("its rows are in the answer")),
    }
}

fn least_group(bindings: &BTreeMap<TableRef, Binding>, table: &TableRef) -> Option<GroupSize> {
    bindings.get(table)?.obligations.min_group_size
}

/// The number of scans of protected tables with and without subqueries must be the same.
fn check_subqueries(plan: &LogicalPlan, bindings: &BTreeMap<TableRef, Binding>) -> Withheld<()> {
    let protected = |node: &LogicalPlan| {
        let LogicalPlan::TableScan(scan) = node else {
            return None;
        };
        let table = product_table_of(scan)?.table().clone();
        least_group(bindings, &table).is_some().then_some(table)
    };
    let (mut inside, mut all) = (Vec::new(), Vec::new());
    plan.apply(|node| {
        inside.extend(protected(node));
        Ok(TreeNodeRecursion::Continue)
    })?;
    plan.apply_with_subqueries(|node| {
        all.extend(protected(node));
        Ok(TreeNodeRecursion::Continue)
    })?;
    match all.pop() {
        Some(table) if all.len() >= inside.len() => {
            let reason = "it stands in a subquery that could not be made a join";
            Err(Ungrouped::Rows(table, reason.to_owned()))
        }
        _ => Ok(()),
    }
}

fn part(plan: &LogicalPlan, bindings: &BTreeMap<TableRef, Binding>) -> Withheld<Part> {
    if let LogicalPlan::TableScan(scan) = plan {
        return leaf(plan, scan, bindings);
    }
    let inputs = plan.inputs();
    let parts = inputs
        .into_iter()
        .map(|input| part(input, bindings))
        .collect::<Withheld<Vec<_>>>()?;
    if parts.iter().all(|part| part.rows.is_empty()) {
        let inputs = parts.into_iter().map(|part| part.plan).collect();
        let plan = plan.with_new_exprs(plan.expressions(), inputs)?;
        return Ok(Part::open(plan));
    }
    above(plan, parts, bindings)
}

/// A table, with its rows told apart if it is granted for aggregates alone.
fn leaf(
    plan: &LogicalPlan,
    scan: &TableScan,
    bindings: &BTreeMap<TableRef, Binding>,
) -> Withheld<Part> {
    let Some(leaf) = product_table_of(scan) else {
        return Ok(Part::open(plan.clone()));
    };
    let Some(least) = least_group(bindings, leaf.table()) else {
        return Ok(Part::open(plan.clone()));
    };
    let table = leaf.table().clone();
    let columns = scan.projected_schema.columns();
    let numbered = numbered(leaf.visible());
    let place = leaf.visible().fields().len();
    let mut projection = match &scan.projection {
        Some(columns) => columns.clone(),
        None => (0..place).collect(),
    };
    projection.push(place);
    let source = provider_as_source(Arc::new(ProductTable::new(table.clone(), numbered)));
    let filters = scan.filters.clone();
    for filter in &filters {
        check_harmless(filter, &scan.projected_schema, &table)?;
    }
    let name = scan.table_name.clone();
    let builder = LogicalPlanBuilder::scan_with_filters_fetch(
        name.clone(),
        source,
        Some(projection),
        filters,
        None,
    )?;
    if scan.fetch.is_some() {
        let reason = "a limit below the groups chooses single rows";
        return Err(Ungrouped::Rows(table, reason.to_owned()));
    }
    Ok(Part {
        plan: builder.build()?,
        rows: vec![Rows {
            table,
            least,
            id: Column::new(Some(name), ROW),
            columns: columns.into_iter().collect(),
        }],
        joined: false,
    })
}

/// The columns of a table, and the one that tells its rows apart.
fn numbered(visible: &SchemaRef) -> SchemaRef {
    let fields = visible.fields().iter().cloned();
    let row = Arc::new(Field::new(ROW, DataType::UInt64, false));
    Arc::new(Schema::new(fields.chain([row]).collect::<Vec<_>>()))
}

/// An operator over rows that may not be shown.
fn above(
    plan: &LogicalPlan,
    mut parts: Vec<Part>,
    bindings: &BTreeMap<TableRef, Binding>,
) -> Withheld<Part> {
    match plan {
        LogicalPlan::Projection(projection) => rows::projected(&projection.expr, one(parts)?),
        LogicalPlan::Filter(filter) => {
            let part = one(parts)?;
            part.check(&filter.predicate)?;
            part.under(plan, plan.expressions())
        }
        LogicalPlan::SubqueryAlias(alias) => rows::aliased(alias, one(parts)?),
        LogicalPlan::Join(join) => {
            let right = parts.pop().ok_or_else(malformed)?;
            let left = parts.pop().ok_or_else(malformed)?;
            let met = left.plan.schema().join(right.plan.schema())?;
            let exprs = join.on.iter().flat_map(|(left, right)| [left, right]);
            for expr in exprs.chain(&join.filter) {
                for rows in left.rows.iter().chain(&right.rows) {
                    check_harmless(expr, &met, &rows.table)?;
                }
            }
            let hidden = match join.join_type {
                JoinType::Inner => None,
                JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => right.rows.first(),
                JoinType::Right | JoinType::RightSemi | JoinType::RightAnti => left.rows.first(),
                JoinType::Full | JoinType::LeftMark | JoinType::RightMark => {
                    left.rows.first().or(right.rows.first())
                }
            };
            if let Some(rows) = hidden {
                return Err(rows.told(&format!(
                    "a {} join tells which of its rows have a partner",
                    join.join_type
                )));
            }
            let plan = plan.with_new_exprs(plan.expressions(), vec![left.plan, right.plan])?;
            Ok(Part {
                plan,
                rows: left.rows.into_iter().chain(right.rows).collect(),
                joined: true,
            })
        }
        LogicalPlan::Aggregate(aggregate) => {
            grouped(aggregate, one(parts)?, bindings).map(Part::open)
        }
        other => {
            let rows = parts.iter().flat_map(|part| &part.rows).next();
            let rows = rows.ok_or_else(malformed)?;
            let display = other.display().to_string();
            let operator = display.split(':').next().unwrap_or_default();
            Err(rows.told(&format!("{operator} below the groups tells them apart")))
        }
    }
}

/// `aggregate` over rows that may be shown in groups, without the groups that are too small.
fn grouped(
    aggregate: &Aggregate,
    part: Part,
    bindings: &BTreeMap<TableRef, Binding>,
) -> Withheld<LogicalPlan> {
    for key in &aggregate.group_expr {
        part.check(key)?;
    }
    for function in &aggregate.aggr_expr {
        check_aggregate(function, &part)?;
    }
    let counted = |args: Vec<Expr>, distinct| {
        let count = AggregateFunction::new_udf(count_udaf(), args, distinct, None, vec![], None);
        Expr::AggregateFunction(count)
    };
    let mut functions = aggregate.aggr_expr.clone();
    functions.push(counted(vec![lit(1_i64)], false).alias(IN_GROUP));
    let in_group = Expr::Column(Column::new_unqualified(IN_GROUP));
    let mut shown: Option<Expr> = None;
    for (place, rows) in part.rows.iter().enumerate() {
        let least = i64::try_from(rows.least.get()).unwrap_or(i64::MAX);
        let mut enough = in_group.clone().gt_eq(lit(least));
        if part.joined {
            let name = format!("{ROW}s_{place}");
            let different = counted(vec![Expr::Column(rows.id.clone())], true);
            functions.push(different.alias(&name));
            let once = Expr::Column(Column::new_unqualified(&name)).eq(in_group.clone());
            enough = enough.and(once);
        }
        shown = Some(match shown {
            Some(others) => others.and(enough),
            None => enough,
        });
    }
    let shown = shown.ok_or_else(malformed)?;
    let columns = aggregate.schema.columns().into_iter().map(Expr::Column);
    let counted = Aggregate::try_new(Arc::new(part.plan), aggregate.group_expr.clone(), functions)?;
    let plan = LogicalPlanBuilder::from(LogicalPlan::Aggregate(counted))
        .filter(shown)?
        .project(columns)?
        .build()?;
    check_same(&aggregate.schema, plan.schema())?;
    Ok(behind_barrier(plan, &aggregate.schema, bindings)?)
}

fn check_same(before: &DFSchema, after: &DFSchema) -> Withheld<()> {
    match before.columns() == after.columns() {
        true => Ok(()),
        false => Err(malformed()),
    }
}

fn one(parts: Vec<Part>) -> Withheld<Part> {
    parts.into_iter().next().ok_or_else(malformed)
}

fn malformed() -> Ungrouped {
    let message = "a plan over groups cannot be put together";
    Ungrouped::from(DataFusionError::Plan(message.to_owned()))
}
