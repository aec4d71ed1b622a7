//! Where the data of a contract is.

use std::fmt;

use super::fault::{At, Faults};
use super::fields::Fields;
use super::node::Node;

/// A place that holds the data of the contract's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where it stands.
    pub at: At,
    /// What the contract calls it.
    pub name: String,
    /// What it is.
    pub kind: ServerKind,
    /// Files of a local server; always there for one.
    pub path: Option<String>,
    /// Files of an object store, as a URL; always there for one.
    pub location: Option<String>,
    /// The address of an object store that is not the provider's.
    pub endpoint_url: Option<String>,
    /// The format of the files.
    pub format: Option<String>,
    /// How JSON documents are told apart: `new_line` or `array`.
    pub delimiter: Option<String>,
    /// `prod`, `test`, …
    pub environment: Option<String>,
}

/// What a server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerKind {
    /// Files beside the contract.
    Local,
    /// An object store that speaks Amazon's protocol.
    S3,
    /// Google's object store.
    Gcs,
    /// Azure's object store.
    Azure,
    /// Anything else, by the standard's name for it.
    Other(String),
}

impl Server {
    pub(super) fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(node, "a server", faults)?;
        let name = fields.required_text("server", faults);
        if let Some(name) = &name {
            fields.call(format!("server `{name}`"));
        }
        let kind = ServerKind::from(fields.required_text("type", faults)?.as_str());
        match &kind {
            ServerKind::Local => {
                fields.required_text("path", faults)?;
            }
            ServerKind::S3 | ServerKind::Gcs | ServerKind::Azure => {
                fields.required_text("location", faults)?;
            }
            ServerKind::Other(_) => {}
        }
        // Only what Weft reads has to have the right type: other kinds use the names differently.
        let known = !matches!(kind, ServerKind::Other(_));
        let mut text = |name| {
            if known {
                fields.text(name, faults)
            } else {
                None
            }
        };
        Some(Self {
            at: node.at,
            path: text("path"),
            location: text("location"),
            endpoint_url: text("endpointUrl"),
            format: text("format"),
            delimiter: text("delimiter"),
            environment: fields.text("environment", faults),
            name: name?,
            kind,
        })
    }
}

impl From<&str> for ServerKind {
    fn from(text: &str) -> Self {
        match text {
            "local" => Self::Local,
            "s3" => Self::S3,
            "gcs" => Self::Gcs,
            "azure" => Self::Azure,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
            Self::Other(name) => name,
        })
    }
}
