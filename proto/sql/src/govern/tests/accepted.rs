//! Good texts, and how they are written canonically.

use super::govern;

/// Each text reads as the one after it, and that one reads as itself.
fn check(texts: &[(&str, &str)]) {
    for (text, canonical) in texts {
        let read = govern(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read.to_string(), *canonical, "{text}");
        let again = govern(canonical).unwrap_or_else(|error| panic!("{canonical}: {error}"));
        assert_eq!(again, read, "{canonical}");
    }
}

#[test]
fn grants() {
    check(&[
        (
            "GRANT SELECT ON PRODUCT sales.orders TO GROUP analysts UNTIL '2027-01-01';",
            "GRANT SELECT ON PRODUCT sales.orders TO GROUP analysts UNTIL '2027-01-01T00:00:00Z'",
        ),
        (
            "GRANT SELECT (o_orderkey, o_custkey, o_orderdate, o_clerk) ON TABLE sales.orders.orders TO USER analyst
              WHERE o_orderstatus = 'F' AND o_orderpriority = principal_attribute('priority')
              MASK (o_clerk WITH 'sha-256', o_comment WITH 'replace-with-null') FOR PURPOSE 'forecasting', 'fraud'
              FROM '2026-01-01' UNTIL '2027-01-01T12:00:00Z'
              KEYS BLOOM FLOW TO DOMAIN crm, supply LIMIT 10000000 ROWS PER DAY, 5 GB PER DAY;",
            "GRANT SELECT (o_clerk, o_custkey, o_orderdate, o_orderkey) ON TABLE sales.orders.orders TO USER analyst \
             FOR PURPOSE 'forecasting', 'fraud' \
             WHERE o_orderstatus = 'F' AND o_orderpriority = principal_attribute('priority') \
             MASK (o_clerk WITH 'sha-256', o_comment WITH 'replace-with-null') \
             FROM '2026-01-01T00:00:00Z' UNTIL '2027-01-01T12:00:00Z' \
             KEYS BLOOM FLOW TO DOMAIN crm, supply LIMIT 10000000 ROWS PER DAY, 5 GB PER DAY",
        ),
        (
            "grant Aggregate (min group size 10) on table crm.customers.customer to group analysts",
            "GRANT AGGREGATE (MIN GROUP SIZE 10) ON TABLE crm.customers.customer TO GROUP analysts",
        ),
        (
            "GRANT AGGREGATE (b, min, a MIN GROUP SIZE 2) ON TABLE crm.customers.customer TO GROUP analysts",
            "GRANT AGGREGATE (a, b, min MIN GROUP SIZE 2) ON TABLE crm.customers.customer TO GROUP analysts",
        ),
        (
            "GRANT AGGREGATE (min MIN GROUP SIZE 2) ON TABLE s.p.t TO USER u",
            "GRANT AGGREGATE (min MIN GROUP SIZE 2) ON TABLE s.p.t TO USER u",
        ),
        (
            "GRANT SELECT ON PRODUCT s.p TO USER u LIMIT 5000 KB PER DAY KEYS none FLOW TO NOWHERE FOR PURPOSES ' b ', 'a'",
            "GRANT SELECT ON PRODUCT s.p TO USER u FOR PURPOSE 'a', 'b' KEYS NONE FLOW TO NOWHERE LIMIT 5 MB PER DAY",
        ),
        (
            "GRANT SELECT ON PRODUCT s.p TO USER u FLOW TO ANY DOMAIN LIMIT 1001 BYTES PER DAY, 1 ROWS PER DAY",
            "GRANT SELECT ON PRODUCT s.p TO USER u FLOW TO ANY DOMAIN LIMIT 1 ROWS PER DAY, 1001 BYTES PER DAY",
        ),
    ]);
}

#[test]
fn names_keep_their_case_only_in_quotes() {
    check(&[
        (
            "GRANT SELECT (Key, \"Key\") ON TABLE Sales.\"Orders 2\".`Line\"Item` TO USER \"Ann@Example\"",
            "GRANT SELECT (\"Key\", key) ON TABLE sales.\"Orders 2\".\"Line\"\"Item\" TO USER \"Ann@Example\"",
        ),
        (
            "GRANT SELECT ON PRODUCT \"sales-eu\".orders TO GROUP \"analysts\" FLOW TO DOMAIN \"crm-eu\", CRM",
            "GRANT SELECT ON PRODUCT \"sales-eu\".orders TO GROUP analysts FLOW TO DOMAIN crm, \"crm-eu\"",
        ),
    ]);
}

#[test]
fn keywords_are_names_where_a_name_is_due() {
    check(&[
        (
            "GRANT SELECT (select, mask, min, until) ON TABLE grant.on.to TO USER until UNTIL '2027-01-01'",
            "GRANT SELECT (mask, min, select, until) ON TABLE grant.on.to TO USER until UNTIL '2027-01-01T00:00:00Z'",
        ),
        (
            "GRANT SELECT ON TABLE s.p.t TO USER where WHERE mask MASK (with WITH 'sha-256') FLOW TO DOMAIN nowhere",
            "GRANT SELECT ON TABLE s.p.t TO USER where WHERE mask MASK (with WITH 'sha-256') FLOW TO DOMAIN nowhere",
        ),
        (
            "SHOW GRANTS ON PRODUCT for.for FOR GROUP for",
            "SHOW GRANTS ON PRODUCT for.for FOR GROUP for",
        ),
    ]);
}

