//! A plan that was made to describe a statement, kept for the run that mostly follows at once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long it serves.
const LIFETIME: Duration = Duration::from_secs(10);

/// At most one plan that nobody has run yet, and what it was made for.
#[derive(Debug)]
pub struct FreshPlan<K, P>(Mutex<Option<Kept<K, P>>>);

#[derive(Debug)]
struct Kept<K, P> {
    made_for: K,
    plan: P,
    since: Instant,
}

impl<K, P> FreshPlan<K, P> {
    /// Keeps `plan` in place of any other.
    pub fn keep(&self, made_for: K, plan: P) {
        let since = Instant::now();
        *self.lock() = Some(Kept {
            made_for,
            plan,
            since,
        });
    }

    /// The plan, if it was made for what `fits`, and not long ago. It serves one run; one that does not fit
    /// is given up.
    pub fn take(&self, fits: impl FnOnce(&K) -> bool) -> Option<P> {
        let kept = self.lock().take()?;
        let serves = kept.since.elapsed() < LIFETIME && fits(&kept.made_for);
        serves.then_some(kept.plan)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept<K, P>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, P> Default for FreshPlan<K, P> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_serves_one_run_of_what_it_was_made_for() {
        let fresh = FreshPlan::default();
        assert_eq!(fresh.take(|_: &i32| true), None::<&str>);
        fresh.keep(1, "one");
        assert_eq!(fresh.take(|it| *it == 1), Some("one"));
        assert_eq!(fresh.take(|it| *it == 1), None);
        fresh.keep(1, "one");
        fresh.keep(2, "two");
        assert_eq!(fresh.take(|it| *it == 1), None);
        assert_eq!(fresh.take(|it| *it == 2), None, "it was given up");
    }

    #[test]
    fn an_old_one_serves_none() {
        let fresh = FreshPlan::default();
        fresh.keep(1, "one");
        let mut kept = fresh.lock();
        let past = Instant::now().checked_sub(LIFETIME);
        kept.as_mut().expect("kept").since = past.expect("the machine runs for longer");
        drop(kept);
        assert_eq!(fresh.take(|_| true), None);
    }
}
