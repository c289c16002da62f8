//! Where the hosts of members are that are configured by name.
//!
//! Only founding needs the others' addresses: from then on the group's log has them. So a name that means nothing, because its node is
//! gone for good or has not come up yet, is no reason for a member not to start.

use std::net::{IpAddr, SocketAddr};

use runtime::IoError;
use thiserror::Error;

use crate::config::{Host, Member, Peer};
use crate::limits::RESOLVE;

/// Why nobody knows where a member is.
#[derive(Debug, Error)]
pub enum NoHost {
    /// A name that nobody knows.
    #[error(
        "the host of `{peer}` is not known here: {source}; correct it, or make the name known to this machine"
    )]
    Unknown {
        /// The member, as configured.
        peer: String,
        /// What the resolver says.
        source: IoError,
    },
    /// Nobody says what the name means.
    #[error(
        "nobody says within {RESOLVE:?} where the host of `{peer}` is; look at the name servers of this machine, or give the \
         address itself"
    )]
    NoAnswer {
        /// The member, as configured.
        peer: String,
    },
}

/// The address of a member's host, within [`RESOLVE`]. Cancel safe.
///
/// # Errors
/// [`NoHost`].
pub async fn ip_of(peer: &Peer) -> Result<IpAddr, NoHost> {
    let name = match &peer.host {
        Host::Ip(ip) => return Ok(*ip),
        Host::Name(name) => name,
    };
    let host_port = format!("{name}:{}", peer.port);
    let found = runtime::timeout(RESOLVE, runtime::resolve(&host_port)).await;
    match found {
        Ok(Ok(found)) => Ok(preferred_ip(&found)),
        Ok(Err(source)) => Err(NoHost::Unknown { peer: peer.to_string(), source }),
        Err(runtime::Elapsed) => Err(NoHost::NoAnswer { peer: peer.to_string() }),
    }
}

/// The address of a member, which is looked for again if it was not known at the start. Cancel safe.
///
/// # Errors
/// [`NoHost`].
pub async fn addr_of(member: &Member) -> Result<SocketAddr, NoHost> {
    match member.addr {
        Some(addr) => Ok(addr),
        None => Ok(SocketAddr::new(ip_of(&member.configured).await?, member.port)),
    }
}

/// Of the addresses of a host, of which there is one at least: the first of IPv4, because that is what a broker listens on
/// unless it is told otherwise.
fn preferred_ip(found: &[SocketAddr]) -> IpAddr {
    let ipv4 = found.iter().find(|addr| addr.is_ipv4());
    ipv4.or(found.first()).expect("a name that is known has an address").ip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_both_kinds_of_addresses_is_reached_by_ipv4() {
        let addr = |text: &str| text.parse().unwrap();
        let both = [addr("[2001:db8::1]:1"), addr("10.0.0.1:1"), addr("10.0.0.2:1")];
        assert_eq!(preferred_ip(&both).to_string(), "10.0.0.1");
        assert_eq!(preferred_ip(&both[..1]).to_string(), "2001:db8::1");
    }
}
