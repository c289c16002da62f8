//! Aligned memory for direct I/O, and reference-counted views of it.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::rc::Rc;

/// Alignment, in bytes, of a [`Buffer`]'s memory and of every position and length given to [`crate::File::write_at`].
pub const BLOCK: usize = 4096;

/// Aligned, mutable bytes. Not `Send`: it belongs to the executor that made it.
pub struct Buffer {
    bytes: Vec<u8>,
}

/// A buffer of `len` zero bytes for this executor. `len` must not be zero.
pub fn buffer(len: usize) -> Buffer {
    assert!(len > 0, "a buffer has at least one byte");
    Buffer {
        bytes: vec![0; len],
    }
}

impl Buffer {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Always false: zero-length buffers are not allowed.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Cuts the buffer to its first `len` bytes (`0 < len <= self.len()`); they cannot be had back.
    pub fn shrink_to(&mut self, len: usize) {
        assert!(len > 0 && len <= self.len());
        self.bytes.truncate(len);
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).finish()
    }
}

/// A cheap, shared, read-only view of part of a [`Buffer`]. Not `Send`.
#[derive(Clone)]
pub struct Slice {
    buffer: Rc<Buffer>,
    start: usize,
    end: usize,
}

impl Slice {
    /// The bytes `range` of `buffer`, which must lie within it.
    pub fn new(buffer: Rc<Buffer>, range: Range<usize>) -> Slice {
        assert!(range.start <= range.end && range.end <= buffer.len());
        Slice {
            buffer,
            start: range.start,
            end: range.end,
        }
    }

    /// A view of the bytes `range` of this view, which must lie within it.
    pub fn slice(&self, range: Range<usize>) -> Slice {
        assert!(range.start <= range.end && range.end <= self.len());
        Slice {
            buffer: self.buffer.clone(),
            start: self.start + range.start,
            end: self.start + range.end,
        }
    }
}

impl Deref for Slice {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slice").field("len", &self.len()).finish()
    }
}
