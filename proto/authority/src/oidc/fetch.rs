//! Short HTTP calls to a provider: over TLS, bounded in time and size, without redirects.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use weft_governance::{Error, ErrorKind, code};
use zeroize::Zeroizing;

use super::ProviderSettings;

/// A call that takes longer has failed.
const CALL: Duration = Duration::from_secs(5);
/// Longer answers are not read.
const LONGEST: usize = 256 << 10;

/// Makes calls to one provider.
pub(super) struct Fetch {
    tls: TlsConnector,
}

/// What a provider answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Fetch {
    /// Calls to the provider of `settings`.
    ///
    /// # Errors
    /// If its certificates cannot be read, or the machine trusts none.
    pub(super) fn new(settings: &ProviderSettings) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        match &settings.ca_file {
            Some(file) => {
                let unusable = || {
                    let message = format!("`{}` cannot be read as certificates", file.display());
                    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
                };
                let certificates = CertificateDer::pem_file_iter(file)
                    .map_err(|error| unusable().caused_by(error))?;
                for certificate in certificates {
                    let certificate = certificate.map_err(|error| unusable().caused_by(error))?;
                    roots
                        .add(certificate)
                        .map_err(|error| unusable().caused_by(error))?;
                }
            }
            // Those that cannot be read vouch for nobody.
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| away("the provider").caused_by(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// The document at `url`.
    ///
    /// # Errors
    /// `WEFT-CONNECT` if it does not come, in time and whole.
    pub(super) async fn get(&self, url: &str) -> Result<Answer, Error> {
        self.call(url, Method::GET, None, Full::default()).await
    }

    /// Posts a form to `url`.
    ///
    /// # Errors
    /// `WEFT-CONNECT` if no answer comes, in time and whole.
    pub(super) async fn post(
        &self,
        url: &str,
        authorization: Option<&Zeroizing<String>>,
        form: String,
    ) -> Result<Answer, Error> {
        let body = Full::new(Bytes::from(form));
        self.call(url, Method::POST, authorization, body).await
    }

    async fn call(
        &self,
        url: &str,
        method: Method,
        authorization: Option<&Zeroizing<String>>,
        body: Full<Bytes>,
    ) -> Result<Answer, Error> {
        let uri = trusted_url(url)?;
        let host = host(&uri);
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| away(&host).caused_by(error);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(HOST, uri.authority().map_or("", |it| it.as_str()))
            .header(ACCEPT, "application/json");
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.as_str());
        }
        let request = request.body(body).map_err(|error| failed(error.into()))?;
        let exchange = self.exchange(&uri, request);
        match tokio::time::timeout(CALL, exchange).await {
            Ok(answer) => answer.map_err(failed),
            Err(late) => Err(failed(late.into())),
        }
    }

    async fn exchange(
        &self,
        uri: &Uri,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let host = host(uri);
        let tcp = TcpStream::connect((host.as_str(), port)).await?;
        if tls {
            let name = ServerName::try_from(host)?;
            converse(self.tls.connect(name, tcp).await?, request).await
        } else {
            converse(tcp, request).await
        }
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answered = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await?;
        Ok(Answer {
            status,
            body: Zeroizing::new(body.to_bytes().to_vec()),
        })
    };
    tokio::pin!(answered, connection);
    // The connection moves what the other half waits for, and may be done before it.
    tokio::select! {
        answer = &mut answered => answer,
        _ = &mut connection => answered.await,
    }
}

/// A URL that nobody on the way can answer for: `https`, or `http` on this machine.
///
/// # Errors
/// `WEFT-SETTINGS` if it is another one.
pub(super) fn trusted_url(url: &str) -> Result<Uri, Error> {
    let bad = || {
        let shown: String = url.chars().take(200).collect();
        Error::new(
            ErrorKind::InvalidInput,
            code::SETTINGS,
            format!("`{shown}` is not an `https://` URL"),
        )
    };
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let named = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@') && !authority.host().is_empty());
    let safe = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => {
            let address = host(&uri).parse::<std::net::IpAddr>();
            address.is_ok_and(|address| address.is_loopback())
        }
        _ => false,
    };
    if named && safe { Ok(uri) } else { Err(bad()) }
}

fn host(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    host.trim_matches(['[', ']']).to_owned()
}

pub(super) fn away(host: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        code::CONNECT,
        format!("the identity provider at `{host}` does not answer as it should"),
    )
    .with_hint("Try again later; the authority's log says more.")
}
