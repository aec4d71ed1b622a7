//! What the authority does for whom. Owns the rules of exchange; knows nothing of gRPC.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio_stream::Stream;
use tracing::{info, warn};
use weft_governance::{Error, ErrorKind, Principal, ServerId, code};
use weft_wire::convert::{seconds, time};
use weft_wire::identity::Peer;
use weft_wire::policy::PolicyBundle;
use weft_wire::rpc::authority::FollowPeopleResponse;
use weft_wire::token::{UserToken, UserTokenSigner, UserTokenVerifier};
use zeroize::Zeroizing;

use crate::ca::Ca;
use crate::oidc::Providers;
use crate::password::{Passwords, refused};
use crate::policy::Policies;
use crate::roll::Roll;
use crate::state::{LiveLease, State};

/// The group whose members let servers join and disable people.
pub(crate) use weft_governance::ADMINS;
/// Host names that one certificate may have.
const MOST_HOSTS: usize = 16;

/// Everything that the calls need.
pub(crate) struct Office {
    pub(crate) ca: Ca,
    pub(crate) signer: UserTokenSigner,
    pub(crate) passwords: Passwords,
    pub(crate) providers: Providers,
    pub(crate) state: State,
    pub(crate) policies: Policies,
    pub(crate) roll: Roll,
    /// The newest second at which anything was issued.
    pub(crate) newest: AtomicU64,
    pub(crate) lease_lifetime: Duration,
    pub(crate) user_token_lifetime: Duration,
    pub(crate) join_lifetime: Duration,
}

/// What a server brings to an exchange.
pub(crate) enum Evidence {
    /// The secret of a lease that it opened.
    Lease(Zeroizing<String>),
    /// A user token whose audience it is.
    UserToken(Zeroizing<String>),
}

/// A lease that was just opened.
pub(crate) struct OpenedLease {
    pub(crate) secret: String,
    pub(crate) principal: Principal,
    pub(crate) issued_at: SystemTime,
    pub(crate) expires_at: SystemTime,
}

/// A join token that was just made.
pub(crate) struct OpenedJoin {
    pub(crate) secret: String,
    pub(crate) expires_at: SystemTime,
}

/// A server's certificate, fresh.
pub(crate) struct Enrolled {
    pub(crate) server: ServerId,
    pub(crate) certificate_pem: String,
}

impl Office {
    /// Checks a person's password.
    pub(crate) async fn check(
        &self,
        user: &str,
        password: Zeroizing<String>,
    ) -> Result<Principal, Error> {
        let checked = self.passwords.check(user, password).await;
        checked
            .and_then(
                |principal| match self.roll.is_disabled(&principal.subject) {
                    true => Err(refused()),
                    false => Ok(principal),
                },
            )
            .inspect_err(|error| {
                let user: String = user.chars().take(64).collect();
                warn!(user, code = error.code(), "sign-in refused");
            })
    }

    /// Opens a lease on `principal` for `peer`.
    pub(crate) async fn open_lease(
        self: &Arc<Self>,
        peer: Peer,
        principal: Principal,
    ) -> Result<OpenedLease, Error> {
        let now = self.stamp();
        let expires_at = now + self.lease_lifetime;
        info!(principal = principal.subject, server = %peer.server, "signed in");
        let subject = principal.subject.clone();
        let secret = self
            .beside(move |office| {
                office
                    .state
                    .open_lease(&peer.thumbprint, &subject, expires_at, now)
            })
            .await?
            .ok_or_else(refused)?;
        Ok(OpenedLease {
            secret,
            principal,
            issued_at: now,
            expires_at,
        })
    }

    /// Ends a lease of `peer`.
    pub(crate) async fn end_lease(
        self: &Arc<Self>,
        peer: Peer,
        secret: Zeroizing<String>,
    ) -> Result<(), Error> {
        self.beside(move |office| office.state.end_lease(&secret, &peer.thumbprint))
            .await
    }

