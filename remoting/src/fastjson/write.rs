//! From serde types to the dialect: plain JSON, but for map keys. Text keys are plain; integers are
//! quoted; structs are written as bare objects, which no JSON writer for others can do.

use serde::ser::{Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple};
use serde::{Serialize, Serializer};

/// A value that has no place in a body.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A kind of value that no body has.
    #[error("a {kind} cannot be written into a body: use maps, lists, text, numbers or booleans")]
    Unsupported {
        /// The kind, in serde's words.
        kind: &'static str,
    },
    /// A key that is neither text, integer nor object.
    #[error("a key must be text, an integer or an object")]
    Key,
    /// A type's own `Serialize` failed.
    #[error("a value failed to serialize: {message}")]
    Custom {
        /// What it said.
        message: String,
    },
}

impl serde::ser::Error for WriteError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Custom { message: message.to_string() }
    }
}

/// Writes a value in the dialect. Members that are `None` are left out, in structs and in maps;
/// floats that are no numbers are written as `0.0`.
///
/// # Errors
/// [`WriteError`] for types that are not made for bodies.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, WriteError> {
    let mut writer = Writer { out: Vec::new() };
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
}

impl Writer {
    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn integer(&mut self, number: impl std::fmt::Display) {
        self.push(&number.to_string());
    }
}

fn unsupported<T>(kind: &'static str) -> Result<T, WriteError> {
    Err(WriteError::Unsupported { kind })
}

impl<'w> Serializer for &'w mut Writer {
    type Ok = ();
    type Error = WriteError;
    type SerializeSeq = List<'w>;
    type SerializeTuple = List<'w>;
    type SerializeTupleStruct = Impossible<(), WriteError>;
    type SerializeTupleVariant = Impossible<(), WriteError>;
    type SerializeMap = Object<'w>;
    type SerializeStruct = Object<'w>;
    type SerializeStructVariant = Impossible<(), WriteError>;

    fn serialize_bool(self, value: bool) -> Result<(), WriteError> {
        self.push(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), WriteError> {
        self.integer(value);
        Ok(())
    }

    fn serialize_i16(self, value: i16) -> Result<(), WriteError> {
        self.integer(value);
        Ok(())
    }

    fn serialize_i32(self, value: i32) -> Result<(), WriteError> {
        self.integer(value);
        Ok(())
    }

    fn serialize_i64(self, value: i64) -> Result<(), WriteError> {
        self.integer(value);
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<(), WriteError> {
        self.integer(value);
        Ok(())
    }

    fn serialize_u16(self, value: u16) -> Result<(), WriteError> {
        self.integer(value);
        Ok(())
    }

    fn serialize_u32(self, value: u32) -> Result<(), WriteError> {
        self.integer(value);
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<(), WriteError> {
        self.integer(value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), WriteError> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), WriteError> {
        let value = if value.is_finite() { value } else { 0.0 };
        self.push(&format!("{value:?}"));
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), WriteError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), WriteError> {
        serde_json::to_writer(&mut self.out, value).map_err(serde::ser::Error::custom)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), WriteError> {
        unsupported("byte string")
    }

    fn serialize_none(self) -> Result<(), WriteError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), WriteError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), WriteError> {
        self.push("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), WriteError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), WriteError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), WriteError> {
        unsupported("variant with a value")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'w>, WriteError> {
        self.push("[");
        Ok(List { writer: self, first: true })
    }

    fn serialize_tuple(self, len: usize) -> Result<List<'w>, WriteError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, WriteError> {
        unsupported("struct without names")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, WriteError> {
        unsupported("variant with values")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Object<'w>, WriteError> {
        let start = self.out.len();
        self.push("{");
        Ok(Object { writer: self, first: true, member: start })
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Object<'w>, WriteError> {
        self.serialize_map(Some(len))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, WriteError> {
        unsupported("variant with fields")
    }
}

/// A list that is being written.
struct List<'w> {
    writer: &'w mut Writer,
    first: bool,
}

impl List<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        if !self.first {
            self.writer.push(",");
        }
        self.first = false;
        value.serialize(&mut *self.writer)
    }
}

