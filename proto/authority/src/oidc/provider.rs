//! One provider: its keys, its endpoints, and what it says of people.

use std::fs;
use std::time::{Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Deserialize;
use tracing::{info, warn};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use weft_governance::{Error, ErrorKind, code};
use zeroize::Zeroizing;

use super::discovery::{Description, Discovery};
use super::fetch::{Answer, Fetch, away};
use super::id_token::{Reason, Unverified};
use super::keys::{KeySet, Keys};
use super::{Known, ProviderSettings, person, refused};

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Seconds between two questions, if the provider does not say.
const INTERVAL: u64 = 5;

/// A provider.
pub(super) struct Provider {
    settings: ProviderSettings,
    secret: Option<Zeroizing<String>>,
    fetch: Fetch,
    discovery: Discovery,
    keys: Keys,
}

/// What a browser is sent to a provider with.
pub(super) struct Asked<'a> {
    pub(super) redirect_uri: &'a str,
    pub(super) state: &'a str,
    pub(super) nonce: &'a str,
    pub(super) code_challenge: &'a str,
}

/// What a person is shown who signs in on another device.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DevicePrompt {
    pub(crate) verification_uri: String,
    #[serde(default)]
    pub(crate) verification_uri_complete: Option<String>,
    pub(crate) user_code: String,
    /// Seconds between two questions.
    #[serde(default = "default_interval")]
    pub(crate) interval: u64,
    /// Seconds until the sign-in is over.
    pub(crate) expires_in: u64,
}

/// How far a sign-in on another device is.
pub(super) enum Polled {
    Waiting {
        slower: bool,
    },
    /// With an ID token.
    Done(Zeroizing<String>),
}

type Form<'a> = Vec<(&'static str, &'a str)>;

/// What the token endpoint answers.
#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
    error: Option<String>,
}

impl Provider {
    pub(super) fn new(settings: ProviderSettings) -> Result<Self, Error> {
        let secret = settings
            .client_secret_file
            .as_ref()
            .map(|file| match fs::read_to_string(file) {
                Ok(text) => Ok(Zeroizing::new(text.trim().to_owned())),
                Err(error) => {
                    let message = format!("`{}` cannot be read", file.display());
                    let error = Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
                        .caused_by(error);
                    Err(error)
                }
            })
            .transpose()?;
        Ok(Self {
            fetch: Fetch::new(&settings)?,
            secret,
            settings,
            discovery: Discovery::default(),
            keys: Keys::default(),
        })
    }

    pub(super) fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// Who `token` speaks for. `nonce` is that of the sign-in which the token answers.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED` with one text for every token that is not good, `WEFT-CONNECT` if the
    /// keys cannot be fetched.
    pub(super) async fn identify(
        &self,
        token: &str,
        nonce: Option<&str>,
        issuer: &str,
        now: SystemTime,
    ) -> Result<Known, Error> {
        let token = Unverified::read(token, &self.settings).map_err(|why| self.refuse(why))?;
        let key = self
            .keys
            .find(
                token.key_id(),
                token.algorithm(),
                Instant::now(),
                self.fetch_keys(),
            )
            .await
            .map_err(|error| error.unwrap_or_else(|| away(&self.settings.issuer)))?
            .ok_or_else(|| self.refuse("it is signed with an unknown key"))?;
        let verified = token
            .verify(&key, &self.settings, nonce, now)
            .map_err(|why| self.refuse(why))?;
        let principal = person::principal(&verified.claims, &self.settings, issuer)
            .map_err(|why| self.refuse(why))?;
        Ok(Known {
            principal,
            expires_at: verified.expires_at,
        })
    }

