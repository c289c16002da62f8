//! Aligned memory for direct I/O, and reference-counted views of it.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::rc::Rc;
use std::slice;

/// Alignment, in bytes, of a [`Buffer`]'s memory and of every position and length given to
/// [`crate::File::write_at`].
pub const BLOCK: usize = 4096;

/// Largest buffer and largest single read, in bytes.
pub const BUFFER_MAX: usize = 1 << 30;

/// Where in its block the file position `pos` lies.
pub(crate) fn offset_in_block(pos: u64) -> usize {
    usize::try_from(pos % BLOCK as u64).expect("less than a block")
}

/// Aligned, mutable bytes from the heap. Not `Send`: it belongs to the executor that made it.
pub struct Buffer {
    memory: NonNull<u8>,
    /// Bytes that were allocated.
    allocated: usize,
    /// Bytes that are initialised and shown.
    len: usize,
}

/// A buffer of `len` zero bytes for this executor. `len` must lie in `1..=BUFFER_MAX`.
pub fn buffer(len: usize) -> Buffer {
    let mut buffer = Buffer::with_capacity(len);
    buffer.grow_to(len);
    buffer
}

impl Buffer {
    /// An empty buffer with memory for `capacity` bytes, which must lie in `1..=BUFFER_MAX`. Bytes that are never shown are
    /// never touched.
    pub fn with_capacity(capacity: usize) -> Buffer {
        assert!(capacity > 0, "a buffer has memory for at least one byte");
        assert!(capacity <= BUFFER_MAX, "a buffer of {capacity} bytes is larger than {BUFFER_MAX}");
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc(layout(capacity)) };
        let Some(memory) = NonNull::new(memory) else { handle_alloc_error(layout(capacity)) };
        Buffer { memory, allocated: capacity, len: 0 }
    }

    /// Bytes that it has memory for.
    pub fn capacity(&self) -> usize {
        self.allocated
    }

    /// Makes it `len` bytes long, no less than it is and no more than its capacity; the new ones are zero.
    pub fn grow_to(&mut self, len: usize) {
        assert!(self.len <= len && len <= self.allocated);
        // SAFETY: the bytes lie within the allocation, and nobody else has them.
        unsafe { self.memory.as_ptr().add(self.len).write_bytes(0, len - self.len) };
        self.len = len;
    }

    /// Adds these bytes behind those that it has; no more than its capacity. The memory is written once, and not made
    /// zero before.
    pub fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.allocated - self.len, "there is room for what is added");
        // SAFETY: that much is free behind the bytes that it has, within the allocation, and nobody else has it.
        unsafe {
            let end = self.memory.as_ptr().add(self.len);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len());
        }
        self.len += bytes.len();
    }

    /// The memory, for the kernel to write to.
    pub(crate) fn memory(&mut self) -> *mut u8 {
        self.memory.as_ptr()
    }

    /// Shows the first `len` bytes.
    ///
    /// # Safety
    /// They are initialised.
    pub(crate) unsafe fn written(mut self, len: usize) -> Buffer {
        assert!(len > 0 && len <= self.allocated);
        self.len = len;
        self
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True only before the first [`Buffer::grow_to`].
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Cuts the buffer to its first `len` bytes (`0 < len <= self.len()`); the rest cannot be had back as it was.
    pub fn shrink_to(&mut self, len: usize) {
        assert!(len > 0 && len <= self.len());
        self.len = len;
    }
}

/// Of `len` bytes of a buffer.
fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, BLOCK).expect("a buffer is at most 1 GiB")
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and goes once.
        unsafe { dealloc(self.memory.as_ptr(), layout(self.allocated)) };
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes are initialised there, and only a mutable borrow changes them.
        unsafe { slice::from_raw_parts(self.memory.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` bytes are initialised there, and the borrow is the only one.
        unsafe { slice::from_raw_parts_mut(self.memory.as_ptr(), self.len) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).finish()
    }
}

/// A cheap, shared, read-only view of part of a [`Buffer`]. Not `Send`. It keeps the whole buffer alive.
#[derive(Clone)]
pub struct Slice {
    /// `None` without bytes.
    memory: Option<Rc<Buffer>>,
    start: usize,
    end: usize,
}

impl Slice {
    /// The bytes `range` of `buffer`, which must lie within it.
    pub fn new(buffer: Rc<Buffer>, range: Range<usize>) -> Slice {
        assert!(range.start <= range.end && range.end <= buffer.len());
        Slice { memory: Some(buffer), start: range.start, end: range.end }
    }

    /// No bytes.
    pub fn empty() -> Slice {
        Slice { memory: None, start: 0, end: 0 }
    }

    /// A view of the bytes `range` of this view, which must lie within it.
    pub fn slice(&self, range: Range<usize>) -> Slice {
        assert!(range.start <= range.end && range.end <= self.len());
        Slice {
            memory: self.memory.clone(),
            start: self.start + range.start,
            end: self.start + range.end,
        }
    }

    /// Bytes of memory that it keeps alive: those of the whole buffer, however few of them it shows.
    pub fn memory(&self) -> usize {
        self.memory.as_ref().map_or(0, |buffer| buffer.capacity())
    }

    /// Whether both keep the same buffer alive. Those without bytes keep none.
    pub fn shares_memory_with(&self, other: &Slice) -> bool {
        match (&self.memory, &other.memory) {
            (Some(one), Some(two)) => Rc::ptr_eq(one, two),
            (Some(_) | None, _) => false,
        }
    }
}

impl Deref for Slice {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.memory {
            Some(buffer) => &buffer[self.start..self.end],
            None => &[],
        }
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slice").field("len", &self.len()).finish()
    }
}
