//! Who people are, and that they are no longer, through a whole mesh.

use futures::TryStreamExt;
use harness::{Client, Mesh, MeshOptions, Published, grant, node_id, run};
use weft_governance::{ErrorKind, ServerId, code};
use weft_wire::join::{issue_token, set_disabled};

const ORDERS: Published<'static> = Published {
    domain: "sales",
    product: "orders",
    tables: &[(
        "n",
        &[("id", "integer", "bigint")],
        "1\n2\n3\n4\n5\n6\n7\n8\n9\n10",
    )],
};

/// More rows than wait anywhere for a reader.
const MANY: &str = "SELECT a.id FROM sales.orders.n a CROSS JOIN sales.orders.n b CROSS JOIN \
    sales.orders.n c CROSS JOIN sales.orders.n d CROSS JOIN sales.orders.n e CROSS JOIN \
    sales.orders.n f CROSS JOIN sales.orders.n g";
const FEW: &str = "SELECT count(*) FROM sales.orders.n";

async fn mesh() -> Mesh {
    let grants = vec![
        ("sales", grant("analyst", "orders")),
        ("sales", grant("outsider", "orders")),
    ];
    Mesh::publish_with(MeshOptions::empty(), &[ORDERS], grants).await
}

async fn disable(mesh: &Mesh, whom: &str, disabled: bool) {
    let (url, ca) = (mesh.authority.url(), mesh.authority.ca_pem());
    let admin = ("admin", mesh.password());
    set_disabled(&url, ca, admin.0, admin.1, whom, disabled)
        .await
        .expect("admin may");
}

#[test]
fn a_disabled_persons_streams_end_and_nothing_new_begins() {
    run(async {
        let mesh = mesh().await;
        let mut through = mesh.sign_in("analyst").await;
        let mut direct = mesh.sign_in_at("sales", "analyst").await;
        let mut other = mesh.sign_in("outsider").await;
        let url = format!("https://{}", mesh.node("sales").address());
        let tls = || Some((mesh.authority.ca_pem().to_owned(), node_id("sales")));
        let (authority, ca) = (mesh.authority.url(), mesh.authority.ca_pem());
        let token = |audience: ServerId| {
            let authority = authority.clone();
            async move { issue_token(&authority, ca, "analyst", "correct horse", &audience).await }
        };
        let own = token(node_id("sales")).await.expect("enabled");
        let mut by_token = Client::with_token(&url, tls(), &own.text).await;
        assert_eq!(by_token.value(FEW).await, "10");
        let mut running = [
            through.stream(MANY).await.expect("admitted"),
            direct.stream(MANY).await.expect("admitted"),
        ];
        for rows in &mut running {
            rows.try_next().await.expect("rows").expect("a batch");
        }

        disable(&mesh, "analyst", true).await;
        for rows in running {
            let ended = rows.try_for_each(async |_| Ok(())).await;
            let ended = ended.expect_err("not the whole answer");
            assert_eq!(ended.code(), code::UNAUTHENTICATED, "{ended}");
        }
        for client in [&mut through, &mut direct, &mut by_token] {
            let refused = client.error(FEW).await;
            assert_eq!(refused.kind(), ErrorKind::Unauthenticated, "{refused}");
        }
        let mut again = Client::with_token(&url, tls(), &own.text).await;
        let refused = again.error(FEW).await;
        assert_eq!(refused.code(), code::UNAUTHENTICATED, "{refused}");
        token(node_id("sales")).await.expect_err("disabled");
        assert_eq!(other.value(FEW).await, "10", "others stay");

        disable(&mesh, "analyst", false).await;
        let refused = again.error(FEW).await;
        assert_eq!(refused.code(), code::UNAUTHENTICATED, "{refused}");
        let mut through = mesh.sign_in("analyst").await;
        assert_eq!(through.value(FEW).await, "10");
        let mut direct = mesh.sign_in_at("sales", "analyst").await;
        assert_eq!(direct.value(FEW).await, "10");
    });
}
