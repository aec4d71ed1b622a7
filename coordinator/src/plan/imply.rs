//! Comparisons of a join that follow from its others.
//!
//! Where a node has joined two tables on `a = b`, a join of its rows on `x = a` and `x = b` compares
//! the same twice, and both columns would travel for it.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan, Operator};
use weft_plan::origin;

use super::Sites;
use super::gather::tidied;
use super::push::Place;

/// `plan` with joins of several nodes' rows that compare once what is equal, and without the columns
/// that nobody reads then.
///
/// # Errors
/// If the plan is malformed.
pub(super) fn imply(plan: LogicalPlan, sites: &Sites, state: &SessionState) -> Result<LogicalPlan> {
    let place = Place::new(sites);
    let shorter = place.rewrite_above(plan.clone(), |node| match node {
        LogicalPlan::Join(join) if !join.null_aware => once(join, &place),
        node => Ok(Transformed::no(node)),
    })?;
    if !shorter.transformed {
        return Ok(plan);
    }
    let tidied = tidied(shorter.data, state)?;
    Ok(match tidied.schema() == plan.schema() {
        true => tidied,
        false => plan,
    })
}

/// `join` without the pairs that another pair says already.
fn once(mut join: Join, place: &Place<'_>) -> Result<Transformed<LogicalPlan>> {
    let before = join.on.len();
    if before > 1 {
        let left = Equal::of(&join.left, place)?;
        let right = Equal::of(&join.right, place)?;
        let mut said = Vec::new();
        join.on.retain(|(one, other)| {
            let one = index_of(one, &join.left).and_then(|one| left.first(one));
            let other = index_of(other, &join.right).and_then(|other| right.first(other));
            let Some(pair) = one.zip(other) else {
                return true;
            };
            let new = !said.contains(&pair);
            said.push(pair);
            new
        });
    }
    let shorter = join.on.len() < before;
    let join = LogicalPlan::Join(join);
    Ok(match shorter {
        true => Transformed::yes(join),
        false => Transformed::no(join),
    })
}

/// By column of a plan: the first column that has the same value in every row, or is NULL with it,
/// and that by the work of one node. What other joins make equal says of which domain's rows each
/// column is, so that keys can flow between them.
struct Equal(Vec<usize>);

impl Equal {
    fn of(plan: &LogicalPlan, place: &Place<'_>) -> Result<Self> {
        match plan {
            LogicalPlan::Join(join) => Self::of_join(join, plan, place),
            LogicalPlan::Filter(filter) => {
                let mut equal = Self::of_input(plan, place)?;
                let equalities = split_conjunction(&filter.predicate).into_iter();
                let equalities = equalities.filter_map(|condition| match condition {
                    Expr::BinaryExpr(it) if it.op == Operator::Eq => {
                        index_of(&it.left, plan).zip(index_of(&it.right, plan))
                    }
                    _ => None,
                });
                equal.unite(plan, equalities.collect(), place)?;
                Ok(equal)
            }
            plan => Self::of_input(plan, place),
        }
    }

    /// Of a plan with at most one input that it passes columns of on.
    fn of_input(plan: &LogicalPlan, place: &Place<'_>) -> Result<Self> {
        let mut below = None;
        let mut passed = Vec::new();
        for column in 0..plan.schema().fields().len() {
            let Some((input, index)) = origin(plan, column) else {
                passed.push(None);
                continue;
            };
            let below = match &below {
                Some(below) => below,
                None => below.insert(Self::of(input, place)?),
            };
            passed.push(below.first(index));
        }
        let first = |(column, from): (usize, &Option<usize>)| {
            let same = passed.iter().position(|it| it.is_some() && it == from);
            same.unwrap_or(column)
        };
        Ok(Self(passed.iter().enumerate().map(first).collect()))
    }

    fn of_join(join: &Join, plan: &LogicalPlan, place: &Place<'_>) -> Result<Self> {
        let Self(mut left) = Self::of(&join.left, place)?;
        let Self(mut right) = Self::of(&join.right, place)?;
        let offset = left.len();
        Ok(match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => Self(left),
            JoinType::RightSemi | JoinType::RightAnti => Self(right),
            JoinType::LeftMark => {
                left.push(offset);
                Self(left)
            }
            JoinType::RightMark => {
                right.push(right.len());
                Self(right)
            }
            // Without a partner, all columns of a side are NULL.
            JoinType::Left | JoinType::Right | JoinType::Full | JoinType::Inner => {
                left.extend(right.iter().map(|first| first + offset));
                let mut equal = Self(left);
                if join.join_type == JoinType::Inner {
                    let pairs = join.on.iter().filter_map(|(one, other)| {
                        let other = index_of(other, &join.right)? + offset;
                        Some((index_of(one, &join.left)?, other))
                    });
                    equal.unite(plan, pairs.collect(), place)?;
                }
                equal
            }
        })
    }

    fn first(&self, column: usize) -> Option<usize> {
        self.0.get(column).copied()
    }

    /// Notes that `pairs` of columns are equal in `plan`, if one node sees to it.
    fn unite(
        &mut self,
        plan: &LogicalPlan,
        pairs: Vec<(usize, usize)>,
        place: &Place<'_>,
    ) -> Result<()> {
        if pairs.is_empty() || place.runs(plan)?.is_none() {
            return Ok(());
        }
        let fields = plan.schema().fields();
        let kind = |column: usize| fields.get(column).map(|field| field.data_type());
        for (one, other) in pairs {
            // 0.0 and -0.0 are equal, and can be told apart.
            let same = kind(one) == kind(other)
                && kind(one).is_some_and(|kind| !kind.is_floating() && !kind.is_nested());
            if let (true, Some(one), Some(other)) = (same, self.first(one), self.first(other)) {
                for first in self.0.iter_mut().filter(|it| **it == one.max(other)) {
                    *first = one.min(other);
                }
            }
        }
        Ok(())
    }
}

fn index_of(expr: &Expr, plan: &LogicalPlan) -> Option<usize> {
    match expr {
        Expr::Column(column) => plan.schema().maybe_index_of_column(column),
        _ => None,
    }
}
