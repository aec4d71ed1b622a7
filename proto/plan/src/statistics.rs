//! What an owner says of a table's rows. All of it is inexact: plans depend on it, answers never.

mod message;
mod selectivities;

use datafusion::common::ScalarValue;

pub use selectivities::{Selectivities, unqualified};

/// A table's rows as one asker may see them.
#[derive(Debug, Clone, PartialEq)]
pub struct TableStatistics {
    /// How many there are.
    pub rows: u64,
    /// The visible columns in order.
    pub columns: Vec<ColumnStatistics>,
}

/// A column of a table; what is unknown is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnStatistics {
    /// Values, each counted once, without NULL.
    pub distinct: Option<u64>,
    /// Rows with NULL.
    pub nulls: Option<u64>,
    /// The least value.
    pub low: Option<ScalarValue>,
    /// The greatest value.
    pub high: Option<ScalarValue>,
    /// Bytes of one value on average, for columns whose values differ in size.
    pub width: Option<f64>,
}
