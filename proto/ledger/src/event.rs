//! What happened, before it is in the log.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde_json::Value;
use weft_governance::QueryId;

/// Something worth remembering.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When it happened. Microseconds are kept, the rest is cut off.
    pub at: SystemTime,
    /// What it was.
    pub kind: EventKind,
    /// Who asked for it, if a person or service did.
    pub principal: Option<String>,
    /// The query that it belongs to.
    pub query: Option<QueryId>,
    /// The fragment of that query.
    pub fragment: Option<u32>,
    /// The rest, as JSON.
    pub details: Value,
}

macro_rules! kinds {
    ($($variant:ident = $name:literal, $meaning:literal;)*) => {
        /// The kind of an event. Names are stable: they are in the chain.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind {
            $(#[doc = $meaning] $variant,)*
        }

        impl EventKind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in the log.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    Started = "started", "A server began to serve.";
    Stopped = "stopped", "A server ended in good order.";
    Reloaded = "reloaded", "A node took up changed contracts, grants or policies.";
    SignedIn = "signed-in", "A principal proved who it is.";
    SignInRefused = "sign-in-refused", "Somebody did not prove who they are.";
    SignedOut = "signed-out", "A session or lease was ended by its owner.";
    Revoked = "revoked", "A session, lease or token was ended by somebody else.";
    TokenIssued = "token-issued", "The authority signed a token.";
    TokenRefused = "token-refused", "The authority did not sign a token, or a server did not take one.";
    JoinTokenCreated = "join-token-created", "Somebody may bring a server into the mesh.";
    Enrolled = "enrolled", "A server received its certificate.";
    Granted = "granted", "An owner gave a right.";
    GrantRevoked = "grant-revoked", "An owner took a right back.";
    Requested = "requested", "Somebody asked an owner for a right.";
    Approved = "approved", "An owner gave what was asked for, or less.";
    Rejected = "rejected", "An owner gave nothing of what was asked for.";
    PolicyChanged = "policy-changed", "A federated policy of the mesh is in force at this node from now on.";
    Registered = "registered", "A node made itself known to a coordinator.";
    Unregistered = "unregistered", "A node left a coordinator.";
    Asked = "asked", "A coordinator took a query on; rows of its answer may be read.";
    Admitted = "admitted", "The owner allowed a fragment; its data may leave.";
    SetAside = "set-aside", "Part of what a grant lets be read within a day may leave from now on.";
    Denied = "denied", "The owner refused a fragment.";
    Statement = "statement", "A statement that touches no product was run.";
    Finished = "finished", "A query or fragment ran to its end.";
    Failed = "failed", "A query or fragment ended with an error.";
    Cancelled = "cancelled", "A query or fragment was given up.";
    Lost = "lost", "Events of the asynchronous kind could not be recorded; `count` says how many.";
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownKind)
    }
}

/// A kind of event that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of event")]
pub struct UnknownKind;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_by_its_name() {
        for kind in EventKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
        }
        assert_eq!("admitted ".parse::<EventKind>(), Err(UnknownKind));
    }
}
