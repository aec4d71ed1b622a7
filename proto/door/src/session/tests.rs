use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tonic::metadata::MetadataMap;
use weft_governance::{ErrorKind, code};

use super::{Place, Presented, Sessions};
use crate::limits::Limits;
use crate::memory::Memory;

fn presented(header: &str) -> Presented {
    let mut metadata = MetadataMap::new();
    metadata.insert("authorization", header.parse().expect("ascii"));
    Presented::read(&metadata).expect("well-formed")
}

/// `analyst:secret` and `owner:secret`.
const ANALYST: &str = "Basic YW5hbHlzdDpzZWNyZXQ=";
const OWNER: &str = "Basic b3duZXI6c2VjcmV0";

fn sessions(limits: Limits) -> (Arc<Memory>, Sessions<Memory>) {
    let memory = Arc::new(Memory::default());
    (
        Arc::clone(&memory),
        Sessions::new(memory, limits).expect("random"),
    )
}

#[tokio::test]
async fn a_password_opens_a_session_that_its_bearer_names() {
    let (memory, sessions) = sessions(Limits::default());
    let now = SystemTime::now();
    let (session, bearer) = sessions
        .sign_in(presented(ANALYST), Place::Own, None, now)
        .await
        .expect("right");
    let again = sessions
        .authenticate(presented(&format!("Bearer {bearer}")), None, None, now)
        .await;
    assert_eq!(again.expect("named").id(), session.id());
    let (other, _) = sessions
        .sign_in(presented(ANALYST), Place::Own, None, now)
        .await
        .expect("right");
    assert_ne!(other.id(), session.id());
    assert_eq!(memory.sign_ins(), 2);
    let unknown = sessions
        .authenticate(presented("Bearer None"), None, None, now)
        .await;
    assert_eq!(unknown.expect_err("unknown").code(), code::UNAUTHENTICATED);
}

#[tokio::test]
async fn a_session_ends_with_its_time() {
    let (memory, sessions) = sessions(Limits::default());
    let now = SystemTime::now();
    let (_, bearer) = sessions
        .sign_in(presented(ANALYST), Place::Own, None, now)
        .await
        .expect("right");
    let header = format!("Bearer {bearer}");
    let later = now + Duration::from_secs(3601);
    let error = sessions
        .authenticate(presented(&header), None, None, later)
        .await
        .expect_err("over");
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Unauthenticated, code::LEASE_EXPIRED)
    );
    assert_eq!(memory.sign_outs(), 1);
    let error = sessions
        .authenticate(presented(&header), None, None, later)
        .await
        .expect_err("gone");
    assert_eq!(error.code(), code::UNAUTHENTICATED);
}

#[tokio::test]
async fn a_sweep_ends_what_no_one_asks_for() {
    let (memory, sessions) = sessions(Limits::default());
    let now = SystemTime::now();
    sessions
        .sign_in(presented(ANALYST), Place::Own, None, now)
        .await
        .expect("right");
    sessions.sweep(now, Instant::now()).await;
    assert_eq!(memory.sign_outs(), 0);
    sessions
        .sweep(now + Duration::from_secs(3601), Instant::now())
        .await;
    assert_eq!(memory.sign_outs(), 1);
}

#[tokio::test]
async fn a_token_is_verified_once_however_many_calls_bring_it() {
    let (memory, sessions) = sessions(Limits::default());
    let now = SystemTime::now();
    let calls =
        (0..8).map(|_| sessions.authenticate(presented("Bearer good.to.ken"), None, None, now));
    let found = futures::future::try_join_all(calls).await.expect("valid");
    assert!(found.iter().all(|session| session.id() == found[0].id()));
    assert_eq!(memory.sign_ins(), 1);
    let later = now + Duration::from_secs(3601);
    // The backend is asked again; its clock says that the token is still good.
    let again = sessions
        .authenticate(presented("Bearer good.to.ken"), None, None, later)
        .await;
    assert_eq!(again.expect_err("over").code(), code::LEASE_EXPIRED);
    assert_eq!(memory.sign_ins(), 2);
    assert!(
        sessions
            .authenticate(presented("Bearer bad.to.ken"), None, None, now)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_oldest_session_of_a_principal_makes_room_and_no_one_elses() {
    let limits = Limits {
        sessions_per_principal: 2,
        ..Limits::default()
    };
    let (memory, sessions) = sessions(limits);
    let now = SystemTime::now();
    let (_, owner) = sessions
        .sign_in(presented(OWNER), Place::Own, None, now)
        .await
        .expect("right");
    let mut bearers = Vec::new();
    for _ in 0..3 {
        bearers.push(
            sessions
                .sign_in(presented(ANALYST), Place::Own, None, now)
                .await
                .expect("right")
                .1,
        );
    }
    assert_eq!(memory.sign_outs(), 1);
    let is_open = async |bearer: &String| {
        sessions
            .authenticate(presented(&format!("Bearer {bearer}")), None, None, now)
            .await
            .is_ok()
    };
    assert!(!is_open(&bearers[0]).await);
    assert!(is_open(&bearers[1]).await && is_open(&bearers[2]).await && is_open(&owner).await);
}

#[tokio::test]
async fn no_more_sessions_open_than_the_server_allows() {
    let (memory, sessions) = sessions(Limits {
        sessions: 1,
        ..Limits::default()
    });
    let now = SystemTime::now();
    sessions
        .sign_in(presented(ANALYST), Place::Own, None, now)
        .await
        .expect("the first");
    let error = sessions
        .sign_in(presented(OWNER), Place::Own, None, now)
        .await
        .expect_err("full");
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert_eq!(memory.sign_ins(), 1);
    let later = now + Duration::from_secs(3601);
    // Room is made of what has ended; the new session would be over at once by this clock.
    let error = sessions
        .sign_in(presented(OWNER), Place::Own, None, later)
        .await
        .expect_err("over");
    assert_eq!(error.code(), code::LEASE_EXPIRED);
}

#[tokio::test]
async fn a_settled_session_is_used_from_one_address_alone() {
    let (_memory, sessions) = sessions(Limits::default());
    let now = SystemTime::now();
    let (here, elsewhere) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let (session, bearer) = sessions
        .sign_in(presented(ANALYST), Place::Own, Some(here), now)
        .await
        .expect("signed in");
    assert!(sessions.is_named(&session, &bearer) && !sessions.is_named(&session, "other"));
    let header = format!("Bearer {bearer}");
    let from = async |address| {
        let found = sessions.authenticate(presented(&header), None, address, now);
        found.await.is_ok()
    };
    assert!(from(Some(elsewhere)).await && from(None).await);
    assert!(session.settle(here));
    assert!(from(Some(here)).await);
    assert!(!from(Some(elsewhere)).await && !from(None).await);
    assert!(!session.settle(elsewhere), "it stays where it is");
}
