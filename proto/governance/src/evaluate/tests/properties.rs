//! What holds for any grants.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::action::GroupSize;
use crate::limits::Limits;

const COLUMNS: [&str; 4] = ["a", "b", "c", "d"];
const PURPOSES: [&str; 2] = ["fraud", "forecasting"];

fn words(words: &'static [&'static str], least: usize) -> impl Strategy<Value = BTreeSet<String>> {
    btree_set(select(words).prop_map(str::to_owned), least..=words.len())
}

/// Few moments, so that grants begin and end where askers ask.
fn moments() -> impl Strategy<Value = Timestamp> {
    (0..6_i64).prop_map(|at| Timestamp::from_micros(at).expect("valid"))
}

fn actions() -> impl Strategy<Value = Action> {
    let aggregate = (2..5_u64).prop_map(|rows| Action::Aggregate {
        min_group_size: GroupSize::try_from(rows).expect("valid"),
    });
    prop_oneof![3 => Just(Action::Select), 1 => aggregate]
}

fn grants() -> impl Strategy<Value = Grant> {
    let grantee = prop_oneof![
        Just(Grantee::User("ann".to_owned())),
        Just(Grantee::User("bob".to_owned())),
        Just(Grantee::Group("analysts".to_owned())),
    ];
    let columns = prop_oneof![
        Just(Columns::All),
        words(&COLUMNS, 1).prop_map(Columns::Only)
    ];
    let masks = btree_map(
        select(&COLUMNS[..]).prop_map(str::to_owned),
        Just(Mask::Sha256),
        0..3,
    );
    let what = (grantee, columns, actions(), masks, any::<bool>());
    let when = (
        words(&PURPOSES, 0),
        option::of(moments()),
        option::of(moments()),
        option::of(1..3_u64),
    );
    (what, when).prop_map(|(what, when)| {
        let (grantee, columns, action, masks, filtered) = what;
        let (purposes, valid_from, valid_until, rows) = when;
        Grant {
            action,
            columns,
            row_filter: filtered.then(|| "a = 1".to_owned()),
            masks,
            purposes,
            valid_from,
            valid_until,
            limits: Limits {
                rows_per_day: rows.and_then(NonZeroU64::new),
                bytes_per_day: None,
            },
            ..Grant::new("g", table(), grantee)
        }
    })
}

fn asked() -> impl Strategy<Value = (Option<&'static str>, Timestamp, BTreeSet<String>)> {
    let purpose = option::of(select(&PURPOSES[..]));
    (purpose, moments(), words(&COLUMNS, 0))
}

/// How much a decision hides; a denial hides more than anything allowed.
fn hides(decision: &Decision) -> (bool, Option<impl Ord + use<>>) {
    match decision {
        Decision::Allow(duties) => (false, Some(hidden(duties))),
        Decision::Deny(_) => (true, None),
    }
}

proptest! {
    #[test]
    fn one_grant_more_never_shows_less_and_one_less_never_more(
        mut many in vec(grants(), 1..6),
        place in any::<Index>(),
        (purpose, at, columns) in asked(),
    ) {
        let ann = ann();
        let asker = Asker { purpose, ..Asker::new(&ann, at) };
        let access = TableAccess { table: table(), columns };
        let seen = |grants: &[Grant]| -> BTreeSet<&str> {
            let known = visible_columns(grants, &asker, &table(), COLUMNS.into_iter());
            COLUMNS.into_iter().filter(|column| known.contains(column)).collect()
        };
        let more = many.clone();
        many.remove(place.index(many.len()));
        prop_assert!(seen(&many).is_subset(&seen(&more)));
        for decide in [evaluate, evaluate_aggregate] {
            let before = decide(&many, &asker, &access);
            let after = decide(&more, &asker, &access);
            prop_assert!(hides(&after) <= hides(&before), "{before:?} {after:?}");
        }
    }

    #[test]
    fn out_of_its_time_or_purpose_a_grant_is_as_none(
        mut many in vec(grants(), 0..5),
        one in grants(),
        (purpose, at, columns) in asked(),
    ) {
        let ann = ann();
        let asker = Asker { purpose, ..Asker::new(&ann, at) };
        let access = TableAccess { table: table(), columns };
        let inside = one.valid_from.is_none_or(|from| from <= at)
            && one.valid_until.is_none_or(|until| at < until)
            && (one.purposes.is_empty() || purpose.is_some_and(|it| one.purposes.contains(it)));
        prop_assume!(!inside);
        let without = many.clone();
        many.push(one);
        let allowed = |grants: &[Grant]| match evaluate(grants, &asker, &access) {
            Decision::Allow(duties) => Some(duties),
            Decision::Deny(_) => None,
        };
        prop_assert_eq!(allowed(&without), allowed(&many));
        prop_assert_eq!(
            held(&without, &asker, &table()).count(),
            held(&many, &asker, &table()).count()
        );
        for column in COLUMNS {
            let keys = |grants: &[Grant]| {
                key_disclosure(grants, &asker, &table(), column, KeyDisclosure::List)
            };
            prop_assert_eq!(keys(&without), keys(&many));
        }
        let flows = |grants: &[Grant]| flow_to(grants, &asker, &table(), &FlowTo::Anywhere);
        prop_assert_eq!(flows(&without), flows(&many));
    }

    #[test]
    fn grants_to_others_change_no_answer(
        many in vec(grants(), 0..5),
        (purpose, at, columns) in asked(),
    ) {
        let ann = ann();
        let asker = Asker { purpose, ..Asker::new(&ann, at) };
        let access = TableAccess { table: table(), columns };
        let own: Vec<Grant> = many.iter().filter(|it| it.grantee.includes(&ann)).cloned().collect();
        for decide in [evaluate, evaluate_aggregate] {
            prop_assert_eq!(decide(&own, &asker, &access), decide(&many, &asker, &access));
        }
    }

    #[test]
    fn rows_are_never_allowed_under_a_grant_of_aggregates(
        many in vec(grants(), 0..5),
        (purpose, at, columns) in asked(),
    ) {
        let ann = ann();
        let asker = Asker { purpose, ..Asker::new(&ann, at) };
        let access = TableAccess { table: table(), columns };
        if let Decision::Allow(duties) = evaluate(&many, &asker, &access) {
            prop_assert_eq!(duties.min_group_size, None);
        }
    }

    #[test]
    fn stored_grants_are_read_as_they_were(grant in grants()) {
        let stored = serde_json::to_string(&grant).expect("stored");
        prop_assert_eq!(serde_json::from_str::<Grant>(&stored).expect("read"), grant);
    }
}
