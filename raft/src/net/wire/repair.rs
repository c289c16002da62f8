//! Entries for a member whose log is damaged: what it asks another one for, and what it gets.

use std::ops::Range;

use model::LogIndex;
use openraft::type_config::alias::EntryOf;
use runtime::Slice;

use super::cursor::Cursor;
use super::entry;
use super::error::WireError;
use crate::types::Types;

/// What is asked for. Only its layout is used.
#[repr(C)]
struct Layout {
    from: u64,
    to: u64,
    max_bytes: u32,
    reserved: [u8; 4],
}

const LEN: usize = size_of::<Layout>();
const _: () = assert!(LEN == 24 && std::mem::offset_of!(Layout, max_bytes) == 16);

/// What one asks for whose log is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Indexes of entries; there is one.
    pub(crate) range: Range<LogIndex>,
    /// Bytes of entries at most, but for the first one; not 0.
    pub(crate) max_bytes: u32,
}

/// Appends a request to `out`.
pub(in crate::net) fn put(out: &mut Vec<u8>, wanted: &Wanted) {
    let Wanted { range, max_bytes } = wanted;
    assert!(range.start < range.end && *max_bytes > 0, "something is asked for");
    let begin = out.len();
    out.extend(range.start.0.to_le_bytes());
    out.extend(range.end.0.to_le_bytes());
    out.extend(max_bytes.to_le_bytes());
    out.extend([0; 4]);
    assert_eq!(out.len() - begin, LEN);
}

/// Reads a request.
pub(in crate::net) fn take(body: &[u8]) -> Result<Wanted, WireError> {
    let mut from = Cursor::new(body);
    let range = LogIndex(from.u64()?)..LogIndex(from.u64()?);
    let max_bytes = from.u32()?;
    from.zeros::<4>()?;
    from.end()?;
    if range.start >= range.end || max_bytes == 0 {
        return Err(WireError::Nothing);
    }
    Ok(Wanted { range, max_bytes })
}

/// Appends an answer to `out`.
pub(in crate::net) fn put_answer(out: &mut Vec<u8>, entries: &[EntryOf<Types>]) {
    let count = u32::try_from(entries.len()).expect("an answer has few entries");
    out.extend(count.to_le_bytes());
    out.extend([0; 4]);
    entries.iter().for_each(|entry| entry::put(out, entry));
}

/// Reads an answer. The bodies of its entries are views of `body`. Whether they are the ones that are wanted is not looked at.
pub(in crate::net) fn take_answer(body: &Slice) -> Result<Vec<EntryOf<Types>>, WireError> {
    let mut from = Cursor::new(body);
    let count = from.len()?;
    from.zeros::<4>()?;
    // No more than the bytes have room for, whatever the number says.
    let mut entries = Vec::with_capacity(count.min(body.len() / entry::HEAD_LEN));
    for _ in 0..count {
        entries.push(entry::take(&mut from, body)?);
    }
    from.end()?;
    Ok(entries)
}
