//! Decisions about a pull: from where, how much, and what its outcome is called. No state, no I/O.
//!
//! RocketMQ 5.5.0, classes PullMessageProcessor, DefaultMessageStore and GetMessageStatus.

use std::ops::ControlFlow;

use model::QueueOffset;
use remoting::ResponseCode;
use storage::{QueueRange, Unit};

use super::subscription::Filter;
use crate::config::PullLimits;

/// What a pull came to; the name of it is the answer's remark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There are messages.
    Found,
    /// There are messages, none of which the subscription wants.
    NoMatchedMessage,
    /// The topic has no such queue.
    NoMatchedLogicQueue,
    /// The queue has never had a message.
    NoMessageInQueue,
    /// The offset is beyond the end.
    OffsetOverflowBadly,
    /// The offset is the end: nothing new.
    OffsetOverflowOne,
    /// The offset is before the oldest message.
    OffsetTooSmall,
}

impl Status {
    /// RocketMQ's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::NoMatchedLogicQueue => "NO_MATCHED_LOGIC_QUEUE",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
        }
    }

    /// Whether the answer to a pull from `offset` would tell its consumer to go back to the end: only one who is certain where
    /// the queue ends may say that.
    #[must_use]
    pub fn sends_back(self, offset: i64) -> bool {
        offset > 0
            && self != Self::OffsetTooSmall
            && self.code(offset) == ResponseCode::PullOffsetMoved
    }

    /// The answer's code; `offset` is the one that was asked for.
    #[must_use]
    pub fn code(self, offset: i64) -> ResponseCode {
        match self {
            Self::Found => ResponseCode::Success,
            Self::NoMatchedMessage => ResponseCode::PullRetryImmediately,
            Self::OffsetOverflowOne => ResponseCode::PullNotFound,
            Self::OffsetOverflowBadly | Self::OffsetTooSmall => ResponseCode::PullOffsetMoved,
            Self::NoMatchedLogicQueue | Self::NoMessageInQueue if offset == 0 => {
                ResponseCode::PullNotFound
            }
            Self::NoMatchedLogicQueue | Self::NoMessageInQueue => ResponseCode::PullOffsetMoved,
        }
    }
}

/// Where a pull begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this message.
    At(QueueOffset),
    /// There is none; the consumer goes on from `next`.
    Nowhere {
        /// Why.
        status: Status,
        /// Where to go on.
        next: QueueOffset,
    },
}

/// Where a pull from `offset` begins in a queue that holds `range`.
#[must_use]
pub fn begin(range: Option<QueueRange>, offset: i64) -> Begin {
    use Status::{
        NoMatchedLogicQueue, NoMessageInQueue, OffsetOverflowBadly, OffsetOverflowOne,
        OffsetTooSmall,
    };
    let nowhere = |status, next| Begin::Nowhere { status, next };
    let Some(QueueRange { min, max }) = range else {
        return nowhere(NoMatchedLogicQueue, QueueOffset(0));
    };
    assert!(min <= max, "a queue does not end before it begins");
    if max == QueueOffset(0) {
        return nowhere(NoMessageInQueue, QueueOffset(0));
    }
    let Ok(wanted) = u64::try_from(offset).map(QueueOffset) else {
        return nowhere(OffsetTooSmall, min);
    };
    if wanted < min {
        nowhere(OffsetTooSmall, min)
    } else if wanted == max {
        nowhere(OffsetOverflowOne, max)
    } else if wanted > max {
        nowhere(OffsetOverflowBadly, max)
    } else {
        Begin::At(wanted)
    }
}

/// The messages that a pull returns, chosen one after the other.
#[derive(Debug)]
pub struct Choice<'a> {
    filter: &'a Filter,
    limits: PullLimits,
    units: Vec<Unit>,
    bytes: usize,
    next: QueueOffset,
}

impl<'a> Choice<'a> {
    /// Nothing chosen yet, from `begin` on. One message is chosen whatever the limits say.
    #[must_use]
    pub fn new(filter: &'a Filter, limits: PullLimits, begin: QueueOffset) -> Self {
        Self { filter, limits, units: Vec::new(), bytes: 0, next: begin }
    }

