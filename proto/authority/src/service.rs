//! The authority's calls: messages in, messages out, and who may call.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};
use tracing::error;
use weft_governance::{Error, ErrorKind, Principal, ServerId, code};
use weft_wire::convert::seconds;
use weft_wire::identity::{Peer, certificate_of, peer_of};
use weft_wire::rpc::authority::authority_server::Authority;
use weft_wire::rpc::authority::begin_sign_in_request::Way;
use weft_wire::rpc::authority::begin_sign_in_response::Next;
use weft_wire::rpc::authority::change_service_request::Change;
use weft_wire::rpc::authority::credential::Proof as Wire;
use weft_wire::rpc::authority::exchange_request::Subject;
use weft_wire::rpc::authority::{
    self as rpc, BeginSignInRequest, BeginSignInResponse, ChangeServiceRequest,
    ChangeServiceResponse, CreateJoinTokenRequest, CreateJoinTokenResponse, Credential,
    CurrentPolicyRequest, CurrentPolicyResponse, EndLeaseRequest, EndLeaseResponse,
    EndLoginRequest, EndLoginResponse, EnrollRequest, EnrollResponse, ExchangeRequest,
    ExchangeResponse, FollowPeopleRequest, FollowPeopleResponse, IssueTokenRequest,
    IssueTokenResponse, KeysRequest, KeysResponse, OpenLoginRequest, OpenLoginResponse, Password,
    PublishPolicyRequest, PublishPolicyResponse, RenewRequest, RenewResponse, SetDisabledRequest,
    SetDisabledResponse, SignInRequest, SignInResponse,
};
use weft_wire::status::to_status;
use weft_wire::token::UserToken;
use zeroize::Zeroizing;

use crate::office::{Enrolled, Evidence, Office, OpenedJoin, OpenedLease};
use crate::oidc::{Browser, DevicePrompt};
use crate::people::{Asker, Identified, OpenedLogin, Proof, ServiceChange};
use crate::service_account::{self, Service};

/// The calls.
#[derive(Clone)]
pub(crate) struct AuthorityService(pub(crate) Arc<Office>);

#[tonic::async_trait]
impl Authority for AuthorityService {
    async fn sign_in(
        &self,
        request: Request<SignInRequest>,
    ) -> Result<Response<SignInResponse>, Status> {
        let peer = server_of(&request)?;
        let SignInRequest { password } = request.into_inner();
        answer(self.open_lease(peer, password).await)
    }

    async fn exchange(
        &self,
        request: Request<ExchangeRequest>,
    ) -> Result<Response<ExchangeResponse>, Status> {
        let peer = server_of(&request)?;
        answer(self.exchange_for(peer, request.into_inner()).await)
    }

    async fn end_lease(
        &self,
        request: Request<EndLeaseRequest>,
    ) -> Result<Response<EndLeaseResponse>, Status> {
        let peer = server_of(&request)?;
        let EndLeaseRequest { lease } = request.into_inner();
        let ended = self.0.end_lease(peer, Zeroizing::new(lease)).await;
        answer(ended.map(|()| EndLeaseResponse {}))
    }

    async fn issue_token(
        &self,
        request: Request<IssueTokenRequest>,
    ) -> Result<Response<IssueTokenResponse>, Status> {
        answer(self.issue(request.into_inner()).await)
    }

    async fn create_join_token(
        &self,
        request: Request<CreateJoinTokenRequest>,
    ) -> Result<Response<CreateJoinTokenResponse>, Status> {
        answer(self.let_join(request.into_inner()).await)
    }

    async fn enroll(
        &self,
        request: Request<EnrollRequest>,
    ) -> Result<Response<EnrollResponse>, Status> {
        let EnrollRequest {
            secret,
            csr_pem,
            hosts,
        } = request.into_inner();
        let enrolled = self.0.enroll(Zeroizing::new(secret), csr_pem, hosts).await;
        answer(enrolled.map(
            |Enrolled {
                 server,
                 certificate_pem,
             }| EnrollResponse {
                server: server.to_string(),
                certificate_pem,
                ca_pem: self.0.ca.certificate_pem().to_owned(),
            },
        ))
    }

