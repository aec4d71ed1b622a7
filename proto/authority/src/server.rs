//! Puts an authority together.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tracing::{error, info};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_operations::Vitals;
use weft_wire::authority::JoinToken;
use weft_wire::identity::{Identity, install_crypto_provider, secured, write_private};
use weft_wire::rpc::authority::authority_server::AuthorityServer as Calls;
use weft_wire::token::UserTokenSigner;

use crate::ca::Ca;
use crate::incoming::{Incoming, prompt};
use crate::office::{Office, OpenedJoin};
use crate::oidc::Providers;
use crate::password::Passwords;
use crate::policy::Policies;
use crate::roll::Roll;
use crate::service::AuthorityService;
use crate::settings::Settings;
use crate::state::State;
use crate::user::{self, User};
use crate::vitals::AuthorityVitals;

/// Calls that one connection may have under way.
const STREAMS: u32 = 100;
/// A call that takes longer is ended.
const CALL: Duration = Duration::from_secs(30);
/// No message of the protocol is longer.
const MESSAGE: usize = 160 << 10;
/// Bytes of a call's headers.
const HEADERS: u32 = 16 << 10;
/// A connection on which nothing arrives is probed this often.
const PROBE: Duration = Duration::from_secs(20);
/// How long a connection may take to say something.
const FIRST_WORDS: Duration = Duration::from_secs(10);
/// How long a probe may stay unanswered.
const SILENCE: Duration = Duration::from_secs(10);
/// Nobody sleeps longer before the certificate is looked at: clocks are set.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);
/// After a renewal that failed it is tried again after this long.
const AGAIN: Duration = Duration::from_secs(60);
/// How long calls under way may take once the authority stops.
const DRAIN: Duration = Duration::from_secs(5);

/// A running authority. Dropping it stops it.
pub struct AuthorityServer {
    address: SocketAddr,
    url: String,
    pub(crate) office: Arc<Office>,
    stop: Option<oneshot::Sender<()>>,
    vitals: Arc<AuthorityVitals>,
    task: JoinHandle<()>,
}

