//! Rights that owners give and take in SQL, at their own node.

mod access;
mod aggregates;
mod events;
mod limits;
mod receipts;

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use harness::{Client, Mesh, MeshOptions, Published, grant, node_id, run};
use weft_governance::{ErrorKind, Timestamp, code};

const ORDERS: Published<'static> = Published {
    domain: "sales",
    product: "orders",
    tables: &[
        (
            "o",
            &[
                ("id", "integer", "bigint"),
                ("status", "string", "varchar"),
                ("clerk", "string", "varchar"),
            ],
            "1,F,ann\n2,F,bob\n3,O,cyd",
        ),
        (
            "n",
            &[("id", "integer", "bigint")],
            "1\n2\n3\n4\n5\n6\n7\n8\n9\n10",
        ),
    ],
};

/// More rows than wait anywhere for a reader.
const MANY: &str = "SELECT a.id FROM sales.orders.n a CROSS JOIN sales.orders.n b CROSS JOIN \
    sales.orders.n c CROSS JOIN sales.orders.n d CROSS JOIN sales.orders.n e CROSS JOIN \
    sales.orders.n f CROSS JOIN sales.orders.n g";

async fn mesh() -> Mesh {
    let mut options = MeshOptions::empty();
    let groups = vec!["sales-owners".to_owned()];
    options.users.push(("owner".to_owned(), groups));
    Mesh::publish_with(options, &[ORDERS], Vec::new()).await
}

/// Changes a right, and waits until the coordinator has heard of it.
async fn change(mesh: &Mesh, owner: &mut Client, sql: &str) -> String {
    let answer = owner.query(sql).await.expect("changed");
    let epoch = mesh.node("sales").epoch();
    mesh.wait_for("sales", |entry| entry.epoch >= epoch).await;
    answer
        .rows()
        .first()
        .map(|row| row.concat())
        .unwrap_or_default()
}

fn lines(rows: &harness::Rows) -> Vec<String> {
    rows.rows().iter().map(|row| row.join(" ")).collect()
}

#[test]
fn an_owner_gives_a_right_and_takes_it_back() {
    run(async {
        let mut mesh = mesh().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "SELECT id, clerk FROM sales.orders.o ORDER BY id";
        let refused = analyst.error(sql).await;
        assert_eq!(refused.code(), code::NOT_GRANTED, "{refused}");

        let id = change(
            &mesh,
            &mut owner,
            "GRANT SELECT (id, clerk) ON TABLE sales.orders.o TO GROUP analysts \
             WHERE status = 'F' MASK (clerk WITH 'replace-with-null') KEYS BLOOM FLOW TO DOMAIN crm",
        )
        .await;
        let shown = ["1 NULL", "2 NULL"];
        assert_eq!(lines(&analyst.query(sql).await.expect("granted")), shown);
        let mut direct = mesh.sign_in_at("sales", "analyst").await;
        assert_eq!(lines(&direct.query(sql).await.expect("granted")), shown);
        let refused = analyst.error("SELECT status FROM sales.orders.o").await;
        assert_eq!(refused.code(), code::PLAN, "{refused}");

        // What was given outlives the node.
        mesh.kill_node("sales");
        mesh.start_node("sales").await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let mut analyst = mesh.sign_in("analyst").await;
        assert_eq!(lines(&analyst.query(sql).await.expect("granted")), shown);
        let grants = owner.query("SHOW GRANTS ON TABLE sales.orders.o").await;
        assert_eq!(
            lines(&grants.expect("grants")),
            [format!(
                "{id} sales.orders.o group analysts clerk, id status = 'F' \
                 clerk: replace-with-null NULL NULL NULL bloom crm NULL"
            )]
        );

        change(&mesh, &mut owner, &format!("REVOKE GRANT '{id}'")).await;
        let refused = analyst.error(sql).await;
        assert_eq!(refused.code(), code::NOT_GRANTED, "{refused}");
        mesh.kill_node("sales");
        mesh.start_node("sales").await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        assert!(owner.query("SHOW GRANTS").await.expect("none").is_empty());
        let gone = owner.error(&format!("REVOKE GRANT '{id}'")).await;
        assert_eq!(gone.code(), code::NOT_FOUND, "{gone}");
    });
}

