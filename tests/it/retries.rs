//! Connections that break under a running query, and queries that are given up.

use std::time::{Duration, Instant};

use futures::StreamExt;
use harness::{Client, Mesh, MeshOptions, Published, grant, run};
use tokio::time::sleep;
use weft_governance::ErrorKind;

/// So many rows that their square takes a node a while.
const ROWS: usize = 3_000;
/// One row, after all of the node's work.
const SLOW: &str =
    "SELECT count(*) FROM sales.numbers.t a, sales.numbers.t b WHERE a.id * b.id % 7 = 3";

fn numbers(rows: usize) -> String {
    let ids: Vec<String> = (0..rows).map(|id| id.to_string()).collect();
    ids.join("\n")
}

/// A mesh whose wire to `sales` can be cut, with a table `t` of `rows`.
async fn wired(columns: &[(&str, &str, &str)], rows: &str) -> Mesh {
    let tables = [("t", columns, rows)];
    let product = Published {
        domain: "sales",
        product: "numbers",
        tables: &tables,
    };
    let options = MeshOptions {
        wired: vec!["sales".to_owned()],
        ..MeshOptions::empty()
    };
    let grants = vec![("sales", grant("analyst", "numbers"))];
    Mesh::publish_with(options, &[product], grants).await
}

/// How often a node was asked for a fragment of the last query.
async fn requests(client: &mut Client) -> String {
    let sql = "SELECT requests FROM system.runtime.flows WHERE form = 'rows' \
               AND query_id = (SELECT query_id FROM system.runtime.queries \
               WHERE fragments > 0 ORDER BY started_at DESC LIMIT 1)";
    client.value(sql).await
}

#[test]
fn a_fragment_whose_connection_breaks_before_the_first_row_is_asked_for_once_more() {
    run(async {
        let mesh = wired(&[("id", "integer", "bigint")], &numbers(ROWS)).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let undisturbed = analyst.value(SLOW).await;
        assert_eq!(requests(&mut analyst).await, "1");

        let cut = async {
            mesh.wait_for_fragments("sales", 1).await;
            mesh.cut_wire("sales");
        };
        let (answer, ()) = tokio::join!(analyst.value(SLOW), cut);
        assert_eq!(answer, undisturbed);
        assert_eq!(requests(&mut analyst).await, "2");
    });
}

#[test]
fn a_fragment_whose_connection_breaks_twice_is_given_up() {
    run(async {
        let mesh = wired(&[("id", "integer", "bigint")], &numbers(3 * ROWS)).await;
        let mut analyst = mesh.sign_in("analyst").await;
        // The first fragment may still be on its way out when the second begins.
        let keep_cutting = async {
            mesh.wait_for_fragments("sales", 1).await;
            loop {
                mesh.cut_wire("sales");
                sleep(Duration::from_millis(50)).await;
            }
        };
        let error = tokio::select! {
            error = analyst.error(SLOW) => error,
            () = keep_cutting => unreachable!("it cuts for ever"),
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(error.domain().map(|it| it.as_str()), Some("sales"));
        assert_eq!(requests(&mut analyst).await, "2");
        assert_eq!(
            analyst.value("SELECT count(*) FROM sales.numbers.t").await,
            (3 * ROWS).to_string()
        );
    });
}

#[test]
fn a_fragment_whose_connection_breaks_after_the_first_row_is_not_asked_for_again() {
    run(async {
        // More bytes than all windows and queues on the way hold together.
        let lines: Vec<String> = (0..120_000).map(|id| format!("{id},{id:01000}")).collect();
        let columns: &[_] = &[("id", "integer", "bigint"), ("text", "string", "varchar")];
        let mesh = wired(columns, &lines.join("\n")).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let mut rows = analyst
            .stream("SELECT id, text FROM sales.numbers.t")
            .await
            .expect("starts");
        rows.next().await.expect("a batch").expect("rows");
        mesh.cut_wire("sales");
        let mut error = None;
        while let Some(batch) = rows.next().await {
            error = batch.err().or(error);
        }
        let error = error.expect("an error, not an end");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(requests(&mut analyst).await, "1");
        mesh.wait_for_fragments("sales", 0).await;
    });
}

#[test]
fn a_query_that_is_given_up_stops_computing_at_every_node() {
    run(async {
        let ids = numbers(200_000);
        let tables: &[_] = &[("t", &[("id", "integer", "bigint")][..], ids.as_str())];
        let domains = ["sales", "crm"];
        let products = domains.map(|domain| Published {
            domain,
            product: "numbers",
            tables,
        });
        let grants = domains.map(|domain| (domain, grant("analyst", "numbers")));
        let mesh = Mesh::publish(&products, grants.to_vec()).await;
        let mut analyst = mesh.sign_in("analyst").await;
        // Each takes a node longer than any test waits.
        let endless = domains.map(|domain| {
            let t = format!("{domain}.numbers.t");
            format!("SELECT count(*) AS n FROM {t} a, {t} b WHERE a.id + b.id < 0")
        });
        let sql = endless.join(" UNION ALL ");
        let mut rows = analyst.stream(&sql).await.expect("starts");
        let both_compute = async {
            for domain in domains {
                mesh.wait_for_fragments(domain, 1).await;
            }
        };
        tokio::select! {
            row = rows.next() => panic!("it ended: {row:?}"),
            () = both_compute => {}
        }
        let given_up = Instant::now();
        drop(rows);
        for domain in domains {
            mesh.wait_for_fragments(domain, 0).await;
            let elapsed = given_up.elapsed();
            println!("{domain} stopped {} ms later", elapsed.as_millis());
        }
    });
}
