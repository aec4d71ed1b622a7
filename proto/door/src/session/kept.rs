//! What is kept for clients, who may never come for it: statements, values that they bound, results.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Bytes that keeping takes beside what is kept.
const AROUND: usize = 4 << 10;
/// One owner has at most this part of what is kept.
const SHARE: usize = 2;

/// All that a door keeps, up to so many bytes. What was idle longest makes room: of the owner who has more
/// than half, else of anybody. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shelf(Arc<Mutex<Places>>);

/// What can be taken out.
trait Contents: Send + Sync {
    fn take_out(&self);
}

impl<T: Send> Contents for Mutex<Option<T>> {
    fn take_out(&self) {
        self.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

struct Places {
    most: usize,
    last: u64,
    taken: usize,
    /// What each owner has of it.
    shares: HashMap<Arc<[u8]>, usize>,
    places: HashMap<u64, Place>,
}

struct Place {
    owner: Arc<[u8]>,
    contents: Arc<dyn Contents>,
    bytes: usize,
    used: Instant,
}

/// Something on the shelf, for as long as this lives and nobody else needs the room.
pub(crate) struct Kept<T> {
    id: u64,
    contents: Arc<Mutex<Option<T>>>,
    shelf: Shelf,
}

impl Shelf {
    /// An empty one for `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Places {
            most,
            last: 0,
            taken: 0,
            shares: HashMap::new(),
            places: HashMap::new(),
        })))
    }

    /// Keeps `value`, of so many `bytes`, for `owner`. What is larger than all the room is not kept at all.
    pub(crate) fn keep<T: Send + 'static>(
        &self,
        owner: &[u8],
        value: T,
        bytes: usize,
        now: Instant,
    ) -> Kept<T> {
        let contents = Arc::new(Mutex::new(Some(value)));
        let mut shelf = self.lock();
        shelf.last += 1;
        let id = shelf.last;
        let place = Place {
            owner: owner.into(),
            contents: Arc::clone(&contents) as Arc<dyn Contents>,
            bytes: bytes.saturating_add(AROUND),
            used: now,
        };
        let crowded_out = shelf.put(id, place);
        drop(shelf);
        // What is dropped with it may be on the shelf itself.
        for place in crowded_out {
            place.contents.take_out();
        }
        Kept {
            id,
            contents,
            shelf: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// Puts `place` there. What has to make room for it comes back.
    fn put(&mut self, id: u64, place: Place) -> Vec<Place> {
        if place.bytes > self.most {
            return vec![place];
        }
        let owner = Arc::clone(&place.owner);
        self.taken = self.taken.saturating_add(place.bytes);
        let share = self.shares.entry(Arc::clone(&owner)).or_default();
        *share = share.saturating_add(place.bytes);
        self.places.insert(id, place);
        let (most, enough) = (self.most, self.most / SHARE);
        let is_own = |place: &Place| place.owner == owner;
        let mut crowded_out = self.clear(id, is_own, |it| it.share_of(&owner) <= enough);
        crowded_out.extend(self.clear(id, |_| true, |it| it.taken <= most));
        crowded_out
    }

    fn take(&mut self, id: u64) -> Option<Place> {
        let place = self.places.remove(&id)?;
        self.taken = self.taken.saturating_sub(place.bytes);
        if let Some(share) = self.shares.get_mut(&place.owner) {
            *share = share.saturating_sub(place.bytes);
            if *share == 0 {
                self.shares.remove(&place.owner);
            }
        }
        Some(place)
    }

    fn share_of(&self, owner: &Arc<[u8]>) -> usize {
        self.shares.get(owner).copied().unwrap_or_default()
    }

    /// Takes what was idle longest and is `of` concern, except for `new`, until it is `enough`.
    fn clear(
        &mut self,
        new: u64,
        of: impl Fn(&Place) -> bool,
        enough: impl Fn(&Self) -> bool,
    ) -> Vec<Place> {
        let mut taken = Vec::new();
        if enough(self) {
            return taken;
        }
        let places = self.places.iter();
        let concerned = places.filter(|(id, place)| **id != new && of(place));
        let mut concerned: Vec<_> = concerned.map(|(id, place)| (place.used, *id)).collect();
        concerned.sort_unstable();
        for (_, id) in concerned {
            if enough(self) {
                break;
            }
            taken.extend(self.take(id));
        }
        taken
    }
}

impl<T: Clone> Kept<T> {
    /// Names the place: no other ever has the same name.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// What is kept; nothing if it had to make room.
    pub(crate) fn get(&self, now: Instant) -> Option<T> {
        if let Some(place) = self.shelf.lock().places.get_mut(&self.id) {
            place.used = now;
        }
        let contents = self.contents.lock();
        contents.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        self.shelf.lock().take(self.id);
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("taken", &self.lock().taken)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BYTES: usize = 60 << 10;

    fn keep(shelf: &Shelf, owner: &str, now: Instant) -> Kept<u8> {
        shelf.keep(owner.as_bytes(), 1, BYTES, now)
    }

    #[test]
    fn what_was_idle_longest_makes_room() {
        let shelf = Shelf::new(4 * (BYTES + AROUND));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let kept: Vec<_> = (0..4)
            .flat_map(|second| [("a", second), ("b", second)])
            .map(|(owner, second)| keep(&shelf, owner, at(second)))
            .collect();
        let left = || -> Vec<bool> {
            let contents = kept.iter().map(|kept| kept.contents.lock());
            contents.map(|it| it.expect("whole").is_some()).collect()
        };
        // Each has half: two of four.
        let mut expected = [false, false, false, false, true, true, true, true];
        assert_eq!(left(), expected);
        assert!(kept[4].get(at(9)).is_some());
        let other = keep(&shelf, "c", at(8));
        // What was used last stays.
        expected[5] = false;
        assert_eq!(left(), expected);
        assert!(other.get(at(9)).is_some());
    }

    #[test]
    fn what_makes_room_may_hold_what_is_kept() {
        let shelf = Shelf::new(2 * (BYTES + AROUND));
        let now = Instant::now();
        let inner = keep(&shelf, "a", now);
        let outer = shelf.keep(b"b", Arc::new(inner), BYTES, now);
        let other = keep(&shelf, "c", now);
        let last = keep(&shelf, "d", now);
        assert!(outer.get(now).is_none());
        assert!(other.get(now).is_some() && last.get(now).is_some());
        assert_eq!(shelf.lock().places.len(), 2);
    }

    #[test]
    fn room_is_given_back() {
        let shelf = Shelf::new(1 << 20);
        let kept = keep(&shelf, "a", Instant::now());
        assert_eq!(shelf.lock().taken, BYTES + AROUND);
        drop(kept);
        let shelf = shelf.lock();
        let left = (shelf.taken, shelf.shares.len(), shelf.places.len());
        assert_eq!(left, (0, 0, 0));
    }

    #[test]
    fn more_than_there_is_room_for_is_not_kept() {
        let shelf = Shelf::new(BYTES);
        let now = Instant::now();
        assert_eq!(keep(&shelf, "a", now).get(now), None);
        assert_eq!(shelf.lock().taken, 0);
    }
}
