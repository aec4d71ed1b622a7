use super::*;

use std::num::NonZeroU64;

use crate::action::GroupSize;
use crate::id::ProductRef;

fn table() -> TableRef {
    let product = ProductRef::new("sales".parse().expect("valid"), "Orders 2").expect("valid");
    product.table("orders").expect("valid")
}

fn narrow() -> Grant {
    Grant {
        action: Action::Aggregate {
            min_group_size: GroupSize::try_from(10).expect("valid"),
        },
        columns: Columns::Only(BTreeSet::from(["o_clerk".to_owned()])),
        row_filter: Some("o_orderstatus = 'F'".to_owned()),
        masks: BTreeMap::from([("o_clerk".to_owned(), Mask::ShowLast4)]),
        purposes: BTreeSet::from(["fraud".to_owned()]),
        valid_from: Some("2026-01-01".parse().expect("valid")),
        valid_until: Some("2027-01-01T12:00:00Z".parse().expect("valid")),
        key_disclosure: Some(KeyDisclosure::Bloom),
        flow_to: Some(FlowTo::Domains(BTreeSet::from(["crm"
            .parse()
            .expect("valid")]))),
        limits: Limits {
            rows_per_day: NonZeroU64::new(10),
            bytes_per_day: None,
        },
        ..Grant::new("g", table(), Grantee::Group("analysts".to_owned()))
    }
}

#[test]
fn grants_are_stored_as_json_in_plain_words() {
    let stored = r#"{"id":"g","table":{"domain":"sales","product":"Orders 2","table":"orders"},"grantee":{"group":"analysts"},"action":{"aggregate":{"min_group_size":10}},"columns":{"only":["o_clerk"]},"row_filter":"o_orderstatus = 'F'","masks":{"o_clerk":"show-last-4"},"purposes":["fraud"],"valid_from":"2026-01-01T00:00:00Z","valid_until":"2027-01-01T12:00:00Z","key_disclosure":"bloom","flow_to":{"domains":["crm"]},"limits":{"rows_per_day":10,"bytes_per_day":null}}"#;
    assert_eq!(
        serde_json::to_string(&narrow()).expect("stored"),
        stored.to_owned()
    );
    assert_eq!(
        serde_json::from_str::<Grant>(stored).expect("read"),
        narrow()
    );
    let open = Grant::new("g", table(), Grantee::User("ann".to_owned()));
    let stored = serde_json::to_string(&open).expect("stored");
    assert_eq!(serde_json::from_str::<Grant>(&stored).expect("read"), open);
}

#[test]
fn what_is_stored_and_not_understood_is_refused() {
    let stored = serde_json::to_string(&narrow()).expect("stored");
    for (good, bad) in [
        ("\"id\":", "\"weight\":1,\"id\":"),
        ("\"table\":\"orders\"", "\"table\":\"..\""),
        ("\"product\":", "\"schema\":1,\"product\":"),
        ("\"group\":", "\"role\":"),
        ("\"min_group_size\":10", "\"min_group_size\":1"),
        ("\"min_group_size\":10", "\"min_group_size\":10,\"noise\":1"),
        ("show-last-4", "show-last-5"),
        ("2026-01-01T00:00:00Z", "soon"),
        ("\"rows_per_day\":10", "\"rows_per_day\":0"),
        ("\"rows_per_day\":10", "\"rows_per_hour\":10"),
        ("\"bloom\"", "\"all\""),
        ("[\"crm\"]", "[\"CRM\"]"),
        ("\"action\":{\"aggregate\":{\"min_group_size\":10}},", ""),
    ] {
        let changed = stored.replace(good, bad);
        assert_ne!(changed, stored, "{good}");
        assert!(serde_json::from_str::<Grant>(&changed).is_err(), "{bad}");
    }
}

#[test]
fn a_grant_is_held_from_its_first_moment_until_before_its_last() {
    let at = |text: &str| narrow().validity(text.parse().expect("valid"));
    assert_eq!(at("2025-12-31T23:59:59.999999Z"), Validity::NotYet);
    assert_eq!(at("2026-01-01"), Validity::Valid);
    assert_eq!(at("2027-01-01T11:59:59.999999Z"), Validity::Valid);
    assert_eq!(at("2027-01-01T12:00:00Z"), Validity::Expired);
}

#[test]
fn a_grant_for_a_purpose_is_not_for_who_names_none() {
    assert!(narrow().serves(Some("fraud")));
    assert!(!narrow().serves(Some("marketing")));
    assert!(!narrow().serves(None));
    let open = Grant::new("g", table(), Grantee::User("ann".to_owned()));
    assert!(open.serves(None) && open.serves(Some("fraud")));
}
