//! The authority's calls.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tonic::{Request, Response, Status};
use tracing::{info, warn};
use weft_governance::{Error, ErrorKind, Principal, ServerId, code};
use weft_wire::convert::seconds;
use weft_wire::identity::{Peer, peer_of};
use weft_wire::rpc::authority::authority_server::Authority;
use weft_wire::rpc::authority::exchange_request::Subject;
use weft_wire::rpc::authority::{
    CreateJoinTokenRequest, CreateJoinTokenResponse, EndLeaseRequest, EndLeaseResponse,
    EnrollRequest, EnrollResponse, ExchangeRequest, ExchangeResponse, IssueTokenRequest,
    IssueTokenResponse, KeysRequest, KeysResponse, Password, SignInRequest, SignInResponse,
};
use weft_wire::status::to_status;
use weft_wire::token::{UserToken, UserTokenSigner, UserTokenVerifier};

use crate::ca::Ca;
use crate::password::Passwords;
use crate::state::State;

/// The group whose members let servers join.
const ADMINS: &str = "mesh-admins";
/// How long a join token waits for its server.
pub(crate) const JOIN_LIFETIME: Duration = Duration::from_secs(3_600);
/// Host names that one certificate may have.
const MOST_HOSTS: usize = 16;

/// Everything that the calls need.
pub(crate) struct Office {
    pub(crate) ca: Ca,
    pub(crate) signer: UserTokenSigner,
    pub(crate) passwords: Passwords,
    pub(crate) state: State,
    pub(crate) lease_lifetime: Duration,
    pub(crate) user_token_lifetime: Duration,
}

/// The calls.
#[derive(Clone)]
pub(crate) struct AuthorityService(pub(crate) Arc<Office>);

impl Office {
    async fn sign_in(&self, peer: &Peer, password: Option<Password>) -> Result<SignInResponse, Error> {
        let principal = self.check(password).await?;
        let now = SystemTime::now();
        let expires_at = now + self.lease_lifetime;
        let lease = self.state.open_lease(&peer.thumbprint, &principal.subject, expires_at, now)?;
        info!(principal = principal.subject, server = %peer.server, "signed in");
        let principal = Some(principal.into());
        Ok(SignInResponse { lease, principal, expires_at: seconds(expires_at) })
    }

    async fn check(&self, password: Option<Password>) -> Result<Principal, Error> {
        let Password { user, password } = password.ok_or_else(|| missing("password"))?;
        self.passwords.check(&user, &password).await.inspect_err(|error| {
            warn!(user = user.chars().take(64).collect::<String>(), code = error.code(), "sign-in refused");
        })
    }

    /// Coordinators may ask for tokens for nodes, a node for tokens for itself; nobody for more.
    fn exchange(&self, peer: &Peer, request: ExchangeRequest) -> Result<ExchangeResponse, Error> {
        let ExchangeRequest { audience, subject } = request;
        let audience: ServerId = audience.parse().map_err(|_| missing("audience"))?;
        let allowed = match (&peer.server, &audience) {
            (ServerId::Coordinator { .. }, ServerId::Node { .. }) => true,
            (own, audience) => own == audience,
        };
        if !allowed {
            return Err(not_for_you());
        }
        let now = SystemTime::now();
        let principal = match subject.ok_or_else(|| missing("subject"))? {
            Subject::Lease(lease) => {
                let subject = self.state.lease(&lease, &peer.thumbprint, now)?;
                subject.and_then(|subject| self.passwords.current(&subject)).ok_or_else(ended)?
            }
            Subject::UserToken(token) => {
                let verifier = UserTokenVerifier::new(
                    self.signer.issuer(),
                    &self.signer.jwks(),
                    &peer.server,
                )?;
                let user = verifier.verify(&token, Some(&peer.thumbprint), now)?;
                self.passwords.current(&user.principal.subject).ok_or_else(ended)?
            }
        };
        let lifetime = self.user_token_lifetime;
        let UserToken { text, expires_at } =
            self.signer.sign(&principal, &audience, Some(&peer.thumbprint), now, lifetime)?;
        Ok(ExchangeResponse { user_token: text, expires_at: seconds(expires_at) })
    }

    async fn issue_token(&self, request: IssueTokenRequest) -> Result<IssueTokenResponse, Error> {
        let IssueTokenRequest { password, audience } = request;
        let audience: ServerId = audience.parse().map_err(|_| missing("audience"))?;
        let principal = self.check(password).await?;
        let now = SystemTime::now();
        let UserToken { text, expires_at } =
            self.signer.sign(&principal, &audience, None, now, self.lease_lifetime)?;
        info!(principal = principal.subject, %audience, "token issued");
        Ok(IssueTokenResponse { user_token: text, expires_at: seconds(expires_at) })
    }

