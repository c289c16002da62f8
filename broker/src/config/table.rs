//! The one table of configuration keys.

use ::config::{Key, Table};

use super::{keys_broker, keys_raft, keys_store, rest_broker, rest_store};

/// Number of keys that do something, or that Apache's documentation and sample files show.
const MAIN: usize = keys_broker::KEYS.len() + keys_store::KEYS.len() + keys_raft::KEYS.len();
/// Number of the others that Apache knows.
const REST: usize = rest_broker::KEYS.len() + rest_store::KEYS.len();

static MAIN_KEYS: [Key; MAIN] = joined([&keys_broker::KEYS, &keys_store::KEYS, &keys_raft::KEYS]);
static ALL_KEYS: [Key; MAIN + REST] = joined([&MAIN_KEYS, &rest_broker::KEYS, &rest_store::KEYS]);

/// Every key that `mqbroker` knows.
pub static KEYS: Table = Table::new(&ALL_KEYS);

/// The part of [`KEYS`] that an operator reads: what `-m` prints.
pub static IMPORTANT: Table = Table::new(&MAIN_KEYS);

/// Keys that are known and without effect, all for the same reason.
pub(super) const fn without_effect<const N: usize>(
    why: &'static str,
    rows: [(&'static str, &'static str); N],
) -> [Key; N] {
    assert!(N > 0);
    let blank = Key::text(rows[0].0, rows[0].1, "A key of RocketMQ 5.5.0").no_effect(why);
    let mut keys = [blank; N];
    let mut at = 1;
    while at < N {
        keys[at] = Key::text(rows[at].0, rows[at].1, "A key of RocketMQ 5.5.0").no_effect(why);
        at += 1;
    }
    keys
}

/// Several parts of a table as one.
pub(super) const fn joined<const PARTS: usize, const N: usize>(
    parts: [&'static [Key]; PARTS],
) -> [Key; N] {
    let mut keys = [parts[0][0]; N];
    let mut at = 0;
    let mut part = 0;
    while part < PARTS {
        let mut from = 0;
        while from < parts[part].len() {
            keys[at] = parts[part][from];
            at += 1;
            from += 1;
        }
        part += 1;
    }
    assert!(at == N, "the parts fill the whole");
    keys
}

#[cfg(test)]
mod tests {
    use ::config::Effect;

    use super::*;

    #[test]
    fn the_table_is_sound() {
        KEYS.assert_sound();
    }

    #[test]
    fn keys_without_effect_are_all_of_apaches() {
        for key in KEYS.keys() {
            if matches!(key.effect, Effect::Nothing(_)) {
                assert!(key.apache_name.is_some(), "{} is ours and does nothing", key.name);
            }
        }
    }

    #[test]
    fn the_important_ones_come_first() {
        for (key, all) in IMPORTANT.keys().iter().zip(KEYS.keys()) {
            assert_eq!(key.name, all.name);
        }
        assert!(KEYS.find("sendThreadPoolQueueCapacity").is_some());
        assert!(KEYS.find("popCkStayBufferTime").is_some());
    }
}
