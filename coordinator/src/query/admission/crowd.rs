//! How many are refused, and when it is worth their while to come back.

use std::time::{Duration, Instant};

/// What is counted together, and after how long somebody comes back who is refused alone.
const SECOND: Duration = Duration::from_secs(1);
/// Nobody is sent away for longer.
const LONGEST: u32 = 10;

/// Those who were refused in the last second.
#[derive(Debug)]
pub(super) struct Crowd {
    since: Instant,
    /// From `since` on.
    now: u32,
    /// In the second before.
    before: u32,
}

impl Crowd {
    /// Nobody yet.
    pub(super) fn new(at: Instant) -> Self {
        Self {
            since: at,
            now: 0,
            before: 0,
        }
    }

    /// Counts one more who is refused, and tells after how long to try again: one second later for each
    /// `room` that were refused before within a second, so that not all come back at once, and the more
    /// there are, the less they ask.
    pub(super) fn refuse(&mut self, at: Instant, room: usize) -> Duration {
        let passed = at.saturating_duration_since(self.since);
        if passed >= SECOND {
            self.before = match passed < 2 * SECOND {
                true => self.now,
                false => 0,
            };
            (self.since, self.now) = (at, 0);
        }
        let room = u32::try_from(room.max(1)).unwrap_or(u32::MAX);
        let later = self.now.max(self.before) / room;
        self.now = self.now.saturating_add(1);
        SECOND * (1 + later).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 10;

    /// What so many are told who are refused at the same time.
    fn told(crowd: &mut Crowd, at: Instant, many: usize) -> Vec<u64> {
        let each = (0..many).map(|_| crowd.refuse(at, ROOM).as_secs());
        each.collect()
    }

    #[test]
    fn the_more_are_refused_the_later_they_come_back() {
        let start = Instant::now();
        let mut crowd = Crowd::new(start);
        assert_eq!(told(&mut crowd, start, 10), [1; 10]);
        assert_eq!(told(&mut crowd, start, 10), [2; 10]);
        // A second later it is not forgotten, two seconds later it is.
        let next = start + SECOND;
        assert_eq!(told(&mut crowd, next, 20), [3; 20]);
        let quiet = next + 2 * SECOND;
        assert_eq!(told(&mut crowd, quiet, 1), [1]);
    }

    #[test]
    fn nobody_is_sent_away_for_long_or_makes_it_fail() {
        let start = Instant::now();
        let mut crowd = Crowd::new(start);
        let told = told(&mut crowd, start, 1_000);
        assert_eq!(told.last(), Some(&u64::from(LONGEST)));
        assert_eq!(crowd.refuse(start, 0).as_secs(), u64::from(LONGEST));
        assert!(crowd.refuse(start, usize::MAX) >= SECOND);
    }
}
