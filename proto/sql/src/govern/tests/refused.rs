//! Bad texts, and what is said of them.

use weft_governance::code;

use super::govern;

/// Each text, after `start`, is refused as bad syntax with the message after it, and a hint.
fn check(start: &str, texts: &[(&str, &str)]) {
    for (rest, message) in texts {
        let text = format!("{start}{rest}");
        let Err(error) = govern(&text) else {
            panic!("{text} was read")
        };
        assert_eq!(error.message(), *message, "{text}");
        assert_eq!(error.code(), code::SYNTAX, "{text}");
        assert!(
            error.hint().is_some_and(|hint| hint.ends_with('.')),
            "{text}"
        );
    }
}

#[test]
fn rights_of_other_databases_are_refused_with_the_right_form() {
    for (text, form) in [
        ("GRANT INSERT ON t TO x", "GRANT SELECT ON TABLE"),
        ("GRANT ALL PRIVILEGES ON t TO x", "GRANT SELECT ON TABLE"),
        ("GRANT analysts TO ann", "GRANT SELECT ON TABLE"),
        ("REVOKE SELECT ON t FROM x", "REVOKE GRANT 'id'"),
        ("REVOKE analysts FROM ann", "REVOKE GRANT 'id'"),
    ] {
        let Err(error) = govern(text) else {
            panic!("{text} was read")
        };
        assert_eq!(error.code(), code::UNSUPPORTED, "{text}");
        assert!(
            error.hint().is_some_and(|hint| hint.contains(form)),
            "{text}"
        );
    }
    check(
        "GRANT SELECT",
        &[
            (
                " ON t TO x",
                "expected PRODUCT or TABLE after ON at line 1, column 17, and found `t`",
            ),
            (
                ", INSERT ON t TO x",
                "expected ON at line 1, column 13, and found `,`",
            ),
            (
                " ON TABLE sales.orders.orders TO ann",
                "expected USER or GROUP after TO at line 1, column 46, and found `ann`",
            ),
            (
                " ON PRODUCT sales.orders TO USER ann WITH GRANT OPTION",
                "expected WHERE, MASK, FOR PURPOSE, FROM, UNTIL, KEYS, FLOW TO, LIMIT or the end of the statement at line 1, column 50, and found `WITH`",
            ),
        ],
    );
}

#[test]
fn names_must_be_full() {
    check(
        "GRANT SELECT ON ",
        &[
            (
                "PRODUCT orders TO USER u",
                "`orders` is not the full name of a product, which has two parts, such as sales.orders",
            ),
            (
                "PRODUCT sales.orders.\"Orders\" TO USER u",
                "`sales.orders.\"Orders\"` is not the full name of a product, which has two parts, such as sales.orders",
            ),
            (
                "TABLE sales.orders TO USER u",
                "`sales.orders` is not the full name of a table, which has three parts, such as sales.orders.lineitem",
            ),
            (
                "TABLE a.b.c.d TO USER u",
                "`a.b.c.d` is not the full name of a table, which has three parts, such as sales.orders.lineitem",
            ),
            (
                "TABLE \"Sales\".b.c TO USER u",
                "`Sales` is not a valid domain name: it starts with a lower-case letter, does not end in `-`, and has at most 63 of a-z, 0-9, `_` and `-`",
            ),
            (
                "TABLE a.b.\"../c\" TO USER u",
                "`../c` is not a valid table name: it holds a control character or a path separator",
            ),
            (
                "TABLE a. TO USER u",
                "`a.to` is not the full name of a table, which has three parts, such as sales.orders.lineitem",
            ),
            (
                "TABLE a.b.* TO USER u",
                "expected a table at line 1, column 27, and found `*`",
            ),
            (
                "TABLE a.b.c TO USER 'ann'",
                "expected a user at line 1, column 37, and found `'ann'`",
            ),
            ("TABLE a.b.c TO USER \"\"", "a user is empty"),
            (
                "TABLE a.b.c TO USER \"a\nb\"",
                "a user has the control character U+000A",
            ),
            (
                "TABLE a.b.c TO USER",
                "expected a user, but the statement ends",
            ),
        ],
    );
}

