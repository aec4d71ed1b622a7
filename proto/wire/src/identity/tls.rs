//! TLS with whatever certificate an identity has at the time: connections that are made after a renewal
//! have the new one, and those that were made before go on.

use std::io;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use hyper_util::rt::TokioIo;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;
use weft_governance::{Error, ServerId};

use super::{Current, HANDSHAKE, Identity, Newest, first_certificate, malformed, tls_name};
use crate::authority::{address, bad_url};

const HTTP_2: &[u8] = b"h2";

/// A certificate with what TLS needs of it.
pub(super) fn current(
    pem: String,
    der: CertificateDer<'static>,
    key_pem: &str,
    ca_pem: &str,
) -> Result<Current, Error> {
    let unusable = || malformed("its key is no PKCS#8 key of P-256");
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|error| unusable().caused_by(error))?;
    let key = aws_lc_rs::sign::any_ecdsa_type(&key).map_err(|error| unusable().caused_by(error))?;
    // The certificate goes out with the CA's, so that a newcomer can compare its hash.
    let chain = vec![der.clone(), first_certificate(ca_pem)?];
    Ok(Current {
        pem,
        der,
        certified: Arc::new(CertifiedKey::new(chain, key)),
    })
}

impl ResolvesServerCert for Newest {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.get().certified))
    }
}

impl ResolvesClientCert for Newest {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.get().certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Identity {
    /// How to be connected to: a caller may bring a certificate of the mesh.
    ///
    /// # Errors
    /// If the CA's certificate cannot be used.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, Error> {
        let unusable = || malformed("the CA's cannot be used");
        let provider = provider();
        let callers =
            WebPkiClientVerifier::builder_with_provider(self.roots()?, Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(|error| unusable().caused_by(error))?;
        let newest: Arc<Newest> = Arc::clone(&self.newest);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable().caused_by(error))?
            .with_client_cert_verifier(callers)
            .with_cert_resolver(newest);
        config.alpn_protocols = vec![HTTP_2.to_vec()];
        // A session that is resumed would bring the certificate of the one before.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// A connection to `peer` and to nobody else at `url` (`https://HOST:PORT`), made when it is needed
    /// and as often as it is. `tune` sets what is not about TLS.
    ///
    /// # Errors
    /// If the URL is malformed or not `https`, or the CA's certificate cannot be used.
    pub fn channel(
        &self,
        url: &str,
        peer: &ServerId,
        tune: impl FnOnce(Endpoint) -> Endpoint,
    ) -> Result<Channel, Error> {
        let unusable = || malformed("the CA's cannot be used");
        let newest: Arc<Newest> = Arc::clone(&self.newest);
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable().caused_by(error))?
            .with_root_certificates(self.roots()?)
            .with_client_cert_resolver(newest);
        config.alpn_protocols = vec![HTTP_2.to_vec()];
        config.resumption = Resumption::disabled();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from(tls_name(peer))
            .map_err(|error| malformed("its server has no name for TLS").caused_by(error))?;
        let connect = service_fn(move |uri: Uri| {
            let (connector, name) = (connector.clone(), name.clone());
            async move {
                let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
                let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
                tcp.set_nodelay(true)?;
                let handshake = timeout(HANDSHAKE, connector.connect(name, tcp)).await;
                handshake.map_err(io::Error::other)?.map(TokioIo::new)
            }
        });
        Ok(tune(plain(url)?).connect_with_connector_lazy(connect))
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, Error> {
        let mut roots = RootCertStore::empty();
        roots
            .add(first_certificate(&self.ca_pem)?)
            .map_err(|error| malformed("the CA's is malformed").caused_by(error))?;
        Ok(Arc::new(roots))
    }
}

/// The endpoint at `url` without TLS of the channel's own: the connector speaks it.
fn plain(url: &str) -> Result<Endpoint, Error> {
    let address = address(url)?;
    let mut parts = address.clone().into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    let plain = Uri::from_parts(parts).map_err(|error| bad_url(url).caused_by(error))?;
    Ok(Endpoint::from(plain).origin(address))
}

/// Connections of `incoming` once their TLS handshake is done, `most` of them at a time. One that fails
/// is dropped.
pub fn secured<C, S>(
    incoming: S,
    config: Arc<ServerConfig>,
    most: usize,
) -> impl Stream<Item = io::Result<TlsStream<C>>>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: Stream<Item = io::Result<C>>,
{
    let acceptor = TlsAcceptor::from(config);
    let handshakes = incoming.map(move |connection| {
        let acceptor = acceptor.clone();
        async move {
            let handshake = timeout(HANDSHAKE, acceptor.accept(connection?)).await;
            handshake.map_err(io::Error::other)?
        }
    });
    handshakes
        .buffer_unordered(most.max(1))
        .filter_map(async |accepted| match accepted {
            Ok(connection) => Some(Ok(connection)),
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
        })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
