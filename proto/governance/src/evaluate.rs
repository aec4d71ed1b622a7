//! Grants and an access in, a decision out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use crate::access::TableAccess;
use crate::action::Action;
use crate::asker::Asker;
use crate::decision::{Decision, Denial, Obligations};
use crate::disclosure::KeyDisclosure;
use crate::flow_to::FlowTo;
use crate::grant::{Grant, Validity};
use crate::id::TableRef;

/// Decides whether `asker` may read the rows of `access` under `grants`. Deny is the default.
///
/// One grant must cover every column. Where several do, the one that hides least of the accessed
/// columns decides: no filter before a filter, fewer masks before more, wider limits before
/// narrower, then the earlier one. Grants of aggregates allow nothing here.
pub fn evaluate(grants: &[Grant], asker: &Asker<'_>, access: &TableAccess) -> Decision {
    decide(grants, asker, access, shows_rows)
}

/// Decides whether `asker` may read what is computed over groups of rows of `access`.
///
/// As [`evaluate`], but under grants of aggregates too: a grant of rows decides before those, and
/// a smaller group before a larger.
pub fn evaluate_aggregate(grants: &[Grant], asker: &Asker<'_>, access: &TableAccess) -> Decision {
    decide(grants, asker, access, |_| true)
}

/// Which of `columns` of `table` the asker may see, or compute aggregates of, under at least one
/// grant. An absent table shows nothing.
pub fn visible_columns<'a>(
    grants: &'a [Grant],
    asker: &Asker<'_>,
    table: &TableRef,
    columns: impl Iterator<Item = &'a str>,
) -> BTreeSet<&'a str> {
    let held: Vec<&Grant> = held(grants, asker, table).collect();
    columns
        .filter(|column| held.iter().any(|grant| grant.columns.contains(column)))
        .collect()
}

/// How much of `column` may travel as join keys under the grants of rows that `asker` holds on
/// `table`. `owner` is what the product and the column say. A mask hides the values from other
/// domains too.
pub fn key_disclosure(
    grants: &[Grant],
    asker: &Asker<'_>,
    table: &TableRef,
    column: &str,
    owner: KeyDisclosure,
) -> KeyDisclosure {
    let covering = held(grants, asker, table)
        .filter(|grant| shows_rows(grant) && grant.columns.contains(column));
    let narrowest = covering
        .map(|grant| match grant.masks.contains_key(column) {
            true => KeyDisclosure::None,
            false => grant.key_disclosure.unwrap_or(KeyDisclosure::List),
        })
        .min();
    narrowest.unwrap_or(KeyDisclosure::None).min(owner)
}

/// Where rows of `table` may flow under the grants of rows that `asker` holds on it. `owner` is
/// what the product and the table say.
pub fn flow_to(grants: &[Grant], asker: &Asker<'_>, table: &TableRef, owner: &FlowTo) -> FlowTo {
    let mut narrowest = None;
    for grant in held(grants, asker, table).filter(|grant| shows_rows(grant)) {
        let allowed = grant.flow_to.as_ref().unwrap_or(&FlowTo::Anywhere);
        narrowest = Some(match narrowest {
            None => allowed.clone(),
            Some(known) => FlowTo::narrowed(known, allowed),
        });
    }
    narrowest.unwrap_or_default().narrowed(owner)
}

/// The grants that `asker` holds on `table`: those to the principal, in their time and for the
/// purpose.
pub fn held<'a>(
    grants: &'a [Grant],
    asker: &Asker<'_>,
    table: &TableRef,
) -> impl Iterator<Item = &'a Grant> {
    grants
        .iter()
        .filter(move |grant| grant.table == *table && grant.is_held_by(asker))
}

fn shows_rows(grant: &Grant) -> bool {
    match grant.action {
        Action::Select => true,
        Action::Aggregate { .. } => false,
    }
}

fn decide(
    grants: &[Grant],
    asker: &Asker<'_>,
    access: &TableAccess,
    allows: impl Fn(&Grant) -> bool,
) -> Decision {
    let held: Vec<&Grant> = held(grants, asker, &access.table).collect();
    held.iter()
        .filter(|grant| allows(grant) && grant.covers(&access.columns))
        .map(|grant| obligations(grant, &access.columns))
        .min_by_key(hidden)
        .map_or_else(
            || Decision::Deny(denial(grants, &held, asker, access)),
            Decision::Allow,
        )
}

fn obligations(grant: &Grant, columns: &BTreeSet<String>) -> Obligations {
    let masks: BTreeMap<_, _> = grant
        .masks
        .iter()
        .filter(|(column, _)| columns.contains(*column))
        .map(|(column, mask)| (column.clone(), *mask))
        .collect();
    Obligations {
        grant: grant.id.clone(),
        row_filter: grant.row_filter.clone(),
        masks,
        min_group_size: grant.action.min_group_size(),
        limits: grant.limits,
    }
}

/// How much is hidden, for comparison: the less, the smaller.
fn hidden(duties: &Obligations) -> impl Ord + use<> {
    let narrowness = |limit: Option<NonZeroU64>| Reverse(limit.map_or(u64::MAX, NonZeroU64::get));
    (
        duties.min_group_size,
        duties.row_filter.is_some(),
        duties.masks.len(),
        narrowness(duties.limits.rows_per_day),
        narrowness(duties.limits.bytes_per_day),
    )
}

fn denial(grants: &[Grant], held: &[&Grant], asker: &Asker<'_>, access: &TableAccess) -> Denial {
    if held.is_empty() {
        return lapsed(grants, asker, access).unwrap_or(Denial::NotGranted);
    }
    if held.iter().any(|grant| grant.covers(&access.columns)) {
        return Denial::AggregateOnly;
    }
    let nowhere: Vec<String> = access
        .columns
        .iter()
        .filter(|column| !held.iter().any(|grant| grant.columns.contains(column)))
        .cloned()
        .collect();
    if nowhere.is_empty() {
        Denial::NoSingleGrant
    } else {
        Denial::ColumnsNotGranted(nowhere)
    }
}

/// Why a grant to the principal that covers the access is not held, the nearest to being held
/// first. Grants to others are not looked at.
fn lapsed(grants: &[Grant], asker: &Asker<'_>, access: &TableAccess) -> Option<Denial> {
    let own = grants.iter().filter(|grant| {
        grant.table == access.table
            && grant.grantee.includes(asker.principal)
            && grant.covers(&access.columns)
    });
    let nearest = own
        .map(|grant| grant.validity(asker.at))
        .min_by_key(distance)?;
    Some(match nearest {
        Validity::Valid => Denial::Purpose,
        Validity::NotYet => Denial::NotYet,
        Validity::Expired => Denial::Expired,
    })
}

fn distance(validity: &Validity) -> u8 {
    match validity {
        Validity::Valid => 0,
        Validity::NotYet => 1,
        Validity::Expired => 2,
    }
}

#[cfg(test)]
mod tests;
