//! Delegations that were used already.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use weft_governance::{Error, ErrorKind, code};

use crate::token::DelegationId;

/// Clocks may differ, so an id is remembered a little longer than it is valid.
const MARGIN: Duration = Duration::from_secs(10);

/// Remembers ids until they expire. Bounded: when full of live ids it refuses.
#[derive(Debug)]
pub struct ReplayCache {
    capacity: usize,
    seen: Mutex<HashMap<String, SystemTime>>,
}

impl ReplayCache {
    /// Room for `capacity` live ids.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            seen: Mutex::default(),
        }
    }

    /// Lets each id pass once.
    ///
    /// # Errors
    /// `WEFT-REPLAYED` the second time, `WEFT-RESOURCES` when there is no room.
    pub fn admit(&self, id: DelegationId, now: SystemTime) -> Result<(), Error> {
        let DelegationId { jti, expires_at } = id;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains_key(&jti) {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                code::REPLAYED,
                "the delegation was used before",
            ));
        }
        if seen.len() >= self.capacity {
            seen.retain(|_, until| *until > now);
        }
        if seen.len() >= self.capacity {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                code::RESOURCES,
                "too many fragments come at a time",
            )
            .with_hint("Run the query again in a minute."));
        }
        seen.insert(jti, expires_at + MARGIN);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(jti: &str, now: SystemTime) -> DelegationId {
        DelegationId {
            jti: jti.to_owned(),
            expires_at: now + Duration::from_secs(30),
        }
    }

    #[test]
    fn an_id_passes_once_and_a_full_cache_refuses_until_ids_expire() {
        let now = SystemTime::now();
        let cache = ReplayCache::new(2);
        assert!(cache.admit(id("a", now), now).is_ok());
        assert_eq!(
            cache.admit(id("a", now), now).unwrap_err().code(),
            code::REPLAYED
        );
        assert!(cache.admit(id("b", now), now).is_ok());
        assert_eq!(
            cache.admit(id("c", now), now).unwrap_err().code(),
            code::RESOURCES
        );
        let later = now + Duration::from_secs(60);
        assert!(cache.admit(id("c", later), later).is_ok());
    }
}
