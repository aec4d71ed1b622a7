//! Rights and requests as a fold of the event log.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_governance::{Error, ErrorKind, Grant, code};
use weft_ledger::{Event, EventKind, Ledger, LedgerError, Record};
use weft_sql::govern::{AccessRequest, Govern};
use weft_sql::{Caps, Statement};

use super::signed::{Chain, Signer};

/// The kinds of events that it is made of, and those of the policy above it: all that is signed.
const KINDS: [EventKind; 6] = [
    EventKind::PolicyChanged,
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
    /// What the next change is bound to.
    pub(super) chain: Chain,
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
    /// What `ledger` tells, if `signer` has signed all of it.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if it cannot be read or was changed, `WEFT-INTERNAL` if an event cannot be
    /// understood.
    pub(super) fn of(ledger: &Ledger, signer: &Signer) -> Result<Self, Error> {
        let mut state = Self::default();
        for Record {
            sequence, event, ..
        } in ledger.read_of(&KINDS).map_err(unread)?
        {
            let chain = signer.check(&state.chain, &event);
            state.chain = chain.ok_or_else(|| unsigned(sequence))?;
            state.take(event)?;
        }
        Ok(state)
    }

    /// What the log at `file` tells, which a node may be writing to, whoever signed it.
    ///
    /// # Errors
    /// As [`State::of`].
    pub(super) fn of_file(file: &Path) -> Result<Self, Error> {
        let mut state = Self::default();
        for record in weft_ledger::read_of(file, &KINDS).map_err(unread)? {
            state.take(record.event)?;
        }
        Ok(state)
    }

    fn take(&mut self, event: Event) -> Result<(), Error> {
        let by = event.principal.unwrap_or_default();
        self.enter(event.kind, &by, event.details)
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

fn unsigned(sequence: u64) -> Error {
    let message = format!(
        "record {sequence} of the event log changes rights, and this node has not signed it as the next change"
    );
    Error::new(ErrorKind::Internal, code::NOT_AUDITED, message).with_hint(
        "`weft audit verify` tells what was changed. If the log is another node's, of a mesh with another CA, or \
         from before rights were signed, move `events.db` out of the state folder; what was given in SQL has to \
         be given anew.",
    )
}

fn unread(cause: LedgerError) -> Error {
    let message = "the rights in the event log cannot be read";
    Error::new(ErrorKind::Internal, code::NOT_AUDITED, message).caused_by(cause)
}

pub(super) fn malformed(what: &str) -> Error {
    let message = format!("the event log holds a right that cannot be understood: {what}");
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}
