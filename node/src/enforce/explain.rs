//! What the gate would say, column by column, without opening it.

use std::collections::BTreeSet;

use weft_governance::{Asker, Decision, Denial, Error, Obligations, TableAccess, TableRef};
use weft_wire::rpc::node::ColumnAccess;

use super::gate::refusal;
use super::policy::Policy;

/// What `asker` would see of each column of `access`, if all were read together. What is not granted is
/// told alike whether it is there or not.
pub(crate) fn explain(
    policy: &Policy,
    asker: &Asker<'_>,
    access: &TableAccess,
) -> Vec<ColumnAccess> {
    match decide(policy, asker, access) {
        Decision::Allow(duties) => {
            let columns = access.columns.iter().map(|column| Some(column.as_str()));
            let columns: Vec<_> = match access.columns.is_empty() {
                true => vec![None],
                false => columns.collect(),
            };
            let shown = columns.into_iter();
            shown
                .map(|column| allowed(&access.table, column, &duties))
                .collect()
        }
        Decision::Deny(denial) if access.columns.is_empty() => {
            vec![denied(policy, asker, access, None, denial)]
        }
        Decision::Deny(denial) => access
            .columns
            .iter()
            .map(|column| {
                let alone = TableAccess {
                    table: access.table.clone(),
                    columns: BTreeSet::from([column.clone()]),
                };
                match (&denial, decide(policy, asker, &alone)) {
                    (Denial::ColumnsNotGranted(missing), Decision::Allow(duties))
                        if !missing.contains(column) =>
                    {
                        allowed(&access.table, Some(column), &duties)
                    }
                    _ => denied(policy, asker, access, Some(column), denial.clone()),
                }
            })
            .collect(),
    }
}

/// What `asker` would see of each of `columns`, read alone; without any, of how many rows there are.
pub(crate) fn explain_each(
    policy: &Policy,
    asker: &Asker<'_>,
    table: &TableRef,
    columns: &[&str],
) -> Vec<ColumnAccess> {
    let access = |columns| TableAccess {
        table: table.clone(),
        columns,
    };
    if columns.is_empty() {
        return explain(policy, asker, &access(BTreeSet::new()));
    }
    let alone = |column: &&str| access(BTreeSet::from([(*column).to_owned()]));
    let explained = columns.iter().map(alone);
    explained
        .flat_map(|access| explain(policy, asker, &access))
        .collect()
}

fn decide(policy: &Policy, asker: &Asker<'_>, access: &TableAccess) -> Decision {
    let known = policy.guarded(&access.table);
    let is_column = |column: &String| {
        let schema = known.map(|known| &known.table.schema);
        schema.is_some_and(|schema| schema.field_with_name(column).is_ok())
    };
    let missing = access.columns.iter().filter(|column| !is_column(column));
    let missing: Vec<String> = missing.cloned().collect();
    match policy.decide_rows_or_groups(asker, access) {
        // A grant of all columns covers every name.
        Decision::Allow(_) if !missing.is_empty() => {
            Decision::Deny(Denial::ColumnsNotGranted(missing))
        }
        decided => decided,
    }
}

fn allowed(table: &TableRef, column: Option<&str>, duties: &Obligations) -> ColumnAccess {
    let mask = column.and_then(|column| duties.masks.get(column));
    let access = if mask.is_some() {
        "masked"
    } else if duties.min_group_size.is_some() {
        "grouped"
    } else if duties.row_filter.is_some() {
        "filtered"
    } else {
        "allowed"
    };
    ColumnAccess {
        table: table.to_string(),
        column: column.map(str::to_owned),
        access: access.to_owned(),
        grant: Some(duties.grant.clone()),
        row_filter: duties.row_filter.clone(),
        mask: mask.map(ToString::to_string),
        min_group_size: duties.min_group_size.map(|size| size.get()),
        reason: None,
        help: None,
    }
}

fn denied(
    policy: &Policy,
    asker: &Asker<'_>,
    access: &TableAccess,
    column: Option<&str>,
    denial: Denial,
) -> ColumnAccess {
    let (table, who) = (&access.table, asker.principal);
    let asks = |columns: &str| {
        format!("REQUEST ACCESS TO {table}{columns} FOR PURPOSE '…' UNTIL 'YYYY-MM-DD' BECAUSE '…'")
    };
    let (reason, help) = match (&denial, column) {
        (Denial::ColumnsNotGranted(_), Some(column)) => (
            format!("`{column}` is not granted to `{who}`, or is no column of it"),
            asks(&format!(" ({column})")),
        ),
        _ => {
            let refused: Error = refusal(policy, asker, access, denial.clone());
            let help = match denial {
                Denial::NotGranted if refused.hint().is_some() => match column {
                    Some(_) => asks(&format!(
                        " ({})",
                        access
                            .columns
                            .iter()
                            .cloned()
                            .collect::<Vec<_>>()
                            .join(", ")
                    )),
                    None => asks(""),
                },
                _ => refused.hint().unwrap_or_default().to_owned(),
            };
            (refused.message().to_owned(), help)
        }
    };
    ColumnAccess {
        table: table.to_string(),
        column: column.map(str::to_owned),
        access: "denied".to_owned(),
        reason: Some(reason),
        help: Some(help).filter(|help| !help.is_empty()),
        ..ColumnAccess::default()
    }
}
