//! A type for every offset and id, so that the compiler keeps the offset spaces apart.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// Bytes from the beginning of a shard's log to a place in it. Never reused, never negative;
    /// RocketMQ calls it the commitlog offset.
    PhysicalOffset(u64)
);
number!(
    /// The position of a message in its queue, counted in messages from 0.
    QueueOffset(u64)
);
number!(
    /// The position of an entry in a shard's log, counted in entries. Entry 0 founds the group.
    LogIndex(u64)
);
number!(
    /// A term of leadership, counted from 1; 0 stands for "before any leader".
    Term(u64)
);
number!(
    /// The number of a queue within its topic, from 0.
    QueueId(u32)
);
number!(
    /// Milliseconds since 1970-01-01 UTC.
    UnixMillis(u64)
);

impl PhysicalOffset {
    /// The offset `bytes` further on.
    ///
    /// # Panics
    /// When the sum leaves 63 bits: RocketMQ's clients read offsets as signed 64-bit numbers, and a
    /// log that long cannot exist.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Self {
        let sum = self.0.checked_add(bytes).filter(|sum| i64::try_from(*sum).is_ok());
        Self(sum.expect("a physical offset stays below 2^63"))
    }

    /// Bytes from `earlier` to here.
    ///
    /// # Panics
    /// When `earlier` lies behind this offset.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.checked_sub(earlier.0).expect("an offset is measured from one before it")
    }
}

impl QueueOffset {
    /// The offset `messages` further on.
    #[must_use]
    pub fn plus(self, messages: u64) -> Self {
        Self(self.0.checked_add(messages).expect("a queue offset stays below 2^64"))
    }
}

impl LogIndex {
    /// The index of the next entry.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("a log index stays below 2^64"))
    }
}
