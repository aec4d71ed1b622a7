//! Changes of rights in the event log, chained and signed by the node: who can write to the file and does
//! not have the node's key can give nobody anything, nor take away a part of what happened.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use weft_governance::{Error, ErrorKind, Timestamp, code, hex};
use weft_ledger::Event;
use weft_wire::identity::{Identity, MeshCa};
use weft_wire::token::sha256;

/// What a signed statement starts with; another form gets another name.
const FORM: &str = "weft-right/1";
/// The member of an event's details that holds the signature under the others.
const SIGNED: &str = "signed";
/// How far the clock may go back between two changes.
const SKEW: Duration = Duration::from_secs(3_600);

/// A node's signature.
#[derive(Debug, Serialize, Deserialize)]
struct Signed {
    /// DER in base64.
    certificate: String,
    seal: String,
}

/// The last of the changes, to which the next one is bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chain {
    /// How many there were.
    length: u64,
    /// The digest of what was signed last.
    last: [u8; 32],
    at: Option<SystemTime>,
}

/// Signs changes of rights, and knows what it has signed.
#[derive(Debug)]
pub(super) struct Signer {
    node: Identity,
    ca: MeshCa,
}

impl Signer {
    /// For `node`.
    ///
    /// # Errors
    /// If the mesh's CA cannot be read.
    pub(super) fn new(node: Identity) -> Result<Self, Error> {
        let ca = MeshCa::from_pem(node.ca_pem())?;
        Ok(Self { node, ca })
    }

    /// `event` with this node's signature under it as the next one of `chain`, and the chain with it.
    ///
    /// # Errors
    /// If the key cannot be used, or if the signature would not count afterwards: the node's clock or its
    /// certificate is not in order.
    pub(super) fn sign(&self, chain: &Chain, event: Event) -> Result<(Event, Chain), Error> {
        let signed = Signed {
            certificate: URL_SAFE_NO_PAD.encode(self.node.certificate_der()),
            seal: self.node.seal(&statement(chain, &event))?,
        };
        let signed = serde_json::to_value(signed).map_err(|error| {
            let message = "a signature cannot be written";
            Error::new(ErrorKind::Internal, code::INTERNAL, message).caused_by(error)
        })?;
        let mut event = event;
        if let Some(members) = event.details.as_object_mut() {
            members.insert(SIGNED.to_owned(), signed);
        }
        match self.check(chain, &event) {
            Some(longer) => Ok((event, longer)),
            None => Err(not_now()),
        }
    }

    /// The `chain` with `event`, if this node signed it as the next one while its certificate was valid.
    pub(super) fn check(&self, chain: &Chain, event: &Event) -> Option<Chain> {
        let mut bare = event.clone();
        let signed = bare.details.as_object_mut()?.remove(SIGNED)?;
        let Signed { certificate, seal } = serde_json::from_value(signed).ok()?;
        let certificate = URL_SAFE_NO_PAD.decode(certificate).ok()?;
        let peer = self.ca.certified(&certificate, event.at).ok()?;
        let expected = statement(chain, &bare);
        let earliest = chain.at.and_then(|at| at.checked_sub(SKEW));
        let counts = peer.server == *self.node.id()
            && earliest.is_none_or(|earliest| earliest <= event.at)
            && peer.sealed(&seal).is_ok_and(|it| it == expected);
        counts.then(|| Chain {
            length: chain.length + 1,
            last: sha256(expected.as_bytes()),
            at: chain.at.max(Some(event.at)),
        })
    }
}

/// The text that stands for `event` as the next one of `chain`. No two have the same one.
fn statement(chain: &Chain, event: &Event) -> String {
    let Event {
        at,
        kind,
        principal,
        query: _,
        fragment: _,
        details,
    } = event;
    let (number, last) = (chain.length + 1, hex(&chain.last));
    let at = Timestamp::from(*at).micros();
    let digest = hex(&sha256(details.to_string().as_bytes()));
    let by = principal.as_deref().unwrap_or_default();
    format!("{FORM} {number} {last} {at} {kind} {digest} {by}")
}

fn not_now() -> Error {
    let message = "the node cannot sign a change of rights now";
    Error::new(ErrorKind::Unavailable, code::NOT_AUDITED, message).with_hint(
        "Its clock has gone back, or its certificate is not valid; the operator sees to both.",
    )
}

#[cfg(test)]
mod tests;
