use std::time::Duration;

use weft_governance::{ErrorKind, code};
use weft_wire::rpc::authority::{
    Credential, EndLeaseRequest, ExchangeRequest, IssueTokenRequest, KeysRequest, Password,
    SignInRequest, exchange_request::Subject,
};
use weft_wire::status::from_status;

use super::*;

#[tokio::test]
async fn a_right_password_opens_a_lease() {
    let mesh = Mesh::start().await;
    let lease = mesh
        .client("coordinator/main")
        .sign_in("ann", PASSWORD)
        .await
        .expect("right");
    assert_eq!(lease.principal.issuer, ISSUER);
    assert_eq!(lease.principal.subject, "ann");
    assert!(lease.principal.groups.contains("staff"));
    assert_eq!(
        lease.principal.attributes.get("region").map(String::as_str),
        Some("north")
    );
    assert!(!format!("{lease:?}").contains("secret"));
}

#[tokio::test]
async fn every_refused_sign_in_reads_the_same() {
    let mesh = Mesh::start().await;
    let coordinator = mesh.client("coordinator/main");
    let long = "x".repeat(2_000);
    for (user, password) in [
        ("ann", "wrong"),
        ("ann", ""),
        ("ann", long.as_str()),
        ("Ann", PASSWORD),
        ("nobody", PASSWORD),
        ("nobody", "wrong"),
        ("", ""),
        ("gone", PASSWORD),
        (long.as_str(), PASSWORD),
    ] {
        for error in [
            coordinator
                .sign_in(user, password)
                .await
                .map(drop)
                .expect_err("refused"),
            mesh.issue(user, password, "node/sales/s1")
                .await
                .map(drop)
                .expect_err("refused"),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            assert_eq!(error.code(), code::UNAUTHENTICATED);
            assert_eq!(error.message(), "the user name or the password is wrong");
            assert_eq!(error.hint(), None);
        }
    }
}

#[tokio::test]
async fn the_password_that_is_checked_for_nobody_signs_nobody_in() {
    let mesh = Mesh::start().await;
    let coordinator = mesh.client("coordinator/main");
    for user in ["nobody", "gone"] {
        assert!(
            coordinator
                .sign_in(user, "nobody has this password")
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn one_person_signs_in_as_often_at_a_time_as_they_like() {
    let mesh = Mesh::start().await;
    let coordinator = mesh.client("coordinator/main");
    let attempts = (0..24).map(|_| coordinator.sign_in("ann", PASSWORD));
    for lease in futures::future::join_all(attempts).await {
        lease.expect("right");
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_for_one_name_alone() {
    let mesh = Mesh::start().await;
    let coordinator = mesh.client("coordinator/main");
    for name in ["ann", "nobody"] {
        for _ in 0..10 {
            let wrong = coordinator.sign_in(name, "wrong").await.expect_err("wrong");
            assert_eq!(wrong.code(), code::UNAUTHENTICATED);
        }
        let slowed = coordinator
            .sign_in(name, PASSWORD)
            .await
            .expect_err("slowed down");
        assert_eq!(
            (slowed.kind(), slowed.code()),
            (ErrorKind::ResourceExhausted, code::RESOURCES)
        );
    }
    assert!(coordinator.sign_in("root", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn guesses_made_at_one_time_count_as_well() {
    let mesh = Mesh::start().await;
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let coordinator = mesh.client("coordinator/main");
        guesses.spawn(async move { coordinator.sign_in("ann", "wrong").await.map(drop) });
    }
    let answers = guesses.join_all().await;
    let checked = answers.iter().filter(|answer| {
        answer
            .as_ref()
            .is_err_and(|e| e.code() == code::UNAUTHENTICATED)
    });
    assert_eq!(checked.count(), 10);
}

#[tokio::test]
async fn calls_for_servers_are_refused_without_a_certificate() {
    let mesh = Mesh::start().await;
    let mut stranger = mesh.stranger().await;
    let token = mesh.own_token("coordinator/main").await.text;
    let password = Password {
        user: "ann".to_owned(),
        password: PASSWORD.to_owned(),
    };
    let sign_in = SignInRequest {
        password: Some(password.clone()),
    };
    let exchange = ExchangeRequest {
        audience: "coordinator/main".to_owned(),
        subject: Some(Subject::UserToken(token)),
    };
    let end = EndLeaseRequest {
        lease: "any".to_owned(),
    };
    for status in [
        stranger
            .sign_in(sign_in)
            .await
            .map(drop)
            .expect_err("no certificate"),
        stranger
            .exchange(exchange)
            .await
            .map(drop)
            .expect_err("no certificate"),
        stranger
            .end_lease(end)
            .await
            .map(drop)
            .expect_err("no certificate"),
    ] {
        let error = from_status(&status);
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Unauthenticated, code::UNAUTHENTICATED)
        );
    }
    assert!(
        stranger.keys(KeysRequest {}).await.is_ok(),
        "control: others are for everyone"
    );
}

#[tokio::test]
async fn a_certificate_of_another_mesh_is_refused() {
    let (mesh, other) = (Mesh::start().await, Mesh::start().await);
    let foreign = other.identity("coordinator/main");
    let disguised = Identity::new(
        foreign.id().clone(),
        foreign.certificate_pem(),
        foreign.key_pem().to_owned(),
        mesh.authority.ca_pem().to_owned(),
    );
    let client = mesh.client_of(&disguised.expect("fits"));
    let error = client.sign_in("ann", PASSWORD).await.expect_err("foreign");
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Unavailable, code::CONNECT)
    );
}

#[tokio::test]
async fn the_authoritys_own_certificate_is_no_servers() {
    let folder = tempfile::tempdir().expect("folder");
    let mesh = Mesh::start().await;
    let ca = crate::ca::Ca::open(&mesh.folder.path().join("state"), Duration::from_secs(60))
        .expect("kept");
    let own = ca.identity(&ServerId::Authority, &[]).expect("signed");
    let error = mesh
        .client_of(&own)
        .sign_in("ann", PASSWORD)
        .await
        .expect_err("no server");
    assert_eq!(error.code(), code::UNAUTHENTICATED);
    drop(folder);
}

#[tokio::test]
async fn incomplete_requests_are_refused_as_such() {
    let mesh = Mesh::start().await;
    let mut stranger = mesh.stranger().await;
    let credential = Credential::from(&mesh.password_of("ann"));
    for request in [
        IssueTokenRequest {
            credential: None,
            audience: "node/sales/s1".to_owned(),
            lifetime_seconds: 0,
        },
        IssueTokenRequest {
            credential: Some(credential.clone()),
            audience: String::new(),
            lifetime_seconds: 0,
        },
        IssueTokenRequest {
            credential: Some(credential.clone()),
            audience: "node/Sales".to_owned(),
            lifetime_seconds: 0,
        },
        IssueTokenRequest {
            credential: Some(credential.clone()),
            audience: "authority".to_owned(),
            lifetime_seconds: 0,
        },
    ] {
        let status = stranger.issue_token(request).await.expect_err("incomplete");
        assert_eq!(from_status(&status).kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let mesh = Mesh::start().await;
    let error = mesh
        .issue("ann", &"x".repeat(1 << 20), "node/sales/s1")
        .await
        .expect_err("large");
    assert_eq!(error.code(), code::RESOURCES);
}
