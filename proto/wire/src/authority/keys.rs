//! A verifier that fetches the authority's keys when it needs them.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Mutex;
use weft_governance::{Error, ServerId};

use super::{Authority, Keys};
use crate::identity::Thumbprint;
use crate::token::{UserTokenVerifier, VerifiedUser};

/// Unknown key ids make the keys be fetched anew, but not more often than this.
const REFETCH: Duration = Duration::from_secs(5);

/// Verifies user tokens for one server.
pub struct TokenKeys {
    authority: Authority,
    audience: ServerId,
    known: Mutex<Option<(Arc<UserTokenVerifier>, Instant)>>,
}

impl TokenKeys {
    /// A verifier for tokens whose audience is `audience`.
    pub fn new(authority: Authority, audience: ServerId) -> Self {
        Self { authority, audience, known: Mutex::new(None) }
    }

    /// Who `token` speaks for. `presenter` is the certificate of the server that brought it.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED` for every bad token, `WEFT-CONNECT` if the keys cannot be fetched.
    pub async fn verify(
        &self,
        token: &str,
        presenter: Option<&Thumbprint>,
        now: SystemTime,
    ) -> Result<VerifiedUser, Error> {
        self.verifier(token).await?.verify(token, presenter, now)
    }

    async fn verifier(&self, token: &str) -> Result<Arc<UserTokenVerifier>, Error> {
        let mut known = self.known.lock().await;
        if let Some((verifier, fetched)) = known.as_ref()
            && (verifier.knows_key_of(token) || fetched.elapsed() < REFETCH)
        {
            return Ok(Arc::clone(verifier));
        }
        let Keys { issuer, jwks } = self.authority.keys().await?;
        let verifier = Arc::new(UserTokenVerifier::new(&issuer, &jwks, &self.audience)?);
        *known = Some((Arc::clone(&verifier), Instant::now()));
        Ok(verifier)
    }
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKeys").field("audience", &self.audience).finish_non_exhaustive()
    }
}
