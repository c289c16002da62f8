//! Every limit of a shard that is not a configuration key, by name.

use std::time::Duration;

/// The most topics of a shard.
pub const MAX_TOPICS: usize = 100_000;
/// Of the limit of open files a quarter, and at least so many, is kept for what is no client's connection: segments,
/// files of the index, rings. Without them the log could not go on.
const MIN_OTHER_FILES: u64 = 128;

/// The most connections of clients that a shard accepts, where the process may have so many files open
/// (`None`: no limit) and has so many shards. `most` is what it takes where files are no matter. At least one.
#[must_use]
pub fn max_connections(open_files: Option<u64>, shards: u32, most: usize) -> usize {
    let Some(open_files) = open_files else { return most };
    let other = (open_files / 4).max(MIN_OTHER_FILES);
    let each = open_files.saturating_sub(other) / u64::from(shards.max(1));
    usize::try_from(each).unwrap_or(most).clamp(1, most)
}

/// The most queues of one topic.
pub const MAX_QUEUES: u32 = 65_536;
/// The most queues of a shard, all topics together. Each topic counts with the most queues it ever had: those stay
/// in the index until it is deleted.
pub const MAX_QUEUES_TOTAL: u64 = 1_000_000;
/// The most consumer groups of a shard.
pub const MAX_GROUPS: usize = 100_000;
/// The most messages of one batch send.
pub const MAX_BATCH_MESSAGES: usize = 16_384;

/// The most index entries that one pull looks at when its filter matches few; it then answers
/// "retry immediately" with the offset it came to.
pub const MAX_SCANNED: usize = 16_384;
/// The most index entries that a pull asks of an index file at a time.
pub const SCAN_STEP: usize = 1024;
/// The most messages of one pull, whatever the client asks for.
pub const MAX_PULL_MESSAGES: usize = 1024;
/// The most bytes of one pull beyond its first message, whatever the client asks for.
pub const MAX_PULL_BYTES: usize = 8 * 1024 * 1024;

/// The most bytes of messages in the answer to a query by key; the newest is in it however large it is.
pub const MAX_QUERY_BYTES: usize = 8 * 1024 * 1024;

/// The most pulls that a shard holds until a message arrives; a further one is answered "busy", which lets a client wait
/// before it asks again. Enough for a consumer of 100,000 queues.
pub const MAX_HELD_PULLS: usize = 131_072;
/// The most pulls from behind the end of a queue that wait until a leader is certain of the end; a further one is treated as at a
/// member that follows.
pub const MAX_END_QUESTIONS: usize = 4096;
/// The longest time that a pull is held, whatever the client asks for.
pub const MAX_SUSPEND: Duration = Duration::from_secs(60);
/// Bytes that a consumer may leave untaken before its next pulls are put off.
pub const SLOW_CONSUMER: usize = 8 * 1024 * 1024;
/// How often held pulls are looked through for those whose time is up.
pub const HOLD_TICK: Duration = Duration::from_millis(100);

/// Reads from the disk that run at a time in a shard.
pub const MAX_DISK_READS: usize = 16;
/// Reads from the disk that wait for those; a further one is answered "busy".
pub const MAX_WAITING_DISK_READS: usize = 4096;

/// Time between two looks at the age of the log and the fullness of its disk (RocketMQ's `cleanResourceInterval`).
pub const CLEAN_EVERY: Duration = Duration::from_secs(10);
/// Time between two looks at whether the log has run out of room, which costs nothing.
pub const CLEAN_LOOK: Duration = Duration::from_millis(500);
/// The most segments that go at a time (RocketMQ 5.5.0: `deleteFileBatchMax`).
pub const MAX_SEGMENTS_A_TRIM: usize = 10;

/// Log lines a second about reads from the log that failed: consumers ask again and again.
pub const READ_FAILURE_LINES: u32 = 1;

/// Time between two log lines of one kind about what clients do.
pub const NOTICE_EVERY: Duration = Duration::from_secs(10);
/// Bytes of a name from a client that such a line shows.
pub const MAX_NOTICE_TEXT: usize = 255;
/// Time between two log lines about how far recovery has come.
pub const RECOVERY_LINE_EVERY: Duration = Duration::from_secs(5);

/// A consumer offset that nobody waits for goes to the log within this time.
pub const OFFSETS_EVERY: Duration = Duration::from_secs(1);
/// The most offsets in one command to the log.
pub const MAX_OFFSETS_A_COMMAND: usize = 4096;
/// The longest command of offsets, bytes; a store takes commands of 1 MiB whatever its configuration.
pub const MAX_OFFSETS_COMMAND: usize = 256 * 1024;
/// The most consumer offsets (group × topic × queue) of a shard.
pub const MAX_OFFSETS: usize = 10_000_000;
/// The most consumer offsets (group × topic × queue) that wait for the log; further ones are refused.
pub const MAX_PENDING_OFFSETS: usize = 262_144;

/// The most questions for consumer offsets that are not answered yet; a further one is left without an answer.
pub const MAX_OFFSET_QUESTIONS: usize = 65_536;
/// A question for a consumer offset that cannot be answered is held for so long, and then left without an answer. Less than clients
/// wait: those of Java (4.9.8, 5.x) for 5 seconds, those of Go for 3.
pub const OFFSET_PATIENCE: Duration = Duration::from_millis(2_500);

