//! One of those that take turns.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use super::{Answer, BenchError, Wire};

/// The engines that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// A mesh, over Flight SQL.
    Weft,
    /// Another mesh, with open grants over copies of what the grants of the first one show.
    Copy,
    /// DataFusion in one process, on the same files.
    DataFusion,
    /// DuckDB in one process, on the same files.
    DuckDb,
}

/// What answers the queries.
#[async_trait]
pub trait Engine: Send {
    /// Which one it is.
    fn kind(&self) -> EngineKind;

    /// Runs `sql`, which names tables by their short names, and reads all of its rows.
    ///
    /// # Errors
    /// What the engine says.
    async fn run(&mut self, sql: &str) -> Result<Run, BenchError>;

    /// The processes that it consists of, by name.
    fn processes(&self) -> Vec<(String, u32)>;
}

/// One run of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// From the statement to the last row.
    pub time: Duration,
    /// Processor time of all processes of the engine together.
    pub cpu: Option<Duration>,
    /// What it answered.
    pub answer: Answer,
    /// What crossed the boundaries of domains.
    pub flows: Vec<Flow>,
    /// The same by the account of the kernel, if that was asked.
    pub wire: Vec<Wire>,
}

/// What crossed one boundary for one query, all fragments together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Whose rows or keys they are.
    pub source: String,
    /// Where they went.
    pub destination: String,
    /// Rows, or something smaller that stands for them.
    pub form: String,
    /// How many rows.
    pub rows: u64,
    /// How many bytes.
    pub bytes: u64,
    /// In how many requests.
    pub requests: u64,
}

impl EngineKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Weft, Self::Copy, Self::DataFusion, Self::DuckDb];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weft => "weft",
            Self::Copy => "copy",
            Self::DataFusion => "datafusion",
            Self::DuckDb => "duckdb",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
