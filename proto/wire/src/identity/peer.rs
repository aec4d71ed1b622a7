//! The server at the other end of a connection.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use tonic::Request;
use weft_governance::{Error, ServerId};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{Thumbprint, malformed, server_of};
use crate::convert::time;

/// A server that proved with its certificate who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Which one.
    pub server: ServerId,
    /// The thumbprint of its key.
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
            thumbprint: Thumbprint::of(&public_key),
            public_key,
        })
    }
}

/// The certificate that came with `request`, DER, as TLS has verified it.
pub fn certificate_of<T>(request: &Request<T>) -> Option<Vec<u8>> {
    Some(request.peer_certs()?.first()?.to_vec())
}

/// The hosts that a certificate, DER, names beside its server.
///
/// # Errors
/// If it is malformed.
pub fn hosts_of(der: &[u8]) -> Result<Vec<String>, Error> {
    let (_, certificate) = X509Certificate::from_der(der)
        .map_err(|error| malformed("it is malformed").caused_by(error))?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| malformed("it is malformed").caused_by(error))?;
    let names = names.map(|names| names.value.general_names.iter());
    let hosts = names.into_iter().flatten().filter_map(|name| match name {
        GeneralName::DNSName(name) if server_of(name).is_none() => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match *bytes {
            [a, b, c, d] => Some(Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            bytes => {
                let bytes: [u8; 16] = bytes.try_into().ok()?;
                Some(Ipv6Addr::from(bytes).to_string())
            }
        },
        _ => None,
    });
    Ok(hosts.collect())
}

/// From when until when a certificate, DER, is valid; never, if it is malformed.
pub(super) fn validity(der: &[u8]) -> (SystemTime, SystemTime) {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH);
    };
    let validity = certificate.validity();
    let moment = |seconds: i64| time(u64::try_from(seconds).unwrap_or_default());
    (
        moment(validity.not_before.timestamp()),
        moment(validity.not_after.timestamp()),
    )
}

/// The server that made `request`, if it brought a certificate.
pub fn peer_of<T>(request: &Request<T>) -> Option<Peer> {
    let certificates = request.peer_certs()?;
    Peer::from_certificate(certificates.first()?).ok()
}
