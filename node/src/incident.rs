//! Errors whose details must not leave this node.
//!
//! A message of the engine may hold values of hidden rows, or paths. The asker gets the kind, a
//! fixed text and an id; the details are in this node's log under that id.

use datafusion::common::DataFusionError;
use tracing::warn;
use weft_governance::{Error, FragmentId, QueryId, code};
use weft_plan::from_datafusion;

/// The error of a running fragment as the asker may see it.
pub(crate) fn hide(fragment: FragmentId, error: DataFusionError) -> Error {
    hidden(fragment.to_string(), error)
}

/// The same where there is no fragment yet.
pub(crate) fn unnumbered(what: &'static str, error: DataFusionError) -> Error {
    hidden(format!("{what} {}", QueryId::generate()), error)
}

fn hidden(incident: String, error: DataFusionError) -> Error {
    let own = from_datafusion(error);
    let text = match own.code() {
        code::EVALUATION => "an expression of the query failed on the data",
        code::SOURCE => "the product's data could not be read",
        code::RESOURCES => "the query needs more memory than the node allows",
        code::PLAN | code::UNSUPPORTED | code::SETTINGS | code::SYNTAX => {
            "the node could not plan its part of the query"
        }
        code::INTERNAL => "the node failed",
        // Our own errors are made to be read by the asker.
        _ => return own,
    };
    let details = std::error::Error::source(&own)
        .map(ToString::to_string)
        .unwrap_or_default();
    warn!(%incident, code = own.code(), details, "fragment failed");
    let hidden = Error::new(
        own.kind(),
        own.code(),
        format!("{text} (incident `{incident}`)"),
    );
    match own.code() {
        code::EVALUATION => {
            hidden.with_hint("Check casts and divisions, or use TRY_CAST and NULLIF.")
        }
        _ => hidden.with_hint("The owner of the domain finds the details in the node's log."),
    }
}
