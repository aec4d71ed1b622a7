//! Other ways to the same rows: what was prepared, announced or signed in before or by somebody else,
//! and statements that are no queries.

use arrow_flight::Ticket;
use futures::TryStreamExt;
use harness::{Client, Failure, Mesh, Rows, run};
use weft_governance::code;

use super::people::{Cases, lines, mesh};

const SQL: &str = "SELECT id, note FROM crm.people.person ORDER BY id";
const GRANT: &str = "GRANT SELECT ON PRODUCT crm.people TO USER outsider";

async fn change(mesh: &Mesh, owner: &mut Client, sql: &str) -> String {
    let answer = owner.query(sql).await.expect("changed");
    let epoch = mesh.node("crm").epoch();
    mesh.wait_for("crm", |entry| entry.epoch >= epoch).await;
    lines(&answer).concat()
}

async fn doors(mesh: &Mesh, user: &str) -> [(&'static str, Client); 2] {
    [
        ("the coordinator", mesh.sign_in(user).await),
        ("the node", mesh.sign_in_at("crm", user).await),
    ]
}

async fn fetched(client: &mut Client, ticket: &Ticket) -> Result<Rows, Failure> {
    let rows = client.fetch(ticket.clone()).await?;
    let batches: Vec<_> = rows.try_collect().await?;
    Ok(Rows::of(&batches))
}

#[test]
fn what_was_prepared_under_a_right_ends_with_it() {
    run(async {
        let mesh = mesh().await;
        let mut owner = mesh.sign_in_at("crm", "crm_owner").await;
        let id = change(&mesh, &mut owner, GRANT).await;
        let mut held = Vec::new();
        for (door, mut client) in doors(&mesh, "outsider").await {
            let prepared = client.prepare(SQL).await.expect("granted");
            let rows = client.run_prepared(&prepared).await.expect("granted");
            assert_eq!(rows.len(), 5, "the control: {door}");
            let tickets = [
                client.announce(SQL).await.expect("granted"),
                client.announce(SQL).await.expect("granted"),
            ];
            held.push((door, client, prepared, tickets));
        }
        change(&mesh, &mut owner, &format!("REVOKE GRANT '{id}'")).await;
        let mut cases = Cases::default();
        let narrow = "GRANT SELECT (id, note) ON TABLE crm.people.person TO USER outsider \
             WHERE id = 1 MASK (note WITH 'replace-with-null')";
        let gone = [code::NOT_GRANTED, code::NOT_FOUND, code::PLAN];
        for (door, client, prepared, [ticket, _]) in &mut held {
            let answer = client.run_prepared(prepared).await;
            cases.refused(&format!("a prepared statement at {door}"), &gone, answer);
            let answer = door_of(&mesh, door, "outsider")
                .await
                .run_prepared(prepared)
                .await;
            let name = format!("a prepared statement in another session at {door}");
            cases.refused(&name, &gone, answer);
            let answer = fetched(client, ticket).await;
            cases.refused(&format!("a ticket at {door}"), &gone, answer);
        }
        change(&mesh, &mut owner, narrow).await;
        for (door, client, prepared, [_, ticket]) in &mut held {
            let answer = client.run_prepared(prepared).await;
            cases.tells(
                &format!("a prepared statement under a narrower right at {door}"),
                &["1 NULL"],
                answer,
            );
            let answer = door_of(&mesh, door, "outsider")
                .await
                .run_prepared(prepared)
                .await;
            cases.tells(
                &format!("the same in another session at {door}"),
                &["1 NULL"],
                answer,
            );
            let answer = fetched(client, ticket).await;
            cases.tells(
                &format!("a ticket under a narrower right at {door}"),
                &["1 NULL"],
                answer,
            );
        }
        cases.withstood();
    });
}

#[test]
fn what_one_session_has_is_of_no_use_in_another() {
    run(async {
        let mesh = mesh().await;
        let mut cases = Cases::default();
        let foreign = [
            code::NOT_FOUND,
            code::UNAUTHENTICATED,
            code::PROTOCOL,
            code::NOT_GRANTED,
            code::SYNTAX,
        ];
        for (door, mut admin) in doors(&mesh, "admin").await {
            for (who, mut thief) in [
                (
                    "somebody without rights",
                    door_of(&mesh, door, "outsider").await,
                ),
                (
                    "somebody with fewer rights",
                    door_of(&mesh, door, "analyst").await,
                ),
            ] {
                let prepared = admin.prepare(SQL).await.expect("granted");
                let ticket = admin.announce(SQL).await.expect("granted");
                let answer = thief.run_prepared(&prepared).await;
                cases.refused(
                    &format!("a prepared statement, run by {who} at {door}"),
                    &foreign,
                    answer,
                );
                let answer = match thief.fetch(ticket.clone()).await {
                    Ok(rows) => rows
                        .try_collect::<Vec<_>>()
                        .await
                        .map(|it| harness::Rows::of(&it)),
                    Err(error) => Err(error),
                };
                cases.refused(
                    &format!("a ticket, shown by {who} at {door}"),
                    &foreign,
                    answer,
                );
                let other = &mut door_of(&mesh, door, "admin").await;
                for own in [&mut admin, other] {
                    let control = own.run_prepared(&prepared).await.expect("its own");
                    assert_eq!(control.len(), 5, "the control");
                }
            }
        }
        // A session at one server is none at another.
        let [(_, far), (_, near)] = doors(&mesh, "admin").await;
        let answer = mesh.bring_to("crm", far.bearer()).await.query(SQL).await;
        cases.refused("a session of the coordinator at the node", &foreign, answer);
        let answer = mesh.bring(near.bearer()).await.query(SQL).await;
        cases.refused("a session of the node at the coordinator", &foreign, answer);
        cases.withstood();
    });
}

async fn door_of(mesh: &Mesh, door: &str, user: &str) -> Client {
    match door {
        "the node" => mesh.sign_in_at("crm", user).await,
        _ => mesh.sign_in(user).await,
    }
}

#[test]
fn nothing_but_queries_over_granted_tables_reads_anything() {
    run(async {
        let mesh = mesh().await;
        let secret = mesh.folder().join("secret.csv");
        std::fs::write(&secret, "a\nSECRET\n").expect("a file");
        let path = secret.display();
        let target = mesh.folder().join("stolen.csv");
        let mut cases = Cases::default();
        let mut statements = vec![
            format!("SELECT * FROM '{path}'"),
            format!("SELECT * FROM \"{path}\""),
            format!("SELECT * FROM read_csv('{path}')"),
            format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{path}'"),
            format!("COPY (SELECT 1) TO '{}'", target.display()),
            "COPY crm.people.person TO 'x.csv'".to_owned(),
        ];
        statements.extend(
            [
                "CREATE VIEW v AS SELECT note FROM crm.people.person",
                "CREATE TABLE t AS SELECT note FROM crm.people.person",
                "INSERT INTO crm.people.person SELECT * FROM crm.people.person",
                "DELETE FROM crm.people.person",
                "UPDATE crm.people.person SET country = 'DE'",
                "DROP TABLE crm.people.person",
                "PREPARE p AS SELECT note FROM crm.people.person",
                "SELECT 1; SELECT note FROM crm.people.person",
                "SET datafusion.catalog.information_schema = true",
                "SELECT * FROM information_schema.tables",
                "SELECT * FROM information_schema.columns",
                "SELECT principal_attribute('country') FROM crm.people.person",
                "SELECT * FROM generate_series(1, 10)",
                "SELECT count(*) FROM crm.people.missing",
                "SELECT count(*) FROM sales.orders.closed",
            ]
            .map(str::to_owned),
        );
        let codes = [
            code::UNSUPPORTED,
            code::SYNTAX,
            code::NOT_FOUND,
            code::PLAN,
            code::SETTINGS,
            code::NOT_GRANTED,
        ];
        for (door, mut analyst) in doors(&mesh, "analyst").await {
            for sql in &statements {
                let answer = analyst.query(sql).await;
                cases.refused(&format!("{sql} at {door}"), &codes, answer);
            }
            let answer = analyst
                .query("SELECT count(*) AS n FROM crm.people.person")
                .await;
            cases.tells(&format!("control at {door}"), &["2"], answer);
        }
        assert!(!target.exists());
        cases.withstood();
    });
}

/// Queries of others are nobody's business.
#[test]
fn what_others_asked_does_not_show() {
    run(async {
        let mesh = mesh().await;
        let mut admin = mesh.sign_in("admin").await;
        let mut analyst = mesh.sign_in("analyst").await;
        admin.query(SQL).await.expect("granted");
        for table in ["system.runtime.queries", "system.runtime.flows"] {
            let sql = format!("SELECT query_id FROM {table}");
            let own = admin.query(&sql).await.expect("own");
            let own: Vec<&str> = own.column("query_id");
            assert!(!own.is_empty(), "the control: {table}");
            let seen = analyst.query(&sql).await.expect("own");
            if !seen.is_empty() {
                let seen = seen.column("query_id");
                assert!(own.iter().all(|id| !seen.contains(id)), "{table}");
            }
        }
    });
}
