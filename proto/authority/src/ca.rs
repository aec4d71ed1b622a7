//! The mesh's certificate authority.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData, SanType,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, DnsName};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::identity::{Identity, Peer, hosts_of, tls_name, write_private};
use weft_wire::token::sha256;

/// Bytes of a point of P-256, uncompressed.
const POINT: usize = 65;
/// How far clocks of servers may be behind.
const BEHIND: Duration = Duration::from_secs(3_600);
/// Longer requests are refused unread.
const LONGEST_REQUEST: usize = 16 << 10;
/// Days that the CA is valid.
const CA_DAYS: u64 = 3_650;

/// Signs the certificates of a mesh's servers.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    sha256: [u8; 32],
    /// How long a server's certificate is valid.
    lifetime: Duration,
}

impl Ca {
    /// The CA kept in `folder`, made now if there is none. The certificates of servers are valid for
    /// `lifetime`.
    pub(crate) fn open(folder: &Path, lifetime: Duration) -> Result<Self, Error> {
        let (key_file, certificate_file) = (folder.join("ca.key"), folder.join("ca.pem"));
        let (key, certificate_pem) = match fs::read_to_string(&key_file) {
            Ok(pem) => {
                let key = KeyPair::from_pem(&pem).map_err(unusable)?;
                (
                    key,
                    fs::read_to_string(&certificate_file).map_err(unusable)?,
                )
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(unusable)?;
                let certificate = authority_params()
                    .self_signed(&key)
                    .map_err(unusable)?
                    .pem();
                fs::write(&certificate_file, &certificate).map_err(unusable)?;
                // Last: its presence says that the CA is complete.
                write_private(&key_file, key.serialize_pem().as_bytes()).map_err(unusable)?;
                (key, certificate)
            }
            Err(error) => return Err(unusable(error)),
        };
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(unusable)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(unusable)?;
        Ok(Self {
            issuer,
            sha256: sha256(&der),
            certificate_pem,
            lifetime,
        })
    }

    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The certificate of a server that asks with `csr_pem`. The request proves possession of the
    /// key; names in it are ignored.
    pub(crate) fn sign_request(
        &self,
        csr_pem: &str,
        server: &ServerId,
        hosts: &[String],
    ) -> Result<String, Error> {
        if csr_pem.len() > LONGEST_REQUEST {
            return Err(bad_request());
        }
        let request = CertificateSigningRequestParams::from_pem(csr_pem)
            .map_err(|error| bad_request().caused_by(error))?;
        // Delegations are signed with the certificate's key, and they know one curve.
        if *request.public_key.algorithm() != PKCS_ECDSA_P256_SHA256
            || request.public_key.der_bytes().len() != POINT
        {
            return Err(bad_request());
        }
        let params = server_params(server, hosts, self.lifetime)?;
        params
            .signed_by(&request.public_key, &self.issuer)
            .map(|certificate| certificate.pem())
            .map_err(unusable)
    }

    /// The certificate of a server that asks with `csr_pem` and has one of the same key, `before`, DER.
    /// The new one names the same server and hosts.
    pub(crate) fn renew(&self, csr_pem: &str, peer: &Peer, before: &[u8]) -> Result<String, Error> {
        let certificate = self.sign_request(csr_pem, &peer.server, &hosts_of(before)?)?;
        let same_key = Peer::trusted(&certificate)?.thumbprint == peer.thumbprint;
        same_key.then_some(certificate).ok_or_else(bad_request)
    }

    /// Renews the authority's own certificate.
    pub(crate) fn renew_own(&self, identity: &Identity) -> Result<(), Error> {
        let hosts = hosts_of(&identity.certificate_der())?;
        let request = identity.renewal_request()?;
        identity.renew(self.sign_request(&request, identity.id(), &hosts)?)
    }

    /// Checks that `server` can have a certificate: the authority makes its own, and a name has to
    /// be a host name for TLS as well.
    pub(crate) fn check_server(&self, server: &ServerId) -> Result<(), Error> {
        let fits = *server != ServerId::Authority && DnsName::try_from(tls_name(server)).is_ok();
        fits.then_some(()).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                code::SETTINGS,
                format!("`{server}` is not a server that can join"),
            )
            .with_hint(
                "Name `coordinator/NAME` or `node/DOMAIN/NAME`, with names that end in a letter or digit.",
            )
        })
    }

    /// An identity for a server in this process.
    pub(crate) fn identity(&self, server: &ServerId, hosts: &[String]) -> Result<Identity, Error> {
        let key = KeyPair::generate().map_err(unusable)?;
        let certificate = server_params(server, hosts, self.lifetime)?
            .signed_by(&key, &self.issuer)
            .map_err(unusable)?;
        Identity::new(
            server.clone(),
            certificate.pem(),
            key.serialize_pem(),
            self.certificate_pem.clone(),
        )
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Weft mesh CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(Duration::from_secs(CA_DAYS * 86_400));
    params
}

fn server_params(
    server: &ServerId,
    hosts: &[String],
    lifetime: Duration,
) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, server.to_string());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    (params.not_before, params.not_after) = validity(lifetime);
    let name = tls_name(server).as_str().try_into().map_err(unusable)?;
    params.subject_alt_names.push(SanType::DnsName(name));
    for host in hosts {
        params.subject_alt_names.push(alternative_name(host)?);
    }
    Ok(params)
}

/// A host as a certificate names it. The mesh's own names are not for hosts to take.
fn alternative_name(host: &str) -> Result<SanType, Error> {
    let bad = || {
        let shown: String = host.chars().take(80).collect();
        Error::new(
            ErrorKind::InvalidInput,
            code::SETTINGS,
            format!("`{shown}` is not a host name or IP address that a server can have"),
        )
    };
    if let Ok(address) = host.parse() {
        return Ok(SanType::IpAddress(address));
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let fits = host.len() <= 253
        && host.split('.').all(label)
        && DnsName::try_from(host).is_ok()
        && !looks_like_an_address(host)
        && !host.to_ascii_lowercase().ends_with("weft.internal");
    if !fits {
        return Err(bad());
    }
    host.try_into().map(SanType::DnsName).map_err(|_| bad())
}

/// Whether the last label is a number: a mistyped IP address, which is no name.
fn looks_like_an_address(host: &str) -> bool {
    host.rsplit('.')
        .next()
        .is_some_and(|label| label.chars().all(|c| c.is_ascii_digit()))
}

/// From a little before now, for clocks that are behind, for `lifetime`.
fn validity(lifetime: Duration) -> (time::OffsetDateTime, time::OffsetDateTime) {
    let now = time::OffsetDateTime::now_utc();
    (now - BEHIND.min(lifetime), now + lifetime)
}

fn bad_request() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::PROTOCOL,
        "the certificate signing request is malformed or not for a key of P-256",
    )
}

fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        ErrorKind::Internal,
        code::SETTINGS,
        "the authority's keys cannot be used",
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests;
