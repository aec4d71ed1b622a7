//! Who people are, and that they are no longer, through a whole mesh.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use harness::{Client, Mesh, MeshOptions, Provider, Published, grant, node_id, run};
use serde_json::json;
use weft_governance::{ErrorKind, ServerId, code};
use weft_wire::join::issue_token;
use weft_wire::person::{Desk, Proof};

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

fn desk(mesh: &Mesh) -> Desk {
    Desk::at(&mesh.authority.url(), mesh.authority.ca_pem()).expect("a URL")
}

async fn disable(mesh: &Mesh, whom: &str, disabled: bool) {
    let admin = Proof::Password {
        user: "admin".to_owned(),
        password: mesh.password().to_owned().into(),
    };
    let changed = desk(mesh).set_disabled(&admin, whom, disabled).await;
    changed.expect("admin may");
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

#[test]
fn somebody_of_a_provider_reads_what_their_groups_are_granted() {
    run(async {
        let provider = Provider::start().await;
        let more = "groups_claim = 'groups'\naccept_id_tokens = true";
        let mut options = MeshOptions::empty();
        options
            .providers
            .push(toml::from_str(&provider.settings("corp", more)).expect("valid"));
        let owners = vec!["sales-owners".to_owned()];
        options.users.push(("owner".to_owned(), owners));
        let mesh = Mesh::publish_with(options, &[ORDERS], Vec::new()).await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let give = "GRANT SELECT ON PRODUCT sales.orders TO GROUP \"corp:staff\"";
        owner.query(give).await.expect("given");
        let epoch = mesh.node("sales").epoch();
        mesh.wait_for("sales", |entry| entry.epoch >= epoch).await;

        let main = ServerId::coordinator("main").expect("name");
        let at = mesh.coordinator.client_address().expect("address");
        let sign_in = async |groups: &[&str]| {
            let proof = Proof::IdToken {
                provider: "corp".to_owned(),
                token: provider.token(json!({"groups": groups})).into(),
            };
            let issued = desk(&mesh).issue_token(&proof, &main, None).await;
            let token = issued.expect("signed in").text;
            Client::with_token(&format!("http://{at}"), None, &token).await
        };
        let mut staff = sign_in(&["staff"]).await;
        assert_eq!(staff.value(FEW).await, "10");
        let mut guest = sign_in(&["guests", "sales-owners"]).await;
        let refused = guest.error(FEW).await;
        assert_eq!(refused.code(), code::NOT_GRANTED, "{refused}");
        // The same person, disabled: neither sign-in is good any more.
        disable(&mesh, "ann@corp", true).await;
        let refused = staff.error(FEW).await;
        assert_eq!(refused.kind(), ErrorKind::Unauthenticated, "{refused}");
    });
}

#[test]
fn queries_go_on_past_the_end_of_every_certificate_that_the_mesh_began_with() {
    run(async {
        let mut options = MeshOptions::empty();
        options.certificate_lifetime = Duration::from_secs(9);
        let grants = vec![("sales", grant("analyst", "orders"))];
        let mesh = Mesh::publish_with(options, &[ORDERS], grants).await;
        // All certificates were made before this, and live as long as any made now.
        let later = mesh.identity(&node_id("sales"));
        let (_, ended) = later.renewal_due();
        let mut client = mesh.sign_in("analyst").await;
        let mut running = client.stream(MANY).await.expect("admitted");
        running.try_next().await.expect("rows").expect("a batch");
        while SystemTime::now() < ended + Duration::from_secs(1) {
            assert_eq!(client.value(FEW).await, "10");
            // Whoever comes now is shown certificates that are good.
            let mut direct = mesh.sign_in_at("sales", "analyst").await;
            assert_eq!(direct.value(FEW).await, "10");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        // A stream that began before goes on.
        running.try_next().await.expect("rows").expect("a batch");
        drop(running);
        mesh.wait_for_all().await;
        assert_eq!(client.value(FEW).await, "10");
    });
}
