//! What nodes had better be asked before a query is planned.
//!
//! What owners say of their tables does not tell how many rows match a pattern, or what a function
//! makes of them, so the planner guesses. Where such a guess decides about many bytes, the node of the
//! table is asked to count, among the first rows of the table that the asker may see, those that meet
//! the condition. The question is a fragment like any other: the same grants, the same row filters and
//! masks, the same line in the owner's log.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::provider_as_source;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Expr, Filter, LogicalPlan, LogicalPlanBuilder, TableScan, lit, when,
};
use weft_governance::TableRef;
use weft_plan::{QuerySession, Selectivities, product_table_of, unqualified};

use super::cut::{CutPlan, Cutter, FragmentPlan};
use super::estimate::{Estimate, is_guess, leaf};
use super::{Optimizations, RemoteFragment, Sites};

/// Of smaller tables a wrong guess costs less than a question.
const LEAST_ROWS: u64 = 100_000;
/// A guess decides about much if it leaves so many rows,
const MANY_ROWS: f64 = 20_000.0;
/// or so many bytes.
const MANY_BYTES: f64 = 1e6;
/// Rows that a node looks at.
const SAMPLE: usize = 50_000;
/// Questions for one query.
const MOST: usize = 4;
/// The number of the first question: those of a query's own fragments start from 0.
const FIRST: u32 = 1_000;

/// How many rows of a table meet conditions.
#[derive(Debug, Clone)]
pub struct Question {
    /// The table.
    pub table: TableRef,
    /// The conditions, their columns named without the table.
    pub conditions: Vec<Expr>,
    /// What the table's node runs. Its one row has the number of rows that were looked at, and then
    /// for each condition that of those that meet it.
    pub fragment: Arc<FragmentPlan>,
    /// The query that consists of it.
    pub cut: CutPlan,
}

impl Question {
    /// The columns that its conditions are about, each once.
    pub fn columns(&self) -> Vec<String> {
        let columns = self.conditions.iter().flat_map(Expr::column_refs);
        let columns: BTreeSet<_> = columns.map(|column| column.name.clone()).collect();
        columns.into_iter().collect()
    }

    /// The part of the table's rows that meets each condition, by the `counts` that were answered;
    /// `None` if they are none.
    pub fn shares(&self, counts: &[i64]) -> Option<Vec<f64>> {
        let (&rows, met) = counts.split_first()?;
        if rows <= 0 || met.len() != self.conditions.len() {
            return None;
        }
        let rows = rows as f64;
        // The first rows of a file are not like all others: that none of them meets a condition does
        // not mean that no row does.
        let share = |met: &i64| (*met as f64 / rows).clamp(1.0 / rows, 1.0);
        Some(met.iter().map(share).collect())
    }
}

/// What had better be asked before the optimized `plan` is taken apart, the costliest guesses first:
/// nothing of a query over one node, which sends its answer and nothing else.
///
/// # Errors
/// If the plan is malformed.
pub fn questions(
    plan: &LogicalPlan,
    sites: &Sites,
    steps: &Optimizations,
    session: &QuerySession,
) -> Result<Vec<Question>> {
    let mut guesses = guesses(plan, sites)?;
    guesses.sort_by(|one, other| other.bytes.total_cmp(&one.bytes));
    guesses.truncate(MOST);
    let mut cutter = Cutter::new(sites, steps, &session.context, Vec::new()).numbered_from(FIRST);
    let mut questions = Vec::with_capacity(guesses.len());
    for guess in guesses {
        let leaf = cutter.cut(guess.counted()?)?;
        // What the node cannot count is left a guess.
        if let Some(fragment) = RemoteFragment::of(&leaf).map(|it| Arc::clone(it.fragment())) {
            let cut = CutPlan::new(leaf, Vec::new(), vec![Arc::clone(&fragment)])?;
            questions.push(Question {
                table: guess.table,
                conditions: guess.conditions,
                fragment,
                cut,
            });
        }
    }
    Ok(questions)
}