    /// The next message of the queue: chosen, passed over, or too much.
    pub fn offer(&mut self, offset: QueueOffset, unit: Unit) -> ControlFlow<()> {
        assert!(offset >= self.next, "messages are offered in their order");
        if self.filter.matches(unit.tag_hash) {
            let bytes = self.bytes + unit.size as usize;
            if !self.units.is_empty() && bytes > self.limits.bytes {
                return ControlFlow::Break(());
            }
            self.bytes = bytes;
            self.units.push(unit);
        }
        self.next = offset.plus(1);
        if self.units.len() >= self.limits.messages {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Where the next pull goes on.
    #[must_use]
    pub fn next(&self) -> QueueOffset {
        self.next
    }

    /// Bytes of what was chosen.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What was chosen, in order, and where the next pull goes on.
    #[must_use]
    pub fn into_units(self) -> (Vec<Unit>, QueueOffset) {
        (self.units, self.next)
    }
}

/// The limits of one pull: those of the broker, and what the client asks for within them.
#[must_use]
pub fn limits(broker: PullLimits, messages: i32, bytes: Option<i32>) -> PullLimits {
    let at_least_one = |asked: i32| usize::try_from(asked).unwrap_or(0).max(1);
    PullLimits {
        messages: broker.messages.min(at_least_one(messages)),
        bytes: broker.bytes.min(bytes.map_or(usize::MAX, at_least_one)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::PhysicalOffset;
    use std::collections::HashSet;

    fn range(min: u64, max: u64) -> Option<QueueRange> {
        Some(QueueRange { min: QueueOffset(min), max: QueueOffset(max) })
    }

    fn nowhere(status: Status, next: u64) -> Begin {
        Begin::Nowhere { status, next: QueueOffset(next) }
    }

    #[test]
    fn where_a_pull_begins() {
        use Status::*;
        let cases = [
            (None, 0, nowhere(NoMatchedLogicQueue, 0)),
            (range(0, 0), 0, nowhere(NoMessageInQueue, 0)),
            (range(0, 0), 9, nowhere(NoMessageInQueue, 0)),
            (range(5, 10), 4, nowhere(OffsetTooSmall, 5)),
            (range(0, 10), -1, nowhere(OffsetTooSmall, 0)),
            (range(5, 10), 5, Begin::At(QueueOffset(5))),
            (range(5, 10), 9, Begin::At(QueueOffset(9))),
            (range(5, 10), 10, nowhere(OffsetOverflowOne, 10)),
            (range(5, 10), 11, nowhere(OffsetOverflowBadly, 10)),
            (range(10, 10), 10, nowhere(OffsetOverflowOne, 10)),
        ];
        for (range, offset, want) in cases {
            assert_eq!(begin(range, offset), want, "{range:?} from {offset}");
        }
    }

    #[test]
    fn only_those_behind_the_end_are_sent_back() {
        use Status::*;
        for status in [OffsetOverflowBadly, NoMessageInQueue, NoMatchedLogicQueue] {
            assert!(status.sends_back(3), "{status:?}");
        }
        for status in [OffsetTooSmall, OffsetOverflowOne, Found, NoMatchedMessage] {
            assert!(!status.sends_back(3), "{status:?}");
        }
        assert!(!NoMessageInQueue.sends_back(0) && !NoMatchedLogicQueue.sends_back(-1));
    }

    #[test]
    fn codes_are_rocketmqs() {
        use ResponseCode as Code;
        assert_eq!(Status::Found.code(3), Code::Success);
        assert_eq!(Status::NoMatchedMessage.code(3), Code::PullRetryImmediately);
        assert_eq!(Status::OffsetOverflowOne.code(3), Code::PullNotFound);
        assert_eq!(Status::OffsetOverflowBadly.code(3), Code::PullOffsetMoved);
        assert_eq!(Status::OffsetTooSmall.code(3), Code::PullOffsetMoved);
        for status in [Status::NoMessageInQueue, Status::NoMatchedLogicQueue] {
            assert_eq!(status.code(0), Code::PullNotFound);
            assert_eq!(status.code(3), Code::PullOffsetMoved);
        }
    }

    /// Offers messages of 100 bytes from offset 0 on, with tag hashes 0, 1, 2, 0, 1, 2 …
    fn choose(filter: &Filter, messages: usize, bytes: usize) -> (Vec<u64>, u64) {
        let mut choice = Choice::new(filter, PullLimits { bytes, messages }, QueueOffset(0));
        for at in 0..20 {
            let tag_hash = i64::try_from(at % 3).expect("small");
            let unit = Unit { offset: PhysicalOffset(at * 1000), size: 100, tag_hash, crc: 0 };
            if choice.offer(QueueOffset(at), unit).is_break() {
                break;
            }
        }
        assert_eq!(choice.bytes(), choice.units.len() * 100);
        let (units, next) = choice.into_units();
        (units.iter().map(|unit| unit.offset.0 / 1000).collect(), next.0)
    }

    #[test]
    fn what_a_pull_chooses() {
        let tag = Filter::Tags(HashSet::from([1]));
        assert_eq!(choose(&Filter::All, 3, 10_000), (vec![0, 1, 2], 3));
        assert_eq!(choose(&Filter::All, 32, 250), (vec![0, 1], 2));
        assert_eq!(choose(&Filter::All, 32, 1), (vec![0], 1), "one message at least");
        assert_eq!(choose(&tag, 2, 10_000), (vec![1, 4], 5));
        assert_eq!(choose(&tag, 32, 10_000), (vec![1, 4, 7, 10, 13, 16, 19], 20));
        let none = Filter::Tags(HashSet::from([9]));
        assert_eq!(choose(&none, 32, 10_000), (vec![], 20));
    }

    #[test]
    fn the_smaller_limit_counts() {
        let broker = PullLimits { bytes: 1000, messages: 32 };
        assert_eq!(limits(broker, 8, Some(500)), PullLimits { bytes: 500, messages: 8 });
        assert_eq!(limits(broker, 64, Some(i32::MAX)), broker);
        assert_eq!(limits(broker, 64, None), broker);
        assert_eq!(limits(broker, 0, Some(-1)), PullLimits { bytes: 1, messages: 1 });
    }
}