    async fn keys(&self, request: Request<KeysRequest>) -> Result<Response<KeysResponse>, Status> {
        let KeysRequest {} = request.into_inner();
        let signer = &self.0.signer;
        answer(Ok(KeysResponse {
            issuer: signer.issuer().to_owned(),
            jwks: signer.jwks(),
        }))
    }

    async fn publish_policy(
        &self,
        request: Request<PublishPolicyRequest>,
    ) -> Result<Response<PublishPolicyResponse>, Status> {
        answer(self.publish(request.into_inner()).await)
    }

    async fn current_policy(
        &self,
        request: Request<CurrentPolicyRequest>,
    ) -> Result<Response<CurrentPolicyResponse>, Status> {
        server_of(&request)?;
        let CurrentPolicyRequest { known_version } = request.into_inner();
        let bundle = self.0.policies.newer_than(known_version);
        answer(Ok(CurrentPolicyResponse {
            bundle: bundle.map(Into::into),
        }))
    }

    type FollowPeopleStream =
        Pin<Box<dyn Stream<Item = Result<FollowPeopleResponse, Status>> + Send>>;

    async fn follow_people(
        &self,
        request: Request<FollowPeopleRequest>,
    ) -> Result<Response<Self::FollowPeopleStream>, Status> {
        server_of(&request)?;
        let FollowPeopleRequest {} = request.into_inner();
        Ok(Response::new(Box::pin(self.0.follow_people().map(Ok))))
    }

    async fn set_disabled(
        &self,
        request: Request<SetDisabledRequest>,
    ) -> Result<Response<SetDisabledResponse>, Status> {
        answer(self.disable(request.into_inner()).await)
    }

    async fn open_login(
        &self,
        request: Request<OpenLoginRequest>,
    ) -> Result<Response<OpenLoginResponse>, Status> {
        answer(self.log_in(request.into_inner()).await)
    }

    async fn end_login(
        &self,
        request: Request<EndLoginRequest>,
    ) -> Result<Response<EndLoginResponse>, Status> {
        let EndLoginRequest { login } = request.into_inner();
        let ended = self.0.end_login(Zeroizing::new(login)).await;
        answer(ended.map(|()| EndLoginResponse {}))
    }

    async fn begin_sign_in(
        &self,
        request: Request<BeginSignInRequest>,
    ) -> Result<Response<BeginSignInResponse>, Status> {
        answer(self.begin(request.into_inner()).await)
    }

    async fn change_service(
        &self,
        request: Request<ChangeServiceRequest>,
    ) -> Result<Response<ChangeServiceResponse>, Status> {
        answer(self.change(request.into_inner()).await)
    }

    async fn renew(
        &self,
        request: Request<RenewRequest>,
    ) -> Result<Response<RenewResponse>, Status> {
        let peer = server_of(&request)?;
        let before = certificate_of(&request).unwrap_or_default();
        let RenewRequest { csr_pem } = request.into_inner();
        let renewed = self.0.renew(peer, before, csr_pem).await;
        answer(renewed.map(|certificate_pem| RenewResponse { certificate_pem }))
    }
}

impl AuthorityService {
    async fn open_lease(
        &self,
        peer: Peer,
        password: Option<Password>,
    ) -> Result<SignInResponse, Error> {
        let principal = self.check(password).await?;
        let OpenedLease {
            secret,
            principal,
            issued_at,
            expires_at,
        } = self.0.open_lease(peer, principal).await?;
        Ok(SignInResponse {
            lease: secret,
            principal: Some(principal.into()),
            expires_at: seconds(expires_at),
            issued_at: seconds(issued_at),
        })
    }

