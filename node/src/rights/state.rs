//! Rights and requests as a fold of the event log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::error;
use weft_governance::{Error, ErrorKind, Grant, code};
use weft_ledger::{Event, EventKind, Ledger, LedgerError, Record};
use weft_sql::govern::{AccessRequest, Govern};
use weft_sql::{Caps, Statement};

use super::signed::Signers;

/// The kinds of events that it is made of.
const KINDS: [EventKind; 5] = [
    EventKind::Granted,
    EventKind::GrantRevoked,
    EventKind::Requested,
    EventKind::Approved,
    EventKind::Rejected,
];

/// What the log tells so far.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// Grants that were given and not taken back, by id.
    pub(super) given: BTreeMap<String, Vec<Grant>>,
    /// Every request, by id.
    pub(super) requests: BTreeMap<String, Request>,
}

/// Somebody's wish for a right.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The subject who asks.
    pub(super) by: String,
    pub(super) asked: AccessRequest,
    pub(super) answer: Option<Answer>,
}

/// An owner's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Yes: this grant.
    Given(String),
    /// No, and why.
    Refused(String),
}

/// What the log keeps of each event, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Given {
    pub(super) id: String,
    pub(super) statement: String,
    pub(super) grants: Vec<Grant>,
}

/// A grant that was taken back, or a request that was made.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) statement: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Approved {
    pub(super) request: String,
    pub(super) given: Given,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Rejected {
    pub(super) request: String,
    pub(super) statement: String,
    pub(super) reason: String,
}

impl State {
    /// What `ledger` tells. Rights that `signers` have not signed are left out.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if it cannot be read, `WEFT-INTERNAL` if an event cannot be understood.
    pub(super) fn of(ledger: &Ledger, signers: &Signers) -> Result<Self, Error> {
        let records = ledger.read_of(&KINDS).map_err(unread)?;
        Self::told_by(records, |event| signers.have_signed(event))
    }

    /// What the log at `file` tells, which a node may be writing to, whoever signed it.
    ///
    /// # Errors
    /// As [`State::of`].
    pub(super) fn of_file(file: &Path) -> Result<Self, Error> {
        let records = weft_ledger::read_of(file, &KINDS).map_err(unread)?;
        Self::told_by(records, |_| true)
    }

    fn told_by(records: Vec<Record>, is_signed: impl Fn(&Event) -> bool) -> Result<Self, Error> {
        let mut state = Self::default();
        let mut given = BTreeSet::new();
        for Record {
            sequence, event, ..
        } in records
        {
            // What takes a right away holds whoever wrote it.
            let gives = matches!(event.kind, EventKind::Granted | EventKind::Approved);
            if gives && !(is_signed(&event) && given.insert(grant_of(&event.details))) {
                // A signature holds once: the right may have been taken back since.
                error!(
                    sequence,
                    "a right that no node of the domain signed here is not in force"
                );
                continue;
            }
            let by = event.principal.unwrap_or_default();
            state.enter(event.kind, &by, event.details)?;
        }
        Ok(state)
    }

    /// Takes one event in.
    ///
    /// # Errors
    /// `WEFT-INTERNAL` if it cannot be understood.
    pub(super) fn enter(&mut self, kind: EventKind, by: &str, details: Value) -> Result<(), Error> {
        match kind {
            EventKind::Granted => {
                let Given { id, grants, .. } = read(details)?;
                self.given.insert(id, grants);
            }
            EventKind::GrantRevoked => {
                let Named { id, .. } = read(details)?;
                self.given.remove(&id);
            }
            EventKind::Requested => {
                let Named { id, statement } = read(details)?;
                let request = Request {
                    by: by.to_owned(),
                    asked: asked(&statement)?,
                    answer: None,
                };
                self.requests.insert(id, request);
            }
            EventKind::Approved => {
                let Approved { request, given } = read(details)?;
                self.answer(&request, Answer::Given(given.id.clone()))?;
                self.given.insert(given.id, given.grants);
            }
            EventKind::Rejected => {
                let Rejected {
                    request, reason, ..
                } = read(details)?;
                self.answer(&request, Answer::Refused(reason))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn answer(&mut self, request: &str, answer: Answer) -> Result<(), Error> {
        let open = self
            .requests
            .get_mut(request)
            .filter(|it| it.answer.is_none());
        let request = open.ok_or_else(|| malformed("an answer to no open request"))?;
        request.answer = Some(answer);
        Ok(())
    }
}

/// The id of the grant that was given.
fn grant_of(details: &Value) -> Option<String> {
    let id = details.get("id").or(details.pointer("/given/id"))?;
    id.as_str().map(str::to_owned)
}

fn read<T: for<'a> Deserialize<'a>>(details: Value) -> Result<T, Error> {
    serde_json::from_value(details).map_err(|error| malformed(&error.to_string()))
}

fn asked(statement: &str) -> Result<AccessRequest, Error> {
    match weft_sql::parse(statement, &Caps::default())? {
        Statement::Govern(statement) => match *statement {
            Govern::Request(request) => Ok(request),
            _ => Err(malformed("a request that asks for nothing")),
        },
        _ => Err(malformed("a request that asks for nothing")),
    }
}

fn unread(cause: LedgerError) -> Error {
    let message = "the rights in the event log cannot be read";
    Error::new(ErrorKind::Internal, code::NOT_AUDITED, message).caused_by(cause)
}

pub(super) fn malformed(what: &str) -> Error {
    let message = format!("the event log holds a right that cannot be understood: {what}");
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}
