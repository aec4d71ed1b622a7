//! An ID token, checked against the one issuer whose tokens are read.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde_json::{Map, Value};
use weft_wire::convert::{seconds, time};

use super::{ProviderSettings, SignatureAlgorithm};

/// Clocks of provider and authority may differ by this much.
const LEEWAY: u64 = 30;
/// A longer token is not looked at.
const LONGEST: usize = 32 << 10;
/// An ID token that says it lives longer is none.
const LONGEST_LIFE: u64 = 24 * 3_600;

/// The claims of a token that was checked.
pub(super) type Claims = Map<String, Value>;

/// A token whose signature was not checked yet.
pub(super) struct Unverified<'a> {
    text: &'a str,
    header: Header,
}

/// A token that is good, and until when.
pub(super) struct Verified {
    pub(super) claims: Claims,
    pub(super) expires_at: SystemTime,
}

/// Why a token is not good. Said in the log, not to who brought it.
pub(super) type Reason = &'static str;

impl<'a> Unverified<'a> {
    /// Reads the header of a token that is signed as the settings allow.
    pub(super) fn read(text: &'a str, settings: &ProviderSettings) -> Result<Self, Reason> {
        if text.len() > LONGEST {
            return Err("it is too long");
        }
        let header = jsonwebtoken::decode_header(text).map_err(|_| "it is malformed")?;
        if header.crit.is_some() {
            return Err("it asks for what is not known here");
        }
        let allowed = settings.algorithms.iter().copied().map(algorithm);
        if !allowed.into_iter().any(|allowed| allowed == header.alg) {
            return Err("it is signed with an algorithm that is not allowed");
        }
        Ok(Self { text, header })
    }

    /// The key that it says it is signed with.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The algorithm, one that is allowed.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.header.alg
    }

    /// Checks signature and claims. `nonce` is that of the sign-in which the token answers.
    pub(super) fn verify(
        &self,
        key: &DecodingKey,
        settings: &ProviderSettings,
        nonce: Option<&str>,
        now: SystemTime,
    ) -> Result<Verified, Reason> {
        let mut validation = Validation::new(self.header.alg);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let token = jsonwebtoken::decode::<Claims>(self.text, key, &validation)
            .map_err(|_| "its signature does not fit")?;
        let claims = token.claims;
        check_parties(&claims, settings)?;
        if let Some(nonce) = nonce
            && text(&claims, "nonce") != Some(nonce)
        {
            return Err("it answers another sign-in");
        }
        let expires = check_times(&claims, seconds(now))?;
        Ok(Verified {
            claims,
            expires_at: time(expires),
        })
    }
}

fn check_parties(claims: &Claims, settings: &ProviderSettings) -> Result<(), Reason> {
    if text(claims, "iss") != Some(settings.issuer.as_str()) {
        return Err("another issuer made it");
    }
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !audiences.contains(&settings.audience()) {
        return Err("it is for another audience");
    }
    match claims.get("azp") {
        Some(party) if party.as_str() == Some(settings.client_id.as_str()) => Ok(()),
        Some(_) => Err("it was given to another party"),
        None if audiences.len() > 1 => Err("it does not say which party it was given to"),
        None => Ok(()),
    }
}

/// The second at which the token ends.
fn check_times(claims: &Claims, now: u64) -> Result<u64, Reason> {
    // Some write them with a fraction.
    let moment = |name: &str| {
        let value = claims.get(name)?;
        let whole = value.as_u64();
        whole.or_else(|| {
            let fraction = value.as_f64().filter(|it| (0.0..4e9).contains(it))?;
            Some(Duration::from_secs_f64(fraction).as_secs())
        })
    };
    let expires = moment("exp").ok_or("it does not say when it ends")?;
    let issued = moment("iat").ok_or("it does not say when it was issued")?;
    if now >= expires.saturating_add(LEEWAY) {
        return Err("it has expired");
    }
    if issued > now.saturating_add(LEEWAY) {
        return Err("it was issued in the future");
    }
    if claims.contains_key("nbf") {
        let from = moment("nbf").ok_or("it is malformed")?;
        if from > now.saturating_add(LEEWAY) {
            return Err("it is not valid yet");
        }
    }
    if expires.saturating_sub(issued) > LONGEST_LIFE {
        return Err("it lives too long");
    }
    Ok(expires)
}

/// The text of a claim.
pub(super) fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

fn algorithm(allowed: SignatureAlgorithm) -> Algorithm {
    match allowed {
        SignatureAlgorithm::RS256 => Algorithm::RS256,
        SignatureAlgorithm::RS384 => Algorithm::RS384,
        SignatureAlgorithm::RS512 => Algorithm::RS512,
        SignatureAlgorithm::PS256 => Algorithm::PS256,
        SignatureAlgorithm::PS384 => Algorithm::PS384,
        SignatureAlgorithm::PS512 => Algorithm::PS512,
        SignatureAlgorithm::ES256 => Algorithm::ES256,
        SignatureAlgorithm::ES384 => Algorithm::ES384,
        SignatureAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}
