//! What the kernel works on while an operation is under way.

use std::any::Any;
use std::ffi::CString;
use std::fmt;
use std::rc::Rc;

use crate::buffer::Buffer;

/// Descriptors and memory that must outlive an operation, though its future may not.
#[derive(Default)]
pub(super) struct Keep {
    /// The owner of the descriptor.
    pub(super) _descriptor: Option<Rc<dyn Any>>,
    /// What is written, or where a read goes.
    pub(super) buffer: Option<Rc<Buffer>>,
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
