//! Starting and stopping.

use std::net::SocketAddr;
use std::rc::Rc;

use runtime::Task;
use transport::{BindError, Limits, Server};

use crate::config::Config;
use crate::limits::DRAIN;
use crate::serve::State;

/// A running NameServer. It lives on the executor that started it; dropping it resets its connections.
pub struct NameServer {
    server: Server,
    scan: Task<()>,
}

/// Starts a NameServer on this executor. It knows nothing at first: brokers register by themselves within 30 seconds.
///
/// # Errors
/// [`BindError`], which names the address and what to do.
pub async fn start(config: Config) -> Result<NameServer, BindError> {
    let limits = Limits { idle: config.idle, ..Limits::default() };
    let interval = config.scan;
    let state = Rc::new(State::new(config.clone()));
    let server = Server::bind(config.listen, limits, state.clone()).await?;
    server.serve();
    let scan = runtime::spawn(async move {
        loop {
            runtime::sleep(interval).await;
            state.expire();
        }
    });
    tracing::info!("NameServer listens on {}", server.local_addr());
    // The line that scripts for RocketMQ wait for, in its words (RocketMQ 5.5.0, class NamesrvStartup).
    tracing::info!(
        "The Name Server boot success. serializeType=JSON, address {}",
        server.local_addr()
    );
    Ok(NameServer { server, scan })
}

impl NameServer {
    /// Where it listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Stops accepting, closes every connection in good order, and returns when all have ended.
    pub async fn stop(self) {
        drop(self.scan);
        self.server.shutdown(DRAIN).await;
        tracing::info!("NameServer stopped");
    }
}
