//! The errors of a text that is no statement of Weft.

use sqlparser::parser::ParserError;
use weft_governance::{Error, ErrorKind, code};

/// Nesting of expressions and subqueries that the parser follows.
pub(crate) const RECURSION: usize = 100;

pub(crate) fn syntax(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SYNTAX, message)
}

pub(crate) fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, code::UNSUPPORTED, message)
}

pub(crate) fn parse_error(error: ParserError) -> Error {
    match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => syntax(message),
        ParserError::RecursionLimitExceeded => Error::new(
            ErrorKind::InvalidInput,
            code::TOO_COMPLEX,
            format!("the statement nests deeper than {RECURSION} levels"),
        )
        .with_hint("Name inner queries in a WITH clause, one after the other."),
    }
}
