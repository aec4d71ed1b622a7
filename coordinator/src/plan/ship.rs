//! Shipping: few rows of one domain go to the node of another, which joins them with its own and
//! goes on from there, so that many rows need not leave it.
//!
//! Here is decided which fragment is worth trying and how the query would go on; whether it does is
//! seen when its rows are there. Everything else of the query is taken apart anew, as if those rows
//! were a table of the other node.

mod early;
mod elsewhere;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::LogicalPlan;
use tracing::warn;
use weft_governance::{DomainId, TableRef};

use super::Optimization;
use super::cut::{CutPlan, Cutter, FragmentPlan};
use super::pieces::Planner;
use super::reduce::leaves;
use super::site::Site;
use elsewhere::{elsewhere, fetched_before};

/// Bytes that are sent from node to node at most: a node holds them in memory.
const MOST_BYTES: f64 = (16 << 20) as f64;
/// Bytes that have to be spared for it: a node waits until the rows of the other have come.
const WORTHWHILE: f64 = (16 << 10) as f64;
/// Fragments of one query that are shipped at most.
const SHIPMENTS: usize = 2;
/// Ways to ship that are planned to their end before the best is taken.
const TRIED: usize = 4;

/// Rows on their way from one fragment into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipment {
    /// Counted from 0 within the query.
    pub number: u32,
    /// The fragment that they come from.
    pub from: u32,
    /// The fragment that reads them.
    pub to: u32,
}

/// How a query goes on if the rows of a fragment turn out to be few.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// The shipment that would be made of them.
    pub shipment: Shipment,
    /// The bytes up to which they are few.
    pub most: u64,
    /// The query with that shipment.
    pub cut: CutPlan,
}

impl Alternative {
    /// The same once scalars have `values`.
    ///
    /// # Errors
    /// If a value cannot be encoded.
    pub(super) fn bound(&self, values: &[ScalarValue]) -> Result<Self> {
        Ok(Self {
            cut: self.cut.bound(values)?,
            ..self.clone()
        })
    }
}

/// Rows that are not sent to another node.
#[derive(Debug, Clone, PartialEq)]
pub struct Unshipped {
    /// The fragment that they come from.
    pub from: u32,
    /// Whose node could have joined them.
    pub to: DomainId,
    /// Why.
    pub reason: Objection,
}

/// Why rows are not sent to another node.
#[derive(Debug, Clone, PartialEq)]
pub enum Objection {
    /// The owner does not let rows of this table flow there.
    Undisclosed(TableRef),
    /// The join needs rows of further domains.
    Apart,
    /// So many bytes more would cross.
    Costs(f64),
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undisclosed(table) => {
                write!(f, "the owner does not let rows of `{table}` flow there")
            }
            Self::Apart => f.write_str("they do not meet rows of that domain alone"),
            Self::Costs(bytes) if *bytes > 0.0 => {
                write!(f, "about {bytes:.0} bytes more would cross")
            }
            Self::Costs(_) => f.write_str("too little would be spared"),
        }
    }
}

/// `cut` with what may become of it when the rows of a fragment turn out to be few. `grouped` is the
/// query before nodes were given groups to make, if they were.
///
/// # Errors
/// If the plan is malformed.
pub(super) fn ship(
    cut: CutPlan,
    planner: &Planner<'_>,
    grouped: Option<LogicalPlan>,
) -> Result<CutPlan> {
    let weigh = planner.steps.on(Optimization::Weigh);
    let (ways, unshipped) = ways(&cut, weigh)?;
    let cut = CutPlan { unshipped, ..cut };
    if ways.is_empty() {
        return Ok(cut);
    }
    let mut others = Vec::new();
    if let Some(plan) = grouped {
        // Rows that meet at a node are best grouped after they have met.
        let known = fetched_before(&cut, None)?;
        let mut cutter = Cutter::new(
            planner.sites,
            planner.steps,
            &planner.session.context,
            known,
        );
        others.push(cutter.cut(planner.arranged_ungrouped(plan)?)?);
    }
    further(cut, planner, ways, &others)
}

