//! The one list of error codes. A code is stable: scripts and support rely on it.

/// A code with its meaning.
#[derive(Debug)]
pub struct Code {
    /// What is printed and sent: `WEFT-…`.
    pub name: &'static str,
    /// One sentence for the documentation.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($constant:ident = $name:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $constant: &str = $name;)*

        /// Every code there is.
        pub const ALL: &[Code] = &[$(Code { name: $name, meaning: $meaning }),*];
    };
}

codes! {
    SYNTAX = "WEFT-SYNTAX", "The statement cannot be parsed.";
    PLAN = "WEFT-PLAN", "The statement parses but does not fit the tables: unknown column, wrong type, ambiguous name.";
    TOO_COMPLEX = "WEFT-TOO-COMPLEX", "The statement or plan is longer, deeper or wider than the server allows.";
    UNSUPPORTED = "WEFT-UNSUPPORTED", "The server does not do this.";
    NOT_FOUND = "WEFT-NOT-FOUND", "No such domain, product, table, session, statement or ticket, or none that the asker may know of.";
    AMBIGUOUS = "WEFT-AMBIGUOUS", "A short name could mean two things; the message lists both.";
    NOT_GRANTED = "WEFT-NOT-GRANTED", "The owner has not granted the table or the columns to the principal.";
    REVOKED = "WEFT-REVOKED", "The owner took a right back, or it ended, while rows were read under it; the rows so far are not the answer.";
    LIMIT = "WEFT-LIMIT", "What a grant lets be read within a day is used up; the rows so far are not the answer.";
    UNAUTHENTICATED = "WEFT-UNAUTHENTICATED", "No valid sign-in or token came with the request.";
    LEASE_EXPIRED = "WEFT-LEASE-EXPIRED", "The session's lease at the authority ended; sign in again.";
    DELEGATION = "WEFT-DELEGATION", "A fragment came without a valid delegation by the coordinator that sent it.";
    REPLAYED = "WEFT-REPLAYED", "A delegation was presented a second time.";
    NOT_AUDITED = "WEFT-NOT-AUDITED", "The event log refused the admission event, so nothing was served.";
    LOG_BROKEN = "WEFT-LOG-BROKEN", "An event log is not what was written: records or checkpoints were changed, or are missing.";
    FRAGMENT_REFUSED = "WEFT-FRAGMENT-REFUSED", "A fragment holds something outside the node's allow-list.";
    SCHEMA_DRIFT = "WEFT-SCHEMA-DRIFT", "A product's schema or grants changed since the query was planned.";
    PROTOCOL = "WEFT-PROTOCOL", "The two servers speak different protocol versions, or one broke the protocol.";
    DOMAIN_UNAVAILABLE = "WEFT-DOMAIN-UNAVAILABLE", "A domain's node cannot be reached or went away.";
    INCOMPLETE = "WEFT-INCOMPLETE", "A stream ended without its terminal message; the rows so far are not the answer.";
    CANCELLED = "WEFT-CANCELLED", "The query was cancelled.";
    DEADLINE = "WEFT-DEADLINE", "The query ran longer than allowed.";
    RESOURCES = "WEFT-RESOURCES", "A limit on memory, rows, bytes, sessions or streams was reached.";
    STOPPING = "WEFT-STOPPING", "The server is about to stop and takes no new work.";
    EVALUATION = "WEFT-EVALUATION", "An expression of the query failed on the data, such as a cast or a division by zero.";
    SOURCE = "WEFT-SOURCE", "The owner's node could not read the product's data; details are in the owner's log.";
    CONTRACT = "WEFT-CONTRACT", "A contract is malformed or does not fit its data.";
    POLICY = "WEFT-POLICY", "A federated policy is malformed, is not signed by enough representatives, or is not newer than the one before.";
    SETTINGS = "WEFT-SETTINGS", "A setting is unknown, malformed or unsafe.";
    CONNECT = "WEFT-CONNECT", "The server cannot be reached.";
    INTERNAL = "WEFT-INTERNAL", "A defect; the log has the details under the id in the message.";
}

/// The constant for a code that came over the wire, if it is one of ours.
pub fn known(name: &str) -> Option<&'static str> {
    ALL.iter()
        .find(|code| code.name == name)
        .map(|code| code.name)
}
