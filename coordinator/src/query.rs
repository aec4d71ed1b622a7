//! A query from its text to its rows.

mod ask;
mod batches;
mod draft;
mod explain;
mod flow;
mod flow_table;
mod receipts;
mod run;
mod running;
mod scalar;
mod statement;

pub use flow::{Expected, Flow, FlowForm};
pub use flow_table::{flow_schema, flow_table};
pub use receipts::Receipts;
pub use run::{QueryRun, Resources};
pub use running::{QueryRecord, QueryState, RunningQueries};
pub use statement::{Planned, QueryEngine, Statement};
