//! Under which conditions a right is given.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use weft_governance::{DomainId, Error, FlowTo, KeyDisclosure, Limits, Mask, Timestamp};

use super::clauses::{Clauses, distinct};
use super::limits;
use super::print::{Name, Separated};
use super::reader::Reader;
use super::row_filter::RowFilter;
use crate::refusal::syntax;

/// What narrows a right. What is absent narrows nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions {
    /// WHERE: only rows for which this is true.
    pub row_filter: Option<RowFilter>,
    /// MASK: how columns are masked, by column name.
    pub masks: BTreeMap<String, Mask>,
    /// FROM: the first moment at which it holds.
    pub valid_from: Option<Timestamp>,
    /// UNTIL: the first moment at which it no longer holds; after `valid_from`.
    pub valid_until: Option<Timestamp>,
    /// KEYS: what of the columns may travel as join keys.
    pub key_disclosure: Option<KeyDisclosure>,
    /// FLOW TO: where rows may flow.
    pub flow_to: Option<FlowTo>,
    /// LIMIT: how much may be read.
    pub limits: Limits,
}

impl Conditions {
    /// Reads one clause, if one comes next.
    pub(super) fn take(
        &mut self,
        reader: &mut Reader<'_, '_>,
        clauses: &mut Clauses,
    ) -> Result<bool, Error> {
        if clauses.take(reader, "WHERE")? {
            self.row_filter = Some(RowFilter::new(reader.expression()?)?);
        } else if clauses.take(reader, "MASK")? {
            self.masks = masks(reader)?;
        } else if clauses.take(reader, "FROM")? {
            self.valid_from = Some(reader.parsed("a time")?);
            self.check()?;
        } else if clauses.take(reader, "UNTIL")? {
            self.valid_until = Some(reader.parsed("a time")?);
            self.check()?;
        } else if clauses.take(reader, "KEYS")? {
            self.key_disclosure = Some(keys(reader)?);
        } else if clauses.take(reader, "FLOW TO")? {
            self.flow_to = Some(flow_to(reader)?);
        } else if clauses.take(reader, "LIMIT")? {
            self.limits = limits::read(reader)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn check(&self) -> Result<(), Error> {
        self.misfit().map_or(Ok(()), |message| Err(syntax(message)))
    }

    /// What of the conditions contradicts itself.
    pub(super) fn misfit(&self) -> Option<String> {
        let (from, until) = self.valid_from.zip(self.valid_until)?;
        (from >= until).then(|| format!("FROM {from} is not before UNTIL {until}"))
    }
}

fn masks(reader: &mut Reader<'_, '_>) -> Result<BTreeMap<String, Mask>, Error> {
    let masks = reader.parenthesized(|reader| {
        reader.list(|reader| {
            let column = reader.name("a column")?;
            reader.expect("WITH")?;
            Ok((column, reader.parsed("a mask")?))
        })
    })?;
    let columns = masks.iter().map(|(column, _)| column).collect();
    let _: BTreeSet<&String> = distinct("the masked column", columns)?;
    Ok(masks.into_iter().collect())
}

const KEYS: [(&str, KeyDisclosure); 4] = [
    ("NONE", KeyDisclosure::None),
    ("RANGE", KeyDisclosure::Range),
    ("BLOOM", KeyDisclosure::Bloom),
    ("LIST", KeyDisclosure::List),
];

fn keys(reader: &mut Reader<'_, '_>) -> Result<KeyDisclosure, Error> {
    let found = KEYS.iter().find(|(word, _)| reader.take(word));
    found
        .map(|(_, disclosure)| *disclosure)
        .ok_or_else(|| reader.expected("NONE, RANGE, BLOOM or LIST after KEYS"))
}

fn flow_to(reader: &mut Reader<'_, '_>) -> Result<FlowTo, Error> {
    if reader.take("NOWHERE") {
        return Ok(FlowTo::Nowhere);
    }
    if reader.take("ANY DOMAIN") {
        return Ok(FlowTo::Anywhere);
    }
    if !reader.take("DOMAIN") {
        return Err(reader.expected("NOWHERE, ANY DOMAIN, or DOMAIN and names after FLOW TO"));
    }
    let domains: Vec<DomainId> = reader.list(|reader| {
        let name = reader.name("a domain")?;
        name.parse()
            .map_err(|error: weft_governance::id::InvalidId| syntax(error.to_string()))
    })?;
    distinct("the domain", domains).map(FlowTo::Domains)
}

/// Each clause with a space before it, in the order of the fields.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            row_filter,
            masks,
            valid_from,
            valid_until,
            key_disclosure,
            flow_to,
            limits,
        } = self;
        if let Some(filter) = row_filter {
            write!(f, " WHERE {filter}")?;
        }
        if !masks.is_empty() {
            let masked = Separated(|| {
                masks.iter().map(|(column, mask)| {
                    fmt::from_fn(move |f| write!(f, "{} WITH '{mask}'", Name(column)))
                })
            });
            write!(f, " MASK ({masked})")?;
        }
        if let Some(from) = valid_from {
            write!(f, " FROM '{from}'")?;
        }
        if let Some(until) = valid_until {
            write!(f, " UNTIL '{until}'")?;
        }
        if let Some(disclosure) = key_disclosure {
            write!(f, " KEYS {}", disclosure.to_string().to_uppercase())?;
        }
        match flow_to {
            None => {}
            Some(FlowTo::Nowhere) => f.write_str(" FLOW TO NOWHERE")?,
            Some(FlowTo::Anywhere) => f.write_str(" FLOW TO ANY DOMAIN")?,
            Some(FlowTo::Domains(domains)) => {
                let names = Separated(|| domains.iter().map(|domain| Name(domain.as_str())));
                write!(f, " FLOW TO DOMAIN {names}")?;
            }
        }
        limits::print(limits, f)
    }
}
