//! What whoever runs a mesh sees of it and does with it.

use std::time::Duration;

use futures::StreamExt;
use harness::{Client, Mesh, MeshOptions, Published, end_of, grant, operations, reading, run};
use weft_coordinator::QueryLimits;
use weft_governance::{ErrorKind, code};

/// A mesh with a table whose square nobody waits for, and one of more bytes than all queues hold.
async fn mesh(query_limits: QueryLimits) -> Mesh {
    let ids: Vec<String> = (0..100_000).map(|id| id.to_string()).collect();
    let lines: Vec<String> = (0..60_000).map(|id| format!("{id},{id:01000}")).collect();
    let numbers = Published {
        domain: "sales",
        product: "numbers",
        tables: &[
            ("t", &[("id", "integer", "bigint")], &ids.join("\n")),
            (
                "wide",
                &[("id", "integer", "bigint"), ("text", "string", "varchar")],
                &lines.join("\n"),
            ),
        ],
    };
    let mut options = MeshOptions {
        query_limits,
        ..MeshOptions::empty()
    };
    let somebody = ("bystander".to_owned(), Vec::new());
    options.users.push(somebody);
    let grants = ["analyst", "bystander"].map(|user| ("sales", grant(user, "numbers")));
    Mesh::publish_with(options, &[numbers], grants.to_vec()).await
}

const ENDLESS: &str =
    "SELECT count(*) FROM sales.numbers.t a, sales.numbers.t b WHERE a.id + b.id < 0";
const LARGE: &str = "SELECT id, text FROM sales.numbers.wide";

/// The id of the one query that runs beside the one that asks.
async fn running(client: &mut Client) -> String {
    client
        .value(
            "SELECT query_id FROM system.runtime.queries WHERE fragments > 0 AND state = 'running'",
        )
        .await
}

#[test]
fn servers_say_whether_they_are_ready_and_show_no_name() {
    run(async {
        let mesh = mesh(QueryLimits::default()).await;
        let coordinator = mesh.coordinator.operations_address().expect("listens");
        let node = mesh.node("sales").operations_address().expect("listens");
        let mut analyst = mesh.sign_in("analyst").await;
        let counted = analyst.value("SELECT count(*) FROM sales.numbers.t").await;
        assert_eq!(counted, "100000");
        for (server, checks) in [
            (coordinator, ["accepting", "authority", "nodes"].as_slice()),
            (
                node,
                &["accepting", "authority", "log", "policy", "registered"],
            ),
        ] {
            assert_eq!(operations(server, "/healthz").await.0, 200);
            let (status, said) = operations(server, "/readyz").await;
            assert_eq!(status, 200, "{said}");
            for check in checks {
                assert!(
                    said.contains(&format!("\"{check}\":true")),
                    "{check}: {said}"
                );
            }
            let (_, metrics) = operations(server, "/metrics").await;
            for name in ["analyst", "sales", "numbers", "SELECT"] {
                assert!(!metrics.contains(name), "{name} in\n{metrics}");
            }
        }
        assert_eq!(
            reading(coordinator, "weft_queries_total{state=\"finished\"}").await,
            1
        );
        assert_eq!(reading(coordinator, "weft_result_rows_total").await, 1);
        assert_eq!(reading(coordinator, "weft_nodes{status=\"up\"}").await, 1);
        assert!(reading(coordinator, "weft_boundary_bytes_total{form=\"rows\"}").await > 0);
        assert!(reading(node, "weft_fragments_total").await > 0);
        assert!(reading(node, "weft_events_total").await > 0);
        let refused = analyst.error("SELECT nope FROM sales.numbers.t").await;
        let failed = format!("weft_calls_failed_total{{code=\"{}\"}}", refused.code());
        assert!(reading(coordinator, &failed).await > 0);
        mesh.wait_until_idle().await;
    });
}

