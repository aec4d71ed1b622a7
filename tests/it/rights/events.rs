//! The event logs in SQL: what servers decided and did, told to those whom it concerns.

use weft_ledger::{Event, EventKind, Ledger};

use super::*;

/// Events of a query, in the order in which they happened.
async fn told(client: &mut Client, columns: &str, condition: &str) -> Vec<String> {
    let sql = format!("SELECT {columns} FROM system.events.log WHERE {condition} ORDER BY at");
    lines(&client.query(&sql).await.expect("the log"))
}

/// Waits until the log that `client` reads has `count` events of `kind`.
async fn wait_for(client: &mut Client, kind: &str, count: usize) {
    let condition = format!("kind = '{kind}'");
    while told(client, "kind", &condition).await.len() < count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn an_owner_reads_the_log_of_the_domain_and_others_what_they_did() {
    run(async {
        let mesh = mesh().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let give =
            "GRANT SELECT (clerk, id) ON TABLE sales.orders.o TO USER analyst WHERE status = 'F'";
        let id = change(&mesh, &mut owner, give).await;
        let mut analyst = mesh.sign_in_at("sales", "analyst").await;
        let rows = analyst.query("SELECT clerk FROM sales.orders.o").await;
        assert_eq!(rows.expect("granted").len(), 2);
        let mut outsider = mesh.sign_in_at("sales", "outsider").await;
        outsider.error("SELECT id FROM sales.orders.o").await;
        wait_for(&mut owner, "finished", 1).await;

        let columns = "principal, kind, tables, columns, grants, rows";
        let table = "sales.orders.o";
        let admitted = format!("analyst admitted {table} {table} (clerk) {id} NULL");
        let finished = "analyst finished NULL NULL NULL 2";
        let about = "kind IN ('admitted', 'finished', 'denied')";
        let seen = told(&mut owner, columns, about).await;
        assert_eq!(seen[..2], [admitted.as_str(), finished], "{seen:?}");
        let own = told(&mut analyst, columns, about).await;
        assert_eq!(own, [admitted.as_str(), finished]);
        assert!(
            told(&mut outsider, columns, "principal <> 'outsider'")
                .await
                .is_empty()
        );
        assert_eq!(
            told(&mut owner, "statement", "kind = 'granted'").await,
            [give]
        );

        // What is not in a column is for owners; whose rows are filtered stands there, too.
        let hidden = "details IS NOT NULL";
        assert!(told(&mut analyst, "kind", hidden).await.is_empty());
        assert!(!told(&mut owner, "kind", hidden).await.is_empty());
        // Reading the log is in the log.
        assert!(
            !told(
                &mut owner,
                "statement",
                "kind = 'statement' AND principal = 'analyst'"
            )
            .await
            .is_empty()
        );
        // So is what tells how much others do.
        let chained = told(&mut owner, "length(hash)", "sequence = 1").await;
        assert_eq!(chained, ["64"]);
        let links = "sequence IS NOT NULL OR hash IS NOT NULL";
        assert!(told(&mut analyst, "kind", links).await.is_empty());
        let long = format!("SELECT '{}' FROM system.events.log", "x".repeat(100_000));
        analyst.query(&long).await.expect("a long statement");
        let kept = "SELECT max(length(statement)) FROM system.events.log WHERE kind = 'statement'";
        assert_eq!(analyst.value(kept).await, "4096");
    });
}

#[test]
fn a_query_is_found_by_its_id_and_the_log_is_read_by_itself() {
    run(async {
        let mesh = mesh().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let give = "GRANT SELECT ON PRODUCT sales.orders TO USER owner";
        change(&mesh, &mut owner, give).await;
        for _ in 0..3 {
            owner
                .query("SELECT id FROM sales.orders.n")
                .await
                .expect("granted");
        }
        wait_for(&mut owner, "finished", 3).await;
        let newest = "SELECT max(query_id) FROM system.events.log WHERE kind = 'finished'";
        let query = owner.value(newest).await;
        let found = told(&mut owner, "kind", &format!("query_id = '{query}'")).await;
        assert_eq!(found, ["admitted", "finished"]);
        assert!(
            told(&mut owner, "kind", "query_id = 'nonsense'")
                .await
                .is_empty()
        );
        let other = weft_governance::QueryId::generate();
        assert!(
            told(&mut owner, "kind", &format!("query_id = '{other}'"))
                .await
                .is_empty()
        );
        // As part of other queries over itself, but not beside products.
        let kinds = "WITH l AS (SELECT * FROM system.events.log) SELECT count(*) FROM l a JOIN l b \
                     ON a.sequence = b.sequence WHERE a.kind = 'finished'";
        assert_eq!(owner.value(kinds).await, "3");
        let beside = "SELECT * FROM system.events.log l, sales.orders.n n";
        let refused = owner.error(beside).await;
        assert_eq!(refused.code(), code::UNSUPPORTED, "{refused}");
        let often = vec!["SELECT kind FROM system.events.log"; 20].join(" UNION ALL ");
        let refused = owner.error(&often).await;
        assert_eq!(refused.code(), code::TOO_COMPLEX, "{refused}");
        let tables = owner.metadata().await.expect("metadata");
        assert!(
            tables
                .iter()
                .any(|it| lines(it).iter().any(|it| it.contains("events log")))
        );
    });
}

#[test]
fn a_log_of_many_pages_is_read_to_its_end() {
    run(async {
        let mut mesh = mesh().await;
        mesh.kill_node("sales");
        let ledger = Ledger::open(&mesh.ledger("sales")).expect("log");
        for number in 0..2_500 {
            ledger.append_later(Event {
                at: SystemTime::now(),
                kind: EventKind::Statement,
                principal: Some(
                    if number % 5 == 0 {
                        "analyst"
                    } else {
                        "somebody"
                    }
                    .to_owned(),
                ),
                query: None,
                fragment: None,
                details: serde_json::json!({"rows": number}),
            });
        }
        ledger.flush().await.expect("written");
        drop(ledger);
        mesh.start_node("sales").await;
        let sums = "SELECT count(rows), sum(rows) FROM system.events.log WHERE rows IS NOT NULL";
        for (who, sum) in [("owner", "2500 3123750"), ("analyst", "500 623750")] {
            let mut client = mesh.sign_in_at("sales", who).await;
            assert_eq!(
                lines(&client.query(sums).await.expect("read")),
                [sum],
                "{who}"
            );
        }
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let first = "SELECT rows FROM system.events.log WHERE rows IS NOT NULL LIMIT 3";
        assert_eq!(owner.query(first).await.expect("read").len(), 3);
    });
}

#[test]
fn a_coordinator_tells_who_asked_what_and_which_nodes_came() {
    run(async {
        let mut options = MeshOptions::empty();
        let users = [("owner", "sales-owners"), ("root", "mesh-admins")];
        options
            .users
            .extend(users.map(|(user, group)| (user.to_owned(), vec![group.to_owned()])));
        let mesh = Mesh::publish_with(options, &[ORDERS], Vec::new()).await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let give = "GRANT SELECT ON TABLE sales.orders.n TO USER analyst";
        change(&mesh, &mut owner, give).await;
        let mut analyst = mesh.sign_in("analyst").await;
        analyst
            .query("SET weft.purpose = 'fraud'")
            .await
            .expect("set");
        let mut rows = analyst
            .stream("SELECT id FROM sales.orders.n")
            .await
            .expect("starts");
        rows.try_next().await.expect("rows").expect("rows");
        // Before the first row came, it was on disk.
        let file = mesh.folder().join("coordinator/events.db");
        let asked = weft_ledger::read_of(&file, &[EventKind::Asked]).expect("log");
        let asked = asked.last().expect("written");
        assert_eq!(asked.event.principal.as_deref(), Some("analyst"));
        assert_eq!(asked.event.details["purpose"], "fraud");
        while rows.try_next().await.expect("rows").is_some() {}
        drop(rows);
        let refused = analyst.error("SELECT id FROM sales.orders.o").await;
        assert_eq!(refused.code(), code::NOT_GRANTED, "{refused}");
        wait_for(&mut analyst, "finished", 1).await;

        let about = "kind IN ('asked', 'finished', 'denied') AND (columns IS NOT NULL OR rows = 10 OR kind = 'denied')";
        let columns = "kind, purpose, columns, rows, code, principal";
        let own = told(&mut analyst, columns, about).await;
        let expected = [
            "asked fraud sales.orders.n (id) NULL NULL analyst",
            "denied NULL NULL NULL WEFT-NOT-GRANTED analyst",
            "finished NULL NULL 10 NULL analyst",
        ];
        let mut sorted = own.clone();
        sorted.sort();
        assert_eq!(sorted, expected);
        let mut root = mesh.sign_in("root").await;
        assert!(
            told(&mut root, columns, about)
                .await
                .iter()
                .any(|it| expected.contains(&it.as_str()))
        );
        assert_eq!(
            told(&mut root, "server", "kind = 'registered'").await,
            ["coordinator/main"]
        );
        assert!(
            told(
                &mut analyst,
                "kind",
                "principal IS NULL OR principal <> 'analyst'"
            )
            .await
            .is_empty()
        );
        let mut outsider = mesh.sign_in("outsider").await;
        assert!(
            told(&mut outsider, "kind", "principal <> 'outsider'")
                .await
                .is_empty()
        );
    });
}

#[test]
fn nobody_gives_rights_by_writing_into_the_log() {
    run(async {
        let mut mesh = mesh().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let give = "GRANT SELECT (id) ON TABLE sales.orders.o TO USER analyst";
        change(&mesh, &mut owner, give).await;
        let taken = "GRANT SELECT (clerk) ON TABLE sales.orders.o TO USER analyst";
        let taken = change(&mesh, &mut owner, taken).await;
        change(&mesh, &mut owner, &format!("REVOKE GRANT '{taken}'")).await;
        drop(owner);
        mesh.kill_node("sales");
        let file = mesh.ledger("sales");
        let granted = weft_ledger::read_of(&file, &[EventKind::Granted]).expect("records");
        let genuine = granted.first().expect("granted").event.clone();
        let text = genuine.details.to_string();
        mesh.start_node("sales").await;
        let mut analyst = mesh.sign_in_at("sales", "analyst").await;
        let rows = analyst.query("SELECT id FROM sales.orders.o").await;
        assert_eq!(rows.expect("granted").len(), 3);
        drop(analyst);
        mesh.kill_node("sales");
        let forged = Event {
            details: serde_json::from_str(&text.replace("\"analyst\"", "\"outsider\""))
                .expect("JSON"),
            ..genuine
        };
        let ledger = Ledger::open(&file).expect("log");
        ledger.append(forged).await.expect("written");
        drop(ledger);
        let refused = mesh.try_to_start_node("sales").await;
        let refused = refused.expect_err("a node that was told a lie");
        assert_eq!(refused.code(), code::NOT_AUDITED, "{refused}");
        assert!(refused.message().contains("has not signed"), "{refused}");
    });
}
