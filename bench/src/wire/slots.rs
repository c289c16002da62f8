//! What is in flight on a connection, by the number that the answer repeats.

/// The smallest number of a request. All numbers have the same count of digits, so that a prepared frame can be
/// stamped in place.
pub const OPAQUE_BASE: i32 = 1_000_000;
/// The largest.
const OPAQUE_LAST: i32 = 9_999_999;

/// A fixed number of places for requests in flight.
#[derive(Debug)]
pub struct Slots<T> {
    entries: Vec<Option<T>>,
    free: Vec<i32>,
}

impl<T> Slots<T> {
    /// Room for `capacity` requests.
    #[must_use]
    pub fn new(capacity: usize) -> Slots<T> {
        let count = i32::try_from(capacity).expect("a limit of requests is small");
        assert!(count > 0 && OPAQUE_BASE + count - 1 <= OPAQUE_LAST, "numbers keep their digits");
        let entries = std::iter::repeat_with(|| None).take(capacity).collect();
        Slots { entries, free: (OPAQUE_BASE..OPAQUE_BASE + count).rev().collect() }
    }

    /// Whether every place is taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Requests in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether nothing is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a place; its number. `None` when all are taken.
    pub fn insert(&mut self, entry: T) -> Option<i32> {
        let opaque = self.free.pop()?;
        let place = &mut self.entries[index(opaque)?];
        assert!(place.is_none(), "a free place is empty");
        *place = Some(entry);
        Some(opaque)
    }

    /// Frees a place; what was in it. `None` for a number that is not in flight.
    pub fn remove(&mut self, opaque: i32) -> Option<T> {
        let entry = self.entries.get_mut(index(opaque)?)?.take()?;
        self.free.push(opaque);
        assert!(self.free.len() <= self.entries.len(), "a place is freed once");
        Some(entry)
    }

    /// What is in flight, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().flatten()
    }

    /// Frees all places.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        let Slots { entries, free } = self;
        entries.iter_mut().zip(OPAQUE_BASE..).filter_map(|(place, opaque)| {
            let entry = place.take()?;
            free.push(opaque);
            Some(entry)
        })
    }
}

fn index(opaque: i32) -> Option<usize> {
    usize::try_from(opaque.checked_sub(OPAQUE_BASE)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_and_freed() {
        let mut slots = Slots::new(2);
        let first = slots.insert('a').unwrap();
        let second = slots.insert('b').unwrap();
        assert_eq!((first, second), (OPAQUE_BASE, OPAQUE_BASE + 1));
        assert!(slots.is_full() && slots.insert('c').is_none());
        assert_eq!(slots.remove(first), Some('a'));
        assert_eq!(slots.remove(first), None, "an answer that comes twice finds nobody");
        for strange in [i32::MIN, -1, 0, OPAQUE_BASE - 1, OPAQUE_BASE + 2, i32::MAX] {
            assert_eq!(slots.remove(strange), None);
        }
        assert_eq!((slots.len(), slots.insert('d')), (1, Some(first)));
    }

    #[test]
    fn draining_frees_everything() {
        let mut slots = Slots::new(3);
        for entry in ['a', 'b', 'c'] {
            slots.insert(entry).unwrap();
        }
        slots.remove(OPAQUE_BASE + 1).unwrap();
        assert_eq!(slots.iter().count(), 2);
        assert_eq!(slots.drain().collect::<String>(), "ac");
        assert!(slots.is_empty());
        let again: Vec<_> = std::iter::from_fn(|| slots.insert('x')).collect();
        assert_eq!(again.len(), 3);
    }
}
