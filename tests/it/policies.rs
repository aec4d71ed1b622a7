//! Federated policies: what enough representatives sign holds at every node, and nothing else does.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use harness::{Client, Mesh, MeshOptions, Published, grant, run};
use tokio::time::{sleep, timeout};
use weft_governance::{Asker, DomainId, Error, Principal, code};
use weft_ledger::EventKind;
use weft_node::{GrantSettings, PolicySettings};
use weft_wire::person::{Desk, Proof};
use weft_wire::policy::{PolicyBundle, PolicyKey};

const DOMAINS: [&str; 3] = ["sales", "crm", "supply"];

const PEOPLE: Published<'static> = Published {
    domain: "crm",
    product: "people",
    tables: &[
        (
            "p",
            &[
                ("id", "integer", "bigint"),
                ("email#PII", "string", "varchar"),
                ("city", "string", "varchar"),
            ],
            "1,ann@example.org,Bonn\n2,bob@example.org,Kiel\n3,cyd@example.org,Bonn",
        ),
        (
            "n",
            &[
                ("id", "integer", "bigint"),
                ("code#pii", "integer", "bigint"),
            ],
            "1,1\n2,2\n3,3\n4,4\n5,5\n6,6\n7,7\n8,8\n9,9\n10,10",
        ),
    ],
};

const ORDERS: Published<'static> = Published {
    domain: "sales",
    product: "orders",
    tables: &[(
        "o",
        &[("id", "integer", "bigint"), ("buyer", "integer", "bigint")],
        "10,1\n11,2",
    )],
};

const PARTS: Published<'static> = Published {
    domain: "supply",
    product: "parts",
    tables: &[("s", &[("id", "integer", "bigint")], "1")],
};

/// SHA-256 of `ann@example.org`.
const ANN: &str = "438c4c7afe600cdf1e455c369bec76dc970fc8ca463447c7b387a347f3c79331";

const EMAILS: &str = "SELECT id, email FROM crm.people.p ORDER BY id";

/// The mesh and the keys of its representatives, two of whom decide.
struct Federated {
    mesh: Mesh,
    keys: BTreeMap<DomainId, PolicyKey>,
}

impl Federated {
    async fn start() -> Self {
        let domain = |name: &str| -> DomainId { name.parse().expect("domain") };
        let key = |name| (domain(name), PolicyKey::generate().expect("key"));
        let keys: BTreeMap<DomainId, PolicyKey> = DOMAINS.map(key).into();
        let text = |key: &PolicyKey| key.public().expect("key").to_string();
        let representatives = keys.iter().map(|(name, key)| (name.clone(), text(key)));
        let mut options = MeshOptions::empty();
        options.policy = Some(PolicySettings {
            mesh: "https://authority.test".to_owned(),
            threshold: 2,
            representatives: representatives.collect(),
            refresh: Duration::from_millis(50),
        });
        for (name, group) in [("owner", "crm-owners"), ("clerk", "clerks")] {
            options
                .users
                .push((name.to_owned(), vec![group.to_owned()]));
        }
        let named = GrantSettings {
            table: Some("p".to_owned()),
            columns: Some(vec!["id".to_owned(), "email".to_owned()]),
            purposes: vec!["fraud".to_owned()],
            valid_from: Some("2026-01-01".to_owned()),
            ..grant("admin", "people")
        };
        let grants = vec![
            ("crm", named),
            ("crm", grant("analyst", "people")),
            ("sales", grant("analyst", "orders")),
        ];
        let mesh = Mesh::publish_with(options, &[ORDERS, PEOPLE, PARTS], grants).await;
        Self { mesh, keys }
    }

    /// A policy of this mesh with one rule, signed by `signers`.
    fn policy(&self, version: u64, rule: &str, signers: &[&str]) -> PolicyBundle {
        let mut bundle = PolicyBundle::new(format!(
            "version: {version}\nmesh: https://authority.test\nrules:\n  - name: personal\n    columns: {{ tags: [pii] }}\n    {rule}\n"
        ));
        for signer in signers {
            let domain = signer.parse().expect("domain");
            bundle.sign(&domain, &self.keys[&domain]).expect("signed");
        }
        bundle
    }

