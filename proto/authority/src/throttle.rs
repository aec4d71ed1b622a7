//! Slows down who guesses passwords.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use weft_governance::{Error, ErrorKind, code};

/// Wrong passwords in a row before a name has to wait.
const FREE: u32 = 10;
/// How long it then waits.
const WAIT: Duration = Duration::from_secs(30);
/// Names that are remembered.
const REMEMBERED: usize = 10_000;

/// Counts wrong passwords by name. Bounded.
#[derive(Default)]
pub(crate) struct Throttle {
    wrong: Mutex<HashMap<String, (u32, Instant)>>,
}

impl Throttle {
    pub(crate) fn check(&self, name: &str) -> Result<(), Error> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        match wrong.get(name) {
            Some((times, last)) if *times >= FREE && last.elapsed() < WAIT => Err(Error::new(
                ErrorKind::ResourceExhausted,
                code::RESOURCES,
                "too many wrong passwords came for this name",
            )
            .with_hint("Wait half a minute and try again.")),
            _ => Ok(()),
        }
    }

    pub(crate) fn failed(&self, name: &str) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() >= REMEMBERED && !wrong.contains_key(name) {
            wrong.retain(|_, (_, last)| last.elapsed() < WAIT);
        }
        if wrong.len() < REMEMBERED || wrong.contains_key(name) {
            let entry = wrong.entry(name.to_owned()).or_insert((0, Instant::now()));
            *entry = (entry.0.saturating_add(1), Instant::now());
        }
    }

    pub(crate) fn succeeded(&self, name: &str) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}
