//! Finding the log again behind damage.
//!
//! Without the entry before it an entry's chain cannot be checked, so what is found here is a place to
//! read on from: its own header tells what the next entry must continue.

use model::PhysicalOffset;
use runtime::{BLOCK, File};

use crate::entry::{ENTRY_ALIGN, ENTRY_HEADER_LEN, Local, Replicated, begins_entry, entry_len};
use crate::position::Position;

/// Bytes searched at a time.
const WINDOW: usize = 1024 * 1024;
const _: () = assert!(WINDOW.is_multiple_of(BLOCK) && WINDOW > ENTRY_HEADER_LEN);

/// The segment that is searched.
pub(super) struct Searched<'a> {
    pub file: &'a File,
    pub base: PhysicalOffset,
    pub end: PhysicalOffset,
}

impl Searched<'_> {
    /// The next point behind `from` in this segment from which the log can be read on.
    pub(super) async fn next(&self, from: Position) -> Option<Position> {
        if let Some(position) = self.behind(&from).await {
            return Some(position);
        }
        let mut at = from.offset.plus(ENTRY_ALIGN as u64);
        while at < self.end {
            let bytes = self.read(at).await;
            if let Some(found) = self.first_in(&bytes, at, &from) {
                return Some(found);
            }
            // A header that straddles two windows is seen whole in the second one.
            let step = bytes.len().saturating_sub(ENTRY_HEADER_LEN) / ENTRY_ALIGN * ENTRY_ALIGN;
            at = if step == 0 { self.end } else { at.plus(step as u64) };
        }
        None
    }

    /// The point behind the entry at `from`, if its header tells its length and another one follows.
    async fn behind(&self, from: &Position) -> Option<Position> {
        let bytes = self.read(from.offset).await;
        let position = self.behind_header(&bytes, from.offset, from)?;
        let bytes = self.read(position.offset).await;
        let next = Replicated::decode(bytes.get(..ENTRY_HEADER_LEN)?).ok()?;
        let follows = next.offset == position.offset && next.index == position.index;
        follows.then_some(position)
    }

    /// The point behind the entry whose header is at the beginning of `bytes`.
    fn behind_header(
        &self,
        bytes: &[u8],
        at: PhysicalOffset,
        least: &Position,
    ) -> Option<Position> {
        let header = bytes.get(..ENTRY_HEADER_LEN)?;
        let replicated = Replicated::decode(header).ok()?;
        let local = Local::decode(header).ok()?;
        let len = entry_len(replicated.payload_len as usize) as u64;
        let possible = replicated.offset == at
            && replicated.index >= least.index
            && replicated.index.0 < u64::MAX
            && local.generation >= least.generation
            && len <= self.end.since(at);
        possible.then(|| Position {
            offset: at.plus(len),
            index: replicated.index.next(),
            term: replicated.term,
            chain: replicated.chain,
            timestamp: least.timestamp.max(replicated.timestamp),
            generation: local.generation,
            last: at,
        })
    }

    fn first_in(&self, bytes: &[u8], at: PhysicalOffset, least: &Position) -> Option<Position> {
        let places = bytes.chunks_exact(ENTRY_ALIGN).enumerate();
        places.filter(|(_, place)| begins_entry(place)).find_map(|(place, _)| {
            let from = place * ENTRY_ALIGN;
            self.behind_header(&bytes[from..], at.plus(from as u64), least)
        })
    }

    /// What stands at `at`. Blocks that cannot be read are zeros.
    async fn read(&self, at: PhysicalOffset) -> Vec<u8> {
        if at >= self.end {
            return Vec::new();
        }
        let left = usize::try_from(self.end.since(at)).unwrap_or(usize::MAX);
        let (position, len) = (at.since(self.base), left.min(WINDOW));
        if let Ok(bytes) = self.file.read_at(position, len).await {
            return bytes.to_vec();
        }
        let mut bytes = vec![0; len];
        let mut done = 0;
        while done < len {
            let place = position + done as u64;
            let into = usize::try_from(place % BLOCK as u64).expect("less than a block");
            let step = (BLOCK - into).min(len - done);
            if let Ok(block) = self.file.read_at(place, step).await {
                bytes[done..done + block.len()].copy_from_slice(&block);
            }
            done += step;
        }
        bytes
    }
}
