//! The authority, from the side of a person: no certificate of their own, and proofs of who they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use weft_governance::{Error, ErrorKind, Principal, ServerId, code};
use zeroize::Zeroizing;

use crate::authority::{address, bad_url, endpoint};
use crate::convert::time;
use crate::identity::tls_name;
use crate::rpc::authority::authority_client::AuthorityClient;
use crate::rpc::authority::begin_sign_in_request::Way;
use crate::rpc::authority::begin_sign_in_response::Next;
use crate::rpc::authority::change_service_request::Change;
use crate::rpc::authority::credential::Proof as Wire;
use crate::rpc::authority::{
    self as rpc, BeginSignInRequest, BeginSignInResponse, ChangeServiceRequest,
    ChangeServiceResponse, CreateJoinTokenRequest, Credential, EndLoginRequest, IssueTokenRequest,
    OpenLoginRequest, OpenLoginResponse, Password, SetDisabledRequest,
};
use crate::status::from_status;
use crate::token::UserToken;

/// How long a call may take; the authority may have to ask a provider meanwhile.
const CALL: Duration = Duration::from_secs(20);

/// What somebody proves with who they are.
#[derive(Clone)]
pub enum Proof {
    /// A password that the authority knows.
    Password {
        /// The name of a user.
        user: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// What an earlier proof was kept as.
    Login(Zeroizing<String>),
    /// An ID token that somebody got by other ways, where the mesh takes it.
    IdToken {
        /// The provider's name in the mesh.
        provider: String,
        /// The token.
        token: Zeroizing<String>,
    },
    /// The end of a sign-in with a browser.
    Code {
        /// What [`Desk::begin_browser`] gave.
        attempt: String,
        /// What the browser brought.
        code: Zeroizing<String>,
        /// What the challenge was made of (RFC 7636).
        verifier: Zeroizing<String>,
    },
    /// A sign-in on another device.
    Device {
        /// What [`Desk::begin_device`] gave.
        attempt: String,
    },
    /// A machine user's secret.
    Service {
        /// The service's name, without `@service`.
        name: String,
        /// The secret.
        secret: Zeroizing<String>,
    },
}

/// A login: it is exchanged for tokens in place of a password, until it ends.
#[derive(Clone)]
pub struct Login {
    /// What proves it.
    pub secret: Zeroizing<String>,
    /// Who signed in.
    pub principal: Principal,
    /// When it ends.
    pub expires_at: SystemTime,
}

/// How far a sign-in is.
#[derive(Debug, Clone)]
pub enum SignedIn {
    /// It is done.
    Yes(Login),
    /// The person is not done.
    Waiting {
        /// Whether the provider wants to be asked less often.
        slower: bool,
    },
}

/// A sign-in on another device that was begun.
#[derive(Debug, Clone)]
pub struct DeviceSignIn {
    /// What is asked with.
    pub attempt: String,
    /// Where the person goes.
    pub verification_uri: String,
    /// The same with the code in it, if the provider has that.
    pub verification_uri_complete: Option<String>,
    /// What the person types there.
    pub user_code: String,
    /// How long to wait between two questions.
    pub interval: Duration,
    /// How long the person may take.
    pub expires_in: Duration,
}

/// What an administrator wants of a machine user.
#[derive(Debug, Clone)]
pub enum ServiceChange {
    /// A new one.
    Create {
        /// Its groups.
        groups: BTreeSet<String>,
        /// Its attributes.
        attributes: BTreeMap<String, String>,
    },
    /// Another secret for one that there is.
    Rotate,
}

/// A machine user's new secret; nobody can read it again.
#[derive(Clone)]
pub struct ServiceSecret {
    /// The secret.
    pub secret: Zeroizing<String>,
    /// What grants and logs call the service.
    pub subject: String,
    /// When the secret ends.
    pub expires_at: SystemTime,
}

/// A person's connection to the authority.
#[derive(Debug, Clone)]
pub struct Desk {
    client: AuthorityClient<Channel>,
}

impl Desk {
    /// The authority at `url` (`https://HOST:PORT`), which has to show a certificate of the CA.
    ///
    /// # Errors
    /// If the URL is malformed or not `https`.
    pub fn at(url: &str, ca_pem: &str) -> Result<Self, Error> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(ca_pem))
            .domain_name(tls_name(&ServerId::Authority))
            .timeout(CALL);
        let endpoint = endpoint(address(url)?, CALL)
            .tls_config(tls)
            .map_err(|error| bad_url(url).caused_by(error))?;
        Ok(Self {
            client: AuthorityClient::new(endpoint.connect_lazy()),
        })
    }

    pub(crate) fn client(&self) -> AuthorityClient<Channel> {
        self.client.clone()
    }

    /// A token for `audience`, for `lifetime` or as long as it may live.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED`, or `WEFT-CONNECT` if the authority is away.
    pub async fn issue_token(
        &self,
        proof: &Proof,
        audience: &ServerId,
        lifetime: Option<Duration>,
    ) -> Result<UserToken, Error> {
        let request = IssueTokenRequest {
            credential: Some(proof.into()),
            audience: audience.to_string(),
            lifetime_seconds: lifetime.map_or(0, |it| it.as_secs().max(1)),
        };
        let answer = self.client.clone().issue_token(request).await;
        let answer = answer.map_err(|status| from_status(&status))?.into_inner();
        Ok(UserToken {
            text: answer.user_token,
            expires_at: time(answer.expires_at),
        })
    }

    /// Opens a login.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED`, or `WEFT-CONNECT` if the authority or the provider is away.
    pub async fn open_login(&self, proof: &Proof) -> Result<SignedIn, Error> {
        let request = OpenLoginRequest {
            credential: Some(proof.into()),
        };
        let answer = self.client.clone().open_login(request).await;
        let OpenLoginResponse {
            login,
            principal,
            expires_at,
            waiting,
            slower,
        } = answer.map_err(|status| from_status(&status))?.into_inner();
        if waiting {
            return Ok(SignedIn::Waiting { slower });
        }
        Ok(SignedIn::Yes(Login {
            secret: Zeroizing::new(login),
            principal: principal.ok_or_else(malformed)?.into(),
            expires_at: time(expires_at),
        }))
    }

    /// Ends a login.
    ///
    /// # Errors
    /// If the authority is away.
    pub async fn end_login(&self, secret: &Zeroizing<String>) -> Result<(), Error> {
        let request = EndLoginRequest {
            login: secret.to_string(),
        };
        let answer = self.client.clone().end_login(request).await;
        answer.map(|_| ()).map_err(|status| from_status(&status))
    }

    /// Begins a sign-in at `provider` with a browser that comes back to `redirect_uri`, on this
    /// machine, with `state`. Returns the attempt and where the browser goes.
    ///
    /// # Errors
    /// `WEFT-SETTINGS` if the mesh has no such provider, `WEFT-CONNECT` if somebody is away.
    pub async fn begin_browser(
        &self,
        provider: &str,
        redirect_uri: &str,
        state: &str,
        code_challenge: &str,
    ) -> Result<(String, String), Error> {
        let way = Way::Browser(rpc::Browser {
            redirect_uri: redirect_uri.to_owned(),
            state: state.to_owned(),
            code_challenge: code_challenge.to_owned(),
        });
        match self.begin(provider, way).await? {
            (attempt, Next::AuthorizationUrl(url)) => Ok((attempt, url)),
            (_, Next::Device(_)) => Err(malformed()),
        }
    }

    /// Begins a sign-in at `provider` on another device.
    ///
    /// # Errors
    /// `WEFT-SETTINGS` if the mesh has no such provider, `WEFT-CONNECT` if somebody is away.
    pub async fn begin_device(&self, provider: &str) -> Result<DeviceSignIn, Error> {
        let way = Way::Device(rpc::Device {});
        let (attempt, Next::Device(prompt)) = self.begin(provider, way).await? else {
            return Err(malformed());
        };
        let rpc::DevicePrompt {
            verification_uri,
            verification_uri_complete,
            user_code,
            interval_seconds,
            expires_in_seconds,
        } = prompt;
        Ok(DeviceSignIn {
            attempt,
            verification_uri,
            verification_uri_complete,
            user_code,
            interval: Duration::from_secs(interval_seconds.clamp(1, 60)),
            expires_in: Duration::from_secs(expires_in_seconds),
        })
    }

    /// A join token's secret for `server`, and when it ends.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED` or `WEFT-NOT-GRANTED`, or `WEFT-CONNECT` if the authority is away.
    pub async fn open_join(&self, proof: &Proof, server: &ServerId) -> Result<String, Error> {
        let request = CreateJoinTokenRequest {
            credential: Some(proof.into()),
            server: server.to_string(),
        };
        let answer = self.client.clone().create_join_token(request).await;
        let answer = answer.map_err(|status| from_status(&status))?;
        Ok(answer.into_inner().secret)
    }

    /// Disables `subject` everywhere, or enables them again. It is durable when this returns, and
    /// servers hear of it at once.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED`, `WEFT-NOT-GRANTED`, `WEFT-NOT-FOUND` if nobody is called so, or
    /// `WEFT-CONNECT` if the authority is away.
    pub async fn set_disabled(
        &self,
        proof: &Proof,
        subject: &str,
        disabled: bool,
    ) -> Result<(), Error> {
        let request = SetDisabledRequest {
            credential: Some(proof.into()),
            subject: subject.to_owned(),
            disabled,
        };
        let answer = self.client.clone().set_disabled(request).await;
        answer.map(|_| ()).map_err(|status| from_status(&status))
    }

    /// Makes a machine user, or gives it another secret, for `lifetime` or as long as usual.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED`, `WEFT-NOT-GRANTED`, `WEFT-SETTINGS` if it cannot be so, `WEFT-NOT-FOUND`
    /// if there is none, or `WEFT-CONNECT` if the authority is away.
    pub async fn change_service(
        &self,
        proof: &Proof,
        name: &str,
        change: ServiceChange,
        lifetime: Option<Duration>,
    ) -> Result<ServiceSecret, Error> {
        let change = match change {
            ServiceChange::Create { groups, attributes } => Change::Create(rpc::NewService {
                groups: groups.into_iter().collect(),
                attributes: attributes.into_iter().collect(),
            }),
            ServiceChange::Rotate => Change::Rotate(rpc::NewSecret {}),
        };
        let request = ChangeServiceRequest {
            credential: Some(proof.into()),
            name: name.to_owned(),
            lifetime_seconds: lifetime.map_or(0, |it| it.as_secs().max(1)),
            change: Some(change),
        };
        let answer = self.client.clone().change_service(request).await;
        let ChangeServiceResponse {
            secret,
            subject,
            expires_at,
        } = answer.map_err(|status| from_status(&status))?.into_inner();
        Ok(ServiceSecret {
            secret: Zeroizing::new(secret),
            subject,
            expires_at: time(expires_at),
        })
    }

    async fn begin(&self, provider: &str, way: Way) -> Result<(String, Next), Error> {
        let request = BeginSignInRequest {
            provider: provider.to_owned(),
            way: Some(way),
        };
        let answer = self.client.clone().begin_sign_in(request).await;
        let BeginSignInResponse { attempt, next } =
            answer.map_err(|status| from_status(&status))?.into_inner();
        Ok((attempt, next.ok_or_else(malformed)?))
    }
}

impl From<&Proof> for Credential {
    fn from(proof: &Proof) -> Self {
        let proof = match proof {
            Proof::Password { user, password } => Wire::Password(Password {
                user: user.clone(),
                password: password.to_string(),
            }),
            Proof::Login(secret) => Wire::Login(secret.to_string()),
            Proof::IdToken { provider, token } => Wire::IdToken(rpc::IdToken {
                provider: provider.clone(),
                token: token.to_string(),
            }),
            Proof::Code {
                attempt,
                code,
                verifier,
            } => Wire::Code(rpc::Code {
                attempt: attempt.clone(),
                code: code.to_string(),
                verifier: verifier.to_string(),
            }),
            Proof::Device { attempt } => Wire::DeviceAttempt(attempt.clone()),
            Proof::Service { name, secret } => Wire::Service(rpc::ServiceSecret {
                name: name.clone(),
                secret: secret.to_string(),
            }),
        };
        Self { proof: Some(proof) }
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").finish_non_exhaustive()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("principal", &self.principal.subject)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServiceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceSecret")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

fn malformed() -> Error {
    Error::new(
        ErrorKind::Internal,
        code::PROTOCOL,
        "the authority's answer to a sign-in is malformed",
    )
}
