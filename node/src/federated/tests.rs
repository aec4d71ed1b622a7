//! Which policies come into force, and which stay there.

use std::collections::BTreeMap;
use std::path::Path;

use tokio::sync::watch;
use weft_governance::DomainId;
use weft_ledger::EventKind;
use weft_wire::policy::PolicyKey;

use super::*;
use crate::enforce::Policy;
use crate::fixture::Mesh;

/// Three representatives, of whom two decide, and one node.
struct Node {
    folder: tempfile::TempDir,
    mesh: Mesh,
    keys: BTreeMap<DomainId, PolicyKey>,
}

/// What the node has while it runs.
struct Running {
    ledger: Ledger,
    policy: watch::Receiver<Arc<Policy>>,
    federated: Federated,
}

impl Node {
    fn new() -> Self {
        let key = |name: &str| (domain(name), PolicyKey::generate().expect("key"));
        Self {
            folder: tempfile::tempdir().expect("folder"),
            mesh: Mesh::new(),
            keys: ["sales", "crm", "supply"].map(key).into(),
        }
    }

    fn settings(&self) -> PolicySettings {
        let text = |key: &PolicyKey| key.public().expect("key").to_string();
        let keys = self.keys.iter();
        PolicySettings {
            mesh: "test".to_owned(),
            threshold: 2,
            representatives: keys.map(|(name, key)| (name.clone(), text(key))).collect(),
            refresh: Duration::from_secs(5),
        }
    }

    fn log(&self) -> Ledger {
        Ledger::open(&self.folder.path().join("events.db")).expect("log")
    }

    fn start(&self) -> Running {
        let ledger = self.log();
        let settings = self.settings();
        let kept = at_start(&ledger, Some(&settings)).expect("readable");
        let policy = Policy::compile(domain("sales"), 1, Vec::new(), Vec::new()).expect("empty");
        let (policy, newest) = watch::channel(Arc::new(policy));
        let now = before(kept.as_ref(), Some(&settings));
        let held = (ledger.clone(), self.mesh.node("sales", "n1"));
        let rights = Rights::load(policy, held, Vec::new(), now).expect("rights");
        let federated = Federated::new(&settings, rights, kept.as_ref()).expect("settings");
        Running {
            ledger,
            policy: newest,
            federated,
        }
    }

    fn bundle(&self, text: &str, signers: &[&str]) -> PolicyBundle {
        let mut bundle = PolicyBundle::new(text.to_owned());
        for signer in signers {
            let domain = domain(signer);
            let signature = self.keys[&domain].sign("test", &domain, text);
            bundle.signatures.push(signature.expect("signed"));
        }
        bundle
    }
}

impl Running {
    fn version(&self) -> Option<u64> {
        self.policy.borrow().federated_version()
    }

    fn records(&self) -> usize {
        let records = self.ledger.read_of(&[EventKind::PolicyChanged]);
        records.expect("readable").len()
    }
}

fn domain(name: &str) -> DomainId {
    name.parse().expect("domain")
}

fn text(version: u64) -> String {
    format!("version: {version}\nmesh: test\nrules: []\n")
}

#[tokio::test]
async fn only_a_newer_policy_with_enough_signatures_comes_into_force() {
    let node = Node::new();
    let mut running = node.start();
    let two = &["sales", "crm"][..];
    for (bundle, in_force) in [
        (node.bundle(&text(2), &["sales"]), None),
        (node.bundle(&text(2), &["sales", "sales"]), None),
        (node.bundle(&text(2), two), Some(2)),
        (node.bundle(&text(2), two), Some(2)),
        (node.bundle(&text(1), two), Some(2)),
        (node.bundle(&text(3), &["supply"]), Some(2)),
        (node.bundle(&text(3).replace("test", "other"), two), Some(2)),
        (node.bundle("version: 3\n", two), Some(2)),
        (node.bundle(&text(7), &["crm", "supply"]), Some(7)),
        (node.bundle(&text(6), &["sales", "crm", "supply"]), Some(7)),
    ] {
        running.federated.consider(&bundle).await;
        assert_eq!(running.version(), in_force, "{}", bundle.document);
    }
    assert_eq!(running.records(), 2);
}

