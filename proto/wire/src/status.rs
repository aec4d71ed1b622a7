//! Errors on the wire: kinds to gRPC codes and back, in this one place.
//!
//! Message, domain and hint travel as the status message, because that is all that most clients
//! show; code, hint, domain, query and the time to wait before trying again as call metadata, from which
//! Weft's own clients tell them apart. A cause stays where it happened.

use std::time::Duration;

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use weft_governance::{DomainId, Error, ErrorKind, code};

const CODE: &str = "weft-code";
const DOMAIN: &str = "weft-domain";
const HINT: &str = "weft-hint-bin";
const QUERY: &str = "weft-query";
/// What stands between message and hint.
const BEFORE_HINT: &str = "\nhint: ";
/// Seconds, as in HTTP.
const RETRY_AFTER: &str = "retry-after";

/// Bytes of a message or a hint: no client has to take more in.
const LONGEST: usize = 2_000;

/// What the other side gets to see of `error`.
pub fn to_status(error: &Error) -> Status {
    let mut metadata = MetadataMap::new();
    if let Ok(value) = error.code().parse() {
        metadata.insert(CODE, value);
    }
    if let Some(value) = error
        .domain()
        .and_then(|domain| domain.as_str().parse().ok())
    {
        metadata.insert(DOMAIN, value);
    }
    if let Some(hint) = error.hint() {
        metadata.insert_bin(HINT, MetadataValue::from_bytes(shortened(hint).as_bytes()));
    }
    if let Some(value) = error.query().and_then(|id| id.to_string().parse().ok()) {
        metadata.insert(QUERY, value);
    }
    if let Some(wait) = error.retries_after() {
        metadata.insert(RETRY_AFTER, wait.as_secs().into());
    }
    let mut message = shortened(&error.to_string());
    if let Some(hint) = error.hint() {
        message.push_str(BEFORE_HINT);
        message.push_str(&shortened(hint));
    }
    Status::with_metadata(to_code(error.kind()), message, metadata)
}

/// `text` as far as it fits among the headers of a call: it may name what a client has sent.
fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(LONGEST);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// What the other side said. A status that is not Weft's own is a broken connection or a stranger.
pub fn from_status(status: &Status) -> Error {
    let metadata = status.metadata();
    let ascii = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok());
    let Some(own) = ascii(CODE).and_then(code::known) else {
        return foreign(status);
    };
    let hint = metadata
        .get_bin(HINT)
        .and_then(|value| value.to_bytes().ok())
        .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    let domain: Option<DomainId> = ascii(DOMAIN).and_then(|domain| domain.parse().ok());
    let mut message = status.message();
    if let Some(hint) = &hint {
        let without = message.strip_suffix(hint.as_str());
        message = without
            .and_then(|message| message.strip_suffix(BEFORE_HINT))
            .unwrap_or(message);
    }
    if let Some(domain) = &domain {
        let named = format!("domain `{domain}`: ");
        message = message.strip_prefix(named.as_str()).unwrap_or(message);
    }
    let mut error = Error::new(to_kind(status.code(), own), own, message);
    if let Some(domain) = domain {
        error = error.at(domain);
    }
    if let Some(query) = ascii(QUERY).and_then(|query| query.parse().ok()) {
        error = error.of(query);
    }
    if let Some(seconds) = ascii(RETRY_AFTER).and_then(|seconds| seconds.parse().ok()) {
        error = error.retry_after(Duration::from_secs(seconds));
    }
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn to_code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidInput => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::SchemaDrift => Code::FailedPrecondition,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Internal => Code::Internal,
    }
}

fn to_kind(status: Code, own: &str) -> ErrorKind {
    match status {
        Code::InvalidArgument | Code::OutOfRange | Code::AlreadyExists => ErrorKind::InvalidInput,
        Code::NotFound => ErrorKind::NotFound,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::PermissionDenied => ErrorKind::PermissionDenied,
        Code::Unimplemented => ErrorKind::Unsupported,
        Code::ResourceExhausted => ErrorKind::ResourceExhausted,
        Code::Unavailable | Code::Aborted | Code::DataLoss => ErrorKind::Unavailable,
        Code::FailedPrecondition if own == code::SCHEMA_DRIFT => ErrorKind::SchemaDrift,
        Code::FailedPrecondition => ErrorKind::InvalidInput,
        Code::DeadlineExceeded => ErrorKind::DeadlineExceeded,
        Code::Cancelled => ErrorKind::Cancelled,
        Code::Ok | Code::Unknown | Code::Internal => ErrorKind::Internal,
    }
}

