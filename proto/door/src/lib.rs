//! The server front that both kinds of Weft's servers share: connections, sessions, Flight SQL
//! over a [`Backend`](backend::Backend), and what goes out and comes in as Arrow IPC.
//!
//! It knows nothing of catalogs, grants or plans: those are the backend's.

pub mod encode;
pub mod guard;

pub use encode::{Encoder, wire_schema};
pub use guard::{DecodeLimits, Decoded, Decoder};
