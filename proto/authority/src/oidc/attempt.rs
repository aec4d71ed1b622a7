//! Sign-ins at a provider that are under way. Nothing of them is kept here: what the authority has to
//! know later goes to the client and comes back under a key of this process.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use weft_governance::Error;

use crate::state::{no_randomness, random};

/// Seconds that a sign-in may take.
pub(super) const PATIENCE: u64 = 600;
/// Longer ones were not made here.
const LONGEST: usize = 8 << 10;
/// Bytes of a nonce of the cipher.
const NONCE: usize = 12;

/// A sign-in that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) provider: String,
    /// The second after which it is over.
    pub(super) until: u64,
    pub(super) way: Way,
}

/// How the person signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Way {
    /// In a browser that comes back with a code.
    Browser {
        redirect_uri: String,
        /// That the ID token has to bring.
        nonce: String,
    },
    /// On another device, with a code that the person types there.
    Device { code: String },
}

/// The key that attempts are sealed with.
pub(super) struct Attempts(RandomizedNonceKey);

impl Attempts {
    pub(super) fn new() -> Result<Self, Error> {
        let key = random::<32>()?;
        RandomizedNonceKey::new(&AES_256_GCM, &key)
            .map(Self)
            .map_err(|_| no_randomness())
    }

    /// As the client keeps it.
    pub(super) fn seal(&self, attempt: &Attempt) -> Result<String, Error> {
        let mut text = serde_json::to_vec(attempt).map_err(|_| no_randomness())?;
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::empty(), &mut text)
            .map_err(|_| no_randomness())?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// One that was sealed here and is not over.
    pub(super) fn open(&self, sealed: &str, now: u64) -> Option<Attempt> {
        if sealed.len() > LONGEST {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = sealed.split_at_checked(NONCE)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let open = self.0.open_in_place(nonce, Aad::empty(), &mut text).ok()?;
        let attempt: Attempt = serde_json::from_slice(open).ok()?;
        (now < attempt.until).then_some(attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_comes_back_unchanged_in_time_or_not_at_all() {
        let (attempts, others) = (Attempts::new().expect("key"), Attempts::new().expect("key"));
        let attempt = Attempt {
            provider: "corp".to_owned(),
            until: 100,
            way: Way::Device {
                code: "secret".to_owned(),
            },
        };
        let sealed = attempts.seal(&attempt).expect("sealed");
        assert!(!sealed.contains("secret"));
        assert_eq!(attempts.open(&sealed, 99), Some(attempt));
        assert_eq!(attempts.open(&sealed, 100), None);
        assert_eq!(others.open(&sealed, 99), None);
        let (head, tail) = sealed.split_at(20);
        let changed = format!("{head}A{}", &tail[1..]);
        assert!(changed == sealed || attempts.open(&changed, 99).is_none());
        assert_eq!(attempts.open("", 99), None);
    }
}
