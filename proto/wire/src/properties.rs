//! What holds for every token that somebody may bring, however it was made. A property panics where it
//! does not hold. Tests try them with what chance makes, fuzzers with what they have learned (`fuzz`).

#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use weft_governance::{Error, ServerId, code};

use crate::convert::seconds;
use crate::token::{UserTokenSigner, UserTokenVerifier, VerifiedUser};

const ISSUER: &str = "mesh";
const SERVER: &str = "node/sales/s1";
/// Seconds by which clocks may differ.
const LEEWAY: u64 = 5;

/// A key, what signs with it, and a server that trusts it.
struct Trust {
    key: EncodingKey,
    kid: String,
    verifier: UserTokenVerifier,
}

/// What claims have to say; there may be others, of any kind.
#[derive(Debug, Deserialize)]
struct Said {
    iss: String,
    aud: String,
    sub: String,
    iat: u64,
    exp: u64,
    cnf: Option<IgnoredAny>,
}

/// No text is a token, unless the authority signed it: all are refused with one text.
pub fn token(text: &[u8]) {
    if let Ok(text) = std::str::from_utf8(text) {
        let told = trust().verifier.verify(text, None, now());
        assert_refused(told);
    }
}

/// Claims that the authority signed, whatever they are, are refused with the same text, or they say that
/// this is their server, that it was the authority, and that their time has come and is not over. Whether
/// they were accepted.
pub fn claims(claims: &[u8]) -> bool {
    let Trust { key, kid, verifier } = trust();
    let header = format!(r#"{{"typ":"weft-user+jwt","alg":"ES256","kid":"{kid}"}}"#);
    let parts = [header.as_bytes(), claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let said = parts.join(".");
    let signature = jsonwebtoken::crypto::sign(said.as_bytes(), key, Algorithm::ES256);
    assert!(signature.is_ok(), "the key cannot sign");
    let Ok(signature) = signature else {
        return false;
    };
    let now = now();
    let told = verifier.verify(&format!("{said}.{signature}"), None, now);
    let Ok(user) = told else {
        assert_refused(told);
        return false;
    };
    let said: Result<Said, _> = serde_json::from_slice(claims);
    assert!(said.is_ok(), "what was accepted cannot be read: {said:?}");
    if let Ok(said) = said {
        assert_eq!((said.iss.as_str(), said.aud.as_str()), (ISSUER, SERVER));
        assert_eq!(said.sub, user.principal.subject);
        assert!(said.iat <= seconds(now) + LEEWAY && seconds(now) < said.exp + LEEWAY);
        assert!(said.cnf.is_none(), "it is held by somebody else");
    }
    true
}

/// The same at every run, so that what was once accepted is.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn assert_refused(told: Result<VerifiedUser, Error>) {
    assert!(told.is_err(), "nobody signed for {told:?}");
    if let Err(error) = told {
        assert_eq!(error.code(), code::UNAUTHENTICATED);
        assert_eq!(error.message(), "the token is not valid here");
    }
}

fn trust() -> &'static Trust {
    static TRUST: OnceLock<Trust> = OnceLock::new();
    TRUST.get_or_init(|| match made() {
        Some(trust) => trust,
        None => unreachable!("this machine makes no keys"),
    })
}

fn made() -> Option<Trust> {
    let signer = UserTokenSigner::generate(ISSUER).ok()?;
    let set: Value = serde_json::from_str(&signer.jwks()).ok()?;
    let server: ServerId = SERVER.parse().ok()?;
    Some(Trust {
        key: EncodingKey::from_ec_pem(signer.to_pem().as_bytes()).ok()?,
        kid: set.pointer("/keys/0/kid")?.as_str()?.to_owned(),
        verifier: UserTokenVerifier::new(ISSUER, &signer.jwks(), &server).ok()?,
    })
}
