//! How much of what is not a table a fragment may hold. A coordinator keeps within it, a node refuses
//! what exceeds it.

/// Values that a list of literal rows may have.
pub const MOST_LITERALS: usize = 10_000;
/// Columns of lists that may be unnested side by side.
pub const MOST_UNNESTED: usize = 32;
