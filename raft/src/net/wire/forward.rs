//! A request of a client that a member hands on to the leader.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use model::Term;

use super::cursor::Cursor;
use super::error::WireError;

/// Bytes before the request itself.
pub(in crate::net) const HEAD_LEN: usize = 32;
const ADDRESS_LEN: usize = 16;
const V4: u8 = 4;
const V6: u8 = 6;

/// What is handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) struct Forward<'a> {
    /// The term in which whoever gets it leads, as the sender knows.
    pub(in crate::net) term: Term,
    /// Who has sent the request.
    pub(in crate::net) origin: SocketAddr,
    /// For so long somebody waits for the answer: whole milliseconds, at least one and less than 2^32.
    pub(in crate::net) left: Duration,
    /// The request as it came.
    pub(in crate::net) request: &'a [u8],
}

impl<'a> Forward<'a> {
    /// Appends it to `out`.
    ///
    /// # Panics
    /// When no time is left, or more than 49 days, or there is no request.
    pub(in crate::net) fn put(&self, out: &mut Vec<u8>) {
        let left = u32::try_from(self.left.as_millis()).expect("nobody waits for 49 days");
        assert!(left > 0 && !self.request.is_empty(), "somebody waits for something");
        out.extend(self.term.0.to_le_bytes());
        let family = match self.origin.ip() {
            IpAddr::V4(ip) => {
                out.extend(ip.octets());
                out.extend([0; ADDRESS_LEN - 4]);
                V4
            }
            IpAddr::V6(ip) => {
                out.extend(ip.octets());
                V6
            }
        };
        out.extend(self.origin.port().to_le_bytes());
        out.extend([family, 0]);
        out.extend(left.to_le_bytes());
        out.extend_from_slice(self.request);
    }

    /// Reads it.
    pub(in crate::net) fn take(body: &'a [u8]) -> Result<Self, WireError> {
        let mut from = Cursor::new(body);
        let term = Term(from.u64()?);
        let address: [u8; ADDRESS_LEN] = from.array()?;
        let (port, family) = (from.u16()?, from.u8()?);
        from.zeros::<1>()?;
        let origin = SocketAddr::new(ip(address, family)?, port);
        let left = from.u32()?;
        if left == 0 {
            return Err(WireError::NoTime);
        }
        let request = from.rest();
        if request.is_empty() {
            return Err(WireError::Short);
        }
        Ok(Self { term, origin, left: Duration::from_millis(left.into()), request })
    }
}

fn ip(address: [u8; ADDRESS_LEN], family: u8) -> Result<IpAddr, WireError> {
    match family {
        V4 => {
            let (ip, rest) = address.split_first_chunk::<4>().expect("it has 16 bytes");
            let is_clean = rest.iter().all(|byte| *byte == 0);
            is_clean.then(|| Ipv4Addr::from(*ip).into()).ok_or(WireError::NotZero)
        }
        V6 => Ok(Ipv6Addr::from(address).into()),
        found => Err(WireError::Case { what: "a kind of address", found }),
    }
}
