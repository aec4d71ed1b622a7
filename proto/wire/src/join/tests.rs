use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::fixture::{Mesh, der, server};

/// Someone who listens where an authority might, and remembers what a caller says.
struct Listener {
    url: String,
    heard: JoinHandle<Vec<u8>>,
}

impl Listener {
    /// Shows the certificate and the CA of `identity`, and perhaps a further CA.
    async fn start(identity: &Identity, further: Option<&str>) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url = format!("https://{}", tcp.local_addr().expect("bound"));
        let own = identity.certificate_pem();
        let chain = [Some(own.as_str()), Some(identity.ca_pem()), further];
        let chain = chain
            .into_iter()
            .flatten()
            .map(|pem| CertificateDer::from(der(pem)))
            .collect();
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).expect("key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("fits");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let heard = tokio::spawn(async move {
            let (tcp, _) = tcp.accept().await.expect("accepted");
            let mut heard = vec![0; 24];
            let read = match acceptor.accept(tcp).await {
                Ok(mut tls) => tls.read(&mut heard).await.unwrap_or(0),
                Err(_) => 0,
            };
            heard.truncate(read);
            heard
        });
        Self { url, heard }
    }

    async fn heard_from(self, ca_sha256: [u8; 32]) -> Vec<u8> {
        let token = JoinToken {
            authority_url: self.url,
            ca_sha256,
            server: server("node/sales/s1"),
            secret: "the secret".to_owned(),
        };
        assert!(enroll(&token, &[]).await.is_err(), "nobody answers");
        self.heard.await.expect("listened")
    }
}

fn hash(mesh: &Mesh) -> [u8; 32] {
    sha256(&der(&mesh.ca_pem))
}

#[tokio::test]
async fn the_expected_authority_is_spoken_to() {
    let mesh = Mesh::new();
    let listener = Listener::start(&mesh.identity("authority"), None).await;
    assert!(
        listener
            .heard_from(hash(&mesh))
            .await
            .starts_with(b"PRI * HTTP/2.0")
    );
}

#[tokio::test]
async fn an_authority_of_another_ca_hears_nothing() {
    let (mesh, stranger) = (Mesh::new(), Mesh::new());
    let listener = Listener::start(&stranger.identity("authority"), None).await;
    assert_eq!(listener.heard_from(hash(&mesh)).await, b"");
}

#[tokio::test]
async fn showing_the_expected_ca_beside_an_own_certificate_does_not_help() {
    let (mesh, stranger) = (Mesh::new(), Mesh::new());
    let listener = Listener::start(&stranger.identity("authority"), Some(&mesh.ca_pem)).await;
    assert_eq!(listener.heard_from(hash(&mesh)).await, b"");
}

#[tokio::test]
async fn another_server_of_the_mesh_is_not_taken_for_the_authority() {
    let mesh = Mesh::new();
    let listener = Listener::start(&mesh.identity("node/crm/c1"), None).await;
    assert_eq!(listener.heard_from(hash(&mesh)).await, b"");
}

#[tokio::test]
async fn a_password_goes_nowhere_without_tls() {
    let mesh = Mesh::new();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    tcp.set_nonblocking(true).expect("set");
    let url = format!("http://{}", tcp.local_addr().expect("bound"));
    let (ca, node) = (mesh.ca_pem.as_str(), server("node/sales/s1"));
    let refused = [
        issue_token(&url, ca, "ann", "secret", &node)
            .await
            .map(drop),
        create_join_token(&url, ca, "ann", "secret", &node)
            .await
            .map(drop),
        crate::authority::Authority::connect(&url, &mesh.identity("coordinator/main")).map(drop),
        enroll(&join_token(&url), &[]).await.map(drop),
    ];
    for result in refused {
        assert_eq!(result.expect_err("plain text").code(), code::SETTINGS);
    }
    let nobody = tcp.accept().expect_err("somebody connected");
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

fn join_token(url: &str) -> JoinToken {
    JoinToken {
        authority_url: url.to_owned(),
        ca_sha256: [7; 32],
        server: server("node/sales/s1"),
        secret: "the secret".to_owned(),
    }
}

#[test]
fn a_join_token_survives_a_round_trip_and_shows_no_secret() {
    let token = join_token("https://127.0.0.1:7000");
    let text = token.to_string();
    assert!(text.starts_with("weft-join-"));
    assert_eq!(text.parse::<JoinToken>().expect("readable"), token);
    assert!(!format!("{token:?}").contains("the secret"));
}

#[test]
fn what_is_no_join_token_is_refused() {
    let text = join_token("https://127.0.0.1:7000").to_string();
    for bad in [
        "",
        "weft-join-",
        "weft-join-e30",
        &text[..text.len() - 8],
        &text["weft-".len()..],
    ] {
        assert_eq!(
            bad.parse::<JoinToken>().expect_err(bad).code(),
            code::SETTINGS
        );
    }
}
