//! Plans that take no longer to plan on than to hand to another thread.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};

/// Nodes, and expressions with those inside them, of the largest plain plan.
const MOST: usize = 64;

/// Whether `plan` reads one table and compares, computes and aggregates, and nothing more: no function, no
/// pattern and no query inside it, of which a few can be much work for a planner.
pub fn is_plain_plan(plan: &LogicalPlan) -> bool {
    let (mut seen, mut scans) = (0, 0);
    let plain = plan.exists(|node| {
        seen += 1;
        let known = match node {
            LogicalPlan::TableScan(_) => {
                scans += 1;
                true
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::SubqueryAlias(_) => true,
            _ => false,
        };
        let mut expressions = true;
        node.apply_expressions(|expr| {
            expressions &= !expr.exists(|expr| {
                seen += 1;
                Ok(seen > MOST || !is_plain(expr))
            })?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(!known || !expressions || seen > MOST || scans > 1)
    });
    // The visit found nothing that is not plain.
    plain.is_ok_and(|found| !found)
}

/// Whether each row of `plan` is made of a row of the one table that it reads, and of nothing else.
pub fn only_selects(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().into_iter().all(only_selects)
        }
        _ => false,
    }
}

/// Whether `plan` only selects, and by what a column is equal to.
pub fn looks_up(plan: &LogicalPlan) -> bool {
    let equal = plan.exists(|node| {
        Ok(match node {
            LogicalPlan::Filter(filter) => split_conjunction(&filter.predicate)
                .into_iter()
                .any(is_lookup),
            _ => false,
        })
    });
    only_selects(plan) && equal.unwrap_or(false)
}

fn is_lookup(condition: &Expr) -> bool {
    let is_value = |expr: &Expr| matches!(expr, Expr::Literal(..));
    match condition {
        Expr::BinaryExpr(binary) if binary.op == Operator::Eq => matches!(
            (&*binary.left, &*binary.right),
            (Expr::Column(_), Expr::Literal(..)) | (Expr::Literal(..), Expr::Column(_))
        ),
        Expr::InList(list) => {
            !list.negated && matches!(*list.expr, Expr::Column(_)) && list.list.iter().all(is_value)
        }
        _ => false,
    }
}

fn is_plain(expr: &Expr) -> bool {
    use Operator as O;
    match expr {
        Expr::BinaryExpr(binary) => matches!(
            binary.op,
            O::Plus
                | O::Minus
                | O::Multiply
                | O::Divide
                | O::Modulo
                | O::Eq
                | O::NotEq
                | O::Lt
                | O::LtEq
                | O::Gt
                | O::GtEq
                | O::And
                | O::Or
                | O::IsDistinctFrom
                | O::IsNotDistinctFrom
        ),
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Alias(_)
        | Expr::Cast(_)
        | Expr::Not(_)
        | Expr::Negative(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::Between(_)
        | Expr::InList(_)
        | Expr::AggregateFunction(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn plain(sql: &str) -> bool {
        is_plain_plan(&plan(sql).await)
    }

    async fn plan(sql: &str) -> LogicalPlan {
        let session = SessionContext::new();
        for table in ["orders", "people"] {
            let sql = format!("CREATE TABLE {table} (id BIGINT, note TEXT) AS VALUES (1, 'a')");
            session
                .sql(&sql)
                .await
                .expect("made")
                .collect()
                .await
                .expect("made");
        }
        let plan = session.sql(sql).await.expect(sql).into_optimized_plan();
        plan.expect(sql)
    }

    #[tokio::test]
    async fn a_plan_only_selects_if_it_makes_rows_of_rows_one_by_one() {
        assert!(only_selects(
            &plan("SELECT id + 1 AS n FROM orders WHERE note = 'a'").await
        ));
        for sql in [
            "SELECT count(*) FROM orders",
            "SELECT id FROM orders ORDER BY id",
            "SELECT id FROM orders LIMIT 3",
            "SELECT o.id FROM orders o JOIN people p ON o.id = p.id",
            "SELECT id FROM orders UNION ALL SELECT id FROM people",
        ] {
            assert!(!only_selects(&plan(sql).await), "{sql}");
        }
    }

    #[tokio::test]
    async fn a_plan_looks_up_if_it_selects_by_what_is_equal() {
        for sql in [
            "SELECT id FROM orders WHERE id = 7",
            "SELECT id FROM (SELECT * FROM orders WHERE 'a' = note) WHERE id > 3",
            "SELECT note FROM orders WHERE id IN (1, 2, 3, 4, 5) AND note <> 'a'",
        ] {
            assert!(looks_up(&plan(sql).await), "{sql}");
        }
        for sql in [
            "SELECT id FROM orders",
            "SELECT id FROM orders WHERE id > 7 OR id = 2",
            "SELECT id FROM orders WHERE id = length(note)",
            "SELECT id FROM orders WHERE id NOT IN (1, 2, 3, 4, 5)",
            "SELECT count(*) FROM orders WHERE id = 7",
        ] {
            assert!(!looks_up(&plan(sql).await), "{sql}");
        }
    }

    #[tokio::test]
    async fn what_compares_and_aggregates_rows_of_one_table_is_plain() {
        for sql in [
            "SELECT id, note AS n FROM orders WHERE id = 7 AND note IS NOT NULL",
            "SELECT id + 1 FROM orders WHERE id IN (1, 2, 3, 4, 5) ORDER BY id LIMIT 3",
            "SELECT note, count(*), sum(id) FROM orders GROUP BY note",
        ] {
            assert!(plain(sql).await, "{sql}");
        }
        let many: Vec<String> = (0..MOST).map(|n| format!("id % {} = {n}", n + 1)).collect();
        let many = many.join(" OR ");
        for sql in [
            "SELECT upper(note) FROM orders",
            "SELECT id FROM orders WHERE note LIKE '%a%b%'",
            "SELECT id FROM orders WHERE note ~ '(a|b){900}'",
            "SELECT o.id FROM orders o JOIN people p ON o.id = p.id",
            "SELECT id FROM orders UNION ALL SELECT id FROM people",
            "SELECT sum(id) OVER (ORDER BY note) FROM orders",
            "SELECT CASE WHEN id = 1 THEN 2 ELSE id END FROM orders",
            &format!("SELECT id, id + 1 FROM orders WHERE {many}"),
        ] {
            assert!(!plain(sql).await, "{sql}");
        }
    }
}
