//! When the beginning of the log goes. No state, no I/O.
//!
//! RocketMQ 5.5.0, class DefaultMessageStore.CleanCommitLogService: in the hours of `deleteWhen`, or when the disk is
//! fuller than `diskMaxUsedSpaceRatio`, segments go whose newest message is older than `fileReservedTime`; when it is
//! fuller than `diskSpaceCleanForciblyRatio`, the oldest segments go whatever their age, if `cleanFileForciblyEnable`
//! allows it. The newest segment never goes. Other than there, of what is not old enough no more goes than it takes
//! to come back to `diskSpaceCleanForciblyRatio`.

use std::fmt;
use std::time::Duration;

use model::{PhysicalOffset, UnixMillis};
use runtime::fs::Space;
use storage::SegmentTimes;

use crate::config::Retention;
use crate::limits::MAX_SEGMENTS_A_TRIM;

/// What there is to decide by.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The time.
    pub now: UnixMillis,
    /// The hour of the day, 0 to 23, local time.
    pub hour: u8,
    /// The file system that the log lies on.
    pub space: Space,
    /// The log has no room for what it needs next, whatever the file system says.
    pub full: bool,
    /// Bytes of what was given up before and is neither used again nor deleted yet: the file system counts them as in
    /// use, and they are still to come back. This shard's own.
    pub freeing: u64,
    /// Bytes of a file that the log will need next and that there is none for yet: so much of what is given up does not come
    /// back. This shard's own.
    pub missing: u64,
    /// Shards whose logs lie on that file system, this one included: each does its part.
    pub sharers: u32,
    /// The segments, oldest first.
    pub segments: &'a [SegmentTimes],
}

/// Why segments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// They are older than `fileReservedTime`, and it is an hour of `deleteWhen`.
    Hour(u8),
    /// They are older than `fileReservedTime`, and the disk is fuller than `diskMaxUsedSpaceRatio`, percent.
    Early(u8),
    /// They are younger, and the disk is fuller than `diskSpaceCleanForciblyRatio`, percent.
    Forced(u8),
    /// They are older than `fileReservedTime`, and the log has no room for what it needs next.
    NoRoom,
    /// They are younger, and the log has no room for what it needs next.
    ForcedNoRoom,
}

impl Why {
    /// Whether what goes is younger than `fileReservedTime`.
    pub fn is_forced(self) -> bool {
        matches!(self, Self::Forced(_) | Self::ForcedNoRoom)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hour(hour) => {
                write!(f, "older than fileReservedTime, and it is {hour:02} h (deleteWhen)")
            }
            Self::Early(used) => write!(
                f,
                "older than fileReservedTime, and {used} % of the disk are in use (diskMaxUsedSpaceRatio)"
            ),
            Self::Forced(used) => write!(
                f,
                "younger than fileReservedTime, but {used} % of the disk are in use (diskSpaceCleanForciblyRatio)"
            ),
            Self::NoRoom => f.write_str(
                "older than fileReservedTime, and the disk has no room for what the log needs next",
            ),
            Self::ForcedNoRoom => f.write_str(
                "younger than fileReservedTime, but the disk has no room for what the log needs next \
                 (cleanFileForciblyEnable)",
            ),
        }
    }
}

/// What goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// So many of the oldest segments.
    pub segments: usize,
    /// Why.
    pub why: Why,
}

impl Trim {
    /// Where the log begins afterwards.
    #[must_use]
    pub fn to(&self, segments: &[SegmentTimes]) -> PhysicalOffset {
        segments[self.segments - 1].to
    }
}

/// What goes now, at most [`MAX_SEGMENTS_A_TRIM`] segments.
#[must_use]
pub fn decide(rules: &Retention, sight: &Sight<'_>) -> Option<Trim> {
    let (_newest, old) = sight.segments.split_last()?;
    let used = sight.space.used_percent();
    let reserved = u64::try_from(rules.reserved.as_millis()).unwrap_or(u64::MAX);
    // What has no message holds nothing for anybody.
    let expired = |segment: &&SegmentTimes| {
        segment.times.is_none_or(|(_, newest)| newest.0.saturating_add(reserved) <= sight.now.0)
    };
    let expired = old.iter().take_while(expired).count();
    let due = match () {
        () if rules.hours.contains(&sight.hour) => Some(Why::Hour(sight.hour)),
        () if used > rules.early_percent => Some(Why::Early(used)),
        () if sight.full => Some(Why::NoRoom),
        () => None,
    };
    let trim = match (due, forced(rules, sight)) {
        (Some(why), _) if expired > 0 => Trim { segments: expired, why },
        (_, Some(forced)) => Trim { segments: forced.segments.min(old.len()), ..forced },
        _ => return None,
    };
    let segments = trim.segments.min(MAX_SEGMENTS_A_TRIM);
    (segments > 0).then_some(Trim { segments, ..trim })
}

