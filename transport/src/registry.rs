//! The open connections of a server.

use std::cell::RefCell;
use std::collections::BTreeMap;

use runtime::channel::Notify;

use crate::connection::{Connection, ConnectionId};

/// Connections from accept to end, in the order of their numbers.
#[derive(Default)]
pub(crate) struct Registry {
    open: RefCell<BTreeMap<ConnectionId, Connection>>,
    fewer: Notify,
}

impl Registry {
    pub(crate) fn add(&self, connection: &Connection) {
        let before = self.open.borrow_mut().insert(connection.id(), connection.clone());
        assert!(before.is_none(), "numbers are never used twice");
    }

    pub(crate) fn remove(&self, connection: &Connection) {
        let was = self.open.borrow_mut().remove(&connection.id());
        assert!(was.is_some(), "a connection ends once");
        self.fewer.notify_all();
    }

    pub(crate) fn len(&self) -> usize {
        self.open.borrow().len()
    }

    /// All of them, as they are now.
    pub(crate) fn all(&self) -> Vec<Connection> {
        self.open.borrow().values().cloned().collect()
    }

    pub(crate) async fn none_left(&self) {
        while self.len() > 0 {
            self.fewer.notified().await;
        }
    }
}
