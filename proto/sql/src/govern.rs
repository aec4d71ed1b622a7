//! Statements about rights: who is granted what, who asks for it, and what was done under it.
//!
//! Owns their grammar and their canonical text, which parses back to the same value: an owner
//! signs that text. Does not know tables, columns or grants; whether a statement fits them is the
//! owner's to say.

mod clauses;
mod conditions;
mod grant;
mod limits;
mod object;
mod print;
mod purpose;
mod readable;
mod reader;
mod request;
mod row_filter;
mod show;

use std::fmt;

use sqlparser::parser::Parser;
use weft_governance::{Error, Grantee, QueryId};

pub use conditions::Conditions;
pub use grant::NewGrant;
pub use object::Object;
pub use request::{AccessRequest, Approval};
pub use row_filter::RowFilter;

use crate::refusal::unsupported;
use print::{Name, Text, To};
use reader::Reader;

/// A statement about rights. Prints its canonical text.
#[derive(Debug, Clone, PartialEq)]
pub enum Govern {
    /// Gives a right.
    Grant(NewGrant),
    /// Takes a right back.
    Revoke {
        /// The grant's id.
        grant: String,
    },
    /// The grants that there are.
    ShowGrants {
        /// Only those on this.
        on: Option<Object>,
        /// Only those to this user or group.
        to: Option<Grantee>,
    },
    /// What a principal may see under all grants together.
    ShowEffectiveAccess {
        /// Of what.
        on: Object,
        /// The principal's subject; absent, the asker.
        principal: Option<String>,
    },
    /// Asks for a right.
    Request(AccessRequest),
    /// The requests that there are.
    ShowRequests,
    /// Gives what was asked for, or less.
    Approve(Approval),
    /// Gives nothing of what was asked for.
    Reject {
        /// The request's id.
        request: String,
        /// Why.
        reason: String,
    },
    /// What the owners wrote down about a query.
    ShowReceipts {
        /// The query.
        query: QueryId,
    },
}

impl Govern {
    /// Whether an owner must sign it: it gives or takes a right, or closes a request.
    pub fn changes_rights(&self) -> bool {
        match self {
            Self::Grant(_) | Self::Revoke { .. } | Self::Approve(_) | Self::Reject { .. } => true,
            Self::ShowGrants { .. }
            | Self::ShowEffectiveAccess { .. }
            | Self::Request(_)
            | Self::ShowRequests
            | Self::ShowReceipts { .. } => false,
        }
    }

    /// The product or table that it names, and with it the owner.
    pub fn object(&self) -> Option<&Object> {
        match self {
            Self::Grant(grant) => Some(&grant.on),
            Self::ShowGrants { on, .. } => on.as_ref(),
            Self::ShowEffectiveAccess { on, .. } => Some(on),
            Self::Request(request) => Some(&request.on),
            Self::Revoke { .. }
            | Self::ShowRequests
            | Self::Approve(_)
            | Self::Reject { .. }
            | Self::ShowReceipts { .. } => None,
        }
    }
}

/// The first words of a statement, how to read what follows them, and how to write it.
struct Form {
    starts: &'static str,
    read: fn(&mut Reader<'_, '_>) -> Result<Govern, Error>,
    hint: &'static str,
}

const FORMS: [Form; 9] = [
    Form {
        starts: "GRANT",
        read: grant::read,
        hint: "Write `GRANT SELECT ON TABLE sales.orders.orders TO GROUP analysts`, or PRODUCT and USER, and then any of WHERE, MASK, FOR PURPOSE, FROM, UNTIL, KEYS, FLOW TO and LIMIT.",
    },
    Form {
        starts: "REVOKE",
        read: revoke,
        hint: "Write `REVOKE GRANT 'id'`; SHOW GRANTS lists the ids.",
    },
    Form {
        starts: "SHOW GRANTS",
        read: show::grants,
        hint: "Write `SHOW GRANTS`, then ON PRODUCT or ON TABLE, and then FOR USER or FOR GROUP, as far as wanted.",
    },
    Form {
        starts: "SHOW EFFECTIVE",
        read: show::effective_access,
        hint: "Write `SHOW EFFECTIVE ACCESS ON TABLE sales.orders.orders FOR PRINCIPAL analyst`, or PRODUCT; without FOR PRINCIPAL it is your own.",
    },
    Form {
        starts: "REQUEST",
        read: request::read,
        hint: "Write `REQUEST ACCESS TO sales.orders FOR PURPOSE 'forecasting' UNTIL '2027-01-01' BECAUSE 'the reason'`; columns in parentheses may follow the name of a table.",
    },
    Form {
        starts: "SHOW REQUESTS",
        read: show::requests,
        hint: "Write `SHOW REQUESTS` alone.",
    },
    Form {
        starts: "APPROVE",
        read: request::approve,
        hint: "Write `APPROVE REQUEST 'id'`; to give less, add WITH and then columns in parentheses or any of WHERE, MASK, FROM, UNTIL, KEYS, FLOW TO and LIMIT.",
    },
    Form {
        starts: "REJECT",
        read: request::reject,
        hint: "Write `REJECT REQUEST 'id' BECAUSE 'the reason'`.",
    },
    Form {
        starts: "SHOW RECEIPTS",
        read: show::receipts,
        hint: "Write `SHOW RECEIPTS FOR QUERY 'id'`.",
    },
];

/// Reads a statement about rights, if the text starts like one.
///
/// # Errors
/// If it starts like one and is none; always with a hint.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<Option<Govern>, Error> {
    let mut reader = Reader::new(parser);
    let Some(form) = FORMS.iter().find(|form| reader.take(form.starts)) else {
        return Ok(None);
    };
    let read = (form.read)(&mut reader).and_then(|statement| {
        reader.end()?;
        Ok(Some(statement))
    });
    read.map_err(|error| match error.hint() {
        Some(_) => error,
        None => error.with_hint(form.hint),
    })
}

fn revoke(reader: &mut Reader<'_, '_>) -> Result<Govern, Error> {
    if !reader.take("GRANT") {
        return Err(unsupported("REVOKE takes back a whole grant, by its id"));
    }
    let grant = reader.text("a grant's id")?;
    Ok(Govern::Revoke { grant })
}

impl fmt::Display for Govern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(grant) => grant.fmt(f),
            Self::Revoke { grant } => write!(f, "REVOKE GRANT {}", Text(grant)),
            Self::ShowGrants { on, to } => {
                f.write_str("SHOW GRANTS")?;
                if let Some(on) = on {
                    write!(f, " ON {on}")?;
                }
                match to {
                    Some(to) => write!(f, " FOR {}", To(to)),
                    None => Ok(()),
                }
            }
            Self::ShowEffectiveAccess { on, principal } => {
                write!(f, "SHOW EFFECTIVE ACCESS ON {on}")?;
                match principal {
                    Some(subject) => write!(f, " FOR PRINCIPAL {}", Name(subject)),
                    None => Ok(()),
                }
            }
            Self::Request(request) => request.fmt(f),
            Self::ShowRequests => f.write_str("SHOW REQUESTS"),
            Self::Approve(approval) => approval.fmt(f),
            Self::Reject { request, reason } => {
                let (request, reason) = (Text(request), Text(reason));
                write!(f, "REJECT REQUEST {request} BECAUSE {reason}")
            }
            Self::ShowReceipts { query } => write!(f, "SHOW RECEIPTS FOR QUERY '{query}'"),
        }
    }
}

#[cfg(test)]
mod tests;