    /// A token for `audience` that only `peer` can present. It never outlives what was brought.
    pub(crate) async fn exchange(
        self: &Arc<Self>,
        peer: Peer,
        evidence: Evidence,
        audience: ServerId,
    ) -> Result<UserToken, Error> {
        if !may_ask_for(&peer.server, &audience) {
            warn!(server = %peer.server, %audience, "exchange refused");
            return Err(not_for_you());
        }
        let now = self.stamp();
        let holder = peer.thumbprint.clone();
        let (live, said) = match evidence {
            Evidence::Lease(secret) => {
                let lease = self
                    .beside(move |office| office.state.lease(&secret, &peer.thumbprint, now))
                    .await?;
                (lease.ok_or_else(ended)?, None)
            }
            Evidence::UserToken(token) => {
                let (live, said) = self.read_token(&peer, &token, now)?;
                (live, Some(said))
            }
        };
        let principal = self.current(live.subject, said).await?.ok_or_else(ended)?;
        let left = live.expires_at.duration_since(now).map_err(|_| ended())?;
        let lifetime = self.user_token_lifetime.min(left);
        self.signer
            .sign(&principal, &audience, Some(&holder), now, lifetime)
    }

    /// Disables `subject`, or enables them again, if `admin` may. It is durable when this returns, and
    /// what is issued to them from then on is told from what was issued before.
    pub(crate) async fn set_disabled(
        self: &Arc<Self>,
        admin: &Principal,
        subject: String,
        disabled: bool,
    ) -> Result<(), Error> {
        must_be_admin(admin, "people are disabled and enabled")?;
        if disabled && admin.subject == subject {
            return Err(unfit("nobody disables themselves")
                .with_hint("Ask another member of `mesh-admins`."));
        }
        match self.knows(&subject).await? {
            None => {
                let message = format!("there is no user `{subject}`");
                return Err(Error::new(ErrorKind::NotFound, code::NOT_FOUND, message));
            }
            Some(by_settings) if by_settings && !disabled => {
                return Err(unfit(&format!("the settings disable `{subject}`"))
                    .with_hint("Change the settings of the authority and start it again."));
            }
            Some(_) => {}
        }
        let (by, whom) = (admin.subject.clone(), subject.clone());
        let since = self
            .beside(move |office| {
                // Not before anything that was issued, if the clock was set back.
                let now = SystemTime::now().max(time(office.newest.load(Ordering::SeqCst)));
                office.roll.set(&office.state, &whom, disabled, &by, now)
            })
            .await?;
        info!(subject, disabled, by = admin.subject, "person changed");
        if !disabled {
            let next = time(since + 1).duration_since(SystemTime::now());
            tokio::time::sleep(next.unwrap_or_default().min(Duration::from_secs(1))).await;
        }
        Ok(())
    }