#[test]
fn a_killed_query_ends_everywhere_and_its_reader_is_told() {
    run(async {
        let mesh = mesh(QueryLimits::default()).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let mut admin = mesh.sign_in("admin").await;
        for by_admin in [false, true] {
            let mut rows = analyst.stream(ENDLESS).await.expect("starts");
            let (_, waited) = tokio::join!(
                mesh.wait_for_fragments("sales", 1),
                tokio::time::timeout(Duration::from_millis(300), rows.next()),
            );
            assert!(waited.is_err(), "the control: it computes");
            let mut other = mesh.sign_in("analyst").await;
            let kill = format!("KILL QUERY '{}'", running(&mut other).await);
            let mut outsider = mesh.sign_in("outsider").await;
            let refused = outsider.error(&kill).await;
            assert_eq!(refused.code(), code::NOT_FOUND, "{refused}");
            let by = if by_admin { &mut admin } else { &mut other };
            by.query(&kill).await.expect("ended");
            let told = end_of(rows).await;
            assert_eq!(
                (told.kind(), told.code()),
                (ErrorKind::Cancelled, code::CANCELLED)
            );
            assert!(told.hint().is_some(), "{told}");
            mesh.wait_until_idle().await;
            let again = by.error(&kill).await;
            assert_eq!(again.code(), code::NOT_FOUND, "it is over: {again}");
        }
        let malformed = analyst.error("KILL QUERY 'all'").await;
        assert_eq!(malformed.code(), code::SYNTAX);
    });
}

#[test]
fn a_query_ends_although_nobody_reads_its_rows() {
    run(async {
        let mesh = mesh(QueryLimits {
            deadline: Duration::from_secs(2),
            ..QueryLimits::default()
        })
        .await;
        let mut analyst = mesh.sign_in("analyst").await;
        let mut rows = analyst.stream(LARGE).await.expect("starts");
        rows.next().await.expect("a batch").expect("rows");
        let mut other = mesh.sign_in("analyst").await;
        let kill = format!("KILL QUERY '{}'", running(&mut other).await);
        other.query(&kill).await.expect("ended");
        mesh.wait_until_idle().await;
        assert_eq!(end_of(rows).await.code(), code::CANCELLED);

        let mut rows = analyst.stream(LARGE).await.expect("starts");
        rows.next().await.expect("a batch").expect("rows");
        mesh.wait_until_idle().await;
        assert_eq!(end_of(rows).await.code(), code::DEADLINE);
    });
}

#[test]
fn at_capacity_queries_wait_or_are_refused_and_operators_are_answered() {
    run(async {
        let mesh = mesh(QueryLimits {
            max_concurrent: 1,
            max_per_principal: 1,
            queue: 1,
            ..QueryLimits::default()
        })
        .await;
        let coordinator = mesh.coordinator.operations_address().expect("listens");
        let (mut analyst, mut other) =
            (mesh.sign_in("analyst").await, mesh.sign_in("analyst").await);
        let mut endless = analyst.stream(ENDLESS).await.expect("starts");
        let (_, waited) = tokio::join!(
            mesh.wait_for_fragments("sales", 1),
            tokio::time::timeout(Duration::from_millis(300), endless.next()),
        );
        assert!(waited.is_err(), "the control: it computes");
        let waiting = tokio::spawn(async move { other.query("SELECT 1").await });
        while reading(coordinator, "weft_queries_queued").await == 0 {}
        let mut third = mesh.sign_in("analyst").await;
        let refused = third.error("SELECT 2").await;
        assert_eq!(
            (refused.kind(), refused.code()),
            (ErrorKind::ResourceExhausted, code::RESOURCES)
        );
        assert!(
            refused.retries_after().is_some() && refused.hint().is_some(),
            "{refused}"
        );
        assert_eq!(operations(coordinator, "/healthz").await.0, 200);
        assert_eq!(operations(coordinator, "/readyz").await.0, 200);
        // One who waits for less than others gets a turn: the last of the others gives way.
        let mut bystander = mesh.sign_in("bystander").await;
        assert!(
            bystander.query("SELECT 3").await.is_err(),
            "one waits, and one is as many"
        );
        let mut admin = mesh.sign_in("admin").await;
        let ids = "SELECT query_id FROM system.runtime.queries";
        admin
            .query(ids)
            .await
            .expect("whoever runs the mesh sees what runs");
        drop(endless);
        waiting.await.expect("no panic").expect("its turn came");
        mesh.wait_until_idle().await;
    });
}

#[test]
fn answers_are_bounded_in_rows_and_bytes() {
    run(async {
        let mesh = mesh(QueryLimits {
            result_rows: 50_000,
            result_bytes: 4 << 20,
            ..QueryLimits::default()
        })
        .await;
        let mut analyst = mesh.sign_in("analyst").await;
        for (sql, names) in [
            ("SELECT id FROM sales.numbers.t", "50000 rows"),
            (LARGE, "4194304 bytes"),
        ] {
            let refused = analyst.error(sql).await;
            assert_eq!(refused.code(), code::RESOURCES, "{sql}: {refused}");
            assert!(refused.message().contains(names), "{sql}: {refused}");
            assert!(
                refused
                    .hint()
                    .is_some_and(|hint| hint.contains("limits.result_"))
            );
        }
        let few = analyst
            .query("SELECT id FROM sales.numbers.t WHERE id < 50000")
            .await;
        few.expect("as many as are allowed");
        mesh.wait_until_idle().await;
    });
}

