use super::*;
use crate::grant::{Columns, Grantee, Mask};
use crate::id::ProductRef;
use crate::principal::Principal;
use crate::timestamp::Timestamp;

mod properties;

fn table() -> TableRef {
    let product = ProductRef::new("crm".parse().expect("valid"), "customers").expect("valid");
    product.table("customer").expect("valid")
}

fn grant(id: &str, grantee: Grantee, columns: &[&str]) -> Grant {
    let columns = match columns {
        ["*"] => Columns::All,
        names => Columns::Only(names.iter().map(|name| (*name).to_owned()).collect()),
    };
    Grant {
        columns,
        ..Grant::new(id, table(), grantee)
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

fn moment(text: &str) -> Timestamp {
    text.parse().expect("valid")
}

fn now(principal: &Principal) -> Asker<'_> {
    Asker::new(principal, moment("2026-06-01"))
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
    let decision = evaluate(&[other], &now(&ann()), &access(&[]));
    assert_eq!(decision, Decision::Deny(Denial::NotGranted));
}

#[test]
fn a_group_grant_reaches_its_members() {
    let grants = [grant("g", Grantee::Group("analysts".to_owned()), &["*"])];
    assert!(matches!(
        evaluate(&grants, &now(&ann()), &access(&["c_name"])),
        Decision::Allow(_)
    ));
}

#[test]
fn an_ungranted_column_is_named() {
    let grants = [grant("g", Grantee::User("ann".to_owned()), &["c_name"])];
    let decision = evaluate(&grants, &now(&ann()), &access(&["c_name", "c_phone"]));
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
    let decision = evaluate(&grants, &now(&ann()), &access(&["c_name", "c_phone"]));
    assert_eq!(decision, Decision::Deny(Denial::NoSingleGrant));
}

#[test]
fn the_grant_that_hides_least_decides() {
    let mut filtered = grant("filtered", Grantee::User("ann".to_owned()), &["*"]);
    filtered.row_filter = Some("c_nationkey = 1".to_owned());
    let mut masked = grant("masked", Grantee::User("ann".to_owned()), &["*"]);
    masked.masks.insert("c_phone".to_owned(), Mask::ShowLast4);
    let grants = [filtered, masked];
    let decided = |columns: &[&str]| match evaluate(&grants, &now(&ann()), &access(columns)) {
        Decision::Allow(duties) => (duties.grant, duties.masks.len()),
        Decision::Deny(denial) => panic!("{denial:?}"),
    };
    assert_eq!(decided(&["c_phone"]), ("masked".to_owned(), 1));
    assert_eq!(decided(&["c_name"]), ("masked".to_owned(), 0));
}

#[test]
fn keys_are_disclosed_as_the_narrowest_of_product_column_and_grants_says() {
    use KeyDisclosure::{Bloom, List, None, Range};
    let disclosed = |grants: &[Grant], owner| {
        key_disclosure(grants, &now(&ann()), &table(), "c_custkey", owner)
    };
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
    let flows = |grants: &[Grant], owner: &FlowTo| flow_to(grants, &now(&ann()), &table(), owner);
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

#[test]
fn a_grant_out_of_its_time_or_purpose_is_not_held_and_its_holder_is_told() {
    let user = || Grantee::User("ann".to_owned());
    let mut ended = grant("ended", user(), &["*"]);
    ended.valid_until = Some(moment("2026-06-01"));
    let mut coming = grant("coming", user(), &["*"]);
    coming.valid_from = Some(moment("2026-06-02"));
    let mut other = grant("other", user(), &["*"]);
    other.purposes = BTreeSet::from(["fraud".to_owned()]);
    let denied = |grants: &[Grant]| match evaluate(grants, &now(&ann()), &access(&["c_name"])) {
        Decision::Allow(duties) => panic!("{duties:?}"),
        Decision::Deny(denial) => denial,
    };
    assert_eq!(denied(std::slice::from_ref(&ended)), Denial::Expired);
    assert_eq!(denied(&[ended.clone(), coming.clone()]), Denial::NotYet);
    assert_eq!(denied(&[ended, coming, other.clone()]), Denial::Purpose);
    let ann = ann();
    let asker = now(&ann).with_purpose("fraud");
    let allowed = evaluate(std::slice::from_ref(&other), &asker, &access(&["c_name"]));
    assert!(matches!(allowed, Decision::Allow(_)), "{allowed:?}");
}

#[test]
fn what_lapsed_for_others_or_for_other_columns_is_not_told() {
    let mut others = grant("others", Grantee::User("bob".to_owned()), &["*"]);
    others.valid_until = Some(moment("2026-01-01"));
    let mut narrow = grant("narrow", Grantee::User("ann".to_owned()), &["c_name"]);
    narrow.valid_until = Some(moment("2026-01-01"));
    let decision = evaluate(&[others, narrow], &now(&ann()), &access(&["c_phone"]));
    assert_eq!(decision, Decision::Deny(Denial::NotGranted));
}

#[test]
fn a_grant_of_aggregates_shows_no_row() {
    let mut grouped = grant("grouped", Grantee::User("ann".to_owned()), &["c_name"]);
    grouped.action = Action::Aggregate {
        min_group_size: 10.try_into().expect("valid"),
    };
    let grants = [grouped];
    let (ann, asked) = (ann(), access(&["c_name"]));
    assert_eq!(
        evaluate(&grants, &now(&ann), &asked),
        Decision::Deny(Denial::AggregateOnly)
    );
    let Decision::Allow(duties) = evaluate_aggregate(&grants, &now(&ann), &asked) else {
        panic!("denied")
    };
    assert_eq!(duties.min_group_size.map(|size| size.get()), Some(10));
    assert!(!duties.is_open());
    assert_eq!(
        key_disclosure(&grants, &now(&ann), &table(), "c_name", KeyDisclosure::List),
        KeyDisclosure::None
    );
    assert_eq!(
        flow_to(&grants, &now(&ann), &table(), &FlowTo::Anywhere),
        FlowTo::Nowhere
    );
}

#[test]
fn a_limited_grant_does_not_limit_who_holds_an_unlimited_one() {
    let mut limited = grant("limited", Grantee::User("ann".to_owned()), &["*"]);
    limited.limits.rows_per_day = NonZeroU64::new(10);
    let open = grant("open", Grantee::User("ann".to_owned()), &["*"]);
    let Decision::Allow(duties) = evaluate(&[limited, open], &now(&ann()), &access(&["c_name"]))
    else {
        panic!("denied")
    };
    assert_eq!(duties.grant, "open");
    assert!(duties.limits.is_unlimited());
}
