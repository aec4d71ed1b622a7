//! The server at the other end of a connection.

use tonic::Request;
use weft_governance::{Error, ServerId};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{Thumbprint, malformed, server_of};

/// A server that proved with its certificate who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Which one.
    pub server: ServerId,
    /// Its certificate's thumbprint.
    pub thumbprint: Thumbprint,
    /// Its public key: a point of P-256, uncompressed.
    pub(crate) public_key: Vec<u8>,
}

impl Peer {
    /// Reads a certificate that TLS has verified.
    ///
    /// # Errors
    /// If it names no server of a mesh.
    pub fn from_certificate(der: &[u8]) -> Result<Self, Error> {
        let (_, certificate) = X509Certificate::from_der(der)
            .map_err(|error| malformed("it is malformed").caused_by(error))?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|error| malformed("it is malformed").caused_by(error))?
            .ok_or_else(|| malformed("it has no names"))?;
        let mut servers = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => server_of(name),
                _ => None,
            });
        let server = servers
            .next()
            .ok_or_else(|| malformed("it names no server of a mesh"))?;
        if servers.next().is_some() {
            return Err(malformed("it names two servers"));
        }
        let public_key = certificate.public_key().subject_public_key.data.to_vec();
        Ok(Self {
            server,
            thumbprint: Thumbprint::of(der),
            public_key,
        })
    }
}

/// The server that made `request`, if it brought a certificate.
pub fn peer_of<T>(request: &Request<T>) -> Option<Peer> {
    let certificates = request.peer_certs()?;
    Peer::from_certificate(certificates.first()?).ok()
}
