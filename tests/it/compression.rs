//! Rows that nodes compress on their way: the same answers in fewer bytes, counted alike at both ends.

use harness::{Client, Mesh, MeshOptions, run};
use weft_coordinator::Transport;
use workload::tpch::QUERIES;

const SCALE: f64 = 0.01;

async fn mesh(transport: Transport) -> Mesh {
    let options = MeshOptions {
        transport,
        ..MeshOptions::tpch(SCALE)
    };
    Mesh::start(options).await
}

/// The sum of a column of `system.runtime.flows` over the last query.
async fn crossed(client: &mut Client, what: &str) -> u64 {
    let sql = format!(
        "SELECT sum({what}) FROM system.runtime.flows WHERE form = 'rows' \
         AND query_id = (SELECT query_id FROM system.runtime.queries \
         WHERE fragments > 0 ORDER BY started_at DESC LIMIT 1)"
    );
    client.value(&sql).await.parse().expect("a number")
}

/// That the counters of both ends agree is checked with every answer: otherwise it is an error.
#[test]
fn answers_are_the_same_and_cross_in_fewer_bytes() {
    run(async {
        let (plain, lz4) = (mesh(Transport::Auto).await, mesh(Transport::Lz4).await);
        let mut plain = plain.sign_in("analyst").await;
        let mut lz4 = lz4.sign_in("analyst").await;
        let (mut bytes, mut compressed) = (0, 0);
        for query in &QUERIES {
            let (sql, name) = (query.qualified(), query.name());
            let expected = plain.query(&sql).await.expect(&name).sorted();
            let found = lz4.query(&sql).await.expect(&name).sorted();
            assert_eq!(found.rows(), expected.rows(), "{name}");
            let rows = crossed(&mut plain, "rows").await;
            assert_eq!(crossed(&mut lz4, "rows").await, rows, "{name}");
            let (as_it_is, shrunk) = (
                crossed(&mut plain, "bytes").await,
                crossed(&mut lz4, "bytes").await,
            );
            assert!(shrunk <= as_it_is, "{name}: {shrunk} of {as_it_is}");
            bytes += as_it_is;
            compressed += shrunk;
        }
        println!("{compressed} bytes of {bytes}");
        assert!(compressed * 10 < bytes * 9, "{compressed} of {bytes}");

        let repetitive = "SELECT l_shipmode, l_shipinstruct, l_comment FROM sales.orders.lineitem";
        for client in [&mut plain, &mut lz4] {
            let rows = client.query(repetitive).await.expect("rows").len() as u64;
            assert_eq!(crossed(client, "rows").await, rows);
        }
        let bytes = crossed(&mut plain, "bytes").await;
        let compressed = crossed(&mut lz4, "bytes").await;
        println!("{compressed} bytes of {bytes} for {repetitive}");
        assert!(compressed * 2 < bytes, "{compressed} of {bytes}");
    });
}