    async fn create_join_token(
        &self,
        request: CreateJoinTokenRequest,
    ) -> Result<CreateJoinTokenResponse, Error> {
        let CreateJoinTokenRequest { password, server } = request;
        let principal = self.check(password).await?;
        if !principal.groups.contains(ADMINS) {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                code::NOT_GRANTED,
                format!("`{principal}` is not in the group `{ADMINS}`"),
            )
            .with_hint("Ask an administrator of the mesh for a join token."));
        }
        let server: ServerId = server.parse().map_err(|_| missing("server"))?;
        if server == ServerId::Authority {
            return Err(missing("server"));
        }
        let now = SystemTime::now();
        let expires_at = now + JOIN_LIFETIME;
        let secret = self.state.open_join(&server, expires_at, now)?;
        info!(principal = principal.subject, %server, "join token created");
        Ok(CreateJoinTokenResponse { secret, expires_at: seconds(expires_at) })
    }

    fn enroll(&self, request: EnrollRequest) -> Result<EnrollResponse, Error> {
        let EnrollRequest { secret, csr_pem, hosts } = request;
        if hosts.len() > MOST_HOSTS {
            return Err(missing("list of hosts"));
        }
        let server = self.state.take_join(&secret, SystemTime::now())?.ok_or_else(|| {
            Error::new(
                ErrorKind::Unauthenticated,
                code::UNAUTHENTICATED,
                "the join token was used, has expired, or is not of this mesh",
            )
            .with_hint("Make a new one with `weft join-token`.")
        })?;
        let certificate_pem = self.ca.sign_request(&csr_pem, &server, &hosts)?;
        info!(%server, "server enrolled");
        Ok(EnrollResponse {
            server: server.to_string(),
            certificate_pem,
            ca_pem: self.ca.certificate_pem().to_owned(),
        })
    }
}

#[tonic::async_trait]
impl Authority for AuthorityService {
    async fn sign_in(
        &self,
        request: Request<SignInRequest>,
    ) -> Result<Response<SignInResponse>, Status> {
        let peer = server_of(&request)?;
        answer(self.0.sign_in(&peer, request.into_inner().password).await)
    }

    async fn exchange(
        &self,
        request: Request<ExchangeRequest>,
    ) -> Result<Response<ExchangeResponse>, Status> {
        let peer = server_of(&request)?;
        answer(self.0.exchange(&peer, request.into_inner()))
    }

    async fn end_lease(
        &self,
        request: Request<EndLeaseRequest>,
    ) -> Result<Response<EndLeaseResponse>, Status> {
        let peer = server_of(&request)?;
        let ended = self.0.state.end_lease(&request.into_inner().lease, &peer.thumbprint);
        answer(ended.map(|()| EndLeaseResponse {}))
    }

    async fn issue_token(
        &self,
        request: Request<IssueTokenRequest>,
    ) -> Result<Response<IssueTokenResponse>, Status> {
        answer(self.0.issue_token(request.into_inner()).await)
    }

    async fn create_join_token(
        &self,
        request: Request<CreateJoinTokenRequest>,
    ) -> Result<Response<CreateJoinTokenResponse>, Status> {
        answer(self.0.create_join_token(request.into_inner()).await)
    }

    async fn enroll(
        &self,
        request: Request<EnrollRequest>,
    ) -> Result<Response<EnrollResponse>, Status> {
        answer(self.0.enroll(request.into_inner()))
    }

    async fn keys(&self, _request: Request<KeysRequest>) -> Result<Response<KeysResponse>, Status> {
        let Office { signer, .. } = self.0.as_ref();
        answer(Ok(KeysResponse { issuer: signer.issuer().to_owned(), jwks: signer.jwks() }))
    }
}

fn answer<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| to_status(&error))
}

/// The coordinator or node that calls.
fn server_of<T>(request: &Request<T>) -> Result<Peer, Status> {
    peer_of(request).filter(|peer| peer.server != ServerId::Authority).ok_or_else(|| {
        to_status(&Error::new(
            ErrorKind::Unauthenticated,
            code::UNAUTHENTICATED,
            "this call is for servers of the mesh, which bring their certificate",
        ))
    })
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, code::PROTOCOL, format!("the {what} is missing or malformed"))
}

fn ended() -> Error {
    Error::new(ErrorKind::Unauthenticated, code::LEASE_EXPIRED, "the session has ended")
        .with_hint("Sign in again.")
}

fn not_for_you() -> Error {
    Error::new(
        ErrorKind::PermissionDenied,
        code::UNAUTHENTICATED,
        "a server gets tokens for itself, and a coordinator for nodes",
    )
}
