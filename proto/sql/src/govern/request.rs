//! REQUEST ACCESS: asks for a right. APPROVE and REJECT: the owner's answer.

use std::collections::BTreeSet;
use std::fmt;

use weft_governance::{Action, Columns, Error, ErrorKind, Grantee, Timestamp, code};

use super::Govern;
use super::clauses::Clauses;
use super::conditions::Conditions;
use super::grant::{NewGrant, columns};
use super::object::Object;
use super::print::{InParentheses, Text};
use super::purpose;
use super::reader::Reader;
use crate::refusal::syntax;

/// What somebody asks an owner for.
///
/// ```text
/// REQUEST ACCESS TO { domain.product | domain.product.table [(column, …)] }
///   FOR PURPOSE 'purpose', … UNTIL 'time' BECAUSE 'reason'
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    /// Access to what; a table where columns are named.
    pub on: Object,
    /// To which columns.
    pub columns: Columns,
    /// What for; at least one.
    pub purposes: BTreeSet<String>,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// An owner's consent to a request.
///
/// ```text
/// APPROVE REQUEST 'id' [WITH [(column, …)] [WHERE …] [MASK …] [FROM …] [UNTIL …] [KEYS …]
///   [FLOW TO …] [LIMIT …]]
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// The request's id.
    pub request: String,
    /// Only these of the columns asked for.
    pub columns: Columns,
    /// What narrows the right beyond the request.
    pub conditions: Conditions,
}

impl Approval {
    /// What `grantee` is given by this answer to `request`.
    ///
    /// # Errors
    /// `WEFT-PLAN` if it is more than was asked for, or does not fit it.
    pub fn grant(&self, request: &AccessRequest, grantee: Grantee) -> Result<NewGrant, Error> {
        let given = NewGrant {
            action: Action::Select,
            columns: self.columns_of(request)?,
            on: request.on.clone(),
            grantee,
            purposes: request.purposes.clone(),
            conditions: self.conditions_of(request)?,
        };
        match given.misfit() {
            Some(message) => Err(unfitting(message)),
            None => Ok(given),
        }
    }

    fn columns_of(&self, request: &AccessRequest) -> Result<Columns, Error> {
        let Columns::Only(narrower) = &self.columns else {
            return Ok(request.columns.clone());
        };
        match narrower.iter().find(|it| !request.columns.contains(it)) {
            Some(column) => Err(unfitting(format!("column `{column}` was not asked for"))),
            None => Ok(self.columns.clone()),
        }
    }

    fn conditions_of(&self, request: &AccessRequest) -> Result<Conditions, Error> {
        let asked = request.until;
        let until = self.conditions.valid_until.unwrap_or(asked);
        if until > asked {
            return Err(unfitting(format!(
                "access was asked for until {asked}, and is given until {until}"
            )));
        }
        let conditions = Conditions {
            valid_until: Some(until),
            ..self.conditions.clone()
        };
        match conditions.misfit() {
            Some(message) => Err(unfitting(message)),
            None => Ok(conditions),
        }
    }
}

fn unfitting(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, code::PLAN, message).with_hint(
        "An approval gives what was asked for or less; to give something else, write GRANT.",
    )
}

/// Reads what follows REQUEST.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<Govern, Error> {
    reader.expect("ACCESS TO")?;
    let on = Object::read_bare(reader)?;
    let columns = columns(reader)?;
    if columns != Columns::All && matches!(on, Object::Product(_)) {
        return Err(syntax(format!(
            "columns need a table, and `{}` is a product",
            on.bare()
        )));
    }
    let mut clauses = Clauses::default();
    let (mut purposes, mut until, mut reason) = (None, None, None);
    while !reader.is_at_end() {
        if let Some(named) = purpose::take(reader, &mut clauses)? {
            purposes = Some(named);
        } else if clauses.take(reader, "UNTIL")? {
            until = Some(reader.parsed("a time")?);
        } else if clauses.take(reader, "BECAUSE")? {
            reason = Some(reader.text("a reason")?);
        } else {
            return Err(reader.expected("FOR PURPOSE, UNTIL, BECAUSE or the end of the statement"));
        }
    }
    let missing = |clause: &str| syntax(format!("the request has no {clause}"));
    Ok(Govern::Request(AccessRequest {
        on,
        columns,
        purposes: purposes.ok_or_else(|| missing("FOR PURPOSE"))?,
        until: until.ok_or_else(|| missing("UNTIL"))?,
        reason: reason.ok_or_else(|| missing("BECAUSE"))?,
    }))
}

/// Reads what follows APPROVE.
pub(super) fn approve(reader: &mut Reader<'_, '_>) -> Result<Govern, Error> {
    let request = id(reader)?;
    let mut approval = Approval {
        request,
        columns: Columns::All,
        conditions: Conditions::default(),
    };
    if !reader.take("WITH") {
        return Ok(Govern::Approve(approval));
    }
    let mut clauses = Clauses::default();
    approval.columns = columns(reader)?;
    while !reader.is_at_end() {
        if reader.is_at("FOR PURPOSE") || reader.is_at("FOR PURPOSES") {
            return Err(syntax(
                "an approval is for the purposes of its request, and names none itself",
            ));
        }
        if !approval.conditions.take(reader, &mut clauses)? {
            return Err(reader.expected(
                "WHERE, MASK, FROM, UNTIL, KEYS, FLOW TO, LIMIT or the end of the statement",
            ));
        }
    }
    if approval.columns == Columns::All && clauses.is_empty() {
        return Err(reader.expected("columns or conditions after WITH"));
    }
    Ok(Govern::Approve(approval))
}

/// Reads what follows REJECT.
pub(super) fn reject(reader: &mut Reader<'_, '_>) -> Result<Govern, Error> {
    let request = id(reader)?;
    reader.expect("BECAUSE")?;
    let reason = reader.text("a reason")?;
    Ok(Govern::Reject { request, reason })
}

fn id(reader: &mut Reader<'_, '_>) -> Result<String, Error> {
    reader.expect("REQUEST")?;
    reader.text("a request's id")
}

impl fmt::Display for AccessRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            on,
            columns,
            purposes,
            until,
            reason,
        } = self;
        let (on, columns) = (on.bare(), InParentheses(columns));
        write!(f, "REQUEST ACCESS TO {on}{columns}")?;
        purpose::print(purposes, f)?;
        write!(f, " UNTIL '{until}' BECAUSE {}", Text(reason))
    }
}

impl fmt::Display for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            request,
            columns,
            conditions,
        } = self;
        write!(f, "APPROVE REQUEST {}", Text(request))?;
        if *columns == Columns::All && *conditions == Conditions::default() {
            return Ok(());
        }
        write!(f, " WITH{}{conditions}", InParentheses(columns))
    }
}