    async fn publish(&self, bundle: PolicyBundle) -> Result<(), Error> {
        let (url, ca) = (self.mesh.authority.url(), self.mesh.authority.ca_pem());
        let proof = Proof::Password {
            user: "admin".to_owned(),
            password: self.mesh.password().to_owned().into(),
        };
        Desk::at(&url, ca)?.publish_policy(&proof, bundle).await
    }

    /// Publishes, and waits until every node follows it and the coordinator has heard of that.
    async fn put_in_force(&self, version: u64, rule: &str) {
        let bundle = self.policy(version, rule, &["sales", "crm"]);
        self.publish(bundle).await.expect("published");
        for domain in DOMAINS {
            self.wait_for(domain, version).await;
        }
    }

    async fn wait_for(&self, domain: &str, version: u64) {
        let node = self.mesh.node(domain);
        let followed = async {
            while node.policy().federated_version() != Some(version) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), followed)
            .await
            .expect("in time");
        let epoch = node.epoch();
        self.mesh
            .wait_for(domain, |entry| entry.epoch >= epoch)
            .await;
    }

    /// Sessions of `user` through the coordinator and straight at the node of `crm`.
    async fn both(&self, user: &str) -> [Client; 2] {
        [
            self.mesh.sign_in(user).await,
            self.mesh.sign_in_at("crm", user).await,
        ]
    }
}

async fn lines(client: &mut Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql).await.expect("an answer");
    rows.rows().iter().map(|row| row.join(" ")).collect()
}

#[test]
fn what_too_few_sign_changes_nothing_and_what_enough_sign_masks_everywhere() {
    run(async {
        let mut federated = Federated::start().await;
        let open = [
            "1 ann@example.org",
            "2 bob@example.org",
            "3 cyd@example.org",
        ];
        let mask = "mask: sha-256";
        let one = federated.policy(1, mask, &["sales"]);
        federated.publish(one).await.expect("published");
        // A node has asked for the policy before it serves.
        federated.mesh.kill_node("crm");
        federated.mesh.start_node("crm").await;
        for client in &mut federated.both("analyst").await {
            assert_eq!(lines(client, EMAILS).await, open);
        }
        let log = weft_ledger::read_of(&federated.mesh.ledger("crm"), &[EventKind::PolicyChanged]);
        assert!(log.expect("readable").is_empty());

        federated.put_in_force(1, mask).await;
        for client in &mut federated.both("analyst").await {
            let shown = lines(client, EMAILS).await;
            assert_eq!(shown[0], format!("1 {ANN}"));
            assert!(shown.iter().all(|row| !row.contains('@')), "{shown:?}");
            let guess = "SELECT count(*) FROM crm.people.p WHERE email = 'ann@example.org'";
            assert_eq!(client.value(guess).await, "0");
            let cities = "SELECT count(DISTINCT city) FROM crm.people.p";
            assert_eq!(
                client.value(cities).await,
                "2",
                "what is not tagged stays open"
            );
        }
        let mut far = federated.mesh.sign_in("analyst").await;
        let joined = "SELECT o.id, p.email FROM sales.orders.o o JOIN crm.people.p p \
                      ON o.buyer = p.id ORDER BY 1";
        assert!(
            lines(&mut far, joined)
                .await
                .iter()
                .all(|row| !row.contains('@'))
        );
    });
}