#[test]
fn filters_end_where_the_next_clause_starts() {
    for filter in [
        "a = 1",
        "flag",
        "a IS NULL",
        "a IS DISTINCT FROM b",
        "starts_with(a, 'x') OR NOT (b AND c)",
        "EXTRACT(YEAR FROM a) = 2020",
        "a BETWEEN 1 AND 2",
        "a IN ('x', 'y')",
        "a LIKE '%x' ESCAPE '!'",
        "CAST(a AS DATE) < DATE '2026-01-01'",
        "a < TIMESTAMP '2026-01-01 00:00:00' + INTERVAL '1' DAY",
        "CASE WHEN a THEN b ELSE false END",
        "a = principal_attribute('unit')",
    ] {
        for clause in [
            "MASK (a WITH 'sha-256')",
            "FROM '2026-01-01T00:00:00Z'",
            "UNTIL '2026-01-01T00:00:00Z'",
            "KEYS LIST",
            "FLOW TO DOMAIN crm",
            "LIMIT 5 ROWS PER DAY",
        ] {
            let text = format!("GRANT SELECT ON TABLE s.p.t TO USER u WHERE {filter} {clause}");
            check(&[(&text, &text)]);
        }
        let text = format!("GRANT SELECT ON TABLE s.p.t TO USER u WHERE {filter} FOR PURPOSE 'x'");
        let canonical =
            format!("GRANT SELECT ON TABLE s.p.t TO USER u FOR PURPOSE 'x' WHERE {filter}");
        check(&[(&text, &canonical)]);
    }
}

#[test]
fn lists_in_filters_may_be_long() {
    let values = vec!["'x'"; 5_000].join(", ");
    let text = format!("GRANT SELECT ON TABLE s.p.t TO USER u WHERE a IN ({values})");
    check(&[(&text, &text)]);
}

#[test]
fn times_are_written_in_utc() {
    check(&[(
        "GRANT SELECT ON PRODUCT s.p TO USER u UNTIL '2027-01-01T01:00:00.5+02:00' FROM '2026-12-31'",
        "GRANT SELECT ON PRODUCT s.p TO USER u FROM '2026-12-31T00:00:00Z' UNTIL '2026-12-31T23:00:00.500Z'",
    )]);
}

#[test]
fn requests_and_answers() {
    check(&[
        (
            "request access to sales.orders because 'It''s due' until '2027-01-01' for purpose 'forecasting'",
            "REQUEST ACCESS TO sales.orders FOR PURPOSE 'forecasting' UNTIL '2027-01-01T00:00:00Z' BECAUSE 'It''s due'",
        ),
        (
            "REQUEST ACCESS TO crm.customers.customer (c_name, \"C_Phone\") FOR PURPOSE 'a', 'b' UNTIL '2027-01-01' BECAUSE 'x'",
            "REQUEST ACCESS TO crm.customers.customer (\"C_Phone\", c_name) FOR PURPOSE 'a', 'b' UNTIL '2027-01-01T00:00:00Z' BECAUSE 'x'",
        ),
        ("SHOW REQUESTS;", "SHOW REQUESTS"),
        ("APPROVE REQUEST 'r-1'", "APPROVE REQUEST 'r-1'"),
        (
            "APPROVE REQUEST 'r-1' WITH (c_name)",
            "APPROVE REQUEST 'r-1' WITH (c_name)",
        ),
        (
            "approve request 'r-1' with (c_name) limit 1 gb per day, 5 rows per day keys range until '2027-01-01' from '2026-01-01' mask (c_name with 'show-last-4') where a > 1 flow to nowhere",
            "APPROVE REQUEST 'r-1' WITH (c_name) WHERE a > 1 MASK (c_name WITH 'show-last-4') FROM '2026-01-01T00:00:00Z' UNTIL '2027-01-01T00:00:00Z' KEYS RANGE FLOW TO NOWHERE LIMIT 5 ROWS PER DAY, 1 GB PER DAY",
        ),
        (
            "APPROVE REQUEST 'r-1' WITH WHERE a",
            "APPROVE REQUEST 'r-1' WITH WHERE a",
        ),
        (
            "REJECT REQUEST 'r-1' BECAUSE 'too much'",
            "REJECT REQUEST 'r-1' BECAUSE 'too much'",
        ),
        ("REVOKE GRANT 'g-1'", "REVOKE GRANT 'g-1'"),
    ]);
}

#[test]
fn listings() {
    check(&[
        ("show grants", "SHOW GRANTS"),
        (
            "SHOW GRANTS ON PRODUCT sales.orders",
            "SHOW GRANTS ON PRODUCT sales.orders",
        ),
        (
            "SHOW GRANTS ON TABLE sales.orders.Orders FOR USER Ann",
            "SHOW GRANTS ON TABLE sales.orders.orders FOR USER ann",
        ),
        (
            "SHOW GRANTS FOR GROUP \"Analysts\"",
            "SHOW GRANTS FOR GROUP \"Analysts\"",
        ),
        (
            "SHOW EFFECTIVE ACCESS ON TABLE sales.orders.orders",
            "SHOW EFFECTIVE ACCESS ON TABLE sales.orders.orders",
        ),
        (
            "SHOW EFFECTIVE ACCESS ON PRODUCT sales.orders FOR PRINCIPAL analyst",
            "SHOW EFFECTIVE ACCESS ON PRODUCT sales.orders FOR PRINCIPAL analyst",
        ),
        (
            "SHOW RECEIPTS FOR QUERY '0197A1B2-0000-7000-8000-000000000001'",
            "SHOW RECEIPTS FOR QUERY '0197a1b2-0000-7000-8000-000000000001'",
        ),
    ]);
}
