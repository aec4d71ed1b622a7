//! The owner's server: it serves a domain's data products and has the last word on every row.
//!
//! It trusts no coordinator. Whoever asks, and however, the way to a row leads through
//! [`enforce::Gate`].

mod census;
pub mod contract;
mod describe;
mod direct;
pub mod enforce;
mod federated;
#[cfg(test)]
mod fixture;
pub mod fragment;
mod incident;
mod join;
pub mod product;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod rechunk;
mod rights;
mod server;
mod settings;
mod simulate;
mod vitals;

pub use server::{Node, server_id};
pub use settings::{CoordinatorAddress, GrantSettings, NodeLimits, PolicySettings, Settings};
pub use simulate::{Difference, Simulation, simulate};
