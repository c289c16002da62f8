//! The address that clients dial: which it is, and whether it can be dialled.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use remoting::body::{Body, KvTable};
use remoting::{Command, RequestCode, ResponseCode};
use runtime::{IoError, Placement, Spec};
use thiserror::Error;
use transport::{ConnectError, Limits, NoRequests, RequestError};

use crate::config::Config;
use crate::shard::Started;

/// How long the broker may take to answer itself.
const ANSWER: Duration = Duration::from_secs(3);

/// There is no address for clients.
#[derive(Debug, Error)]
pub enum AddressError {
    /// brokerIP1 is a name that nobody knows.
    #[error("{source}; {handle} sets it: name an address that clients can dial")]
    Unknown {
        /// Why it is not known.
        source: IoError,
        /// What sets it.
        handle: String,
    },
    /// brokerIP1 is a name without an IPv4 address.
    #[error(
        "{host} has no IPv4 address; {handle} sets it: name an IPv4 address that clients can dial"
    )]
    NotIpv4 {
        /// The name.
        host: String,
        /// What sets it.
        handle: String,
    },
}

/// The address for clients: as configured, or the first local one that is not loopback.
pub(super) async fn advertised(config: &Config) -> Result<Ipv4Addr, AddressError> {
    let Some(host) = &config.advertised_host else {
        return Ok(first_local());
    };
    if let Ok(addr) = host.parse() {
        return Ok(addr);
    }
    let handle = || config.handles.advertised_host.clone();
    let found = runtime::resolve(&format!("{host}:{}", config.listen_port)).await;
    let found = found.map_err(|source| AddressError::Unknown { source, handle: handle() })?;
    let ipv4 = found.iter().find_map(|addr| match addr.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    ipv4.ok_or_else(|| AddressError::NotIpv4 { host: host.clone(), handle: handle() })
}

fn first_local() -> Ipv4Addr {
    let found = runtime::process::local_ipv4().into_iter().next();
    found.unwrap_or_else(|| {
        tracing::warn!(
            "this host has no address but loopback: only clients on it can use the broker (brokerIP1 sets another)"
        );
        Ipv4Addr::LOCALHOST
    })
}

/// Why a client would not reach the broker.
#[derive(Debug, Error)]
enum Unreachable {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("somebody else answers there: {0}")]
    SomebodyElse(&'static str),
}

/// Dials each shard at the address that clients are told, and says plainly when that does not work. Blocks the
/// calling thread for some seconds at most; call it once the shards serve.
pub fn check_reachable<'a>(shards: impl Iterator<Item = &'a Started>) {
    let shards: Vec<(String, SocketAddr)> =
        shards.map(|shard| (shard.identity.name.clone(), shard.identity.address)).collect();
    let spec = Spec { name: "boot".to_owned(), placement: Placement::Any, busy_poll: None };
    let checked = runtime::start(spec, move || async move {
        for (name, addr) in shards {
            if let Err(error) = ask(&name, addr).await {
                tracing::warn!(
                    shard = %name, %addr,
                    "clients are told to dial {addr}, and this host cannot do it: {error}. Set brokerIP1 to an address \
                     that clients reach, and see that bindAddress and firewalls allow it"
                );
            }
        }
    });
    match checked.map(runtime::Executor::join) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("the address for clients was not checked: {error}"),
        Err(error) => tracing::warn!("the address for clients was not checked: {error}"),
    }
}

/// Asks whoever listens at `addr` who it is, and looks whether that is the shard `name`.
async fn ask(name: &str, addr: SocketAddr) -> Result<(), Unreachable> {
    let connection = transport::connect(addr, Limits::default(), Rc::new(NoRequests)).await?;
    let request = Command::request(RequestCode::GetBrokerRuntimeInfo);
    let answer = connection.request(request, ANSWER).await;
    connection.close();
    let answer = answer?;
    if answer.code != ResponseCode::Success.code() {
        return Err(Unreachable::SomebodyElse("it refuses the question"));
    }
    let info = KvTable::decode(&answer.body)
        .map_err(|_| Unreachable::SomebodyElse("its answer cannot be read"))?;
    match info.table.get("brokerName") {
        Some(found) if found == name => Ok(()),
        Some(_) => Err(Unreachable::SomebodyElse("it is another broker")),
        None => Err(Unreachable::SomebodyElse("it is a broker of another kind")),
    }
}