    /// Where a browser signs somebody in.
    pub(super) async fn authorization_url(&self, asked: Asked<'_>) -> Result<String, Error> {
        let description = self.description().await?;
        let endpoint = description.authorization_endpoint.as_deref();
        let mut url = endpoint
            .and_then(|endpoint| Url::parse(endpoint).ok())
            .ok_or_else(|| self.unable("signs nobody in with a browser"))?;
        let Asked {
            redirect_uri,
            state,
            nonce,
            code_challenge,
        } = asked;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &self.settings.scopes.join(" "))
            .append_pair("state", state)
            .append_pair("nonce", nonce)
            .append_pair("code_challenge", code_challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// The ID token for a code that a browser brought.
    pub(super) async fn redeem(
        &self,
        code: &str,
        verifier: &Zeroizing<String>,
        redirect_uri: &str,
    ) -> Result<Zeroizing<String>, Error> {
        let form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        let Tokens { id_token, error } = self.token_call(form).await?;
        match (id_token, error) {
            (Some(token), None) => Ok(token.into()),
            (_, Some(_)) => Err(self.refuse("it does not know the code")),
            (None, None) => Err(self.refuse("it gave no ID token")),
        }
    }

    /// Begins a sign-in on another device; the code is between provider and authority.
    pub(super) async fn begin_device(&self) -> Result<(String, DevicePrompt), Error> {
        #[derive(Deserialize)]
        struct Started {
            device_code: String,
            #[serde(flatten)]
            prompt: DevicePrompt,
        }
        let description = self.description().await?;
        let endpoint = description.device_authorization_endpoint.as_deref();
        let endpoint = endpoint.ok_or_else(|| self.unable("signs nobody in on another device"))?;
        let scopes = self.settings.scopes.join(" ");
        let form = vec![("scope", scopes.as_str())];
        let answer = self.post(endpoint, &description, form).await?;
        let malformed = || {
            warn!(
                provider = self.settings.name,
                status = answer.status.as_u16(),
                "provider begins no sign-in on another device"
            );
            away(&self.settings.issuer)
        };
        if answer.status != StatusCode::OK {
            return Err(malformed());
        }
        let Started {
            device_code,
            prompt,
        } = serde_json::from_slice(&answer.body).map_err(|_| malformed())?;
        Ok((device_code, prompt))
    }

    /// Asks whether a sign-in on another device is done.
    pub(super) async fn poll_device(&self, device_code: &str) -> Result<Polled, Error> {
        let form = vec![("grant_type", DEVICE_GRANT), ("device_code", device_code)];
        let Tokens { id_token, error } = self.token_call(form).await?;
        match (id_token, error.as_deref()) {
            (Some(token), None) => Ok(Polled::Done(token.into())),
            (_, Some("authorization_pending")) => Ok(Polled::Waiting { slower: false }),
            (_, Some("slow_down")) => Ok(Polled::Waiting { slower: true }),
            (_, Some(_)) => Err(self.refuse("the person did not sign in")),
            (None, None) => Err(self.refuse("it gave no ID token")),
        }
    }

    async fn token_call(&self, form: Form<'_>) -> Result<Tokens, Error> {
        let description = self.description().await?;
        let endpoint = description.token_endpoint.as_deref();
        let endpoint = endpoint.ok_or_else(|| self.unable("gives no tokens"))?;
        let answer = self.post(endpoint, &description, form).await?;
        let readable = matches!(
            answer.status,
            StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED
        );
        let tokens: Option<Tokens> = serde_json::from_slice(&answer.body).ok();
        match tokens.filter(|_| readable) {
            Some(tokens) => {
                if let Some(error) = &tokens.error {
                    let error: String = error.chars().take(64).collect();
                    info!(
                        provider = self.settings.name,
                        error, "provider gave no token"
                    );
                }
                Ok(tokens)
            }
            None => {
                let status = answer.status.as_u16();
                warn!(
                    provider = self.settings.name,
                    status, "provider gave no token"
                );
                Err(away(&self.settings.issuer))
            }
        }
    }

    /// Posts a form, and says who posts it.
    async fn post<'a>(
        &'a self,
        endpoint: &str,
        description: &Description,
        mut form: Form<'a>,
    ) -> Result<Answer, Error> {
        let id = &self.settings.client_id;
        let mut authorization = None;
        match &self.secret {
            Some(secret) if description.secret_in_form() => {
                form.extend([("client_id", id.as_str()), ("client_secret", secret)]);
            }
            Some(secret) => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let pair = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret)));
                let basic = format!("Basic {}", STANDARD.encode(pair.as_bytes()));
                authorization = Some(Zeroizing::new(basic));
            }
            None => {
                form.push(("client_id", id));
            }
        }
        let form = Serializer::new(String::new()).extend_pairs(form).finish();
        self.fetch
            .post(endpoint, authorization.as_ref(), form)
            .await
    }

    async fn fetch_keys(&self) -> Result<KeySet, Error> {
        let url = match &self.settings.jwks_url {
            Some(url) => url.clone(),
            None => {
                let description = self.description().await?;
                let url = description.jwks_uri.clone();
                url.ok_or_else(|| self.unable("does not say where its keys are"))?
            }
        };
        let answer = self.fetch.get(&url).await.inspect_err(|error| {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            warn!(
                provider = self.settings.name,
                cause, "keys cannot be fetched"
            );
        })?;
        let keys = (answer.status == StatusCode::OK)
            .then(|| KeySet::read(&answer.body))
            .flatten();
        info!(
            provider = self.settings.name,
            read = keys.is_some(),
            "keys fetched"
        );
        keys.ok_or_else(|| away(&self.settings.issuer))
    }

    async fn description(&self) -> Result<std::sync::Arc<Description>, Error> {
        self.discovery.of(&self.settings.issuer, &self.fetch).await
    }

    fn refuse(&self, reason: Reason) -> Error {
        warn!(provider = self.settings.name, reason, "sign-in refused");
        refused()
    }

    fn unable(&self, what: &str) -> Error {
        let message = format!("the identity provider `{}` {what}", self.settings.name);
        Error::new(ErrorKind::Unsupported, code::UNSUPPORTED, message)
    }
}

fn default_interval() -> u64 {
    INTERVAL
}
