//! The people's door: proofs of who asks, and what they get for them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};
use weft_governance::{Error, ErrorKind, Principal, ServerId, code};
use weft_wire::token::UserToken;
use zeroize::Zeroizing;

use crate::office::{Office, ended, must_be_admin};
use crate::oidc::Progress;
use crate::password::refused;
use crate::service_account::{self, Service};
use crate::state::LiveLogin;

/// What somebody proves with who they are.
pub(crate) enum Proof {
    Password {
        user: String,
        password: Zeroizing<String>,
    },
    /// What an earlier proof was kept as.
    Login(Zeroizing<String>),
    /// A provider's word, got by other ways.
    IdToken {
        provider: String,
        token: Zeroizing<String>,
    },
    /// The end of a sign-in with a browser.
    Code {
        attempt: String,
        code: Zeroizing<String>,
        verifier: Zeroizing<String>,
    },
    /// A sign-in on another device, which may not be done.
    Device { attempt: String },
    /// A machine user's secret.
    Service {
        name: String,
        secret: Zeroizing<String>,
    },
}

/// Who asks.
pub(crate) struct Asker {
    pub(crate) principal: Principal,
    /// What they get lives no longer than this.
    until: Option<SystemTime>,
    /// Whether only what they brought says who they are: the authority does not know them itself.
    external: bool,
}

/// Whether it is known who asks.
pub(crate) enum Identified {
    Yes(Asker),
    /// They have to sign in elsewhere first.
    Waiting {
        slower: bool,
    },
}

/// A login that was just opened.
pub(crate) struct OpenedLogin {
    pub(crate) secret: String,
    pub(crate) principal: Principal,
    pub(crate) expires_at: SystemTime,
}

/// What an administrator wants of a service.
pub(crate) enum ServiceChange {
    Create(Service),
    Rotate {
        name: String,
        expires_at: SystemTime,
    },
}

impl Office {
    /// Who proves this.
    pub(crate) async fn identify(self: &Arc<Self>, proof: Proof) -> Result<Identified, Error> {
        let asker = match proof {
            Proof::Password { user, password } => Asker {
                principal: self.check(&user, password).await?,
                until: None,
                external: false,
            },
            Proof::Login(secret) => self.of_login(secret).await?,
            Proof::Service { name, secret } => self.of_service(name, secret).await?,
            Proof::IdToken { provider, token } => {
                let known = self.providers.identify(&provider, &token).await?;
                Asker {
                    principal: known.principal,
                    until: Some(known.expires_at),
                    external: true,
                }
            }
            Proof::Code {
                attempt,
                code,
                verifier,
            } => {
                let known = self.providers.finish(&attempt, &code, &verifier).await?;
                of_provider(known.principal)
            }
            Proof::Device { attempt } => match self.providers.poll(&attempt).await? {
                Progress::Done(known) => of_provider(known.principal),
                Progress::Waiting { slower } => return Ok(Identified::Waiting { slower }),
            },
        };
        // Known or not, who is disabled reads what everyone reads who is refused.
        if self.roll.is_disabled(&asker.principal.subject) {
            warn!(
                principal = asker.principal.subject,
                "a disabled person signs in"
            );
            return Err(refused());
        }
        Ok(Identified::Yes(asker))
    }

    /// The same where nobody waits.
    pub(crate) async fn identify_now(self: &Arc<Self>, proof: Proof) -> Result<Asker, Error> {
        match self.identify(proof).await? {
            Identified::Yes(asker) => Ok(asker),
            Identified::Waiting { .. } => Err(refused()),
        }
    }

    /// Opens a login for `asker`.
    pub(crate) async fn open_login(self: &Arc<Self>, asker: Asker) -> Result<OpenedLogin, Error> {
        let now = self.stamp();
        let longest = now + self.lease_lifetime;
        let expires_at = asker.until.map_or(longest, |until| until.min(longest));
        let Asker {
            principal,
            external,
            ..
        } = asker;
        let login = LiveLogin {
            subject: principal.subject.clone(),
            said: external.then(|| principal.clone()),
            expires_at,
        };
        let secret = self
            .beside(move |office| office.state.open_login(&login, now))
            .await?
            .ok_or_else(refused)?;
        info!(principal = principal.subject, "login opened");
        Ok(OpenedLogin {
            secret,
            principal,
            expires_at,
        })
    }

    /// Ends a login.
    pub(crate) async fn end_login(
        self: &Arc<Self>,
        secret: Zeroizing<String>,
    ) -> Result<(), Error> {
        self.beside(move |office| office.state.end_login(&secret))
            .await
    }

