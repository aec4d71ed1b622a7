//! What crosses is what is read.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan};
use harness::{Planner, run};
use weft_coordinator::plan::RemoteFragment;
use workload::tpch::QUERIES;

#[test]
fn no_column_crosses_that_nobody_reads() {
    run(async {
        let planner = Planner::new().await;
        let mut crossing = 0;
        for query in &QUERIES {
            let cut = planner.cut(&query.qualified());
            crossing += cut.fragments.len();
            let mut unread = Vec::new();
            let every = (0..cut.plan.schema().fields().len()).collect();
            unread_columns(&cut.plan, every, &mut unread);
            assert!(
                unread.is_empty(),
                "{}: {unread:?}\n{}",
                query.name(),
                cut.plan.display_indent()
            );
        }
        assert!(crossing > 22, "the queries cross domains: {crossing}");
    });
}

/// A condition on pairs of rows of two domains says something about each alone.
#[test]
fn what_a_disjunction_says_of_one_side_is_checked_there() {
    run(async {
        let planner = Planner::new().await;
        for (number, domain, condition) in [
            (7, "crm", "n_name = Utf8View(\"FRANCE\") OR"),
            (19, "supply", "p_brand = Utf8View(\"Brand#12\")"),
            (19, "sales", "l_quantity >= "),
        ] {
            let query = &QUERIES[number - 1];
            let cut = planner.cut(&query.qualified());
            let checked = cut.fragments.iter().any(|fragment| {
                fragment.site.domain.to_string() == domain
                    && fragment
                        .plan
                        .display_indent()
                        .to_string()
                        .contains(condition)
            });
            let plans = cut.fragments.iter();
            let plans: Vec<String> = plans
                .map(|fragment| fragment.plan.display_indent().to_string())
                .collect();
            assert!(
                checked,
                "{}: {condition}\n{}",
                query.name(),
                plans.join("\n\n")
            );
        }
    });
}

/// The columns of fragments in `plan` that are not among those that `needed` columns of its output
/// are made of or chosen by.
fn unread_columns(plan: &LogicalPlan, needed: BTreeSet<usize>, unread: &mut Vec<String>) {
    for expr in plan.expressions() {
        expr.apply(|expr| {
            if let Expr::ScalarSubquery(subquery) = expr {
                let inner = &subquery.subquery;
                let every = (0..inner.schema().fields().len()).collect();
                unread_columns(inner, every, unread);
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .expect("walked");
    }
    let of = |exprs: &[Expr], input: &LogicalPlan| -> BTreeSet<usize> {
        exprs
            .iter()
            .flat_map(Expr::column_refs)
            .filter_map(|column| input.schema().maybe_index_of_column(column))
            .collect()
    };
    let mut read = |exprs: &[Expr], passed: BTreeSet<usize>, input: &LogicalPlan| {
        let mut all = of(exprs, input);
        all.extend(passed);
        unread_columns(input, all, unread);
    };
    match plan {
        LogicalPlan::Extension(node) => {
            let fragment = node.node.as_any().downcast_ref::<RemoteFragment>();
            assert!(fragment.is_some(), "an unknown node");
            for (index, field) in plan.schema().fields().iter().enumerate() {
                if !needed.contains(&index) {
                    unread.push(field.name().clone());
                }
            }
        }
        LogicalPlan::Projection(node) => {
            let made: Vec<Expr> = needed
                .iter()
                .map(|index| node.expr[*index].clone())
                .collect();
            read(&made, BTreeSet::new(), &node.input);
        }
        LogicalPlan::Aggregate(node) => {
            read(&plan.expressions(), BTreeSet::new(), &node.input);
        }
        LogicalPlan::Window(node) => {
            let inner = node.input.schema().fields().len();
            let passed = needed.into_iter().filter(|index| *index < inner).collect();
            read(&node.window_expr, passed, &node.input);
        }
        LogicalPlan::Join(node) => {
            let left = match node.join_type {
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => 0,
                _ => node.left.schema().fields().len(),
            };
            let right = node.right.schema().fields().len();
            let exprs = plan.expressions();
            let first = needed.iter().copied().filter(|index| *index < left);
            read(&exprs, first.collect(), &node.left);
            let rest = needed.iter().filter_map(|index| index.checked_sub(left));
            let outputs = !matches!(
                node.join_type,
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
            );
            let rest = rest.filter(|index| outputs && *index < right);
            read(&exprs, rest.collect(), &node.right);
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Union(_) => {
            for input in plan.inputs() {
                read(&plan.expressions(), needed.clone(), input);
            }
        }
        other => panic!("an unexpected node: {}", other.display()),
    }
}
