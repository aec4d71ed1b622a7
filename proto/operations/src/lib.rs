//! What whoever operates a server asks it: does it live, is it ready, how is it doing.
//!
//! The answers are given over plain HTTP at an address of their own, on a thread of their own, so that
//! a server that has no room for one more call still says so. They hold counts alone: no name of a
//! person, a domain or a table, and so nothing that somebody may not know.

mod listener;
mod reading;

pub use listener::{Operations, Vitals};
pub use reading::{Kind, Reading};