    /// A token for the own use of `asker` at `audience`, for `lifetime` or as long as it may live.
    pub(crate) fn issue(
        &self,
        asker: &Asker,
        audience: &ServerId,
        lifetime: Option<Duration>,
    ) -> Result<UserToken, Error> {
        if *audience == ServerId::Authority {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                code::UNSUPPORTED,
                "the authority takes no tokens itself",
            )
            .with_hint("Name a coordinator or a node as the audience."));
        }
        let principal = &asker.principal;
        let now = self.stamp();
        // Since the proof was checked.
        if self.roll.is_disabled(&principal.subject) {
            return Err(refused());
        }
        let mut longest = self.lease_lifetime;
        if let Some(until) = asker.until {
            longest = longest.min(until.duration_since(now).map_err(|_| ended())?);
        }
        let lifetime = lifetime.map_or(longest, |wanted| wanted.min(longest));
        info!(principal = principal.subject, %audience, "token issued");
        self.signer.sign(principal, audience, None, now, lifetime)
    }

    /// The new secret of a service, if `admin` may have it.
    pub(crate) async fn change_service(
        self: &Arc<Self>,
        admin: &Principal,
        change: ServiceChange,
    ) -> Result<String, Error> {
        must_be_admin(admin, "services are made")?;
        let by = admin.subject.clone();
        let (secret, name) = self
            .beside(move |office| match change {
                ServiceChange::Create(service) => {
                    let secret = office.state.create_service(&service, &by)?;
                    Ok((secret, service.name))
                }
                ServiceChange::Rotate { name, expires_at } => {
                    let secret = office.state.rotate_service(&name, expires_at, &by)?;
                    Ok((secret, name))
                }
            })
            .await?;
        info!(
            service = name,
            by = admin.subject,
            "service has a new secret"
        );
        Ok(secret)
    }

    async fn of_login(self: &Arc<Self>, secret: Zeroizing<String>) -> Result<Asker, Error> {
        let now = SystemTime::now();
        let live = self
            .beside(move |office| office.state.login(&secret, now))
            .await?
            .ok_or_else(ended)?;
        let LiveLogin {
            subject,
            said,
            expires_at,
        } = live;
        let external = said.is_some();
        let principal = self.current(subject, said).await?.ok_or_else(ended)?;
        Ok(Asker {
            principal,
            until: Some(expires_at),
            external,
        })
    }

    async fn of_service(
        self: &Arc<Self>,
        name: String,
        secret: Zeroizing<String>,
    ) -> Result<Asker, Error> {
        let now = SystemTime::now();
        let shown: String = name.chars().take(64).collect();
        let service = self
            .beside(move |office| office.state.service_of(&name, &secret, now))
            .await?
            .ok_or_else(|| {
                warn!(service = shown, "sign-in of a service refused");
                refused()
            })?;
        Ok(Asker {
            until: Some(service.expires_at),
            principal: service.principal(self.signer.issuer()),
            external: false,
        })
    }

    /// Who `subject` is now, unless unknown or disabled. `said` is what an earlier proof said of
    /// somebody whom the authority does not know itself.
    pub(crate) async fn current(
        self: &Arc<Self>,
        subject: String,
        said: Option<Principal>,
    ) -> Result<Option<Principal>, Error> {
        if self.roll.is_disabled(&subject) {
            return Ok(None);
        }
        match subject.rsplit_once('@') {
            Some((name, service_account::SUFFIX)) => {
                let name = name.to_owned();
                let found = self
                    .beside(move |office| office.state.service(&name))
                    .await?;
                let now = SystemTime::now();
                let live = found.filter(|service| service.expires_at > now);
                Ok(live.map(|service| service.principal(self.signer.issuer())))
            }
            Some((_, provider)) if self.providers.has(provider) => Ok(said),
            _ => Ok(self.passwords.current(&subject)),
        }
    }

    /// Whether somebody could be called `subject` here; if the settings name them, whether they
    /// disable them.
    pub(crate) async fn knows(self: &Arc<Self>, subject: &str) -> Result<Option<bool>, Error> {
        match subject.rsplit_once('@') {
            Some((name, service_account::SUFFIX)) => {
                let name = name.to_owned();
                let found = self
                    .beside(move |office| office.state.service(&name))
                    .await?;
                Ok(found.map(|_| false))
            }
            // Nobody has a list of those whom a provider knows.
            Some((name, provider)) if self.providers.has(provider) => {
                Ok((!name.is_empty()).then_some(false))
            }
            _ => Ok(self.passwords.knows(subject)),
        }
    }
}

fn of_provider(principal: Principal) -> Asker {
    Asker {
        principal,
        until: None,
        external: true,
    }
}
