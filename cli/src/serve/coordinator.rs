//! `weft coordinator`.

use serde_json::json;
use weft_coordinator::Coordinator;
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::authority::Authority;

use super::{Until, announce, check_identity, claim, identity, stop};
use crate::config::CoordinatorConfig;

/// Serves until it is time to stop.
///
/// # Errors
/// Whatever keeps the coordinator from starting.
pub(crate) async fn run(config: CoordinatorConfig, until: Until) -> Result<(), Error> {
    let settings = config.settings()?;
    let own = &config.coordinator;
    let (identity, url) = identity(&own.state, own.join_token_file.as_deref(), &own.hosts).await?;
    let ServerId::Coordinator { .. } = identity.id() else {
        let expected = ServerId::coordinator("main")
            .map_err(|error| Error::new(ErrorKind::Internal, code::INTERNAL, error.to_string()))?;
        return check_identity(&identity, &expected);
    };
    let url = config.authority.url.or(url).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            code::SETTINGS,
            "`authority.url` is not set",
        )
    })?;
    let _claim = claim(&own.state).await?;
    let authority = Authority::connect(&url, &identity)?;
    let coordinator = Coordinator::start(settings, identity, authority).await?;
    announce(&json!({
        "ready": true,
        "address": coordinator.address().to_string(),
        "client_address": coordinator.client_address().map(|address| address.to_string()),
    }));
    stop(until).await?;
    coordinator.stop().await;
    Ok(())
}
