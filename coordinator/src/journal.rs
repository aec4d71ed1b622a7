//! The coordinator's event log: who asked it what, how that ended, and which nodes came and went.
//!
//! A query is in the log, and on disk, before a row of its answer, or of a part that is found first, leaves.
//! What nodes were asked while it was planned comes before that. What the owners of the data decided about
//! it is in their own logs.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use weft_governance::{Error, ErrorKind, Principal, QueryId, ServerId, TableAccess, code};
use weft_ledger::{Event, EventKind, Ledger, LedgerError, Sealing};
use weft_plan::{EventLog, FullName, sealer};
use weft_wire::identity::Identity;

/// How often what is new is put under the coordinator's signature.
const SEALED_EVERY: Duration = Duration::from_secs(60);

/// Refused sign-ins are told of this often at most, so that nobody fills the disk with them.
const REFUSALS_EVERY: Duration = Duration::from_secs(1);

/// The log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    ledger: Ledger,
    me: ServerId,
    refusals: Arc<Mutex<Refusals>>,
}

/// Sign-ins that were refused and are not in the log yet.
#[derive(Debug, Default)]
struct Refusals {
    told: Option<Instant>,
    count: u64,
}

impl Journal {
    /// The log in the folder `state`.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if it cannot be opened.
    pub fn open(state: &Path, me: ServerId) -> Result<Self, Error> {
        let ledger = Ledger::open(&state.join("events.db")).map_err(|cause| unopened(&cause))?;
        Ok(Self {
            ledger,
            me,
            refusals: Arc::default(),
        })
    }

    /// Puts what is new under the signature of `identity`, from now on.
    pub fn seal(&self, identity: &Identity) -> Sealing {
        Sealing::start(self.ledger.clone(), sealer(identity), SEALED_EVERY)
    }

    /// The log as `principal` may read it: those who run the mesh all of it, others what they did.
    pub fn read_by(&self, principal: &Principal) -> EventLog {
        let (ledger, me) = (self.ledger.clone(), self.me.clone());
        match principal.is_admin() {
            true => EventLog::whole(ledger, me),
            false => EventLog::of(ledger, me, &principal.subject),
        }
    }

    /// Writes down that `principal` asks for what `accesses` say, for `purpose`, and reads the coordinator's
    /// own tables `system`; of rows that the client fetches at a node by itself, at which one. On disk when
    /// the future ends; some time soon if no table is read at all.
    pub fn asked(
        &self,
        id: QueryId,
        principal: &str,
        purpose: Option<&str>,
        accesses: &[TableAccess],
        system: &[FullName],
        fetched_at: Option<&ServerId>,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        let products = accesses
            .iter()
            .map(|access| json!({"table": access.table.to_string(), "columns": access.columns}));
        let own = system.iter().map(|name| json!({"table": name.to_string()}));
        let tables: Vec<Value> = products.chain(own).collect();
        let reads = !tables.is_empty();
        let mut details = json!({"purpose": purpose, "tables": tables});
        if let (Some(node), Some(details)) = (fetched_at, details.as_object_mut()) {
            details.insert("fetched_at".to_owned(), json!(node.to_string()));
        }
        let event = event(EventKind::Asked, Some(principal), Some(id), details);
        let journal = self.clone();
        async move {
            match reads {
                true => journal.append(event).await,
                false => journal.append_soon(event),
            }
        }
    }

    /// Writes down how the query `id` ended: after `rows` of its answer, with the code `error` if that was it.
    pub fn ended(
        &self,
        kind: EventKind,
        id: QueryId,
        principal: &str,
        rows: u64,
        error: Option<&'static str>,
    ) {
        let details = json!({"rows": rows, "error": error});
        self.ledger
            .append_later(event(kind, Some(principal), Some(id), details));
    }

    /// Writes down that `principal` was refused a statement; on disk when this returns. Other errors than
    /// refusals pass.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if it cannot be written down.
    pub async fn refused(&self, principal: &str, error: &Error) -> Result<(), Error> {
        if error.kind() != ErrorKind::PermissionDenied {
            return Ok(());
        }
        let details = json!({"refused": error.code(), "why": error.message()});
        let event = event(EventKind::Denied, Some(principal), None, details);
        self.append(event).await
    }

    /// Writes down, some time soon, that `kind` happened to `principal`.
    pub fn session(&self, kind: EventKind, principal: &str) {
        self.ledger
            .append_later(event(kind, Some(principal), None, json!({})));
    }

    /// Counts a sign-in that was refused with `error`; the log tells of many at once.
    pub fn sign_in_refused(&self, error: &Error) {
        if error.kind() != ErrorKind::Unauthenticated {
            return;
        }
        let count = {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            refusals.count += 1;
            let silent = |told: Instant| told.elapsed() < REFUSALS_EVERY;
            if refusals.told.is_some_and(silent) {
                return;
            }
            refusals.told = Some(Instant::now());
            std::mem::take(&mut refusals.count)
        };
        let details = json!({"refused": error.code(), "count": count});
        self.ledger
            .append_later(event(EventKind::SignInRefused, None, None, details));
    }

    /// Writes down, some time soon, that `node` came or went.
    pub fn node(&self, kind: EventKind, node: &ServerId, endpoint: Option<&str>) {
        let details = json!({"node": node.to_string(), "endpoint": endpoint});
        self.ledger.append_later(event(kind, None, None, details));
    }

    /// Writes down that this coordinator started or stopped; on disk when this returns.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if it cannot be written down.
    pub async fn myself(&self, kind: EventKind) -> Result<(), Error> {
        let details = json!({"version": env!("CARGO_PKG_VERSION")});
        self.append(event(kind, None, None, details)).await
    }

    fn append_soon(&self, event: Event) -> Result<(), Error> {
        if !self.ledger.is_writable() {
            return Err(unwritten(LedgerError::Closed));
        }
        self.ledger.append_later(event);
        Ok(())
    }

    async fn append(&self, event: Event) -> Result<(), Error> {
        let written = self.ledger.append(event).await;
        written.map(|_| ()).map_err(unwritten)
    }
}

fn event(
    kind: EventKind,
    principal: Option<&str>,
    query: Option<QueryId>,
    details: Value,
) -> Event {
    Event {
        at: SystemTime::now(),
        kind,
        principal: principal.map(str::to_owned),
        query,
        fragment: None,
        details,
    }
}

fn unopened(cause: &LedgerError) -> Error {
    let message = format!("the event log cannot be opened: {cause}");
    Error::new(ErrorKind::Internal, code::NOT_AUDITED, message).with_hint(
        "A coordinator that cannot audit does not serve; check the state folder and its disk.",
    )
}

fn unwritten(cause: LedgerError) -> Error {
    let message = "the coordinator's event log cannot be written, so it answers nothing";
    Error::new(ErrorKind::Unavailable, code::NOT_AUDITED, message).caused_by(cause)
}
