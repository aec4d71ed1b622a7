//! A verifier that fetches the authority's keys when it needs them.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use weft_governance::{Error, ErrorKind, ServerId, code};

use super::{Authority, Keys, People};
use crate::identity::Thumbprint;
use crate::token::{UserTokenVerifier, VerifiedUser, refused};

/// Unknown key ids make the keys be fetched anew, but not more often than this.
const REFETCH: Duration = Duration::from_secs(5);

/// Verifies user tokens for one server.
pub struct TokenKeys {
    authority: Authority,
    audience: ServerId,
    people: People,
    known: RwLock<Option<Arc<UserTokenVerifier>>>,
    /// When the keys were last asked for. Held while they are, so that one call asks for all.
    asked: Mutex<Option<SystemTime>>,
}

impl TokenKeys {
    /// A verifier for tokens whose audience is `audience`, of those of `people` who are not disabled.
    pub fn new(authority: Authority, audience: ServerId, people: People) -> Self {
        Self {
            authority,
            audience,
            people,
            known: RwLock::new(None),
            asked: Mutex::new(None),
        }
    }

    /// Who `token` speaks for. `presenter` is the certificate of the server that brought it.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED` for every bad token and for one that was issued before somebody was
    /// disabled, `WEFT-CONNECT` if the keys cannot be fetched or it was never said who is disabled.
    pub async fn verify(
        &self,
        token: &str,
        presenter: Option<&Thumbprint>,
        now: SystemTime,
    ) -> Result<VerifiedUser, Error> {
        let verifier = self.verifier(token, now).await?;
        let user = verifier.verify(token, presenter, now)?;
        self.people.known().await?;
        if self.people.refuses(&user.principal.subject, user.issued_at) {
            return Err(refused());
        }
        Ok(user)
    }

    /// A token whose key is known waits for nobody; others wait while the keys are fetched.
    async fn verifier(
        &self,
        token: &str,
        now: SystemTime,
    ) -> Result<Arc<UserTokenVerifier>, Error> {
        if let Some(verifier) = self.known_for(token) {
            return Ok(verifier);
        }
        let mut asked = self.asked.lock().await;
        if let Some(verifier) = self.known_for(token) {
            return Ok(verifier);
        }
        // A clock that was set back is no reason to wait.
        let since = asked.and_then(|last| now.duration_since(last).ok());
        if since.is_some_and(|since| since < REFETCH) {
            return self.known().ok_or_else(away);
        }
        *asked = Some(now);
        self.fetch().await
    }

    /// Asks the authority for its keys, before somebody needs them.
    ///
    /// # Errors
    /// `WEFT-CONNECT` if it does not answer.
    pub async fn prepare(&self) -> Result<(), Error> {
        self.fetch().await.map(drop)
    }

    /// Whether tokens can be verified here: keys came, and it was said who is disabled.
    pub fn is_ready(&self) -> bool {
        self.known().is_some() && self.people.is_known()
    }

    async fn fetch(&self) -> Result<Arc<UserTokenVerifier>, Error> {
        let Keys { issuer, jwks } = self.authority.keys().await?;
        let verifier = Arc::new(UserTokenVerifier::new(&issuer, &jwks, &self.audience)?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Arc::clone(&verifier));
        Ok(verifier)
    }

    /// Who is disabled.
    pub fn people(&self) -> &People {
        &self.people
    }

    fn known_for(&self, token: &str) -> Option<Arc<UserTokenVerifier>> {
        self.known().filter(|verifier| verifier.knows_key_of(token))
    }

    fn known(&self) -> Option<Arc<UserTokenVerifier>> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKeys")
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

fn away() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        code::CONNECT,
        "the authority's keys are not known here, and it did not answer",
    )
    .with_hint("Try again in a few seconds.")
}