#[tokio::test]
async fn silence_is_no_answer_to_whether_there_is_a_policy() {
    let node = Node::new();
    assert!(matches!(before(None, None), Federation::Free));
    let mut running = node.start();
    let awaited =
        |running: &Running| matches!(running.policy.borrow().federation(), Federation::Awaited);
    assert!(awaited(&running));
    let too_few = node.bundle(&text(2), &["sales"]);
    running.federated.consider(&too_few).await;
    assert!(awaited(&running));
    running.federated.answered().await;
    assert!(matches!(
        running.policy.borrow().federation(),
        Federation::Free
    ));
    let enough = node.bundle(&text(2), &["sales", "crm"]);
    running.federated.consider(&enough).await;
    running.federated.answered().await;
    assert_eq!(running.version(), Some(2));
}

#[tokio::test]
async fn what_is_in_force_outlives_the_node_and_cannot_be_rolled_back() {
    let node = Node::new();
    let mut running = node.start();
    let two = &["sales", "crm"][..];
    running
        .federated
        .consider(&node.bundle(&text(4), two))
        .await;
    let since = running.federated.since;
    drop(running);
    let mut running = node.start();
    assert_eq!(running.version(), Some(4));
    assert_eq!(
        running.federated.since.map(|it| it.micros() / 1_000_000),
        since.map(|it| it.micros() / 1_000_000)
    );
    running
        .federated
        .consider(&node.bundle(&text(3), two))
        .await;
    assert_eq!(running.version(), Some(4));
    running
        .federated
        .consider(&node.bundle(&text(5), two))
        .await;
    assert_eq!(running.version(), Some(5));
}

#[tokio::test]
async fn a_domain_does_not_leave_a_policy_by_its_settings() {
    let node = Node::new();
    assert_eq!(
        at_start(&node.log(), None).expect("nothing is in force"),
        None
    );
    let mut running = node.start();
    let bundle = node.bundle(&text(1), &["sales", "crm"]);
    running.federated.consider(&bundle).await;
    drop(running);
    let error = at_start(&node.log(), None).expect_err("a policy is in force");
    assert_eq!(error.code(), code::SETTINGS, "{error}");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("representatives"))
    );
}

#[tokio::test]
async fn a_policy_that_cannot_be_followed_closes_the_node() {
    let node = Node::new();
    let mut running = node.start();
    let strange = "version: 8\nmesh: test\nrules: [{ name: r, products: {}, rotate: daily }]\n";
    running
        .federated
        .consider(&node.bundle(strange, &["sales", "crm"]))
        .await;
    assert_eq!(running.version(), Some(8));
    assert!(matches!(
        running.policy.borrow().federation(),
        Federation::Unreadable { version: 8 }
    ));
    drop(running);
    let mut running = node.start();
    assert!(matches!(
        running.policy.borrow().federation(),
        Federation::Unreadable { version: 8 }
    ));
    running
        .federated
        .consider(&node.bundle(&text(9), &["sales", "crm"]))
        .await;
    assert!(matches!(
        running.policy.borrow().federation(),
        Federation::InForce(_)
    ));
}

#[tokio::test]
async fn a_policy_that_cannot_be_written_down_is_not_in_force() {
    let node = Node::new();
    let mut running = node.start();
    refuse_writing(&node.folder.path().join("events.db"));
    running
        .federated
        .consider(&node.bundle(&text(1), &["sales", "crm"]))
        .await;
    assert_eq!(running.version(), None);
    assert_eq!(
        running.federated.refused, None,
        "the next time may be better"
    );
}

/// Has every further event refused, as a full disk would.
fn refuse_writing(log: &Path) {
    let connection = rusqlite::Connection::open(log).expect("opened");
    let trigger =
        "CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'full'); END";
    connection
        .execute_batch(trigger)
        .expect("refused from now on");
}
