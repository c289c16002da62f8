//! Typed extension fields of requests and answers, by subject.
//!
//! Every header can be read from [`ExtRef`] and written as [`EncodeExt`](crate::command::EncodeExt), so that a server and our
//! own client use the same type. Text is borrowed from the fields. An optional field is an
//! `Option`: what its absence means is said where it is not obvious, and decided by who serves it.
//! Fields that a header does not list are ignored, as RocketMQ ignores them.
//!
//! Names and types are those of RocketMQ 5.5.0, the `*RequestHeader` and `*ResponseHeader` classes; those of [`raft`] are
//! ours.

pub mod client;
pub mod offset;
pub mod pull;
pub mod query;
pub mod raft;
pub mod route;
pub mod send;
pub mod topic;

use crate::codes::RequestCode;
use crate::command::{ExtRef, ExtSink};
use crate::quote;

/// Extension fields that do not make sense for their request. Answer with code 1 and this text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A required field is absent.
    #[error("{code} needs the field `{field}`: let the client send it")]
    Missing {
        /// The request, also when its answer is read.
        code: RequestCode,
        /// Name of the field on the wire; the long one where there are two.
        field: &'static str,
    },
    /// A number is none, or does not fit.
    #[error("{code} field `{field}` is `{value}`, not a whole number of {bits} bits")]
    BadNumber {
        /// The request, also when its answer is read.
        code: RequestCode,
        /// Name of the field on the wire; the long one where there are two.
        field: &'static str,
        /// What was there, shortened.
        value: String,
        /// Bits that the number must fit, sign included.
        bits: u32,
    },
}

/// A header that can be read from extension fields and borrows text from them.
pub trait DecodeExt<'a>: Sized {
    /// Reads the header of a `code` request, or of its answer.
    ///
    /// # Errors
    /// [`HeaderError`] names the first field that is missing or no number.
    fn decode(code: RequestCode, ext: &'a ExtRef<'_>) -> Result<Self, HeaderError>;
}

/// A type that one extension field can hold.
trait Field<'a>: Sized {
    fn read(
        code: RequestCode,
        name: &'static str,
        raw: Option<&'a str>,
    ) -> Result<Self, HeaderError>;
    fn write(&self, name: &'static str, sink: &mut dyn ExtSink);
}

fn required<'a>(
    code: RequestCode,
    field: &'static str,
    raw: Option<&'a str>,
) -> Result<&'a str, HeaderError> {
    raw.ok_or(HeaderError::Missing { code, field })
}

fn bad_number(code: RequestCode, field: &'static str, raw: &str, bits: u32) -> HeaderError {
    HeaderError::BadNumber { code, field, value: quote::value(raw), bits }
}

impl<'a> Field<'a> for &'a str {
    fn read(
        code: RequestCode,
        name: &'static str,
        raw: Option<&'a str>,
    ) -> Result<Self, HeaderError> {
        required(code, name, raw)
    }

    fn write(&self, name: &'static str, sink: &mut dyn ExtSink) {
        sink.text(name, self);
    }
}

impl Field<'_> for i32 {
    fn read(code: RequestCode, name: &'static str, raw: Option<&str>) -> Result<Self, HeaderError> {
        let raw = required(code, name, raw)?;
        raw.parse().map_err(|_| bad_number(code, name, raw, Self::BITS))
    }

    fn write(&self, name: &'static str, sink: &mut dyn ExtSink) {
        sink.number(name, i64::from(*self));
    }
}

impl Field<'_> for i64 {
    fn read(code: RequestCode, name: &'static str, raw: Option<&str>) -> Result<Self, HeaderError> {
        let raw = required(code, name, raw)?;
        raw.parse().map_err(|_| bad_number(code, name, raw, Self::BITS))
    }

    fn write(&self, name: &'static str, sink: &mut dyn ExtSink) {
        sink.number(name, *self);
    }
}

/// As Java's `Boolean.parseBoolean`: `true` in any case is true, any other text is false.
impl Field<'_> for bool {
    fn read(code: RequestCode, name: &'static str, raw: Option<&str>) -> Result<Self, HeaderError> {
        Ok(required(code, name, raw)?.eq_ignore_ascii_case("true"))
    }

    fn write(&self, name: &'static str, sink: &mut dyn ExtSink) {
        sink.text(name, if *self { "true" } else { "false" });
    }
}

