//! SQL text in, one of Weft's statements out.
//!
//! Owns the caps that a text must pass before anything is planned, and the statements that Weft
//! adds to SQL. Does not know tables: names are resolved by the planner.

mod caps;
mod fan;
pub mod govern;
mod kill;
mod mentioned;
mod parse;
mod placeholder;
mod plain;
mod purpose;
mod refusal;
mod statement;

pub use caps::Caps;
pub use govern::Govern;
pub use mentioned::Mentioned;
pub use parse::parse;
pub use plain::{is_brief, is_plain};
pub use purpose::{PURPOSE, purpose};
pub use sqlparser::ast;
pub use statement::{Explain, Show, Statement};
