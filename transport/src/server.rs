//! The accept loop, and the end of a server.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use runtime::{IoError, Task, TcpListener, TcpStream};

use crate::connection::Connection;
use crate::drive::drive;
use crate::error::BindError;
use crate::limits::{Limits, PORT_LOOK, PORT_PATIENCE, SWEEP};
use crate::quiet::Quiet;
use crate::registry::Registry;
use crate::serve::Serve;

/// A listening socket and its connections.
///
/// [`bind`](Server::bind) takes the port, [`serve`](Server::serve) begins to accept, [`shutdown`](Server::shutdown) ends it in good order.
/// Dropping it without that is the hard way: every connection is reset.
pub struct Server {
    shared: Rc<Shared>,
    listener: RefCell<Option<TcpListener>>,
    local: SocketAddr,
    tasks: RefCell<Vec<Task<()>>>,
}

struct Shared {
    limits: Rc<Limits>,
    service: Rc<dyn Serve>,
    connections: Registry,
    quiet: Rc<Quiet>,
}

impl Server {
    /// Listens on `addr` (port 0: a free one) without accepting yet. Waits up to a second for a port that is in use.
    ///
    /// # Errors
    /// [`BindError`], which names the address and what to do.
    pub async fn bind(
        addr: SocketAddr,
        limits: Limits,
        service: Rc<impl Serve>,
    ) -> Result<Server, BindError> {
        limits.assert_sound();
        let listener = patiently(addr, async || TcpListener::bind(addr).await).await?;
        let shared = Shared {
            limits: Rc::new(limits),
            service,
            connections: Registry::default(),
            quiet: Rc::default(),
        };
        Ok(Server {
            local: listener.local_addr(),
            listener: RefCell::new(Some(listener)),
            shared: Rc::new(shared),
            tasks: RefCell::default(),
        })
    }

    /// The address it listens on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Begins to accept connections, in a task. Calling it again does nothing.
    pub fn serve(&self) {
        if let Some(listener) = self.listener.borrow_mut().take() {
            let mut tasks = self.tasks.borrow_mut();
            tasks.push(runtime::spawn(accept_loop(self.shared.clone(), listener)));
            tasks.push(runtime::spawn(sweep(self.shared.clone())));
        }
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.connections.len()
    }

    /// Stops accepting at once, takes no more requests, lets those that were taken be answered for at most `drain`, and closes the
    /// connections. Returns when all have ended.
    pub async fn shutdown(self, drain: Duration) {
        self.stop_accepting();
        for connection in self.shared.connections.all() {
            connection.finish();
        }
        if runtime::timeout(drain, self.shared.connections.none_left()).await.is_err() {
            let left = self.shared.connections.len();
            tracing::info!(
                connections = left,
                ?drain,
                "requests were still unanswered at the end of the drain time"
            );
            self.close_all();
            self.shared.connections.none_left().await;
        }
        assert_eq!(self.connections(), 0);
    }

    fn stop_accepting(&self) {
        self.listener.borrow_mut().take();
        self.tasks.borrow_mut().clear();
    }

    fn close_all(&self) {
        for connection in self.shared.connections.all() {
            connection.close();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_accepting();
        self.close_all();
    }
}

/// Whether a [`Server`] could listen on `addr` now. A look before a start that has much to do before it listens; the port
/// is free again when this returns. Not in a simulation.
///
/// # Errors
/// As [`Server::bind`].
pub async fn can_listen(addr: SocketAddr) -> Result<(), BindError> {
    patiently(addr, async || runtime::net::can_listen(addr)).await
}

/// Tries again for [`PORT_PATIENCE`] while the port is in use: when a process was killed, the kernel takes its io_uring down,
/// and frees the ports that listened through it, a moment after the process has gone.
async fn patiently<T>(
    addr: SocketAddr,
    attempt: impl AsyncFn() -> Result<T, IoError>,
) -> Result<T, BindError> {
    let until = runtime::now() + PORT_PATIENCE;
    loop {
        match attempt().await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && runtime::now() < until => {
                runtime::sleep(PORT_LOOK).await;
            }
            result => return result.map_err(|error| BindError::of(addr, error)),
        }
    }
}

async fn accept_loop(shared: Rc<Shared>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(&shared, stream, peer),
            Err(error) => {
                if let Some(more) = shared.quiet.may_say(runtime::now()) {
                    tracing::warn!(
                        unreported = more,
                        "{error}; if too many files are open, raise the limit (ulimit -n)"
                    );
                }
                runtime::sleep(shared.limits.accept_pause).await;
            }
        }
    }
}

fn admit(shared: &Rc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let configured = stream.set_nodelay(true).and_then(|()| match shared.limits.reset_on_close {
        true => stream.set_linger(Some(Duration::ZERO)),
        false => Ok(()),
    });
    if let Err(error) = configured {
        // The peer is gone already.
        tracing::debug!(%peer, %error, "connection not taken");
        return;
    }
    let max = shared.limits.max_connections;
    if shared.connections.len() >= max {
        if let Some(more) = shared.quiet.may_say(runtime::now()) {
            tracing::warn!(%peer, unreported = more, "connection refused: {max} are open, which is the limit");
        }
        return;
    }
    let connection = Connection::new(peer, stream.local_addr(), shared.limits.clone());
    shared.connections.add(&connection);
    let shared = shared.clone();
    runtime::spawn(async move {
        drive(connection.clone(), stream, shared.service.clone(), shared.quiet.clone()).await;
        shared.connections.remove(&connection);
    })
    .detach();
}

async fn sweep(shared: Rc<Shared>) {
    loop {
        runtime::sleep(SWEEP).await;
        let now = runtime::now();
        for connection in shared.connections.all() {
            if let Some(reason) = connection.inner.overdue(now) {
                connection.inner.end(reason);
            }
        }
    }
}
