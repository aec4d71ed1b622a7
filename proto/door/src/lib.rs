//! The server front that both kinds of Weft's servers share: connections, sessions, Flight SQL
//! over a [`Backend`], and what goes out and comes in as Arrow IPC.
//!
//! It knows nothing of catalogs, grants or plans: those are the backend's.

pub mod backend;
mod columns;
pub mod encode;
mod flight;
pub mod guard;
pub mod limits;
#[cfg(test)]
mod memory;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod rows;
pub mod schema;
pub mod serve;
mod session;
mod ticket;

pub use backend::{
    Backend, Credentials, Elsewhere, Exchange, ForeignKey, Opened, Prepared, Recipient, Remark,
    ResultStream, StatementKind, TableEntry, TableKind,
};
pub use columns::{Origin, with_origins};
pub use encode::{Compression, Encoder, wire_schema};
pub use guard::{DecodeLimits, Decoded, Decoder};
pub use limits::Limits;
pub use serve::{Door, DoorVitals, Listen};
