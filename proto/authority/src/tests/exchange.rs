use std::time::{Duration, SystemTime};

use weft_governance::{ErrorKind, code};
use weft_wire::authority::Lease;
use weft_wire::token::UserTokenSigner;

use super::*;

async fn lease(client: &Authority) -> Lease {
    client.sign_in("ann", PASSWORD).await.expect("signed in")
}

#[tokio::test]
async fn a_coordinator_gets_a_token_for_a_node_that_only_it_can_present() {
    let mesh = Mesh::start().await;
    let coordinator = mesh.identity("coordinator/main");
    let client = mesh.client_of(&coordinator);
    let node = server("node/sales/s1");
    let lease = lease(&client).await;
    let token = client
        .exchange_lease(&lease, &node)
        .await
        .expect("exchanged");
    let now = SystemTime::now();
    let verifier = mesh.verifier("node/sales/s1").await;
    let user = verifier
        .verify(&token.text, Some(coordinator.thumbprint()), now)
        .expect("valid");
    assert_eq!(user.principal, lease.principal);
    assert!(token.expires_at <= now + Duration::from_secs(120));
    let other = mesh.identity("coordinator/other");
    for presenter in [None, Some(other.thumbprint())] {
        assert!(verifier.verify(&token.text, presenter, now).is_err());
    }
    let elsewhere = mesh.verifier("node/crm/c1").await;
    assert!(
        elsewhere
            .verify(&token.text, Some(coordinator.thumbprint()), now)
            .is_err()
    );
}

