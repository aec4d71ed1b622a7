//! A query from its text to its rows.

mod admission;
mod ask;
mod batches;
mod draft;
mod explain;
mod fetches;
mod flow;
mod flow_table;
mod receipts;
mod run;
mod running;
mod scalar;
mod statement;
mod tally;

pub use admission::{Admission, AdmissionLimits};
pub use batches::ResultLimits;
pub use fetches::Fetches;
pub use flow::{Expected, Flow, FlowForm};
pub use flow_table::{flow_schema, flow_table};
pub use receipts::Receipts;
pub use run::{QueryRun, Resources};
pub use running::{QueryRecord, QueryState, RunningQueries, Stop};
pub use statement::{Planned, QueryEngine, Statement};
pub use tally::Tally;
