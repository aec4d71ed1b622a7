//! The part of a query that this node runs, wherever it came from.
//!
//! A fragment is a plan whose leaves nobody has been allowed to read. It becomes a
//! [`Permit`](crate::enforce::Permit) at the gate; [`Engine::run`] runs permits only.

pub mod allow;
mod arrival;
mod bound;
mod control;
mod engine;
mod exchange;
mod key_filter;
mod reserved;
mod shipped;
mod terminal;

use std::fmt;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::LogicalPlan;
use weft_governance::{FragmentId, ServerId, TableAccess, hex};
use weft_plan::QuerySession;

pub(crate) use engine::PlannedSql;
pub use engine::{Engine, EngineSettings, Running};
pub use exchange::FragmentService;
pub use key_filter::KeySummary;
pub(crate) use key_filter::KeyTest;
pub(crate) use reserved::{Fetching, ReservationService, Reservations, Reserved};
pub use shipped::ShipmentSummary;

/// A plan, what it reads, and where it came from.
#[derive(Debug)]
pub struct Fragment {
    id: FragmentId,
    via: Via,
    plan: LogicalPlan,
    accesses: Vec<TableAccess>,
    digest: [u8; 32],
    session: QuerySession,
    /// Whether it is planned in less time than it takes to hand it to another thread.
    plain: bool,
    /// Whether it looks a few rows of a table up.
    looks_up: bool,
    timeout: Duration,
    output: SchemaRef,
    keys: Vec<KeySummary>,
    shipments: Vec<ShipmentSummary>,
    /// What the shipments occupy.
    memory: Option<MemoryReservation>,
}

/// How the asker reached the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// Through this coordinator.
    Coordinator(ServerId),
    /// Planned by this coordinator, and fetched on a connection of its own.
    Reserved(ServerId),
    /// On a connection of its own.
    Directly,
}

impl Via {
    /// Whether a person reads the rows, not a coordinator.
    pub(crate) fn is_read_directly(&self) -> bool {
        match self {
            Self::Coordinator(_) => false,
            Self::Reserved(_) | Self::Directly => true,
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator(server) => write!(f, "{server}"),
            Self::Reserved(server) => write!(f, "{server}, fetched directly"),
            Self::Directly => f.write_str("directly"),
        }
    }
}

impl Fragment {
    /// The fragment's place in its query.
    pub fn id(&self) -> FragmentId {
        self.id
    }

    /// How it came.
    pub fn via(&self) -> &Via {
        &self.via
    }

    /// The tables and columns that it can tell anything about.
    pub fn accesses(&self) -> &[TableAccess] {
        &self.accesses
    }

    /// What it does.
    pub(crate) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// The same fragment with another plan that has the same answer, or a part of it.
    pub(crate) fn with_plan(self, plan: LogicalPlan) -> Self {
        Self { plan, ..self }
    }

    /// SHA-256 of what the asker sent, in hexadecimal digits.
    pub fn digest_hex(&self) -> String {
        hex(&self.digest)
    }

    /// How long it may run.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The keys of other domains that came with it.
    pub fn keys(&self) -> &[KeySummary] {
        &self.keys
    }

    /// The rows of other domains that came with it.
    pub fn shipments(&self) -> &[ShipmentSummary] {
        &self.shipments
    }

    /// The schema of its answer.
    pub fn output(&self) -> &SchemaRef {
        &self.output
    }
}
