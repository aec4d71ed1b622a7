//! Runs statements and prints their rows.

use std::io::{self, BufWriter};
use std::time::Instant;

use futures::TryStreamExt;
use weft_governance::{Error, ErrorKind, code};

use super::splitter::split;
use crate::client::Rows;
use crate::connection::Connection;
use crate::exit::note;
use crate::output::{Format, printer};

/// What running statements changed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Where short names start now, if a statement set it.
    pub(crate) place: Option<String>,
}

/// Runs the statements of `text` in order, up to the first error. Ctrl-C cancels the one that
/// runs.
///
/// # Errors
/// The first statement's that failed.
pub(crate) async fn run_text(
    client: &mut Connection,
    text: &str,
    format: Format,
    timing: bool,
) -> Result<Outcome, Error> {
    let cut = split(text);
    let last = Some(cut.rest.trim()).filter(|rest| !rest.is_empty());
    let mut outcome = Outcome::default();
    for statement in cut.statements.into_iter().chain(last) {
        tokio::select! {
            result = run_one(client, statement, format, timing) => result?,
            _ = tokio::signal::ctrl_c() => return Err(cancelled()),
        }
        if let Some(place) = place_of(statement) {
            outcome.place = Some(place);
        }
    }
    Ok(outcome)
}

async fn run_one(
    client: &mut Connection,
    statement: &str,
    format: Format,
    timing: bool,
) -> Result<(), Error> {
    let started = Instant::now();
    let Rows {
        schema,
        mut batches,
    } = client.query(statement).await?;
    let has_rows = !schema.fields().is_empty();
    let mut printer = printer(format, schema, Box::new(BufWriter::new(io::stdout())));
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows();
        printer.batch(&batch).map_err(|error| unprintable(&error))?;
    }
    printer.finish().map_err(|error| unprintable(&error))?;
    if timing {
        let elapsed = started.elapsed().as_secs_f64() * 1_000.0;
        let what = match (has_rows, rows) {
            (false, _) => "done".to_owned(),
            (true, 1) => "1 row".to_owned(),
            (true, rows) => format!("{rows} rows"),
        };
        note(&format!("({what}, {elapsed:.0} ms)"));
    }
    Ok(())
}

/// Where short names start after a USE statement that succeeded.
fn place_of(statement: &str) -> Option<String> {
    let mut words = statement.split_whitespace();
    let first = words.next()?;
    if !first.eq_ignore_ascii_case("use") {
        return None;
    }
    let place = words.next()?;
    Some(if place.eq_ignore_ascii_case("default") {
        String::new()
    } else {
        place.to_owned()
    })
}

fn cancelled() -> Error {
    Error::new(
        ErrorKind::Cancelled,
        code::CANCELLED,
        "the query was cancelled",
    )
}

/// A reader that went away, as `head` does, is no failure of the query.
fn unprintable(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::new(
            ErrorKind::Cancelled,
            code::CANCELLED,
            "nobody reads the output any more",
        ),
        _ => Error::new(
            ErrorKind::Internal,
            code::INTERNAL,
            format!("the rows cannot be printed: {error}"),
        ),
    }
}
