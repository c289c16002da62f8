//! The dialect of JSON that bodies are written in.

use remoting::fastjson::{self, JsonError};
use serde_json::Value;

use super::strict;
use crate::Outcome;

/// A text of the dialect.
///
/// # Panics
/// When what is JSON is read in another way than the standard has it, when the normal form of a text has
/// another normal form, or when a value does not survive being written and read.
pub fn check(text: &[u8]) -> Outcome {
    let standard = strict::value(text).map(strict::without_nulls);
    let plain = match fastjson::normalise(text) {
        Ok(plain) => plain,
        Err(error) => {
            if let JsonError::Syntax { at, .. }
            | JsonError::NotUtf8 { at }
            | JsonError::TooDeep { at }
            | JsonError::KeyInKey { at } = &error
            {
                assert!(*at <= text.len(), "byte {at} is none of {}", text.len());
            }
            let deep = matches!(error, JsonError::TooDeep { .. });
            assert!(standard.is_none() || deep, "{error}: it is JSON");
            return Outcome::refused(error);
        }
    };
    let again = fastjson::normalise(plain.as_bytes());
    assert_eq!(again.ok().as_ref(), Some(&plain), "a normal form is its own");
    let value = match fastjson::from_slice::<Value>(text) {
        Ok(value) => value,
        Err(error) => {
            assert!(standard.is_none(), "{error}: it is JSON");
            return Outcome::refused(error);
        }
    };
    if let Some(standard) = standard {
        assert_eq!(value, standard, "JSON means what the standard says");
    }
    let written = fastjson::to_vec(&value).expect("any value of JSON can be written");
    let read = fastjson::from_slice::<Value>(&written).expect("ours");
    assert!(same(&strict::without_nulls(value), &read), "it survives: {read}");
    Outcome::Read
}

/// Equal, but for the last digits of numbers: serde_json reads them fast, not exactly.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| same(a, b))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, a)| right.get(name).is_some_and(|b| same(a, b)))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or_default(), b.as_f64().unwrap_or_default());
            a == b || (a - b).abs() <= a.abs() * 4.0 * f64::EPSILON
        }
        (left, right) => left == right,
    }
}
