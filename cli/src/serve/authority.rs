//! `weft authority`.

use serde_json::json;
use weft_authority::AuthorityServer;
use weft_governance::Error;
use weft_operations::Operations;

use super::{Signals, Until, announce, claim, shown};
use crate::config::AuthorityConfig;

/// Serves until it is time to stop.
///
/// # Errors
/// Whatever keeps the authority from starting.
pub(crate) async fn run(config: AuthorityConfig) -> Result<(), Error> {
    let listen = config.operations.listen;
    let (settings, users) = config.parts();
    let _claim = claim(&settings.state).await?;
    let authority = AuthorityServer::start(settings, users).await?;
    let operations = listen
        .map(|address| Operations::open(address, env!("CARGO_PKG_VERSION"), authority.vitals()))
        .transpose()?;
    announce(&json!({
        "ready": true,
        "address": authority.address().to_string(),
        "operations": shown(operations.as_ref().map(Operations::address)),
    }));
    let mut signals = Signals::watch(Until::Signal)?;
    signals.stop().await;
    signals.unless_told_again(authority.stop()).await;
    Ok(())
}
