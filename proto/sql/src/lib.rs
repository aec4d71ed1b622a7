//! SQL text in, one of Weft's statements out.
//!
//! Owns the caps that a text must pass before anything is planned, and the statements that Weft
//! adds to SQL. Does not know tables: names are resolved by the planner.

mod caps;
mod parse;
mod placeholder;
mod statement;

pub use caps::Caps;
pub use parse::parse;
pub use sqlparser::ast;
pub use statement::{Explain, Show, Statement};
