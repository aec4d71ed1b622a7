//! Running a cut plan: fragments at their nodes, the rest here.

mod fragment_stream;
mod physical;
mod remote_exec;

pub use fragment_stream::Counters;
pub use physical::physical_plan;
pub use remote_exec::RemoteFragmentExec;
