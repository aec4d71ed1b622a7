//! In which order fragments run, so that the keys of the earlier ones spare the most of the rest.

use std::sync::Arc;

use super::{KeyFlow, Reason, Reduction, Unreduced, fragment};
use crate::plan::FragmentPlan;
use crate::plan::estimate::Estimate;

/// Fragments of which every order is tried.
const TRIED: usize = 6;
/// Keys that keep more than this part of the rows are not expected to spare any. They are collected
/// all the same where that is cheap: there may be fewer of them than expected.
const WORTHWHILE: f64 = 0.8;
/// What it may cost to wait for keys of which nothing is expected, as a part of what they could
/// spare.
const HOPE: f64 = 0.1;
/// Bytes that setting aside one byte of an answer for its keys counts as: work, but no crossing.
pub(super) const SET_ASIDE: f64 = 0.02;

/// Those of the `possible` flows that spare more than they cost; without `weigh`, as many as do not
/// wait for one another.
pub(super) fn schedule(
    possible: Vec<KeyFlow>,
    fragments: &[Arc<FragmentPlan>],
    weigh: bool,
) -> Reduction {
    if possible.is_empty() {
        return Reduction::default();
    }
    let mut ordinals: Vec<u32> = possible.iter().flat_map(|it| [it.from, it.to]).collect();
    ordinals.sort_unstable();
    ordinals.dedup();
    let estimates: Vec<_> = ordinals
        .iter()
        .filter_map(|ordinal| Some((*ordinal, &fragment(fragments, *ordinal)?.estimate)))
        .collect();
    let search = Search {
        possible: &possible,
        estimates: &estimates,
        weigh,
    };
    let chosen = search.best();
    let mut flows = Vec::new();
    let mut refused = Vec::new();
    for (index, flow) in possible.iter().enumerate() {
        match chosen.flows.iter().find(|(chosen, _)| *chosen == index) {
            Some((_, unreduced)) => flows.push(KeyFlow {
                unreduced: *unreduced,
                ..flow.clone()
            }),
            None => refused.push(flow.refused(search.reason(flow, &chosen))),
        }
    }
    Reduction {
        flows,
        rows: chosen.done.iter().copied().collect(),
        refused,
    }
}

struct Search<'a> {
    possible: &'a [KeyFlow],
    estimates: &'a [(u32, &'a Estimate)],
    weigh: bool,
}

/// Fragments in the order in which they run, as far as it is decided.
#[derive(Debug, Clone, Default)]
struct Order {
    /// Ordinals with the rows that each is expected to send.
    done: Vec<(u32, f64)>,
    /// The flows that are used, with what would be sent without each.
    flows: Vec<(usize, Unreduced)>,
    /// Bytes that cross; without weighing, flows that are not used.
    cost: f64,
}

impl Search<'_> {
    /// Why `flow` is not in `order`.
    fn reason(&self, flow: &KeyFlow, order: &Order) -> Reason {
        let place = |ordinal| order.done.iter().position(|(done, _)| *done == ordinal);
        if place(flow.from) > place(flow.to) {
            return Reason::OtherWay;
        }
        let sent = order.done.iter().find(|(done, _)| *done == flow.from);
        match (sent, self.estimate(flow.from), self.estimate(flow.to)) {
            (Some((_, sent)), Some(from), Some(to)) => {
                let keys = from.distinct(&flow.from_columns).min(*sent);
                Reason::Keeps((keys / to.distinct(&flow.to_columns)).min(1.0))
            }
            _ => Reason::Keeps(1.0),
        }
    }

    fn estimate(&self, ordinal: u32) -> Option<&Estimate> {
        let known = self.estimates.iter().find(|(it, _)| *it == ordinal);
        known.map(|(_, estimate)| *estimate)
    }

    fn best(&self) -> Order {
        if self.estimates.len() <= TRIED {
            let mut best = None;
            self.extend(&Order::default(), &mut best);
            return best.unwrap_or_default();
        }
        let mut order = Order::default();
        while let Some(next) = self
            .successors(&order)
            .min_by(|one, other| one.cost.total_cmp(&other.cost))
        {
            order = next;
        }
        order
    }

    fn extend(&self, order: &Order, best: &mut Option<Order>) {
        if best.as_ref().is_some_and(|best| best.cost <= order.cost) {
            return;
        }
        if order.done.len() == self.estimates.len() {
            *best = Some(order.clone());
            return;
        }
        for next in self.successors(order) {
            self.extend(&next, best);
        }
    }

    fn successors<'b>(&'b self, order: &'b Order) -> impl Iterator<Item = Order> + 'b {
        self.estimates
            .iter()
            .filter(|(ordinal, _)| order.done.iter().all(|(done, _)| done != ordinal))
            .map(|(ordinal, estimate)| self.with(order, *ordinal, estimate))
    }

    /// `order`, and then the fragment `to`, reduced by all that came before and is worth it.
    fn with(&self, order: &Order, to: u32, estimate: &Estimate) -> Order {
        let mut next = order.clone();
        let mut rows = estimate.rows;
        let width = estimate.width();
        let mut unused = 0.0;
        for (index, flow) in self.possible.iter().enumerate() {
            if flow.to != to {
                continue;
            }
            let sent = order.done.iter().find(|(done, _)| *done == flow.from);
            let (Some((_, sent)), Some(source)) = (sent, self.estimate(flow.from)) else {
                unused += 1.0;
                continue;
            };
            let keys = source.distinct(&flow.from_columns).min(*sent).max(1.0);
            let kept = (keys / estimate.distinct(&flow.to_columns)).min(1.0);
            let spared = rows * width * (1.0 - kept);
            let set_aside = sent * source.width() * SET_ASIDE;
            let paid = flow.key_bytes(keys, source) + set_aside;
            let unreduced = match self.weigh {
                true => Unreduced {
                    bytes: rows * width,
                    keys: estimate.distinct(&flow.to_columns),
                },
                false => Unreduced::ENDLESS,
            };
            if !self.weigh || (kept <= WORTHWHILE && paid < spared) {
                rows *= kept;
                next.cost += paid;
                next.flows.push((index, unreduced));
            } else if set_aside < rows * width * HOPE {
                next.cost += set_aside;
                next.flows.push((index, unreduced));
            }
        }
        match self.weigh {
            true => next.cost += rows * width,
            false => next.cost = order.cost + unused,
        }
        next.done.push((to, rows));
        next
    }
}
