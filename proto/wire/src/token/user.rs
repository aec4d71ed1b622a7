//! User tokens: the authority's word for who asks, for one server only.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use jsonwebtoken::{DecodingKey, EncodingKey};
use rcgen::KeyPair;
use serde::{Deserialize, Serialize};
use weft_governance::{Error, ErrorKind, Principal, ServerId, code};

use super::{jwt, sha256};
use crate::convert::{seconds, time};
use crate::identity::Thumbprint;

const KIND: &str = "weft-user+jwt";
/// No user token lives longer.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// A token, and when it ends.
#[derive(Clone, PartialEq, Eq)]
pub struct UserToken {
    /// The token itself.
    pub text: String,
    /// When it ends.
    pub expires_at: SystemTime,
}

impl fmt::Debug for UserToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Who a valid token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedUser {
    /// The principal.
    pub principal: Principal,
    /// When the token was issued.
    pub issued_at: SystemTime,
    /// When the token ends.
    pub expires_at: SystemTime,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: u64,
    exp: u64,
    jti: String,
    #[serde(default)]
    groups: BTreeSet<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Confirmation {
    #[serde(rename = "spk#S256")]
    thumbprint: String,
}

/// Signs user tokens. The authority has one.
pub struct UserTokenSigner {
    issuer: String,
    key: EncodingKey,
    pair: KeyPair,
    kid: String,
}

impl UserTokenSigner {
    /// A signer with a new key.
    ///
    /// # Errors
    /// If the machine gives no randomness.
    pub fn generate(issuer: &str) -> Result<Self, Error> {
        let pair = KeyPair::generate().map_err(|error| defect().caused_by(error))?;
        Self::of(issuer, pair)
    }

    /// A signer with a key that was kept.
    ///
    /// # Errors
    /// If it is no P-256 key in PKCS#8 PEM.
    pub fn from_pem(issuer: &str, pem: &str) -> Result<Self, Error> {
        let pair = KeyPair::from_pem(pem).map_err(|error| defect().caused_by(error))?;
        Self::of(issuer, pair)
    }

    fn of(issuer: &str, pair: KeyPair) -> Result<Self, Error> {
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())
            .map_err(|error| defect().caused_by(error))?;
        let kid = URL_SAFE_NO_PAD.encode(sha256(pair.public_key_raw()));
        Ok(Self {
            issuer: issuer.to_owned(),
            key,
            pair,
            kid,
        })
    }

    /// The private key, to be kept.
    pub fn to_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// Who signs.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public key as a JWK set.
    pub fn jwks(&self) -> String {
        let point = self.pair.public_key_raw();
        let coordinate = |range: std::ops::Range<usize>| {
            URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default())
        };
        serde_json::json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid,
            "x": coordinate(1..33), "y": coordinate(33..65),
        }]})
        .to_string()
    }

    /// A token for `principal` at `audience`, usable only by the holder of a certificate if one is
    /// named.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn sign(
        &self,
        principal: &Principal,
        audience: &ServerId,
        holder: Option<&Thumbprint>,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<UserToken, Error> {
        let issued = seconds(now);
        let expires = issued.saturating_add(lifetime.min(LONGEST).as_secs());
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: principal.subject.clone(),
            aud: audience.to_string(),
            iat: issued,
            exp: expires,
            jti: uuid::Uuid::new_v4().to_string(),
            groups: principal.groups.clone(),
            attributes: principal.attributes.clone(),
            cnf: holder.map(|holder| Confirmation {
                thumbprint: holder.to_string(),
            }),
        };
        let text = jwt::sign(KIND, &self.kid, &claims, &self.key).ok_or_else(defect)?;
        Ok(UserToken {
            text,
            expires_at: time(expires),
        })
    }
}

impl fmt::Debug for UserTokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserTokenSigner")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// Verifies user tokens for one server.
pub struct UserTokenVerifier {
    issuer: String,
    audience: String,
    keys: HashMap<String, DecodingKey>,
}

impl UserTokenVerifier {
    /// A verifier with the keys of `issuer`.
    ///
    /// # Errors
    /// If the JWK set is malformed.
    pub fn new(issuer: &str, jwks: &str, audience: &ServerId) -> Result<Self, Error> {
        let set: JwkSet = serde_json::from_str(jwks).map_err(|error| defect().caused_by(error))?;
        let mut keys = HashMap::new();
        for jwk in &set.keys {
            if !matches!(&jwk.algorithm, AlgorithmParameters::EllipticCurve(_)) {
                continue;
            }
            if let (Some(kid), Ok(key)) = (&jwk.common.key_id, DecodingKey::from_jwk(jwk)) {
                keys.insert(kid.clone(), key);
            }
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            audience: audience.to_string(),
            keys,
        })
    }

    /// Whether the key that `token` says it is signed with is known here.
    pub fn knows_key_of(&self, token: &str) -> bool {
        self.key_of(token).is_some()
    }

    /// Who `token` speaks for. `presenter` is the certificate of the server that brought it.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED`, with one text for every reason.
    pub fn verify(
        &self,
        token: &str,
        presenter: Option<&Thumbprint>,
        now: SystemTime,
    ) -> Result<VerifiedUser, Error> {
        let claims: Claims = self
            .key_of(token)
            .and_then(|key| jwt::verify(KIND, token, key))
            .ok_or_else(refused)?;
        let held = match &claims.cnf {
            Some(cnf) => presenter.is_some_and(|held| held.to_string() == cnf.thumbprint),
            None => true,
        };
        let fits = claims.iss == self.issuer
            && claims.aud == self.audience
            && jwt::is_current(claims.iat, claims.exp, LONGEST, now);
        if !held || !fits {
            return Err(refused());
        }
        let Claims {
            iss,
            sub,
            iat,
            exp,
            groups,
            attributes,
            ..
        } = claims;
        let principal = Principal {
            issuer: iss,
            subject: sub,
            groups,
            attributes,
        };
        Ok(VerifiedUser {
            principal,
            issued_at: time(iat),
            expires_at: time(exp),
        })
    }

    fn key_of(&self, token: &str) -> Option<&DecodingKey> {
        self.keys.get(&jwt::key_id(token)?)
    }
}

/// The one answer to every bad token.
pub(crate) fn refused() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "the token is not valid here",
    )
    .with_hint("Sign in again, and use a token only at the server that it was issued for.")
}

fn defect() -> Error {
    Error::new(
        ErrorKind::Internal,
        code::INTERNAL,
        "a token key cannot be used",
    )
}
