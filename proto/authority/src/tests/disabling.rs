use std::time::{Duration, SystemTime};

use weft_governance::{ErrorKind, code};
use weft_wire::authority::{People, TokenKeys};

use super::*;

impl Mesh {
    async fn set_disabled(&self, by: &str, whom: &str, disabled: bool) -> Result<(), Error> {
        let by = self.password_of(by);
        self.desk().set_disabled(&by, whom, disabled).await
    }

    /// What the node `sales-1` checks tokens with.
    async fn token_keys(&self) -> TokenKeys {
        let authority = self.client(NODE);
        let people = People::follow(&authority);
        people.known().await.expect("said");
        TokenKeys::new(authority, server(NODE), people)
    }
}

const NODE: &str = "node/sales/sales-1";

#[tokio::test]
async fn what_a_disabled_person_had_ends_and_does_not_come_back() {
    let mesh = Mesh::start().await;
    let coordinator = mesh.client("coordinator/main");
    let lease = coordinator.sign_in("ann", PASSWORD).await.expect("right");
    let own = mesh.own_token("coordinator/main").await;
    coordinator
        .exchange_lease(&lease, &server(NODE))
        .await
        .expect("enabled");

    mesh.set_disabled("root", "ann", true).await.expect("done");
    let unauthenticated = |error: Error| assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    let nothing = async || {
        let lease = coordinator.exchange_lease(&lease, &server(NODE)).await;
        unauthenticated(lease.expect_err("ended"));
        let token = coordinator.exchange_token(&own.text, &server(NODE)).await;
        unauthenticated(token.expect_err("ended"));
    };
    nothing().await;
    let wrong = coordinator
        .sign_in("ann", "wrong")
        .await
        .expect_err("wrong");
    let right = coordinator.sign_in("ann", PASSWORD).await;
    assert_eq!(right.expect_err("disabled").message(), wrong.message());
    let issued = mesh.issue("ann", PASSWORD, "coordinator/main").await;
    unauthenticated(issued.expect_err("disabled"));

    mesh.set_disabled("root", "ann", false).await.expect("done");
    nothing().await;
    coordinator.sign_in("ann", PASSWORD).await.expect("enabled");
    let own = mesh.own_token("coordinator/main").await;
    let token = coordinator.exchange_token(&own.text, &server(NODE)).await;
    token.expect("enabled");
}

#[tokio::test]
async fn servers_hear_of_it_while_it_happens() {
    let mesh = Mesh::start().await;
    let keys = mesh.token_keys().await;
    let now = SystemTime::now();
    let old = mesh.own_token(NODE).await;
    let user = keys.verify(&old.text, None, now).await.expect("good");
    let subject = user.principal.subject.clone();
    let presence = keys.people().presence(&subject, user.issued_at);
    presence.check().expect("here");

    mesh.set_disabled("root", "ann", true).await.expect("done");
    let ended = presence.clone().ended().await;
    assert_eq!(ended.code(), code::UNAUTHENTICATED);
    let refused = keys.verify(&old.text, None, now).await.expect_err("old");
    let forged = keys.verify("a.b.c", None, now).await.expect_err("forged");
    assert_eq!(refused.to_string(), forged.to_string());

    mesh.set_disabled("root", "ann", false).await.expect("done");
    let new = mesh.own_token(NODE).await;
    let now = SystemTime::now();
    keys.verify(&new.text, None, now).await.expect("good");
    keys.verify(&old.text, None, now).await.expect_err("old");
    presence.check().expect_err("left");
}

#[tokio::test]
async fn others_stay() {
    let mesh = Mesh::start().await;
    let keys = mesh.token_keys().await;
    let token = mesh.issue("root", PASSWORD, NODE).await.expect("issued");
    let ann = keys.people().presence("ann", SystemTime::UNIX_EPOCH);
    mesh.set_disabled("root", "ann", true).await.expect("done");
    ann.ended().await;
    let verified = keys.verify(&token.text, None, SystemTime::now()).await;
    verified.expect("root is enabled");
}

#[tokio::test]
async fn it_outlives_the_authority_and_servers_find_it_again() {
    let mesh = Mesh::start().await;
    let keys = mesh.token_keys().await;
    let token = mesh.own_token(NODE).await;
    let root = mesh.issue("root", PASSWORD, NODE).await.expect("issued");
    mesh.set_disabled("root", "ann", true).await.expect("done");
    // The settings disable one more; the server hears of it although it was never called.
    let presence = keys.people().presence("root", SystemTime::now());
    let mut people = people();
    for person in &mut people {
        person.disabled |= person.name == "root";
    }
    let mesh = mesh.restart(people).await;
    presence.ended().await;
    for token in [token, root] {
        let verified = keys.verify(&token.text, None, SystemTime::now()).await;
        verified.expect_err("disabled");
    }
    let ann = mesh.issue("ann", PASSWORD, NODE).await;
    ann.expect_err("still disabled");
    // What only the settings said ends with them.
    let mesh = mesh.restart(super::people()).await;
    let root = mesh.issue("root", PASSWORD, NODE).await;
    root.expect("enabled by the settings");
}

#[tokio::test]
async fn administrators_disable_people_and_nobody_else_does() {
    let mesh = Mesh::start().await;
    let refused = mesh.set_disabled("ann", "root", true).await;
    assert_eq!(refused.expect_err("ann").code(), code::NOT_GRANTED);
    let refused = mesh.set_disabled("root", "root", true).await;
    assert_eq!(refused.expect_err("oneself").code(), code::SETTINGS);
    let unknown = mesh.set_disabled("root", "nobody", true).await;
    assert_eq!(unknown.expect_err("nobody").code(), code::NOT_FOUND);
    let settled = mesh.set_disabled("root", "gone", false).await;
    assert_eq!(settled.expect_err("by settings").code(), code::SETTINGS);
    mesh.issue("root", PASSWORD, NODE).await.expect("enabled");
}

#[tokio::test]
async fn who_is_disabled_is_told_to_servers_alone() {
    let mesh = Mesh::start().await;
    let request = weft_wire::rpc::authority::FollowPeopleRequest {};
    let refused = mesh.stranger().await.follow_people(request).await;
    let status = refused.expect_err("a stranger");
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn who_follows_does_not_keep_the_authority_from_stopping() {
    let mesh = Mesh::start().await;
    let _keys = mesh.token_keys().await;
    let Mesh {
        authority,
        folder: _folder,
    } = mesh;
    let stopping = authority.office.roll.follow();
    authority.stop().await;
    let rest = tokio_stream::StreamExt::collect::<Vec<_>>(stopping);
    let ended = tokio::time::timeout(Duration::from_secs(20), rest).await;
    assert!(ended.is_ok(), "the stream ends");
}
