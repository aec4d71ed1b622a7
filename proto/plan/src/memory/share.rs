//! One plan's share of the memory.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{Result, resources_err};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// A part of a pool that no plan but one takes from.
#[derive(Debug)]
pub(super) struct Share {
    pool: Arc<dyn MemoryPool>,
    most: usize,
    used: AtomicUsize,
}

impl Share {
    /// At most `most` bytes of `pool`.
    pub(super) fn of(pool: Arc<dyn MemoryPool>, most: usize) -> Arc<dyn MemoryPool> {
        Arc::new(Self {
            pool,
            most,
            used: AtomicUsize::new(0),
        })
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl MemoryPool for Share {
    fn name(&self) -> &str {
        "share"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.pool.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.pool.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.pool.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.give_back(shrink);
        self.pool.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let more = |used: usize| used.checked_add(additional).filter(|sum| *sum <= self.most);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.used.fetch_update(set, fetch, more).is_err() {
            return resources_err!(
                "the query needs more than its {} MiB of memory",
                self.most >> 20
            );
        }
        let grown = self.pool.try_grow(reservation, additional);
        if grown.is_err() {
            self.give_back(additional);
        }
        grown
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.most)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "share of {} bytes of {}", self.most, self.pool)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    #[test]
    fn a_plan_takes_no_more_than_its_share_and_gives_all_of_it_back() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let (one, other) = (
            Share::of(Arc::clone(&pool), 60),
            Share::of(Arc::clone(&pool), 60),
        );
        let first = MemoryConsumer::new("first").register(&one);
        first.try_grow(50).expect("within the share");
        first.try_grow(20).expect_err("beyond the share");
        let second = MemoryConsumer::new("second").register(&other);
        second
            .try_grow(60)
            .expect_err("within the share, beyond the pool");
        assert_eq!(other.reserved(), 0);
        second.try_grow(50).expect("within both");
        assert_eq!((one.reserved(), pool.reserved()), (50, 100));
        drop((first, second));
        assert_eq!(
            (one.reserved(), other.reserved(), pool.reserved()),
            (0, 0, 0)
        );
    }
}
