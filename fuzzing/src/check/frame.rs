//! Frames of the remoting protocol, with their headers.

use bytes::Bytes;
use remoting::command::DecodeError;
use remoting::{Command, CommandRef, FrameError, Language, MAX_FRAME, SerializeType, frame};
use serde_json::Value;

use super::strict;
use crate::Outcome;

/// Bytes as they come from a connection.
///
/// # Panics
/// When [`frame::split`] and [`frame::missing`] contradict each other, when a range leads out of the
/// bytes, or when a command does not survive being written and read.
pub fn check(bytes: &[u8]) -> Outcome {
    let missing = frame::missing(bytes, MAX_FRAME);
    let range = match frame::split(bytes, MAX_FRAME) {
        Ok(Some(range)) => range,
        Ok(None) => {
            let lacks = missing.expect("what is not refused lacks something");
            assert!((1..=MAX_FRAME).contains(&lacks), "{lacks} bytes are missing");
            return Outcome::refused(format!("{lacks} bytes are missing"));
        }
        Err(error) => {
            assert_eq!(missing, Err(error));
            return Outcome::refused(error);
        }
    };
    assert_eq!(missing, Ok(0));
    let end = range.end();
    assert!(end <= bytes.len() && range.header.start == frame::PREFIX_BYTES);
    assert!(range.header.start <= range.header.end && range.header.end == range.body.start);
    assert_eq!(frame::split(&bytes[..end], MAX_FRAME), Ok(Some(range.clone())), "what follows");
    assert_eq!(frame::split(&bytes[..end - 1], MAX_FRAME), Ok(None), "the last byte counts");
    let too_long = FrameError::TooLong { bytes: end, max: end - 1 };
    assert_eq!(frame::split(bytes, end - 1), Err(too_long), "the limit counts");
    let whole = Bytes::copy_from_slice(&bytes[..end]);
    match Command::from_frame(&whole, &range) {
        Ok(command) => {
            survives(&command);
            Outcome::Read
        }
        Err(error) => Outcome::refused(error),
    }
}

/// Reads the text of a header as every server and client does, and compares it with what the standard
/// makes of it.
///
/// # Errors
/// As [`CommandRef::decode`].
///
/// # Panics
/// When a position leads out of the text, or when JSON is refused or read in another way.
pub fn head(text: &[u8]) -> Result<CommandRef<'_>, DecodeError> {
    let read = CommandRef::decode(SerializeType::Json, text);
    if let Err(DecodeError::Json { at, .. } | DecodeError::TooDeep { at }) = &read {
        assert!(*at <= text.len(), "byte {at} is none of {}", text.len());
    }
    let Some(Value::Object(members)) = strict::value(text) else { return read };
    match &read {
        Err(error) => assert!(!matches!(error, DecodeError::Json { .. }), "{error}: it is JSON"),
        Ok(head) => {
            let number = |name| members.get(name).and_then(Value::as_i64);
            let same =
                |name, read: i32| number(name).is_none_or(|number| number == i64::from(read));
            assert!(same("code", head.code) && same("opaque", head.opaque));
            assert!(same("flag", head.flag.0) && same("version", head.version));
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let remark = members.get("remark").and_then(text);
            assert!(remark.is_none_or(|remark| head.remark.as_deref() == Some(&remark)));
            for (name, value) in
                members.get("extFields").and_then(Value::as_object).into_iter().flatten()
            {
                let same = text(value).is_none_or(|text| head.ext.get(name) == Some(&text));
                assert!(same, "the field `{name}` was read in another way");
            }
        }
    }
    read
}

/// What could be read can be written, and reads the same again.
fn survives(command: &Command) {
    let mut out = Vec::new();
    command.encode(&mut out).expect("it was no longer when it came");
    let range = frame::split(&out, MAX_FRAME).expect("ours").expect("whole");
    assert_eq!(range.end(), out.len());
    let mut again = Command::from_frame(&Bytes::from(out), &range).expect("ours");
    if command.language == Language::Unknown {
        assert_eq!(again.language, Language::Other);
        again.language = Language::Unknown;
    }
    assert_eq!(again, *command);
}
