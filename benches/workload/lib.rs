//! Data and queries that the demo, the tests and the benchmarks share.
//!
//! Owns TPC-H (tables, generator, the 22 queries) and the demo's three data products made of
//! it. Knows nothing of Weft's servers and depends on none of its crates.

pub mod demo;
mod error;
pub mod tpch;

pub use error::WorkloadError;
