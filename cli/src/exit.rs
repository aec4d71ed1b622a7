//! How the program ends, and how it says what went wrong.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use weft_governance::{Error, ErrorKind, code};

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything went well.
    Ok = 0,
    /// A query failed, or an event log is not what was written.
    Query = 1,
    /// The command line or the settings are wrong.
    Usage = 2,
    /// A server cannot be reached.
    Connect = 3,
    /// Not signed in, or not granted.
    Denied = 4,
    /// Interrupted by the person.
    Interrupted = 130,
}

impl Exit {
    /// The exit code for `error`.
    pub(crate) fn of(error: &Error) -> Self {
        match (error.kind(), error.code()) {
            (ErrorKind::Unauthenticated | ErrorKind::PermissionDenied, _) => Self::Denied,
            (_, code::SETTINGS) => Self::Usage,
            (ErrorKind::Unavailable, code::CONNECT) => Self::Connect,
            (ErrorKind::Cancelled, _) => Self::Interrupted,
            _ => Self::Query,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Prints `error` and its hint on standard error.
pub(crate) fn report(error: &Error) {
    let mut out = std::io::stderr().lock();
    let (red, bold, plain) = if colours() {
        ("\u{1b}[31;1m", "\u{1b}[1m", "\u{1b}[0m")
    } else {
        ("", "", "")
    };
    // With standard error closed there is nobody to tell.
    let _ = writeln!(out, "{red}error[{}]{plain}: {error}", error.code());
    if let Some(hint) = error.hint() {
        let _ = writeln!(out, "{bold}hint{plain}: {hint}");
    }
}

/// Prints a line that is not data on standard error.
pub(crate) fn note(text: &str) {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let exit = |kind, code| Exit::of(&Error::new(kind, code, "x")) as u8;
        assert_eq!(exit(ErrorKind::InvalidInput, code::SYNTAX), 1);
        assert_eq!(exit(ErrorKind::NotFound, code::NOT_FOUND), 1);
        assert_eq!(exit(ErrorKind::Internal, code::LOG_BROKEN), 1);
        assert_eq!(exit(ErrorKind::InvalidInput, code::SETTINGS), 2);
        assert_eq!(exit(ErrorKind::Unavailable, code::CONNECT), 3);
        assert_eq!(exit(ErrorKind::Unavailable, code::DOMAIN_UNAVAILABLE), 1);
        assert_eq!(exit(ErrorKind::PermissionDenied, code::NOT_GRANTED), 4);
        assert_eq!(exit(ErrorKind::Unauthenticated, code::UNAUTHENTICATED), 4);
    }
}
