//! What the kernel works on while an operation is under way.

use std::any::Any;
use std::ffi::CString;
use std::fmt;
use std::rc::Rc;

use crate::buffer::Buffer;

/// Memory that one read fills in turn.
pub(super) struct Pieces {
    pub(super) buffers: Vec<Buffer>,
    /// What the kernel reads of them; on the heap, where it stays.
    vectors: Vec<libc::iovec>,
}

impl Pieces {
    /// So many, of `len` bytes each.
    pub(super) fn new(len: usize, count: usize) -> Pieces {
        let mut buffers: Vec<_> = (0..count).map(|_| Buffer::with_capacity(len)).collect();
        let vector =
            |buffer: &mut Buffer| libc::iovec { iov_base: buffer.memory().cast(), iov_len: len };
        let vectors = buffers.iter_mut().map(vector).collect();
        Pieces { buffers, vectors }
    }

    /// For the kernel: where the vectors are, and how many.
    pub(super) fn vectors(&self) -> (*const libc::iovec, u32) {
        let count = u32::try_from(self.vectors.len()).expect("a few");
        (self.vectors.as_ptr(), count)
    }
}

/// Descriptors and memory that must outlive an operation, though its future may not.
#[derive(Default)]
pub(super) struct Keep {
    /// The owner of the descriptor.
    pub(super) _descriptor: Option<Rc<dyn Any>>,
    /// What is written, or where a read goes.
    pub(super) buffer: Option<Rc<Buffer>>,
    /// Where a read of several pieces goes.
    pub(super) pieces: Option<Pieces>,
    /// A name.
    pub(super) _path: Option<CString>,
}

impl Keep {
    /// Nothing but what owns the descriptor.
    pub(super) fn descriptor(owner: Rc<dyn Any>) -> Keep {
        Keep { _descriptor: Some(owner), ..Keep::default() }
    }
}

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keep").finish_non_exhaustive()
    }
}
