//! What messages can be found by.

use model::{Record, properties};

use crate::part::key_hash;

/// What a message can be found by: its keys and its unique key.
pub(super) fn key_hashes<'a>(record: &Record<'a>) -> impl Iterator<Item = u32> {
    let topic = record.topic();
    message_keys(record.properties()).map(move |key| key_hash(topic, key))
}

/// The keys that a message with these properties can be found by.
pub(crate) fn message_keys(properties: &[u8]) -> impl Iterator<Item = &str> {
    let keys = properties::find(properties, properties::KEYS).unwrap_or_default();
    let unique = properties::find(properties, properties::UNIQ_KEY);
    keys.split(' ').filter(|key| !key.is_empty()).chain(unique)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_message_and_its_unique_one() {
        let text = b"KEYSa b  cTAGStUNIQ_KEYu";
        assert_eq!(message_keys(text).collect::<Vec<_>>(), ["a", "b", "c", "u"]);
        assert_eq!(message_keys(b"TAGSt").count(), 0);
    }
}