#[test]
fn clauses_come_once_and_say_something() {
    check(
        "GRANT SELECT ON TABLE s.p.t TO USER u ",
        &[
            (
                "UNTIL '2027-01-01' UNTIL '2027-01-01'",
                "UNTIL is given twice",
            ),
            (
                "FOR PURPOSE 'a' FOR PURPOSES 'b'",
                "FOR PURPOSE is given twice",
            ),
            ("WHERE a WHERE b", "WHERE is given twice"),
            ("FOR PURPOSE 'a', 'a '", "the purpose `a` is named twice"),
            ("FOR PURPOSE '  '", "a purpose is empty"),
            (
                "FOR PURPOSE 'a\nb'",
                "a purpose has the control character U+000A",
            ),
            (
                "FOR PURPOSE 'a\u{202e}b'",
                "a purpose has the control character U+202E",
            ),
            (
                "FOR PURPOSE a",
                "expected a purpose in single quotes at line 1, column 51, and found `a`",
            ),
            (
                "FOR PURPOSE 'a',",
                "expected a purpose in single quotes, but the statement ends",
            ),
            (
                "MASK (a WITH 'rot13')",
                "unknown mask `rot13`; known masks are replace-with-null, show-last-4, sha-256, truncate-to-year",
            ),
            (
                "MASK (a WITH sha)",
                "expected a mask in single quotes at line 1, column 52, and found `sha`",
            ),
            (
                "MASK (a 'sha-256')",
                "expected WITH at line 1, column 47, and found `'sha-256'`",
            ),
            (
                "MASK (a WITH 'sha-256', A WITH 'sha-256')",
                "the masked column `a` is named twice",
            ),
            (
                "MASK ()",
                "expected a column at line 1, column 45, and found `)`",
            ),
            (
                "MASK (a WITH 'sha-256'",
                "expected `,` or `)`, but the statement ends",
            ),
            (
                "MASK a WITH 'sha-256'",
                "expected `(` at line 1, column 44, and found `a`",
            ),
            (
                "UNTIL 'soon'",
                "`soon` is neither a date such as 2027-01-01 nor a time such as 2027-01-01T12:00:00Z",
            ),
            (
                "UNTIL 2027",
                "expected a time in single quotes at line 1, column 45, and found `2027`",
            ),
            (
                "UNTIL '2026-01-01' FROM '2026-01-01'",
                "FROM 2026-01-01T00:00:00Z is not before UNTIL 2026-01-01T00:00:00Z",
            ),
            (
                "FROM '2026-01-02' UNTIL '2026-01-01'",
                "FROM 2026-01-02T00:00:00Z is not before UNTIL 2026-01-01T00:00:00Z",
            ),
            (
                "KEYS ALL",
                "expected NONE, RANGE, BLOOM or LIST after KEYS at line 1, column 44, and found `ALL`",
            ),
            (
                "FLOW TO crm",
                "expected NOWHERE, ANY DOMAIN, or DOMAIN and names after FLOW TO at line 1, column 47, and found `crm`",
            ),
            ("FLOW TO DOMAIN crm, CRM", "the domain `crm` is named twice"),
            (
                "FLOW TO DOMAIN system",
                "`system` is not a valid domain name: `system` is Weft's own catalog",
            ),
            ("LIMIT 0 ROWS PER DAY", "the limit on rows is 0"),
            (
                "LIMIT -1 ROWS PER DAY",
                "expected a number of rows or bytes at line 1, column 45, and found `-`",
            ),
            (
                "LIMIT 1.5 GB PER DAY",
                "expected a number of rows or bytes, a whole number of at most 18446744073709551615, at line 1, column 45, and found `1.5`",
            ),
            (
                "LIMIT 18446744073709551616 ROWS PER DAY",
                "expected a number of rows or bytes, a whole number of at most 18446744073709551615, at line 1, column 45, and found `18446744073709551616`",
            ),
            (
                "LIMIT 18446744074 GB PER DAY",
                "the limit on bytes is larger than 18446744073709551615 bytes",
            ),
            (
                "LIMIT 5 ROWS PER HOUR",
                "expected PER DAY at line 1, column 52, and found `PER`",
            ),
            (
                "LIMIT 5 TB PER DAY",
                "expected ROWS, BYTES, KB, MB or GB at line 1, column 47, and found `TB`",
            ),
            (
                "LIMIT 5 KB PER DAY, 5 MB PER DAY",
                "a limit on bytes is given twice",
            ),
        ],
    );
    let long = "x".repeat(1_001);
    check(
        "REJECT REQUEST 'r' BECAUSE ",
        &[(
            &format!("'{long}'"),
            "a reason has 1001 characters, and at most 1000 are allowed",
        )],
    );
    assert!(
        govern(&format!(
            "REJECT REQUEST 'r' BECAUSE '{}'",
            "ä".repeat(1_000)
        ))
        .is_ok()
    );
}