    async fn exchange_for(
        &self,
        peer: Peer,
        request: ExchangeRequest,
    ) -> Result<ExchangeResponse, Error> {
        let ExchangeRequest { audience, subject } = request;
        let evidence = match subject.ok_or_else(|| missing("subject"))? {
            Subject::Lease(secret) => Evidence::Lease(Zeroizing::new(secret)),
            Subject::UserToken(token) => Evidence::UserToken(Zeroizing::new(token)),
        };
        let audience = server_id(&audience, "audience")?;
        let UserToken { text, expires_at } = self.0.exchange(peer, evidence, audience).await?;
        Ok(ExchangeResponse {
            user_token: text,
            expires_at: seconds(expires_at),
        })
    }

    async fn issue(&self, request: IssueTokenRequest) -> Result<IssueTokenResponse, Error> {
        let IssueTokenRequest {
            credential,
            audience,
            lifetime_seconds,
        } = request;
        let asker = self.asker(credential).await?;
        let audience = server_id(&audience, "audience")?;
        let lifetime = (lifetime_seconds > 0).then(|| Duration::from_secs(lifetime_seconds));
        let UserToken { text, expires_at } = self.0.issue(&asker, &audience, lifetime)?;
        Ok(IssueTokenResponse {
            user_token: text,
            expires_at: seconds(expires_at),
        })
    }

    async fn let_join(
        &self,
        request: CreateJoinTokenRequest,
    ) -> Result<CreateJoinTokenResponse, Error> {
        let CreateJoinTokenRequest { credential, server } = request;
        let Asker { principal, .. } = self.asker(credential).await?;
        let server = server_id(&server, "server")?;
        let OpenedJoin { secret, expires_at } = self.0.let_join(&principal, server).await?;
        Ok(CreateJoinTokenResponse {
            secret,
            expires_at: seconds(expires_at),
        })
    }

    async fn publish(&self, request: PublishPolicyRequest) -> Result<PublishPolicyResponse, Error> {
        let PublishPolicyRequest { credential, bundle } = request;
        let Asker { principal, .. } = self.asker(credential).await?;
        let bundle = bundle.ok_or_else(|| missing("policy"))?.try_into()?;
        self.0.publish(&principal, bundle).await?;
        Ok(PublishPolicyResponse {})
    }

    async fn disable(&self, request: SetDisabledRequest) -> Result<SetDisabledResponse, Error> {
        let SetDisabledRequest {
            credential,
            subject,
            disabled,
        } = request;
        let Asker { principal, .. } = self.asker(credential).await?;
        self.0.set_disabled(&principal, subject, disabled).await?;
        Ok(SetDisabledResponse {})
    }

    async fn log_in(&self, request: OpenLoginRequest) -> Result<OpenLoginResponse, Error> {
        let OpenLoginRequest { credential } = request;
        let asker = match self.0.identify(proof(credential)?).await? {
            Identified::Yes(asker) => asker,
            Identified::Waiting { slower } => {
                return Ok(OpenLoginResponse {
                    waiting: true,
                    slower,
                    ..OpenLoginResponse::default()
                });
            }
        };
        let OpenedLogin {
            secret,
            principal,
            expires_at,
        } = self.0.open_login(asker).await?;
        Ok(OpenLoginResponse {
            login: secret,
            principal: Some(principal.into()),
            expires_at: seconds(expires_at),
            waiting: false,
            slower: false,
        })
    }

