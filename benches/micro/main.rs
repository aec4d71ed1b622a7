//! Micro-benchmarks of what every query passes through: `cargo bench --workspace --bench micro`.
//!
//! Without an optimized build, and without numbers, they only run once each:
//! `cargo test --workspace --bench micro`.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // They measure what works.

mod audit;
mod keys;
mod plans;
mod transport;

fn main() {
    divan::main();
}
