//! Puts an authority together.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tracing::{error, info};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::authority::JoinToken;
use weft_wire::identity::{Identity, install_crypto_provider, write_private};
use weft_wire::rpc::authority::authority_server::AuthorityServer as Calls;
use weft_wire::token::UserTokenSigner;

use crate::ca::Ca;
use crate::password::Passwords;
use crate::service::{AuthorityService, JOIN_LIFETIME, Office};
use crate::settings::{Settings, User};
use crate::state::State;

/// Calls that one connection may have under way.
const STREAMS: u32 = 100;
/// A call that takes longer is ended.
const CALL: Duration = Duration::from_secs(30);

/// A running authority. Dropping it stops it.
pub struct AuthorityServer {
    address: SocketAddr,
    office: Arc<Office>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl AuthorityServer {
    /// Opens or makes the keys in the state folder, and serves.
    ///
    /// # Errors
    /// If the state cannot be used or the address is taken.
    pub async fn start(settings: Settings, users: Vec<User>) -> Result<Self, Error> {
        install_crypto_provider();
        let Settings { listen, issuer, state, hosts, lease_lifetime, user_token_lifetime } =
            settings;
        private_folder(&state)?;
        let ca = Ca::open(&state)?;
        let identity = ca.identity(&ServerId::Authority, &hosts)?;
        let office = Arc::new(Office {
            signer: signer(&state, &issuer)?,
            passwords: Passwords::new(&issuer, users)?,
            state: State::open(&state.join("authority.db"))?,
            ca,
            lease_lifetime,
            user_token_lifetime,
        });
        let listener = TcpListener::bind(listen).await.map_err(|e| taken(listen, e))?;
        let address = listener.local_addr().map_err(|e| taken(listen, e))?;
        let (stop, stopped) = oneshot::channel();
        let serving = Server::builder()
            .tls_config(identity.server_tls())
            .map_err(|e| {
                Error::new(ErrorKind::Internal, code::SETTINGS, "the certificate cannot be used")
                    .caused_by(e)
            })?
            .max_concurrent_streams(STREAMS)
            .timeout(CALL)
            .add_service(Calls::new(AuthorityService(Arc::clone(&office))))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
                // Dropping the sender stops the server like a message does.
                let _ = stopped.await;
            });
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                error!(%error, "authority stopped");
            }
        });
        info!(%address, issuer, "authority serves");
        Ok(Self { address, office, stop: Some(stop), task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL on this machine.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The mesh's CA certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.office.ca.certificate_pem()
    }

    /// SHA-256 of the CA certificate.
    pub fn ca_sha256(&self) -> [u8; 32] {
        self.office.ca.sha256()
    }

    /// A join token for `server`, for use by the process that runs the authority.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn create_join_token(&self, server: &ServerId) -> Result<JoinToken, Error> {
        let now = SystemTime::now();
        let secret = self.office.state.open_join(server, now + JOIN_LIFETIME, now)?;
        Ok(JoinToken {
            authority_url: self.url(),
            ca_sha256: self.ca_sha256(),
            server: server.clone(),
            secret,
        })
    }

    /// An identity for a server in this process.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn identity(&self, server: &ServerId) -> Result<Identity, Error> {
        self.office.ca.identity(server, &["localhost".to_owned(), "127.0.0.1".to_owned()])
    }

    /// Stops; calls under way are answered.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // The task may have ended by itself.
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for AuthorityServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn signer(state: &Path, issuer: &str) -> Result<UserTokenSigner, Error> {
    let file = state.join("token.key");
    match fs::read_to_string(&file) {
        Ok(pem) => UserTokenSigner::from_pem(issuer, &pem),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let signer = UserTokenSigner::generate(issuer)?;
            write_private(&file, signer.to_pem().as_bytes()).map_err(|e| unusable(state, &e))?;
            Ok(signer)
        }
        Err(error) => Err(unusable(state, &error)),
    }
}

fn private_folder(state: &Path) -> Result<(), Error> {
    fs::create_dir_all(state).map_err(|e| unusable(state, &e))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(state, fs::Permissions::from_mode(0o700))
            .map_err(|e| unusable(state, &e))?;
    }
    Ok(())
}

fn unusable(state: &Path, error: &io::Error) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::SETTINGS,
        format!("the state folder `{}` cannot be used: {error}", state.display()),
    )
}

fn taken(listen: SocketAddr, error: io::Error) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::SETTINGS,
        format!("cannot listen at `{listen}`: {error}"),
    )
    .with_hint("Choose another address with the setting `listen`.")
}
