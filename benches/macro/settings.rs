//! What was asked for.

use serde::Serialize;

use super::{Grants, Keys, Link};

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
    /// What the grants hold back.
    pub grants: Grants,
    /// How much of join keys the grants let travel to other domains.
    pub key_disclosure: Keys,
    /// The slow link between the coordinator and each node.
    pub link: Option<Link>,
    /// Which of Weft's nodes compress what they send, as its settings say it.
    pub compression: String,
}
