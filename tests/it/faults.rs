//! Nodes that go away and come back.

use std::time::Duration;

use futures::StreamExt;
use harness::{Mesh, MeshOptions, Published, grant, run, wide_table};
use weft_coordinator::QueryLimits;
use weft_governance::{ErrorKind, code};

const SALES: Published<'static> = Published {
    domain: "sales",
    product: "orders",
    tables: &[("t", &[("id", "integer", "bigint")], "1\n2\n3")],
};

#[test]
fn a_node_that_goes_away_is_named_and_comes_back_by_itself() {
    run(async {
        let mut mesh = Mesh::publish(&[SALES], vec![("sales", grant("analyst", "orders"))]).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "SELECT count(*) FROM sales.orders.t";
        assert_eq!(analyst.value(sql).await, "3");
        mesh.kill_node("sales");
        mesh.wait_for("sales", |node| !node.is_up()).await;
        let error = analyst.error(sql).await;
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Unavailable, code::DOMAIN_UNAVAILABLE)
        );
        assert_eq!(
            error.domain().map(|domain| domain.as_str()),
            Some("sales"),
            "{error}"
        );
        let status = "SELECT status FROM system.runtime.nodes";
        assert_eq!(analyst.value(status).await, "unreachable");
        mesh.start_node("sales").await;
        assert_eq!(analyst.value(sql).await, "3");
        assert_eq!(analyst.value(status).await, "up");
    });
}

/// Rows of more bytes than all windows and queues on the way hold together.
const WIDE: usize = 120_000;

#[test]
fn a_query_that_is_given_up_is_cancelled_at_the_coordinator() {
    run(async {
        let mesh = wide_table(WIDE).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let mut rows = analyst
            .stream("SELECT id, text FROM sales.wide.t")
            .await
            .expect("starts");
        rows.next().await.expect("a batch").expect("rows");
        let states = "SELECT state FROM system.runtime.queries WHERE fragments = 1";
        assert_eq!(analyst.value(states).await, "running");
        drop(rows);
        let mut state = String::new();
        for _ in 0..1_000 {
            state = analyst.value(states).await;
            if state != "running" {
                break;
            }
        }
        assert_eq!(state, "cancelled");
        mesh.wait_for_fragments("sales", 0).await;
    });
}

#[test]
fn a_node_lost_in_mid_stream_is_an_error_and_never_a_short_answer() {
    run(async {
        let mut mesh = wide_table(WIDE).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let mut rows = analyst
            .stream("SELECT id, text FROM sales.wide.t")
            .await
            .expect("starts");
        rows.next().await.expect("a batch").expect("rows");
        mesh.kill_node("sales");
        let mut error = None;
        while let Some(batch) = rows.next().await {
            if let Err(failure) = batch {
                error = Some(failure);
            }
        }
        let error = error.expect("an error, not an end");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(
            error.domain().map(|domain| domain.as_str()),
            Some("sales"),
            "{error}"
        );
        mesh.start_node("sales").await;
        assert_eq!(
            analyst.value("SELECT count(*) FROM sales.wide.t").await,
            "120000"
        );
    });
}

/// A mesh with a table whose square takes a node longer than any test waits.
async fn endless(query_limits: QueryLimits) -> Mesh {
    let ids: Vec<String> = (0..200_000).map(|id| id.to_string()).collect();
    let numbers = Published {
        domain: "sales",
        product: "numbers",
        tables: &[("t", &[("id", "integer", "bigint")], &ids.join("\n"))],
    };
    let options = MeshOptions {
        query_limits,
        ..MeshOptions::empty()
    };
    let grants = vec![("sales", grant("analyst", "numbers"))];
    Mesh::publish_with(options, &[numbers], grants).await
}

const ENDLESS: &str =
    "SELECT count(*) FROM sales.numbers.t a, sales.numbers.t b WHERE a.id + b.id < 0";

#[test]
fn a_fragment_that_only_computes_stops_at_its_node_when_the_query_is_given_up() {
    run(async {
        let mesh = endless(QueryLimits::default()).await;
        for mut analyst in [
            mesh.sign_in("analyst").await,
            mesh.sign_in_at("sales", "analyst").await,
        ] {
            let mut rows = analyst.stream(ENDLESS).await.expect("starts");
            let (_, given_up) = tokio::join!(
                mesh.wait_for_fragments("sales", 1),
                tokio::time::timeout(Duration::from_millis(500), rows.next()),
            );
            assert!(given_up.is_err(), "it computes");
            drop(rows);
            mesh.wait_for_fragments("sales", 0).await;
        }
    });
}

