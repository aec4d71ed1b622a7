//! TPC-H: its eight tables, their rows at any scale, and the 22 queries.
//!
//! The queries carry the parameters of the specification's validation run and use short table
//! names. [`qualify`] rewrites them for a mesh in which three domains own the tables.

mod generate;
mod qualify;
mod query;
mod table;

pub use generate::{LARGEST_SCALE, SMALLEST_SCALE, Written, generate, write};
pub(crate) use generate::{TableWriter, check_scale};
pub use qualify::qualify;
pub(crate) use qualify::qualify_with;
pub use query::{QUERIES, Query};
pub use table::Table;
