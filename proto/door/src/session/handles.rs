//! A bounded map from random handles to values, each with a lifetime that use renews.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use weft_governance::Error;

use crate::ticket::fill;

/// A random name that cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Handle([u8; 16]);

impl Handle {
    /// A handle that no one has seen.
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut bytes = [0; 16];
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads a handle that a client sent.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for Handle {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// Shows a part that names it in a log and lets no one use it.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(4)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Values by handle; when it is full, the value that was idle longest makes room.
pub(crate) struct Handles<T> {
    capacity: usize,
    lifetime: Duration,
    held: Mutex<HashMap<Handle, Held<T>>>,
}

struct Held<T> {
    value: Arc<T>,
    used: Instant,
}

impl<T> Handles<T> {
    pub(crate) fn new(capacity: usize, lifetime: Duration) -> Self {
        Self {
            capacity: capacity.max(1),
            lifetime,
            held: Mutex::new(HashMap::new()),
        }
    }

    /// Keeps `value` and returns its handle.
    pub(crate) fn add(&self, value: T, now: Instant) -> Result<Handle, Error> {
        let handle = Handle::generate()?;
        self.insert(handle, Arc::new(value), now);
        Ok(handle)
    }

    /// Keeps `value` under a handle that it has.
    pub(crate) fn insert(&self, handle: Handle, value: Arc<T>, now: Instant) {
        let mut held = self.lock();
        if held.len() >= self.capacity {
            held.retain(|_, held| held.is_alive(now, self.lifetime));
        }
        if held.len() >= self.capacity
            && let Some(idle) = held
                .iter()
                .min_by_key(|(_, held)| held.used)
                .map(|(key, _)| *key)
        {
            held.remove(&idle);
        }
        held.insert(handle, Held { value, used: now });
    }

    /// The value, if it is still kept; its lifetime starts anew.
    pub(crate) fn get(&self, handle: &Handle, now: Instant) -> Option<Arc<T>> {
        let mut held = self.lock();
        let found = held
            .get_mut(handle)
            .filter(|held| held.is_alive(now, self.lifetime))?;
        found.used = now;
        Some(Arc::clone(&found.value))
    }

    pub(crate) fn remove(&self, handle: &Handle) -> Option<Arc<T>> {
        self.lock().remove(handle).map(|held| held.value)
    }

    /// Drops what has not been used for its lifetime.
    pub(crate) fn prune(&self, now: Instant) {
        self.lock()
            .retain(|_, held| held.is_alive(now, self.lifetime));
    }

    /// Takes everything out.
    pub(crate) fn drain(&self) -> Vec<Arc<T>> {
        self.lock().drain().map(|(_, held)| held.value).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Handle, Held<T>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Held<T> {
    fn is_alive(&self, now: Instant, lifetime: Duration) -> bool {
        now.saturating_duration_since(self.used) < lifetime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_that_was_idle_longest_makes_room() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let handles = Handles::new(2, Duration::from_secs(100));
        let first = handles.add(1, at(0)).expect("random");
        let second = handles.add(2, at(1)).expect("random");
        assert!(handles.get(&first, at(2)).is_some());
        let third = handles.add(3, at(3)).expect("random");
        assert!(handles.get(&second, at(4)).is_none());
        assert_eq!(handles.get(&first, at(4)).as_deref(), Some(&1));
        assert_eq!(handles.get(&third, at(4)).as_deref(), Some(&3));
    }

    #[test]
    fn a_value_is_dropped_after_its_lifetime_without_use() {
        let start = Instant::now();
        let handles = Handles::new(2, Duration::from_secs(10));
        let handle = handles.add("x", start).expect("random");
        assert!(
            handles
                .get(&handle, start + Duration::from_secs(9))
                .is_some()
        );
        assert!(
            handles
                .get(&handle, start + Duration::from_secs(18))
                .is_some()
        );
        handles.prune(start + Duration::from_secs(28));
        assert!(handles.drain().is_empty());
    }
}