/// `plan` with tables of which these parts were counted.
///
/// # Errors
/// If the plan is malformed.
pub fn informed(
    plan: LogicalPlan,
    counted: &HashMap<TableRef, Arc<Selectivities>>,
) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = node else {
            return Ok(Transformed::no(node));
        };
        let table = product_table_of(&scan);
        let known = table.and_then(|table| {
            let selectivities = counted.get(table.table())?;
            Some(table.with_selectivities(Arc::clone(selectivities)))
        });
        let Some(table) = known else {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        };
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan {
            source: provider_as_source(Arc::new(table)),
            ..scan
        })))
    })?;
    Ok(plan.data)
}

/// Conditions on a table that statistics say nothing of.
#[derive(Debug)]
struct Guess {
    table: TableRef,
    scan: TableScan,
    conditions: Vec<Expr>,
    /// What is expected to be left.
    bytes: f64,
}

impl Guess {
    /// The guess in `filter`, if it matters.
    fn of(filter: &Filter) -> Option<Self> {
        let scan = leaf(&filter.input)?;
        let table = product_table_of(scan)?;
        if table.statistics()?.rows < LEAST_ROWS {
            return None;
        }
        let input = Estimate::of(&filter.input);
        let guessed = |condition: &&Expr| {
            is_countable(condition) && is_guess(&input, condition, filter.input.schema())
        };
        let mut conditions = Vec::new();
        for condition in split_conjunction(&filter.predicate)
            .into_iter()
            .filter(guessed)
        {
            let condition = unqualified(condition)?;
            if !conditions.contains(&condition) {
                conditions.push(condition);
            }
        }
        let kept = Estimate::of(&LogicalPlan::Filter(filter.clone()));
        let matters = kept.rows >= MANY_ROWS || kept.bytes() >= MANY_BYTES;
        (matters && !conditions.is_empty()).then(|| Self {
            table: table.table().clone(),
            scan: scan.clone(),
            conditions,
            bytes: kept.bytes(),
        })
    }

    /// Counts the first rows of the table, and those of them that meet each condition.
    fn counted(&self) -> Result<LogicalPlan> {
        let table = self.scan.source.schema();
        let read: BTreeSet<usize> = self
            .conditions
            .iter()
            .flat_map(Expr::column_refs)
            .map(|column| table.index_of(&column.name))
            .collect::<Result<_, _>>()?;
        let count = |expr: Expr| count_udaf().call(vec![expr]);
        let mut counts = vec![count(lit(1_i64))];
        for condition in &self.conditions {
            counts.push(count(when(condition.clone(), lit(1_i64)).end()?));
        }
        let (name, source) = (self.scan.table_name.clone(), Arc::clone(&self.scan.source));
        LogicalPlanBuilder::scan(name, source, Some(read.into_iter().collect()))?
            .limit(0, Some(SAMPLE))?
            .aggregate(Vec::<Expr>::new(), counts)?
            .build()
    }
}

/// The guesses in `plan` that matter, if it reads several nodes.
fn guesses(plan: &LogicalPlan, sites: &Sites) -> Result<Vec<Guess>> {
    let mut nodes = BTreeSet::new();
    let mut found: Vec<Guess> = Vec::new();
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::TableScan(scan) => {
                let site = product_table_of(scan).and_then(|table| sites.get(table.table()));
                nodes.extend(site.map(|site| site.node.clone()));
            }
            LogicalPlan::Filter(filter) => {
                let same = |one: &Guess, other: &Guess| {
                    one.table == other.table && one.conditions == other.conditions
                };
                let guess = Guess::of(filter);
                found.extend(guess.filter(|guess| !found.iter().any(|known| same(known, guess))));
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if nodes.len() < 2 {
        found.clear();
    }
    Ok(found)
}

/// Whether `condition` says the same whenever it is asked, of a row of one table alone.
fn is_countable(condition: &Expr) -> bool {
    let elsewhere = condition.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Placeholder(_)
        ))
    });
    matches!(elsewhere, Ok(false))
        && !condition.is_volatile()
        && !condition.column_refs().is_empty()
}

#[cfg(test)]
mod tests;
