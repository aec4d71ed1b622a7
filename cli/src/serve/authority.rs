//! `weft authority`.

use serde_json::json;
use weft_authority::AuthorityServer;
use weft_governance::Error;

use super::{Until, announce, claim, stop};
use crate::config::AuthorityConfig;

/// Serves until it is time to stop.
///
/// # Errors
/// Whatever keeps the authority from starting.
pub(crate) async fn run(config: AuthorityConfig) -> Result<(), Error> {
    let (settings, users) = config.parts();
    let _claim = claim(&settings.state).await?;
    let authority = AuthorityServer::start(settings, users).await?;
    announce(&json!({"ready": true, "address": authority.address().to_string()}));
    stop(Until::Signal).await?;
    authority.stop().await;
    Ok(())
}
