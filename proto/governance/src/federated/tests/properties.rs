//! What holds for any policy: it never shows more.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::access::TableAccess;
use crate::asker::Asker;
use crate::decision::{Decision, Obligations};
use crate::disclosure::KeyDisclosure;
use crate::evaluate::{evaluate, evaluate_aggregate, key_disclosure, visible_columns};
use crate::principal::Principal;

const COLUMNS: [&str; 4] = ["id", "email", "born", "segment"];
const PURPOSES: [&str; 3] = ["fraud", "support", "x"];
const LABELS: [&str; 4] = ["pii", "restricted", "public", "other"];
const MASKS: [Mask; 4] = [
    Mask::ReplaceWithNull,
    Mask::ShowLast4,
    Mask::Sha256,
    Mask::TruncateToYear,
];

fn some(words: &'static [&'static str], least: usize) -> impl Strategy<Value = BTreeSet<String>> {
    btree_set(select(words).prop_map(str::to_owned), least..=words.len())
}

/// Few moments some seconds apart, so that spans end where askers ask.
fn moments() -> impl Strategy<Value = Timestamp> {
    (0..8_i64).prop_map(|at| Timestamp::from_micros(at * 1_000_000).expect("valid"))
}

fn grants() -> impl Strategy<Value = Grant> {
    let columns = prop_oneof![
        Just(Columns::All),
        some(&COLUMNS, 1).prop_map(Columns::Only)
    ];
    let masks = btree_map(
        select(&COLUMNS[..]).prop_map(str::to_owned),
        select(&MASKS[..]),
        0..3,
    );
    let what = (columns, masks, any::<bool>(), some(&PURPOSES, 0));
    let when = (option::of(moments()), option::of(moments()));
    (what, when).prop_map(
        |((columns, mut masks, filtered, purposes), (from, until))| {
            masks.retain(|column, mask| {
                let table = table();
                let column = table.columns.iter().find(|it| it.name == *column);
                column.is_some_and(|column| mask.fits(column.cells))
            });
            Grant {
                columns,
                masks,
                row_filter: filtered.then(|| "id = 1".to_owned()),
                purposes,
                valid_from: from,
                valid_until: until,
                ..Grant::new("config-1", table().table, Grantee::User("ann".to_owned()))
            }
        },
    )
}

fn rules() -> impl Strategy<Value = Rule> {
    let columns = option::of((some(&LABELS, 0), some(&LABELS, 0)));
    let demand = (
        option::of((select(&MASKS[..]), option::of(some(&PURPOSES, 0)))),
        option::of(1..8_u64),
        any::<bool>(),
    );
    (columns, demand).prop_map(|(columns, (mask, span, require_purpose))| Rule {
        name: "rule".to_owned(),
        columns: columns.map(|(tags, classification)| ColumnSelector {
            tags,
            classification,
        }),
        products: None,
        mask: mask.map(|(mask, unmask_for)| MaskDemand { mask, unmask_for }),
        max_grant_duration: span.map(|it| format!("{it}s").parse().expect("span")),
        require_purpose,
    })
}

fn policies() -> impl Strategy<Value = FederatedPolicy> {
    vec(rules(), 0..5).prop_map(|rules| FederatedPolicy {
        version: 1,
        mesh: "m".to_owned(),
        description: String::new(),
        rules,
    })
}

fn asked() -> impl Strategy<Value = (Option<&'static str>, Timestamp, BTreeSet<String>)> {
    (
        option::of(select(&PURPOSES[..])),
        moments(),
        some(&COLUMNS, 0),
    )
}

/// How much a mask hides. Masks that hide different things hide the same here.
fn hides(mask: Option<&Mask>) -> u8 {
    match mask {
        None => 0,
        Some(Mask::ShowLast4 | Mask::Sha256 | Mask::TruncateToYear) => 1,
        Some(Mask::ReplaceWithNull) => 2,
    }
}

