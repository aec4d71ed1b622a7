//! Policies are handed out as they came, by whom and to whom that is due.

use tonic::Code;
use weft_governance::code;
use weft_wire::person::{Desk, Proof};
use weft_wire::policy::{PolicyBundle, PolicyKey};
use weft_wire::rpc::authority::{CurrentPolicyRequest, PublishPolicyRequest};

use super::*;

fn bundle(version: u64, signers: &[&str]) -> PolicyBundle {
    let text = format!("version: {version}\nmesh: {ISSUER}\nrules: []\n");
    signed(&text, signers)
}

fn signed(text: &str, signers: &[&str]) -> PolicyBundle {
    let mut bundle = PolicyBundle::new(text.to_owned());
    for signer in signers {
        let key = PolicyKey::generate().expect("key");
        let domain = signer.parse().expect("domain");
        bundle.sign(&domain, &key).expect("signed");
    }
    bundle
}

async fn publish(mesh: &Mesh, user: &str, bundle: PolicyBundle) -> Result<(), Error> {
    let (url, ca) = (mesh.authority.url(), mesh.authority.ca_pem());
    let proof = Proof::Password {
        user: user.to_owned(),
        password: PASSWORD.to_owned().into(),
    };
    Desk::at(&url, ca)?.publish_policy(&proof, bundle).await
}

#[tokio::test]
async fn a_newer_policy_takes_the_place_of_an_older_one_and_outlives_the_authority() {
    let mesh = Mesh::start().await;
    let node = mesh.client("node/sales/sales-1");
    assert_eq!(node.current_policy(0).await.expect("answer"), None);
    let second = bundle(2, &["sales"]);
    publish(&mesh, "root", second.clone())
        .await
        .expect("published");
    for (known, newer) in [(0, true), (1, true), (2, false), (3, false)] {
        let found = node.current_policy(known).await.expect("answer");
        assert_eq!(found.is_some(), newer, "{known}");
    }
    for refused in [
        bundle(1, &["sales"]),
        signed(
            &format!("version: 2\nmesh: {ISSUER}\nrules: []\n#\n"),
            &["crm"],
        ),
    ] {
        let error = publish(&mesh, "root", refused)
            .await
            .expect_err("not newer");
        assert_eq!(error.code(), code::POLICY, "{error}");
    }
    // Each representative may publish their own signature.
    let other = bundle(2, &["crm"]);
    for _ in 0..2 {
        publish(&mesh, "root", other.clone()).await.expect("added");
    }
    let more = PolicyBundle {
        signatures: [other.signatures, second.signatures].concat(),
        document: second.document,
    };
    let mesh = mesh.restart(people()).await;
    let node = mesh.client("node/sales/sales-1");
    assert_eq!(node.current_policy(0).await.expect("answer"), Some(more));
}

#[tokio::test]
async fn only_administrators_publish_and_only_what_is_a_policy_of_this_mesh() {
    let mesh = Mesh::start().await;
    let error = publish(&mesh, "ann", bundle(1, &["sales"]))
        .await
        .expect_err("no administrator");
    assert_eq!(error.code(), code::NOT_GRANTED, "{error}");
    let error = publish(&mesh, "gone", bundle(1, &["sales"]))
        .await
        .expect_err("disabled");
    assert_eq!(error.code(), code::UNAUTHENTICATED, "{error}");
    let broken = PolicyBundle {
        document: "rules".to_owned(),
        ..bundle(1, &["sales"])
    };
    for unfit in [
        bundle(1, &[]),
        broken,
        signed("version: 1\nmesh: other\nrules: []\n", &["sales"]),
    ] {
        let error = publish(&mesh, "root", unfit).await.expect_err("unfit");
        assert_eq!(error.code(), code::POLICY, "{error}");
    }
    let long = format!(
        "version: 1\nmesh: {ISSUER}\nrules: []\n#{}",
        "x".repeat(60 << 10)
    );
    publish(&mesh, "root", signed(&long, &["sales"]))
        .await
        .expect("large, but not too large");
}

#[tokio::test]
async fn strangers_neither_publish_nor_fetch() {
    let mesh = Mesh::start().await;
    let mut stranger = mesh.stranger().await;
    let known_version = 0;
    let status = stranger
        .current_policy(CurrentPolicyRequest { known_version })
        .await;
    assert_eq!(status.expect_err("refused").code(), Code::Unauthenticated);
    let request = PublishPolicyRequest {
        credential: None,
        bundle: Some(bundle(1, &["sales"]).into()),
    };
    let status = stranger.publish_policy(request).await;
    assert_eq!(status.expect_err("refused").code(), Code::InvalidArgument);
}
