//! Policies in the event log.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use weft_governance::federated::PolicyHead;
use weft_governance::{DomainId, Error, ErrorKind, Timestamp, code, hex};
use weft_ledger::{EventKind, Ledger, LedgerError, Record};
use weft_wire::token::sha256;

use super::federation;
use crate::enforce::Federation;

/// What the log keeps of a policy, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enacted {
    pub(crate) version: u64,
    pub(crate) mesh: String,
    /// SHA-256 of the document, hexadecimal.
    pub(crate) digest: String,
    /// Whose signatures counted.
    pub(crate) signers: BTreeSet<DomainId>,
    /// The text.
    pub(crate) document: String,
}

/// The newest policy of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) enacted: Enacted,
    /// When the first policy of the log came into force.
    pub(crate) since: Timestamp,
}

impl Enacted {
    pub(super) fn new(head: PolicyHead, document: String, signers: BTreeSet<DomainId>) -> Self {
        let PolicyHead { version, mesh } = head;
        let digest = sha256(document.as_bytes());
        Self {
            version,
            mesh,
            digest: hex(&digest),
            signers,
            document,
        }
    }

    /// # Errors
    /// None that a policy can cause.
    pub(super) fn to_json(&self) -> Result<serde_json::Value, Error> {
        serde_json::to_value(self).map_err(|error| unreadable().caused_by(error))
    }
}

impl Kept {
    /// The newest policy in `ledger`.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if the log cannot be read or holds a policy that cannot be understood.
    pub(crate) fn newest(ledger: &Ledger) -> Result<Option<Self>, Error> {
        let records = ledger.read_of(&[EventKind::PolicyChanged]);
        Self::of(records.map_err(unread)?)
    }

    /// The newest policy in the log at `file`, which a node may be writing to.
    ///
    /// # Errors
    /// As [`Kept::newest`].
    pub(crate) fn newest_in(file: &Path) -> Result<Option<Self>, Error> {
        let records = weft_ledger::read_of(file, &[EventKind::PolicyChanged]);
        Self::of(records.map_err(unread)?)
    }

    /// What it demands.
    pub(crate) fn federation(&self) -> Federation {
        federation(self.enacted.version, &self.enacted.document, self.since)
    }

    fn of(records: Vec<Record>) -> Result<Option<Self>, Error> {
        let since = records.first().map(|first| Timestamp::from(first.event.at));
        let newest = records.into_iter().last();
        let Some((newest, since)) = newest.zip(since) else {
            return Ok(None);
        };
        let enacted = serde_json::from_value(newest.event.details);
        let enacted = enacted.map_err(|error| unreadable().caused_by(error))?;
        Ok(Some(Self { enacted, since }))
    }
}

fn unread(cause: LedgerError) -> Error {
    let message = "the policies in the event log cannot be read";
    Error::new(ErrorKind::Internal, code::NOT_AUDITED, message).caused_by(cause)
}

fn unreadable() -> Error {
    let message = "the event log holds a policy that cannot be understood";
    Error::new(ErrorKind::Internal, code::NOT_AUDITED, message)
}
