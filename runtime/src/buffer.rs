//! Aligned memory for direct I/O, and reference-counted views of it.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::rc::Rc;

use glommio::io::{DmaBuffer, ReadResult};

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
///
/// It comes from the allocator, never from the small memory that is registered with the ring, so that many or large
/// buffers cannot exhaust that.
// Transparent, so that an `Rc<Buffer>` can be handed to glommio as the `Rc<DmaBuffer>` it is. No `Drop` of its own.
#[repr(transparent)]
pub struct Buffer {
    memory: DmaBuffer,
}

/// A buffer of `len` zero bytes for this executor. `len` must lie in `1..=BUFFER_MAX`.
pub fn buffer(len: usize) -> Buffer {
    assert!(len > 0, "a buffer has at least one byte");
    assert!(len <= BUFFER_MAX, "a buffer of {len} bytes is larger than {BUFFER_MAX}");
    let mut memory = glommio::allocate_dma_buffer_global(len);
    // glommio leaves the memory as malloc gave it: stale heap must not become readable or reach the disk.
    memory.as_bytes_mut().fill(0);
    assert!((memory.as_ptr() as usize).is_multiple_of(BLOCK));
    assert!(memory.len() == len);
    Buffer { memory }
}

impl Buffer {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Always false: zero-length buffers are not allowed.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Cuts the buffer to its first `len` bytes (`0 < len <= self.len()`); the rest cannot be had back.
    pub fn shrink_to(&mut self, len: usize) {
        assert!(len > 0 && len <= self.len());
        self.memory.trim_to_size(len);
    }

    /// The same buffer as glommio knows it.
    pub(crate) fn into_dma(buffer: Rc<Buffer>) -> Rc<DmaBuffer> {
        // SAFETY: `Buffer` is `repr(transparent)` over `DmaBuffer` and has no `Drop`, so the two have the same size,
        // alignment and destructor, which is what `Rc::from_raw` asks of a pointer from another type's `into_raw`.
        unsafe { Rc::from_raw(Rc::into_raw(buffer).cast::<DmaBuffer>()) }
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.memory.as_bytes()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.as_bytes_mut()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).finish()
    }
}

/// A cheap, shared, read-only view of part of a [`Buffer`] or of what a read returned. Not `Send`. It keeps the whole
/// memory behind it alive.
#[derive(Clone)]
pub struct Slice {
    memory: Memory,
    start: usize,
    end: usize,
}

#[derive(Clone)]
enum Memory {
    Buffer(Rc<Buffer>),
    Read(ReadResult),
}

impl Slice {
    /// The bytes `range` of `buffer`, which must lie within it.
    pub fn new(buffer: Rc<Buffer>, range: Range<usize>) -> Slice {
        assert!(range.start <= range.end && range.end <= buffer.len());
        Slice { memory: Memory::Buffer(buffer), start: range.start, end: range.end }
    }

    /// No bytes.
    pub fn empty() -> Slice {
        Slice { memory: Memory::Read(ReadResult::default()), start: 0, end: 0 }
    }

    pub(crate) fn of_read(read: ReadResult, range: Range<usize>) -> Slice {
        assert!(range.start <= range.end && range.end <= read.len());
        Slice { memory: Memory::Read(read), start: range.start, end: range.end }
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
}

impl Deref for Slice {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &self.memory {
            Memory::Buffer(buffer) => buffer,
            Memory::Read(read) => read,
        };
        &all[self.start..self.end]
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slice").field("len", &self.len()).finish()
    }
}
