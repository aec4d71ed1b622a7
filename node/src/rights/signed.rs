//! Rights in the event log, signed by the domain: who can write to the file and does not have the key of
//! a node of the domain can give nobody anything.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_governance::{DomainId, Error, ErrorKind, ServerId, code, hex};
use weft_ledger::{Event, EventKind};
use weft_wire::identity::{Identity, MeshCa};
use weft_wire::token::sha256;

/// What a signed statement starts with; another form gets another name.
const FORM: &str = "weft-right/1";
/// The member of an event's details that holds the signature under the others.
const SIGNED: &str = "signed";

/// A node's signature.
#[derive(Debug, Serialize, Deserialize)]
struct Signed {
    /// DER in base64.
    certificate: String,
    seal: String,
}

/// Who signs rights of a domain, and who may have signed them.
#[derive(Debug)]
pub(super) struct Signers {
    node: Identity,
    ca: MeshCa,
    domain: DomainId,
}

impl Signers {
    /// Those of `domain`, of which `node` is one.
    ///
    /// # Errors
    /// If the mesh's CA cannot be read.
    pub(super) fn new(node: Identity, domain: DomainId) -> Result<Self, Error> {
        let ca = MeshCa::from_pem(node.ca_pem())?;
        Ok(Self { node, ca, domain })
    }

    /// `details` with a signature under that `by` did this at this node.
    ///
    /// # Errors
    /// If the node's key cannot be used.
    pub(super) fn sign(
        &self,
        kind: EventKind,
        by: &str,
        mut details: Value,
    ) -> Result<Value, Error> {
        let signed = Signed {
            certificate: URL_SAFE_NO_PAD.encode(self.node.certificate_der()),
            seal: self.node.seal(&statement(kind, by, &details))?,
        };
        let signed = serde_json::to_value(signed).map_err(|error| {
            let message = "a signature cannot be written";
            Error::new(ErrorKind::Internal, code::INTERNAL, message).caused_by(error)
        })?;
        if let Some(members) = details.as_object_mut() {
            members.insert(SIGNED.to_owned(), signed);
        }
        Ok(details)
    }

    /// Whether a node of the domain signed `event`, with a certificate that was valid then.
    pub(super) fn have_signed(&self, event: &Event) -> bool {
        let by = event.principal.as_deref().unwrap_or_default();
        let mut details = event.details.clone();
        let signed = details.as_object_mut().and_then(|it| it.remove(SIGNED));
        let signed = signed.and_then(|it| serde_json::from_value::<Signed>(it).ok());
        signed.is_some_and(|signed| {
            let expected = statement(event.kind, by, &details);
            self.sealed(&signed, event.at)
                .is_ok_and(|it| it == expected)
        })
    }

    /// What a node of the domain put its seal under at the time `at`.
    fn sealed(&self, signed: &Signed, at: SystemTime) -> Result<String, Error> {
        let foreign = || {
            let message = "another server signed it";
            Error::new(ErrorKind::Unauthenticated, code::UNAUTHENTICATED, message)
        };
        let certificate = URL_SAFE_NO_PAD.decode(&signed.certificate);
        let peer = self
            .ca
            .certified(&certificate.map_err(|_| foreign())?, at)?;
        match &peer.server {
            ServerId::Node { domain, .. } if *domain == self.domain => peer.sealed(&signed.seal),
            _ => Err(foreign()),
        }
    }
}

/// The text that stands for a change of rights. No two have the same one.
fn statement(kind: EventKind, by: &str, details: &Value) -> String {
    let digest = hex(&sha256(details.to_string().as_bytes()));
    format!("{FORM} {kind} {digest} {by}")
}
