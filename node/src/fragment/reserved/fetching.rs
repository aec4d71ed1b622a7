//! Clients that fetch rows of a reserved fragment, as far as their coordinator is told of them.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use weft_governance::{Error, ErrorKind, QueryId, code};
use weft_wire::rpc::fragment::Fetch;
use weft_wire::rpc::fragment::fetch::State as End;

use super::{Key, Reservations, State};

/// How often is told how many rows have left, beside each time that they have doubled: whoever reads may
/// pause, and what was told last has to be near what is true.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// All fetches of one query that run beside one another.
#[derive(Debug)]
pub(super) struct Fetched {
    open: usize,
    rows: u64,
    /// How many were told of last, and when.
    told: (u64, Instant),
    /// The worst end so far.
    end: End,
    error: Option<&'static str>,
    withdrawn: CancellationToken,
}

impl Fetched {
    fn new() -> Self {
        Self {
            open: 0,
            rows: 0,
            told: (0, Instant::now()),
            end: End::Finished,
            error: None,
            withdrawn: CancellationToken::new(),
        }
    }

    /// Has them end.
    pub(super) fn end(&self) {
        self.withdrawn.cancel();
    }

    /// What their coordinator is told while they run.
    pub(super) fn now(&self, query: QueryId) -> Fetch {
        Fetch {
            query_id: query.to_string(),
            state: End::Running.into(),
            rows: self.rows,
            ..Fetch::default()
        }
    }

    /// What it is told when the last has ended.
    fn last(&self, query: QueryId) -> Fetch {
        Fetch {
            state: self.end.into(),
            error: self.error.unwrap_or_default().to_owned(),
            ..self.now(query)
        }
    }
}

/// One client that fetches. Dropped before its end, the client has left.
#[derive(Debug)]
pub(crate) struct Fetching {
    all: Reservations,
    key: Key,
    withdrawn: CancellationToken,
    ended: bool,
}

impl Fetching {
    pub(super) fn begin(all: &Reservations, state: &mut State, key: Key) -> Self {
        let fetched = state.fetched.entry(key.clone());
        let fetched = fetched.or_insert_with(Fetched::new);
        fetched.open += 1;
        let withdrawn = fetched.withdrawn.clone();
        if fetched.open == 1 {
            let began = fetched.now(key.1);
            state.tell(&key, began);
        }
        Self {
            all: all.clone(),
            key,
            withdrawn,
            ended: false,
        }
    }

    /// Returns when the coordinator has taken back what is fetched.
    pub(crate) fn withdrawn(&self) -> impl Future<Output = Error> + Send + use<> {
        let withdrawn = self.withdrawn.clone().cancelled_owned();
        async move {
            withdrawn.await;
            let message = "the query was ended at the coordinator that planned it";
            Error::new(ErrorKind::Cancelled, code::CANCELLED, message)
                .with_hint("Run it again, or ask those who run the mesh why it was ended.")
        }
    }

    /// Notes that `rows` leave.
    pub(crate) fn pass(&self, rows: u64) {
        let mut state = self.all.lock();
        let Some(fetched) = state.fetched.get_mut(&self.key) else {
            return;
        };
        fetched.rows += rows;
        let (told, at) = fetched.told;
        let doubled = fetched.rows > 0 && fetched.rows >= 2 * told;
        if doubled || at.elapsed() >= TOLD_EVERY {
            fetched.told = (fetched.rows, Instant::now());
            let now = fetched.now(self.key.1);
            state.tell(&self.key, now);
        }
    }

    /// Notes that all rows have left, under `receipt`.
    pub(crate) fn finished(mut self, receipt: Option<String>) {
        self.end(End::Finished, None, receipt);
    }

    /// Notes that `error` ended it.
    pub(crate) fn failed(mut self, error: &Error) {
        self.end(End::Failed, Some(error.code()), None);
    }

    fn end(&mut self, end: End, error: Option<&'static str>, receipt: Option<String>) {
        self.ended = true;
        let mut state = self.all.lock();
        let Some(fetched) = state.fetched.get_mut(&self.key) else {
            return;
        };
        fetched.open -= 1;
        if badness(end) > badness(fetched.end) {
            (fetched.end, fetched.error) = (end, error);
        }
        let over = fetched.open == 0;
        let how = match over {
            true => fetched.last(self.key.1),
            false => fetched.now(self.key.1),
        };
        if over {
            state.fetched.remove(&self.key);
        }
        if over || receipt.is_some() {
            let receipt = receipt.unwrap_or_default();
            state.tell(&self.key, Fetch { receipt, ..how });
        }
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if !self.ended {
            self.end(End::Cancelled, None, None);
        }
    }
}

fn badness(end: End) -> u8 {
    match end {
        End::Unspecified | End::Running | End::Finished => 0,
        End::Cancelled => 1,
        End::Failed => 2,
    }
}
