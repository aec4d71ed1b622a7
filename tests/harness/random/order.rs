//! Whether an answer is in the order that its query asks for.

use std::cmp::Ordering;

use super::query::{Direction, Kind, Query};
use crate::compare::Rows;

/// Whether `rows` are in the order of `query`. DataFusion 55.2 now and then leaves out a sort that
/// is needed, in one process as at a node.
pub(super) fn is_kept(query: &Query, rows: &Rows) -> bool {
    let items = &query.body.first().items;
    let kinds: Vec<Kind> = items.iter().map(|(item, _)| item.kind()).collect();
    rows.rows().is_sorted_by(|one, other| {
        let cells = one.iter().zip(other).zip(kinds.iter().zip(&query.order));
        let order = cells
            .map(|((one, other), (kind, way))| compare(one, other, *kind, *way))
            .find(|order| order.is_ne());
        order != Some(Ordering::Greater)
    })
}

fn compare(one: &str, other: &str, kind: Kind, way: Direction) -> Ordering {
    match (one == "NULL", other == "NULL") {
        (true, true) => return Ordering::Equal,
        (true, false) if way.nulls_first => return Ordering::Less,
        (true, false) => return Ordering::Greater,
        (false, true) if way.nulls_first => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let number = |text: &str| text.parse::<f64>().expect("a number");
    let order = match kind {
        Kind::Int | Kind::Decimal | Kind::Double => number(one).total_cmp(&number(other)),
        Kind::Text | Kind::Day | Kind::Moment | Kind::Flag => one.cmp(other),
    };
    if way.descending {
        order.reverse()
    } else {
        order
    }
}