#[test]
fn columns_filters_and_masks_need_a_table() {
    let message = "columns, WHERE and MASK need a table, and the grant is on a product";
    for rest in [
        "SELECT (a) ON PRODUCT s.p TO USER u",
        "AGGREGATE (a MIN GROUP SIZE 5) ON PRODUCT s.p TO USER u",
        "SELECT ON PRODUCT s.p TO USER u WHERE a",
        "SELECT ON PRODUCT s.p TO USER u MASK (a WITH 'sha-256')",
    ] {
        check("GRANT ", &[(rest, message)]);
    }
    assert!(govern("GRANT AGGREGATE (MIN GROUP SIZE 5) ON PRODUCT s.p TO USER u").is_ok());
}

#[test]
fn columns_and_groups() {
    check(
        "GRANT ",
        &[
            (
                "SELECT () ON TABLE s.p.t TO USER u",
                "expected a column at line 1, column 15, and found `)`",
            ),
            (
                "SELECT (a, A) ON TABLE s.p.t TO USER u",
                "the column `a` is named twice",
            ),
            (
                "AGGREGATE ON TABLE s.p.t TO USER u",
                "expected `(` at line 1, column 17, and found `ON`",
            ),
            (
                "AGGREGATE (a) ON TABLE s.p.t TO USER u",
                "expected MIN GROUP SIZE at line 1, column 19, and found `)`",
            ),
            (
                "AGGREGATE (MIN GROUP SIZE 1) ON TABLE s.p.t TO USER u",
                "a group of 1 hides no single row; the least size is 2",
            ),
            (
                "AGGREGATE (MIN GROUP SIZE x) ON TABLE s.p.t TO USER u",
                "expected a number of rows at line 1, column 33, and found `x`",
            ),
        ],
    );
}

#[test]
fn a_filter_looks_at_one_row() {
    check(
        "GRANT SELECT ON TABLE s.p.t TO USER u WHERE ",
        &[
            ("a IN (SELECT 1)", "a row filter cannot have a subquery"),
            ("EXISTS (SELECT 1)", "a row filter cannot have a subquery"),
            (
                "a = (SELECT max(a) FROM t)",
                "a row filter cannot have a subquery",
            ),
            ("a > ALL (SELECT 1)", "a row filter cannot have a subquery"),
            (
                "cardinality(ARRAY(SELECT 1)) > 0",
                "a row filter cannot have a subquery",
            ),
            ("Max(a) = 1", "a row filter cannot have the aggregate `Max`"),
            (
                "count(*) > 1",
                "a row filter cannot have the aggregate `count`",
            ),
            (
                "f(DISTINCT a)",
                "a row filter cannot have the aggregate `f`",
            ),
            (
                "f(a ORDER BY b)",
                "a row filter cannot have the aggregate `f`",
            ),
            (
                "f(a) FILTER (WHERE b)",
                "a row filter cannot have the aggregate `f`",
            ),
            (
                "f(0.5) WITHIN GROUP (ORDER BY a)",
                "a row filter cannot have the aggregate `f`",
            ),
            (
                "CASE WHEN a THEN sum(b) > 1 END",
                "a row filter cannot have the aggregate `sum`",
            ),
            (
                "sum(a) OVER () > 1",
                "a row filter cannot have the window function `sum`",
            ),
            (
                "Row_Number() = 1",
                "a row filter cannot have the window function `Row_Number`",
            ),
            (
                "f(a) OVER (PARTITION BY b)",
                "a row filter cannot have the window function `f`",
            ),
            ("a = ?", "a row filter cannot have the parameter `$1`"),
            ("a = $2", "a row filter cannot have the parameter `$2`"),
            (
                "a = :name",
                "a row filter cannot have the parameter `:name`",
            ),
            (
                "a = 'x\u{202e}y'",
                "the row filter has the control character U+202E",
            ),
            ("a = - -1", "the row filter has no canonical text"),
            ("a = 'x''''y'", "the row filter has no canonical text"),
        ],
    );
    assert!(govern("GRANT SELECT ON TABLE s.p.t TO USER u WHERE").is_err());
    assert!(govern("GRANT SELECT ON TABLE s.p.t TO USER u WHERE UNTIL '2027-01-01'").is_err());
}

#[test]
fn a_filter_may_be_only_so_deep() {
    for (term, joint) in [("a = 1", " AND "), ("a", " + "), ("a", " || ")] {
        let filter = |times| vec![term; times].join(joint);
        let grant = |times| {
            let filter = filter(times);
            govern(&format!(
                "GRANT SELECT ON TABLE s.p.t TO USER u WHERE {filter}"
            ))
        };
        assert!(grant(90).is_ok(), "{joint}");
        for times in [110, 1_000] {
            let Err(error) = grant(times) else {
                panic!("{times} of {joint} were read")
            };
            assert_eq!(error.code(), code::TOO_COMPLEX);
            assert_eq!(
                error.message(),
                "the row filter nests deeper than 100 levels"
            );
        }
    }
}

