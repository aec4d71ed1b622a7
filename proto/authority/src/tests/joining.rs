use weft_governance::{ErrorKind, code};
use weft_wire::authority::{JoinToken, create_join_token, enroll};

use super::*;

impl Mesh {
    fn join_token(&self, id: &str) -> JoinToken {
        self.authority.create_join_token(&server(id)).expect("made")
    }

    async fn ask_for_join_token(
        &self,
        user: &str,
        password: &str,
        id: &str,
    ) -> Result<JoinToken, Error> {
        let (url, ca) = (self.authority.url(), self.authority.ca_pem());
        create_join_token(&url, ca, user, password, &server(id)).await
    }
}

fn hosts(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn an_administrator_lets_a_server_join() {
    let mesh = Mesh::start().await;
    let token = mesh
        .ask_for_join_token("root", PASSWORD, "node/sales/s1")
        .await
        .expect("made");
    let token: JoinToken = token.to_string().parse().expect("readable");
    let identity = enroll(&token, &hosts(&["localhost", "127.0.0.1"]))
        .await
        .expect("joined");
    assert_eq!(identity.id(), &server("node/sales/s1"));
    assert_eq!(identity.ca_pem(), mesh.authority.ca_pem());
    let lease = mesh
        .client_of(&identity)
        .sign_in("ann", PASSWORD)
        .await
        .expect("a server");
    assert_eq!(lease.principal.subject, "ann");
}

#[tokio::test]
async fn nobody_else_lets_servers_join() {
    let mesh = Mesh::start().await;
    let ask = |user, password| mesh.ask_for_join_token(user, password, "node/sales/s1");
    let denied = ask("ann", PASSWORD).await.expect_err("no administrator");
    assert_eq!(
        (denied.kind(), denied.code()),
        (ErrorKind::PermissionDenied, code::NOT_GRANTED)
    );
    let wrong = ask("root", "wrong").await.expect_err("wrong password");
    assert_eq!(wrong.message(), "the user name or the password is wrong");
    assert!(
        mesh.ask_for_join_token("root", PASSWORD, "authority")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_join_token_is_used_once() {
    let mesh = Mesh::start().await;
    let token = mesh.join_token("node/sales/s1");
    enroll(&token, &[]).await.expect("joined");
    let error = enroll(&token, &[]).await.expect_err("used");
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Unauthenticated, code::UNAUTHENTICATED)
    );
}

#[tokio::test]
async fn of_many_who_use_a_join_token_at_a_time_one_joins() {
    let mesh = Mesh::start().await;
    let token = mesh.join_token("node/sales/s1");
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let token = token.clone();
        tries.spawn(async move { enroll(&token, &[]).await.is_ok() });
    }
    let joined = tries
        .join_all()
        .await
        .into_iter()
        .filter(|joined| *joined)
        .count();
    assert_eq!(joined, 1);
}

#[tokio::test]
async fn a_join_token_is_not_told_to_an_authority_with_another_ca() {
    let mesh = Mesh::start().await;
    let token = mesh.join_token("node/sales/s1");
    let misled = JoinToken {
        ca_sha256: [0; 32],
        ..token.clone()
    };
    let error = enroll(&misled, &[]).await.expect_err("another CA");
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Unavailable, code::CONNECT)
    );
    assert!(enroll(&token, &[]).await.is_ok(), "the secret was not used");
}

#[tokio::test]
async fn a_join_token_is_for_the_server_that_it_was_made_for() {
    let mesh = Mesh::start().await;
    let token = mesh.join_token("node/sales/s1");
    let changed = JoinToken {
        server: server("coordinator/main"),
        ..token
    };
    assert!(
        enroll(&changed, &[]).await.is_err(),
        "the certificate names the other server"
    );
    let guessed = JoinToken {
        secret: "guessed".to_owned(),
        ..changed
    };
    assert_eq!(
        enroll(&guessed, &[]).await.expect_err("guess").code(),
        code::UNAUTHENTICATED
    );
}

#[tokio::test]
async fn a_mistake_in_the_hosts_leaves_the_join_token_usable() {
    let mesh = Mesh::start().await;
    let token = mesh.join_token("node/sales/s1");
    for wrong in [
        hosts(&["not a host"]),
        hosts(&["x.weft.internal"]),
        hosts(&["a"; 17]),
    ] {
        assert_eq!(
            enroll(&token, &wrong).await.expect_err("wrong").code(),
            code::SETTINGS
        );
    }
    assert!(enroll(&token, &hosts(&["a"; 16])).await.is_ok());
}
