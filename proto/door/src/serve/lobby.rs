//! Connections on which nobody has signed in yet. They make room for others when there is none.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::inflow::Budget;

/// The connections that wait, by where they come from. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lobby {
    door: CancellationToken,
    budget: Arc<Budget>,
    waiting: Arc<Mutex<Entries>>,
}

#[derive(Default)]
struct Entries {
    next: u64,
    by_origin: HashMap<SocketAddr, Entry>,
}

struct Entry {
    number: u64,
    budget: Arc<Budget>,
    cut: CancellationToken,
}

/// One connection's stay, which ends with this value at the latest.
pub(super) struct Waiting {
    lobby: Lobby,
    from: SocketAddr,
    number: u64,
    cut: CancellationToken,
}

impl Lobby {
    /// An empty one, whose connections are cut with `door` and have no part in `budget`.
    pub(super) fn new(door: CancellationToken, budget: Arc<Budget>) -> Self {
        Self {
            door,
            budget,
            waiting: Arc::default(),
        }
    }

    /// The stay of a connection from `from`.
    pub(super) fn enter(&self, from: SocketAddr) -> Waiting {
        let cut = self.door.child_token();
        let mut entries = self.lock();
        let number = entries.next;
        entries.next += 1;
        let entry = Entry {
            number,
            budget: self.budget.of_a_stranger(),
            cut: cut.clone(),
        };
        entries.by_origin.insert(from, entry);
        drop(entries);
        Waiting {
            lobby: self.clone(),
            from,
            number,
            cut,
        }
    }

    /// What calls on the connection from `from` may bring.
    pub(super) fn budget(&self, from: Option<SocketAddr>) -> Arc<Budget> {
        let entries = self.lock();
        let waiting = from.and_then(|from| entries.by_origin.get(&from));
        let budget = waiting.map_or(&self.budget, |entry| &entry.budget);
        Arc::clone(budget)
    }

    /// Somebody has signed in on the connection from `from`: it stays.
    pub(super) fn admit(&self, from: SocketAddr) {
        self.lock().by_origin.remove(&from);
    }

    /// Cuts the connection that has waited longest, if one waits.
    pub(super) fn send_the_oldest_away(&self) -> bool {
        let mut entries = self.lock();
        let oldest = entries.by_origin.iter().min_by_key(|(_, it)| it.number);
        let oldest = oldest.map(|(from, _)| *from);
        match oldest.and_then(|from| entries.by_origin.remove(&from)) {
            Some(entry) => {
                entry.cut.cancel();
                true
            }
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Lobby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lobby")
            .field("waiting", &self.lock().by_origin.len())
            .finish_non_exhaustive()
    }
}

impl Waiting {
    /// Says when the connection is to end.
    pub(super) fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut entries = self.lobby.lock();
        // The same address may have come again by now.
        let own = entries.by_origin.get(&self.from);
        if own.is_some_and(|entry| entry.number == self.number) {
            entries.by_origin.remove(&self.from);
        }
    }
}