#[test]
fn only_an_owner_changes_rights_and_only_at_the_own_node() {
    run(async {
        let mesh = mesh().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let give = "GRANT SELECT ON PRODUCT sales.orders TO USER analyst";
        let mut analyst = mesh.sign_in_at("sales", "analyst").await;
        for sql in [give, "REVOKE GRANT 'config-1'"] {
            let refused = analyst.error(sql).await;
            assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
        }
        let mut far = mesh.sign_in("owner").await;
        for sql in [give, "REVOKE GRANT 'x'", "SHOW GRANTS"] {
            let refused = far.error(sql).await;
            assert_eq!(refused.code(), code::UNSUPPORTED, "{refused}");
        }
        let log = weft_ledger::Ledger::open(&mesh.ledger("sales")).expect("log");
        let denied = log.read_of(&[weft_ledger::EventKind::Denied]);
        let denied = denied.expect("records");
        let who = denied.iter().map(|it| it.event.principal.as_deref());
        assert_eq!(who.collect::<Vec<_>>(), [Some("analyst"), Some("analyst")]);

        // Holders see their own grants, others none.
        change(&mesh, &mut owner, give).await;
        let rows = |client: Client| async {
            let mut client = client;
            client.query("SHOW GRANTS").await.expect("grants").len()
        };
        assert_eq!(rows(owner).await, 2, "one for each table");
        assert_eq!(rows(analyst).await, 2);
        assert_eq!(rows(mesh.sign_in_at("sales", "outsider").await).await, 0);
    });
}

#[test]
fn a_right_that_cannot_be_enforced_is_not_given() {
    run(async {
        let mesh = mesh().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        for (sql, code) in [
            ("GRANT SELECT ON PRODUCT crm.people TO USER ann", code::PLAN),
            (
                "GRANT SELECT ON PRODUCT sales.order TO USER ann",
                code::NOT_FOUND,
            ),
            (
                "GRANT SELECT ON TABLE sales.orders.x TO USER ann",
                code::NOT_FOUND,
            ),
            (
                "GRANT SELECT (clark) ON TABLE sales.orders.o TO USER ann",
                code::NOT_FOUND,
            ),
            (
                "GRANT SELECT ON TABLE sales.orders.o TO USER ann MASK (id WITH 'show-last-4')",
                code::SETTINGS,
            ),
            (
                "GRANT SELECT ON TABLE sales.orders.o TO USER ann WHERE id / 0 = 1",
                code::SETTINGS,
            ),
            (
                "GRANT SELECT ON TABLE sales.orders.o TO USER ann WHERE CAST(clerk AS BIGINT) = 1",
                code::SETTINGS,
            ),
            (
                "GRANT SELECT ON TABLE sales.orders.o TO USER ann WHERE nothing = 1",
                code::SETTINGS,
            ),
        ] {
            let refused = owner.error(sql).await;
            assert_eq!(refused.code(), code, "{sql}: {refused}");
        }
        assert!(owner.query("SHOW GRANTS").await.expect("none").is_empty());
    });
}

#[test]
fn a_right_holds_for_its_purposes_and_in_its_time_alone() {
    run(async {
        let mesh = mesh().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let until = Timestamp::from(SystemTime::now() + Duration::from_secs(3));
        let give = format!(
            "GRANT SELECT ON TABLE sales.orders.n TO USER analyst FOR PURPOSE 'fraud' UNTIL '{until}'"
        );
        change(&mesh, &mut owner, &give).await;
        let later = "GRANT SELECT ON TABLE sales.orders.o TO USER analyst FROM '2200-01-01'";
        change(&mesh, &mut owner, later).await;
        let sql = "SELECT count(*) FROM sales.orders.n";
        let mut far = mesh.sign_in("analyst").await;
        let mut near = mesh.sign_in_at("sales", "analyst").await;
        for client in [&mut far, &mut near] {
            client.error(sql).await;
            client
                .query("SET weft.purpose = 'forecasting'")
                .await
                .expect("set");
            client.error(sql).await;
            client
                .query("SET weft.purpose = 'fraud'")
                .await
                .expect("set");
            assert_eq!(client.value(sql).await, "10");
            client.error("SELECT count(*) FROM sales.orders.o").await;
        }
        while near.query(sql).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        far.error(sql).await;
    });
}

