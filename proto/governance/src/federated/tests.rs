//! Policies as they are written, and what they leave of grants.

mod properties;

use std::collections::BTreeSet;

use super::*;
use crate::grant::{Cells, Columns, Grant, Grantee};
use crate::id::{DomainId, ProductRef, TableRef};
use crate::timestamp::Timestamp;

const POLICY: &str = "\
version: 3
mesh: weft-demo
description: What all domains keep to
rules:
  - name: personal-data
    columns: { tags: [pii], classification: [Restricted] }
    mask: sha-256
    unmask_for: [fraud, support]
  - name: restricted-ends
    columns: { classification: [restricted] }
    max_grant_duration: 90d
  - name: say-why
    products: { domains: [crm], names: [customers], status: [active] }
    require_purpose: true
";

pub(super) fn table() -> LabelledTable {
    let domain: DomainId = "crm".parse().expect("domain");
    let product = ProductRef::new(domain, "customers").expect("product");
    let column = |name: &str, tags: &[&str], classification: Option<&str>, cells| {
        let mut labels = Labels::default();
        tags.iter().for_each(|tag| labels.tag(tag));
        classification.iter().for_each(|it| labels.classify(it));
        LabelledColumn {
            name: name.to_owned(),
            labels,
            cells,
        }
    };
    LabelledTable {
        table: product.table("customer").expect("table"),
        status: Some("active".to_owned()),
        columns: vec![
            column("id", &[], None, Cells::Other),
            column("email", &[" PII "], None, Cells::Text),
            column("born", &["pii"], Some("restricted"), Cells::Time),
            column("segment", &["public"], None, Cells::Text),
        ],
    }
}

fn words(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|it| (*it).to_owned()).collect()
}

fn moment(text: &str) -> Timestamp {
    text.parse().expect("moment")
}

fn grant(columns: &[&str], purposes: &[&str]) -> Grant {
    Grant {
        columns: match columns {
            [] => Columns::All,
            some => Columns::Only(words(some)),
        },
        purposes: words(purposes),
        ..Grant::new("config-1", table().table, Grantee::User("ann".to_owned()))
    }
}

fn narrowed(grant: &Grant) -> Grant {
    let policy = FederatedPolicy::parse(POLICY).expect("valid");
    let since = moment("2026-01-01");
    policy.narrowed(Covered { grant, since }, &table())
}

fn masks(grant: &Grant) -> Vec<String> {
    let masks = narrowed(grant).masks.into_iter();
    masks
        .map(|(column, mask)| format!("{column} {mask}"))
        .collect()
}