#[test]
fn a_grant_unmasks_by_name_and_purpose() {
    run(async {
        let federated = Federated::start().await;
        federated
            .put_in_force(1, "mask: sha-256\n    unmask_for: [fraud]")
            .await;
        let mut owner = federated.mesh.sign_in_at("crm", "owner").await;
        for given in [
            "GRANT SELECT (id, email) ON TABLE crm.people.p TO USER clerk FOR PURPOSE 'fraud'",
            "GRANT SELECT (id, email) ON TABLE crm.people.p TO USER outsider FOR PURPOSE 'ads'",
        ] {
            owner.query(given).await.expect("given");
        }
        federated.wait_for("crm", 1).await;
        let people = [
            ("clerk", "fraud", true),
            ("admin", "fraud", true),
            ("outsider", "ads", false),
        ];
        for (user, purpose, open) in people {
            for client in &mut federated.both(user).await {
                client.error(EMAILS).await;
                let set = format!("SET weft.purpose = '{purpose}'");
                client.query(&set).await.expect("set");
                let shown = lines(client, EMAILS).await;
                assert_eq!(shown[0] == "1 ann@example.org", open, "{user}: {shown:?}");
            }
        }
        // Owners see why.
        let grants = owner
            .query("SHOW GRANTS FOR USER analyst")
            .await
            .expect("grants");
        let masks = grants.column("masks");
        assert!(
            masks.contains(&"email: sha-256 (policy 1: personal)"),
            "{masks:?}"
        );
        assert!(
            masks.contains(&"code: replace-with-null (policy 1: personal)"),
            "{masks:?}"
        );
    });
}

#[test]
fn an_older_policy_and_one_of_strangers_are_refused_and_a_restart_changes_nothing() {
    run(async {
        let mut federated = Federated::start().await;
        federated.put_in_force(3, "mask: replace-with-null").await;
        let older = federated.policy(2, "require_purpose: false", &["sales", "crm"]);
        let refused = federated.publish(older).await.expect_err("older");
        assert_eq!(refused.code(), code::POLICY, "{refused}");
        // The authority hands out what two strangers signed; the nodes do not take it.
        let mut strange = federated.policy(4, "require_purpose: false", &[]);
        for name in ["sales", "crm"] {
            let key = PolicyKey::generate().expect("key");
            strange
                .sign(&name.parse().expect("domain"), &key)
                .expect("signed");
        }
        federated
            .publish(strange)
            .await
            .expect("the authority has no keys");
        let analyst = Principal {
            issuer: "https://authority.test".to_owned(),
            subject: "analyst".to_owned(),
            groups: Default::default(),
            attributes: Default::default(),
        };
        let asker = Asker::new(&analyst, SystemTime::now().into());
        for _ in 0..2 {
            federated.mesh.kill_node("crm");
            federated.mesh.start_node("crm").await;
            let policy = federated.mesh.node("crm").policy();
            assert_eq!(policy.federated_version(), Some(3));
            let seen = policy.visible_tables(&asker);
            let table = seen
                .iter()
                .find(|it| it.table.table() == "p")
                .expect("granted");
            assert!(table.masked.contains("email") && !table.masked.contains("city"));
            // Once more, with nobody to ask.
            federated.mesh.hide_authority();
        }
        // A node that has never heard of a policy does not take silence for an answer.
        let log = federated.mesh.ledger("crm");
        federated.mesh.kill_node("crm");
        for part in ["", "-wal", "-shm"] {
            // What was written back is not there any more.
            let _ = std::fs::remove_file(format!("{}{part}", log.display()));
        }
        federated.mesh.start_node("crm").await;
        let policy = federated.mesh.node("crm").policy();
        assert_eq!(policy.federated_version(), None);
        assert!(policy.visible_tables(&asker).is_empty());
    });
}