/// A queue whose first message lies at most this many bytes of log back is young: a group that is new
/// to it starts from that message.
pub const YOUNG_QUEUE: u64 = 4 * 1024 * 1024 * 1024;

/// Messages between two shards of a broker that wait in a mailbox.
pub const MAILBOX: usize = 1024;

/// The most members of a Raft group. Each further pair outlives one more failure and makes every send wait for one more.
pub const MAX_MEMBERS: usize = 9;
/// The longest label of a member, bytes.
pub const MAX_LABEL: usize = 255;
/// The most requests that a member which does not lead has handed on to the leader, or is about to, and that are not
/// answered; a further one is answered "busy".
pub const MAX_FORWARDS: usize = 4096;
/// The most bytes of those, but for one that alone is larger.
pub const MAX_FORWARD_BYTES: usize = 16 * 1024 * 1024;
/// How long the leader's answer to such a request is waited for: clients wait 3 seconds for the answer to a send, all that they
/// try included, if nobody says otherwise.
pub const FORWARD_WAIT: Duration = Duration::from_secs(2);
/// And how long once somebody else leads: a leader that is there says at once what has become of what it had.
pub const FORWARD_GRACE: Duration = Duration::from_millis(200);
/// The fewest bytes a second that learners of a group get (`raftCatchUpRate`): with less they never catch up.
pub const LEAST_CATCH_UP: u64 = 64 * 1024;
/// And the most, which no disk has.
pub const MOST_CATCH_UP: u64 = 16 << 30;
const _: () = assert!(LEAST_CATCH_UP > 0 && LEAST_CATCH_UP < MOST_CATCH_UP);
/// How long a start waits for the address of a member's host.
pub const RESOLVE: Duration = Duration::from_secs(10);

/// The longest configuration file, bytes.
pub const MAX_CONFIG_FILE: usize = 1024 * 1024;

/// The most queue locks of a shard.
pub const MAX_LOCKS: usize = 1_000_000;
/// The most queues in one command to the log that locks them: with their topics far less than the 1 MiB that a store takes.
pub const MAX_LOCKS_A_COMMAND: usize = 1024;
/// The most groups that one client is in, consuming or producing.
pub const MAX_GROUPS_A_CLIENT: usize = 4096;
/// The most topics that one client subscribes to in one group.
pub const MAX_SUBSCRIPTIONS: usize = 4096;
/// The most memberships of clients in groups of a shard.
pub const MAX_MEMBERSHIPS: usize = 500_000;
/// The longest client id, bytes. RocketMQ has no limit; its own are about 40 long.
pub const MAX_CLIENT_ID: usize = 1024;
/// The longest name of a producer group, or of a group that locks queues, bytes (RocketMQ's clients: 255).
pub const MAX_GROUP_NAME: usize = 255;
/// The longest subscription to one topic that a heartbeat may bring, bytes.
pub const MAX_HEARTBEAT_TEXT: usize = 64 * 1024;
/// Changes of a group within this time are told to its members together.
pub const NOTIFY_EVERY: Duration = Duration::from_millis(100);
/// How often clients without a heartbeat and locks that have ended are looked for.
pub const EXPIRY_TICK: Duration = Duration::from_secs(10);

/// Topics that wait to be told to the sibling shards.
pub const MAX_ANNOUNCEMENTS: usize = 16_384;

/// Changed topics that wait to be told to a NameServer one by one; with more it is told all topics.
pub const MAX_UNTOLD_TOPICS: usize = 4096;

/// How long a graceful stop waits for the sends under way.
pub const DRAIN: Duration = Duration::from_secs(5);

const _: () = assert!(MAX_QUEUES as u64 <= MAX_QUEUES_TOTAL);
const _: () = assert!(MAX_TOPICS as u64 <= MAX_QUEUES_TOTAL);
const _: () = assert!(FORWARD_GRACE.as_millis() < FORWARD_WAIT.as_millis());
const _: () = assert!(MAX_PULL_BYTES < remoting::MAX_FRAME);
const _: () = assert!(MAX_QUERY_BYTES < remoting::MAX_FRAME);
const _: () = assert!(MAX_HELD_PULLS > 100_000);
const _: () = assert!(HOLD_TICK.as_millis() < MAX_SUSPEND.as_millis());

#[cfg(test)]
mod tests {
    use super::{MAX_FORWARD_BYTES, MAX_FORWARDS, max_connections};

    #[test]
    fn a_leader_takes_as_much_as_a_member_hands_on() {
        let limits = raft::net::Limits::new(1024 * 1024);
        assert!(MAX_FORWARDS <= limits.forwards && MAX_FORWARD_BYTES <= limits.forward_bytes);
    }

    #[test]
    fn connections_leave_files_for_the_log() {
        let of = |open_files, shards| max_connections(open_files, shards, 100_000);
        assert_eq!(of(None, 8), 100_000);
        assert_eq!(of(Some(1 << 20), 4), 100_000);
        assert_eq!(of(Some(4096), 4), 768);
        assert_eq!(of(Some(300), 1), 172);
        assert_eq!(of(Some(100), 2), 1);
    }
}
