//! A query from its text to its rows.

mod batches;
mod explain;
mod flow;
mod run;
mod running;
mod statement;

pub use flow::{Flow, FlowForm};
pub use run::{QueryRun, Resources};
pub use running::{QueryRecord, QueryState, RunningQueries};
pub use statement::{Planned, QueryEngine, Statement};
