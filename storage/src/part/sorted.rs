//! Sorting without stopping everything else: chunk by chunk, then merged as it is read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::vec;

use super::pace::Pace;

/// Items of a chunk: as many as are sorted in one go.
pub(crate) const CHUNK: usize = 4096;

/// Gives the items of all chunks in order.
pub(crate) struct Sorted<T> {
    chunks: Vec<vec::IntoIter<T>>,
    /// The next item of each chunk that has one.
    heads: BinaryHeap<Reverse<(T, usize)>>,
}

impl<T: Ord> Sorted<T> {
    /// Sorts `chunks`, each of at most [`CHUNK`] items, yielding in between.
    pub(crate) async fn of(chunks: Vec<Vec<T>>, pace: &mut Pace) -> Self {
        let mut sorted = Vec::with_capacity(chunks.len());
        for mut chunk in chunks {
            assert!(chunk.len() <= CHUNK, "what is sorted in one go is bounded");
            chunk.sort_unstable();
            pace.spend_sorting(chunk.len()).await;
            sorted.push(chunk.into_iter());
        }
        let heads = sorted.iter_mut().enumerate();
        let heads = heads.filter_map(|(at, chunk)| Some(Reverse((chunk.next()?, at)))).collect();
        Self { chunks: sorted, heads }
    }
}

impl<T: Ord> Iterator for Sorted<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let mut head = self.heads.peek_mut()?;
        let at = head.0.1;
        // Changing the first of the heap in its place costs half of taking it out and adding another.
        let item = match self.chunks[at].next() {
            Some(next) => {
                assert!(next >= head.0.0, "a chunk is sorted");
                std::mem::replace(&mut *head, Reverse((next, at))).0.0
            }
            None => PeekMut::pop(head).0.0,
        };
        Some(item)
    }
}
