use crate::{Caps, Statement, parse};

use super::*;

mod accepted;
mod refused;
mod round_trip;

/// The statement about rights that `sql` is.
fn govern(sql: &str) -> Result<Govern, Error> {
    match parse(sql, &Caps::default())? {
        Statement::Govern(statement) => Ok(*statement),
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn a_grant_becomes_one_on_each_table() {
    let sql = "GRANT SELECT ON PRODUCT sales.orders TO GROUP analysts FOR PURPOSE 'fraud' UNTIL '2027-01-01' LIMIT 5 ROWS PER DAY";
    let Ok(Govern::Grant(grant)) = govern(sql) else {
        panic!("no grant")
    };
    let table = grant.on.product().table("lineitem").expect("valid");
    let given = grant.on_table("g-1", table.clone());
    assert_eq!((given.id.as_str(), &given.table), ("g-1", &table));
    assert_eq!(given.grantee, Grantee::Group("analysts".to_owned()));
    assert!(given.purposes.contains("fraud"));
    assert_eq!(given.valid_until, grant.conditions.valid_until);
    assert_eq!(given.limits, grant.conditions.limits);
}

#[test]
fn a_filter_is_kept_as_expression_and_as_text() {
    let sql =
        "GRANT SELECT ON TABLE s.p.t TO USER u WHERE Status='F' and UPPER(\"Clerk\")!='it''s'";
    let Ok(Govern::Grant(grant)) = govern(sql) else {
        panic!("no grant")
    };
    let filter = grant.conditions.row_filter.clone().expect("a filter");
    assert_eq!(
        filter.as_str(),
        "status = 'F' AND upper(\"Clerk\") <> 'it''s'"
    );
    assert_eq!(filter.expr().to_string(), filter.as_str());
    let table = grant.on.product().table("t").expect("valid");
    let given = grant.on_table("g", table);
    assert_eq!(given.row_filter.as_deref(), Some(filter.as_str()));
}

#[test]
fn an_approval_gives_what_was_asked_for_or_less() {
    let given = |asked: &str, answer: &str| {
        let asked = format!(
            "REQUEST ACCESS TO {asked} FOR PURPOSE 'fraud' UNTIL '2027-01-01' BECAUSE 'it is due'"
        );
        let read = (
            govern(&asked),
            govern(&format!("APPROVE REQUEST 'r' {answer}")),
        );
        let (Ok(Govern::Request(request)), Ok(Govern::Approve(approval))) = read else {
            panic!("{read:?}")
        };
        let given = approval.grant(&request, Grantee::User("ann".to_owned()));
        given.map_or_else(
            |error| format!("{}: {error}", error.code()),
            |given| given.to_string(),
        )
    };
    for (asked, answer, grant) in [
        (
            "s.p",
            "",
            "GRANT SELECT ON PRODUCT s.p TO USER ann FOR PURPOSE 'fraud' UNTIL '2027-01-01T00:00:00Z'",
        ),
        (
            "s.p.t (a, b)",
            "",
            "GRANT SELECT (a, b) ON TABLE s.p.t TO USER ann FOR PURPOSE 'fraud' UNTIL '2027-01-01T00:00:00Z'",
        ),
        (
            "s.p.t (a, b)",
            "WITH (b) WHERE a > 1 UNTIL '2026-07-01' LIMIT 5 ROWS PER DAY",
            "GRANT SELECT (b) ON TABLE s.p.t TO USER ann FOR PURPOSE 'fraud' WHERE a > 1 UNTIL '2026-07-01T00:00:00Z' LIMIT 5 ROWS PER DAY",
        ),
        (
            "s.p.t",
            "WITH (b) MASK (b WITH 'sha-256')",
            "GRANT SELECT (b) ON TABLE s.p.t TO USER ann FOR PURPOSE 'fraud' MASK (b WITH 'sha-256') UNTIL '2027-01-01T00:00:00Z'",
        ),
        (
            "s.p.t (a)",
            "WITH (a, c)",
            "WEFT-PLAN: column `c` was not asked for",
        ),
        (
            "s.p",
            "WITH UNTIL '2027-01-02'",
            "WEFT-PLAN: access was asked for until 2027-01-01T00:00:00Z, and is given until 2027-01-02T00:00:00Z",
        ),
        (
            "s.p",
            "WITH FROM '2027-01-01'",
            "WEFT-PLAN: FROM 2027-01-01T00:00:00Z is not before UNTIL 2027-01-01T00:00:00Z",
        ),
        (
            "s.p",
            "WITH WHERE a",
            "WEFT-PLAN: columns, WHERE and MASK need a table, and the grant is on a product",
        ),
    ] {
        assert_eq!(given(asked, answer), grant, "{asked} {answer}");
    }
}

#[test]
fn rights_change_by_what_an_owner_signs() {
    for (sql, changes, names) in [
        ("GRANT SELECT ON PRODUCT s.p TO USER u", true, true),
        ("REVOKE GRANT 'g'", true, false),
        ("APPROVE REQUEST 'r'", true, false),
        ("REJECT REQUEST 'r' BECAUSE 'no'", true, false),
        (
            "REQUEST ACCESS TO s.p FOR PURPOSE 'x' UNTIL '2027-01-01' BECAUSE 'y'",
            false,
            true,
        ),
        ("SHOW GRANTS", false, false),
        ("SHOW GRANTS ON TABLE s.p.t", false, true),
        ("SHOW EFFECTIVE ACCESS ON PRODUCT s.p", false, true),
        ("SHOW REQUESTS", false, false),
    ] {
        let statement = govern(sql).expect(sql);
        assert_eq!(statement.changes_rights(), changes, "{sql}");
        assert_eq!(statement.object().is_some(), names, "{sql}");
    }
}
