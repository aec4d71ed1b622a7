//! Signatures that count and those that do not.

use std::collections::BTreeMap;

use weft_governance::{DomainId, code};

use super::*;

const POLICY: &str = "version: 2\nmesh: test\nrules: []\n";

fn domain(name: &str) -> DomainId {
    name.parse().expect("domain")
}

/// Three domains, whose keys are made anew for each test.
struct Mesh(BTreeMap<DomainId, PolicyKey>);

impl Mesh {
    fn new() -> Self {
        let key = |name| (domain(name), PolicyKey::generate().expect("key"));
        Self(["sales", "crm", "supply"].map(key).into())
    }

    fn public(&self) -> BTreeMap<DomainId, String> {
        let text = |key: &PolicyKey| key.public().expect("key").to_string();
        self.0
            .iter()
            .map(|(name, key)| (name.clone(), text(key)))
            .collect()
    }

    fn pinned(&self) -> Representatives {
        Representatives::new("test", 2, &self.public()).expect("settings")
    }

    fn signed_by(&self, names: &[&str]) -> PolicyBundle {
        let mut bundle = PolicyBundle::new(POLICY.to_owned());
        for name in names {
            let domain = domain(name);
            bundle.sign(&domain, &self.0[&domain]).expect("signed");
        }
        bundle
    }
}

fn refusal(mesh: &Mesh, bundle: &PolicyBundle) -> String {
    let error = mesh.pinned().verify(bundle).expect_err("refused");
    assert_eq!(error.code(), code::POLICY, "{error}");
    error.to_string()
}

#[test]
fn k_of_n_representatives_decide_and_fewer_do_not() {
    let mesh = Mesh::new();
    for (names, enough) in [
        (&[][..], false),
        (&["sales"], false),
        (&["sales", "crm"], true),
        (&["supply", "crm"], true),
        (&["supply", "crm", "sales"], true),
    ] {
        let verified = mesh.pinned().verify(&mesh.signed_by(names));
        assert_eq!(verified.is_ok(), enough, "{names:?}");
        if let Ok(policy) = verified {
            assert_eq!(policy.signers.len(), names.len());
            assert_eq!((policy.head.version, policy.ignored.len()), (2, 0));
        }
    }
    let text = refusal(&mesh, &mesh.signed_by(&["sales"]));
    assert_eq!(
        text,
        "the policy is signed by `sales`, and 2 of 3 representatives are needed"
    );
}

#[test]
fn nobody_counts_twice() {
    let mesh = Mesh::new();
    let mut bundle = mesh.signed_by(&["sales"]);
    let again = bundle.signatures[0].clone();
    bundle.signatures.push(again);
    refusal(&mesh, &bundle);
    // Another signature with the same key for the same domain.
    let sales = domain("sales");
    let more = mesh.0[&sales].sign("test", &sales, POLICY).expect("signed");
    assert_ne!(more.signature, bundle.signatures[0].signature);
    bundle.signatures.push(more);
    refusal(&mesh, &bundle);
    // The same key for another domain.
    let crm = domain("crm");
    bundle.sign(&crm, &mesh.0[&sales]).expect("signed");
    let text = refusal(&mesh, &bundle);
    assert!(
        text.contains("`crm` signed with a key that is not pinned"),
        "{text}"
    );
    let mut keys = mesh.public();
    keys.insert(crm.clone(), keys[&sales].clone());
    let error = Representatives::new("test", 2, &keys).expect_err("one key for two");
    assert_eq!(error.code(), code::SETTINGS);
}