/// `cut` with the best of `ways`, and what follows it. Each is tried on `cut`, and on `others` that
/// have the same answer.
fn further(
    mut cut: CutPlan,
    planner: &Planner<'_>,
    ways: Vec<Way>,
    others: &[LogicalPlan],
) -> Result<CutPlan> {
    let weigh = planner.steps.on(Optimization::Weigh);
    let cost = crossing(&cut)?;
    let mut best: Option<(f64, Alternative)> = None;
    for Way { from, to } in ways {
        let mut objection = Objection::Apart;
        for ground in others.iter().chain([&cut.plan]) {
            let shipped = match elsewhere(&cut, ground, &from, &to, planner) {
                Err(error) if !weigh => return Err(error),
                Err(error) => {
                    // The query runs without it as well.
                    warn!(%error, "a query could not be planned with rows at another node");
                    continue;
                }
                Ok(shipped) => shipped,
            };
            let Some(shipped) = shipped else {
                continue;
            };
            let spared = cost - crossing(&shipped)?;
            if weigh && spared < WORTHWHILE {
                objection = Objection::Costs(-spared);
                continue;
            }
            let better = best.as_ref().is_none_or(|(most, _)| spared > *most);
            if let Some(shipment) = shipped.shipments.last().copied()
                && better
            {
                // Each byte more than expected would cross once more than otherwise.
                let most = match weigh {
                    true => (from.estimate.bytes() + spared).min(MOST_BYTES),
                    false => MOST_BYTES,
                };
                let alternative = Alternative {
                    shipment,
                    most: most as u64,
                    cut: shipped,
                };
                best = Some((spared, alternative));
            }
        }
        cut.unshipped.push(Unshipped {
            from: from.ordinal,
            to: to.domain.clone(),
            reason: objection,
        });
    }
    let Some((_, alternative)) = best else {
        return Ok(cut);
    };
    let Shipment { from, to, .. } = alternative.shipment;
    let next = alternative.cut;
    let to = next.fragment(to).map(|it| it.site.domain.clone());
    cut.unshipped
        .retain(|it| it.from != from || Some(&it.to) != to.as_ref());
    let (ways, unshipped) = match next.shipments.len() < SHIPMENTS {
        true => self::ways(&next, weigh)?,
        false => Default::default(),
    };
    let next = CutPlan { unshipped, ..next };
    cut.alternative = Some(Box::new(Alternative {
        cut: further(next, planner, ways, &[])?,
        ..alternative
    }));
    Ok(cut)
}

/// A fragment and where its rows could go.
struct Way {
    from: Arc<FragmentPlan>,
    to: Arc<Site>,
}

/// The ways that are worth planning, those of the smallest fragments first, and the ways that are
/// forbidden.
fn ways(cut: &CutPlan, weigh: bool) -> Result<(Vec<Way>, Vec<Unshipped>)> {
    if weigh && crossing(cut)? < WORTHWHILE {
        return Ok((Vec::new(), Vec::new()));
    }
    let leaves = leaves(&cut.plan)?;
    let readers = |ordinal| leaves.iter().filter(|leaf| **leaf == ordinal).count();
    let here = || cut.fragments.iter().filter(|it| readers(it.ordinal) > 0);
    let waits = |ordinal| cut.reduction.flows.iter().any(|flow| flow.to == ordinal);
    let mut ways = Vec::new();
    let mut forbidden = Vec::new();
    for from in here() {
        // What is read twice would be needed in two places, and what came on would travel thrice.
        let is_single = readers(from.ordinal) == 1 && from.shipped.is_empty();
        if !is_single || waits(from.ordinal) || from.estimate.bytes() > MOST_BYTES {
            continue;
        }
        let mut seen = BTreeSet::new();
        for other in here().filter(|it| it.site.node != from.site.node) {
            if (weigh && bytes_of(cut, other) < WORTHWHILE) || !seen.insert(&other.site.node) {
                continue;
            }
            let to = &other.site;
            match from.tables.iter().find(|it| !it.flows_to(&to.domain)) {
                Some(kept) => forbidden.push(Unshipped {
                    from: from.ordinal,
                    to: to.domain.clone(),
                    reason: Objection::Undisclosed(kept.table().clone()),
                }),
                None => ways.push(Way {
                    from: Arc::clone(from),
                    to: Arc::clone(to),
                }),
            }
        }
    }
    let size = |way: &Way| way.from.estimate.bytes();
    ways.sort_by(|one, other| size(one).total_cmp(&size(other)));
    ways.truncate(TRIED);
    Ok((ways, forbidden))
}

/// Bytes that are expected to cross boundaries for `cut`, apart from its scalars.
fn crossing(cut: &CutPlan) -> Result<f64> {
    let leaves = leaves(&cut.plan)?;
    let mut bytes = 0.0;
    for fragment in &cut.fragments {
        let ordinal = fragment.ordinal;
        let shipped = cut.shipments.iter().filter(|it| it.from == ordinal).count();
        if shipped > 0 || leaves.contains(&ordinal) {
            bytes += bytes_of(cut, fragment) * (1 + shipped) as f64;
        }
    }
    for flow in &cut.reduction.flows {
        if let Some(from) = cut.fragment(flow.from) {
            let sent = cut.reduction.rows_of(from);
            let keys = from.estimate.distinct(&flow.from_columns).min(sent);
            bytes += flow.key_bytes(keys, &from.estimate);
        }
    }
    Ok(bytes)
}

/// Bytes of the rows that `fragment` is expected to send.
fn bytes_of(cut: &CutPlan, fragment: &FragmentPlan) -> f64 {
    cut.reduction.rows_of(fragment) * fragment.estimate.width()
}
