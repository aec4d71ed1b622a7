//! Grants as the owner writes them, checked against what the node serves.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;
use weft_governance::{Columns, FlowTo, Grant, Grantee, KeyDisclosure, Mask, Timestamp};

use super::check::nearest;
use crate::product::{Product, Table};
use crate::settings::GrantSettings;

/// Why a grant cannot be in force. `number` counts the grants of the configuration from 1.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("grant {number}: {reason}")]
pub(crate) struct GrantProblem {
    /// Which grant.
    pub number: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// The grants of `settings` on the tables of `products`. A grant on a product becomes one on each
/// of its tables.
///
/// # Errors
/// All problems at once; with any, no grant is in force.
pub(crate) fn grants(
    settings: &[GrantSettings],
    products: &[Product],
) -> Result<Vec<Grant>, Vec<GrantProblem>> {
    let mut granted = Vec::new();
    let mut problems = Vec::new();
    for (index, setting) in settings.iter().enumerate() {
        let number = index + 1;
        match expand(number, setting, products) {
            Ok(grants) => granted.extend(grants),
            Err(reason) => problems.push(GrantProblem { number, reason }),
        }
    }
    if problems.is_empty() {
        Ok(granted)
    } else {
        Err(problems)
    }
}

fn expand(
    number: usize,
    setting: &GrantSettings,
    products: &[Product],
) -> Result<Vec<Grant>, String> {
    let GrantSettings {
        user,
        group,
        product,
        table,
        columns,
        row_filter,
        masks,
        purposes,
        valid_from,
        valid_until,
        key_disclosure,
        flow_to,
    } = setting;
    let grantee = match (user, group) {
        (Some(user), None) => Grantee::User(user.clone()),
        (None, Some(group)) => Grantee::Group(group.clone()),
        (Some(_), Some(_)) => return Err("it names a user and a group; name one".to_owned()),
        (None, None) => return Err("it names neither `user` nor `group`".to_owned()),
    };
    let key_disclosure = key_disclosure
        .as_deref()
        .map(str::parse::<KeyDisclosure>)
        .transpose()
        .map_err(|error| error.to_string())?;
    if purposes.iter().any(|purpose| purpose.trim().is_empty()) {
        return Err("`purposes` holds an empty one; leave it out to grant for any".to_owned());
    }
    let valid_from = moment("valid_from", valid_from.as_deref())?;
    let valid_until = moment("valid_until", valid_until.as_deref())?;
    let flow_to = flow_to.as_deref().map(domains).transpose()?;
    let names = products.iter().map(|product| product.reference.product());
    let found = products
        .iter()
        .find(|known| known.reference.product() == product)
        .ok_or_else(|| unknown("product", product, names))?;
    let narrowed = columns.is_some() || row_filter.is_some() || !masks.is_empty();
    let tables: Vec<&Table> = match table {
        None if narrowed => {
            return Err("`columns`, `row_filter` and `masks` need a `table`".to_owned());
        }
        None => found.tables.iter().collect(),
        Some(table) => {
            let names = found.tables.iter().map(|table| table.reference.table());
            let only = found
                .tables
                .iter()
                .find(|known| known.reference.table() == table);
            vec![only.ok_or_else(|| unknown("table", table, names))?]
        }
    };
    tables
        .into_iter()
        .map(|table| {
            let id = format!("config-{number}");
            Ok(Grant {
                columns: only_columns(columns.as_deref(), table)?,
                row_filter: row_filter.clone(),
                masks: column_masks(masks, table)?,
                purposes: purposes.iter().cloned().collect(),
                valid_from,
                valid_until,
                key_disclosure,
                flow_to: flow_to.clone(),
                ..Grant::new(id, table.reference.clone(), grantee.clone())
            })
        })
        .collect()
}

fn moment(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, String> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error| format!("`{name}`: {error}"))
}

fn domains(names: &[String]) -> Result<FlowTo, String> {
    if names == ["*"] {
        return Ok(FlowTo::Anywhere);
    }
    let domain = |name: &String| {
        let parsed = name.parse();
        parsed.map_err(|error| format!("`flow_to` names no domain: {error}"))
    };
    names
        .iter()
        .map(domain)
        .collect::<Result<_, String>>()
        .map(FlowTo::Domains)
}

fn only_columns(columns: Option<&[String]>, table: &Table) -> Result<Columns, String> {
    let Some(columns) = columns else {
        return Ok(Columns::All);
    };
    if columns.is_empty() {
        return Err("`columns` is empty; leave it out to grant all".to_owned());
    }
    let checked: Result<BTreeSet<String>, String> = columns
        .iter()
        .map(|column| known_column(column, table))
        .collect();
    checked.map(Columns::Only)
}

fn column_masks(
    masks: &BTreeMap<String, String>,
    table: &Table,
) -> Result<BTreeMap<String, Mask>, String> {
    masks
        .iter()
        .map(|(column, mask)| {
            let mask = mask
                .parse()
                .map_err(|error: weft_governance::grant::UnknownMask| error.to_string())?;
            Ok((known_column(column, table)?, mask))
        })
        .collect()
}

fn known_column(column: &str, table: &Table) -> Result<String, String> {
    let names = table
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str());
    match table.schema.field_with_name(column) {
        Ok(_) => Ok(column.to_owned()),
        Err(_) => Err(unknown("column", column, names)),
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(nearest) => format!("there is no {what} `{name}`; the nearest is `{nearest}`"),
        None => format!("there is no {what} `{name}`"),
    }
}
