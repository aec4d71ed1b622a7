//! An authority and its callers, over real connections.

mod disabling;
mod exchange;
mod joining;
mod oidc;
mod policies;
#[allow(unreachable_pub)]
mod provider;
mod renewal;
mod services;
mod serving;
mod sign_in;

use std::path::Path;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use weft_governance::{Error, ServerId};
use weft_wire::authority::{Authority, issue_token};
use weft_wire::identity::{Identity, tls_name};
use weft_wire::person::{Desk, Proof};
use weft_wire::rpc::authority::authority_client::AuthorityClient;
use weft_wire::token::{UserToken, UserTokenVerifier};

use crate::{AuthorityServer, Settings, User, hash_password};

const ISSUER: &str = "test-mesh";
/// The password of everyone.
const PASSWORD: &str = "correct horse";

/// A mesh with the people `ann`, `root` (who lets servers join) and `gone` (who is disabled).
struct Mesh {
    authority: AuthorityServer,
    folder: tempfile::TempDir,
}

impl Mesh {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut settings = settings(folder.path());
        change(&mut settings);
        let authority = AuthorityServer::start(settings, people())
            .await
            .expect("started");
        Self { authority, folder }
    }

    /// The same authority anew, at the same address.
    async fn restart(self, people: Vec<User>) -> Self {
        let Self { authority, folder } = self;
        let settings = Settings {
            listen: authority.address(),
            ..settings(folder.path())
        };
        authority.stop().await;
        let authority = AuthorityServer::start(settings, people)
            .await
            .expect("started");
        Self { authority, folder }
    }

    fn identity(&self, id: &str) -> Identity {
        self.authority.identity(&server(id)).expect("signed")
    }

    fn client(&self, id: &str) -> Authority {
        self.client_of(&self.identity(id))
    }

    fn client_of(&self, identity: &Identity) -> Authority {
        Authority::connect(&self.authority.url(), identity).expect("a URL")
    }

    /// A caller without a certificate.
    async fn stranger(&self) -> AuthorityClient<Channel> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.authority.ca_pem()))
            .domain_name(tls_name(&ServerId::Authority));
        let endpoint = Endpoint::from_shared(self.authority.url()).expect("a URL");
        let channel = endpoint
            .tls_config(tls)
            .expect("fits")
            .connect()
            .await
            .expect("connected");
        AuthorityClient::new(channel)
    }

    /// A token that `ann` got for herself.
    async fn own_token(&self, audience: &str) -> UserToken {
        self.issue("ann", PASSWORD, audience).await.expect("issued")
    }

    async fn issue(&self, user: &str, password: &str, audience: &str) -> Result<UserToken, Error> {
        let (url, ca) = (self.authority.url(), self.authority.ca_pem());
        issue_token(&url, ca, user, password, &server(audience)).await
    }

    /// The people's door.
    fn desk(&self) -> Desk {
        Desk::at(&self.authority.url(), self.authority.ca_pem()).expect("a URL")
    }

    fn password_of(&self, user: &str) -> Proof {
        Proof::Password {
            user: user.to_owned(),
            password: PASSWORD.to_owned().into(),
        }
    }

    /// What `audience` verifies tokens with.
    async fn verifier(&self, audience: &str) -> UserTokenVerifier {
        let keys = self
            .client("coordinator/checker")
            .keys()
            .await
            .expect("keys");
        UserTokenVerifier::new(&keys.issuer, &keys.jwks, &server(audience)).expect("keys")
    }
}

fn settings(folder: &Path) -> Settings {
    Settings::new(
        "127.0.0.1:0".parse().expect("address"),
        ISSUER,
        folder.join("state"),
    )
}

fn people() -> Vec<User> {
    let hash = hash_password(PASSWORD).expect("hashed");
    let person = |name: &str, group: &str, disabled| User {
        name: name.to_owned(),
        password_hash: hash.clone(),
        groups: [group.to_owned()].into(),
        attributes: [("region".to_owned(), "north".to_owned())].into(),
        disabled,
    };
    vec![
        person("ann", "staff", false),
        person("root", "mesh-admins", false),
        person("gone", "staff", true),
    ]
}

fn server(id: &str) -> ServerId {
    id.parse().expect("an id")
}
