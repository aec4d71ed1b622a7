use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use weft_governance::{ErrorKind, code};
use weft_wire::person::{ServiceChange, ServiceSecret};

use super::*;

const NODE: &str = "node/sales/sales-1";
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn create(groups: &[&str]) -> ServiceChange {
    ServiceChange::Create {
        groups: groups.iter().map(ToString::to_string).collect(),
        attributes: BTreeMap::from([("region".to_owned(), "north".to_owned())]),
    }
}

impl Mesh {
    async fn service(
        &self,
        by: &str,
        name: &str,
        change: ServiceChange,
    ) -> Result<ServiceSecret, Error> {
        let by = self.password_of(by);
        let desk = self.desk();
        desk.change_service(&by, name, change, Some(DAY)).await
    }

    async fn by_secret(&self, name: &str, secret: &ServiceSecret) -> Result<UserToken, Error> {
        let proof = Proof::Service {
            name: name.to_owned(),
            secret: secret.secret.clone(),
        };
        self.desk().issue_token(&proof, &server(NODE), None).await
    }
}

#[tokio::test]
async fn a_service_signs_in_with_the_newest_secret_that_it_was_given() {
    let mesh = Mesh::start().await;
    let made = mesh.service("root", "etl", create(&["staff"])).await;
    let first = made.expect("made");
    assert_eq!(first.subject, "etl@service");
    let left = first.expires_at.duration_since(SystemTime::now());
    assert!(left.expect("alive") <= DAY);
    let token = mesh.by_secret("etl", &first).await.expect("signed in");
    let verified = mesh
        .verifier(NODE)
        .await
        .verify(&token.text, None, SystemTime::now())
        .expect("good")
        .principal;
    assert_eq!(verified.subject, "etl@service");
    assert_eq!(verified.groups, BTreeSet::from(["staff".to_owned()]));
    assert_eq!(verified.attributes["region"], "north");

    let second = mesh.service("root", "etl", ServiceChange::Rotate).await;
    let second = second.expect("rotated");
    let old = mesh.by_secret("etl", &first).await.expect_err("old");
    let unknown = mesh.by_secret("elt", &second).await.expect_err("unknown");
    let person = mesh.by_secret("ann", &second).await.expect_err("a person");
    assert_eq!(old.to_string(), unknown.to_string());
    assert_eq!(old.to_string(), person.to_string());
    mesh.by_secret("etl", &second).await.expect("signed in");
    // It outlives the authority, and its secret is not on its disk.
    let mesh = mesh.restart(people()).await;
    mesh.by_secret("etl", &second).await.expect("signed in");
    let kept = std::fs::read_dir(mesh.folder.path().join("state")).expect("folder");
    for file in kept {
        let bytes = std::fs::read(file.expect("file").path()).expect("readable");
        let secret = second.secret.as_bytes();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    }
}

#[tokio::test]
async fn a_service_is_disabled_like_a_person() {
    let mesh = Mesh::start().await;
    let made = mesh.service("root", "etl", create(&["staff"])).await;
    let secret = made.expect("made");
    let desk = mesh.desk();
    let root = mesh.password_of("root");
    let unknown = desk.set_disabled(&root, "elt@service", true).await;
    assert_eq!(unknown.expect_err("unknown").code(), code::NOT_FOUND);
    desk.set_disabled(&root, "etl@service", true)
        .await
        .expect("done");
    let refused = mesh.by_secret("etl", &secret).await.expect_err("disabled");
    assert_eq!(refused.kind(), ErrorKind::Unauthenticated);
    desk.set_disabled(&root, "etl@service", false)
        .await
        .expect("done");
    mesh.by_secret("etl", &secret).await.expect("enabled");
}

#[tokio::test]
async fn services_are_made_by_administrators_and_are_none() {
    let mesh = Mesh::start().await;
    let refused = mesh.service("ann", "etl", create(&["staff"])).await;
    assert_eq!(refused.expect_err("ann").code(), code::NOT_GRANTED);
    for unfit in [
        mesh.service("root", "etl", create(&["mesh-admins"])).await,
        mesh.service("root", "e@tl", create(&[])).await,
        mesh.service("root", "", create(&[])).await,
        mesh.service("root", "etl", create(&[""])).await,
    ] {
        assert_eq!(unfit.expect_err("unfit").code(), code::SETTINGS);
    }
    let none = mesh.service("root", "etl", ServiceChange::Rotate).await;
    assert_eq!(none.expect_err("none").code(), code::NOT_FOUND);
    let made = mesh.service("root", "etl", create(&["staff"])).await;
    made.expect("made");
    let twice = mesh.service("root", "etl", create(&["staff"])).await;
    assert_eq!(twice.expect_err("there is one").code(), code::SETTINGS);
    let root = mesh.password_of("root");
    let desk = mesh.desk();
    let long = desk
        .change_service(&root, "long", create(&[]), Some(DAY * 400))
        .await;
    assert_eq!(long.expect_err("too long").code(), code::SETTINGS);
}
