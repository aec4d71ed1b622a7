use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use weft_governance::{ErrorKind, code};
use weft_wire::person::SignedIn;
use weft_wire::token::sha256;
use zeroize::Zeroizing;

use super::provider::{Provider, now};
use super::*;

const NODE: &str = "node/sales/sales-1";
const VERIFIER: &str = "a-verifier-that-nobody-else-knows-0123456789";
const BACK: &str = "http://127.0.0.1:1/callback";

/// A mesh that takes ID tokens of `corp` as they are.
async fn corp(more: &str) -> (Mesh, Provider) {
    let provider = Provider::start().await;
    let more = format!("accept_id_tokens = true\n{more}");
    let mesh = with_provider(&provider, &more).await;
    (mesh, provider)
}

async fn with_provider(provider: &Provider, more: &str) -> Mesh {
    let settings = toml::from_str(&provider.settings("corp", more)).expect("valid");
    Mesh::start_with(|mesh| mesh.providers.push(settings)).await
}

impl Mesh {
    async fn by_id_token(&self, token: &str) -> Result<UserToken, Error> {
        let proof = Proof::IdToken {
            provider: "corp".to_owned(),
            token: token.to_owned().into(),
        };
        self.desk().issue_token(&proof, &server(NODE), None).await
    }

    async fn principal_of(&self, token: &UserToken) -> weft_governance::Principal {
        let verifier = self.verifier(NODE).await;
        let now = std::time::SystemTime::now();
        let verified = verifier.verify(&token.text, None, now);
        verified.expect("the mesh signed it").principal
    }
}

#[tokio::test]
async fn somebody_whom_a_provider_knows_is_somebody_here_under_its_name() {
    let more = "groups_claim = 'groups'\ngroups = { ops = 'mesh-admins', staff = 'staff' }\n\
        attributes = { department = 'region' }";
    let (mesh, provider) = corp(more).await;
    let claims = json!({"groups": ["ops", "staff", "sales-owners"], "department": "south"});
    let token = mesh.by_id_token(&provider.token(claims)).await;
    let ann = mesh.principal_of(&token.expect("good")).await;
    assert_eq!(
        (ann.issuer.as_str(), ann.subject.as_str()),
        (ISSUER, "ann@corp")
    );
    let groups: Vec<_> = ann.groups.iter().map(String::as_str).collect();
    assert_eq!(groups, ["mesh-admins", "staff"]);
    assert_eq!(ann.attributes["region"], "south");
    let local = mesh.own_token(NODE).await;
    assert_eq!(
        mesh.principal_of(&local).await.subject,
        "ann",
        "another one"
    );
}

/// The error of a token with these claims.
async fn refused(mesh: &Mesh, provider: &Provider, claims: Value) -> Error {
    let token = provider.token(claims.clone());
    match mesh.by_id_token(&token).await {
        Err(error) => error,
        Ok(_) => panic!("{claims} was taken"),
    }
}

#[tokio::test]
async fn a_token_that_is_not_exactly_for_this_mesh_now_is_refused() {
    let (mesh, provider) = corp("").await;
    mesh.by_id_token(&provider.token(json!({})))
        .await
        .expect("the control");
    let good = json!({"aud": ["other", super::provider::CLIENT], "azp": super::provider::CLIENT});
    mesh.by_id_token(&provider.token(good)).await.expect("good");
    let second = Duration::from_secs(1).as_secs();
    let mut texts = std::collections::BTreeSet::new();
    for claims in [
        json!({"iss": "http://127.0.0.1:9"}),
        json!({"iss": format!("{}/", provider.issuer())}),
        json!({"iss": null}),
        json!({"aud": "other"}),
        json!({"aud": null}),
        json!({"aud": ["other", super::provider::CLIENT]}),
        json!({"azp": "other"}),
        json!({"exp": now() - 60 * second}),
        json!({"exp": null}),
        json!({"exp": "never"}),
        json!({"exp": now() + 90_000}),
        json!({"iat": now() + 120, "exp": now() + 600}),
        json!({"iat": null}),
        json!({"nbf": now() + 120}),
        json!({"nbf": "soon"}),
        json!({"sub": null}),
        json!({"sub": ""}),
    ] {
        let error = refused(&mesh, &provider, claims).await;
        assert_eq!(error.code(), code::UNAUTHENTICATED, "{error}");
        texts.insert(error.to_string());
    }
    assert_eq!(texts.len(), 1, "one text for all: {texts:?}");
}

