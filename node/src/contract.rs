//! Whether the types of data keep what a contract says of them.
//!
//! A `logicalType` is a class: any type in it is kept as the data has it. A `physicalType` is
//! exact; a type that holds fewer values of the same kind is widened to it. Text files have no
//! types of their own and get them from the contract.

mod class;
mod fit;
mod physical_type;
mod text;
mod widening;

pub(crate) use fit::{Misfit, announced};
pub(crate) use text::declared;
