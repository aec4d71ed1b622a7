//! A first connection to a mesh of which only the CA's hash is known.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Uri};
use tower::service_fn;
use weft_governance::{Error, ErrorKind, ServerId, code};

use crate::authority::{address, bad_url, endpoint};
use crate::identity::tls_name;
use crate::token::sha256;

const CALL: Duration = Duration::from_secs(10);

/// Connects to the authority at `url`, which has to show a CA certificate with this hash and a
/// certificate of its own that this CA signed. The handshake fails otherwise, before any data.
pub(super) async fn pinned(url: &str, ca_sha256: [u8; 32]) -> Result<Channel, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(PinnedCa {
        ca_sha256,
        provider: Arc::clone(&provider),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| untrusted().caused_by(error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    // The connector speaks TLS itself, so the channel must not.
    let mut parts = address(url)?.into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    let plain = Uri::from_parts(parts).map_err(|error| bad_url(url).caused_by(error))?;
    endpoint(plain, CALL)
        .connect_with_connector(service_fn(move |uri: Uri| {
            let connector = connector.clone();
            async move {
                let host = uri
                    .host()
                    .unwrap_or_default()
                    .trim_matches(['[', ']'])
                    .to_owned();
                let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
                let name = ServerName::try_from(tls_name(&ServerId::Authority))
                    .map_err(io::Error::other)?;
                let handshake = connector.connect(name, tcp);
                let tls = tokio::time::timeout(CALL, handshake)
                    .await
                    .map_err(io::Error::other)?;
                tls.map(TokioIo::new)
            }
        }))
        .await
        .map_err(|error| untrusted().caused_by(error))
}

fn untrusted() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        code::CONNECT,
        "the authority cannot be reached, or is not the one that the join token was made by",
    )
    .with_hint(
        "Check the authority's address, and ask for a new join token if the mesh was set up anew.",
    )
}

/// Trusts the one CA whose hash is known.
#[derive(Debug)]
struct PinnedCa {
    ca_sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unknown = || rustls::Error::General("the CA has another hash".to_owned());
        let ca = intermediates
            .iter()
            .find(|certificate| sha256(certificate) == self.ca_sha256)
            .ok_or_else(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
