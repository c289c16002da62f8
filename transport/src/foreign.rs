//! Peers that speak another protocol, told by their first bytes.

/// Bytes that tell what a peer speaks: as many as the length field of a frame, so that none is ever waited for in vain.
pub(crate) const FIRST_BYTES: usize = remoting::frame::LENGTH_BYTES;

/// The first bytes of a TLS handshake record: its type, and the major version that all versions have.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];

/// The first bytes of HTTP/1: requests, and the answer of a server that was dialled.
const HTTP: [&[u8; FIRST_BYTES]; 10] =
    [b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"CONN", b"PATC", b"TRAC", b"HTTP"];

/// A protocol that is not remoting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// A TLS handshake.
    #[error(
        "the peer speaks TLS, this port does not; switch TLS off in the client (tls.enable=false, or useTLS=false)"
    )]
    Tls,
    /// HTTP/1: a browser, a health check, a collector of metrics.
    #[error(
        "the peer speaks HTTP, this is a port for RocketMQ's remoting protocol; send browsers, health checks and \
         collectors of metrics elsewhere"
    )]
    Http,
    /// The preface of HTTP/2, which is what gRPC clients send.
    #[error(
        "the peer speaks HTTP/2, this is a port for RocketMQ's remoting protocol; a gRPC client needs a proxy, or use a \
         remoting client"
    )]
    Http2,
}

impl Foreign {
    /// What a peer speaks whose first bytes are `bytes`; `None` if they may be remoting, or are too few.
    ///
    /// No frame begins like this: read as its length, the bytes are far beyond any limit.
    pub(crate) fn of(bytes: &[u8]) -> Option<Foreign> {
        let first = bytes.first_chunk::<FIRST_BYTES>()?;
        if first.starts_with(&TLS_HANDSHAKE) {
            return Some(Foreign::Tls);
        }
        if first == b"PRI " {
            return Some(Foreign::Http2);
        }
        HTTP.contains(&first).then_some(Foreign::Http)
    }
}

#[cfg(test)]
mod tests {
    use remoting::frame::{self, MAX_FRAME};

    use super::*;

    #[test]
    fn what_is_recognised_is_no_frame() {
        let cases: [(&[u8], Foreign); 6] = [
            (b"GET /metrics HTTP/1.1\r\n", Foreign::Http),
            (b"HEAD / HTTP/1.0\r\n", Foreign::Http),
            (b"DELETE /", Foreign::Http),
            (b"HTTP/1.1 400 Bad Request\r\n", Foreign::Http),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Foreign::Http2),
            (&[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], Foreign::Tls),
        ];
        for (bytes, foreign) in cases {
            assert_eq!(Foreign::of(bytes), Some(foreign));
            assert!(frame::split(bytes, MAX_FRAME).is_err());
            for few in 0..FIRST_BYTES {
                assert_eq!(Foreign::of(&bytes[..few]), None, "too few to tell");
            }
        }
        for begin in HTTP {
            assert!(frame::split(begin, MAX_FRAME).is_err());
        }
    }

    #[test]
    fn what_may_be_a_frame_is_not_recognised() {
        let frames: [&[u8]; 3] = [&[0, 0, 0, 9, 0, 0, 0, 2], &[0, 0x16, 3, 1], &[0xff; 8]];
        for bytes in frames {
            assert_eq!(Foreign::of(bytes), None, "{bytes:?}");
        }
    }
}