/// What goes whatever its age.
fn forced(rules: &Retention, sight: &Sight<'_>) -> Option<Trim> {
    if !rules.forcibly {
        return None;
    }
    match needed(rules, sight) {
        // Until the file of the last trim is there for another use, one more would give up messages for nothing.
        0 => (sight.full && sight.freeing == 0)
            .then_some(Trim { segments: 1, why: Why::ForcedNoRoom }),
        segments => Some(Trim { segments, why: Why::Forced(sight.space.used_percent()) }),
    }
}

/// Segments that must go so that no more of the disk is in use than `diskSpaceCleanForciblyRatio` says. The shards on
/// one file system look at it in the same moments: each gives up its share of what is too much, less what is still to
/// come back of its own.
fn needed(rules: &Retention, sight: &Sight<'_>) -> usize {
    let (used, entire) = (u128::from(sight.space.used()), u128::from(sight.space.entire()));
    if entire == 0 {
        return 0; // the file system has no size to tell
    }
    let allowed = entire * u128::from(rules.forced_percent) / 100;
    assert!(sight.sharers > 0, "the shard itself lies there");
    let wanted = used + u128::from(sight.missing);
    let share = wanted.saturating_sub(allowed).div_ceil(u128::from(sight.sharers));
    let mut over = share.saturating_sub(u128::from(sight.freeing));
    let going = sight.segments.iter().take_while(|segment| {
        let wanted = over > 0;
        over = over.saturating_sub(u128::from(segment.to.since(segment.from)));
        wanted
    });
    going.count()
}

/// What retention is in force, for people.
#[must_use]
pub fn in_words(rules: &Retention) -> String {
    let hours: Vec<_> = rules.hours.iter().map(|hour| format!("{hour:02}")).collect();
    let forced = if rules.forcibly {
        format!("younger ones above {} %", rules.forced_percent)
    } else {
        "never younger ones".to_owned()
    };
    format!(
        "messages older than {} h go at {} h or when more than {} % of the disk are in use, {forced}; above {} % sends are \
         refused",
        rules.reserved.as_secs() / HOUR.as_secs(),
        hours.join(" and "),
        rules.early_percent,
        rules.full_percent,
    )
}

