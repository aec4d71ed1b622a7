//! Data, queries and measuring that the demo, the tests and the benchmarks share.
//!
//! Owns TPC-H (tables, generator, the 22 queries), the demo's three data products made of it, other
//! layouts of the same tables over domains, what careful owners hold back of them, and what measures a
//! run. Knows nothing of Weft's servers
//! and depends on none of its crates.

#[path = "../macro/bench.rs"]
pub mod bench;
pub mod demo;
mod error;
pub mod guard;
pub mod layout;
mod marker;
pub mod tpch;

pub use error::WorkloadError;
pub use layout::Layout;
