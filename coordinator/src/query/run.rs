//! Everything that the leaves of one running query need.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_governance::{Error, ErrorKind, QueryId, code};
use weft_plan::Semantics;
use weft_wire::identity::Identity;

use crate::channels::Channels;
use crate::execute::Counters;
use crate::plan::CutPlan;
use crate::registry::Registry;
use crate::session::Session;

/// What all queries of a coordinator share.
#[derive(Clone)]
pub struct Resources {
    /// This coordinator's certificate.
    pub identity: Arc<Identity>,
    /// The nodes.
    pub registry: Registry,
    /// Connections to them.
    pub channels: Channels,
}

/// One execution of a query, for one session.
pub struct QueryRun {
    id: QueryId,
    session: Arc<Session>,
    semantics: Semantics,
    deadline: Instant,
    resources: Resources,
    counters: Vec<Arc<Counters>>,
    key_counters: Vec<Arc<Counters>>,
    spare: Arc<Counters>,
}

impl QueryRun {
    /// A run of a query with `fragments` fragments and `flows` flows of keys and values between
    /// them.
    pub fn new(
        id: QueryId,
        session: Arc<Session>,
        semantics: Semantics,
        deadline: Instant,
        resources: Resources,
        fragments: usize,
        flows: usize,
    ) -> Self {
        let counters = |count| (0..count).map(|_| Arc::default()).collect();
        Self {
            id,
            session,
            semantics,
            deadline,
            resources,
            counters: counters(fragments),
            key_counters: counters(flows),
            spare: Arc::default(),
        }
    }

    /// The query.
    pub fn id(&self) -> QueryId {
        self.id
    }

    /// Who asks.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Settings that change answers.
    pub fn semantics(&self) -> &Semantics {
        &self.semantics
    }

    /// This coordinator's certificate.
    pub fn identity(&self) -> &Identity {
        &self.resources.identity
    }

    /// The nodes.
    pub fn registry(&self) -> &Registry {
        &self.resources.registry
    }

    /// Connections to nodes.
    pub fn channels(&self) -> &Channels {
        &self.resources.channels
    }

    /// What crossed the boundary for the fragment `ordinal`.
    pub fn counters(&self, ordinal: u32) -> &Arc<Counters> {
        usize::try_from(ordinal)
            .ok()
            .and_then(|ordinal| self.counters.get(ordinal))
            .unwrap_or(&self.spare)
    }

    /// The keys that crossed the boundary by the flow at `index`.
    pub fn key_counters(&self, index: usize) -> &Arc<Counters> {
        self.key_counters.get(index).unwrap_or(&self.spare)
    }

    /// The values that crossed the boundary, for each of the literals of `cut`.
    pub fn literal_counters(&self, cut: &CutPlan) -> impl Iterator<Item = &Arc<Counters>> {
        let before = cut.reduction.flows.len();
        (0..cut.literals.len()).map(move |index| self.key_counters(before + index))
    }

    /// What is left of the time that the query may take.
    ///
    /// # Errors
    /// `WEFT-DEADLINE` if nothing is.
    pub fn time_left(&self) -> Result<Duration, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(too_late())
        } else {
            Ok(left)
        }
    }
}

impl fmt::Debug for QueryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryRun")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The error of a query that took too long.
pub(crate) fn too_late() -> Error {
    Error::new(
        ErrorKind::DeadlineExceeded,
        code::DEADLINE,
        "the query ran longer than this coordinator allows",
    )
    .with_hint("Ask for less, or have `limits.deadline` of the coordinator raised.")
}
