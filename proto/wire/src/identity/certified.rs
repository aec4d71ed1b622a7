//! Certificates that did not come over a connection, so that no TLS has verified them.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use weft_governance::Error;

use super::{Peer, first_certificate, malformed, tls_name};

/// The CA of a mesh, to check certificates with that were kept.
pub struct MeshCa(Arc<WebPkiServerVerifier>);

impl MeshCa {
    /// The CA with this certificate, PEM.
    ///
    /// # Errors
    /// If it is no certificate.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots
            .add(first_certificate(pem)?)
            .map_err(|error| malformed("it is malformed").caused_by(error))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map(Self)
            .map_err(|error| malformed("it is malformed").caused_by(error))
    }

    /// Reads a certificate, DER, that the CA signed and that was valid at the time `at`.
    ///
    /// # Errors
    /// If it names no server of a mesh, or the CA does not stand for it at that time.
    pub fn certified(&self, der: &[u8], at: SystemTime) -> Result<Peer, Error> {
        let peer = Peer::from_certificate(der)?;
        let unknown = || malformed("the CA did not sign it, or not for that time");
        let name = ServerName::try_from(tls_name(&peer.server))
            .map_err(|error| unknown().caused_by(error))?;
        let since = at.duration_since(UNIX_EPOCH).map_err(|_| unknown())?;
        let at = UnixTime::since_unix_epoch(since);
        self.0
            .verify_server_cert(&CertificateDer::from(der), &[], &name, &[], at)
            .map_err(|error| unknown().caused_by(error))?;
        Ok(peer)
    }
}

impl fmt::Debug for MeshCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshCa").finish_non_exhaustive()
    }
}

impl Peer {
    /// Reads a certificate, PEM, that the caller trusts because of where it comes from.
    ///
    /// # Errors
    /// If it names no server of a mesh.
    pub fn trusted(pem: &str) -> Result<Self, Error> {
        Self::from_certificate(&first_certificate(pem)?)
    }

    /// Whether the other certificate is of the same server and key, as a renewed one is.
    pub fn has_key_of(&self, other: &Self) -> bool {
        self.server == other.server && self.public_key == other.public_key
    }
}