#[test]
fn rows_that_a_new_policy_masks_end_and_others_go_on() {
    run(async {
        let federated = Federated::start().await;
        let many = |column: &str| {
            let joins: String = ["b", "c", "d", "e", "f", "g"]
                .iter()
                .map(|name| format!(" CROSS JOIN crm.people.n {name}"))
                .collect();
            format!("SELECT a.{column} FROM crm.people.n a{joins}")
        };
        let mut open = Vec::new();
        let mut masked = Vec::new();
        for client in &mut federated.both("analyst").await {
            for (column, kept) in [("id", &mut open), ("code", &mut masked)] {
                let mut rows = client.stream(&many(column)).await.expect("starts");
                rows.try_next().await.expect("rows").expect("rows");
                kept.push(rows);
            }
        }
        federated.put_in_force(1, "mask: sha-256").await;
        for mut rows in masked {
            let ended = loop {
                match rows.try_next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("a part of the rows passed for all"),
                    Err(error) => break error,
                }
            };
            assert_eq!(ended.code(), code::REVOKED, "{ended}");
        }
        for mut rows in open {
            for _ in 0..20 {
                rows.try_next().await.expect("goes on").expect("goes on");
            }
        }
    });
}

#[test]
fn grants_end_and_purposes_are_named_as_the_policy_says() {
    run(async {
        let federated = Federated::start().await;
        federated.put_in_force(1, "require_purpose: true").await;
        let sql = "SELECT count(*) FROM crm.people.p WHERE email IS NOT NULL";
        for client in &mut federated.both("analyst").await {
            let refused = client.error(sql).await;
            assert_ne!(refused.code(), code::INTERNAL, "{refused}");
            client
                .query("SET weft.purpose = 'anything'")
                .await
                .expect("set");
            assert_eq!(client.value(sql).await, "3");
        }
        federated.put_in_force(2, "max_grant_duration: 4s").await;
        let mut owner = federated.mesh.sign_in_at("crm", "owner").await;
        let mut clerk = federated.mesh.sign_in_at("crm", "clerk").await;
        let give =
            |columns: &str| format!("GRANT SELECT ({columns}) ON TABLE crm.people.p TO USER clerk");
        owner.query(&give("email")).await.expect("given");
        owner.query(&give("id, city")).await.expect("given");
        assert_eq!(clerk.value(sql).await, "3");
        while clerk.query(sql).await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
        let other = "SELECT count(DISTINCT city) FROM crm.people.p";
        assert_eq!(
            clerk.value(other).await,
            "2",
            "nothing of that is classified"
        );
    });
}

#[test]
fn the_log_says_which_policy_decided_and_statistics_tell_what_it_shows() {
    run(async {
        let federated = Federated::start().await;
        let of = async |column: &str| {
            let mut client = federated.mesh.sign_in("analyst").await;
            let stats = lines(&mut client, "SHOW STATS FOR crm.people.n").await;
            let row = stats.into_iter().find(|row| row.starts_with(column));
            row.expect("a row for each column")
        };
        let before = of("code").await;
        assert!(before.ends_with(" 1 10"), "{before}");
        federated.put_in_force(1, "mask: replace-with-null").await;
        let mut analyst = federated.mesh.sign_in("analyst").await;
        analyst.query(EMAILS).await.expect("an answer");
        for _ in 0..2 {
            let (open, after) = (of("id").await, of("code").await);
            assert!(open.ends_with(" 1 10"), "{open}");
            assert!(after.ends_with(" NULL NULL"), "{after}");
            federated.mesh.wait_for_statistics("crm").await;
        }
        let log = federated.mesh.ledger("crm");
        let records = |kind| weft_ledger::read_of(&log, &[kind]).expect("readable");
        let changed = records(EventKind::PolicyChanged);
        let details: Vec<_> = changed.iter().map(|it| &it.event.details).collect();
        assert_eq!(details.len(), 1);
        assert_eq!(details[0]["version"], 1);
        assert_eq!(details[0]["signers"], serde_json::json!(["crm", "sales"]));
        assert!(
            details[0]["document"]
                .as_str()
                .is_some_and(|it| it.contains("personal"))
        );
        let admitted = records(EventKind::Admitted);
        let newest = admitted.last().expect("admitted");
        assert_eq!(newest.event.details["policy"], 1);
    });
}