#[tokio::test]
async fn servers_get_tokens_for_themselves_and_coordinators_for_nodes_too() {
    let mesh = Mesh::start().await;
    for (caller, audience, allowed) in [
        ("coordinator/main", "coordinator/main", true),
        ("coordinator/main", "node/sales/s1", true),
        ("coordinator/main", "coordinator/other", false),
        ("coordinator/main", "authority", false),
        ("node/sales/s1", "node/sales/s1", true),
        ("node/sales/s1", "node/sales/s2", false),
        ("node/sales/s1", "node/crm/c1", false),
        ("node/sales/s1", "coordinator/main", false),
        ("node/sales/s1", "authority", false),
    ] {
        let client = mesh.client(caller);
        let lease = lease(&client).await;
        let own = mesh.own_token(caller).await.text;
        for answer in [
            client.exchange_lease(&lease, &server(audience)).await,
            client.exchange_token(&own, &server(audience)).await,
        ] {
            match answer {
                Ok(_) => assert!(allowed, "{caller} must not get a token for {audience}"),
                Err(error) => {
                    assert!(!allowed, "{caller} may get a token for {audience}: {error}");
                    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_lease_is_useless_with_another_certificate_even_of_the_same_server() {
    let mesh = Mesh::start().await;
    let coordinator = mesh.client("coordinator/main");
    let lease = lease(&coordinator).await;
    let node = server("node/sales/s1");
    for other in ["coordinator/other", "coordinator/main", "node/sales/s1"] {
        let thief = mesh.client(other);
        let error = thief
            .exchange_lease(&lease, &node)
            .await
            .expect_err("another certificate");
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Unauthenticated, code::LEASE_EXPIRED)
        );
        thief.end_lease(&lease).await.expect("nothing happened");
    }
    assert!(
        coordinator.exchange_lease(&lease, &node).await.is_ok(),
        "it is still the owner's"
    );
}

#[tokio::test]
async fn an_ended_lease_is_useless() {
    let mesh = Mesh::start().await;
    let coordinator = mesh.client("coordinator/main");
    let lease = lease(&coordinator).await;
    coordinator.end_lease(&lease).await.expect("ended");
    let error = coordinator
        .exchange_lease(&lease, &server("node/sales/s1"))
        .await;
    assert_eq!(error.expect_err("ended").code(), code::LEASE_EXPIRED);
}

#[tokio::test]
async fn a_token_that_a_person_brings_is_exchanged_only_by_its_audience() {
    let mesh = Mesh::start().await;
    let node = server("node/sales/s1");
    let coordinator = mesh.client("coordinator/main");
    let own = mesh.own_token("coordinator/main").await;
    assert!(coordinator.exchange_token(&own.text, &node).await.is_ok());
    let error = mesh
        .client("coordinator/other")
        .exchange_token(&own.text, &node)
        .await;
    assert_eq!(
        error.expect_err("mis-addressed").code(),
        code::UNAUTHENTICATED
    );
    let for_node = mesh.own_token("node/sales/s1").await;
    let error = coordinator.exchange_token(&for_node.text, &node).await;
    assert_eq!(
        error.expect_err("mis-addressed").code(),
        code::UNAUTHENTICATED
    );
}

#[tokio::test]
async fn a_node_cannot_use_the_token_that_it_was_sent() {
    let mesh = Mesh::start().await;
    let (coordinator, node) = (
        mesh.client("coordinator/main"),
        mesh.client("node/sales/s1"),
    );
    let id = server("node/sales/s1");
    let sent = coordinator
        .exchange_lease(&lease(&coordinator).await, &id)
        .await
        .expect("sent");
    let error = node
        .exchange_token(&sent.text, &id)
        .await
        .expect_err("held by the coordinator");
    assert_eq!(error.code(), code::UNAUTHENTICATED);
}

#[tokio::test]
async fn no_token_outlives_what_it_was_exchanged_for() {
    let mesh = Mesh::start_with(|settings| settings.lease_lifetime = Duration::from_secs(60)).await;
    let client = mesh.client("node/sales/s1");
    let id = server("node/sales/s1");
    let lease = lease(&client).await;
    let token = client.exchange_lease(&lease, &id).await.expect("exchanged");
    assert!(token.expires_at <= lease.expires_at);
    let own = mesh.own_token("node/sales/s1").await;
    let mut renewed = client
        .exchange_token(&own.text, &id)
        .await
        .expect("exchanged");
    for _ in 0..3 {
        renewed = client
            .exchange_token(&renewed.text, &id)
            .await
            .expect("exchanged");
        assert!(
            renewed.expires_at <= own.expires_at,
            "a token is not renewed"
        );
    }
}

#[tokio::test]
async fn forged_tokens_are_not_exchanged() {
    let mesh = Mesh::start().await;
    let coordinator = mesh.identity("coordinator/main");
    let client = mesh.client_of(&coordinator);
    let thief = UserTokenSigner::from_pem(ISSUER, coordinator.key_pem()).expect("key");
    let principal = lease(&client).await.principal;
    let forged = thief.sign(
        &principal,
        coordinator.id(),
        None,
        SystemTime::now(),
        Duration::from_secs(60),
    );
    let forged = forged.expect("signed").text;
    for token in [forged.as_str(), "", "a.b.c"] {
        let error = client.exchange_token(token, &server("node/sales/s1")).await;
        assert_eq!(error.expect_err("forged").code(), code::UNAUTHENTICATED);
    }
}

#[tokio::test]
async fn leases_and_keys_survive_a_restart_and_disabling_someone_ends_both() {
    let mesh = Mesh::start().await;
    let coordinator = mesh.identity("coordinator/main");
    let node = server("node/sales/s1");
    let lease = lease(&mesh.client_of(&coordinator)).await;
    let own = mesh.own_token("coordinator/main").await;

    let mesh = mesh.restart(people()).await;
    let client = mesh.client_of(&coordinator);
    assert!(client.exchange_lease(&lease, &node).await.is_ok());
    assert!(client.exchange_token(&own.text, &node).await.is_ok());

    let without_ann = people()
        .into_iter()
        .map(|user| User {
            disabled: true,
            ..user
        })
        .collect();
    let mesh = mesh.restart(without_ann).await;
    let client = mesh.client_of(&coordinator);
    for answer in [
        client.exchange_lease(&lease, &node).await,
        client.exchange_token(&own.text, &node).await,
    ] {
        assert_eq!(answer.expect_err("disabled").code(), code::LEASE_EXPIRED);
    }
}

#[tokio::test]
async fn a_token_carries_the_groups_that_a_person_has_now() {
    let mesh = Mesh::start().await;
    let coordinator = mesh.identity("coordinator/main");
    let lease = lease(&mesh.client_of(&coordinator)).await;
    let moved = |user: User| User {
        groups: ["movers".to_owned()].into(),
        ..user
    };
    let mesh = mesh
        .restart(people().into_iter().map(moved).collect())
        .await;
    let client = mesh.client_of(&coordinator);
    let token = client
        .exchange_lease(&lease, &server("node/sales/s1"))
        .await
        .expect("exchanged");
    let verifier = mesh.verifier("node/sales/s1").await;
    let user = verifier.verify(
        &token.text,
        Some(coordinator.thumbprint()),
        SystemTime::now(),
    );
    assert_eq!(
        user.expect("valid").principal.groups,
        ["movers".to_owned()].into()
    );
}
