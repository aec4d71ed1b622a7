//! Grants and an access in, a decision out.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::TableAccess;
use crate::decision::{Decision, Denial, Obligations};
use crate::disclosure::KeyDisclosure;
use crate::flow_to::FlowTo;
use crate::grant::Grant;
use crate::id::TableRef;
use crate::principal::Principal;

/// Decides whether `principal` may have `access` under `grants`. Deny is the default.
///
/// One grant must cover every column. Where several do, the one that hides least of the accessed
/// columns decides: no filter before a filter, fewer masks before more, then the earlier one.
pub fn evaluate(grants: &[Grant], principal: &Principal, access: &TableAccess) -> Decision {
    let held: Vec<&Grant> = held(grants, principal, &access.table).collect();
    if held.is_empty() {
        return Decision::Deny(Denial::NotGranted);
    }
    held.iter()
        .filter(|grant| {
            access
                .columns
                .iter()
                .all(|column| grant.columns.contains(column))
        })
        .map(|grant| obligations(grant, &access.columns))
        .min_by_key(|duties| (duties.row_filter.is_some(), duties.masks.len()))
        .map_or_else(
            || Decision::Deny(missing(&held, &access.columns)),
            Decision::Allow,
        )
}

/// Which of `columns` of `table` the principal may see under at least one grant, and which grant
/// would decide for that column alone. An absent table shows nothing.
pub fn visible_columns<'a>(
    grants: &'a [Grant],
    principal: &Principal,
    table: &TableRef,
    columns: impl Iterator<Item = &'a str>,
) -> BTreeSet<&'a str> {
    let held: Vec<&Grant> = held(grants, principal, table).collect();
    columns
        .filter(|column| held.iter().any(|grant| grant.columns.contains(column)))
        .collect()
}

/// How much of `column` may travel as join keys under the grants that `principal` holds on `table`.
/// `owner` is what the product and the column say. A mask hides the values from other domains too.
pub fn key_disclosure(
    grants: &[Grant],
    principal: &Principal,
    table: &TableRef,
    column: &str,
    owner: KeyDisclosure,
) -> KeyDisclosure {
    let covering = held(grants, principal, table).filter(|grant| grant.columns.contains(column));
    let narrowest = covering
        .map(|grant| match grant.masks.contains_key(column) {
            true => KeyDisclosure::None,
            false => grant.key_disclosure.unwrap_or(KeyDisclosure::List),
        })
        .min();
    narrowest.unwrap_or(KeyDisclosure::None).min(owner)
}

/// Where rows of `table` may flow under the grants that `principal` holds on it. `owner` is what the
/// product and the table say.
pub fn flow_to(
    grants: &[Grant],
    principal: &Principal,
    table: &TableRef,
    owner: &FlowTo,
) -> FlowTo {
    let mut narrowest = None;
    for grant in held(grants, principal, table) {
        let allowed = grant.flow_to.as_ref().unwrap_or(&FlowTo::Anywhere);
        narrowest = Some(match narrowest {
            None => allowed.clone(),
            Some(known) => FlowTo::narrowed(known, allowed),
        });
    }
    narrowest.unwrap_or_default().narrowed(owner)
}

/// The grants that `principal` holds on `table`.
pub fn held<'a>(
    grants: &'a [Grant],
    principal: &Principal,
    table: &TableRef,
) -> impl Iterator<Item = &'a Grant> {
    grants
        .iter()
        .filter(move |grant| grant.table == *table && grant.grantee.includes(principal))
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
    }
}

