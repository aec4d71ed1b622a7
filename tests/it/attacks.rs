//! Attacks on hidden rows, masked cells, columns that were not granted, and rights, each with its name
//! and with a control that shows that what is hidden is there, or that what carries the attack works
//! for somebody who may.
//!
//! Attacks in SQL go through the coordinator and straight to the node.

mod columns;
mod coordinator;
mod errors;
mod masks;
mod nested;
mod paths;
mod people;
mod rights;
mod statistics;
mod tokens;