/// A status that no server of Weft made: the transport's own, or that of another program. The
/// transport says `Cancelled` when a call took longer than this side waits.
fn foreign(status: &Status) -> Error {
    let (kind, own, message) = match status.code() {
        Code::DeadlineExceeded => (
            ErrorKind::DeadlineExceeded,
            code::DEADLINE,
            "the call took longer than allowed",
        ),
        Code::Unauthenticated => (
            ErrorKind::Unauthenticated,
            code::UNAUTHENTICATED,
            "the server refused the sign-in",
        ),
        Code::PermissionDenied => (
            ErrorKind::PermissionDenied,
            code::NOT_GRANTED,
            "the server refused the call",
        ),
        Code::Unimplemented => (
            ErrorKind::Unsupported,
            code::UNSUPPORTED,
            "the server does not know this call",
        ),
        Code::ResourceExhausted | Code::OutOfRange => (
            ErrorKind::ResourceExhausted,
            code::RESOURCES,
            "a message is larger than allowed",
        ),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => (
            ErrorKind::Unavailable,
            code::CONNECT,
            "the server cannot be reached",
        ),
    };
    Error::new(kind, own, message).caused_by(status.clone())
}

#[cfg(test)]
mod tests {
    use weft_governance::QueryId;

    use super::*;

    #[test]
    fn an_error_survives_the_wire_without_its_cause() {
        let domain: weft_governance::DomainId = "sales".parse().expect("valid");
        let error = Error::new(ErrorKind::SchemaDrift, code::SCHEMA_DRIFT, "columns differ")
            .with_hint("Run it again – später.")
            .at(domain)
            .of(QueryId::generate())
            .retry_after(Duration::from_millis(1_500))
            .caused_by(std::io::Error::other("/secret/path"));
        let status = to_status(&error);
        assert!(!format!("{status:?}").contains("secret"));
        assert_eq!(
            status.message(),
            "domain `sales`: columns differ\nhint: Run it again – später."
        );
        let back = from_status(&status);
        assert_eq!(back.kind(), ErrorKind::SchemaDrift);
        assert_eq!(back.code(), code::SCHEMA_DRIFT);
        assert_eq!(back.hint(), Some("Run it again – später."));
        assert_eq!(back.query(), error.query());
        assert_eq!(back.retries_after(), Some(Duration::from_secs(2)));
        assert_eq!(back.to_string(), "domain `sales`: columns differ");
    }

    #[test]
    fn a_message_fits_among_the_headers_of_a_call() {
        let long = "é".repeat(1 << 20);
        let error = Error::new(ErrorKind::NotFound, code::NOT_FOUND, &long).with_hint(&long);
        let back = from_status(&to_status(&error));
        assert!(back.message().len() <= LONGEST + 3 && back.message().ends_with("é…"));
        assert!(back.hint().is_some_and(|hint| hint.len() <= LONGEST + 3));
    }

    #[test]
    fn every_kind_comes_back_as_itself() {
        for (kind, own) in [
            (ErrorKind::InvalidInput, code::PLAN),
            (ErrorKind::NotFound, code::NOT_FOUND),
            (ErrorKind::Unauthenticated, code::LEASE_EXPIRED),
            (ErrorKind::PermissionDenied, code::NOT_GRANTED),
            (ErrorKind::Unsupported, code::UNSUPPORTED),
            (ErrorKind::ResourceExhausted, code::RESOURCES),
            (ErrorKind::Unavailable, code::DOMAIN_UNAVAILABLE),
            (ErrorKind::SchemaDrift, code::SCHEMA_DRIFT),
            (ErrorKind::DeadlineExceeded, code::DEADLINE),
            (ErrorKind::Cancelled, code::CANCELLED),
            (ErrorKind::Internal, code::INTERNAL),
        ] {
            let back = from_status(&to_status(&Error::new(kind, own, "so it is")));
            assert_eq!(
                (back.kind(), back.code(), back.message()),
                (kind, own, "so it is")
            );
        }
    }

    #[test]
    fn a_code_that_is_not_on_the_list_is_a_strangers() {
        let mut status = Status::internal("trust me");
        status
            .metadata_mut()
            .insert(CODE, "WEFT-INVENTED".parse().expect("ascii"));
        assert_eq!(from_status(&status).code(), code::CONNECT);
    }

    #[test]
    fn a_transport_error_is_a_server_that_cannot_be_reached() {
        let error = from_status(&Status::unknown("h2 protocol error"));
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Unavailable, code::CONNECT)
        );
    }
}
