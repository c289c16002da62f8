//! Keys and values in namespaces, for the tools. In memory only.

use std::collections::BTreeMap;

use crate::limits::{MAX_KV, MAX_KV_VALUE, MAX_NAME};

/// The namespace that says which topics are ordered, and over which queues: `topic` to `broker:queues;…`.
pub const ORDER_TOPICS: &str = "ORDER_TOPIC_CONFIG";

/// A key cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// Names and values have limits.
    #[error(
        "namespace and key are 1 to {MAX_NAME} bytes long, a value is at most {MAX_KV_VALUE}: shorten `{key}`"
    )]
    TooLong {
        /// The key, shortened.
        key: String,
    },
    /// No more keys.
    #[error("{MAX_KV} keys are stored, which is the limit: delete some")]
    Full,
}

/// All namespaces.
#[derive(Debug, Default)]
pub struct Kv {
    spaces: BTreeMap<String, BTreeMap<String, String>>,
    keys: usize,
}

impl Kv {
    /// Stores a value in place of the one the key had.
    ///
    /// # Errors
    /// [`KvError`]; nothing is stored then.
    pub fn put(&mut self, space: &str, key: &str, value: &str) -> Result<(), KvError> {
        let name = 1..=MAX_NAME;
        if !name.contains(&space.len()) || !name.contains(&key.len()) || value.len() > MAX_KV_VALUE
        {
            return Err(KvError::TooLong { key: key.chars().take(64).collect() });
        }
        if self.get(space, key).is_none() {
            if self.keys >= MAX_KV {
                return Err(KvError::Full);
            }
            self.keys += 1;
        }
        self.spaces.entry(space.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// The value of a key.
    pub fn get(&self, space: &str, key: &str) -> Option<&str> {
        self.spaces.get(space)?.get(key).map(String::as_str)
    }

    /// Forgets a key; whether it was there.
    pub fn delete(&mut self, space: &str, key: &str) -> bool {
        let Some(keys) = self.spaces.get_mut(space) else {
            return false;
        };
        let was = keys.remove(key).is_some();
        if keys.is_empty() {
            self.spaces.remove(space);
        }
        self.keys -= usize::from(was);
        was
    }

    /// The keys and values of a namespace, if it has any.
    pub fn space(&self, space: &str) -> Option<&BTreeMap<String, String>> {
        self.spaces.get(space)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_get_delete() {
        let mut kv = Kv::default();
        assert_eq!(kv.get("s", "k"), None);
        kv.put("s", "k", "1").unwrap();
        kv.put("s", "k", "2").unwrap();
        assert_eq!(kv.get("s", "k"), Some("2"));
        assert_eq!(kv.get("t", "k"), None);
        assert!(kv.delete("s", "k"));
        assert!(!kv.delete("s", "k"));
        assert!(!kv.delete("t", "k"));
        assert_eq!((kv.space("s"), kv.keys), (None, 0));
    }

    #[test]
    fn limits_hold() {
        let mut kv = Kv::default();
        assert!(matches!(kv.put("", "k", "v"), Err(KvError::TooLong { .. })));
        assert!(matches!(
            kv.put("s", &"k".repeat(MAX_NAME + 1), "v"),
            Err(KvError::TooLong { .. })
        ));
        assert!(matches!(
            kv.put("s", "k", &"v".repeat(MAX_KV_VALUE + 1)),
            Err(KvError::TooLong { .. })
        ));
        for key in 0..MAX_KV {
            kv.put("s", &key.to_string(), "").unwrap();
        }
        assert_eq!(kv.put("s", "one more", ""), Err(KvError::Full));
        kv.put("s", "7", "an old key still changes").unwrap();
    }
}
