//! The two flag bits of a header, and how the header is written.

/// The `flag` field. Bit 0: this is an answer; bit 1: nobody answers it. Other bits are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub i32);

impl Flags {
    /// A request that wants an answer.
    pub const REQUEST: Self = Self(0);
    /// An answer.
    pub const RESPONSE: Self = Self(1);
    /// A request that gets no answer, not even an error.
    pub const ONEWAY: Self = Self(2);

    /// True for an answer.
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.0 & Self::RESPONSE.0 != 0
    }

    /// True for a request that gets no answer.
    #[must_use]
    pub const fn is_oneway(self) -> bool {
        self.0 & Self::ONEWAY.0 != 0
    }
}

/// How a header is written, the upper byte of the header word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SerializeType {
    /// A JSON object; what every client uses unless told otherwise.
    Json = 0,
    /// RocketMQ's own binary form. It is recognised, and refused with a typed error.
    RocketMq = 1,
}

impl SerializeType {
    /// The type of this byte, or `None` if RocketMQ 5.5.0 knows none.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Json),
            1 => Some(Self::RocketMq),
            _ => None,
        }
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }
}

impl std::fmt::Display for SerializeType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::RocketMq => "ROCKETMQ",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_read_apart() {
        assert!(!Flags::REQUEST.is_response() && !Flags::REQUEST.is_oneway());
        assert!(Flags::RESPONSE.is_response() && !Flags::RESPONSE.is_oneway());
        assert!(!Flags::ONEWAY.is_response() && Flags::ONEWAY.is_oneway());
        assert!(Flags(-1).is_response() && Flags(-1).is_oneway());
    }

    #[test]
    fn serialization_bytes_find_their_way_back() {
        for kind in [SerializeType::Json, SerializeType::RocketMq] {
            assert_eq!(SerializeType::from_byte(kind.byte()), Some(kind));
        }
        assert_eq!(SerializeType::from_byte(2), None);
    }
}