impl<'a, T: Field<'a>> Field<'a> for Option<T> {
    fn read(
        code: RequestCode,
        name: &'static str,
        raw: Option<&'a str>,
    ) -> Result<Self, HeaderError> {
        raw.map(|raw| T::read(code, name, Some(raw))).transpose()
    }

    fn write(&self, name: &'static str, sink: &mut dyn ExtSink) {
        if let Some(value) = self {
            value.write(name, sink);
        }
    }
}

/// Declares a header: each field with its type and its name on the wire.
macro_rules! header {
    (
        $(#[$meta:meta])*
        pub struct $header:ident<$life:lifetime> {
            $( $(#[$doc:meta])* pub $field:ident: $kind:ty = $name:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $header<$life> {
            $( $(#[$doc])* pub $field: $kind, )*
        }

        impl<$life> $crate::header::DecodeExt<$life> for $header<$life> {
            fn decode(
                code: $crate::codes::RequestCode,
                ext: &$life $crate::command::ExtRef<'_>,
            ) -> Result<Self, $crate::header::HeaderError> {
                Ok(Self {
                    $( $field: $crate::header::Field::read(code, $name, ext.get($name))?, )*
                })
            }
        }

        impl $crate::command::EncodeExt for $header<'_> {
            fn encode_ext(&self, sink: &mut dyn $crate::command::ExtSink) {
                $( $crate::header::Field::write(&self.$field, $name, sink); )*
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub struct $header:ident {
            $( $(#[$doc:meta])* pub $field:ident: $kind:ty = $name:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $header {
            $( $(#[$doc])* pub $field: $kind, )*
        }

        impl $crate::header::DecodeExt<'_> for $header {
            fn decode(
                code: $crate::codes::RequestCode,
                ext: &$crate::command::ExtRef<'_>,
            ) -> Result<Self, $crate::header::HeaderError> {
                Ok(Self {
                    $( $field: $crate::header::Field::read(code, $name, ext.get($name))?, )*
                })
            }
        }

        impl $crate::command::EncodeExt for $header {
            fn encode_ext(&self, sink: &mut dyn $crate::command::ExtSink) {
                $( $crate::header::Field::write(&self.$field, $name, sink); )*
            }
        }
    };
}
use header;

/// Writes `header` into fields, reads it back, and expects exactly the fields `want`.
#[cfg(test)]
fn assert_fields(
    header: &dyn crate::command::EncodeExt,
    want: &[(&str, &str)],
) -> crate::command::ExtFields {
    let mut ext = crate::command::ExtFields::new();
    header.encode_ext(&mut ext);
    assert_eq!(ext.iter().collect::<Vec<_>>(), want);
    ext
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{EncodeExt, ExtFields};
    use crate::header::offset::QueryOffsetHeader;

    const CODE: RequestCode = RequestCode::QueryConsumerOffset;

    fn ext(fields: &[(&str, &str)]) -> ExtFields {
        let mut ext = ExtFields::new();
        fields.encode_ext(&mut ext);
        ext
    }

    #[test]
    fn a_missing_field_is_named_with_its_request() {
        let ext = ext(&[("consumerGroup", "g"), ("queueId", "1")]);
        let error = QueryOffsetHeader::decode(CODE, &ext).unwrap_err();
        assert_eq!(error, HeaderError::Missing { code: CODE, field: "topic" });
        let text = "QUERY_CONSUMER_OFFSET (14) needs the field `topic`: let the client send it";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn a_bad_number_is_named_with_its_value() {
        for bad in ["", "x", "1.0", " 1", "2147483648", "9".repeat(1000).as_str()] {
            let ext = ext(&[("consumerGroup", "g"), ("topic", "t"), ("queueId", bad)]);
            let error = QueryOffsetHeader::decode(CODE, &ext).unwrap_err();
            let value = bad.chars().take(crate::limits::MAX_QUOTED_VALUE).collect();
            assert_eq!(
                error,
                HeaderError::BadNumber { code: CODE, field: "queueId", value, bits: 32 }
            );
        }
    }

    #[test]
    fn booleans_are_read_as_java_reads_them() {
        for (raw, want) in [("true", true), ("TRUE", true), ("yes", false), ("", false)] {
            let fields = [
                ("consumerGroup", "g"),
                ("topic", "t"),
                ("queueId", "-1"),
                ("setZeroIfNotFound", raw),
            ];
            let ext = ext(&fields);
            let header = QueryOffsetHeader::decode(CODE, &ext).unwrap();
            assert_eq!(header.set_zero_if_not_found, Some(want));
            assert_eq!(header.queue_id, -1);
        }
    }
}
