mod mutations;

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use weft_governance::{Principal, QueryId, code};

use super::*;
use crate::convert::seconds;
use crate::fixture::{Mesh, der, server};
use crate::identity::{Peer, Thumbprint};

const ISSUER: &str = "mesh";
const MINUTE: Duration = Duration::from_secs(60);

fn ann() -> Principal {
    Principal {
        issuer: ISSUER.to_owned(),
        subject: "ann".to_owned(),
        groups: ["staff".to_owned()].into(),
        attributes: [("region".to_owned(), "north".to_owned())].into(),
    }
}

fn signer() -> UserTokenSigner {
    UserTokenSigner::generate(ISSUER).expect("key")
}

fn verifier(signer: &UserTokenSigner, audience: &str) -> UserTokenVerifier {
    UserTokenVerifier::new(ISSUER, &signer.jwks(), &server(audience)).expect("keys")
}

fn token(signer: &UserTokenSigner, holder: Option<&Thumbprint>, now: SystemTime) -> String {
    let audience = server("node/sales/s1");
    signer
        .sign(&ann(), &audience, holder, now, MINUTE)
        .expect("signed")
        .text
}

/// Every refusal of a user token has this one text.
fn assert_refused(result: Result<VerifiedUser, weft_governance::Error>, why: &str) {
    let error = result.expect_err(why);
    assert_eq!(error.code(), code::UNAUTHENTICATED, "{why}");
    assert_eq!(error.message(), "the token is not valid here", "{why}");
}

/// The claims of a valid token, for changing.
fn claims(now: SystemTime) -> Value {
    json!({"iss": ISSUER, "sub": "ann", "aud": "node/sales/s1", "iat": seconds(now),
        "exp": seconds(now) + 60, "jti": "1", "groups": ["staff"], "attributes": {}})
}

/// Signs any claims under any header with the signer's key.
fn forge(signer: &UserTokenSigner, typ: &str, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some(typ.to_owned());
    header.kid = Some(kid(signer));
    let key = EncodingKey::from_ec_pem(signer.to_pem().as_bytes()).expect("key");
    jsonwebtoken::encode(&header, claims, &key).expect("signed")
}

fn jwk(signer: &UserTokenSigner) -> Value {
    let set: Value = serde_json::from_str(&signer.jwks()).expect("json");
    set["keys"][0].clone()
}

