//! Everything that the leaves of one running query need.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use weft_governance::{Error, ErrorKind, QueryId, code};
use weft_plan::Semantics;
use weft_wire::identity::Identity;
use weft_wire::trace::TraceContext;

use super::flow::Flow;
use super::receipts::Receipts;
use crate::channels::Channels;
use crate::execute::Counters;
use crate::plan::CutPlan;
use crate::registry::Registry;
use crate::session::Session;
use crate::transport::Transport;

/// What all queries of a coordinator share.
#[derive(Clone)]
pub struct Resources {
    /// This coordinator's certificate.
    pub identity: Arc<Identity>,
    /// The nodes.
    pub registry: Registry,
    /// Connections to them.
    pub channels: Channels,
    /// How their rows travel.
    pub transport: Transport,
}

/// One execution of a query, for one session.
pub struct QueryRun {
    id: QueryId,
    session: Arc<Session>,
    /// What its rows are for, as it was said when it began.
    purpose: Option<String>,
    semantics: Semantics,
    deadline: Instant,
    resources: Resources,
    /// What was asked while it was planned.
    asked: Vec<Flow>,
    receipts: Receipts,
    /// By fragment.
    counters: BTreeMap<u32, Arc<Counters>>,
    key_counters: Vec<Arc<Counters>>,
    literal_counters: Vec<Arc<Counters>>,
    shipment_counters: Vec<Arc<Counters>>,
    bound_counters: BTreeMap<u32, Arc<Counters>>,
    spare: Arc<Counters>,
    trace: TraceContext,
    /// Shipments that were decided to go.
    shipments: AtomicUsize,
}

impl QueryRun {
    /// A run of `cut`, in whatever form.
    pub fn new(
        id: QueryId,
        session: Arc<Session>,
        semantics: Semantics,
        deadline: Instant,
        resources: Resources,
        cut: &CutPlan,
    ) -> Self {
        let most = |count: &dyn Fn(&CutPlan) -> usize| cut.forms().map(count).max().unwrap_or(0);
        let counters =
            |count: &dyn Fn(&CutPlan) -> usize| (0..most(count)).map(|_| Arc::default()).collect();
        let of_fragments = || {
            let fragments = cut.forms().flat_map(|form| &form.fragments);
            fragments
                .map(|fragment| (fragment.ordinal, Arc::default()))
                .collect()
        };
        Self {
            id,
            purpose: session.purpose(),
            session,
            semantics,
            deadline,
            resources,
            asked: Vec::new(),
            receipts: Receipts::default(),
            counters: of_fragments(),
            key_counters: counters(&|form| form.reduction.flows.len()),
            literal_counters: counters(&|form| form.literals.len()),
            shipment_counters: counters(&|form| form.shipments.len()),
            bound_counters: of_fragments(),
            spare: Arc::default(),
            trace: TraceContext::current().map_or_else(TraceContext::begin, TraceContext::next),
            shipments: AtomicUsize::new(cut.forms().count() - 1),
        }
    }

    /// The run of a query for whose plan nodes were asked before.
    #[must_use]
    pub fn having_asked(self, asked: Vec<Flow>) -> Self {
        Self { asked, ..self }
    }

    /// The same, keeping what nodes sign in `receipts`.
    #[must_use]
    pub fn keeping(self, receipts: Receipts) -> Self {
        Self { receipts, ..self }
    }

    /// What nodes have signed for it.
    pub fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// What was asked while the query was planned.
    pub fn asked(&self) -> &[Flow] {
        &self.asked
    }

    /// Its step of the trace that it is a part of.
    pub fn trace(&self) -> TraceContext {
        self.trace
    }

    /// The query.
    pub fn id(&self) -> QueryId {
        self.id
    }

    /// Who asks.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What its rows are for.
    pub fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
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

    /// How the rows of nodes travel.
    pub fn transport(&self) -> Transport {
        self.resources.transport
    }

    /// What crossed the boundary for the fragment `ordinal`.
    pub fn counters(&self, ordinal: u32) -> &Arc<Counters> {
        self.counters.get(&ordinal).unwrap_or(&self.spare)
    }

    /// The bounds that the fragment `ordinal` was told.
    pub fn bound_counters(&self, ordinal: u32) -> &Arc<Counters> {
        self.bound_counters.get(&ordinal).unwrap_or(&self.spare)
    }

    /// The keys that crossed the boundary by the flow at `index`.
    pub fn key_counters(&self, index: usize) -> &Arc<Counters> {
        self.key_counters.get(index).unwrap_or(&self.spare)
    }

    /// The value that crossed the boundary as the literal at `index`.
    pub fn literal_counters(&self, index: usize) -> &Arc<Counters> {
        self.literal_counters.get(index).unwrap_or(&self.spare)
    }

    /// The rows that went on to another node as the shipment `number`.
    pub fn shipment_counters(&self, number: u32) -> &Arc<Counters> {
        let index = usize::try_from(number).ok();
        let counters = index.and_then(|index| self.shipment_counters.get(index));
        counters.unwrap_or(&self.spare)
    }

    /// How many of the shipments that the query may make were decided to go, or have yet to be
    /// decided.
    pub fn shipments(&self) -> usize {
        self.shipments.load(Ordering::Relaxed)
    }

    /// Notes that the query makes so many shipments and no more.
    pub(crate) fn decide(&self, shipments: usize) {
        self.shipments.store(shipments, Ordering::Relaxed);
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
