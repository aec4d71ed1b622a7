//! A provider's public keys: fetched when they are needed, and anew when they rotate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

/// Keys are asked for again after this long, so that one that was withdrawn is not used for longer.
const FRESH: Duration = Duration::from_secs(3_600);
/// For as long, keys are used that cannot be asked for again.
const USABLE: Duration = Duration::from_secs(24 * 3_600);
/// An unknown key makes the keys be fetched anew, but not more often than this.
const REFETCH: Duration = Duration::from_secs(30);
/// After a failure nobody is asked for this long.
const PAUSE: Duration = Duration::from_secs(5);
/// More keys than this are not looked at.
const MOST: usize = 100;
/// Bits of the smallest RSA key.
const SMALLEST_RSA: usize = 2_048;

/// One key, as far as it verifies anything.
struct Key {
    id: Option<String>,
    /// The algorithm that it is for, if it says so.
    algorithm: Option<String>,
    shape: Shape,
    key: DecodingKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// The usable keys of a JWK set.
pub(super) struct KeySet(Vec<Key>);

impl KeySet {
    /// Reads a JWK set. Keys that do not verify signatures, or are too small, are left out.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Set { keys } = serde_json::from_slice(json).ok()?;
        let keys = keys.into_iter().take(MOST).filter_map(|key| {
            let jwk: Jwk = serde_json::from_value(key).ok()?;
            usable(&jwk)
        });
        Some(Self(keys.collect()))
    }

    /// The one key that verifies a token with this header.
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let wanted = shape_of(algorithm)?;
        let name = format!("{algorithm:?}");
        let mut fitting = self.0.iter().filter(|key| {
            key.shape == wanted
                && id.is_none_or(|id| key.id.as_deref() == Some(id))
                && key.algorithm.as_ref().is_none_or(|own| *own == name)
        });
        let found = fitting.next()?;
        // Which of two is meant cannot be told.
        fitting.next().is_none().then_some(&found.key)
    }
}

fn usable(jwk: &Jwk) -> Option<Key> {
    let common = &jwk.common;
    let signs = match &common.public_key_use {
        Some(PublicKeyUse::Signature) | None => true,
        Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_)) => false,
    };
    let verifies = common
        .key_operations
        .as_ref()
        .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    if !signs || !verifies {
        return None;
    }
    let shape = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).ok()?;
            let leading = modulus.iter().take_while(|byte| **byte == 0).count();
            let first = modulus.get(leading)?;
            let bits = (modulus.len() - leading) * 8 - first.leading_zeros() as usize;
            (bits >= SMALLEST_RSA).then_some(Shape::Rsa)?
        }
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => Shape::P256,
            EllipticCurve::P384 => Shape::P384,
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) => match pair.curve {
            EllipticCurve::Ed25519 => Shape::Ed25519,
            _ => return None,
        },
        _ => return None,
    };
    Some(Key {
        id: common.key_id.clone(),
        algorithm: common.key_algorithm.map(|algorithm| algorithm.to_string()),
        shape,
        key: DecodingKey::from_jwk(jwk).ok()?,
    })
}

fn shape_of(algorithm: Algorithm) -> Option<Shape> {
    match algorithm {
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => Some(Shape::Rsa),
        Algorithm::ES256 => Some(Shape::P256),
        Algorithm::ES384 => Some(Shape::P384),
        Algorithm::EdDSA => Some(Shape::Ed25519),
        _ => None,
    }
}

/// The keys of one provider, as they were fetched last.
#[derive(Default)]
pub(super) struct Keys {
    /// Held while keys are fetched, so that one call fetches for all.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    set: Option<(Arc<KeySet>, Instant)>,
    failed: Option<Instant>,
    /// When an unknown key was the reason to fetch.
    missed: Option<Instant>,
}