const HOUR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const DAY: u64 = 24 * 3600 * 1000;
    const NOW: u64 = 100 * DAY;

    fn rules() -> Retention {
        Retention {
            reserved: Duration::from_secs(3 * 24 * 3600),
            hours: vec![4, 16],
            early_percent: 75,
            forced_percent: 85,
            full_percent: 90,
            forcibly: true,
        }
    }

    /// Segments of 1 GiB whose newest messages are so many days old.
    fn segments(ages: &[u64]) -> Vec<SegmentTimes> {
        let segment = |(number, age): (u64, &u64)| SegmentTimes {
            from: PhysicalOffset(number * GIB),
            to: PhysicalOffset((number + 1) * GIB),
            times: Some((UnixMillis(NOW - (age + 1) * DAY), UnixMillis(NOW - age * DAY))),
        };
        (0..).zip(ages).map(segment).collect()
    }

    fn decided(rules: &Retention, hour: u8, used: u64, ages: &[u64]) -> Option<Trim> {
        let free = (100 - used) * GIB;
        let space = Space { total: 100 * GIB, free, available: free };
        let segments = segments(ages);
        decide(rules, &sight(hour, space, &segments))
    }

    /// One shard on its disk, with nothing special.
    fn sight(hour: u8, space: Space, segments: &[SegmentTimes]) -> Sight<'_> {
        let now = UnixMillis(NOW);
        Sight { now, hour, space, full: false, freeing: 0, missing: 0, sharers: 1, segments }
    }

    #[test]
    fn what_is_old_enough_goes_in_its_hour_or_when_space_is_short() {
        let rules = rules();
        let ages = [9, 4, 3, 2, 0];
        assert_eq!(decided(&rules, 5, 75, &ages), None);
        let (hour, early) = (Why::Hour(4), Why::Early(76));
        assert_eq!(decided(&rules, 4, 10, &ages), Some(Trim { segments: 3, why: hour }));
        assert_eq!(decided(&rules, 5, 76, &ages), Some(Trim { segments: 3, why: early }));
        assert_eq!(decided(&rules, 16, 10, &[2, 1, 0]), None, "nothing is old enough");
    }

    #[test]
    fn the_newest_segment_never_goes() {
        for ages in [&[][..], &[90]] {
            assert_eq!(decided(&rules(), 4, 99, ages), None);
        }
        let two = decided(&rules(), 4, 99, &[90, 90]);
        assert_eq!(two, Some(Trim { segments: 1, why: Why::Hour(4) }));
        let forced = decided(&rules(), 5, 99, &[1, 1, 0]);
        assert_eq!(forced, Some(Trim { segments: 2, why: Why::Forced(99) }));
    }

    #[test]
    fn what_is_not_old_enough_goes_only_by_force_and_only_as_much_as_it_takes() {
        let mut rules = rules();
        let ages = [2, 2, 2, 2, 2, 2, 1, 0];
        assert_eq!(decided(&rules, 4, 85, &ages), None);
        let forced = decided(&rules, 4, 87, &ages);
        assert_eq!(forced, Some(Trim { segments: 2, why: Why::Forced(87) }));
        rules.forcibly = false;
        assert_eq!(decided(&rules, 4, 99, &ages), None);
    }

    #[test]
    fn a_round_is_small() {
        let trim = decided(&rules(), 4, 99, &[9; 30]).expect("all are old");
        assert_eq!(trim.segments, MAX_SEGMENTS_A_TRIM);
        let trim = decided(&rules(), 5, 99, &[1; 30]).expect("space is short");
        assert_eq!(trim, Trim { segments: MAX_SEGMENTS_A_TRIM, why: Why::Forced(99) });
        assert_eq!(trim.to(&segments(&[1; 30])), PhysicalOffset(10 * GIB));
    }

    #[test]
    fn a_log_without_room_makes_room_one_segment_at_a_time() {
        let space = Space { total: 100 * GIB, free: 50 * GIB, available: 50 * GIB };
        let young = segments(&[1, 1, 0]);
        let full = Sight { full: true, ..sight(5, space, &young) };
        assert_eq!(decide(&rules(), &full), Some(Trim { segments: 1, why: Why::ForcedNoRoom }));
        let freeing = Sight { freeing: GIB, ..full };
        assert_eq!(decide(&rules(), &freeing), None, "the last one's space is still to come back");
        assert_eq!(decide(&Retention { forcibly: false, ..rules() }, &full), None);
        let old = segments(&[9, 9, 0]);
        let full = Sight { segments: &old, ..full };
        assert_eq!(decide(&rules(), &full), Some(Trim { segments: 2, why: Why::NoRoom }));
    }

    #[test]
    fn shards_on_one_disk_share_what_is_too_much() {
        let segments = segments(&[1; 20]);
        let space = Space { total: 100 * GIB, free: 5 * GIB, available: 5 * GIB };
        let gone = |sharers| {
            let trim = decide(&rules(), &Sight { sharers, ..sight(5, space, &segments) });
            trim.map(|trim| trim.segments)
        };
        // 10 GiB too much, in segments of 1 GiB.
        assert_eq!((gone(1), gone(2), gone(4), gone(64)), (Some(10), Some(5), Some(3), Some(1)));
    }

    #[test]
    fn what_is_still_to_come_back_is_not_given_up_again() {
        let segments = segments(&[1; 20]);
        let space = Space { total: 100 * GIB, free: 5 * GIB, available: 5 * GIB };
        let gone = |freeing, sharers| {
            let trim = decide(&rules(), &Sight { freeing, sharers, ..sight(5, space, &segments) });
            trim.map(|trim| trim.segments)
        };
        // 10 GiB too much, in segments of 1 GiB.
        assert_eq!(
            (gone(GIB, 1), gone(3 * GIB + 1, 1), gone(9 * GIB, 1)),
            (Some(9), Some(7), Some(1))
        );
        assert_eq!((gone(10 * GIB, 1), gone(u64::MAX, 1)), (None, None));
        assert_eq!((gone(2 * GIB, 2), gone(5 * GIB, 2)), (Some(3), None));
    }

    #[test]
    fn the_file_that_the_log_needs_next_is_made_of_what_goes() {
        let segments = segments(&[1; 20]);
        let gone = |used: u64, missing| {
            let free = (100 - used) * GIB;
            let space = Space { total: 100 * GIB, free, available: free };
            let trim = decide(&rules(), &Sight { missing, ..sight(5, space, &segments) });
            trim.map(|trim| trim.segments)
        };
        assert_eq!((gone(84, GIB), gone(85, GIB), gone(85, 0)), (None, Some(1), None));
        let unknown = sight(5, Space { total: 0, free: 0, available: 0 }, &segments);
        assert_eq!(decide(&rules(), &Sight { missing: GIB, ..unknown }), None);
        assert_eq!((gone(87, 0), gone(87, GIB)), (Some(2), Some(3)));
    }

    #[test]
    fn a_segment_without_messages_holds_nothing() {
        let mut segments = segments(&[1, 9, 0]);
        segments[0].times = None;
        let space = Space { total: 1, free: 1, available: 1 };
        let sight = sight(4, space, &segments);
        assert_eq!(decide(&rules(), &sight), Some(Trim { segments: 2, why: Why::Hour(4) }));
    }

    #[test]
    fn words_say_what_is_in_force() {
        let words = in_words(&rules());
        assert_eq!(
            words,
            "messages older than 72 h go at 04 and 16 h or when more than 75 % of the disk are in use, younger ones above \
             85 %; above 90 % sends are refused"
        );
    }
}
