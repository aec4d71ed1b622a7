//! Signing and checking, with the algorithm fixed: what a token's header asks for is not obeyed.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::convert::seconds;

/// Clocks of two servers may differ by this much.
const LEEWAY: u64 = 5;
/// A token longer than this is not looked at.
const LONGEST: usize = 16 << 10;

/// A signed token of the kind `typ`.
pub(super) fn sign<C: Serialize>(
    typ: &str,
    kid: &str,
    claims: &C,
    key: &EncodingKey,
) -> Option<String> {
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some(typ.to_owned());
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, key).ok()
}

/// The claims of a token of the kind `typ` that `key` signed. Times and audience are not checked.
pub(super) fn verify<C: DeserializeOwned + Clone>(
    typ: &str,
    token: &str,
    key: &DecodingKey,
) -> Option<C> {
    verify_up_to(LONGEST, typ, token, key)
}

/// As [`verify`], for a token of at most `longest` bytes.
pub(super) fn verify_up_to<C: DeserializeOwned + Clone>(
    longest: usize,
    typ: &str,
    token: &str,
    key: &DecodingKey,
) -> Option<C> {
    readable_header(token, longest)?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let data = jsonwebtoken::decode::<C>(token, key, &validation).ok()?;
    (data.header.typ.as_deref() == Some(typ)).then_some(data.claims)
}

/// The key that `token` says it is signed with. Only good for finding that key.
pub(super) fn key_id(token: &str) -> Option<String> {
    readable_header(token, LONGEST)?.kid
}

/// The header of a token that is short enough to read and asks for nothing that is unknown here.
fn readable_header(token: &str, longest: usize) -> Option<Header> {
    if token.len() > longest {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    header.crit.is_none().then_some(header)
}

/// Whether `now` lies between `issued` and `expires`, and the token does not live longer than
/// `longest`.
pub(super) fn is_current(issued: u64, expires: u64, longest: Duration, now: SystemTime) -> bool {
    let now = seconds(now);
    issued <= now.saturating_add(LEEWAY)
        && now < expires.saturating_add(LEEWAY)
        && expires.saturating_sub(issued) <= longest.as_secs()
}

/// The key that verifies what the owner of this point of P-256 signed.
pub(super) fn verifying_key(point: &[u8]) -> Option<DecodingKey> {
    let (x, y) = match point.split_first() {
        Some((4, rest)) if rest.len() == 64 => rest.split_at(32),
        _ => return None,
    };
    DecodingKey::from_ec_components(&URL_SAFE_NO_PAD.encode(x), &URL_SAFE_NO_PAD.encode(y)).ok()
}
