//! What a producer's property text asks of the broker.
//!
//! RocketMQ 5.5.0, classes SendMessageProcessor, AbstractSendMessageProcessor and HookUtils.

use model::properties::{self, pairs};

/// What the broker has to know of a property text, found in one pass over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes<'a> {
    /// The unique key that the client gave the message.
    pub unique_key: Option<&'a str>,
    /// The message shall be delivered later, and this property says so.
    pub delayed_by: Option<&'static str>,
    /// It is the half message of a transaction.
    pub transaction: bool,
    /// It is a request: its sender waits for a reply.
    pub request: bool,
    /// It has properties that are the broker's to set, or that are never stored.
    pub has_foreign: bool,
}

const TIMER_DELAY_SEC: &str = "TIMER_DELAY_SEC";
const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
/// Properties of this prefix are for the way only.
const TRANSIENT: &[u8] = b"__RMQ.TRANSIENT.";
/// A POP checkpoint; a client must not forge one.
const POP_CK: &[u8] = b"POP_CK";

/// Whether a pair of this name is dropped: the broker sets it itself, or it is never stored.
fn is_foreign(name: &[u8]) -> bool {
    name == properties::MSG_REGION.as_bytes()
        || name == properties::TRACE_ON.as_bytes()
        || name == properties::CLUSTER.as_bytes()
        || name == POP_CK
        || name.starts_with(TRANSIENT)
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Looks through a property text. `now` is the broker's clock in milliseconds: a delivery time that has
/// passed asks for nothing.
#[must_use]
pub fn look(text: &[u8], now: u64) -> Wishes<'_> {
    let mut wishes = Wishes::default();
    let mut reply = false;
    for (name, value) in pairs(text) {
        match name {
            b"UNIQ_KEY" => wishes.unique_key = std::str::from_utf8(value).ok(),
            b"DELAY" if number(value).is_some_and(|level| level > 0) => {
                wishes.delayed_by = Some(properties::DELAY);
            }
            b"TIMER_DELAY_SEC" if number(value).is_some_and(|delay| delay > 0) => {
                wishes.delayed_by = Some(TIMER_DELAY_SEC);
            }
            b"TIMER_DELAY_MS" if number(value).is_some_and(|delay| delay > 0) => {
                wishes.delayed_by = Some(TIMER_DELAY_MS);
            }
            b"TIMER_DELIVER_MS" if number(value).is_some_and(|at| at > now.cast_signed()) => {
                wishes.delayed_by = Some(TIMER_DELIVER_MS);
            }
            b"TRAN_MSG" => wishes.transaction = value.eq_ignore_ascii_case(b"true"),
            b"REPLY_TO_CLIENT" => wishes.request = true,
            b"MSG_TYPE" => reply = value == b"reply",
            _ => wishes.has_foreign |= is_foreign(name),
        }
    }
    // A reply says for whom it is, too.
    wishes.request &= !reply;
    wishes
}

/// Copies the pairs that are kept into `out`, which is emptied first.
pub fn without_foreign(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    for (name, value) in pairs(text).filter(|(name, _)| !is_foreign(name)) {
        out.extend_from_slice(name);
        out.push(properties::NAME_END);
        out.extend_from_slice(value);
        out.push(properties::VALUE_END);
    }
    assert!(out.len() <= text.len() + 1, "dropping pairs makes a text shorter");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_message_asks_for_nothing() {
        let wishes = look(b"UNIQ_KEY\x01k1\x02WAIT\x01true\x02TAGS\x01A", 5);
        assert_eq!(wishes, Wishes { unique_key: Some("k1"), ..Wishes::default() });
        assert_eq!(look(b"", 5), Wishes::default());
    }

    #[test]
    fn every_kind_of_delay_is_seen() {
        for (text, by) in [
            (&b"DELAY\x013\x02"[..], "DELAY"),
            (b"TIMER_DELAY_SEC\x011\x02", "TIMER_DELAY_SEC"),
            (b"TIMER_DELAY_MS\x011\x02", "TIMER_DELAY_MS"),
            (b"TIMER_DELIVER_MS\x011001", "TIMER_DELIVER_MS"),
        ] {
            assert_eq!(look(text, 1000).delayed_by, Some(by));
        }
    }

    #[test]
    fn a_delay_of_nothing_is_none() {
        for text in [
            &b"DELAY\x010\x02"[..],
            b"DELAY\x01x\x02",
            b"TIMER_DELAY_MS\x010\x02",
            b"TIMER_DELIVER_MS\x011000\x02",
        ] {
            assert_eq!(look(text, 1000).delayed_by, None);
        }
    }

    #[test]
    fn half_messages_are_seen() {
        assert!(look(b"TRAN_MSG\x01true\x02", 0).transaction);
        assert!(look(b"TRAN_MSG\x01TRUE", 0).transaction);
        assert!(!look(b"TRAN_MSG\x01false\x02", 0).transaction);
    }

    #[test]
    fn requests_are_seen_and_replies_are_none() {
        let request = b"CORRELATION_ID\x01c\x02TTL\x013000\x02REPLY_TO_CLIENT\x0110.0.0.1@7\x02";
        assert!(look(request, 0).request);
        for reply in [
            &b"MSG_TYPE\x01reply\x02REPLY_TO_CLIENT\x0110.0.0.1@7"[..],
            b"REPLY_TO_CLIENT\x0110.0.0.1@7\x02MSG_TYPE\x01reply\x02",
            b"CORRELATION_ID\x01mine\x02",
        ] {
            assert!(!look(reply, 0).request);
        }
        assert!(look(b"MSG_TYPE\x01order\x02REPLY_TO_CLIENT\x01c", 0).request);
    }

    #[test]
    fn what_is_the_brokers_is_dropped() {
        let text = b"A\x011\x02CLUSTER\x01c\x02__RMQ.TRANSIENT.X\x01y\x02B\x012";
        assert!(look(text, 0).has_foreign);
        let mut out = vec![9];
        without_foreign(text, &mut out);
        assert_eq!(out, b"A\x011\x02B\x012\x02");
        assert!(!look(&out, 0).has_foreign);
    }
}