impl Keys {
    /// The key that verifies a token with this header; `fetch`, which is polled only if it
    /// has to be, fetches all keys. Nothing if there is no
    /// such key.
    ///
    /// # Errors
    /// What `fetch` says, if nothing usable is known.
    pub(super) async fn find<E: Clone>(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Instant,
        fetch: impl Future<Output = Result<KeySet, E>>,
    ) -> Result<Option<DecodingKey>, Option<E>> {
        let mut known = self.known.lock().await;
        let (found, age) = match &known.set {
            Some((set, at)) => (set.find(id, algorithm).cloned(), Some(now - *at)),
            None => (None, None),
        };
        let fresh = age.is_some_and(|age| age < FRESH);
        let usable = age.is_some_and(|age| age < USABLE);
        let since = |moment: Option<Instant>| moment.map(|moment| now - moment);
        if fresh && found.is_some() {
            return Ok(found);
        }
        if since(known.failed).is_some_and(|since| since < PAUSE) {
            return if usable { Ok(found) } else { Err(None) };
        }
        if fresh {
            // The key is unknown: it may be a new one, or none.
            if since(known.missed).is_some_and(|since| since < REFETCH) {
                return Ok(None);
            }
            known.missed = Some(now);
        }
        match fetch.await {
            Ok(set) => {
                let found = set.find(id, algorithm).cloned();
                known.set = Some((Arc::new(set), now));
                known.failed = None;
                Ok(found)
            }
            Err(error) => {
                known.failed = Some(now);
                if usable { Ok(found) } else { Err(Some(error)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rcgen::{KeyPair, PublicKeyData};
    use serde_json::json;

    use super::*;

    fn ec(id: &str) -> Value {
        let pair = KeyPair::generate().expect("key");
        let point = pair.der_bytes().to_vec();
        json!({
            "kty": "EC", "crv": "P-256", "kid": id,
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]),
            "y": URL_SAFE_NO_PAD.encode(&point[33..65]),
        })
    }

    fn rsa(bytes: usize) -> Value {
        let modulus = URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        json!({"kty": "RSA", "kid": "r", "n": modulus, "e": "AQAB"})
    }

    fn set(keys: &[Value]) -> KeySet {
        let json = serde_json::to_vec(&json!({"keys": keys})).expect("json");
        KeySet::read(&json).expect("a set")
    }

    #[test]
    fn keys_that_verify_no_signature_or_are_too_small_are_left_out() {
        let with = |more: Value| {
            let mut key = ec("a");
            let more = more.as_object().expect("an object").clone();
            key.as_object_mut().expect("an object").extend(more);
            set(&[key]).find(Some("a"), Algorithm::ES256).is_some()
        };
        assert!(with(json!({})) && with(json!({"use": "sig", "alg": "ES256"})));
        assert!(with(json!({"key_ops": ["verify"]})));
        assert!(!with(json!({"use": "enc"})));
        assert!(!with(json!({"key_ops": ["encrypt"]})));
        assert!(!with(json!({"alg": "RS256"})));
        let finds = |bytes| {
            set(&[rsa(bytes)])
                .find(Some("r"), Algorithm::RS256)
                .is_some()
        };
        assert!(finds(256) && !finds(255) && !finds(128));
        let secret = json!({"kty": "oct", "kid": "s", "k": "c2VjcmV0"});
        assert!(set(&[secret]).0.is_empty());
    }

    #[test]
    fn a_key_is_found_by_its_id_or_because_it_is_the_only_one() {
        let one = set(&[ec("a"), rsa(256)]);
        assert!(one.find(None, Algorithm::ES256).is_some());
        assert!(one.find(Some("b"), Algorithm::ES256).is_none());
        assert!(one.find(Some("r"), Algorithm::ES256).is_none());
        let two = set(&[ec("a"), ec("b")]);
        assert!(two.find(None, Algorithm::ES256).is_none());
        assert!(two.find(Some("b"), Algorithm::ES256).is_some());
        let twice = set(&[ec("a"), ec("a")]);
        assert!(twice.find(Some("a"), Algorithm::ES256).is_none());
    }

    #[tokio::test]
    async fn keys_are_fetched_when_they_are_needed_and_not_more_often() {
        let (keys, start, fetched) = (Keys::default(), Instant::now(), AtomicUsize::new(0));
        let rotated = [ec("a"), ec("b")];
        let fetch = async || {
            let times = fetched.fetch_add(1, Ordering::SeqCst);
            let known = rotated.get(..(times + 1).min(2)).unwrap_or_default();
            Ok::<_, ()>(set(known))
        };
        let find = async |id, after: Duration| {
            let found = keys.find(Some(id), Algorithm::ES256, start + after, fetch());
            let found = found.await.expect("fetched").is_some();
            (found, fetched.load(Ordering::SeqCst))
        };
        let second = Duration::from_secs(1);
        assert_eq!(find("a", second).await, (true, 1));
        assert_eq!(find("a", second * 2).await, (true, 1));
        assert_eq!(find("b", second * 3).await, (true, 2), "it is a new one");
        assert_eq!(find("c", second * 4).await, (false, 2), "not so soon again");
        assert_eq!(find("c", second * 60).await, (false, 3));
        assert_eq!(find("a", FRESH * 2).await, (true, 4), "known for too long");
    }

    #[tokio::test]
    async fn known_keys_are_used_for_a_day_while_the_provider_is_away() {
        let (keys, start) = (Keys::default(), Instant::now());
        let key = ec("a");
        let here = async || Ok::<_, &str>(set(std::slice::from_ref(&key)));
        let gone = async || Err::<KeySet, _>("away");
        let never = keys.find(Some("a"), Algorithm::ES256, start, gone()).await;
        assert!(matches!(never, Err(Some("away"))));
        let paused = keys.find(Some("a"), Algorithm::ES256, start, here()).await;
        assert!(matches!(paused, Err(None)), "it was just asked");
        let start = start + PAUSE;
        let found = keys.find(Some("a"), Algorithm::ES256, start, here()).await;
        assert!(matches!(found, Ok(Some(_))));
        let later = keys.find(Some("a"), Algorithm::ES256, start + FRESH * 2, gone());
        assert!(matches!(later.await, Ok(Some(_))));
        let late = keys.find(Some("a"), Algorithm::ES256, start + USABLE, gone());
        assert!(matches!(late.await, Err(Some(_))));
    }
}
