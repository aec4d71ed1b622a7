//! What was asked for.

use serde::Serialize;

use super::Link;

/// What was measured, and how.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// TPC-H scale factor.
    pub scale: f64,
    /// Domains that the tables are spread over.
    pub domains: usize,
    /// Measured runs of each engine and query.
    pub runs: usize,
    /// Runs before them that are not counted.
    pub warm_up: usize,
    /// Steps of Weft's planner that were left out.
    pub off: Vec<String>,
    /// The slow link between the coordinator and each node.
    pub link: Option<Link>,
    /// Which of Weft's nodes compress what they send, as its settings say it.
    pub compression: String,
}
