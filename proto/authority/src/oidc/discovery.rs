//! A provider's own description: where its keys and endpoints are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde::Deserialize;
use tokio::sync::Mutex;
use tracing::warn;
use weft_governance::Error;

use super::fetch::{Fetch, away, trusted_url};

/// A description is asked for again after this long.
const FRESH: Duration = Duration::from_secs(3_600);
/// After a failure nobody is asked for this long.
const PAUSE: Duration = Duration::from_secs(5);

/// What is read of a discovery document. Endpoints that are not safe to use are left out.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Description {
    issuer: String,
    pub(super) jwks_uri: Option<String>,
    pub(super) authorization_endpoint: Option<String>,
    pub(super) token_endpoint: Option<String>,
    pub(super) device_authorization_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

impl Description {
    /// Whether the authority's secret goes into the form, because the provider takes it no other way.
    pub(super) fn secret_in_form(&self) -> bool {
        let methods = &self.token_endpoint_auth_methods_supported;
        let has = |method: &str| methods.iter().any(|known| known == method);
        has("client_secret_post") && !has("client_secret_basic")
    }
}

/// The description of one issuer, as it was read last.
#[derive(Default)]
pub(super) struct Discovery {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    description: Option<(Arc<Description>, Instant)>,
    failed: Option<Instant>,
}

impl Discovery {
    /// The description of `issuer`.
    ///
    /// # Errors
    /// `WEFT-CONNECT` if it cannot be read, or is that of another issuer.
    pub(super) async fn of(&self, issuer: &str, fetch: &Fetch) -> Result<Arc<Description>, Error> {
        let mut known = self.known.lock().await;
        if let Some((description, at)) = &known.description
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(description));
        }
        if known.failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(away(issuer));
        }
        match read(issuer, fetch).await {
            Ok(description) => {
                let description = Arc::new(description);
                known.description = Some((Arc::clone(&description), Instant::now()));
                known.failed = None;
                Ok(description)
            }
            Err(error) => {
                known.failed = Some(Instant::now());
                Err(error)
            }
        }
    }
}

async fn read(issuer: &str, fetch: &Fetch) -> Result<Description, Error> {
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let answer = fetch.get(&url).await?;
    let failed = |reason: &'static str| {
        warn!(issuer, reason, "provider cannot be used");
        away(issuer)
    };
    if answer.status != StatusCode::OK {
        return Err(failed("it has no discovery document"));
    }
    let mut description: Description =
        serde_json::from_slice(&answer.body).map_err(|_| failed("its document is malformed"))?;
    if description.issuer != issuer {
        return Err(failed("its document is of another issuer"));
    }
    for endpoint in [
        &mut description.jwks_uri,
        &mut description.authorization_endpoint,
        &mut description.token_endpoint,
        &mut description.device_authorization_endpoint,
    ] {
        endpoint.take_if(|url| trusted_url(url).is_err());
    }
    Ok(description)
}
