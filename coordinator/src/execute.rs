//! Running a cut plan: fragments at their nodes, the rest here.

mod answer;
mod bound;
mod constants;
mod fragment_stream;
mod keys;
mod open_request;
mod physical;
mod relay;
mod remote_exec;
mod reserve;
mod shipment;
mod spool;
mod tighten;

pub use constants::{are_constants, constants};
pub use fragment_stream::Counters;
pub use physical::{only_leaf, physical_plan};
pub use relay::Relay;
pub use remote_exec::RemoteFragmentExec;
pub use reserve::reserve;
pub use shipment::Shipped;
