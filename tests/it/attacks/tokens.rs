//! Bearers that are no good, shown by clients: whatever is wrong with them, one thing is said of what
//! looks like a token, and one of what does not.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use harness::{HostileCoordinator, Mesh, node_id, run};
use weft_governance::{ErrorKind, Principal, code};
use weft_wire::token::UserTokenSigner;

use super::people::mesh;

/// What a token of `user` for the node of `domain` is, as its owner may have one issued.
async fn issued(mesh: &Mesh, user: &str, domain: &str) -> String {
    let (url, ca) = (mesh.authority.url(), mesh.authority.ca_pem());
    let node = node_id(domain);
    let token = weft_wire::join::issue_token(&url, ca, user, mesh.password(), &node).await;
    token.expect("issued").text
}

fn made_up(subject: &str) -> String {
    let principal = Principal {
        issuer: "https://authority.test".to_owned(),
        subject: subject.to_owned(),
        groups: ["crm-owners".to_owned()].into(),
        attributes: Default::default(),
    };
    let forger = UserTokenSigner::generate("https://authority.test").expect("a key");
    let minute = Duration::from_secs(60);
    let signed = forger.sign(&principal, &node_id("crm"), None, SystemTime::now(), minute);
    signed.expect("signed").text
}

#[test]
fn every_bad_bearer_is_refused_with_one_text_at_every_door() {
    run(async {
        let mesh = mesh().await;
        let good = issued(&mesh, "admin", "crm").await;
        let bound = HostileCoordinator::of(&mesh, "admin", "crm").await.token;
        let parts: Vec<&str> = good.split('.').collect();
        let mut bad = vec![
            ("for another node", issued(&mesh, "admin", "sales").await),
            ("bound to a coordinator", bound),
            ("made up", made_up("admin")),
            ("made up for an owner", made_up("crm_owner")),
            ("without a signature", format!("{}.{}.", parts[0], parts[1])),
            ("without claims", format!("{}..{}", parts[0], parts[2])),
            ("without a header", format!(".{}.{}", parts[1], parts[2])),
            ("in another case", good.to_lowercase()),
            ("twice", format!("{good}.{good}")),
            ("no token", "x".to_owned()),
            ("three dots", "...".to_owned()),
            ("nothing", String::new()),
        ];
        for cut in [1, 10, good.len() / 2, good.len() - 1] {
            bad.push(("cut", good[..cut].to_owned()));
        }
        for at in (0..good.len()).step_by(17) {
            let mut changed = good.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            bad.push(("changed", String::from_utf8(changed).expect("ASCII")));
        }
        let mut told = [BTreeSet::new(), BTreeSet::new()];
        for (how, bearer) in &bad {
            for mut client in [mesh.bring_to("crm", bearer).await, mesh.bring(bearer).await] {
                let error = client.error("SELECT count(*) FROM crm.people.person").await;
                assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{how}: {error}");
                assert_eq!(error.code(), code::UNAUTHENTICATED, "{how}: {error}");
                let form = usize::from(bearer.split('.').count() == 3);
                told[form].insert(format!("{error} {:?} {:?}", error.hint(), error.domain()));
            }
        }
        assert_eq!(told.each_ref().map(BTreeSet::len), [1, 1], "{told:#?}");
        let mut control = mesh.bring_to("crm", &good).await;
        assert_eq!(
            control
                .value("SELECT count(*) FROM crm.people.person")
                .await,
            "5"
        );
    });
}