fn shows_no_more(after: &Obligations, before: &Obligations) -> bool {
    let masked = |column: &&str| {
        let (own, left) = (before.masks.get(*column), after.masks.get(*column));
        left == own || hides(left) > hides(own)
    };
    after.row_filter == before.row_filter && COLUMNS.iter().all(masked)
}

fn ann() -> Principal {
    Principal {
        issuer: "m".to_owned(),
        subject: "ann".to_owned(),
        groups: BTreeSet::new(),
        attributes: Default::default(),
    }
}

fn left(policy: &FederatedPolicy, grant: &Grant) -> Grant {
    let since = Timestamp::from_micros(0).expect("valid");
    policy.narrowed(Covered { grant, since }, &table())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_policy_never_shows_more_of_a_grant(
        grant in grants(),
        policy in policies(),
        (purpose, at, columns) in asked(),
    ) {
        let ann = ann();
        let asker = Asker { purpose, ..Asker::new(&ann, at) };
        let table = table().table;
        let access = TableAccess { table: table.clone(), columns };
        let (before, after) = (vec![grant.clone()], vec![left(&policy, &grant)]);
        for decide in [evaluate, evaluate_aggregate] {
            if let Decision::Allow(after) = decide(&after, &asker, &access) {
                match decide(&before, &asker, &access) {
                    Decision::Allow(before) => {
                        prop_assert!(shows_no_more(&after, &before), "{before:?} {after:?}");
                    }
                    Decision::Deny(denial) => prop_assert!(false, "{denial:?} {after:?}"),
                }
            }
        }
        let seen = |grants| visible_columns(grants, &asker, &table, COLUMNS.into_iter());
        prop_assert!(seen(&after).is_subset(&seen(&before)));
        for column in COLUMNS {
            let keys = |grants| key_disclosure(grants, &asker, &table, column, KeyDisclosure::List);
            prop_assert!(keys(&after) <= keys(&before));
        }
    }

    #[test]
    fn a_policy_never_opens_what_was_closed(
        grants in vec(grants(), 0..4),
        policy in policies(),
        (purpose, at, columns) in asked(),
    ) {
        let ann = ann();
        let asker = Asker { purpose, ..Asker::new(&ann, at) };
        let access = TableAccess { table: table().table, columns };
        let after: Vec<Grant> = grants.iter().map(|it| left(&policy, it)).collect();
        let allowed = |grants: &[Grant]| match evaluate(grants, &asker, &access) {
            Decision::Allow(duties) => Some(duties),
            Decision::Deny(_) => None,
        };
        let (before, after) = (allowed(&grants), allowed(&after));
        if let Some(after) = after {
            // The grant that decided may be another one now; none shows more rows or cells than the
            // one that hid least.
            let before = before.expect("allowed before");
            let measure = |it: &Obligations| (it.row_filter.is_some(), it.masks.len());
            prop_assert!(measure(&after) >= measure(&before), "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_a_policy_leaves_it_leaves_again(grant in grants(), policy in policies()) {
        let once = left(&policy, &grant);
        prop_assert_eq!(left(&policy, &once), once.clone());
        prop_assert!(changes(&once, &once).is_empty());
    }

    #[test]
    fn one_rule_more_takes_away_as_much_or_more(
        grant in grants(),
        policy in policies(),
        rule in rules(),
    ) {
        let mut longer = policy.clone();
        longer.rules.push(rule);
        let (before, after) = (left(&policy, &grant), left(&longer, &grant));
        prop_assert!(after.purpose_required || !before.purpose_required);
        let end = |it: &Grant| it.valid_until.unwrap_or(Timestamp::LATEST);
        prop_assert!(end(&after) <= end(&before));
        for column in COLUMNS {
            let (before, after) = (before.masks.get(column), after.masks.get(column));
            prop_assert!(before == after || hides(after) > hides(before));
        }
    }
}