#[test]
fn a_signature_is_under_one_document_of_one_mesh_for_one_domain() {
    let mesh = Mesh::new();
    let good = mesh.signed_by(&["sales", "crm"]);
    assert!(mesh.pinned().verify(&good).is_ok());
    let mut other = good.clone();
    other.document.push('\n');
    refusal(&mesh, &other);
    let mut swapped = good.clone();
    swapped.signatures[0].domain = "supply".to_owned();
    refusal(&mesh, &swapped);
    let elsewhere = Representatives::new("other", 2, &mesh.public()).expect("settings");
    assert!(elsewhere.verify(&good).is_err());
    // A document that names another mesh than its signatures are for.
    let text = POLICY.replace("mesh: test", "mesh: other");
    let sign = |name: &str| {
        mesh.0[&domain(name)]
            .sign("test", &domain(name), &text)
            .expect("signed")
    };
    let lying = PolicyBundle {
        signatures: vec![sign("sales"), sign("crm")],
        document: text.clone(),
    };
    assert!(refusal(&mesh, &lying).contains("is for the mesh `other`"));
    for bytes in 0..good.signatures[0].signature.len() {
        let mut changed = good.clone();
        let signature = &mut changed.signatures[0].signature;
        let new = if &signature[bytes..=bytes] == "A" {
            "B"
        } else {
            "A"
        };
        signature.replace_range(bytes..=bytes, new);
        // The last character holds bits that nobody reads.
        if bytes + 1 < good.signatures[0].signature.len() {
            refusal(&mesh, &changed);
        }
    }
}

#[test]
fn strangers_are_noted_and_do_no_harm() {
    let mesh = Mesh::new();
    let mut bundle = mesh.signed_by(&["sales", "crm"]);
    let stranger = PolicyKey::generate().expect("key");
    bundle.sign(&domain("finance"), &stranger).expect("signed");
    let policy = mesh.pinned().verify(&bundle).expect("enough without");
    assert_eq!(policy.ignored, ["`finance` is no representative here"]);
}

#[test]
fn settings_that_decide_nothing_are_refused() {
    let mesh = Mesh::new();
    let keys = mesh.public();
    for threshold in [0, 4] {
        let error = Representatives::new("test", threshold, &keys).expect_err("unfit");
        assert_eq!(error.code(), code::SETTINGS, "{threshold}");
    }
    assert!(Representatives::new(" ", 2, &keys).is_err());
    for key in ["", "AAAA", &"A".repeat(87)] {
        let keys = [(domain("sales"), key.to_owned())].into();
        let error = Representatives::new("test", 1, &keys).expect_err("no key");
        assert!(
            error.to_string().contains("policy.representatives.sales"),
            "{error}"
        );
    }
}

#[test]
fn keys_and_bundles_are_read_as_they_are_written() {
    let mesh = Mesh::new();
    let bundle = mesh.signed_by(&["sales", "crm"]);
    assert_eq!(
        PolicyBundle::from_json(&bundle.to_json()).expect("read"),
        bundle
    );
    let message = crate::rpc::authority::PolicyBundle::from(bundle.clone());
    assert_eq!(PolicyBundle::try_from(message).expect("read"), bundle);
    for text in [
        "",
        "{}",
        &bundle.to_json().replace("weft-policy/1", "weft-policy/2"),
    ] {
        assert!(PolicyBundle::from_json(text).is_err());
    }
    let key = &mesh.0[&domain("sales")];
    let again = PolicyKey::from_pem(key.to_pem()).expect("read");
    let (one, other) = (key.public().expect("key"), again.public().expect("key"));
    assert_eq!(one, other);
    assert_eq!(
        one.to_string().parse::<PolicyPublicKey>().expect("read"),
        one
    );
    assert!(!format!("{key:?}").contains("PRIVATE"));
}

#[test]
fn what_is_too_large_is_not_looked_at() {
    let mesh = Mesh::new();
    let mut long = mesh.signed_by(&["sales", "crm"]);
    long.document = "#".repeat(weft_governance::federated::LONGEST_DOCUMENT + 1);
    assert!(refusal(&mesh, &long).contains("too large"));
    let mut many = mesh.signed_by(&["sales", "crm"]);
    let one = many.signatures[0].clone();
    many.signatures.extend(std::iter::repeat_n(one, 100));
    assert!(refusal(&mesh, &many).contains("too large"));
}
