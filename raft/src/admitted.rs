//! What a member has let in and has not answered yet. Between the door and the log it waits in openraft, where nobody else
//! counts it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Bytes that it will take on the disk. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Admitted(Rc<Cell<u64>>);

/// The part of one stream of requests, which are answered in their order. What is not answered when it is dropped counts no more.
pub(crate) struct Stream {
    all: Admitted,
    requests: RefCell<VecDeque<u64>>,
}

impl Admitted {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.get()
    }

    pub(crate) fn stream(&self) -> Stream {
        Stream { all: self.clone(), requests: RefCell::default() }
    }
}

impl Stream {
    /// A request is let in.
    pub(crate) fn enters(&self, bytes: u64) {
        self.requests.borrow_mut().push_back(bytes);
        self.all.0.set(self.all.bytes() + bytes);
    }

    /// The oldest one is answered.
    pub(crate) fn is_answered(&self) {
        let bytes = self.requests.borrow_mut().pop_front().expect("it was let in");
        self.gives_back(bytes);
    }

    fn gives_back(&self, bytes: u64) {
        assert!(self.all.bytes() >= bytes, "it was counted");
        self.all.0.set(self.all.bytes() - bytes);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.gives_back(self.requests.borrow().iter().sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_let_in_counts_until_it_is_answered_or_given_up() {
        let all = Admitted::default();
        let (one, other) = (all.stream(), all.stream());
        one.enters(100);
        one.enters(20);
        other.enters(3);
        assert_eq!(all.bytes(), 123);
        one.is_answered();
        assert_eq!(all.bytes(), 23);
        drop(one);
        assert_eq!(all.bytes(), 3);
        other.is_answered();
        assert_eq!(all.bytes(), 0);
    }
}
