//! One member of a Raft group, as `dLegerPeers` writes it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use crate::limits::MAX_LABEL;

/// Bytes of the longest host name.
const MAX_HOST: usize = 253;

/// A member as configured: `label-host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What operators call it, such as `n0`: ASCII letters and digits.
    pub label: String,
    /// Its machine.
    pub host: Host,
    /// Its port for the group of shard 0, not 0.
    pub port: u16,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// By address; not the unspecified one.
    Ip(IpAddr),
    /// By name, in small letters; looked up when the broker starts.
    Name(String),
}

/// Why a text is no [`Peer`]. Completes "`n0` is none: …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PeerError {
    /// Another separator than ours.
    #[error("it has a `,`, and members are separated by `;`")]
    Comma,
    /// No `-`.
    #[error("a label comes first, and a `-` behind it, as in `n0-10.0.0.1:40911`")]
    NoLabel,
    /// A label that is none.
    #[error("a label is 1 to {MAX_LABEL} letters from a to z and digits")]
    Label,
    /// No `:`.
    #[error("a `:` and the port stand behind the host")]
    NoPort,
    /// A port that is none.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// An IPv6 address that cannot be told from its port.
    #[error("an IPv6 address stands in brackets, as in `n0-[2001:db8::1]:40911`")]
    Brackets,
    /// A host that is none.
    #[error("its host is neither an address nor a host name")]
    Host,
    /// An address that means all addresses.
    #[error("nobody can dial its address; give the one at which the other members reach it")]
    Unspecified,
}

impl FromStr for Peer {
    type Err = PeerError;

    /// Apache's syntax. The label ends at the first `-`: a host name may have some too.
    fn from_str(text: &str) -> Result<Self, PeerError> {
        if text.contains(',') {
            return Err(PeerError::Comma);
        }
        let (label, rest) = text.split_once('-').ok_or(PeerError::NoLabel)?;
        if !is_label(label) {
            return Err(PeerError::Label);
        }
        let (host, port) = rest.rsplit_once(':').ok_or(PeerError::NoPort)?;
        let host: Host = host.parse()?;
        // `parse` would take a sign as well.
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0).ok_or(PeerError::Port)?;
        Ok(Self { label: label.to_owned(), host, port })
    }
}

impl FromStr for Host {
    type Err = PeerError;

    fn from_str(text: &str) -> Result<Self, PeerError> {
        let ip: Option<IpAddr> = match text.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
            Some(Some(inner)) => {
                Some(inner.parse::<Ipv6Addr>().map_err(|_| PeerError::Host)?.into())
            }
            Some(None) => return Err(PeerError::Brackets),
            None if text.contains(':') => return Err(PeerError::Brackets),
            None => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        };
        match ip {
            Some(ip) if ip.is_unspecified() => Err(PeerError::Unspecified),
            Some(ip) => Ok(Self::Ip(ip)),
            None if is_name(text) => Ok(Self::Name(text.to_ascii_lowercase())),
            None => Err(PeerError::Host),
        }
    }
}

/// Whether a member can be called so, in dLegerPeers and anywhere else.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let fits = (1..=MAX_LABEL).contains(&text.len());
    fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether `text` can be a host's name. What ends in a number is an address that went wrong.
fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !part.is_empty() && !part.starts_with('-') && part.bytes().all(inner)
    };
    let parts = text.strip_suffix('.').unwrap_or(text);
    let last = parts.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= MAX_HOST && parts.split('.').all(part) && !number
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}:{}", self.label, self.host, self.port)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apache_takes_is_taken_and_written_the_same_way() {
        for text in [
            "n0-127.0.0.1:40911",
            "n10-10.106.160.10:1",
            "east-rmq-broker-0.rmq.svc.cluster.local:65535",
            "7-h:40911",
            "n0-[::1]:40911",
            "n1-[2001:db8::1]:40911",
            "n2-under_score.example.:9",
        ] {
            let peer: Peer = text.parse().expect(text);
            assert_eq!(peer.to_string(), text);
        }
        let peer: Peer = "n0-rmq-0.Example:40911".parse().unwrap();
        let host = Host::Name("rmq-0.example".to_owned());
        assert_eq!(peer, Peer { label: "n0".to_owned(), host, port: 40911 });
    }

    #[test]
    fn what_is_no_member_is_told_why() {
        let long = format!("{}-h:1", "n".repeat(MAX_LABEL + 1));
        let long_host = format!("n0-{}:1", "h".repeat(MAX_HOST + 1));
        for (text, error) in [
            ("n0", PeerError::NoLabel),
            ("127.0.0.1:40911", PeerError::NoLabel),
            ("-127.0.0.1:40911", PeerError::Label),
            ("n 0-127.0.0.1:40911", PeerError::Label),
            ("n_0-127.0.0.1:40911", PeerError::Label),
            ("nö-127.0.0.1:40911", PeerError::Label),
            (&long, PeerError::Label),
            ("n0-127.0.0.1", PeerError::NoPort),
            ("n0-127.0.0.1:", PeerError::Port),
            ("n0-127.0.0.1:0", PeerError::Port),
            ("n0-127.0.0.1:+1", PeerError::Port),
            ("n0-127.0.0.1:65536", PeerError::Port),
            ("n0-::1:40911", PeerError::Brackets),
            ("n0-[::1:40911", PeerError::Brackets),
            ("n0-[10.0.0.1]:40911", PeerError::Host),
            ("n0-[fe80::1%eth0]:40911", PeerError::Host),
            ("n0-:40911", PeerError::Host),
            ("n0- h:40911", PeerError::Host),
            ("n0-10.0.0.256:40911", PeerError::Host),
            ("n0-10.0.0:40911", PeerError::Host),
            ("n0-a..b:40911", PeerError::Host),
            ("n0--h:40911", PeerError::Host),
            (&long_host, PeerError::Host),
            ("n0-0.0.0.0:40911", PeerError::Unspecified),
            ("n0-[::]:40911", PeerError::Unspecified),
            ("n0-a:1,n1-b:1", PeerError::Comma),
        ] {
            assert_eq!(text.parse::<Peer>(), Err(error), "{text}");
        }
        let longest = format!("{}-h:1", "n".repeat(MAX_LABEL));
        assert!(longest.parse::<Peer>().is_ok());
    }
}
