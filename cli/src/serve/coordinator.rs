//! `weft coordinator`.

use serde_json::json;
use weft_coordinator::{Coordinator, ShownSetting};
use weft_governance::{Error, ErrorKind, ServerId, code};
use weft_wire::authority::Authority;

use super::{Signals, Until, announce, check_identity, claim, identity, shown};
use crate::config::{CoordinatorConfig, Loaded};
use crate::telemetry::Traces;

/// Serves until it is time to stop.
///
/// # Errors
/// Whatever keeps the coordinator from starting.
pub(crate) async fn run(loaded: Loaded<CoordinatorConfig>, until: Until) -> Result<(), Error> {
    let shown_settings = loaded.explained().map(|setting| ShownSetting {
        name: setting.name.to_owned(),
        value: setting.value,
        source: setting.source.to_owned(),
        meaning: setting.meaning.to_owned(),
    });
    let shown_settings = shown_settings.collect();
    let config = loaded.settings;
    let settings = weft_coordinator::Settings {
        shown: shown_settings,
        ..config.settings()?
    };
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
    let traces = Traces::start(identity.id())?;
    let authority = Authority::connect(&url, &identity)?;
    let coordinator = Coordinator::start(settings, identity, authority).await?;
    announce(&json!({
        "ready": true,
        "address": coordinator.address().to_string(),
        "client_address": shown(coordinator.client_address()),
        "operations": shown(coordinator.operations_address()),
    }));
    let mut signals = Signals::watch(until)?;
    signals.stop().await;
    signals.unless_told_again(coordinator.stop()).await;
    traces.stop().await;
    Ok(())
}