#[test]
fn one_query_takes_no_more_memory_than_its_share() {
    run(async {
        let mesh = mesh(QueryLimits {
            query_memory: 1 << 20,
            query_spill: 1 << 20,
            ..QueryLimits::default()
        })
        .await;
        let mut analyst = mesh.sign_in("analyst").await;
        let refused = analyst
            .error("SELECT count(DISTINCT x) FROM (SELECT a.x || b.x AS x FROM (SELECT unnest(range(2000))::varchar AS x) a, (SELECT unnest(range(500))::varchar AS x) b) c")
            .await;
        assert_eq!(refused.code(), code::RESOURCES, "{refused}");
        let counted = analyst.value("SELECT count(*) FROM sales.numbers.t").await;
        assert_eq!(counted, "100000", "others go on");
        mesh.wait_until_idle().await;
    });
}

#[test]
fn everybody_sees_their_own_sessions_and_queries_and_an_administrator_all() {
    run(async {
        let mesh = mesh(QueryLimits::default()).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let mut admin = mesh.sign_in("admin").await;
        analyst.value("SELECT count(*) FROM sales.numbers.t").await;
        let sessions =
            "SELECT string_agg(principal, ' ' ORDER BY principal) FROM system.runtime.sessions";
        assert_eq!(analyst.value(sessions).await, "analyst");
        assert_eq!(admin.value(sessions).await, "admin analyst");
        drop(mesh.sign_in("bystander").await);
        let fragments =
            "SELECT DISTINCT domain || ' ' || state FROM system.runtime.fragments WHERE rows > 0";
        assert_eq!(analyst.value(fragments).await, "sales finished");
        assert_eq!(admin.value(fragments).await, "sales finished");
        let mut outsider = mesh.sign_in("outsider").await;
        for table in ["fragments", "queries", "flows"] {
            let own =
                format!("SELECT count(*) FROM system.runtime.{table} WHERE query_id IS NOT NULL");
            let none: u64 = outsider.value(&own).await.parse().expect("a number");
            assert!(none <= 3, "{table}: the outsider's own alone");
        }
        let principals = "SELECT DISTINCT principal FROM system.runtime.queries";
        assert_eq!(outsider.value(principals).await, "outsider");
    });
}

#[test]
fn a_coordinator_that_stops_lets_what_runs_end_and_takes_nothing_new() {
    run(async {
        let mut options = MeshOptions::empty();
        options.door.drain = Duration::from_secs(30);
        let lines: Vec<String> = (0..60_000).map(|id| format!("{id},{id:01000}")).collect();
        let wide = Published {
            domain: "sales",
            product: "numbers",
            tables: &[(
                "wide",
                &[("id", "integer", "bigint"), ("text", "string", "varchar")],
                &lines.join("\n"),
            )],
        };
        let grants = vec![("sales", grant("analyst", "numbers"))];
        let mesh = Mesh::publish_with(options, &[wide], grants).await;
        let operators = mesh.coordinator.operations_address().expect("listens");
        let (mut analyst, mut late) =
            (mesh.sign_in("analyst").await, mesh.sign_in("analyst").await);
        let mut rows = analyst.stream(LARGE).await.expect("starts");
        let first = rows
            .next()
            .await
            .expect("a batch")
            .expect("rows")
            .num_rows();
        let Mesh { coordinator, .. } = mesh;
        let stopping = tokio::spawn(coordinator.stop());
        while operations(operators, "/readyz").await.0 != 503 {}
        assert_eq!(operations(operators, "/healthz").await.0, 200, "it lives");
        let refused = late.error("SELECT 1").await;
        assert_eq!(
            (refused.kind(), refused.code()),
            (ErrorKind::Unavailable, code::STOPPING)
        );
        assert!(
            refused.retries_after().is_some() && refused.hint().is_some(),
            "{refused}"
        );
        let mut seen = first;
        while let Some(batch) = rows.next().await {
            seen += batch.expect("what runs goes on").num_rows();
        }
        assert_eq!(seen, 60_000);
        stopping.await.expect("stopped");
    });
}
