use super::*;

fn parsed(sql: &str) -> Result<Statement, String> {
    parse(sql, &Caps::default()).map_err(|error| format!("{}: {error}", error.code()))
}

#[test]
fn one_statement_with_or_without_a_semicolon() {
    assert!(matches!(parsed("SELECT 1"), Ok(Statement::Query(_))));
    assert!(matches!(parsed("select 1 ; "), Ok(Statement::Query(_))));
    assert!(parsed("SELECT 1; SELECT 2").is_err_and(|e| e.starts_with("WEFT-SYNTAX")));
    assert!(parsed(" -- nothing\n").is_err_and(|e| e.contains("no statement")));
}

#[test]
fn flow_asks_for_what_crosses_and_is_still_a_name() {
    let kind = |sql| match parsed(sql) {
        Ok(Statement::Explain(kind, query)) => Some((kind, query.to_string())),
        _ => None,
    };
    let one = "SELECT 1".to_owned();
    assert_eq!(
        kind("explain flow select 1"),
        Some((Explain::Flow, one.clone()))
    );
    assert_eq!(
        kind("EXPLAIN ANALYZE FLOW (SELECT 1)"),
        Some((Explain::AnalyzeFlow, "(SELECT 1)".to_owned()))
    );
    assert_eq!(
        kind("EXPLAIN ANALYZE SELECT 1"),
        Some((Explain::Analyze, one))
    );
    let described = parsed("EXPLAIN flow");
    assert!(matches!(described, Ok(Statement::Show(Show::Columns(_)))));
    assert!(parsed("SELECT flow FROM flow").is_ok());
}

#[test]
fn access_asks_for_the_grants_that_decide_and_is_still_a_name() {
    let explained = parsed("explain access select 1");
    let Ok(Statement::Explain(Explain::Access, query)) = explained else {
        panic!("{explained:?}")
    };
    assert_eq!(query.to_string(), "SELECT 1");
    assert!(!Explain::Access.runs());
    assert!(matches!(
        parsed("EXPLAIN ACCESS WITH a AS (SELECT 1) SELECT * FROM a"),
        Ok(Statement::Explain(Explain::Access, _))
    ));
    let described = parsed("EXPLAIN access");
    assert!(matches!(described, Ok(Statement::Show(Show::Columns(_)))));
    assert!(
        parsed("EXPLAIN ANALYZE ACCESS SELECT 1")
            .is_err_and(|e| e == "WEFT-UNSUPPORTED: EXPLAIN ACCESS does not run the query")
    );
    assert!(parsed("EXPLAIN ACCESS DROP TABLE t").is_err());
    assert!(parsed("EXPLAIN SHOW GRANTS").is_err());
}

#[test]
fn words_of_statements_about_rights_are_names_elsewhere() {
    let without_rights = |sql: &str| {
        let dialect = GenericDialect {};
        let parser = Parser::new(&dialect).with_recursion_limit(RECURSION);
        let mut parser = parser.try_with_sql(sql).map_err(parse_error)?;
        convert(parser.parse_statement().map_err(parse_error)?)
    };
    for sql in [
        "SELECT * FROM grants",
        "SELECT grant, revoke, request, approve, reject FROM request",
        "SELECT access FROM access.grants.receipts access WHERE purpose = 'x' LIMIT 5",
        "WITH requests AS (SELECT 1) SELECT * FROM requests",
        "SELECT mask, keys, flow, until, because FROM effective AS product",
        "FROM grants SELECT *",
        "VALUES (1)",
        "EXPLAIN SELECT * FROM access",
        "EXPLAIN ANALYZE SELECT * FROM access",
        "EXPLAIN access",
        "EXPLAIN grants",
        "DESCRIBE requests",
        "DESC receipts",
        "USE grants",
        "USE request.access",
        "SHOW TABLES",
        "SHOW TABLES FROM grants",
        "SHOW TABLES IN sales.requests",
        "SHOW SCHEMAS",
        "SHOW SCHEMAS FROM receipts",
        "SHOW CATALOGS",
        "SHOW DATABASES",
        "SHOW COLUMNS FROM grants",
        "SHOW COLUMNS IN effective.access.requests",
        "SET grants = 1",
        "SET access.purpose = 'fraud'",
    ] {
        let before = without_rights(sql);
        assert!(before.is_ok(), "{sql}: {before:?}");
        let (before, now) = (before.expect("checked"), parse(sql, &Caps::default()));
        assert_eq!(now.expect(sql), before, "{sql}");
    }
    for name in ["grants", "requests", "effective.access.receipts"] {
        let stats = parsed(&format!("SHOW STATS FOR {name}"));
        assert!(matches!(stats, Ok(Statement::Show(Show::Statistics(_)))));
    }
}

#[test]
fn names_fold_unless_quoted() {
    assert_eq!(
        parsed("USE Sales"),
        Ok(Statement::Use(vec!["sales".to_owned()]))
    );
    let quoted = vec!["sales".to_owned(), "Orders".to_owned()];
    assert_eq!(parsed("USE sales.\"Orders\""), Ok(Statement::Use(quoted)));
}

#[test]
fn question_marks_become_numbers_but_not_inside_text() {
    let Ok(Statement::Query(query)) = parsed("SELECT ? , '?' , ?") else {
        panic!("no query")
    };
    assert_eq!(query.to_string(), "SELECT $1, '?', $2");
    assert!(parsed("SELECT ?, $1").is_err_and(|e| e.contains("mixes")));
}

#[test]
fn show_stats_takes_one_table() {
    for (sql, table) in [
        ("SHOW STATS FOR orders", "orders"),
        ("show stats for sales.orders.orders;", "sales.orders.orders"),
        ("Show Stats For sales.\"Orders\"", "sales.\"Orders\""),
    ] {
        let Ok(Statement::Show(Show::Statistics(name))) = parsed(sql) else {
            panic!("{sql}: {:?}", parsed(sql))
        };
        assert_eq!(name.to_string(), table);
    }
    for sql in [
        "SHOW STATS",
        "SHOW STATS orders",
        "SHOW STATS FOR",
        "SHOW STATS FOR (SELECT 1)",
        "SHOW STATS FOR a b",
    ] {
        let refused = parsed(sql);
        assert!(
            refused
                .as_ref()
                .is_err_and(|e| e.starts_with("WEFT-SYNTAX")),
            "{sql}: {refused:?}"
        );
    }
}

#[test]
fn writing_statements_are_refused() {
    for sql in [
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO t VALUES (1)",
    ] {
        assert!(
            parsed(sql).is_err_and(|e| e.starts_with("WEFT-UNSUPPORTED")),
            "{sql}"
        );
    }
}

#[test]
fn long_chains_and_deep_nesting_are_refused_before_parsing() {
    let chain = vec!["a = 1"; 1_100].join(" AND ");
    assert!(parsed(&format!("SELECT 1 WHERE {chain}")).is_err_and(|e| e.contains("chained")));
    let deep = format!("SELECT {}1{}", "(".repeat(3_000), ")".repeat(3_000));
    assert!(parsed(&deep).is_err_and(|e| e.starts_with("WEFT-TOO-COMPLEX")));
    let nots = format!("SELECT {} true", "NOT ".repeat(3_000));
    assert!(parsed(&nots).is_err_and(|e| e.starts_with("WEFT-TOO-COMPLEX")));
}
