//! Queries whose rows clients fetch at a node by themselves: what runs of them, as the node tells, and how
//! they are ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::Streaming;
use tonic::transport::Channel;
use tracing::warn;
use weft_governance::{Error, ErrorKind, QueryId, ServerId, code};
use weft_ledger::EventKind;
use weft_wire::receipt::Receipt;
use weft_wire::rpc::fragment::fetch::State as Told;
use weft_wire::rpc::fragment::reservations_client::ReservationsClient;
use weft_wire::rpc::fragment::{Fetch, WatchRequest, WithdrawRequest};
use weft_wire::status::from_status;

use super::receipts::Receipts;
use super::run::Resources;
use super::running::{QueryState, RunningQueries};
use crate::journal::Journal;
use crate::registry::Lost;

/// Queries that clients may fetch at one node.
const MOST: usize = 1 << 12;
/// Receipts that are kept of one query: clients may fetch it again and again.
const MOST_RECEIPTS: usize = 16;
/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Queries that are fetched at nodes. Cheap to clone.
#[derive(Clone)]
pub struct Fetches {
    resources: Resources,
    noted: Noted,
    nodes: Arc<Mutex<HashMap<ServerId, Arc<Followed>>>>,
}

/// Where it is noted what runs and how it ended.
#[derive(Clone)]
struct Noted {
    queries: RunningQueries,
    journal: Journal,
}

/// What is known of the fetches at one node.
#[derive(Default)]
pub(super) struct Followed {
    expected: Arc<Expectations>,
    listening: AsyncMutex<Option<AbortOnDropHandle<()>>>,
}

/// What clients may fetch at one node.
#[derive(Default)]
struct Expectations(Mutex<HashMap<QueryId, Expected>>);

#[derive(Clone)]
struct Expected {
    principal: String,
    /// Is cancelled when the client has it cancelled.
    cancelled: CancellationToken,
    until: SystemTime,
}

impl Fetches {
    /// Fetches at the nodes of `resources`, which `queries` and `journal` are told of.
    pub fn new(resources: Resources, queries: RunningQueries, journal: Journal) -> Self {
        Self {
            resources,
            noted: Noted { queries, journal },
            nodes: Arc::default(),
        }
    }

    /// Listens to what `node` tells of what clients fetch there, from now on.
    ///
    /// # Errors
    /// If it does not tell.
    pub(super) async fn follow(&self, node: &ServerId) -> Result<Arc<Followed>, Error> {
        let followed = {
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(nodes.entry(node.clone()).or_default())
        };
        let mut listening = followed.listening.lock().await;
        if listening.as_ref().is_none_or(|task| task.is_finished()) {
            let listener = self.listen(node, Arc::clone(&followed.expected));
            let listener = timeout(PATIENCE, listener).await.map_err(|_| silent())?;
            *listening = Some(AbortOnDropHandle::new(tokio::spawn(listener?.heed())));
        }
        drop(listening);
        Ok(followed)
    }

    async fn listen(
        &self,
        node: &ServerId,
        expected: Arc<Expectations>,
    ) -> Result<Listener, Error> {
        let entry = self.resources.registry.up(node)?;
        let lost = self.resources.registry.watch(node)?;
        let channel = self.resources.channels.control(&entry).await?;
        let mut client = ReservationsClient::new(channel.clone());
        let told = client.watch(WatchRequest {}).await;
        Ok(Listener {
            node: node.clone(),
            told: told.map_err(|status| from_status(&status))?.into_inner(),
            lost,
            channel,
            expected,
            noted: self.noted.clone(),
            running: HashMap::new(),
        })
    }
}

impl Followed {
    /// Expects that `principal` fetches the query `id` there before `until`; once it is `cancelled`, no more.
    ///
    /// # Errors
    /// `WEFT-RESOURCES` if there are too many.
    pub(super) fn expect(
        &self,
        id: QueryId,
        principal: &str,
        cancelled: &CancellationToken,
        until: SystemTime,
    ) -> Result<(), Error> {
        let mut expected = self.expected.lock();
        if expected.len() >= MOST {
            let now = SystemTime::now();
            expected.retain(|_, it| it.until > now);
        }
        if expected.len() >= MOST {
            let message = format!("more than {MOST} queries are to be fetched at one node");
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                code::RESOURCES,
                message,
            ));
        }
        let known = Expected {
            principal: principal.to_owned(),
            cancelled: cancelled.clone(),
            until,
        };
        expected.insert(id, known);
        Ok(())
    }
}

impl Expectations {
    fn lock(&self) -> MutexGuard<'_, HashMap<QueryId, Expected>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, id: QueryId) -> Option<Expected> {
        self.lock().get(&id).cloned()
    }
}

