//! Measuring: engines that take turns on the same queries, their answers, and what is said of them.
//!
//! Owns the engines that are not Weft, the reference figures, the slow link and the report. It starts
//! none of Weft's servers; whoever does hands Weft in as one more [`Engine`].

mod answer;
mod calls;
mod datafusion;
mod duckdb;
mod engine;
mod error;
mod link;
mod machine;
mod planning;
mod points;
mod process;
mod race;
mod reference;
mod report;
mod settings;
mod table;
mod transfer;
mod trust;
mod unit;
mod wire;
mod worker;

pub use answer::{Answer, Digest};
pub use calls::{Call, Calls};
pub use datafusion::{DataFusion, serve as serve_datafusion};
pub use duckdb::{DuckDb, Installed};
pub use engine::{Engine, EngineKind, Flow, Run};
pub use error::BenchError;
pub use link::{Carried, Link, Meter, Proxy};
pub use machine::Machine;
pub use planning::Planning;
pub use points::Points;
pub use process::{cpu_time, peak_memory};
pub use race::{Outcome, Raced, Turns, Verdict, race};
pub use reference::{Bytes, Reference};
pub use report::Report;
pub use settings::Settings;
pub use transfer::{
    Carry, Fetch, Leg, Payload, Reader, ReaderKind, Sender, Source, SourceProcess, Tls, Transfer,
    serve_transfer_reader,
};
pub use trust::{Grants, Keys};
pub use wire::Wire;
