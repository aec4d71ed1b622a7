//! What nodes have answered one session while its queries were planned.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use datafusion::logical_expr::Expr;
use weft_governance::{ServerId, TableRef};

/// Answers that are kept.
const KEPT: usize = 256;
/// For so long a node that gave no answer is not asked the same again.
const SILENCE: Duration = Duration::from_secs(60);

/// Which part of a table's rows meets a condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    /// Who was asked.
    pub node: ServerId,
    /// The node's epoch: in another one it serves, or grants, something else.
    pub epoch: u64,
    /// The table.
    pub table: TableRef,
    /// The condition, its columns named without the table.
    pub condition: Expr,
}

/// Answers, and that there was none.
#[derive(Debug, Default)]
pub(super) struct Answers(HashMap<Asked, (Option<f64>, Instant)>);

impl Answers {
    /// The answers to all of `asked`; `None` if one of them had better be asked now.
    pub(super) fn to(&self, asked: &[Asked], now: Instant) -> Option<Vec<Option<f64>>> {
        let answer = |asked| {
            let (share, at) = self.0.get(asked)?;
            let serves = share.is_some() || now.saturating_duration_since(*at) < SILENCE;
            serves.then_some(*share)
        };
        asked.iter().map(answer).collect()
    }

    /// Keeps what was answered `now`.
    pub(super) fn keep(
        &mut self,
        answered: impl IntoIterator<Item = (Asked, Option<f64>)>,
        now: Instant,
    ) {
        for (asked, share) in answered {
            if self.0.len() >= KEPT && !self.0.contains_key(&asked) {
                self.0.clear();
            }
            self.0.insert(asked, (share, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};
    use weft_governance::ProductRef;

    use super::*;

    fn asked(epoch: u64, number: i64) -> Asked {
        let domain = "sales".parse().expect("domain");
        let node = ServerId::node("sales".parse().expect("domain"), "n1").expect("name");
        let product = ProductRef::new(domain, "orders").expect("product");
        Asked {
            node,
            epoch,
            table: product.table("orders").expect("table"),
            condition: (col("a") + col("b")).gt(lit(number)),
        }
    }

    #[test]
    fn an_answer_serves_until_the_node_says_that_something_changed() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        assert_eq!(answers.to(&[asked(1, 1)], now), None);
        answers.keep([(asked(1, 1), Some(0.5))], now);
        assert_eq!(answers.to(&[asked(1, 1)], now), Some(vec![Some(0.5)]));
        let later = now + 10 * SILENCE;
        assert_eq!(answers.to(&[asked(1, 1)], later), Some(vec![Some(0.5)]));
        assert_eq!(answers.to(&[asked(2, 1)], now), None, "another epoch");
        assert_eq!(
            answers.to(&[asked(1, 1), asked(1, 2)], now),
            None,
            "one of two"
        );
    }

    #[test]
    fn a_node_that_was_silent_is_asked_again_only_after_a_while() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        answers.keep([(asked(1, 1), None)], now);
        assert_eq!(answers.to(&[asked(1, 1)], now), Some(vec![None]));
        assert_eq!(answers.to(&[asked(1, 1)], now + SILENCE), None);
    }

    #[test]
    fn answers_take_bounded_room() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        for number in 0..2_000 {
            answers.keep([(asked(1, number), Some(0.5))], now);
            assert!(answers.0.len() <= KEPT);
            assert!(answers.to(&[asked(1, number)], now).is_some());
        }
    }
}
