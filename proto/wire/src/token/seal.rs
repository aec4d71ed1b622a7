//! Seals: a server's signature under a statement about what it did.

use jsonwebtoken::EncodingKey;
use serde::{Deserialize, Serialize};
use weft_governance::{Error, ErrorKind, code};

use super::jwt;
use crate::identity::{Identity, Peer};

const KIND: &str = "weft-seal+jwt";
/// Statements are longer than tokens.
const LONGEST: usize = 1 << 20;

/// A seal does not end: it says what was so once.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    statement: String,
    #[serde(rename = "spk#S256")]
    thumbprint: String,
}

impl Identity {
    /// Signs `statement` with the key of the server's certificate: a JSON Web Token, so that it is
    /// taken for nothing else that the server signs.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub fn seal(&self, statement: &str) -> Result<String, Error> {
        let claims = Claims {
            iss: self.id().to_string(),
            statement: statement.to_owned(),
            thumbprint: self.thumbprint().to_string(),
        };
        EncodingKey::from_ec_pem(self.key_pem().as_bytes())
            .ok()
            .and_then(|key| jwt::sign(KIND, &claims.thumbprint, &claims, &key))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    code::INTERNAL,
                    "a statement cannot be signed",
                )
            })
    }
}

impl Peer {
    /// Checks that this server signed `statement`.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED`, with one text for every reason.
    pub fn check_seal(&self, seal: &str, statement: &str) -> Result<(), Error> {
        match self.sealed(seal)? == statement {
            true => Ok(()),
            false => Err(refused()),
        }
    }

    /// The statement under which `seal` is this server's signature.
    ///
    /// # Errors
    /// As [`Peer::check_seal`].
    pub fn sealed(&self, seal: &str) -> Result<String, Error> {
        let Claims {
            iss,
            statement,
            thumbprint,
        } = jwt::verifying_key(&self.public_key)
            .and_then(|key| jwt::verify_up_to(LONGEST, KIND, seal, &key))
            .ok_or_else(refused)?;
        match iss == self.server.to_string() && thumbprint == self.thumbprint.to_string() {
            true => Ok(statement),
            false => Err(refused()),
        }
    }
}

fn refused() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "the server did not sign this",
    )
}
