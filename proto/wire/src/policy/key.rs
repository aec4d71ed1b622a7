//! Keys of representatives: ECDSA on P-256 with SHA-256.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    ParsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use weft_governance::{DomainId, Error, ErrorKind, code};
use zeroize::Zeroizing;

use super::bundle::PolicySignature;
use super::{refused, statement};
use crate::token::sha256;

/// The bytes of an uncompressed point.
const POINT: usize = 65;

/// The key pair of a domain's representative.
pub struct PolicyKey {
    pair: EcdsaKeyPair,
    pem: Zeroizing<String>,
}

impl PolicyKey {
    /// A new one.
    ///
    /// # Errors
    /// If the machine gives no randomness.
    pub fn generate() -> Result<Self, Error> {
        let pair = rcgen::KeyPair::generate().map_err(|error| unusable().caused_by(error))?;
        Self::from_pem(&Zeroizing::new(pair.serialize_pem()))
    }

    /// Reads what [`PolicyKey::to_pem`] made.
    ///
    /// # Errors
    /// If it is no PKCS#8 key of P-256.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| refused("this is no private key in PEM"))?;
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.secret_pkcs8_der())
            .map_err(|_| refused("this is no private key of P-256"))?;
        let pem = Zeroizing::new(pem.to_owned());
        Ok(Self { pair, pem })
    }

    /// The private key, PKCS#8 in PEM.
    pub fn to_pem(&self) -> &str {
        &self.pem
    }

    /// What nodes pin.
    ///
    /// # Errors
    /// None that a key can cause.
    pub fn public(&self) -> Result<PolicyPublicKey, Error> {
        PolicyPublicKey::from_point(self.pair.public_key().as_ref()).ok_or_else(unusable)
    }

    /// Signs `document`, a policy of `mesh`, for `domain`.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub fn sign(
        &self,
        mesh: &str,
        domain: &DomainId,
        document: &str,
    ) -> Result<PolicySignature, Error> {
        let signed = statement(mesh, domain.as_str(), document);
        let signature = self.pair.sign(&SystemRandom::new(), &signed);
        let signature = signature.map_err(|_| unusable())?;
        Ok(PolicySignature {
            domain: domain.to_string(),
            key_id: self.public()?.id(),
            signature: URL_SAFE_NO_PAD.encode(signature.as_ref()),
        })
    }
}

impl fmt::Debug for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyKey").finish_non_exhaustive()
    }
}

/// The public key of a domain's representative, written as the base64 (RFC 4648 §5) of its point.
#[derive(Debug, Clone)]
pub struct PolicyPublicKey {
    point: Vec<u8>,
    parsed: Arc<ParsedPublicKey>,
}

impl PolicyPublicKey {
    fn from_point(point: &[u8]) -> Option<Self> {
        if point.len() != POINT {
            return None;
        }
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
        Some(Self {
            point: point.to_vec(),
            parsed: Arc::new(parsed),
        })
    }

    /// A short name: the first half of its SHA-256.
    pub fn id(&self) -> String {
        let digest = sha256(&self.point);
        URL_SAFE_NO_PAD.encode(digest.split_at(16).0)
    }

    /// Whether this key made `signature` under `document` of `mesh` for `domain`.
    pub(super) fn signed(
        &self,
        mesh: &str,
        domain: &DomainId,
        document: &str,
        signature: &str,
    ) -> bool {
        let message = statement(mesh, domain.as_str(), document);
        URL_SAFE_NO_PAD
            .decode(signature)
            .is_ok_and(|signature| self.parsed.verify_sig(&message, &signature).is_ok())
    }
}

impl PartialEq for PolicyPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.point == other.point
    }
}

impl Eq for PolicyPublicKey {}

impl FromStr for PolicyPublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let point = URL_SAFE_NO_PAD.decode(text.trim()).ok();
        point
            .and_then(|point| Self::from_point(&point))
            .ok_or_else(|| {
                refused("this is no public key of a representative")
                    .with_hint("`weft policy key` prints it when it makes one.")
            })
    }
}

impl fmt::Display for PolicyPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.point))
    }
}

fn unusable() -> Error {
    let message = "a representative's key cannot be used";
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}
