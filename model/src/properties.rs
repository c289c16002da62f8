//! Message properties: `name 0x01 value 0x02`, repeated.
//!
//! RocketMQ 5.5.0, `MessageDecoder.messageProperties2String`: the last 0x02 may be missing (4.9
//! clients leave it out), and pairs with an empty name or value are not properties.

/// Ends a name.
pub const NAME_END: u8 = 1;
/// Ends a value.
pub const VALUE_END: u8 = 2;
/// The longest property text a record can hold, in bytes (its length is a signed 16-bit number).
pub const MAX_LEN: usize = i16::MAX as usize;

/// Space-separated keys of a message.
pub const KEYS: &str = "KEYS";
/// The tag of a message.
pub const TAGS: &str = "TAGS";
/// `false`: the sender does not wait for the flush.
pub const WAIT: &str = "WAIT";
/// The delay level of a message, from 1.
pub const DELAY: &str = "DELAY";
/// The unique key that the client gave the message.
pub const UNIQ_KEY: &str = "UNIQ_KEY";
/// The region of the broker.
pub const MSG_REGION: &str = "MSG_REGION";
/// Whether the client traces messages of this broker.
pub const TRACE_ON: &str = "TRACE_ON";
/// The cluster that stored the message.
pub const CLUSTER: &str = "CLUSTER";
/// `true` on the half message of a transaction.
pub const TRANSACTION_PREPARED: &str = "TRAN_MSG";

/// The `(name, value)` pairs of a property text, in the order in which they stand.
pub fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == VALUE_END).filter_map(|pair| {
        let end = pair.iter().position(|byte| *byte == NAME_END)?;
        let (name, value) = (&pair[..end], &pair[end + 1..]);
        (!name.is_empty() && !value.is_empty()).then_some((name, value))
    })
}

/// The value of the property `name`; the first one, where it stands twice. `None` also for a value
/// that is not UTF-8.
#[must_use]
pub fn find<'a>(text: &'a [u8], name: &str) -> Option<&'a str> {
    let (_, value) = pairs(text).find(|(found, _)| *found == name.as_bytes())?;
    std::str::from_utf8(value).ok()
}

/// Bytes that [`append`] adds for this pair, beside the separator that may be missing before it.
#[must_use]
pub fn pair_len(name: &str, value: &str) -> usize {
    name.len() + 1 + value.len() + 1
}

/// Appends a pair, and before it the separator that the text lacks.
pub fn append(text: &mut Vec<u8>, name: &str, value: &str) {
    if text.last().is_some_and(|last| *last != VALUE_END) {
        text.push(VALUE_END);
    }
    text.extend_from_slice(name.as_bytes());
    text.push(NAME_END);
    text.extend_from_slice(value.as_bytes());
    text.push(VALUE_END);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_with_and_without_the_last_separator() {
        for text in [&b"TAGS\x01A\x02KEYS\x01k 1\x02"[..], b"TAGS\x01A\x02KEYS\x01k 1"] {
            assert_eq!(find(text, "TAGS"), Some("A"));
            assert_eq!(find(text, "KEYS"), Some("k 1"));
            assert_eq!(find(text, "KEY"), None);
            assert_eq!(pairs(text).count(), 2);
        }
    }

    #[test]
    fn skips_what_is_no_pair() {
        let text = b"\x02\x01v\x02n\x01\x02x\x02a\x01b\x01c\x02";
        let found: Vec<_> = pairs(text).collect();
        assert_eq!(found, [(&b"a"[..], &b"b\x01c"[..])]);
    }

    #[test]
    fn append_mends_the_missing_separator() {
        let mut text = b"TAGS\x01A".to_vec();
        append(&mut text, "CLUSTER", "c1");
        assert_eq!(text, b"TAGS\x01A\x02CLUSTER\x01c1\x02");
        let mut empty = Vec::new();
        append(&mut empty, "a", "b");
        assert_eq!(empty.len(), pair_len("a", "b"));
    }
}
