//! Slows down who guesses passwords.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use weft_governance::{Error, ErrorKind, code};

/// Attempts that a name has at once.
const BURST: u32 = 10;
/// An attempt comes back after this long.
const REFILL: Duration = Duration::from_secs(30);
/// Names share this many counters. More come back each second than the machine can check
/// passwords, so that guessing for many names does not use up everyone's.
const COUNTERS: usize = 1 << 15;

/// Counts attempts by name, in a table of fixed size: there is nothing to fill up or push out, and
/// names that do not exist are counted like those that do.
pub(crate) struct Throttle {
    hasher: RandomState,
    /// When a counter will have all its attempts back.
    full_at: Mutex<Vec<Option<Instant>>>,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            full_at: Mutex::new(vec![None; COUNTERS]),
        }
    }

    /// Takes one of the attempts of `name` before its password is checked, so that guesses made at
    /// one time count as well.
    pub(crate) fn attempt(&self, name: &str, now: Instant) -> Result<(), Error> {
        let mut counters = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(full_at) = counters.get_mut(self.counter(name)) else {
            return Err(too_many());
        };
        let next = full_at.map_or(now, |at| at.max(now)) + REFILL;
        if next > now + REFILL * BURST {
            return Err(too_many());
        }
        *full_at = Some(next);
        Ok(())
    }

    /// Gives `name` all its attempts back: the password was right.
    pub(crate) fn succeeded(&self, name: &str) {
        let mut counters = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = counters.get_mut(self.counter(name)) {
            *full_at = None;
        }
    }

    fn counter(&self, name: &str) -> usize {
        // The table's length is a power of two, and the mask keeps the number small.
        (self.hasher.hash_one(name) & (COUNTERS as u64 - 1)) as usize
    }
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::ResourceExhausted,
        code::RESOURCES,
        "too many sign-ins were tried for this name",
    )
    .with_hint("Wait half a minute and try again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_run_out_and_come_back() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        for _ in 0..BURST {
            throttle.attempt("ann", now).expect("free");
        }
        assert_eq!(
            throttle.attempt("ann", now).expect_err("out").code(),
            code::RESOURCES
        );
        let later = now + REFILL;
        throttle.attempt("ann", later).expect("one came back");
        assert!(throttle.attempt("ann", later).is_err(), "only one");
    }

    #[test]
    fn a_right_password_gives_the_attempts_back() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        for _ in 0..10 * BURST {
            throttle.attempt("ann", now).expect("free");
            throttle.succeeded("ann");
        }
    }

    #[test]
    fn guessing_under_many_names_frees_no_name_that_ran_out() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        while throttle.attempt("ann", now).is_ok() {}
        for number in 0..200_000 {
            // Whether there is an attempt left for this one does not matter.
            let _ = throttle.attempt(&format!("nobody-{number}"), now);
        }
        assert!(throttle.attempt("ann", now).is_err());
    }
}
