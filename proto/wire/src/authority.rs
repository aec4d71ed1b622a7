//! The authority, from the side of a server.

mod endpoint;
mod keys;
mod people;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tonic::transport::Channel;
use weft_governance::{Error, ErrorKind, Principal, ServerId, code};
use zeroize::Zeroizing;

use crate::convert::time;
use crate::identity::Identity;
use crate::rpc::authority::authority_client::AuthorityClient;
use crate::rpc::authority::exchange_request::Subject;
use crate::rpc::authority::{
    EndLeaseRequest, ExchangeRequest, ExchangeResponse, KeysRequest, KeysResponse, Password,
    RenewRequest, SignInRequest, SignInResponse,
};
use crate::status::from_status;
use crate::token::UserToken;

pub(crate) use endpoint::{address, bad_url, endpoint, tuned};

pub use crate::join::{JoinToken, create_join_token, enroll, issue_token, join_token};
pub use keys::TokenKeys;
pub use people::{People, Presence};

/// How long a call may take.
const CALL: Duration = Duration::from_secs(5);

/// A connection to the authority, made at first use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authority {
    client: AuthorityClient<Channel>,
}

/// A signed-in person's lease. Only the server that opened it can use it.
#[derive(Clone)]
pub struct Lease {
    secret: Arc<Zeroizing<String>>,
    /// Who signed in.
    pub principal: Principal,
    /// When the person signed in.
    pub issued_at: SystemTime,
    /// When it ends.
    pub expires_at: SystemTime,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("principal", &self.principal.subject)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The keys that verify user tokens.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Who signs.
    pub issuer: String,
    /// A JWK set.
    pub jwks: String,
}

impl Authority {
    /// The authority at `url` (`https://HOST:PORT`), as `identity` reaches it.
    ///
    /// # Errors
    /// If the URL is malformed or not `https`.
    pub fn connect(url: &str, identity: &Identity) -> Result<Self, Error> {
        let channel = identity.channel(url, &ServerId::Authority, |it| tuned(it, CALL))?;
        Ok(Self {
            client: AuthorityClient::new(channel),
        })
    }

    /// For further calls.
    pub(crate) fn client(&self) -> AuthorityClient<Channel> {
        self.client.clone()
    }

    /// Checks a password and opens a lease for the calling server.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED`, or `WEFT-CONNECT` if the authority is away.
    pub async fn sign_in(&self, user: &str, password: &str) -> Result<Lease, Error> {
        let password = Password {
            user: user.to_owned(),
            password: password.to_owned(),
        };
        let request = SignInRequest {
            password: Some(password),
        };
        let answer = self
            .client
            .clone()
            .sign_in(request)
            .await
            .map_err(|s| from_status(&s))?;
        let SignInResponse {
            lease,
            principal,
            expires_at,
            issued_at,
        } = answer.into_inner();
        let principal = principal.ok_or_else(|| malformed("sign-in"))?.into();
        let secret = Arc::new(Zeroizing::new(lease));
        Ok(Lease {
            secret,
            principal,
            issued_at: time(issued_at),
            expires_at: time(expires_at),
        })
    }

    /// A user token for `audience` in exchange for a lease.
    ///
    /// # Errors
    /// `WEFT-LEASE-EXPIRED` if the lease has ended.
    pub async fn exchange_lease(
        &self,
        lease: &Lease,
        audience: &ServerId,
    ) -> Result<UserToken, Error> {
        self.exchange(Subject::Lease(lease.secret.to_string()), audience)
            .await
    }

    /// A user token for `audience` in exchange for one whose audience is the calling server.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED` if the token is not valid.
    pub async fn exchange_token(
        &self,
        token: &str,
        audience: &ServerId,
    ) -> Result<UserToken, Error> {
        self.exchange(Subject::UserToken(token.to_owned()), audience)
            .await
    }

    /// Ends a lease.
    ///
    /// # Errors
    /// If the authority is away.
    pub async fn end_lease(&self, lease: &Lease) -> Result<(), Error> {
        let request = EndLeaseRequest {
            lease: lease.secret.to_string(),
        };
        self.client
            .clone()
            .end_lease(request)
            .await
            .map(|_| ())
            .map_err(|s| from_status(&s))
    }

    /// Another certificate, PEM, for the calling server and the key that it has.
    ///
    /// # Errors
    /// If the authority is away or does not sign it.
    pub async fn renew(&self, csr_pem: &str) -> Result<String, Error> {
        let request = RenewRequest {
            csr_pem: csr_pem.to_owned(),
        };
        let answer = self.client.clone().renew(request).await;
        let answer = answer.map_err(|status| from_status(&status))?;
        Ok(answer.into_inner().certificate_pem)
    }

    /// The keys that verify user tokens.
    ///
    /// # Errors
    /// If the authority is away.
    pub async fn keys(&self) -> Result<Keys, Error> {
        let answer = self
            .client
            .clone()
            .keys(KeysRequest {})
            .await
            .map_err(|s| from_status(&s))?;
        let KeysResponse { issuer, jwks } = answer.into_inner();
        Ok(Keys { issuer, jwks })
    }

    async fn exchange(&self, subject: Subject, audience: &ServerId) -> Result<UserToken, Error> {
        let request = ExchangeRequest {
            audience: audience.to_string(),
            subject: Some(subject),
        };
        let answer = self
            .client
            .clone()
            .exchange(request)
            .await
            .map_err(|s| from_status(&s))?;
        let ExchangeResponse {
            user_token,
            expires_at,
        } = answer.into_inner();
        Ok(UserToken {
            text: user_token,
            expires_at: time(expires_at),
        })
    }
}

fn malformed(what: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        code::PROTOCOL,
        format!("the authority's answer to a {what} is malformed"),
    )
}
