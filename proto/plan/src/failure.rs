//! DataFusion's errors in Weft's terms.

use datafusion::common::{DataFusionError, SchemaError};
use weft_governance::{Error, ErrorKind, code};

const ASK_FOR_LESS: &str =
    "Ask for fewer rows at a time, or have `limits.query_memory` or `limits.memory` raised.";

/// What the engine says of a plan that may write no more to disk; it has no kind of error for it.
const FULL_DISK: &str = "used disk space during the spilling process";

/// Turns an error of planning or execution into one that says what the asker can do.
///
/// The message may hold values of the data: a node that answers another domain uses only the kind
/// and code.
pub fn from_datafusion(error: DataFusionError) -> Error {
    if let Some(own) = own(&error) {
        return own;
    }
    let root = root(&error);
    if root.strip_backtrace().contains(FULL_DISK) {
        return out_of_disk().caused_by(error);
    }
    let (kind, code, message) = match root {
        DataFusionError::SQL(parser, _) => {
            (ErrorKind::InvalidInput, code::SYNTAX, parser.to_string())
        }
        DataFusionError::Plan(message) => (ErrorKind::InvalidInput, code::PLAN, message.clone()),
        DataFusionError::SchemaError(schema, _) => {
            (ErrorKind::InvalidInput, code::PLAN, schema_message(schema))
        }
        DataFusionError::NotImplemented(message) => {
            (ErrorKind::Unsupported, code::UNSUPPORTED, message.clone())
        }
        DataFusionError::ResourcesExhausted(message) => {
            let message = one_line(message);
            let refused = Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message);
            return refused.with_hint(ASK_FOR_LESS).caused_by(error);
        }
        DataFusionError::Execution(message) => {
            (ErrorKind::InvalidInput, code::EVALUATION, message.clone())
        }
        DataFusionError::ArrowError(arrow, _) => {
            (ErrorKind::InvalidInput, code::EVALUATION, arrow.to_string())
        }
        DataFusionError::Configuration(message) => {
            (ErrorKind::InvalidInput, code::SETTINGS, message.clone())
        }
        DataFusionError::IoError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::ParquetError(_) => (
            ErrorKind::Internal,
            code::SOURCE,
            "a file could not be read".to_owned(),
        ),
        _ => (ErrorKind::Internal, code::INTERNAL, root.strip_backtrace()),
    };
    Error::new(kind, code, one_line(&message)).caused_by(error)
}

fn out_of_disk() -> Error {
    let message = "the query needs more memory than it has, and more space on disk in its place";
    Error::new(ErrorKind::ResourceExhausted, code::RESOURCES, message)
        .with_hint("Ask for fewer rows at a time, or have `limits.query_memory` and `limits.query_spill` raised.")
}

/// An error of ours that travelled through DataFusion.
fn own(error: &DataFusionError) -> Option<Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(own) = current.downcast_ref::<Error>() {
            return Some(own.clone());
        }
        // A boxed external error is not its own `source` everywhere.
        if let Some(DataFusionError::External(boxed)) = current.downcast_ref::<DataFusionError>()
            && let Some(own) = boxed.downcast_ref::<Error>()
        {
            return Some(own.clone());
        }
        next = current.source();
    }
    None
}

fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(errors) => errors.first().map_or(error, root),
        DataFusionError::External(boxed) => {
            boxed.downcast_ref::<DataFusionError>().map_or(error, root)
        }
        _ => error,
    }
}

fn schema_message(error: &SchemaError) -> String {
    error.to_string()
}

fn one_line(message: &str) -> String {
    let text = message.trim_end_matches('.').replace('\n', " ");
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().collect::<String>() + text.get(first.len_utf8()..).unwrap_or("")
        }
        _ => text,
    }
}