#[tokio::test]
async fn a_token_is_taken_only_with_a_signature_of_the_providers_key() {
    let (mesh, provider) = corp("").await;
    let good = provider.token(json!({}));
    mesh.by_id_token(&good).await.expect("the control");
    let parts: Vec<&str> = good.split('.').collect();
    let header = |alg: &str| {
        let header = json!({"alg": alg, "kid": "first", "typ": "JWT"});
        URL_SAFE_NO_PAD.encode(header.to_string())
    };
    let unsigned = |alg: &str| format!("{}.{}.", header(alg), parts[1]);
    // What is public is no secret to sign with, in none of its forms.
    let secrets = [
        provider.public_key(),
        URL_SAFE_NO_PAD.encode(provider.public_key()).into_bytes(),
    ];
    let with_secret = secrets.iter().map(|secret| {
        let message = format!("{}.{}", header("HS256"), parts[1]);
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    });
    let other = Provider::start().await;
    other.claim_to_be(&provider.issuer());
    let mut forged = vec![
        unsigned("none"),
        unsigned("None"),
        unsigned("ES256"),
        unsigned("RS256"),
        other.token(json!({})),
        format!("{}.{}.{}", parts[0], parts[1], parts[0]),
        format!("{}x", parts.join(".")),
        "x".repeat(40_000),
        String::new(),
    ];
    forged.extend(with_secret);
    for token in forged {
        let error = mesh.by_id_token(&token).await.expect_err("forged");
        assert_eq!(error.code(), code::UNAUTHENTICATED, "{error}");
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_once_and_a_withdrawn_one_is_forgotten_with_it() {
    let (mesh, provider) = corp("").await;
    let old = provider.token(json!({}));
    mesh.by_id_token(&old).await.expect("good");
    mesh.by_id_token(&old).await.expect("good");
    assert_eq!(provider.asked_for_keys(), 1);
    provider.rotate("second");
    provider.withdraw();
    mesh.by_id_token(&provider.token(json!({})))
        .await
        .expect("the key is fetched");
    assert_eq!(provider.asked_for_keys(), 2);
    mesh.by_id_token(&old).await.expect_err("withdrawn");
    provider.rotate("third");
    let soon = mesh.by_id_token(&provider.token(json!({}))).await;
    soon.expect_err("not asked for so soon again");
    assert_eq!(provider.asked_for_keys(), 2);
}

#[tokio::test]
async fn a_provider_that_answers_wrongly_signs_nobody_in() {
    for answer in [
        "{}",
        "no json",
        &format!(
            "{{\"keys\": [], \"padding\": \"{}\"}}",
            "x".repeat(300 << 10)
        ),
    ] {
        let (mesh, provider) = corp("").await;
        provider.publish(answer);
        let error = refused(&mesh, &provider, json!({})).await;
        assert_eq!(error.code(), code::CONNECT, "{error}");
    }
    let (mesh, provider) = corp("").await;
    provider.publish("{\"keys\": []}");
    let error = refused(&mesh, &provider, json!({})).await;
    assert_eq!(error.code(), code::UNAUTHENTICATED, "{error}");
    let (mesh, provider) = corp("").await;
    let issuer = provider.issuer();
    provider.claim_to_be("http://127.0.0.1:9");
    let error = refused(&mesh, &provider, json!({"iss": issuer})).await;
    assert_eq!(error.code(), code::CONNECT, "{error}");
}

#[tokio::test]
async fn without_its_provider_nobody_signs_in_and_others_do() {
    let (mesh, provider) = corp("").await;
    let token = provider.token(json!({}));
    drop(provider);
    let error = mesh.by_id_token(&token).await.expect_err("away");
    assert_eq!(error.code(), code::CONNECT, "{error}");
    mesh.own_token(NODE).await;
}

#[tokio::test]
async fn tokens_that_somebody_brings_are_taken_only_where_the_settings_say_so() {
    let provider = Provider::start().await;
    let mesh = with_provider(&provider, "").await;
    let error = refused(&mesh, &provider, json!({})).await;
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!(provider.asked_for_keys(), 0);
    let proof = Proof::IdToken {
        provider: "other".to_owned(),
        token: provider.token(json!({})).into(),
    };
    let unknown = mesh.desk().issue_token(&proof, &server(NODE), None).await;
    assert_eq!(unknown.expect_err("unknown").code(), code::SETTINGS);
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes()))
}