#[test]
fn requests_say_what_for_until_when_and_why() {
    check(
        "REQUEST ",
        &[
            (
                "sales.orders",
                "expected ACCESS TO at line 1, column 9, and found `sales`",
            ),
            (
                "ACCESS TO orders FOR PURPOSE 'a' UNTIL '2027-01-01' BECAUSE 'b'",
                "`orders` is neither the full name of a product, such as sales.orders, nor of a table, such as sales.orders.lineitem",
            ),
            (
                "ACCESS TO sales.orders (a) FOR PURPOSE 'a' UNTIL '2027-01-01' BECAUSE 'b'",
                "columns need a table, and `sales.orders` is a product",
            ),
            (
                "ACCESS TO s.p UNTIL '2027-01-01' BECAUSE 'b'",
                "the request has no FOR PURPOSE",
            ),
            (
                "ACCESS TO s.p FOR PURPOSE 'a' BECAUSE 'b'",
                "the request has no UNTIL",
            ),
            (
                "ACCESS TO s.p FOR PURPOSE 'a' UNTIL '2027-01-01'",
                "the request has no BECAUSE",
            ),
            (
                "ACCESS TO s.p BECAUSE 'b' BECAUSE 'b'",
                "BECAUSE is given twice",
            ),
            ("ACCESS TO s.p BECAUSE ' '", "a reason is empty"),
            (
                "ACCESS TO s.p KEYS LIST",
                "expected FOR PURPOSE, UNTIL, BECAUSE or the end of the statement at line 1, column 23, and found `KEYS`",
            ),
        ],
    );
}

#[test]
fn answers_name_their_request() {
    check(
        "",
        &[
            (
                "APPROVE 'r'",
                "expected REQUEST at line 1, column 9, and found `'r'`",
            ),
            (
                "APPROVE REQUEST r",
                "expected a request's id in single quotes at line 1, column 17, and found `r`",
            ),
            (
                "APPROVE REQUEST 'r' UNTIL '2027-01-01'",
                "expected the end of the statement at line 1, column 21, and found `UNTIL`",
            ),
            (
                "APPROVE REQUEST 'r' WITH",
                "expected columns or conditions after WITH, but the statement ends",
            ),
            (
                "APPROVE REQUEST 'r' WITH FOR PURPOSE 'x'",
                "an approval is for the purposes of its request, and names none itself",
            ),
            (
                "APPROVE REQUEST 'r' WITH WHERE max(a)",
                "a row filter cannot have the aggregate `max`",
            ),
            (
                "REJECT REQUEST 'r'",
                "expected BECAUSE, but the statement ends",
            ),
            ("REJECT REQUEST '' BECAUSE 'x'", "a request's id is empty"),
            (
                "REVOKE GRANT",
                "expected a grant's id in single quotes, but the statement ends",
            ),
            (
                "REVOKE GRANT 'a' CASCADE",
                "expected the end of the statement at line 1, column 18, and found `CASCADE`",
            ),
        ],
    );
}

#[test]
fn listings_end_where_they_should() {
    check(
        "SHOW ",
        &[
            (
                "GRANTS FOR ann",
                "expected USER or GROUP after FOR at line 1, column 17, and found `ann`",
            ),
            (
                "GRANTS ON sales.orders",
                "expected PRODUCT or TABLE after ON at line 1, column 16, and found `sales`",
            ),
            (
                "GRANTS FOR USER a ON PRODUCT s.p",
                "expected the end of the statement at line 1, column 24, and found `ON`",
            ),
            (
                "EFFECTIVE ACCESS",
                "expected ACCESS ON at line 1, column 16, and found `ACCESS`",
            ),
            (
                "EFFECTIVE ACCESS ON PRODUCT s.p FOR USER a",
                "expected PRINCIPAL at line 1, column 42, and found `USER`",
            ),
            (
                "REQUESTS FOR ann",
                "expected the end of the statement at line 1, column 15, and found `FOR`",
            ),
            ("RECEIPTS", "expected FOR QUERY, but the statement ends"),
            (
                "RECEIPTS FOR QUERY '1'",
                "`1` is not a valid query id: it is no UUID",
            ),
        ],
    );
    let two = govern("SHOW REQUESTS; SHOW REQUESTS").expect_err("two statements");
    assert_eq!(
        two.message(),
        "there is text after the end of the statement"
    );
}
