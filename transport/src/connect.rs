//! Dialling.

use std::net::SocketAddr;
use std::rc::Rc;

use runtime::TcpStream;

use crate::connection::Connection;
use crate::drive::drive;
use crate::error::ConnectError;
use crate::limits::{Limits, SWEEP};
use crate::serve::Serve;

/// Connects to `addr` within `Limits::connect` and serves the connection in a task of its own. `service` gets what the peer
/// asks of us.
///
/// The connection lives until one side closes it: a caller that loses interest calls [`Connection::close`]. Cancel-safe.
///
/// # Errors
/// [`ConnectError`], which names the address.
pub async fn connect(
    addr: SocketAddr,
    limits: Limits,
    service: Rc<impl Serve>,
) -> Result<Connection, ConnectError> {
    limits.assert_sound();
    let stream = match runtime::timeout(limits.connect, TcpStream::connect(addr)).await {
        Ok(stream) => stream?,
        Err(_) => {
            return Err(ConnectError::Timeout { addr, limit: limits.connect });
        }
    };
    stream.set_nodelay(true)?;
    let connection = Connection::new(addr, stream.local_addr(), Rc::new(limits));
    let service: Rc<dyn Serve> = service;
    runtime::spawn(drive(connection.clone(), stream, service, Rc::default())).detach();
    runtime::spawn(watch(connection.clone())).detach();
    Ok(connection)
}

/// Ends the connection when it is idle or stalled for too long.
async fn watch(connection: Connection) {
    let mut closed = std::pin::pin!(connection.closed());
    while runtime::timeout(SWEEP, closed.as_mut()).await.is_err() {
        if let Some(reason) = connection.inner.overdue(runtime::now()) {
            connection.inner.end(reason);
        }
    }
}
