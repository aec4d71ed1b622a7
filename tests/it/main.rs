//! Tests that need more than one crate, in one binary.

// The lints that spare tests spare the functions beside them too.
#![cfg(test)]

mod access_matrix;
mod architecture;
mod ask;
mod attacks;
mod barrier;
mod bombs;
mod clients;
mod compression;
mod direct;
mod drift;
mod engine_defects;
mod faults;
mod federation;
mod identity;
mod load;
mod metadata;
mod names;
mod noninterference;
mod operations;
mod policies;
mod preaggregation;
mod pruning;
mod pushdown;
mod random;
mod reduction;
mod refusals;
mod retries;
mod rights;
mod same_names;
mod shipping;
mod statistics;
mod tighten;
mod tpcds;
mod tpch;
mod wire;
