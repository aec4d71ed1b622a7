//! Which part of a table's rows meets a condition, where somebody counted.

use std::collections::HashMap;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::Expr;

/// Parts of one table's rows, by the condition that they meet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selectivities(HashMap<Expr, f64>);

impl Selectivities {
    /// Notes that `share` of the rows meets `condition`.
    pub fn insert(&mut self, condition: &Expr, share: f64) {
        if let Some(condition) = unqualified(condition) {
            self.0.insert(condition, share);
        }
    }

    /// The part of the rows that meets `condition`, by whatever name it calls the table.
    pub fn of(&self, condition: &Expr) -> Option<f64> {
        // Most tables were not counted.
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&unqualified(condition)?).copied()
    }
}

/// `condition` with its columns named without their table, as it is the same under every alias.
pub fn unqualified(condition: &Expr) -> Option<Expr> {
    let bare = condition.clone().transform(|expr| {
        Ok(match expr {
            Expr::Column(column) => {
                Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))
            }
            expr => Transformed::no(expr),
        })
    });
    bare.ok().map(|bare| bare.data)
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn a_condition_is_the_same_under_every_alias() {
        let mut known = Selectivities::default();
        assert_eq!(known.of(&col("a.name").like(lit("x%"))), None);
        known.insert(&col("a.name").like(lit("x%")), 0.25);
        assert_eq!(known.of(&col("b.name").like(lit("x%"))), Some(0.25));
        assert_eq!(known.of(&col("name").like(lit("x%"))), Some(0.25));
        assert_eq!(known.of(&col("a.name").like(lit("y%"))), None);
        assert_eq!(known.of(&col("a.other").like(lit("x%"))), None);
    }
}
