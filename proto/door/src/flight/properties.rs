//! What is read of the bytes of a ticket.

use bytes::Bytes;
use weft_governance::Error;

use super::desk::read_command;
use arrow_flight::sql::Command;

/// What is sealed in the bytes of a ticket, if anything is.
///
/// # Errors
/// If they are no ticket.
pub(crate) fn sealed_in(ticket: &[u8]) -> Result<Option<Bytes>, Error> {
    Ok(match read_command(ticket)? {
        Command::TicketStatementQuery(ticket) => Some(ticket.statement_handle),
        _ => None,
    })
}
