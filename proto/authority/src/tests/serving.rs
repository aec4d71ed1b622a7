use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tonic::transport::Server;
use weft_governance::code;
use weft_wire::authority::{People, TokenKeys};
use weft_wire::rpc::authority::KeysRequest;
use weft_wire::rpc::authority::authority_server::AuthorityServer as Calls;

use super::*;
use crate::incoming::Incoming;
use crate::service::AuthorityService;

fn token_keys(mesh: &Mesh, node: &Identity) -> TokenKeys {
    let authority = mesh.client_of(node);
    let people = People::follow(&authority);
    TokenKeys::new(authority, node.id().clone(), people)
}

#[tokio::test]
async fn a_stopped_authority_hangs_on_to_nobody() {
    let mesh = Mesh::start().await;
    let client = mesh.client("coordinator/main");
    client.keys().await.expect("served");
    let Mesh {
        authority,
        folder: _folder,
    } = mesh;
    authority.stop().await;
    assert_eq!(
        client.keys().await.expect_err("stopped").code(),
        code::CONNECT
    );
}

#[tokio::test]
async fn a_caller_who_sends_nothing_does_not_keep_it_from_stopping() {
    let mesh = Mesh::start().await;
    let address = mesh.authority.address();
    let _silent = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    mesh.client("coordinator/main")
        .keys()
        .await
        .expect("served beside it");
    let Mesh {
        authority,
        folder: _folder,
    } = mesh;
    let stopping = tokio::time::timeout(Duration::from_secs(20), authority.stop());
    assert!(stopping.await.is_ok());
}

#[tokio::test]
async fn too_many_connections_are_turned_away() {
    let mesh = Mesh::start_with(|settings| settings.connections = 1).await;
    let first = mesh.client("coordinator/main");
    first.keys().await.expect("served");
    let second = mesh
        .client("coordinator/other")
        .keys()
        .await
        .expect_err("no place");
    assert_eq!(second.code(), code::CONNECT);
    first.keys().await.expect("still served");
}

#[tokio::test]
async fn unfit_settings_and_people_are_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("folder");
    let long = Settings {
        lease_lifetime: Duration::from_secs(1 << 20),
        ..settings(folder.path())
    };
    let start =
        |settings, people| async { AuthorityServer::start(settings, people).await.map(drop) };
    assert_eq!(
        start(long, people()).await.expect_err("long").code(),
        code::SETTINGS
    );
    let twice = [people(), people()].concat();
    let error = start(settings(folder.path()), twice)
        .await
        .expect_err("two of a name");
    assert_eq!(error.code(), code::SETTINGS);
    assert!(start(settings(folder.path()), people()).await.is_ok());
}

#[tokio::test]
async fn people_in_the_state_folder_sign_in() {
    let folder = tempfile::tempdir().expect("folder");
    let settings = settings(folder.path());
    std::fs::create_dir_all(&settings.state).expect("made");
    let hash = hash_password(PASSWORD).expect("hashed");
    let text = format!("[[user]]\nname = 'kim'\npassword_hash = '{hash}'\n");
    std::fs::write(settings.state.join("users.toml"), text).expect("written");
    let authority = AuthorityServer::start(settings, Vec::new())
        .await
        .expect("started");
    let mesh = Mesh { authority, folder };
    assert!(
        mesh.client("coordinator/main")
            .sign_in("kim", PASSWORD)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_state_is_closed_to_others() {
    let mesh = Mesh::start().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &str| {
            let path = mesh.folder.path().join(path);
            std::fs::metadata(path).expect("there").permissions().mode() & 0o777
        };
        assert_eq!(mode("state"), 0o700);
        assert_eq!(mode("state/ca.key"), 0o600);
        assert_eq!(mode("state/token.key"), 0o600);
    }
    assert!(mesh.folder.path().join("state/authority.db").exists());
}

/// Any service will do to see who is let in; this is the authority's under a node's certificate.
#[tokio::test]
async fn servers_reach_the_server_that_they_mean_and_no_other() {
    let mesh = Mesh::start().await;
    let node = mesh.identity("node/north_sea/n1");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("https://{}", listener.local_addr().expect("bound"));
    let calls = Calls::new(AuthorityService(Arc::clone(&mesh.authority.office)));
    let serving = Server::builder()
        .tls_config(node.server_tls())
        .expect("fits")
        .add_service(calls)
        .serve_with_incoming(Incoming::new(listener, 8));
    let serving = tokio::spawn(serving);
    let coordinator = mesh.identity("coordinator/main");
    let connect = |id: &str| {
        let endpoint = Endpoint::from_shared(url.clone()).expect("a URL");
        endpoint
            .tls_config(coordinator.client_tls(&server(id)))
            .expect("fits")
    };
    let channel = connect("node/north_sea/n1")
        .connect()
        .await
        .expect("it is the one");
    assert!(
        AuthorityClient::new(channel)
            .keys(KeysRequest {})
            .await
            .is_ok()
    );
    for other in [
        "node/north_sea/n2",
        "node/sales/n1",
        "coordinator/main",
        "authority",
    ] {
        assert!(connect(other).connect().await.is_err(), "{other}");
    }
    serving.abort();
}

#[tokio::test]
async fn a_verifier_fetches_the_keys_and_fetches_them_again_for_a_new_one() {
    let mesh = Mesh::start().await;
    let node = mesh.identity("node/sales/s1");
    let keys = token_keys(&mesh, &node);
    let old = mesh.own_token("node/sales/s1").await.text;
    let verified = keys
        .verify(&old, None, SystemTime::now())
        .await
        .expect("valid");
    assert_eq!(verified.principal.subject, "ann");

    std::fs::remove_file(mesh.folder.path().join("state/token.key")).expect("removed");
    let mesh = mesh.restart(people()).await;
    let new = mesh.own_token("node/sales/s1").await.text;
    let early = keys
        .verify(&new, None, SystemTime::now())
        .await
        .expect_err("asked just now");
    assert_eq!(early.code(), code::UNAUTHENTICATED);
    assert!(
        keys.verify(&old, None, SystemTime::now()).await.is_ok(),
        "the old key is known"
    );

    let later = SystemTime::now() + Duration::from_secs(6);
    keys.verify(&new, None, later)
        .await
        .expect("the new key was fetched");
    let withdrawn = keys.verify(&old, None, later).await.expect_err("withdrawn");
    assert_eq!(withdrawn.code(), code::UNAUTHENTICATED);
}

#[tokio::test]
async fn a_verifier_says_when_the_authority_is_away_and_known_keys_go_on_working() {
    let mesh = Mesh::start().await;
    let node = mesh.identity("node/sales/s1");
    let informed = token_keys(&mesh, &node);
    let ignorant = token_keys(&mesh, &node);
    let token = mesh.own_token("node/sales/s1").await.text;
    informed
        .verify(&token, None, SystemTime::now())
        .await
        .expect("valid");
    let Mesh {
        authority,
        folder: _folder,
    } = mesh;
    authority.stop().await;
    for _ in 0..2 {
        let error = ignorant
            .verify(&token, None, SystemTime::now())
            .await
            .expect_err("away");
        assert_eq!(error.code(), code::CONNECT);
    }
    assert!(
        informed
            .verify(&token, None, SystemTime::now())
            .await
            .is_ok()
    );
}
