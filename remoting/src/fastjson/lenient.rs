//! Fields that not every client writes with the right JSON type. For `deserialize_with`.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A whole number, or a string that holds one: some clients quote 64-bit numbers.
///
/// # Errors
/// If it is neither, or does not fit `T`.
pub fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64> + FromStr,
{
    deserializer.deserialize_any(Number(PhantomData))
}

/// A list of what [`number`] reads.
///
/// # Errors
/// As [`number`].
pub fn numbers<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64> + FromStr,
{
    struct Item<T>(T);
    impl<'de, T: TryFrom<i64> + FromStr> Deserialize<'de> for Item<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            number(deserializer).map(Self)
        }
    }
    let items = Vec::<Item<T>>::deserialize(deserializer)?;
    Ok(items.into_iter().map(|item| item.0).collect())
}

struct Number<T>(PhantomData<T>);

impl<T: TryFrom<i64> + FromStr> Visitor<'_> for Number<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, quoted or not")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        T::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        i64::try_from(number)
            .ok()
            .and_then(|signed| T::try_from(signed).ok())
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Both {
        #[serde(deserialize_with = "number")]
        one: i32,
        #[serde(deserialize_with = "numbers")]
        many: Vec<i64>,
    }

    #[test]
    fn numbers_may_be_quoted() {
        let both: Both = serde_json::from_str(r#"{"one":"-7","many":[1,"2",-3]}"#).unwrap();
        assert_eq!((both.one, both.many), (-7, vec![1, 2, -3]));
    }

    #[test]
    fn what_is_no_number_or_too_large_is_an_error() {
        for one in ["\"x\"", "1.5", "true", "2147483648", "\"2147483648\"", "18446744073709551615"]
        {
            let text = format!(r#"{{"one":{one},"many":[]}}"#);
            assert!(serde_json::from_str::<Both>(&text).is_err(), "{one}");
        }
    }
}