#[test]
fn a_policy_is_read() {
    let policy = FederatedPolicy::parse(POLICY).expect("valid");
    assert_eq!((policy.version, policy.mesh.as_str()), (3, "weft-demo"));
    let names: Vec<&str> = policy.rules.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["personal-data", "restricted-ends", "say-why"]);
    let head = PolicyHead::parse("version: 3\nmesh: weft-demo\nrules: to come\n").expect("head");
    assert_eq!(head.to_string(), "policy 3 of `weft-demo`");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let rule = |rule: &str| format!("version: 1\nmesh: m\nrules:\n  - name: r\n    {rule}\n");
    let all = "products: {}\n    ";
    for (text, expected) in [
        (
            "[]".to_owned(),
            "line 1, column 1: the policy must be a map, but is a list",
        ),
        (
            "version: 0\nmesh: m\nrules: []".to_owned(),
            "line 1, column 10: `version` must be a whole number from 1 on",
        ),
        (
            "version: '1'\nmesh: m\nrules: []".to_owned(),
            "`version` must be a whole number",
        ),
        (
            "mesh: m\nrules: []".to_owned(),
            "`version` of the policy is missing",
        ),
        (
            "version: 1\nrules: []".to_owned(),
            "`mesh` of the policy is missing",
        ),
        (
            "version: 1\nmesh: m".to_owned(),
            "`rules` of the policy is missing",
        ),
        (
            "version: 1\nmesh: m\nrule: []".to_owned(),
            "line 3, column 1: the policy has no field `rule`; it has `version`, `mesh`, `description`, `rules`",
        ),
        (
            "version: 1\nversion: 2\nmesh: m\nrules: []".to_owned(),
            "the YAML cannot be read",
        ),
        (
            rule("mask: sha-256"),
            "rule `r` says neither `columns` nor `products`; write `products: {}` for all",
        ),
        (
            rule("products: {}"),
            "line 4, column 5: rule `r` demands nothing",
        ),
        (
            rule(&format!("{all}mask: sha256")),
            "line 6, column 11: `mask`: unknown mask `sha256`; known masks are replace-with-null",
        ),
        (
            rule(&format!("{all}mask: ~")),
            "`mask` of rule `r` is empty",
        ),
        (
            rule(&format!("{all}mask: sha-256\n    unmask_for:")),
            "`unmask_for` of rule `r` is empty",
        ),
        (
            rule(&format!("{all}require_purpose: true\n    unmask_for: [x]")),
            "`unmask_for` of rule `r` needs a `mask`",
        ),
        (
            rule(&format!("{all}max_grant_duration: 90")),
            "must be text, but is a number; put it in quotes",
        ),
        (
            rule(&format!("{all}max_grant_duration: 3 months")),
            "`3 months` is no span from a second to a hundred years; write it as `90d`",
        ),
        (
            rule(&format!("{all}require_purpose: maybe")),
            "`require_purpose` of rule `r` must be true or false",
        ),
        (
            rule("columns: {}\n    mask: sha-256"),
            "`columns` selects nothing",
        ),
        (
            rule("columns: { tag: [pii] }\n    mask: sha-256"),
            "`columns` of rule `r` has no field `tag`",
        ),
        (
            rule("columns: { tags: pii }\n    mask: sha-256"),
            "`tags` of `columns` of rule `r` must be a list, but is text",
        ),
        (
            rule("products: { domains: [CRM] }\n    mask: sha-256"),
            "`CRM` is not a valid domain name",
        ),
        (
            rule(&format!(
                "{all}mask: sha-256\n  - name: r\n    products: {{}}\n    mask: sha-256"
            )),
            "two rules are called `r`",
        ),
        (
            "x".repeat(LONGEST_DOCUMENT + 1),
            "a policy has at most 64 KiB",
        ),
    ] {
        let error = FederatedPolicy::parse(&text).expect_err(&text).to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn labelled_columns_are_masked_as_far_as_their_type_goes() {
    let all = grant(&[], &[]);
    assert_eq!(masks(&all), ["born replace-with-null", "email sha-256"]);
    assert_eq!(masks(&grant(&["id", "email"], &[])), ["email sha-256"]);
    assert!(masks(&grant(&["id", "segment"], &[])).is_empty());
}

#[test]
fn a_grant_unmasks_by_name_and_purpose_alone() {
    for (columns, purposes, unmasks) in [
        (&["email"][..], &["fraud"][..], true),
        (&["email", "id"], &["fraud", "support"], true),
        (&["email"], &[], false),
        (&["email"], &["marketing"], false),
        (&["email"], &["fraud", "marketing"], false),
        (&["email"], &["Fraud"], false),
        (&[], &["fraud"], false),
    ] {
        let given = grant(columns, purposes);
        assert_eq!(
            masks(&given).is_empty(),
            unmasks,
            "{columns:?} {purposes:?}"
        );
    }
    let own = Grant {
        masks: [("email".to_owned(), Mask::ShowLast4)].into(),
        ..grant(&["email"], &["fraud"])
    };
    assert_eq!(
        masks(&own),
        ["email show-last-4"],
        "what the owner masks stays masked so"
    );
}

#[test]
fn where_no_purpose_unmasks_none_does_and_without_a_list_any_does() {
    let with = |line: &str| {
        let text = POLICY.replace("    unmask_for: [fraud, support]\n", line);
        let policy = FederatedPolicy::parse(&text).expect("valid");
        let given = grant(&["email"], &["fraud"]);
        let since = moment("2026-01-01");
        let covered = Covered {
            grant: &given,
            since,
        };
        policy.narrowed(covered, &table()).masks.is_empty()
    };
    assert!(with(""));
    assert!(!with("    unmask_for: []\n"));
}

#[test]
fn two_different_masks_leave_nothing() {
    let own = |mask| Grant {
        masks: [("email".to_owned(), mask)].into(),
        ..grant(&["email"], &[])
    };
    assert_eq!(masks(&own(Mask::Sha256)), ["email sha-256"]);
    assert_eq!(masks(&own(Mask::ShowLast4)), ["email replace-with-null"]);
    assert_eq!(
        masks(&own(Mask::ReplaceWithNull)),
        ["email replace-with-null"]
    );
}

#[test]
fn a_grant_on_what_is_classified_ends_in_time() {
    let until = |grant: Grant| narrowed(&grant).valid_until.map(|it| it.to_string());
    let born = || grant(&["born"], &["fraud"]);
    assert_eq!(
        until(grant(&["email"], &["fraud"])),
        None,
        "it covers nothing that is classified"
    );
    assert_eq!(
        until(born()).as_deref(),
        Some("2026-04-01T00:00:00Z"),
        "counted from `since`"
    );
    let from = Some(moment("2026-03-01"));
    let begun = Grant {
        valid_from: from,
        ..born()
    };
    assert_eq!(until(begun).as_deref(), Some("2026-05-30T00:00:00Z"));
    let own = Some(moment("2026-02-01"));
    let short = Grant {
        valid_until: own,
        ..born()
    };
    assert_eq!(
        until(short).as_deref(),
        Some("2026-02-01T00:00:00Z"),
        "an earlier end stays"
    );
    // 2025-06-01T00:00:00Z in milliseconds.
    let given = Grant {
        id: "019728c9-c000-7000-8000-000000000000".to_owned(),
        ..born()
    };
    assert_eq!(
        given.given_at().map(|it| it.to_string()).as_deref(),
        Some("2025-06-01T00:00:00Z")
    );
    assert_eq!(until(given).as_deref(), Some("2025-08-30T00:00:00Z"));
}

#[test]
fn a_purpose_that_has_to_be_named_may_be_any() {
    let open = narrowed(&grant(&["id"], &[]));
    assert!(open.purpose_required);
    assert!(!open.serves(None) && !open.serves(Some(" ")) && open.serves(Some("anything")));
    assert!(!narrowed(&grant(&["id"], &["fraud"])).purpose_required);
}

#[test]
fn products_are_selected_by_domain_name_and_status() {
    let policy = FederatedPolicy::parse(POLICY).expect("valid");
    let given = grant(&["id"], &[]);
    let covered = Covered {
        grant: &given,
        since: moment("2026-01-01"),
    };
    let asks = |table: &LabelledTable| policy.narrowed(covered, table).purpose_required;
    let with_status = |status: Option<&str>| LabelledTable {
        status: status.map(str::to_owned),
        ..table()
    };
    assert!(asks(&with_status(Some("Active"))));
    assert!(
        asks(&with_status(None)),
        "what is not said is not ruled out"
    );
    assert!(!asks(&with_status(Some("draft"))));
    let renamed = |product: &str, domain: &str| LabelledTable {
        table: elsewhere(domain, product),
        ..table()
    };
    assert!(!asks(&renamed("customers", "sales")) && !asks(&renamed("people", "crm")));
}

fn elsewhere(domain: &str, product: &str) -> TableRef {
    let domain: DomainId = domain.parse().expect("domain");
    let product = ProductRef::new(domain, product).expect("product");
    product.table("customer").expect("table")
}

#[test]
fn what_two_policies_leave_is_compared() {
    let given = grant(&[], &[]);
    let after = narrowed(&given);
    let found = changes(&given, &after);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.contains(&Change::Mask {
        column: "email".to_owned(),
        before: None,
        after: Some(Mask::Sha256),
    }));
    assert!(found.contains(&Change::Purpose { required: true }));
    assert!(changes(&after, &after).is_empty());
}
