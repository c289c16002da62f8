//! A lock that tasks of one executor may hold across an await.
//!
//! Nothing of ours uses it: openraft's interface asks for one.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};

use ::runtime::channel::Notify;

/// A value that one task at a time may use.
pub struct Mutex<T> {
    value: RefCell<T>,
    freed: Notify,
}

/// The value, locked until this is dropped.
pub struct Guard<'a, T> {
    /// `None` only while it is dropped.
    value: Option<RefMut<'a, T>>,
    freed: &'a Notify,
}

impl<T: 'static> openraft::async_runtime::Mutex<T> for Mutex<T> {
    type Guard<'a> = Guard<'a, T>;

    fn new(value: T) -> Self {
        Mutex { value: RefCell::new(value), freed: Notify::new() }
    }

    /// Waits until nobody holds it. Those who wait are woken first come first served, though another may slip in before.
    async fn lock(&self) -> Guard<'_, T> {
        loop {
            if let Ok(value) = self.value.try_borrow_mut() {
                return Guard { value: Some(value), freed: &self.freed };
            }
            self.freed.notified().await;
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value.as_ref().expect("a guard holds its value until it is dropped")
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("a guard holds its value until it is dropped")
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        drop(self.value.take()); // before anybody is told
        self.freed.notify_one();
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}
