//! Where whoever operates a server asks how it is doing.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// As the file writes it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OperationsConfig {
    pub(crate) listen: Option<SocketAddr>,
}

/// Its key, the same for every server.
pub(crate) const LISTEN: (&str, &str) = (
    "operations.listen",
    "HOST:PORT for /healthz, /readyz and /metrics over plain HTTP, to everybody who reaches it.",
);