impl SerializeSeq for List<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        self.item(value)
    }

    fn end(self) -> Result<(), WriteError> {
        self.writer.push("]");
        Ok(())
    }
}

impl SerializeTuple for List<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        self.item(value)
    }

    fn end(self) -> Result<(), WriteError> {
        self.writer.push("]");
        Ok(())
    }
}

/// An object that is being written.
struct Object<'w> {
    writer: &'w mut Writer,
    first: bool,
    /// Where the member that is being written starts, its comma included.
    member: usize,
}

impl Object<'_> {
    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), WriteError> {
        self.member = self.writer.out.len();
        if !self.first {
            self.writer.push(",");
        }
        let start = self.writer.out.len();
        key.serialize(&mut *self.writer)?;
        match self.writer.out.get(start) {
            Some(b'"' | b'{') => Ok(()),
            Some(b'-' | b'0'..=b'9') if !self.writer.out[start..].contains(&b'.') => {
                self.writer.out.insert(start, b'"');
                self.writer.push("\"");
                Ok(())
            }
            _ => Err(WriteError::Key),
        }
    }

    /// The value of the member; if it is `null`, the member is taken back.
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        self.writer.push(":");
        let start = self.writer.out.len();
        assert!(start > self.member);
        value.serialize(&mut *self.writer)?;
        if &self.writer.out[start..] == b"null" {
            self.writer.out.truncate(self.member);
        } else {
            self.first = false;
        }
        Ok(())
    }
}

impl SerializeMap for Object<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), WriteError> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        self.value(value)
    }

    fn end(self) -> Result<(), WriteError> {
        self.writer.push("}");
        Ok(())
    }
}

impl SerializeStruct for Object<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        self.key(name)?;
        self.value(value)
    }

    fn end(self) -> Result<(), WriteError> {
        self.writer.push("}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn text(value: &impl Serialize) -> String {
        String::from_utf8(to_vec(value).unwrap()).unwrap()
    }

    #[test]
    fn values_are_plain_json() {
        let value = serde_json::json!({"a":[1,-2,true,"x\"\u{1}é",[]],"b":{},"c":null,"d":[null]});
        let want = r#"{"a":[1,-2,true,"x\"\u0001é",[]],"b":{},"d":[null]}"#;
        assert_eq!(text(&value), want);
        assert_eq!(
            text(&(i64::MIN, u64::MAX, 'c')),
            r#"[-9223372036854775808,18446744073709551615,"c"]"#
        );
    }

    #[test]
    fn floats_are_always_numbers() {
        let floats = [0.0, 1.5, -3.0, 1e300, f64::NAN, f64::INFINITY];
        assert_eq!(text(&floats), "[0.0,1.5,-3.0,1e300,0.0,0.0]");
    }

    #[test]
    fn integer_keys_are_quoted() {
        assert_eq!(text(&BTreeMap::from([(-1, "b"), (0, "a")])), r#"{"-1":"b","0":"a"}"#);
    }

    #[test]
    fn absent_members_are_left_out() {
        let map = BTreeMap::from([("a", None), ("b", Some(1)), ("c", None), ("d", Some(2))]);
        assert_eq!(text(&map), r#"{"b":1,"d":2}"#);
    }

    #[test]
    fn what_has_no_place_in_a_body_is_an_error() {
        assert_eq!(to_vec(&BTreeMap::from([(true, 1)])), Err(WriteError::Key));
        assert_eq!(to_vec(&BTreeMap::from([(vec![1], 1)])), Err(WriteError::Key));
        let error = WriteError::Unsupported { kind: "variant with a value" };
        assert_eq!(to_vec(&Ok::<i32, i32>(1)), Err(error));
    }
}
