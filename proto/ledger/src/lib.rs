//! The append-only event log: who asked for what, what was decided, and what became of it.
//!
//! Each record holds the SHA-256 of its predecessor, so a changed, missing or inserted record
//! breaks the chain and [`verify`] says where. Cutting off the newest records leaves a shorter
//! chain that is whole: compare [`Verified::head`] with a hash noted elsewhere to see that too.
//!
//! Owns the file and the one thread that writes it. What an event means is the caller's business,
//! and so is the clock.

mod error;
mod event;
mod ledger;
mod record;
mod store;
mod verify;
mod writer;

pub use error::LedgerError;
pub use event::{Event, EventKind};
pub use ledger::Ledger;
pub use record::{Record, Recorded};
pub use verify::{Broken, Verified, verify};
