//! Delegations: a coordinator's signature under one fragment for one node.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde::{Deserialize, Serialize};
use weft_governance::{Error, ErrorKind, QueryId, ServerId, code};

use super::jwt;
use crate::convert::{seconds, time};
use crate::identity::{Identity, Peer};

const KIND: &str = "weft-delegation+jwt";
/// No delegation lives longer.
const LONGEST: Duration = Duration::from_secs(60);

/// What a delegation is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// SHA-256 of the fragment as it is sent.
    pub fragment: [u8; 32],
    /// SHA-256 of the user token that comes with it.
    pub user_token: [u8; 32],
    /// The node.
    pub audience: ServerId,
    /// The query.
    pub query: QueryId,
}

/// What a node remembers, so that a delegation is used once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationId {
    /// Unique for each delegation.
    pub jti: String,
    /// When it ends by itself.
    pub expires_at: SystemTime,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: u64,
    exp: u64,
    jti: String,
    qid: String,
    frag: String,
    uth: String,
    #[serde(rename = "spk#S256")]
    thumbprint: String,
}

impl Delegation {
    /// Signs with the key of the coordinator's certificate.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub fn sign(
        &self,
        identity: &Identity,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<String, Error> {
        let issued = seconds(now);
        let claims = Claims {
            iss: identity.id().to_string(),
            aud: self.audience.to_string(),
            iat: issued,
            exp: issued.saturating_add(lifetime.min(LONGEST).as_secs()),
            jti: uuid::Uuid::new_v4().to_string(),
            qid: self.query.to_string(),
            frag: URL_SAFE_NO_PAD.encode(self.fragment),
            uth: URL_SAFE_NO_PAD.encode(self.user_token),
            thumbprint: identity.thumbprint().to_string(),
        };
        EncodingKey::from_ec_pem(identity.key_pem().as_bytes())
            .ok()
            .and_then(|key| jwt::sign(KIND, &claims.thumbprint.clone(), &claims, &key))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    code::INTERNAL,
                    "a delegation cannot be signed",
                )
            })
    }

    /// Checks that `peer`, a coordinator, signed for exactly what is `expected`.
    ///
    /// # Errors
    /// `WEFT-DELEGATION`, with one text for every reason.
    pub fn verify(
        token: &str,
        peer: &Peer,
        expected: &Self,
        now: SystemTime,
    ) -> Result<DelegationId, Error> {
        if !matches!(peer.server, ServerId::Coordinator { .. }) {
            return Err(refused());
        }
        let claims: Claims = jwt::verifying_key(&peer.public_key)
            .and_then(|key| jwt::verify(KIND, token, &key))
            .ok_or_else(refused)?;
        let fits = claims.iss == peer.server.to_string()
            && claims.thumbprint == peer.thumbprint.to_string()
            && claims.aud == expected.audience.to_string()
            && claims.qid == expected.query.to_string()
            && claims.frag == URL_SAFE_NO_PAD.encode(expected.fragment)
            && claims.uth == URL_SAFE_NO_PAD.encode(expected.user_token)
            && uuid::Uuid::try_parse(&claims.jti).is_ok()
            && jwt::is_current(claims.iat, claims.exp, LONGEST, now);
        if !fits {
            return Err(refused());
        }
        Ok(DelegationId {
            jti: claims.jti,
            expires_at: time(claims.exp),
        })
    }
}

fn refused() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::DELEGATION,
        "the delegation does not cover this fragment here",
    )
}
