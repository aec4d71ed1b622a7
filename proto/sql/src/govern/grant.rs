//! GRANT: gives a right.

use std::collections::BTreeSet;
use std::fmt;

use sqlparser::tokenizer::Token;
use weft_governance::{Action, Columns, Error, Grant, Grantee, GroupSize, TableRef};

use super::Govern;
use super::clauses::{Clauses, distinct};
use super::conditions::Conditions;
use super::object::Object;
use super::print::{InParentheses, Name, Separated, To};
use super::purpose;
use super::reader::Reader;
use crate::refusal::{syntax, unsupported};

/// The clauses that may follow the grantee.
const CLAUSES: &str =
    "WHERE, MASK, FOR PURPOSE, FROM, UNTIL, KEYS, FLOW TO, LIMIT or the end of the statement";

/// A right as an owner gives it. On a product it is one on each of its tables.
///
/// ```text
/// GRANT { SELECT [(column, …)] | AGGREGATE ([column, …] MIN GROUP SIZE number) }
///   ON { PRODUCT domain.product | TABLE domain.product.table } TO { USER | GROUP } name
///   [WHERE condition] [MASK (column WITH 'mask', …)] [FOR PURPOSE 'purpose', …]
///   [FROM 'time'] [UNTIL 'time'] [KEYS { NONE | RANGE | BLOOM | LIST }]
///   [FLOW TO { NOWHERE | ANY DOMAIN | DOMAIN name, … }]
///   [LIMIT number { ROWS | BYTES | KB | MB | GB } PER DAY, …]
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewGrant {
    /// What the grantee may do.
    pub action: Action,
    /// With which columns.
    pub columns: Columns,
    /// Of what; a table where columns, rows or masks are named.
    pub on: Object,
    /// Who may.
    pub grantee: Grantee,
    /// What for; empty, for anything.
    pub purposes: BTreeSet<String>,
    /// Under which conditions.
    pub conditions: Conditions,
}

impl NewGrant {
    /// The grant on one table, under the name `id`.
    pub fn on_table(&self, id: impl Into<String>, table: TableRef) -> Grant {
        let Self {
            action,
            columns,
            on: _,
            grantee,
            purposes,
            conditions,
        } = self.clone();
        let Conditions {
            row_filter,
            masks,
            valid_from,
            valid_until,
            key_disclosure,
            flow_to,
            limits,
        } = conditions;
        Grant {
            id: id.into(),
            table,
            grantee,
            action,
            columns,
            row_filter: row_filter.map(|filter| filter.to_string()),
            masks,
            purposes,
            purpose_required: false,
            valid_from,
            valid_until,
            key_disclosure,
            flow_to,
            limits,
        }
    }

    /// What of the grant needs a table and has none.
    pub(super) fn misfit(&self) -> Option<&'static str> {
        let Conditions {
            row_filter, masks, ..
        } = &self.conditions;
        let named = self.columns != Columns::All || row_filter.is_some() || !masks.is_empty();
        match self.on {
            Object::Product(_) if named => {
                Some("columns, WHERE and MASK need a table, and the grant is on a product")
            }
            Object::Product(_) | Object::Table(_) => None,
        }
    }
}

/// Reads what follows GRANT.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<Govern, Error> {
    let (action, columns) = action(reader)?;
    reader.expect("ON")?;
    let on = Object::read(reader)?;
    reader.expect("TO")?;
    let grantee = grantee(reader, "USER or GROUP after TO")?;
    let mut purposes = BTreeSet::new();
    let mut conditions = Conditions::default();
    let mut clauses = Clauses::default();
    while !reader.is_at_end() {
        if let Some(named) = purpose::take(reader, &mut clauses)? {
            purposes = named;
        } else if !conditions.take(reader, &mut clauses)? {
            return Err(reader.expected(CLAUSES));
        }
    }
    let grant = NewGrant {
        action,
        columns,
        on,
        grantee,
        purposes,
        conditions,
    };
    match grant.misfit() {
        Some(message) => Err(syntax(message)
            .with_hint("Write one GRANT for each table: `ON TABLE sales.orders.orders`.")),
        None => Ok(Govern::Grant(grant)),
    }
}

fn action(reader: &mut Reader<'_, '_>) -> Result<(Action, Columns), Error> {
    if reader.take("SELECT") {
        Ok((Action::Select, columns(reader)?))
    } else if reader.take("AGGREGATE") {
        reader.parenthesized(aggregate)
    } else {
        Err(unsupported(
            "the mesh is read-only: GRANT gives SELECT or AGGREGATE, and nothing else",
        ))
    }
}

fn aggregate(reader: &mut Reader<'_, '_>) -> Result<(Action, Columns), Error> {
    let columns = match reader.is_at("MIN GROUP SIZE") {
        true => Columns::All,
        false => only(reader)?,
    };
    reader.expect("MIN GROUP SIZE")?;
    let rows = reader.number("a number of rows")?;
    let min_group_size = GroupSize::try_from(rows).map_err(|error| syntax(error.to_string()))?;
    Ok((Action::Aggregate { min_group_size }, columns))
}

/// Reads columns in parentheses; without them, all are meant.
pub(super) fn columns(reader: &mut Reader<'_, '_>) -> Result<Columns, Error> {
    match reader.is_at_symbol(&Token::LParen) {
        true => reader.parenthesized(only),
        false => Ok(Columns::All),
    }
}

fn only(reader: &mut Reader<'_, '_>) -> Result<Columns, Error> {
    let names = reader.list(|reader| reader.name("a column"))?;
    distinct("the column", names).map(Columns::Only)
}

/// Reads USER or GROUP and the name.
pub(super) fn grantee(reader: &mut Reader<'_, '_>, expected: &str) -> Result<Grantee, Error> {
    if reader.take("USER") {
        reader.name("a user").map(Grantee::User)
    } else if reader.take("GROUP") {
        reader.name("a group").map(Grantee::Group)
    } else {
        Err(reader.expected(expected))
    }
}

impl fmt::Display for NewGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            action,
            columns,
            on,
            grantee,
            purposes,
            conditions,
        } = self;
        f.write_str("GRANT ")?;
        match action {
            Action::Select => write!(f, "SELECT{}", InParentheses(columns))?,
            Action::Aggregate { min_group_size } => {
                f.write_str("AGGREGATE (")?;
                if let Columns::Only(names) = columns {
                    write!(f, "{} ", Separated(|| names.iter().map(|name| Name(name))))?;
                }
                write!(f, "MIN GROUP SIZE {min_group_size})")?;
            }
        }
        write!(f, " ON {on} TO {}", To(grantee))?;
        purpose::print(purposes, f)?;
        conditions.fmt(f)
    }
}
