//! One connection for each address.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use runtime::channel::Notify;
use transport::{Connection, Limits, Serve, connect};

use crate::error::ClientError;

/// Addresses from which on closed connections are forgotten.
const TIDY_FROM: usize = 10_000;

pub(crate) struct Pool {
    limits: Limits,
    serve: Rc<dyn Serve>,
    slots: RefCell<BTreeMap<String, Slot>>,
    changed: Notify,
}

enum Slot {
    Dialling,
    Open(Connection),
}

impl Pool {
    pub(crate) fn new(limits: Limits, serve: Rc<dyn Serve>) -> Pool {
        Pool { limits, serve, slots: RefCell::default(), changed: Notify::new() }
    }

    /// The connection to `addr` (`host:port`), dialled if there is none that is open. Callers that come meanwhile wait for it.
    pub(crate) async fn connection(&self, addr: &str) -> Result<Connection, ClientError> {
        loop {
            match self.slots.borrow().get(addr) {
                Some(Slot::Open(connection)) if connection.is_open() => {
                    return Ok(connection.clone());
                }
                Some(Slot::Dialling) => {}
                _ => break,
            }
            self.changed.notified().await;
        }
        self.forget_closed();
        self.slots.borrow_mut().insert(addr.to_owned(), Slot::Dialling);
        let dialling = Dialling { pool: self, addr };
        let connection = self.dial(addr).await?;
        self.slots.borrow_mut().insert(addr.to_owned(), Slot::Open(connection.clone()));
        drop(dialling);
        Ok(connection)
    }

    async fn dial(&self, addr: &str) -> Result<Connection, ClientError> {
        let resolved = runtime::resolve(addr).await;
        let all =
            resolved.map_err(|error| ClientError::Resolve { name: addr.to_owned(), error })?;
        let mut last = None;
        for addr in all {
            match connect(addr, self.limits.clone(), Rc::new(self.serve.clone())).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("a name has at least one address").into())
    }

    fn forget_closed(&self) {
        let mut slots = self.slots.borrow_mut();
        if slots.len() >= TIDY_FROM {
            slots.retain(|_, slot| match slot {
                Slot::Dialling => true,
                Slot::Open(connection) => connection.is_open(),
            });
        }
    }

    pub(crate) fn close(&self) {
        for (_, slot) in std::mem::take(&mut *self.slots.borrow_mut()) {
            if let Slot::Open(connection) = slot {
                connection.close();
            }
        }
        self.changed.notify_all();
    }
}

/// Clears the place of a dial that failed or was given up, and wakes those who wait for it.
struct Dialling<'a> {
    pool: &'a Pool,
    addr: &'a str,
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        let mut slots = self.pool.slots.borrow_mut();
        if matches!(slots.get(self.addr), Some(Slot::Dialling)) {
            slots.remove(self.addr);
        }
        self.pool.changed.notify_all();
    }
}