    async fn begin(&self, request: BeginSignInRequest) -> Result<BeginSignInResponse, Error> {
        let BeginSignInRequest { provider, way } = request;
        let (attempt, next) = match way.ok_or_else(|| missing("way to sign in"))? {
            Way::Browser(rpc::Browser {
                redirect_uri,
                state,
                code_challenge,
            }) => {
                let browser = Browser {
                    redirect_uri,
                    state,
                    code_challenge,
                };
                let (attempt, url) = self.0.providers.begin(&provider, browser).await?;
                (attempt, Next::AuthorizationUrl(url))
            }
            Way::Device(rpc::Device {}) => {
                let (attempt, prompt) = self.0.providers.begin_device(&provider).await?;
                let DevicePrompt {
                    verification_uri,
                    verification_uri_complete,
                    user_code,
                    interval,
                    expires_in,
                } = prompt;
                let prompt = rpc::DevicePrompt {
                    verification_uri,
                    verification_uri_complete,
                    user_code,
                    interval_seconds: interval,
                    expires_in_seconds: expires_in,
                };
                (attempt, Next::Device(prompt))
            }
        };
        Ok(BeginSignInResponse {
            attempt,
            next: Some(next),
        })
    }

    async fn change(&self, request: ChangeServiceRequest) -> Result<ChangeServiceResponse, Error> {
        let ChangeServiceRequest {
            credential,
            name,
            lifetime_seconds,
            change,
        } = request;
        let Asker { principal, .. } = self.asker(credential).await?;
        let subject = service_account::subject(&name);
        let expires_at = service_account::end(lifetime_seconds, SystemTime::now())?;
        let change = match change.ok_or_else(|| missing("change"))? {
            Change::Create(rpc::NewService { groups, attributes }) => {
                let groups = groups.into_iter().collect();
                let attributes = attributes.into_iter().collect();
                ServiceChange::Create(Service::new(name, groups, attributes, expires_at)?)
            }
            Change::Rotate(rpc::NewSecret {}) => ServiceChange::Rotate { name, expires_at },
        };
        Ok(ChangeServiceResponse {
            secret: self.0.change_service(&principal, change).await?,
            subject,
            expires_at: seconds(expires_at),
        })
    }

    async fn asker(&self, credential: Option<Credential>) -> Result<Asker, Error> {
        self.0.identify_now(proof(credential)?).await
    }

    async fn check(&self, password: Option<Password>) -> Result<Principal, Error> {
        let Password { user, password } = password.ok_or_else(|| missing("password"))?;
        self.0.check(&user, Zeroizing::new(password)).await
    }
}

fn proof(credential: Option<Credential>) -> Result<Proof, Error> {
    let proof = credential.and_then(|credential| credential.proof);
    Ok(match proof.ok_or_else(|| missing("proof of who asks"))? {
        Wire::Password(Password { user, password }) => Proof::Password {
            user,
            password: password.into(),
        },
        Wire::Login(secret) => Proof::Login(secret.into()),
        Wire::IdToken(rpc::IdToken { provider, token }) => Proof::IdToken {
            provider,
            token: token.into(),
        },
        Wire::Code(rpc::Code {
            attempt,
            code,
            verifier,
        }) => Proof::Code {
            attempt,
            code: code.into(),
            verifier: verifier.into(),
        },
        Wire::DeviceAttempt(attempt) => Proof::Device { attempt },
        Wire::Service(rpc::ServiceSecret { name, secret }) => Proof::Service {
            name,
            secret: secret.into(),
        },
    })
}

fn answer<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| {
        if error.kind() == ErrorKind::Internal {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            error!(%error, cause, "call failed");
        }
        to_status(&error)
    })
}

/// The coordinator or node that calls. TLS has checked that the mesh's CA signed its certificate.
fn server_of<T>(request: &Request<T>) -> Result<Peer, Status> {
    peer_of(request)
        .filter(|peer| peer.server != ServerId::Authority)
        .ok_or_else(|| {
            to_status(&Error::new(
                ErrorKind::Unauthenticated,
                code::UNAUTHENTICATED,
                "this call is for servers of the mesh, which bring their certificate",
            ))
        })
}

fn server_id(text: &str, what: &str) -> Result<ServerId, Error> {
    text.parse().map_err(|_| missing(what))
}

fn missing(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::PROTOCOL,
        format!("the {what} is missing or malformed"),
    )
}
