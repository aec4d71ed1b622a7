use std::time::Duration;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

struct Kept {
    folder: tempfile::TempDir,
    state: State,
}

fn kept() -> Kept {
    let folder = tempfile::tempdir().expect("folder");
    let state = State::open(&folder.path().join("authority.db")).expect("opened");
    Kept { folder, state }
}

fn holder() -> Thumbprint {
    Thumbprint::of(b"holder")
}

fn node() -> ServerId {
    "node/sales/s1".parse().expect("valid")
}

#[test]
fn a_lease_lives_until_its_end() {
    let (
        Kept {
            folder: _folder,
            state,
        },
        now,
    ) = (kept(), SystemTime::now());
    let secret = state
        .open_lease(&holder(), "ann", now + MINUTE, now)
        .expect("opened")
        .expect("not disabled");
    let live = |at| state.lease(&secret, &holder(), at).expect("readable");
    let lease = live(now + MINUTE / 2).expect("live");
    assert_eq!(lease.subject, "ann");
    assert_eq!(seconds(lease.expires_at), seconds(now + MINUTE));
    assert_eq!(live(now + MINUTE), None);
}

#[test]
fn a_lease_is_unknown_to_others_and_they_cannot_end_it() {
    let (
        Kept {
            folder: _folder,
            state,
        },
        now,
    ) = (kept(), SystemTime::now());
    let secret = state
        .open_lease(&holder(), "ann", now + MINUTE, now)
        .expect("opened")
        .expect("not disabled");
    let other = Thumbprint::of(b"other");
    assert_eq!(state.lease(&secret, &other, now).expect("readable"), None);
    state.end_lease(&secret, &other).expect("done");
    assert!(
        state
            .lease(&secret, &holder(), now)
            .expect("readable")
            .is_some()
    );
    state.end_lease(&secret, &holder()).expect("done");
    assert_eq!(
        state.lease(&secret, &holder(), now).expect("readable"),
        None
    );
}

#[test]
fn a_person_has_so_many_leases_until_some_end() {
    let (
        Kept {
            folder: _folder,
            state,
        },
        now,
    ) = (kept(), SystemTime::now());
    state
        .lock()
        .execute_batch("PRAGMA synchronous = OFF")
        .expect("faster");
    let open = |subject, at: SystemTime| state.open_lease(&holder(), subject, at + MINUTE, at);
    for _ in 0..MOST_LEASES {
        open("ann", now).expect("room");
    }
    assert_eq!(open("ann", now).expect_err("full").code(), code::RESOURCES);
    assert!(open("bob", now).is_ok(), "others have room of their own");
    assert!(open("ann", now + MINUTE).is_ok(), "ended leases make room");
}

#[test]
fn a_join_token_is_taken_once_and_not_after_its_end() {
    let (
        Kept {
            folder: _folder,
            state,
        },
        now,
    ) = (kept(), SystemTime::now());
    let secret = state.open_join(&node(), now + MINUTE, now).expect("opened");
    assert_eq!(state.join(&secret, now).expect("readable"), Some(node()));
    assert_eq!(
        state.take_join(&secret, now).expect("readable"),
        Some(node())
    );
    assert_eq!(state.take_join(&secret, now).expect("readable"), None);
    assert_eq!(state.join(&secret, now).expect("readable"), None);
    let late = state.open_join(&node(), now + MINUTE, now).expect("opened");
    assert_eq!(
        state.take_join(&late, now + MINUTE).expect("readable"),
        None
    );
    assert_eq!(state.take_join("guessed", now).expect("readable"), None);
}

#[test]
fn secrets_are_not_on_the_disk() {
    let (Kept { folder, state }, now) = (kept(), SystemTime::now());
    let lease = state
        .open_lease(&holder(), "ann", now + MINUTE, now)
        .expect("opened")
        .expect("not disabled");
    let join = state.open_join(&node(), now + MINUTE, now).expect("opened");
    let mut disk = Vec::new();
    for file in std::fs::read_dir(folder.path()).expect("readable") {
        disk.extend(std::fs::read(file.expect("file").path()).expect("readable"));
    }
    let holds = |text: &str| disk.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("ann") && holds("node/sales/s1"), "the rows are there");
    assert!(!holds(&lease) && !holds(&join));
}

#[test]
fn a_login_and_the_secret_of_a_service_end_in_time() {
    let (
        Kept {
            folder: _folder,
            state,
        },
        now,
    ) = (kept(), SystemTime::now());
    let login = LiveLogin {
        subject: "ann@corp".to_owned(),
        said: None,
        expires_at: now + MINUTE,
    };
    let secret = state.open_login(&login, now).expect("opened");
    let secret = secret.expect("not disabled");
    let live = |at| state.login(&secret, at).expect("readable").is_some();
    assert!(live(now) && !live(now + MINUTE));
    let service = crate::service_account::Service::new(
        "etl".to_owned(),
        Default::default(),
        Default::default(),
        now + MINUTE,
    );
    let service = service.expect("fits");
    let secret = state.create_service(&service, "root").expect("made");
    let live = |at| {
        let found = state.service_of("etl", &secret, at);
        found.expect("readable").is_some()
    };
    assert!(live(now) && !live(now + MINUTE));
}