#[test]
fn a_fragment_that_only_computes_stops_at_its_node_when_its_time_is_up() {
    run(async {
        let limits = QueryLimits {
            deadline: Duration::from_secs(1),
            ..QueryLimits::default()
        };
        let mesh = endless(limits).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let (_, error) = tokio::join!(mesh.wait_for_fragments("sales", 1), analyst.error(ENDLESS),);
        assert_eq!(error.code(), code::DEADLINE, "{error}");
        mesh.wait_for_fragments("sales", 0).await;
    });
}

/// DataFusion 55.2 answers 0 when a nested loop join over a nested loop join goes on from disk.
#[test]
fn a_join_that_does_not_fit_into_memory_is_refused_and_never_wrong() {
    run(async {
        let ids = (0..3_000)
            .map(|id| id.to_string())
            .collect::<Vec<_>>()
            .join("\n");
        let numbers = Published {
            domain: "sales",
            product: "numbers",
            tables: &[("t", &[("id", "integer", "bigint")], &ids)],
        };
        let options = MeshOptions {
            node_memory: 8 << 20,
            ..MeshOptions::empty()
        };
        let grants = vec![("sales", grant("analyst", "numbers"))];
        let mesh = Mesh::publish_with(options, &[numbers], grants).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = |rows: usize| {
            let t = format!("(SELECT id FROM sales.numbers.t WHERE id < {rows})");
            format!("SELECT count(*) FROM {t} a, {t} b, {t} c WHERE a.id < b.id AND b.id < c.id")
        };
        assert_eq!(analyst.value(&sql(30)).await, "4060");
        let error = analyst.error(&sql(3_000)).await;
        assert_eq!(error.code(), code::RESOURCES, "{error}");
        assert_eq!(
            analyst.value("SELECT count(*) FROM sales.numbers.t").await,
            "3000"
        );
    });
}

/// Both sides of the join are larger than the memory of the coordinator.
#[test]
fn a_join_that_does_not_fit_at_the_coordinator_is_done_from_disk() {
    run(async {
        let text = "abcdefghijklmnopqrstuvwxyz0123456789".repeat(2);
        let rows = |step: usize| {
            let rows = (0..60_000).map(|id| format!("{},{text}", id * step));
            rows.collect::<Vec<_>>().join("\n")
        };
        let columns: &[_] = &[("id", "integer", "bigint"), ("text", "string", "varchar")];
        let (ones, twos) = (rows(1), rows(2));
        let left = [("t", columns, ones.as_str())];
        let right = [("t", columns, twos.as_str())];
        let published = |domain, tables| Published {
            domain,
            product: "wide",
            tables,
        };
        let products = [published("left", &left), published("right", &right)];
        let options = MeshOptions {
            query_limits: QueryLimits {
                memory: 72 << 20,
                ..QueryLimits::default()
            },
            ..MeshOptions::empty()
        };
        let grants = ["left", "right"].map(|domain| (domain, grant("analyst", "wide")));
        let mesh = Mesh::publish_with(options, &products, grants.to_vec()).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let wide = |table: &str| {
            let text = ["text"; 20].join(" || ");
            format!("(SELECT id, {text} AS wide FROM {table}.wide.t)")
        };
        let sql = format!(
            "SELECT count(*) AS n, sum(length(l.wide) + length(r.wide)) AS w \
             FROM {} l JOIN {} r ON l.id = r.id",
            wide("left"),
            wide("right")
        );
        let answer = analyst.query(&sql).await.expect("from disk");
        let bytes = 30_000 * 2 * 20 * text.len();
        assert_eq!(answer.rows(), [["30000".to_owned(), bytes.to_string()]]);
        // It was not done in memory at first.
        let states =
            "SELECT state FROM system.runtime.queries WHERE fragments > 0 ORDER BY started_at";
        let states = analyst.query(states).await.expect("states");
        assert_eq!(states.rows(), [["failed"], ["finished"]]);
    });
}
