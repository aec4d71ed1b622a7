//! People of other identity providers: OpenID Connect, with the authority as the relying party.
//!
//! Nothing that a provider issues goes any further than here. What it says of a person becomes a
//! principal of this mesh, under the provider's name.

mod attempt;
mod discovery;
mod fetch;
mod id_token;
mod keys;
mod person;
mod provider;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;
use weft_governance::{Error, ErrorKind, Principal, code};
use weft_wire::convert::seconds;
use zeroize::Zeroizing;

use crate::state::random;
use attempt::{Attempt, Attempts, PATIENCE, Way};
use provider::{Asked, Polled, Provider};

pub(crate) use provider::DevicePrompt;
pub use settings::{ProviderSettings, SignatureAlgorithm};

/// All providers of a mesh.
pub(crate) struct Providers {
    all: BTreeMap<String, Arc<Provider>>,
    attempts: Attempts,
    /// The name of the mesh in tokens.
    issuer: String,
}

/// Somebody whom a provider knows.
pub(crate) struct Known {
    pub(crate) principal: Principal,
    /// When what the provider said of them ends.
    pub(crate) expires_at: SystemTime,
}

/// How far a sign-in is.
pub(crate) enum Progress {
    Done(Known),
    /// The person is not done; asking again too soon is not liked.
    Waiting {
        slower: bool,
    },
}

/// Where a browser comes back to, and what it and the client have to prove then.
pub(crate) struct Browser {
    pub(crate) redirect_uri: String,
    pub(crate) state: String,
    pub(crate) code_challenge: String,
}

impl Providers {
    /// The providers of `settings`, for the mesh `issuer`. None of them is asked anything yet.
    pub(crate) fn new(settings: &[ProviderSettings], issuer: &str) -> Result<Self, Error> {
        let mut all = BTreeMap::new();
        for settings in settings {
            settings.check()?;
            let provider = Arc::new(Provider::new(settings.clone())?);
            if all.insert(settings.name.clone(), provider).is_some() {
                let message = format!("two providers are called `{}`", settings.name);
                return Err(Error::new(ErrorKind::InvalidInput, code::SETTINGS, message));
            }
        }
        Ok(Self {
            all,
            attempts: Attempts::new()?,
            issuer: issuer.to_owned(),
        })
    }

    /// Whether there is a provider called `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// Who an ID token speaks for that somebody got by other ways.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED` for every token that is not good, `WEFT-CONNECT` if the provider does
    /// not answer.
    pub(crate) async fn identify(&self, provider: &str, token: &str) -> Result<Known, Error> {
        let provider = self.named(provider)?;
        if !provider.settings().accept_id_tokens {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                code::UNAUTHENTICATED,
                "this mesh takes no ID tokens of that provider",
            )
            .with_hint("Sign in with `weft login --provider`, or have `accept_id_tokens` set."));
        }
        let now = SystemTime::now();
        provider.identify(token, None, &self.issuer, now).await
    }

    /// Begins a sign-in with a browser: what the client keeps, and where the browser goes.
    ///
    /// # Errors
    /// `WEFT-CONNECT` if the provider does not answer.
    pub(crate) async fn begin(
        &self,
        provider: &str,
        browser: Browser,
    ) -> Result<(String, String), Error> {
        let Browser {
            redirect_uri,
            state,
            code_challenge,
        } = browser;
        let plain = |text: &str, most: usize| {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            !text.is_empty() && text.len() <= most && text.chars().all(fits)
        };
        if !plain(&state, 128) || !plain(&code_challenge, 43) || !comes_back_here(&redirect_uri) {
            return Err(malformed());
        }
        let nonce = URL_SAFE_NO_PAD.encode(random::<32>()?);
        let provider = self.named(provider)?;
        let asked = Asked {
            redirect_uri: &redirect_uri,
            state: &state,
            nonce: &nonce,
            code_challenge: &code_challenge,
        };
        let url = provider.authorization_url(asked).await?;
        let way = Way::Browser {
            redirect_uri,
            nonce,
        };
        Ok((self.keep(provider, way, PATIENCE)?, url))
    }

    /// Begins a sign-in on another device: what the client keeps, and what it shows to the person.
    ///
    /// # Errors
    /// `WEFT-CONNECT` if the provider does not answer.
    pub(crate) async fn begin_device(
        &self,
        provider: &str,
    ) -> Result<(String, DevicePrompt), Error> {
        let provider = self.named(provider)?;
        let (device_code, prompt) = provider.begin_device().await?;
        let way = Way::Device { code: device_code };
        let patience = prompt.expires_in.min(PATIENCE);
        Ok((self.keep(provider, way, patience)?, prompt))
    }

    /// Ends a sign-in with the code that the browser brought.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED` if the provider does not know the code, or what it says is not good.
    pub(crate) async fn finish(
        &self,
        attempt: &str,
        code: &str,
        verifier: &Zeroizing<String>,
    ) -> Result<Known, Error> {
        let (provider, way) = self.opened(attempt)?;
        let Way::Browser {
            redirect_uri,
            nonce,
        } = way
        else {
            return Err(refused());
        };
        let token = provider.redeem(code, verifier, &redirect_uri).await?;
        let now = SystemTime::now();
        provider
            .identify(&token, Some(&nonce), &self.issuer, now)
            .await
    }

    /// Asks whether a sign-in on another device is done.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED` if it was refused or took too long.
    pub(crate) async fn poll(&self, attempt: &str) -> Result<Progress, Error> {
        let (provider, way) = self.opened(attempt)?;
        let Way::Device { code } = way else {
            return Err(refused());
        };
        match provider.poll_device(&code).await? {
            Polled::Waiting { slower } => Ok(Progress::Waiting { slower }),
            Polled::Done(token) => {
                let now = SystemTime::now();
                let known = provider.identify(&token, None, &self.issuer, now).await?;
                Ok(Progress::Done(known))
            }
        }
    }

    fn named(&self, name: &str) -> Result<&Arc<Provider>, Error> {
        self.all.get(name).ok_or_else(|| {
            let name: String = name.chars().take(64).collect();
            let known: Vec<&str> = self.all.keys().map(String::as_str).collect();
            let message = format!("this mesh has no identity provider `{name}`");
            let hint = match known.as_slice() {
                [] => "It has none; sign in with a password.".to_owned(),
                known => format!("It has {}.", known.join(", ")),
            };
            Error::new(ErrorKind::InvalidInput, code::SETTINGS, message).with_hint(hint)
        })
    }

    fn keep(&self, provider: &Provider, way: Way, patience: u64) -> Result<String, Error> {
        self.attempts.seal(&Attempt {
            provider: provider.settings().name.clone(),
            until: seconds(SystemTime::now()).saturating_add(patience),
            way,
        })
    }

    fn opened(&self, attempt: &str) -> Result<(&Arc<Provider>, Way), Error> {
        let attempt = self.attempts.open(attempt, seconds(SystemTime::now()));
        let Attempt { provider, way, .. } = attempt.ok_or_else(|| {
            refused().with_hint(
                "The sign-in took too long, or the authority was restarted: sign in again.",
            )
        })?;
        Ok((self.named(&provider)?, way))
    }
}

/// Whether a browser that goes to `uri` stays on the person's machine.
fn comes_back_here(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else {
        return false;
    };
    let here = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    here && url.scheme() == "http" && uri.len() <= 200 && url.username().is_empty()
}

/// The one answer to what a provider says and is not good.
fn refused() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "what the identity provider says is not good here",
    )
    .with_hint("Sign in again; the authority's log says more.")
}

fn malformed() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::PROTOCOL,
        "the way back of the browser is malformed",
    )
}
