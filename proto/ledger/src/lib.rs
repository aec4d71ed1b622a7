//! The append-only event log: who asked for what, what was decided, and what became of it.
//!
//! Each record holds the SHA-256 of its predecessor, so a changed, missing or inserted record
//! breaks the chain and [`verify`] says where. Whoever owns the disk can make the chain anew,
//! though, or cut it off. Against that stand [`Checkpoint`]s: a server signs the newest hash from
//! time to time ([`Sealing`]).
//!
//! # What a checkpoint proves
//!
//! The holder of the server's key signed that the log ended with this record then. If it is still
//! in the chain, all records up to it are those that were there then: whoever has no such key can
//! neither change nor drop one of them as long as the checkpoint is there, be it in the log or in a
//! copy.
//!
//! # What it does not
//!
//! - Records behind the newest checkpoint can be cut off, or made anew, by who owns the disk.
//! - So can older ones by who also deletes the checkpoints behind them, or puts an old copy of the
//!   file in place. Only a checkpoint kept elsewhere shows that: [`Verifier::expecting`].
//! - Who has the server's key, as its operator does, can sign another log. Again only a checkpoint
//!   that somebody else keeps shows it.
//! - Its time is that of the server's clock, and it says nothing of events that were never appended.
//!
//! Owns the file, the one thread that writes it, and when checkpoints are written. What an event
//! means is the caller's business, and so are the clock of events, keys and certificates.

mod checkpoint;
mod error;
mod event;
mod ledger;
mod record;
mod sealing;
mod store;
mod verify;
mod writer;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, NotACheckpoint, Seal, SealError, Sealer};
pub use error::LedgerError;
pub use event::{Event, EventKind};
pub use ledger::{Ledger, Place, Which, read_of};
pub use record::{Record, Recorded};
pub use sealing::Sealing;
pub use verify::{Broken, Verified, Verifier, newest_checkpoint, verify};