#[test]
fn rows_end_when_the_right_to_them_does() {
    run(async {
        let mesh = mesh().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let give = "GRANT SELECT ON TABLE sales.orders.n TO USER analyst";
        let kept = change(&mesh, &mut owner, give).await;
        let again = change(&mesh, &mut owner, give).await;
        let mut far = mesh.sign_in("analyst").await;
        let mut near = mesh.sign_in_at("sales", "analyst").await;
        for client in [&mut far, &mut near] {
            let mut rows = client.stream(MANY).await.expect("starts");
            rows.try_next().await.expect("rows").expect("rows");
            // One of two grants that show the same is enough.
            let third = change(&mesh, &mut owner, give).await;
            change(&mesh, &mut owner, &format!("REVOKE GRANT '{third}'")).await;
            rows.try_next().await.expect("rows").expect("rows");
        }
        let mut running = Vec::new();
        for client in [&mut far, &mut near] {
            let mut rows = client.stream(MANY).await.expect("starts");
            rows.try_next().await.expect("rows").expect("rows");
            running.push(rows);
        }
        change(&mesh, &mut owner, &format!("REVOKE GRANT '{kept}'")).await;
        change(&mesh, &mut owner, &format!("REVOKE GRANT '{again}'")).await;
        for mut rows in running {
            let ended = loop {
                match rows.try_next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("a part of the rows passed for all"),
                    Err(error) => break error,
                }
            };
            assert_eq!(ended.code(), code::REVOKED, "{ended}");
        }
        mesh.wait_for_fragments("sales", 0).await;
    });
}

#[test]
fn what_the_configuration_grants_is_shown_and_stays() {
    run(async {
        let mut options = MeshOptions::empty();
        let groups = vec!["sales-owners".to_owned()];
        options.users.push(("owner".to_owned(), groups));
        let grants = vec![("sales", grant("analyst", "orders"))];
        let mesh = Mesh::publish_with(options, &[ORDERS], grants).await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let grants = owner
            .query("SHOW GRANTS FOR USER analyst")
            .await
            .expect("grants");
        assert_eq!(grants.column("grant_id"), ["config-1", "config-1"]);
        let refused = owner.error("REVOKE GRANT 'config-1'").await;
        assert_eq!(refused.code(), code::SETTINGS, "{refused}");
    });
}

#[test]
fn a_request_is_answered_by_an_owner_who_did_not_ask() {
    run(async {
        let mut mesh = mesh().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let mut analyst = mesh.sign_in_at("sales", "analyst").await;
        let ask = "REQUEST ACCESS TO sales.orders.o (id, clerk) FOR PURPOSE 'fraud' \
                   UNTIL '2200-01-01' BECAUSE 'a case'";
        let id = analyst.value(ask).await;
        let own = owner.value(ask).await;
        let other = analyst.value(ask).await;
        for (client, count) in [(&mut owner, 3), (&mut analyst, 2)] {
            let requests = client.query("SHOW REQUESTS").await.expect("requests");
            assert_eq!(requests.len(), count, "{requests}");
            assert!(requests.column("status").iter().all(|it| *it == "open"));
        }
        let mut outsider = mesh.sign_in_at("sales", "outsider").await;
        assert!(
            outsider
                .query("SHOW REQUESTS")
                .await
                .expect("none")
                .is_empty()
        );

        // Who did not own before does not by asking; who owns asks somebody else.
        let refused = analyst.error(&format!("APPROVE REQUEST '{id}'")).await;
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
        let refused = owner.error(&format!("APPROVE REQUEST '{own}'")).await;
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
        for wider in ["WITH (id, clerk, status)", "WITH UNTIL '2201-01-01'"] {
            let refused = owner
                .error(&format!("APPROVE REQUEST '{id}' {wider}"))
                .await;
            assert_eq!(refused.code(), code::PLAN, "{wider}: {refused}");
        }
        let narrower = format!("APPROVE REQUEST '{id}' WITH (id) WHERE status = 'F'");
        let grant = change(&mesh, &mut owner, &narrower).await;
        owner
            .query(&format!("REJECT REQUEST '{other}' BECAUSE 'one is enough'"))
            .await
            .expect("rejected");
        for closed in [&id, &other] {
            let refused = owner.error(&format!("APPROVE REQUEST '{closed}'")).await;
            assert_eq!(refused.code(), code::NOT_FOUND, "{refused}");
        }

        // All of it outlives the node.
        mesh.kill_node("sales");
        mesh.start_node("sales").await;
        let mut analyst = mesh.sign_in_at("sales", "analyst").await;
        let requests = analyst.query("SHOW REQUESTS").await.expect("requests");
        assert_eq!(requests.column("status"), ["approved", "rejected"]);
        assert_eq!(requests.column("answer"), [grant.as_str(), "one is enough"]);
        let mut far = mesh.sign_in("analyst").await;
        let sql = "SELECT id FROM sales.orders.o ORDER BY id";
        far.error(sql).await;
        far.query("SET weft.purpose = 'fraud'").await.expect("set");
        assert_eq!(lines(&far.query(sql).await.expect("granted")), ["1", "2"]);
    });
}