fn kid(signer: &UserTokenSigner) -> String {
    jwk(signer)["kid"].as_str().expect("kid").to_owned()
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[test]
fn a_token_says_who_asks() {
    let (signer, now) = (signer(), SystemTime::now());
    let verified = verifier(&signer, "node/sales/s1")
        .verify(&token(&signer, None, now), None, now)
        .expect("valid");
    assert_eq!(verified.principal, ann());
    assert_eq!(seconds(verified.expires_at), seconds(now) + 60);
}

#[test]
fn a_key_that_was_kept_verifies_what_it_signed_before() {
    let (signer, now) = (signer(), SystemTime::now());
    let again = UserTokenSigner::from_pem(ISSUER, &signer.to_pem()).expect("key");
    let text = token(&signer, None, now);
    assert!(
        verifier(&again, "node/sales/s1")
            .verify(&text, None, now)
            .is_ok()
    );
}

#[test]
fn a_token_for_another_server_or_of_another_issuer_is_refused() {
    let (signer, now) = (signer(), SystemTime::now());
    let text = token(&signer, None, now);
    for other in ["node/sales/s2", "node/crm/s1", "coordinator/main"] {
        assert_refused(verifier(&signer, other).verify(&text, None, now), other);
    }
    let stranger = UserTokenVerifier::new("other", &signer.jwks(), &server("node/sales/s1"));
    assert_refused(stranger.expect("keys").verify(&text, None, now), "issuer");
}

#[test]
fn a_token_is_valid_from_its_issue_to_its_end_give_or_take_five_seconds() {
    let (signer, now) = (signer(), SystemTime::now());
    let text = token(&signer, None, now);
    let verifier = verifier(&signer, "node/sales/s1");
    let second = Duration::from_secs(1);
    assert!(
        verifier
            .verify(&text, None, now + MINUTE + 4 * second)
            .is_ok()
    );
    assert_refused(
        verifier.verify(&text, None, now + MINUTE + 6 * second),
        "expired",
    );
    assert!(verifier.verify(&text, None, now - 5 * second).is_ok());
    assert_refused(
        verifier.verify(&text, None, now - 7 * second),
        "not yet issued",
    );
}

#[test]
fn a_token_that_would_live_longer_than_any_may_is_refused() {
    let (signer, now) = (signer(), SystemTime::now());
    let mut long = claims(now);
    long["exp"] = json!(seconds(now) + 100 * 3_600);
    let text = forge(&signer, "weft-user+jwt", &long);
    assert_refused(
        verifier(&signer, "node/sales/s1").verify(&text, None, now),
        "too long",
    );
    let audience = server("node/sales/s1");
    let asked = signer
        .sign(&ann(), &audience, None, now, 1_000 * MINUTE)
        .expect("signed");
    assert_eq!(seconds(asked.expires_at), seconds(now) + 12 * 3_600);
}

#[test]
fn a_held_token_is_refused_from_anyone_else() {
    let (signer, now) = (signer(), SystemTime::now());
    let (own, other) = (Thumbprint::of(b"own"), Thumbprint::of(b"other"));
    let text = token(&signer, Some(&own), now);
    let verifier = verifier(&signer, "node/sales/s1");
    assert!(verifier.verify(&text, Some(&own), now).is_ok());
    assert_refused(
        verifier.verify(&text, Some(&other), now),
        "another certificate",
    );
    assert_refused(verifier.verify(&text, None, now), "no certificate");
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let (signer, now) = (signer(), SystemTime::now());
    let verifier = verifier(&signer, "node/sales/s1");
    for alg in ["none", "None", "NONE"] {
        let header = json!({"alg": alg, "typ": "weft-user+jwt", "kid": kid(&signer)});
        let text = format!("{}.{}.", part(&header), part(&claims(now)));
        assert_refused(verifier.verify(&text, None, now), alg);
    }
    let text = token(&signer, None, now);
    let (unsigned, _) = text.rsplit_once('.').expect("three parts");
    assert_refused(
        verifier.verify(&format!("{unsigned}."), None, now),
        "cut off",
    );
}

#[test]
fn a_token_made_with_the_public_key_as_a_secret_is_refused() {
    let (signer, now) = (signer(), SystemTime::now());
    let verifier = verifier(&signer, "node/sales/s1");
    let jwk = jwk(&signer);
    let decode = |name: &str| {
        URL_SAFE_NO_PAD
            .decode(jwk[name].as_str().expect("coordinate"))
            .expect("base64")
    };
    let point = [vec![4], decode("x"), decode("y")].concat();
    for secret in [
        point,
        signer.jwks().into_bytes(),
        jwk.to_string().into_bytes(),
    ] {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some("weft-user+jwt".to_owned());
        header.kid = Some(kid(&signer));
        let key = EncodingKey::from_secret(&secret);
        let text = jsonwebtoken::encode(&header, &claims(now), &key).expect("made");
        assert_refused(verifier.verify(&text, None, now), "HS256");
    }
}

#[test]
fn a_token_of_another_key_is_refused_even_under_the_right_key_id() {
    let (own, thief, now) = (signer(), signer(), SystemTime::now());
    let verifier = verifier(&own, "node/sales/s1");
    assert_refused(
        verifier.verify(&token(&thief, None, now), None, now),
        "unknown key id",
    );
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("weft-user+jwt".to_owned());
    header.kid = Some(kid(&own));
    let key = EncodingKey::from_ec_pem(thief.to_pem().as_bytes()).expect("key");
    let text = jsonwebtoken::encode(&header, &claims(now), &key).expect("signed");
    assert_refused(verifier.verify(&text, None, now), "borrowed key id");
}

#[test]
fn a_changed_token_is_refused() {
    let (signer, now) = (signer(), SystemTime::now());
    let verifier = verifier(&signer, "node/sales/s1");
    let text = token(&signer, None, now);
    let parts: Vec<&str> = text.split('.').collect();
    let mut changed = claims(now);
    changed["groups"] = json!(["mesh-admins"]);
    let text = format!("{}.{}.{}", parts[0], part(&changed), parts[2]);
    assert_refused(verifier.verify(&text, None, now), "payload");
    let header = json!({"alg": "ES256", "typ": "weft-user+jwt", "kid": kid(&signer), "x": 1});
    let text = format!("{}.{}.{}", part(&header), parts[1], parts[2]);
    assert_refused(verifier.verify(&text, None, now), "header");
}

#[test]
fn a_token_of_another_kind_is_refused() {
    let (signer, now) = (signer(), SystemTime::now());
    let verifier = verifier(&signer, "node/sales/s1");
    assert!(
        verifier
            .verify(&forge(&signer, "weft-user+jwt", &claims(now)), None, now)
            .is_ok()
    );
    for typ in ["JWT", "weft-delegation+jwt", "WEFT-USER+JWT", ""] {
        let text = forge(&signer, typ, &claims(now));
        assert_refused(verifier.verify(&text, None, now), typ);
    }
}

#[test]
fn a_token_without_one_of_its_claims_is_refused() {
    let (signer, now) = (signer(), SystemTime::now());
    let verifier = verifier(&signer, "node/sales/s1");
    for missing in ["iss", "sub", "aud", "iat", "exp", "jti"] {
        let mut rest = claims(now);
        rest.as_object_mut().expect("object").remove(missing);
        let text = forge(&signer, "weft-user+jwt", &rest);
        assert_refused(verifier.verify(&text, None, now), missing);
    }
    for audience in [
        json!(["node/sales/s1"]),
        json!(null),
        json!("node/sales/s1 "),
    ] {
        let mut other = claims(now);
        other["aud"] = audience;
        let text = forge(&signer, "weft-user+jwt", &other);
        assert_refused(verifier.verify(&text, None, now), "audience");
    }
}

#[test]
fn a_token_that_asks_for_an_unknown_extension_is_refused() {
    let (signer, now) = (signer(), SystemTime::now());
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("weft-user+jwt".to_owned());
    header.kid = Some(kid(&signer));
    header.crit = Some(vec!["b64".to_owned()]);
    let key = EncodingKey::from_ec_pem(signer.to_pem().as_bytes()).expect("key");
    let text = jsonwebtoken::encode(&header, &claims(now), &key).expect("signed");
    assert_refused(
        verifier(&signer, "node/sales/s1").verify(&text, None, now),
        "crit",
    );
}

#[test]
fn what_is_no_token_is_refused() {
    let (signer, now) = (signer(), SystemTime::now());
    let verifier = verifier(&signer, "node/sales/s1");
    let long = format!("{}.a.b", "a".repeat(1 << 20));
    for text in ["", ".", "..", "...", "a.b.c", "\u{0}", long.as_str()] {
        assert_refused(verifier.verify(text, None, now), "no token");
    }
    let mut large = claims(now);
    large["attributes"] = json!({"a": "x".repeat(32 << 10)});
    let text = forge(&signer, "weft-user+jwt", &large);
    assert_refused(verifier.verify(&text, None, now), "too large");
}

#[test]
fn a_token_shows_no_text_when_printed() {
    let (signer, now) = (signer(), SystemTime::now());
    let audience = server("node/sales/s1");
    let token = signer
        .sign(&ann(), &audience, None, now, MINUTE)
        .expect("signed");
    assert!(!format!("{token:?}").contains(&token.text));
    assert!(!format!("{signer:?}").contains("PRIVATE"));
}

fn delegation() -> Delegation {
    Delegation {
        fragment: sha256(b"fragment"),
        user_token: sha256(b"token"),
        audience: server("node/sales/s1"),
        query: QueryId::generate(),
    }
}

fn peer(identity: &crate::identity::Identity) -> Peer {
    Peer::from_certificate(&der(&identity.certificate_pem())).expect("a server")
}

fn assert_not_delegated(result: Result<DelegationId, weft_governance::Error>, why: &str) {
    let error = result.expect_err(why);
    assert_eq!(error.code(), code::DELEGATION, "{why}");
    assert_eq!(
        error.message(),
        "the delegation does not cover this fragment here",
        "{why}"
    );
}

#[test]
fn a_delegation_covers_one_fragment_at_one_node_for_one_token_and_query() {
    let now = SystemTime::now();
    let coordinator = Mesh::new().identity("coordinator/main");
    let covered = delegation();
    let text = covered.sign(&coordinator, now, MINUTE).expect("signed");
    let peer = peer(&coordinator);
    let id = Delegation::verify(&text, &peer, &covered, now).expect("covered");
    assert_eq!(seconds(id.expires_at), seconds(now) + 60);
    for other in [
        Delegation {
            fragment: sha256(b"other"),
            ..covered.clone()
        },
        Delegation {
            user_token: sha256(b"other"),
            ..covered.clone()
        },
        Delegation {
            audience: server("node/sales/s2"),
            ..covered.clone()
        },
        Delegation {
            query: QueryId::generate(),
            ..covered.clone()
        },
    ] {
        assert_not_delegated(Delegation::verify(&text, &peer, &other, now), "another");
    }
}

#[test]
fn a_delegation_counts_only_from_the_server_and_key_that_signed_it() {
    let (mesh, now) = (Mesh::new(), SystemTime::now());
    let coordinator = mesh.identity("coordinator/main");
    let covered = delegation();
    let text = covered.sign(&coordinator, now, MINUTE).expect("signed");
    for other in [
        mesh.identity("coordinator/other"),
        mesh.identity("coordinator/main"),
    ] {
        assert_not_delegated(
            Delegation::verify(&text, &peer(&other), &covered, now),
            "other",
        );
    }
    // A certificate that is renewed in between keeps its key.
    let renewed = peer(&mesh.renewed(&coordinator));
    Delegation::verify(&text, &renewed, &covered, now).expect("the same coordinator");
}

#[test]
fn a_node_cannot_delegate() {
    let now = SystemTime::now();
    let node = Mesh::new().identity("node/crm/c1");
    let covered = delegation();
    let text = covered.sign(&node, now, MINUTE).expect("signed");
    assert_not_delegated(
        Delegation::verify(&text, &peer(&node), &covered, now),
        "a node",
    );
}

#[test]
fn a_delegation_lives_a_minute_at_most() {
    let now = SystemTime::now();
    let coordinator = Mesh::new().identity("coordinator/main");
    let covered = delegation();
    let text = covered
        .sign(&coordinator, now, 60 * MINUTE)
        .expect("signed");
    let peer = peer(&coordinator);
    let verify = |at| Delegation::verify(&text, &peer, &covered, at);
    assert!(verify(now + Duration::from_secs(59)).is_ok());
    assert_not_delegated(verify(now + Duration::from_secs(66)), "expired");
    assert_not_delegated(verify(now - Duration::from_secs(10)), "not yet issued");
}

#[test]
fn a_user_token_is_no_delegation_even_of_the_same_key() {
    let now = SystemTime::now();
    let coordinator = Mesh::new().identity("coordinator/main");
    let signer = UserTokenSigner::from_pem(ISSUER, coordinator.key_pem()).expect("key");
    let text = token(&signer, None, now);
    let result = Delegation::verify(&text, &peer(&coordinator), &delegation(), now);
    assert_not_delegated(result, "user token");
}

#[test]
fn a_delegation_is_admitted_once() {
    let now = SystemTime::now();
    let coordinator = Mesh::new().identity("coordinator/main");
    let covered = delegation();
    let text = covered.sign(&coordinator, now, MINUTE).expect("signed");
    let cache = crate::replay::ReplayCache::new(10);
    let admit = |at| {
        let id = Delegation::verify(&text, &peer(&coordinator), &covered, at).expect("covered");
        cache.admit(id, at)
    };
    assert!(admit(now).is_ok());
    for later in [0, 30, 59, 64] {
        let replayed = admit(now + Duration::from_secs(later)).expect_err("used before");
        assert_eq!(replayed.code(), code::REPLAYED);
    }
    let again = covered.sign(&coordinator, now, MINUTE).expect("signed");
    let id = Delegation::verify(&again, &peer(&coordinator), &covered, now).expect("covered");
    assert!(
        cache.admit(id, now).is_ok(),
        "a second delegation has an id of its own"
    );
}

const STATEMENT: &str = "the log ended with record 7";

#[test]
fn a_seal_holds_for_its_statement_and_its_server_alone() {
    let mesh = Mesh::new();
    let (sales, crm) = (mesh.identity("node/sales/s1"), mesh.identity("node/crm/s1"));
    let seal = sales.seal(STATEMENT).expect("signed");
    assert!(peer(&sales).check_seal(&seal, STATEMENT).is_ok());
    let renewed = peer(&mesh.renewed(&sales));
    assert!(renewed.check_seal(&seal, STATEMENT).is_ok());
    let refusals = [
        peer(&sales).check_seal(&seal, "the log ended with record 8"),
        peer(&crm).check_seal(&seal, STATEMENT),
        peer(&mesh.identity("node/sales/s1")).check_seal(&seal, STATEMENT),
        peer(&sales).check_seal(&format!("{seal}A"), STATEMENT),
        peer(&sales).check_seal("", STATEMENT),
    ];
    for (place, refusal) in refusals.into_iter().enumerate() {
        let error = refusal.expect_err("refused");
        assert_eq!(error.message(), "the server did not sign this", "{place}");
    }
}

#[test]
fn a_seal_is_no_delegation_and_a_delegation_is_no_seal() {
    let mesh = Mesh::new();
    let coordinator = mesh.identity("coordinator/main");
    let now = SystemTime::now();
    let covered = delegation();
    let delegation = covered.sign(&coordinator, now, MINUTE).expect("signed");
    assert!(
        peer(&coordinator)
            .check_seal(&delegation, STATEMENT)
            .is_err()
    );
    let seal = coordinator.seal(STATEMENT).expect("signed");
    assert!(Delegation::verify(&seal, &peer(&coordinator), &covered, now).is_err());
}
