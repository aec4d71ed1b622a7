//! `weft policy simulate`: what a policy would change, as rows.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weft_governance::federated::Change;
use weft_governance::{Error, ErrorKind, FederatedPolicy, Mask, Timestamp, code};
use weft_node::{Difference, Simulation};
use weft_wire::policy::PolicyBundle;

use super::{node, text};
use crate::args::PolicySimulateArgs;
use crate::exit::{Exit, note};
use crate::output::{Format, printer};

/// The columns; `column` is NULL where a whole grant changes.
const COLUMNS: [&str; 8] = [
    "table", "grant_id", "grantee", "column", "change", "before", "after", "rules",
];

/// Prints what the policy would change at the nodes whose settings are named.
///
/// # Errors
/// `WEFT-POLICY` if the policy is malformed, `WEFT-SETTINGS` if a file cannot be used.
pub(super) async fn run(args: &PolicySimulateArgs) -> Result<Exit, Error> {
    let policy = policy(&text(&args.policy)?)?;
    let now = Timestamp::from(SystemTime::now());
    let mut rows = Vec::new();
    for config in &args.config {
        let settings = node(config)?.settings.settings()?;
        let simulation = weft_node::simulate(&settings, &policy, now).await?;
        let Simulation {
            in_force,
            grants,
            differences,
            problems,
        } = simulation;
        for problem in problems {
            note(&format!("not looked at: {problem}"));
        }
        let domain = &settings.domain;
        let changed = changed(&differences);
        note(&format!(
            "{domain}: {changed} of {grants} grants would change"
        ));
        if let Some(known) = in_force.filter(|known| policy.version <= *known) {
            note(&format!(
                "{domain}: policy {known} is in force, so that version {} would not be followed",
                policy.version
            ));
        }
        rows.extend(differences);
    }
    let batch = batch(&rows)?;
    let format = args.format.unwrap_or_else(Format::usual);
    let mut printer = printer(format, batch.schema(), Box::new(io::stdout().lock()));
    let printed = printer.batch(&batch).and_then(|()| printer.finish());
    printed.map_err(|error| {
        let message = format!("standard output cannot be written: {error}");
        Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
    })?;
    Ok(Exit::Ok)
}

/// The policy in `text`, be it with signatures or without.
fn policy(text: &str) -> Result<FederatedPolicy, Error> {
    match PolicyBundle::from_json(text) {
        Ok(bundle) => bundle.policy(),
        Err(_) => PolicyBundle::new(text.to_owned()).policy(),
    }
}

fn changed(differences: &[Difference]) -> usize {
    let mut grants: Vec<_> = differences
        .iter()
        .map(|it| (&it.table, &it.grant))
        .collect();
    grants.dedup();
    grants.len()
}

/// One change in words.
struct Told {
    column: Option<String>,
    change: &'static str,
    before: String,
    after: String,
}

fn told(change: &Change) -> Told {
    match change {
        Change::Mask {
            column,
            before,
            after,
        } => Told {
            column: Some(column.clone()),
            change: match (before, after) {
                (None, _) => "masked",
                (Some(_), None) => "unmasked",
                (Some(_), Some(_)) => "masked otherwise",
            },
            before: shown(*before),
            after: shown(*after),
        },
        Change::End { before, after } => {
            let end = |it: &Option<Timestamp>| it.unwrap_or(Timestamp::LATEST);
            Told {
                column: None,
                change: match end(after) < end(before) {
                    true => "ends earlier",
                    false => "ends later",
                },
                before: ended(*before),
                after: ended(*after),
            }
        }
        Change::Purpose { required } => {
            let words = ["any or none", "any that is named"];
            let [before, after] = match required {
                true => words,
                false => [words[1], words[0]],
            };
            Told {
                column: None,
                change: match required {
                    true => "needs a purpose",
                    false => "needs no purpose",
                },
                before: before.to_owned(),
                after: after.to_owned(),
            }
        }
    }
}

fn shown(mask: Option<Mask>) -> String {
    mask.map_or_else(|| "as it is".to_owned(), |mask| mask.to_string())
}

fn ended(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "no end".to_owned(), |at| at.to_string())
}

fn batch(differences: &[Difference]) -> Result<RecordBatch, Error> {
    let row = |difference: &Difference| {
        let Difference {
            table,
            grant,
            grantee,
            change,
            rules,
        } = difference;
        let Told {
            column,
            change,
            before,
            after,
        } = told(change);
        [
            Some(table.to_string()),
            Some(grant.clone()),
            Some(grantee.to_string()),
            column,
            Some(change.to_owned()),
            Some(before),
            Some(after),
            Some(rules.join(", ")),
        ]
    };
    let rows: Vec<_> = differences.iter().map(row).collect();
    let field = |name: &&str| Field::new(*name, DataType::Utf8, *name == "column");
    let schema: SchemaRef = Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()));
    let columns = (0..COLUMNS.len()).map(|place| -> ArrayRef {
        let cells: StringArray = rows
            .iter()
            .map(|row| row.get(place).cloned().flatten())
            .collect();
        Arc::new(cells)
    });
    RecordBatch::try_new(schema, columns.collect()).map_err(|error| {
        let message = "the changes cannot be shown";
        Error::new(ErrorKind::Internal, code::INTERNAL, message).caused_by(error)
    })
}
