//! `weft node`.

use serde_json::json;
use weft_governance::{Error, ErrorKind, code};
use weft_node::{Node, server_id};
use weft_wire::authority::Authority;

use super::{Signals, Until, announce, check_identity, claim, identity, shown};
use crate::config::NodeConfig;
use crate::telemetry::Traces;

/// Serves until it is time to stop.
///
/// # Errors
/// Whatever keeps the node from starting.
pub(crate) async fn run(config: NodeConfig, until: Until) -> Result<(), Error> {
    let settings = config.settings()?;
    let own = &config.node;
    let (identity, url) = identity(&own.state, own.join_token_file.as_deref(), &own.hosts).await?;
    check_identity(&identity, &server_id(&settings)?)?;
    let url = config.authority.url.clone().or(url).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            code::SETTINGS,
            "`authority.url` is not set",
        )
    })?;
    let _claim = claim(&own.state).await?;
    let traces = Traces::start(identity.id())?;
    let authority = Authority::connect(&url, &identity)?;
    let node = Node::start(settings, identity, authority).await?;
    let stopped = until_stopped(node, until).await;
    traces.stop().await;
    stopped
}

/// Says that `node` is ready and lets it serve until it is time to stop.
///
/// # Errors
/// If signals cannot be watched.
pub(crate) async fn until_stopped(node: Node, until: Until) -> Result<(), Error> {
    announce(&json!({
        "ready": true,
        "address": node.address().to_string(),
        "problems": node.problems().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "operations": shown(node.operations_address()),
    }));
    let mut signals = Signals::watch(until)?;
    signals.stop().await;
    signals.unless_told_again(node.stop()).await;
    Ok(())
}