    /// Who is disabled, and every change.
    pub(crate) fn follow_people(
        &self,
    ) -> impl Stream<Item = FollowPeopleResponse> + Send + 'static {
        self.roll.follow()
    }

    /// Now, as the time of something that is issued. Who is disabled later is so at this time too.
    pub(crate) fn stamp(&self) -> SystemTime {
        let now = SystemTime::now();
        self.newest.fetch_max(seconds(now), Ordering::SeqCst);
        now
    }

    /// A join token's secret for `server`, if `principal` may let servers join.
    pub(crate) async fn let_join(
        self: &Arc<Self>,
        principal: &Principal,
        server: ServerId,
    ) -> Result<OpenedJoin, Error> {
        must_be_admin(principal, "servers are let in")?;
        info!(principal = principal.subject, %server, "join token created");
        self.beside(move |office| office.open_join(&server)).await
    }

    /// A join token's secret for `server`.
    pub(crate) fn open_join(&self, server: &ServerId) -> Result<OpenedJoin, Error> {
        self.ca.check_server(server)?;
        let now = SystemTime::now();
        let expires_at = now + self.join_lifetime;
        let secret = self.state.open_join(server, expires_at, now)?;
        Ok(OpenedJoin { secret, expires_at })
    }

    /// Hands `bundle` out as the mesh's policy, if `principal` may have it so.
    pub(crate) async fn publish(
        self: &Arc<Self>,
        principal: &Principal,
        bundle: PolicyBundle,
    ) -> Result<(), Error> {
        if !principal.groups.contains(ADMINS) {
            warn!(principal = principal.subject, "policy refused");
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                code::NOT_GRANTED,
                format!("`{principal}` is not in the group `{ADMINS}`"),
            )
            .with_hint("Ask an administrator of the mesh to publish the policy."));
        }
        let version = self
            .beside(move |office| office.policies.publish(bundle))
            .await?;
        info!(principal = principal.subject, version, "policy published");
        Ok(())
    }

    /// A certificate for the server whose join token has this secret. A request that cannot be
    /// signed leaves the token usable; one that is signed uses it up.
    pub(crate) async fn enroll(
        self: &Arc<Self>,
        secret: Zeroizing<String>,
        csr_pem: String,
        hosts: Vec<String>,
    ) -> Result<Enrolled, Error> {
        if hosts.len() > MOST_HOSTS {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                code::SETTINGS,
                format!("a certificate names at most {MOST_HOSTS} hosts"),
            ));
        }
        self.beside(move |office| {
            let now = SystemTime::now();
            let server = office.state.join(&secret, now)?.ok_or_else(spent)?;
            let certificate_pem = office.ca.sign_request(&csr_pem, &server, &hosts)?;
            // Of two that come at a time, one takes the token and the other gets nothing.
            office.state.take_join(&secret, now)?.ok_or_else(spent)?;
            info!(%server, "server enrolled");
            Ok(Enrolled {
                server,
                certificate_pem,
            })
        })
        .await
    }

    /// Another certificate for `peer`, which has the one `before`, DER.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        peer: Peer,
        before: Vec<u8>,
        csr_pem: String,
    ) -> Result<String, Error> {
        self.beside(move |office| {
            let certificate = office.ca.renew(&csr_pem, &peer, &before)?;
            info!(server = %peer.server, "certificate renewed");
            Ok(certificate)
        })
        .await
    }

    /// The person of a token whose audience is `peer`.
    fn read_token(
        &self,
        peer: &Peer,
        token: &str,
        now: SystemTime,
    ) -> Result<(LiveLease, Principal), Error> {
        let jwks = self.signer.jwks();
        let user = UserTokenVerifier::new(self.signer.issuer(), &jwks, &peer.server)?.verify(
            token,
            Some(&peer.thumbprint),
            now,
        )?;
        if self.roll.refuses(&user.principal.subject, user.issued_at) {
            return Err(ended());
        }
        let live = LiveLease {
            subject: user.principal.subject.clone(),
            expires_at: user.expires_at,
        };
        Ok((live, user.principal))
    }

    /// Does `work`, which waits for the disk, beside the threads that serve connections.
    pub(crate) async fn beside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let office = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&office))
            .await
            .map_err(|error| {
                Error::new(
                    ErrorKind::Internal,
                    code::INTERNAL,
                    "the authority could not do its work",
                )
                .caused_by(error)
            })?
    }
}

/// Whether `server` may get tokens for `audience`: a coordinator for nodes, and each for itself.
fn may_ask_for(server: &ServerId, audience: &ServerId) -> bool {
    match (server, audience) {
        (ServerId::Authority, _) | (_, ServerId::Authority) => false,
        (ServerId::Coordinator { .. }, ServerId::Node { .. }) => true,
        (ServerId::Coordinator { .. }, ServerId::Coordinator { .. })
        | (ServerId::Node { .. }, ServerId::Coordinator { .. } | ServerId::Node { .. }) => {
            server == audience
        }
    }
}

pub(crate) fn must_be_admin(principal: &Principal, so_that: &'static str) -> Result<(), Error> {
    if principal.groups.contains(ADMINS) {
        return Ok(());
    }
    warn!(
        principal = principal.subject,
        so_that, "not an administrator"
    );
    Err(Error::new(
        ErrorKind::PermissionDenied,
        code::NOT_GRANTED,
        format!("`{principal}` is not in the group `{ADMINS}`"),
    )
    .with_hint(format!("By members of it {so_that}; ask one.")))
}

fn unfit(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
}

fn not_for_you() -> Error {
    Error::new(
        ErrorKind::PermissionDenied,
        code::NOT_GRANTED,
        "a server gets tokens for itself, and a coordinator for nodes",
    )
}

pub(crate) fn ended() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::LEASE_EXPIRED,
        "the session has ended",
    )
    .with_hint("Sign in again.")
}

fn spent() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "the join token was used, has expired, or is not of this mesh",
    )
    .with_hint("Make a new one with `weft join-token`.")
}