#[test]
fn nobody_learns_by_asking_what_there_is() {
    run(async {
        let mut options = MeshOptions::empty();
        let groups = vec!["sales-owners".to_owned()];
        options.users.push(("owner".to_owned(), groups));
        let mesh = Mesh::publish_with(options, &[ORDERS], Vec::new()).await;
        let mut analyst = mesh.sign_in_at("sales", "analyst").await;
        let why = "FOR PURPOSE 'x' UNTIL '2200-01-01' BECAUSE 'y'";
        for missing in ["sales.secret", "sales.orders.x"] {
            let refused = analyst
                .error(&format!("REQUEST ACCESS TO {missing} {why}"))
                .await;
            assert_eq!(refused.code(), code::NOT_FOUND, "{missing}: {refused}");
        }
        for _ in 0..100 {
            analyst
                .value(&format!("REQUEST ACCESS TO sales.orders {why}"))
                .await;
        }
        let refused = analyst
            .error(&format!("REQUEST ACCESS TO sales.orders {why}"))
            .await;
        assert_eq!(refused.code(), code::RESOURCES, "{refused}");
    });
}

#[test]
fn everybody_sees_the_rows_of_their_own_attribute() {
    run(async {
        let mut options = MeshOptions::empty();
        let groups = vec!["sales-owners".to_owned()];
        options.users.push(("owner".to_owned(), groups));
        for (name, status) in [("analyst", "F"), ("admin", "x' OR '1' = '1")] {
            let attributes = [("status".to_owned(), status.to_owned())];
            options
                .attributes
                .insert(name.to_owned(), attributes.into());
        }
        let mesh = Mesh::publish_with(options, &[ORDERS], Vec::new()).await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        for name in ["analyst", "admin", "outsider"] {
            let give = format!(
                "GRANT SELECT (id) ON TABLE sales.orders.o TO USER {name} \
                 WHERE status = principal_attribute('status')"
            );
            change(&mesh, &mut owner, &give).await;
        }
        let sql = "SELECT id FROM sales.orders.o ORDER BY id";
        for (name, rows) in [
            ("analyst", vec!["1", "2"]),
            ("admin", vec![]),
            ("outsider", vec![]),
        ] {
            for mut client in [
                mesh.sign_in(name).await,
                mesh.sign_in_at("sales", name).await,
            ] {
                assert_eq!(
                    lines(&client.query(sql).await.expect("granted")),
                    rows,
                    "{name}"
                );
            }
        }
        mesh.wait_for_statistics("sales").await;
        let stats = mesh
            .sign_in("analyst")
            .await
            .query("SHOW STATS FOR sales.orders.o")
            .await;
        let stats = stats.expect("an answer").to_string();
        assert!(
            !stats.contains('3'),
            "what all holders see together is nobody's: {stats}"
        );
    });
}

/// Also of what was granted after the node began to count.
#[test]
fn of_what_is_granted_in_sql_the_statistics_are_known() {
    run(async {
        let mesh = mesh().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let give = "GRANT SELECT (id, clerk) ON TABLE sales.orders.o TO USER analyst \
             WHERE status = 'F' MASK (clerk WITH 'replace-with-null')";
        change(&mesh, &mut owner, give).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "SHOW STATS FOR sales.orders.o";
        analyst.query(sql).await.expect("granted");
        mesh.wait_for_statistics("sales").await;
        let known = analyst.query(sql).await.expect("granted");
        assert_eq!(known.column("column_name"), ["id", "clerk", "NULL"]);
        assert_eq!(known.column("high_value"), ["2", "NULL", "NULL"]);
        assert_eq!(known.column("row_count"), ["NULL", "NULL", "2"]);
    });
}