impl AuthorityServer {
    /// Opens or makes the keys in the state folder, and serves. People are those of `users` and of
    /// the state folder's `users.toml`.
    ///
    /// # Errors
    /// If a setting is out of bounds, the state cannot be used, or the address is taken.
    pub async fn start(settings: Settings, users: Vec<User>) -> Result<Self, Error> {
        install_crypto_provider();
        settings.check()?;
        let (identity, office) = open(&settings, users)?;
        let office = Arc::new(office);
        let Settings {
            listen,
            issuer,
            hosts,
            connections,
            ..
        } = settings;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|e| taken(listen, e))?;
        let address = listener.local_addr().map_err(|e| taken(listen, e))?;
        let calls = Calls::new(AuthorityService(Arc::clone(&office)))
            .max_decoding_message_size(MESSAGE)
            .max_encoding_message_size(MESSAGE);
        let (stop, stopped) = oneshot::channel();
        let incoming = Incoming::new(listener, connections);
        let places = incoming.places();
        let incoming = secured(incoming, identity.server_config()?, connections);
        let incoming = prompt(incoming, FIRST_WORDS);
        let serving = Server::builder()
            .max_concurrent_streams(STREAMS)
            .http2_max_header_list_size(HEADERS)
            .http2_keepalive_interval(Some(PROBE))
            .http2_keepalive_timeout(Some(SILENCE))
            .timeout(CALL)
            .add_service(calls)
            .serve_with_incoming_shutdown(incoming, async {
                // Dropping the sender stops the server like a message does.
                let _ = stopped.await;
            });
        let (renewing, own) = (Arc::clone(&office), identity);
        let task = tokio::spawn(async move {
            tokio::select! {
                served = serving => if let Err(error) = served {
                    error!(%error, "authority stopped");
                },
                never = renew(&own, &renewing) => match never {},
            }
        });
        let vitals = Arc::new(AuthorityVitals {
            serving: task.abort_handle(),
            stopping: AtomicBool::new(false),
            connections,
            places,
        });
        info!(%address, issuer, "authority serves");
        Ok(Self {
            address,
            url: url(address, &hosts),
            office,
            stop: Some(stop),
            vitals,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL: the address that it listens at, or its first host if it listens at all addresses.
    pub fn url(&self) -> String {
        self.url.clone()
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
    /// If `server` cannot join, or the state cannot be written.
    pub fn create_join_token(&self, server: &ServerId) -> Result<JoinToken, Error> {
        let OpenedJoin { secret, .. } = self.office.open_join(server)?;
        info!(%server, "join token created");
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
        self.office.ca.check_server(server)?;
        self.office
            .ca
            .identity(server, &["localhost".to_owned(), "127.0.0.1".to_owned()])
    }

    /// How it is doing.
    pub fn vitals(&self) -> Arc<dyn Vitals> {
        Arc::<AuthorityVitals>::clone(&self.vitals)
    }

    /// Waits until it has ended by itself.
    pub async fn stopped(&mut self) {
        if !self.task.is_finished() {
            // A panic in the task has ended it as well.
            let _ = (&mut self.task).await;
        }
    }

    /// Stops. Calls under way are answered if they take no longer than 5 seconds.
    pub async fn stop(mut self) {
        self.vitals.stopping.store(true, Ordering::Relaxed);
        self.office.roll.close();
        if let Some(stop) = self.stop.take() {
            // The task may have ended by itself.
            let _ = stop.send(());
        }
        if !self.task.is_finished() {
            // Dropping ends what is not done by then.
            let _ = tokio::time::timeout(DRAIN, &mut self.task).await;
        }
    }
}

impl Drop for AuthorityServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn open(settings: &Settings, mut users: Vec<User>) -> Result<(Identity, Office), Error> {
    let state = &settings.state;
    private_folder(state)?;
    users.extend(user::kept(state)?);
    let ca = Ca::open(state, settings.certificate_lifetime)?;
    let identity = ca.identity(&ServerId::Authority, &settings.hosts)?;
    let kept = State::open(&state.join("authority.db"))?;
    let office = Office {
        roll: Roll::open(&kept, &users, SystemTime::now())?,
        newest: AtomicU64::default(),
        signer: signer(state, &settings.issuer)?,
        providers: Providers::new(&settings.providers, &settings.issuer)?,
        passwords: Passwords::new(&settings.issuer, users)?,
        policies: Policies::open(state, &settings.issuer)?,
        state: kept,
        ca,
        lease_lifetime: settings.lease_lifetime,
        user_token_lifetime: settings.user_token_lifetime,
        join_lifetime: settings.join_lifetime,
    };
    Ok((identity, office))
}

/// Renews the authority's own certificate for as long as it serves.
async fn renew(identity: &Identity, office: &Office) -> Infallible {
    loop {
        let (due, _) = identity.renewal_due();
        let left = due.duration_since(SystemTime::now());
        if let Ok(left) = left
            && !left.is_zero()
        {
            tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
            continue;
        }
        match office.ca.renew_own(identity) {
            Ok(()) => info!("certificate renewed"),
            Err(error) => {
                error!(%error, "the authority's certificate is not renewed");
                tokio::time::sleep(AGAIN).await;
            }
        }
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

fn url(address: SocketAddr, hosts: &[String]) -> String {
    match hosts.first() {
        Some(host) if address.ip().is_unspecified() => {
            let v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
            let host = if v6 {
                format!("[{host}]")
            } else {
                host.clone()
            };
            format!("https://{host}:{}", address.port())
        }
        Some(_) | None => format!("https://{address}"),
    }
}

fn unusable(state: &Path, error: &io::Error) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::SETTINGS,
        format!(
            "the state folder `{}` cannot be used: {error}",
            state.display()
        ),
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
