//! Running a cut plan: fragments at their nodes, the rest here.

mod fragment_stream;
mod keys;
mod physical;
mod relay;
mod remote_exec;
mod shipment;
mod spool;

pub use fragment_stream::Counters;
pub use physical::physical_plan;
pub use relay::Relay;
pub use remote_exec::RemoteFragmentExec;
pub use shipment::Shipped;