/// The proof that a sign-in with a browser ends with.
async fn through_browser(mesh: &Mesh, provider: &Provider) -> (String, String) {
    let begun = mesh
        .desk()
        .begin_browser("corp", BACK, "the-state", &challenge())
        .await;
    let (attempt, url) = begun.expect("begun");
    let back = provider.browse(&url);
    assert!(back.as_str().starts_with(BACK));
    let query: std::collections::HashMap<_, _> = back.query_pairs().into_owned().collect();
    assert_eq!(query["state"], "the-state");
    (attempt, query["code"].clone())
}

fn code_proof(attempt: &str, code: &str, verifier: &str) -> Proof {
    Proof::Code {
        attempt: attempt.to_owned(),
        code: code.to_owned().into(),
        verifier: verifier.to_owned().into(),
    }
}

#[tokio::test]
async fn a_browser_signs_somebody_in_once_and_the_login_is_exchanged_for_tokens() {
    let provider = Provider::start().await;
    let mesh = with_provider(&provider, "groups_claim = 'groups'").await;
    let (attempt, code) = through_browser(&mesh, &provider).await;
    provider.sign_in(json!({"groups": ["staff"]}));
    let proof = code_proof(&attempt, &code, VERIFIER);
    let desk = mesh.desk();
    let SignedIn::Yes(login) = desk.open_login(&proof).await.expect("signed in") else {
        panic!("a browser does not wait");
    };
    assert_eq!(login.principal.subject, "ann@corp");
    let kept = Proof::Login(login.secret.clone());
    let minute = Duration::from_secs(60);
    let token = desk.issue_token(&kept, &server(NODE), Some(minute)).await;
    let token = token.expect("issued");
    let ann = mesh.principal_of(&token).await;
    assert_eq!(ann, login.principal);
    assert!(ann.groups.contains("corp:staff"));
    let left = token
        .expires_at
        .duration_since(std::time::SystemTime::now());
    assert!(left.expect("alive") <= minute);
    // Through a coordinator as well.
    let at_coordinator = desk
        .issue_token(&kept, &server("coordinator/main"), None)
        .await
        .expect("issued");
    let coordinator = mesh.client("coordinator/main");
    let exchanged = coordinator
        .exchange_token(&at_coordinator.text, &server(NODE))
        .await;
    exchanged.expect("the person is still somebody");

    provider.sign_in(json!({}));
    let again = desk.open_login(&proof).await.expect_err("the code is used");
    assert_eq!(again.code(), code::UNAUTHENTICATED);
    desk.end_login(&login.secret).await.expect("ended");
    let ended = desk.issue_token(&kept, &server(NODE), None).await;
    assert_eq!(ended.expect_err("ended").kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_stolen_code_is_worth_nothing() {
    let provider = Provider::start().await;
    let mesh = with_provider(&provider, "").await;
    let desk = mesh.desk();
    let (attempt, code) = through_browser(&mesh, &provider).await;
    let (other_attempt, _) = through_browser(&mesh, &provider).await;
    provider.sign_in(json!({}));
    let guessed = desk
        .open_login(&code_proof(&attempt, &code, "another-verifier"))
        .await;
    assert_eq!(
        guessed.expect_err("no verifier").code(),
        code::UNAUTHENTICATED
    );
    // A token for another sign-in brings another nonce.
    let (_, code) = through_browser(&mesh, &provider).await;
    let mixed = desk
        .open_login(&code_proof(&other_attempt, &code, VERIFIER))
        .await;
    assert_eq!(mixed.expect_err("mixed").code(), code::UNAUTHENTICATED);
    for forged in ["", "AAAA", &attempt[1..]] {
        let forged = desk.open_login(&code_proof(forged, "code", VERIFIER)).await;
        assert_eq!(forged.expect_err("forged").code(), code::UNAUTHENTICATED);
    }
}

#[tokio::test]
async fn a_browser_comes_back_to_the_persons_own_machine_alone() {
    let provider = Provider::start().await;
    let mesh = with_provider(&provider, "").await;
    for elsewhere in [
        "http://198.51.100.1/callback",
        "https://evil.example/callback",
        "http://127.0.0.1@evil.example/",
        "http://127.0.0.1.evil.example/",
        "javascript:alert(1)",
        "",
    ] {
        let begun = mesh
            .desk()
            .begin_browser("corp", elsewhere, "state", &challenge())
            .await;
        let error = begun.expect_err(elsewhere);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}

#[tokio::test]
async fn another_device_signs_somebody_in_when_they_are_done() {
    let provider = Provider::start().await;
    let mesh = with_provider(&provider, "").await;
    let desk = mesh.desk();
    let begun = desk.begin_device("corp").await.expect("begun");
    assert_eq!(begun.user_code, "WDJB-MJHT");
    assert_eq!(begun.interval, Duration::from_secs(1));
    let proof = Proof::Device {
        attempt: begun.attempt,
    };
    let waiting = desk.open_login(&proof).await.expect("asked");
    assert!(matches!(waiting, SignedIn::Waiting { slower: false }));
    let not_yet = desk.issue_token(&proof, &server(NODE), None).await;
    assert_eq!(
        not_yet.expect_err("not yet").kind(),
        ErrorKind::Unauthenticated
    );
    provider.sign_in(json!({"sub": "bob"}));
    let SignedIn::Yes(login) = desk.open_login(&proof).await.expect("done") else {
        panic!("the person is done");
    };
    assert_eq!(login.principal.subject, "bob@corp");
}

#[tokio::test]
async fn somebody_of_a_provider_is_disabled_like_everybody() {
    let (mesh, provider) = corp("").await;
    let desk = mesh.desk();
    let id_token = || Proof::IdToken {
        provider: "corp".to_owned(),
        token: provider.token(json!({})).into(),
    };
    let SignedIn::Yes(login) = desk.open_login(&id_token()).await.expect("signed in") else {
        panic!("nobody waits");
    };
    let kept = Proof::Login(login.secret);
    let root = mesh.password_of("root");
    desk.set_disabled(&root, "ann@corp", true)
        .await
        .expect("done");
    for proof in [&kept, &id_token()] {
        let refused = desk.issue_token(proof, &server(NODE), None).await;
        assert_eq!(
            refused.expect_err("disabled").kind(),
            ErrorKind::Unauthenticated
        );
    }
    mesh.own_token(NODE).await;
    desk.set_disabled(&root, "ann@corp", false)
        .await
        .expect("done");
    let ended = desk.issue_token(&kept, &server(NODE), None).await;
    ended.expect_err("the login ended for good");
    let again = desk.issue_token(&id_token(), &server(NODE), None).await;
    again.expect("enabled");
}

#[tokio::test]
async fn a_login_is_a_persons_own_and_keeps_up_with_the_settings() {
    let mesh = Mesh::start().await;
    let desk = mesh.desk();
    let SignedIn::Yes(login) = desk
        .open_login(&mesh.password_of("ann"))
        .await
        .expect("signed in")
    else {
        panic!("nobody waits");
    };
    let kept = Proof::Login(login.secret.clone());
    desk.issue_token(&kept, &server(NODE), None)
        .await
        .expect("issued");
    // A server has no use for it.
    let coordinator = mesh.client("coordinator/main");
    let stolen = coordinator
        .exchange_token(&login.secret, &server(NODE))
        .await;
    stolen.expect_err("no token");
    let wrong = Proof::Login(Zeroizing::new("guess".to_owned()));
    let wrong = desk.issue_token(&wrong, &server(NODE), None).await;
    assert_eq!(
        wrong.expect_err("a guess").kind(),
        ErrorKind::Unauthenticated
    );
    let mut people = people();
    for person in &mut people {
        person.groups = ["moved".to_owned()].into();
    }
    let mesh = mesh.restart(people).await;
    let token = mesh.desk().issue_token(&kept, &server(NODE), None).await;
    let ann = mesh.principal_of(&token.expect("issued")).await;
    assert!(ann.groups.contains("moved"));
}
