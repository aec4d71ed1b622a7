//! Logs, to standard error, as text or as JSON; traces, to a collector.

mod traces;

pub(crate) use traces::Traces;

use tracing_subscriber::EnvFilter;

/// Starts logging. `WEFT_LOG` filters (`warn` for people's commands, `info` for servers),
/// `WEFT_LOG_FORMAT=json` makes each line an object.
pub(crate) fn start(default: &str) {
    let filter = EnvFilter::try_from_env("WEFT_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // A log that nobody reads any more must not bring the server down.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let started = if std::env::var("WEFT_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().try_init()
    } else {
        builder.with_ansi(false).try_init()
    };
    // Fails only if logging has started already.
    let _ = started;
}