/// Hears what one node tells, for as long as it does.
struct Listener {
    node: ServerId,
    told: Streaming<Fetch>,
    lost: Lost,
    channel: Channel,
    expected: Arc<Expectations>,
    noted: Noted,
    running: HashMap<QueryId, Running>,
}

/// A query that is being fetched.
struct Running {
    principal: String,
    rows: u64,
    receipts: Receipts,
    /// How many there are.
    signed: usize,
    /// Ends it at the node when it is to end.
    _ending: AbortOnDropHandle<()>,
}

impl Listener {
    async fn heed(mut self) {
        loop {
            let told = tokio::select! {
                told = self.told.message() => told,
                () = self.lost.lost() => break,
            };
            let Ok(Some(fetch)) = told else { break };
            // A node tells of nothing that was not reserved there.
            if let Ok(id) = fetch.query_id.parse() {
                self.note(id, fetch);
            }
        }
        // What becomes of them will not be known.
        for (id, running) in std::mem::take(&mut self.running) {
            let error = Some(code::DOMAIN_UNAVAILABLE);
            self.noted.end(id, &running, QueryState::Failed, error);
        }
    }

    fn note(&mut self, id: QueryId, fetch: Fetch) {
        let state = fetch.state();
        if state == Told::Running && !self.running.contains_key(&id) {
            let Some(expected) = self.expected.of(id) else {
                return;
            };
            let running = self.begin(id, expected);
            self.running.insert(id, running);
        }
        let Some(running) = self.running.get_mut(&id) else {
            return;
        };
        running.rows = fetch.rows;
        if running.signed < MOST_RECEIPTS && is_of(&fetch.receipt, id, &self.node) {
            running.signed += 1;
            running.receipts.keep(fetch.receipt);
        }
        self.noted.queries.progress(id, fetch.rows);
        let error = code::known(&fetch.error);
        let end = match state {
            Told::Unspecified | Told::Running => return,
            Told::Finished => QueryState::Finished,
            Told::Failed if error == Some(code::CANCELLED) => QueryState::Cancelled,
            Told::Failed => QueryState::Failed,
            Told::Cancelled => QueryState::Cancelled,
        };
        if let Some(running) = self.running.remove(&id) {
            self.noted.end(id, &running, end, error);
        }
    }

    fn begin(&self, id: QueryId, expected: Expected) -> Running {
        let Expected {
            principal,
            cancelled,
            until: _,
        } = expected;
        let receipts = Receipts::default();
        let (channel, node) = (self.channel.clone(), self.node.clone());
        let queries = &self.noted.queries;
        // Its rows do not come this way: nothing flows.
        let (flows, fetched_at) = (Vec::new(), Some(node.clone()));
        let stop = queries.start(id, &principal, flows, receipts.clone(), fetched_at);
        queries.begin(id);
        let ending = async move {
            tokio::select! {
                _ = stop.stopped() => {}
                () = cancelled.cancelled() => {}
            }
            if let Err(error) = withdraw(channel, id).await {
                warn!(%node, query = %id, %error, "a query that is fetched at a node could not be ended");
            }
        };
        Running {
            principal,
            rows: 0,
            receipts,
            signed: 0,
            _ending: AbortOnDropHandle::new(tokio::spawn(ending)),
        }
    }
}

impl Noted {
    fn end(&self, id: QueryId, running: &Running, end: QueryState, error: Option<&'static str>) {
        self.queries.end(id, end);
        let kind = match (end, error) {
            (QueryState::Finished, _) => EventKind::Finished,
            (QueryState::Cancelled, None) => EventKind::Cancelled,
            _ => EventKind::Failed,
        };
        let (who, rows) = (&running.principal, running.rows);
        self.journal.ended(kind, id, who, rows, error);
    }
}

/// Has the node behind `channel` end the query `id`, and forget it.
async fn withdraw(channel: Channel, id: QueryId) -> Result<(), Error> {
    let request = WithdrawRequest {
        query_id: id.to_string(),
    };
    let mut client = ReservationsClient::new(channel);
    let withdrawn = timeout(PATIENCE, client.withdraw(request)).await;
    let withdrawn = withdrawn.map_err(|_| silent())?;
    withdrawn.map(drop).map_err(|status| from_status(&status))
}

/// Whether `node` says in `receipt` what it did for the query `id`.
fn is_of(receipt: &str, id: QueryId, node: &ServerId) -> bool {
    Receipt::read(receipt).is_ok_and(|it| it.query == id.to_string() && it.node == node.to_string())
}

fn silent() -> Error {
    let message = "the node did not answer in time about what clients fetch there";
    Error::new(ErrorKind::Unavailable, code::DOMAIN_UNAVAILABLE, message)
}
