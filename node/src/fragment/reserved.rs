//! Fragments that a coordinator has checked in for clients who fetch their rows here by themselves.
//!
//! A reservation is no right: whoever fetches passes the gate like everyone else. It is kept as it was
//! sent, and is read anew when it is fetched. The coordinator is told how that goes, and can end it.

mod fetching;
mod service;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use arrow::datatypes::SchemaRef;
use futures::Stream;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;
use weft_governance::{Error, ErrorKind, Principal, QueryId, ServerId, code};
use weft_wire::rpc::fragment::{Fetch, FragmentRequest};

use fetching::Fetched;
pub(crate) use fetching::Fetching;
pub(crate) use service::ReservationService;

/// Reservations of all people together.
const MOST: usize = 1 << 10;
/// Reservations of one person.
const MOST_OF_ONE: usize = 1 << 6;
/// Bytes of one of them.
const LARGEST: usize = 1 << 16;
/// Messages that a coordinator may be behind with. One that is more has to ask anew.
const BEHIND: usize = 1 << 10;

/// What a client presents.
type Ticket = [u8; 16];
/// A query, and the coordinator that made reservations for it.
type Key = (ServerId, QueryId);

/// A fragment that waits for its reader.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// As it was sent.
    pub(crate) request: FragmentRequest,
    /// SHA-256 of its bytes.
    pub(crate) digest: [u8; 32],
    /// The query that it answers.
    pub(crate) query: QueryId,
    /// Who sent it.
    pub(crate) coordinator: ServerId,
    /// Whom it is for.
    pub(crate) principal: Principal,
    /// When the token was issued that proved who they are.
    pub(crate) issued_at: SystemTime,
    /// The schema that they were told.
    pub(crate) announced: SchemaRef,
    /// SHA-256 of the bearer by which they are known.
    pub(crate) bearer: [u8; 32],
    /// When it is over: with that token.
    pub(crate) expires_at: SystemTime,
}

impl Reserved {
    /// Whether it is for the same person as `other`.
    fn is_of_owner_of(&self, other: &Self) -> bool {
        let (one, other) = (&self.principal, &other.principal);
        (&one.issuer, &one.subject) == (&other.issuer, &other.subject)
    }

    fn key(&self) -> Key {
        (self.coordinator.clone(), self.query)
    }
}

/// All that wait, and all that are fetched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reservations(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    kept: HashMap<Ticket, Kept>,
    fetched: HashMap<Key, Fetched>,
    watches: HashMap<ServerId, mpsc::Sender<Fetch>>,
}

#[derive(Debug)]
struct Kept {
    since: Instant,
    reserved: Arc<Reserved>,
}

impl State {
    /// Tells the coordinator of the query how its fetches are. One that does not listen is told nothing more.
    fn tell(&mut self, key: &Key, fetch: Fetch) {
        let (coordinator, _) = key;
        let watch = self.watches.get(coordinator);
        if watch.is_some_and(|watch| watch.try_send(fetch).is_err()) {
            self.watches.remove(coordinator);
        }
    }
}

impl Reservations {
    /// Keeps `reserved` and returns what its reader has to present. The person's oldest makes room, or
    /// that of all.
    ///
    /// # Errors
    /// `WEFT-RESOURCES` for a fragment that is too large to be kept.
    pub(crate) fn keep(&self, reserved: Reserved) -> Result<Ticket, Error> {
        if reserved.request.encoded_len() > LARGEST {
            let message = format!("a fragment of more than {LARGEST} bytes is not kept");
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                code::RESOURCES,
                message,
            ));
        }
        let ticket = Uuid::new_v4().into_bytes();
        let kept = &mut self.lock().kept;
        let now = SystemTime::now();
        kept.retain(|_, kept| kept.reserved.expires_at > now);
        let own = |kept: &Kept| kept.reserved.is_of_owner_of(&reserved);
        let crowded = kept.values().filter(|kept| own(kept)).count() >= MOST_OF_ONE;
        if crowded || kept.len() >= MOST {
            let leaving = kept.iter().filter(|(_, kept)| !crowded || own(kept));
            let oldest = leaving.min_by_key(|(_, kept)| kept.since);
            if let Some(oldest) = oldest.map(|(ticket, _)| *ticket) {
                kept.remove(&oldest);
            }
        }
        let reserved = Arc::new(reserved);
        let since = Instant::now();
        kept.insert(ticket, Kept { since, reserved });
        Ok(ticket)
    }

    /// What `ticket` was given for, if `bearer` is its reader's, who fetches it from now on.
    pub(crate) fn fetch(
        &self,
        ticket: &[u8],
        bearer: [u8; 32],
    ) -> Option<(Arc<Reserved>, Fetching)> {
        let ticket = Ticket::try_from(ticket).ok()?;
        let mut state = self.lock();
        let reserved = &state.kept.get(&ticket)?.reserved;
        if reserved.bearer != bearer || reserved.expires_at <= SystemTime::now() {
            return None;
        }
        let reserved = Arc::clone(reserved);
        let fetching = Fetching::begin(self, &mut state, reserved.key());
        drop(state);
        Some((reserved, fetching))
    }

    /// Ends what clients fetch of what `coordinator` reserved for `query`, and forgets the rest of it.
    pub(crate) fn withdraw(&self, coordinator: &ServerId, query: QueryId) {
        let mut state = self.lock();
        let key = (coordinator.clone(), query);
        state.kept.retain(|_, kept| kept.reserved.key() != key);
        if let Some(fetched) = state.fetched.get(&key) {
            fetched.end();
        }
    }

    /// What clients fetch of what `coordinator` reserved. What it was told before is over.
    pub(crate) fn watch(&self, coordinator: ServerId) -> impl Stream<Item = Fetch> + Send + use<> {
        let (tell, told) = mpsc::channel(BEHIND);
        let mut state = self.lock();
        let own = state
            .fetched
            .iter()
            .filter(|((of, _), _)| *of == coordinator);
        for ((_, query), fetched) in own {
            // More than there is room for at once are too many to follow.
            let _ = tell.try_send(fetched.now(*query));
        }
        state.watches.insert(coordinator, tell);
        ReceiverStream::new(told)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