fn missing(held: &[&Grant], columns: &BTreeSet<String>) -> Denial {
    let nowhere: Vec<String> = columns
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{Columns, Grantee, Mask};
    use crate::id::ProductRef;

    fn table() -> TableRef {
        let product = ProductRef::new("crm".parse().expect("valid"), "customers").expect("valid");
        product.table("customer").expect("valid")
    }

    fn grant(id: &str, grantee: Grantee, columns: &[&str]) -> Grant {
        Grant {
            id: id.to_owned(),
            table: table(),
            grantee,
            columns: match columns {
                ["*"] => Columns::All,
                names => Columns::Only(names.iter().map(|name| (*name).to_owned()).collect()),
            },
            row_filter: None,
            masks: BTreeMap::new(),
            key_disclosure: None,
            flow_to: None,
        }
    }

    fn ann() -> Principal {
        Principal {
            issuer: "test".to_owned(),
            subject: "ann".to_owned(),
            groups: BTreeSet::from(["analysts".to_owned()]),
            attributes: BTreeMap::new(),
        }
    }

    fn access(columns: &[&str]) -> TableAccess {
        TableAccess {
            table: table(),
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        }
    }

    #[test]
    fn nothing_is_allowed_without_a_grant() {
        let other = grant("g", Grantee::User("bob".to_owned()), &["*"]);
        let decision = evaluate(&[other], &ann(), &access(&[]));
        assert_eq!(decision, Decision::Deny(Denial::NotGranted));
    }

    #[test]
    fn a_group_grant_reaches_its_members() {
        let grants = [grant("g", Grantee::Group("analysts".to_owned()), &["*"])];
        assert!(matches!(
            evaluate(&grants, &ann(), &access(&["c_name"])),
            Decision::Allow(_)
        ));
    }

    #[test]
    fn an_ungranted_column_is_named() {
        let grants = [grant("g", Grantee::User("ann".to_owned()), &["c_name"])];
        let decision = evaluate(&grants, &ann(), &access(&["c_name", "c_phone"]));
        assert_eq!(
            decision,
            Decision::Deny(Denial::ColumnsNotGranted(vec!["c_phone".to_owned()]))
        );
    }

    #[test]
    fn rows_of_one_grant_are_never_mixed_with_columns_of_another() {
        let grants = [
            grant("name", Grantee::User("ann".to_owned()), &["c_name"]),
            grant("phone", Grantee::User("ann".to_owned()), &["c_phone"]),
        ];
        let decision = evaluate(&grants, &ann(), &access(&["c_name", "c_phone"]));
        assert_eq!(decision, Decision::Deny(Denial::NoSingleGrant));
    }

    #[test]
    fn the_grant_that_hides_least_decides() {
        let mut filtered = grant("filtered", Grantee::User("ann".to_owned()), &["*"]);
        filtered.row_filter = Some("c_nationkey = 1".to_owned());
        let mut masked = grant("masked", Grantee::User("ann".to_owned()), &["*"]);
        masked.masks.insert("c_phone".to_owned(), Mask::ShowLast4);
        let grants = [filtered, masked];
        let decided = |columns: &[&str]| match evaluate(&grants, &ann(), &access(columns)) {
            Decision::Allow(duties) => (duties.grant, duties.masks.len()),
            Decision::Deny(denial) => panic!("{denial:?}"),
        };
        assert_eq!(decided(&["c_phone"]), ("masked".to_owned(), 1));
        assert_eq!(decided(&["c_name"]), ("masked".to_owned(), 0));
    }

    #[test]
    fn keys_are_disclosed_as_the_narrowest_of_product_column_and_grants_says() {
        use KeyDisclosure::{Bloom, List, None, Range};
        let disclosed =
            |grants: &[Grant], owner| key_disclosure(grants, &ann(), &table(), "c_custkey", owner);
        let user = || Grantee::User("ann".to_owned());
        assert_eq!(disclosed(&[], List), None);
        let open = grant("open", user(), &["*"]);
        assert_eq!(disclosed(std::slice::from_ref(&open), List), List);
        assert_eq!(disclosed(std::slice::from_ref(&open), None), None);
        let mut narrow = grant("narrow", user(), &["c_custkey"]);
        narrow.key_disclosure = Some(Range);
        assert_eq!(disclosed(&[open.clone(), narrow.clone()], Bloom), Range);
        narrow.masks.insert("c_custkey".to_owned(), Mask::Sha256);
        assert_eq!(disclosed(&[open, narrow], List), None);
    }

    #[test]
    fn rows_flow_where_product_and_all_grants_let_them() {
        let user = || Grantee::User("ann".to_owned());
        let flows = |grants: &[Grant], owner: &FlowTo| flow_to(grants, &ann(), &table(), owner);
        assert_eq!(flows(&[], &FlowTo::Anywhere), FlowTo::Nowhere);
        let open = grant("open", user(), &["*"]);
        assert_eq!(
            flows(std::slice::from_ref(&open), &FlowTo::Anywhere),
            FlowTo::Anywhere
        );
        assert_eq!(
            flows(std::slice::from_ref(&open), &FlowTo::Nowhere),
            FlowTo::Nowhere
        );
        let sales = FlowTo::Domains(BTreeSet::from(["sales".parse().expect("valid")]));
        let mut narrow = grant("narrow", user(), &["c_custkey"]);
        narrow.flow_to = Some(sales.clone());
        assert_eq!(flows(&[open, narrow], &FlowTo::Anywhere), sales);
    }
}
