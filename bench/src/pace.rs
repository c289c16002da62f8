//! When each message of an open loop is due.

use std::time::Duration;

use runtime::Instant;

const NANOS: u128 = 1_000_000_000;

/// The times of one lane's messages: all lanes together have a message due every `1 / rate` seconds, and take turns.
/// Nothing that happens moves these times; so a latency that is counted from them holds the time that a message had to wait
/// because the ones before it were slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    begin: Instant,
    rate: u128,
    lanes: u128,
    lane: u128,
}

impl Pace {
    /// The pace of lane `lane` of `lanes` when all send `rate` messages a second from `begin` on.
    #[must_use]
    pub fn new(begin: Instant, rate: u64, lanes: usize, lane: usize) -> Pace {
        assert!(rate > 0 && lane < lanes, "a lane of a pace has messages");
        let wide = |n: usize| u128::try_from(n).expect("a small number");
        Pace { begin, rate: rate.into(), lanes: wide(lanes), lane: wide(lane) }
    }

    /// When message `number` of the lane is due, from 0.
    #[must_use]
    pub fn due(&self, number: u64) -> Instant {
        let turn = u128::from(number) * self.lanes + self.lane;
        let nanos = turn * NANOS / self.rate;
        self.begin + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
    }

    /// How many messages of the lane are due at `at` or were before.
    #[must_use]
    pub fn due_until(&self, at: Instant) -> u64 {
        let since = at.saturating_since(self.begin).as_nanos();
        // The last turn whose time, cut to nanoseconds, is not after `since`.
        let turns = ((since + 1) * self.rate).div_ceil(NANOS);
        let of_lane = turns.saturating_sub(self.lane).div_ceil(self.lanes);
        u64::try_from(of_lane).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(begin: Instant, nanos: u64) -> Instant {
        begin + Duration::from_nanos(nanos)
    }

    #[test]
    fn lanes_take_turns_at_even_distances() {
        let begin = runtime::now();
        let lane = |lane| Pace::new(begin, 1000, 4, lane);
        assert_eq!(lane(0).due(0), begin);
        assert_eq!(lane(3).due(0), at(begin, 3_000_000));
        assert_eq!(lane(1).due(2), at(begin, 9_000_000));
    }

    #[test]
    fn the_mean_distance_is_exact_where_it_is_no_whole_number_of_nanoseconds() {
        let begin = runtime::now();
        let pace = Pace::new(begin, 3, 1, 0);
        assert_eq!(pace.due(1), at(begin, 333_333_333));
        assert_eq!(pace.due(3_000_000), at(begin, 1_000_000 * 1_000_000_000));
    }

    #[test]
    fn as_many_are_due_as_have_a_time_that_is_over() {
        let begin = runtime::now();
        for (rate, lanes, lane) in
            [(1000, 1, 0), (7, 3, 2), (3, 2, 1), (9_999_999, 5, 4), (1, 1, 0)]
        {
            let pace = Pace::new(begin, rate, lanes, lane);
            for number in [0, 1, 2, 3, 1000, 12_345] {
                let due = pace.due(number);
                assert_eq!(pace.due_until(due), number + 1, "{rate} {lanes} {lane} {number}");
                if due > begin {
                    let before = begin + ((due - begin) - Duration::from_nanos(1));
                    assert_eq!(pace.due_until(before), number, "{rate} {lanes} {lane} {number}");
                }
            }
        }
    }
}
