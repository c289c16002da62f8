//! How a table finds queues.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use super::QueueKey;

/// Something for each queue. Looked into for every message, so the hash is a cheap one: the keys are a few small numbers,
/// and a random factor for each table keeps clients from choosing queues that meet in one place.
pub(super) type ByQueue<T> = HashMap<QueueKey, T, Folding>;

/// Begins hashes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folding {
    factor: u64,
}

impl Default for Folding {
    fn default() -> Self {
        // What is even loses bits when it multiplies.
        Self { factor: RandomState::new().hash_one(0_u8) | 1 }
    }
}

impl BuildHasher for Folding {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded { factor: self.factor, state: 0 }
    }
}

/// A hash under way: each number is mixed in by a multiplication to twice the width, of which both halves stay.
#[derive(Debug)]
pub(super) struct Folded {
    factor: u64,
    state: u64,
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a product")]
    fn write_u64(&mut self, number: u64) {
        // Never zero times something, which would forget what came before.
        let sum = (self.state ^ number).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let product = u128::from(sum) * u128::from(self.factor);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use model::{LogIndex, QueueId};

    use super::*;
    use crate::topics::Incarnation;

    /// Counts the queues that fall into the fullest of as many places as there are queues.
    fn fullest(keys: &[QueueKey], shift: u32) -> usize {
        let hashes = Folding::default();
        let mut places = vec![0; keys.len().next_power_of_two()];
        let mask = places.len() as u64 - 1;
        for key in keys {
            let place = usize::try_from(hashes.hash_one(key) >> shift & mask).expect("masked");
            places[place] += 1;
        }
        places.into_iter().max().expect("there are places")
    }

    #[test]
    fn queues_are_spread_evenly() {
        let key = |topic: u64, queue: u32| QueueKey {
            incarnation: Incarnation(LogIndex(topic)),
            queue: QueueId(queue),
        };
        let few: Vec<_> = (1..=100).flat_map(|t| (0..1000).map(move |q| key(t, q))).collect();
        let many: Vec<_> = (1..=25_000).flat_map(|t| (0..4).map(move |q| key(t * 37, q))).collect();
        for keys in [few, many] {
            // A table takes the place from the lowest bits and a check from the highest. 100,000 balls thrown into
            // 131,072 places come to 7 or 8 in the fullest.
            assert!(fullest(&keys, 0) < 16 && fullest(&keys, 64 - 17) < 16);
            let hashes = Folding::default();
            let distinct: HashSet<_> = keys.iter().map(|key| hashes.hash_one(key)).collect();
            assert_eq!(distinct.len(), keys.len());
        }
    }
}
