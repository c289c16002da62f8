//! The client itself.

use std::rc::Rc;
use std::time::Duration;

use remoting::body::Body;
use remoting::command::EncodeExt;
use remoting::header::DecodeExt;
use remoting::{Command, RequestCode, ResponseCode};
use transport::{Connection, Limits, NoRequests, Serve};

use crate::error::ClientError;
use crate::names::NameServers;
use crate::pool::Pool;

/// What a client is made with.
pub struct Options {
    /// NameServers, `host:port` each.
    pub name_servers: Vec<String>,
    /// Time for an answer once the connection stands.
    pub timeout: Duration,
    /// Limits of the connections.
    pub limits: Limits,
    /// Gets what brokers ask of their clients (such as code 40).
    pub serve: Rc<dyn Serve>,
}

impl Options {
    /// The usual times for the NameServers of a `;`-separated list.
    pub fn new(name_servers: &str) -> Options {
        let items = name_servers.split(';').map(str::trim).filter(|item| !item.is_empty());
        Options {
            name_servers: items.map(str::to_owned).collect(),
            timeout: Duration::from_secs(3),
            limits: Limits::default(),
            serve: Rc::new(NoRequests),
        }
    }
}

/// A client. A clone is the same client. Owned by the executor that made it; its connections close with the last clone.
#[derive(Clone)]
pub struct Client {
    inner: Rc<Inner>,
}

struct Inner {
    timeout: Duration,
    names: NameServers,
    pool: Pool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pool.close();
    }
}

impl Client {
    /// Makes a client; nothing is sent yet.
    pub fn new(options: Options) -> Client {
        let inner = Inner {
            timeout: options.timeout,
            names: NameServers::new(options.name_servers),
            pool: Pool::new(options.limits, options.serve),
        };
        Client { inner: Rc::new(inner) }
    }

    pub(crate) fn names(&self) -> &NameServers {
        &self.inner.names
    }

    /// The connection to `addr` (`host:port`), made if need be.
    ///
    /// # Errors
    /// The name has no address, or nobody takes the connection.
    pub async fn connection(&self, addr: &str) -> Result<Connection, ClientError> {
        self.inner.pool.connection(addr).await
    }

    /// Sends any request and returns the answer, whatever its code.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn exchange(
        &self,
        addr: &str,
        code: RequestCode,
        ext: &dyn EncodeExt,
        body: &[u8],
    ) -> Result<Command, ClientError> {
        let connection = self.connection(addr).await?;
        Ok(connection.request_parts(code.code(), ext, body, self.inner.timeout).await?)
    }

    /// As [`exchange`](Self::exchange), waiting `longer` than usual: for requests that the broker holds.
    pub(crate) async fn exchange_held(
        &self,
        addr: &str,
        code: RequestCode,
        ext: &dyn EncodeExt,
        longer: Duration,
    ) -> Result<Command, ClientError> {
        let connection = self.connection(addr).await?;
        let limit = self.inner.timeout + longer;
        Ok(connection.request_parts(code.code(), ext, &[], limit).await?)
    }

    /// Sends any request; an answer with another code than 0 is an error.
    ///
    /// # Errors
    /// There is no answer, or it is no.
    pub async fn ask(
        &self,
        addr: &str,
        code: RequestCode,
        ext: &dyn EncodeExt,
        body: &[u8],
    ) -> Result<Command, ClientError> {
        let answer = self.exchange(addr, code, ext, body).await?;
        accepted(addr, code, answer)
    }
}

/// The answer, if its code is 0.
pub(crate) fn accepted(
    addr: &str,
    request: RequestCode,
    answer: Command,
) -> Result<Command, ClientError> {
    if answer.code == ResponseCode::Success.code() {
        return Ok(answer);
    }
    Err(refused(addr, request, answer))
}

pub(crate) fn refused(addr: &str, request: RequestCode, answer: Command) -> ClientError {
    ClientError::Refused {
        addr: addr.to_owned(),
        request: request.code(),
        code: answer.code,
        remark: answer.remark.unwrap_or_else(|| "no reason given".to_owned()),
    }
}

/// The typed header of an answer.
pub(crate) fn header<'a, H: DecodeExt<'a>>(
    addr: &str,
    request: RequestCode,
    answer: &'a Command,
) -> Result<H, ClientError> {
    H::decode(request, &answer.ext)
        .map_err(|error| ClientError::Header { addr: addr.to_owned(), error })
}

/// The typed body of an answer.
pub(crate) fn body<B: Body>(addr: &str, answer: &Command) -> Result<B, ClientError> {
    B::decode(&answer.body).map_err(|error| ClientError::Body { addr: addr.to_owned(), error })
}
