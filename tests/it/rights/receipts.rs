//! What nodes sign for what they send.

use weft_ledger::{EventKind, Ledger};
use weft_wire::identity::MeshCa;
use weft_wire::receipt::Receipt;

use super::*;

const PEOPLE: Published<'static> = Published {
    domain: "crm",
    product: "people",
    tables: &[(
        "p",
        &[("name", "string", "varchar"), ("city", "string", "varchar")],
        "ann,Rome\nbob,Oslo\neve,Rome",
    )],
};

const JOIN: &str = "SELECT p.city, count(*) FROM sales.orders.o o JOIN crm.people.p p ON o.clerk = p.name \
    GROUP BY p.city";

async fn two_domains() -> Mesh {
    let mut options = MeshOptions::empty();
    for domain in ["sales", "crm"] {
        let groups = vec![format!("{domain}-owners")];
        options.users.push((format!("{domain}-owner"), groups));
    }
    let mesh = Mesh::publish_with(options, &[ORDERS, PEOPLE], Vec::new()).await;
    let mut owner = mesh.sign_in_at("sales", "sales-owner").await;
    let give = "GRANT SELECT (id, clerk) ON TABLE sales.orders.o TO USER analyst \
                WHERE status = 'F' FOR PURPOSE 'fraud'";
    change(&mesh, &mut owner, give).await;
    let mut owner = mesh.sign_in_at("crm", "crm-owner").await;
    let give = "GRANT SELECT ON PRODUCT crm.people TO USER analyst";
    let answer = owner.query(give).await;
    answer.expect("granted");
    let epoch = mesh.node("crm").epoch();
    mesh.wait_for("crm", |entry| entry.epoch >= epoch).await;
    mesh
}

/// The receipts of the newest query of the client's principal at the coordinator.
async fn receipts(client: &mut Client) -> (String, harness::Rows) {
    let newest = "SELECT query_id FROM system.runtime.queries WHERE fragments > 0 \
                  ORDER BY started_at DESC LIMIT 1";
    let query = client.value(newest).await;
    let shown = client
        .query(&format!("SHOW RECEIPTS FOR QUERY '{query}'"))
        .await;
    (query, shown.expect("receipts"))
}

#[test]
fn every_fragment_has_a_receipt_of_its_node() {
    run(async {
        let mesh = two_domains().await;
        let mut analyst = mesh.sign_in("analyst").await;
        analyst
            .query("SET weft.purpose = 'fraud'")
            .await
            .expect("set");
        assert_eq!(analyst.query(JOIN).await.expect("granted").len(), 2);
        let (query, shown) = receipts(&mut analyst).await;
        let mut nodes = shown.column("node");
        nodes.sort_unstable();
        assert_eq!(nodes, ["node/crm/crm-1", "node/sales/sales-1"], "{shown}");
        let ca = MeshCa::from_pem(mesh.identity(&node_id("crm")).ca_pem()).expect("a CA");
        for text in shown.column("receipt") {
            let receipt = Receipt::verify(text, &ca).expect("signed by its node");
            assert_eq!(receipt.query, query);
            assert_eq!(receipt.principal, "analyst");
            assert_eq!(receipt.purpose.as_deref(), Some("fraud"));
            assert!(receipt.complete && receipt.rows > 0 && receipt.bytes > 0);
            let filtered = receipt.tables.iter().any(|it| it.filtered);
            assert_eq!(filtered, receipt.node == "node/sales/sales-1");
        }
        // Its node has the same in its log; owners see all, holders their own, others none.
        for (who, count) in [("sales-owner", 1), ("analyst", 1), ("outsider", 0)] {
            let mut client = mesh.sign_in_at("sales", who).await;
            let kept = client
                .query(&format!("SHOW RECEIPTS FOR QUERY '{query}'"))
                .await
                .expect("receipts");
            assert_eq!(kept.len(), count, "{who}");
            if count > 0 {
                let kept = kept.column("receipt");
                assert!(kept.iter().all(|it| shown.column("receipt").contains(it)));
            }
        }
        let mut other = mesh.sign_in("outsider").await;
        let refused = other
            .error(&format!("SHOW RECEIPTS FOR QUERY '{query}'"))
            .await;
        assert_eq!(refused.code(), code::NOT_FOUND, "{refused}");
    });
}

#[test]
fn the_log_tells_how_each_admission_ended() {
    run(async {
        let mesh = mesh().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let give = "GRANT SELECT ON PRODUCT sales.orders TO USER analyst";
        change(&mesh, &mut owner, give).await;
        let mut near = mesh.sign_in_at("sales", "analyst").await;
        near.query("SELECT id FROM sales.orders.n")
            .await
            .expect("all");
        near.error("SELECT 1 / (id - 3) FROM sales.orders.n").await;
        let mut rows = near.stream(MANY).await.expect("starts");
        rows.try_next().await.expect("rows").expect("rows");
        drop(rows);
        drop(near);
        mesh.wait_for_fragments("sales", 0).await;
        let log = Ledger::open(&mesh.ledger("sales")).expect("log");
        let ends = [EventKind::Finished, EventKind::Failed, EventKind::Cancelled];
        let told = loop {
            let told = log.read_of(&ends).expect("records");
            if told.len() == 3 {
                break told;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let kinds: Vec<EventKind> = told.iter().map(|it| it.event.kind).collect();
        assert_eq!(kinds, ends);
        let details: Vec<_> = told.iter().map(|it| &it.event.details).collect();
        assert_eq!(details[0]["rows"], 10);
        assert_eq!(details[1]["error"], code::EVALUATION);
        let admitted = log.read_of(&[EventKind::Admitted]).expect("records");
        for end in &told {
            assert_eq!(end.event.principal.as_deref(), Some("analyst"));
            assert!(admitted.iter().any(|it| it.event.query == end.event.query));
        }
    });
}
