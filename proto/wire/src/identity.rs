//! Certificates: which server is at the other end, and how ours proves itself.
//!
//! A certificate names its server in a DNS name of the mesh's own, so that ordinary TLS checks not
//! only that the other side belongs to the mesh but that it is the server that was meant.

mod certified;
mod peer;
mod renewal;
mod store;
mod tls;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tonic::transport::{self, Certificate, ClientTlsConfig, ServerTlsConfig};
use weft_governance::{Error, ErrorKind, ServerId, code};

use crate::token::sha256;

pub use certified::MeshCa;
pub use peer::{Peer, certificate_of, hosts_of, peer_of};
pub use renewal::Renewal;
pub use store::write_private;
pub use tls::secured;

/// The end of every server's name in certificates.
const SUFFIX: &str = "weft.internal";
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// SHA-256 of the public key of a server's certificate. What is bound to it outlives the certificate,
/// because one that is renewed keeps its key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint of a key: a point of P-256, uncompressed.
    pub fn of(public_key: &[u8]) -> Self {
        Self(sha256(public_key))
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A server's certificate, its key, and the CA of its mesh. Cheap to clone; when the certificate is
/// renewed, all clones have the new one, and so have the connections that are made from then on.
#[derive(Clone)]
pub struct Identity {
    id: ServerId,
    key_pem: Arc<zeroize::Zeroizing<String>>,
    ca_pem: String,
    thumbprint: Thumbprint,
    newest: Arc<Newest>,
}

/// The newest certificate of an identity.
struct Newest(RwLock<Arc<Current>>);

/// A certificate that an identity has.
struct Current {
    pem: String,
    der: CertificateDer<'static>,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Puts an identity together.
    ///
    /// # Errors
    /// If the certificate is malformed, does not name `id`, or belongs to another key.
    pub fn new(
        id: ServerId,
        certificate_pem: String,
        key_pem: String,
        ca_pem: String,
    ) -> Result<Self, Error> {
        let der = first_certificate(&certificate_pem)?;
        let peer = Peer::from_certificate(&der)?;
        if peer.server != id {
            return Err(malformed("it names another server"));
        }
        let pair = KeyPair::from_pem(&key_pem)
            .map_err(|error| malformed("its key is no PKCS#8 key of P-256").caused_by(error))?;
        if pair.public_key_raw() != peer.public_key {
            return Err(malformed("its key is another one"));
        }
        let current = tls::current(certificate_pem, der, &key_pem, &ca_pem)?;
        Ok(Self {
            id,
            key_pem: Arc::new(zeroize::Zeroizing::new(key_pem)),
            ca_pem,
            thumbprint: peer.thumbprint,
            newest: Arc::new(Newest(RwLock::new(Arc::new(current)))),
        })
    }

    /// Takes a certificate in place of the one that it has, for the same server and key.
    ///
    /// # Errors
    /// If it is for another.
    pub fn renew(&self, certificate_pem: String) -> Result<(), Error> {
        let der = first_certificate(&certificate_pem)?;
        let peer = Peer::from_certificate(&der)?;
        if peer.server != self.id || peer.thumbprint != self.thumbprint {
            return Err(malformed("it is for another server or key"));
        }
        let current = tls::current(certificate_pem, der, &self.key_pem, &self.ca_pem)?;
        let mut newest = self
            .newest
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *newest = Arc::new(current);
        Ok(())
    }

    /// Which server this is.
    pub fn id(&self) -> &ServerId {
        &self.id
    }

    /// The thumbprint of its key.
    pub fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// The server's own certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        self.newest.get().pem.clone()
    }

    /// The server's own certificate, DER.
    pub fn certificate_der(&self) -> CertificateDer<'static> {
        self.newest.get().der.clone()
    }

    /// The mesh's CA certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The private key, PKCS#8 PEM.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// How to connect to `peer` and to nobody else, with the certificate that there is now.
    pub fn client_tls(&self, peer: &ServerId) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.ca_pem))
            .identity(self.tls_identity())
            .domain_name(tls_name(peer))
            .timeout(HANDSHAKE)
    }

    /// How to be connected to, with the certificate that there is now: a caller may bring one of the mesh.
    pub fn server_tls(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(self.tls_identity())
            .client_ca_root(Certificate::from_pem(&self.ca_pem))
            .client_auth_optional(true)
            .timeout(HANDSHAKE)
    }

    /// The certificate goes out with the CA's, so that a newcomer can compare its hash.
    fn tls_identity(&self) -> transport::Identity {
        let chain = format!("{}\n{}", self.certificate_pem().trim_end(), self.ca_pem);
        transport::Identity::from_pem(chain, self.key_pem.as_bytes())
    }
}

impl Newest {
    fn get(&self) -> Arc<Current> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Newest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Newest").finish_non_exhaustive()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("id", &self.id)
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

/// The DNS name that certificates give a server.
pub fn tls_name(id: &ServerId) -> String {
    match id {
        ServerId::Authority => format!("authority.{SUFFIX}"),
        ServerId::Coordinator { name } => format!("{name}.coordinator.{SUFFIX}"),
        ServerId::Node { domain, name } => format!("{name}.{domain}.node.{SUFFIX}"),
    }
}

/// The server that a DNS name of a certificate names, if it is one of the mesh's own.
pub(crate) fn server_of(tls_name: &str) -> Option<ServerId> {
    let labels: Vec<&str> = tls_name
        .strip_suffix(SUFFIX)?
        .strip_suffix('.')?
        .split('.')
        .collect();
    match labels.as_slice() {
        ["authority"] => Some(ServerId::Authority),
        [name, "coordinator"] => ServerId::coordinator(name).ok(),
        [name, domain, "node"] => ServerId::node(domain.parse().ok()?, name).ok(),
        _ => None,
    }
}

/// Makes aws-lc-rs the process's TLS provider. Harmless when called again.
pub fn install_crypto_provider() {
    // A second call finds a provider in place, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

pub(crate) fn first_certificate(pem: &str) -> Result<CertificateDer<'static>, Error> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| malformed("it is no PEM certificate").caused_by(error))
}

pub(crate) fn malformed(reason: &str) -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        format!("a certificate cannot be used: {reason}"),
    )
}

#[cfg(test)]
mod tests;
