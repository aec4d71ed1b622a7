//! What a client hands back: tickets for results, handles of statements, and bearers that are promised. They
//! are sealed with a key that lives as long as the process, so that none can be made up, read or changed.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weft_governance::{Error, ErrorKind, code};

use crate::session::Handle;

const TICKET: &[u8] = b"weft ticket 1";
const BEARER: &[u8] = b"weft bearer 1";
const STATEMENT: &[u8] = b"weft statement 1";

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The session that may redeem it.
    pub(crate) session: Handle,
    /// The result within that session.
    pub(crate) result: Handle,
    /// When it can no longer be redeemed.
    pub(crate) expires_at: SystemTime,
}

/// A ticket as clients carry it. Each server reads its own part.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Carried {
    /// What the server sealed that announced the result.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) sealed: Vec<u8>,
    /// What another server takes for the same rows; nothing if there is none.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) elsewhere: Vec<u8>,
}

/// Seals tickets and opens them.
pub(crate) struct Seal(LessSafeKey);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seal").finish_non_exhaustive()
    }
}

impl Seal {
    /// A seal with a key of its own.
    ///
    /// # Errors
    /// `Internal` if the machine has no randomness.
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut key = [0; 32];
        fill(&mut key)?;
        UnboundKey::new(&AES_256_GCM, &key)
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(broken)
    }

    /// Seals `ticket`.
    pub(crate) fn close(&self, ticket: &Ticket) -> Result<Vec<u8>, Error> {
        let expires_at = ticket
            .expires_at
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut text = Vec::with_capacity(64);
        text.extend_from_slice(ticket.session.as_bytes());
        text.extend_from_slice(ticket.result.as_bytes());
        text.extend_from_slice(&expires_at.as_secs().to_le_bytes());
        self.seal(TICKET, text)
    }

    /// Opens what [`close`](Self::close) made, unless its time is over.
    pub(crate) fn open(&self, sealed: &[u8], now: SystemTime) -> Option<Ticket> {
        let text = self.unseal(TICKET, sealed)?;
        let (session, text) = text.split_first_chunk()?;
        let (result, text) = text.split_first_chunk()?;
        let (expires_at, []) = text.split_first_chunk()? else {
            return None;
        };
        let expires_at = UNIX_EPOCH + Duration::from_secs(u64::from_le_bytes(*expires_at));
        let ticket = Ticket {
            session: Handle::from(*session),
            result: Handle::from(*result),
            expires_at,
        };
        (now < expires_at).then_some(ticket)
    }

    /// A bearer for a session beside `session` that is opened when the bearer is first used. No two
    /// are the same.
    pub(crate) fn promise(&self, session: &Handle) -> Result<String, Error> {
        let sealed = self.seal(BEARER, session.as_bytes().to_vec())?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The session beside which a promised bearer opens one.
    pub(crate) fn promised(&self, bearer: &str) -> Option<Handle> {
        let sealed = URL_SAFE_NO_PAD.decode(bearer).ok()?;
        Handle::read(&self.unseal(BEARER, &sealed)?)
    }

    /// Seals what a handle says of a statement, for nobody but `owner`.
    pub(crate) fn close_statement(&self, owner: &[u8], text: Vec<u8>) -> Result<Vec<u8>, Error> {
        self.seal(&[STATEMENT, owner].concat(), text)
    }

    /// Opens what [`close_statement`](Self::close_statement) made for the same owner.
    pub(crate) fn open_statement(&self, owner: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.unseal(&[STATEMENT, owner].concat(), sealed)
    }

    fn seal(&self, context: &[u8], mut text: Vec<u8>) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce)?;
        let sealing = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(sealing, Aad::from(context), &mut text)
            .map_err(broken)?;
        Ok([&nonce, text.as_slice()].concat())
    }

    fn unseal(&self, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self
            .0
            .open_in_place(nonce, Aad::from(context), &mut text)
            .ok()?;
        Some(text.to_vec())
    }
}

/// Fills `bytes` from the machine's randomness.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    aws_lc_rs::rand::fill(bytes).map_err(broken)
}

fn broken(error: aws_lc_rs::error::Unspecified) -> Error {
    Error::new(
        ErrorKind::Internal,
        code::INTERNAL,
        "cryptography failed on this machine",
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            session: Handle::from([1; 16]),
            result: Handle::from([2; 16]),
            expires_at: UNIX_EPOCH + Duration::from_secs(100),
        }
    }

    #[test]
    fn a_sealed_ticket_opens_until_it_expires() {
        let seal = Seal::generate().expect("random");
        let sealed = seal.close(&ticket()).expect("seals");
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(seal.open(&sealed, at(99)), Some(ticket()));
        assert_eq!(seal.open(&sealed, at(100)), None);
    }

    #[test]
    fn a_changed_or_foreign_ticket_does_not_open() {
        let seal = Seal::generate().expect("random");
        let sealed = seal.close(&ticket()).expect("seals");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(&changed, UNIX_EPOCH), None);
            assert_eq!(seal.open(&sealed[..at], UNIX_EPOCH), None);
        }
        let other = Seal::generate().expect("random");
        assert_eq!(other.open(&sealed, UNIX_EPOCH), None);
    }

    #[test]
    fn a_statement_opens_for_its_owner_only() {
        let seal = Seal::generate().expect("random");
        let sealed = seal.close_statement(b"ann", b"SELECT 1".to_vec());
        let sealed = sealed.expect("seals");
        let text = seal.open_statement(b"ann", &sealed);
        assert_eq!(text.as_deref(), Some(b"SELECT 1".as_slice()));
        for other in [b"bob".as_slice(), b"an", b"", b"annn"] {
            assert_eq!(seal.open_statement(other, &sealed), None);
        }
        assert_eq!(seal.open(&sealed, UNIX_EPOCH), None);
        let ticket = seal.close(&ticket()).expect("seals");
        assert_eq!(seal.open_statement(b"", &ticket), None);
    }

    #[test]
    fn a_promised_bearer_is_no_ticket_and_no_ticket_is_a_bearer() {
        let seal = Seal::generate().expect("random");
        let session = Handle::from([1; 16]);
        let bearer = seal.promise(&session).expect("seals");
        assert_ne!(bearer, seal.promise(&session).expect("seals"));
        assert_eq!(seal.promised(&bearer), Some(session));
        let raw = URL_SAFE_NO_PAD.decode(&bearer).expect("base64");
        assert_eq!(seal.open(&raw, UNIX_EPOCH), None);
        let sealed = URL_SAFE_NO_PAD.encode(seal.close(&ticket()).expect("seals"));
        assert_eq!(seal.promised(&sealed), None);
        let other = Seal::generate().expect("random");
        for strange in ["", "None", &bearer[1..], &format!("{bearer}A")] {
            assert_eq!(seal.promised(strange), None, "{strange}");
        }
        assert_eq!(other.promised(&bearer), None);
    }
}
