//! Keys about Raft groups. Apache's are spelled as Apache spells them.

use ::config::Key;

use super::reasons::{ALWAYS_BATCHED, LOG_IS_THE_COMMITLOG};
use crate::limits::{LEAST_CATCH_UP, MOST_CATCH_UP};

/// The keys, in the order of the documentation page.
pub(super) const KEYS: [Key; 11] = [
    Key::bool(
        "enableDLegerCommitLog",
        "false",
        "Raft replication: each shard is a member of a group, whose leader is elected. brokerId and brokerRole mean nothing then",
    )
    .restart(),
    Key::text(
        "dLegerGroup",
        "",
        "Name of the group of shard 0; that of shard k is `dLegerGroup-k`. Empty: brokerName",
    )
    .restart(),
    Key::list(
        "dLegerPeers",
        "",
        ';',
        "Members of the group, this one among them, 1 to 9, `label-host:port` each, such as `n0-10.0.0.1:40911`; an IPv6 address stands in brackets. The port is that of shard 0, shard k has port + k × shardPortStride. All members have the same list, `shards` and `shardPortStride`",
    )
    .restart(),
    Key::text("dLegerSelfId", "", "Label of this member in dLegerPeers").restart(),
    Key::list(
        "preferredLeaderId",
        "",
        ';',
        "Label of the member that should lead. With several labels they take turns over the shards. Empty: all members do, in the order of their labels",
    )
    .restart(),
    Key::bool("enableBatchPush", "false", "Raft entries travel in batches")
        .no_effect(ALWAYS_BATCHED),
    Key::text("storePathDLedgerCommitLog", "", "Directory of the Raft log")
        .no_effect(LOG_IS_THE_COMMITLOG),
    Key::int(
        "raftHeartbeatMillis",
        "30",
        5,
        5000,
        "Milliseconds between two heartbeats of a leader. More than a flush takes 999 times in 1000, because a member flushes before it answers",
    )
    .restart()
    .ours(),
    Key::int(
        "raftElectionMinMillis",
        "100",
        20,
        60_000,
        "Milliseconds without a heartbeat after which a member may stand for election: at least three heartbeats, and ten times what a flush takes 99 times in 100",
    )
    .restart()
    .ours(),
    Key::int(
        "raftElectionMaxMillis",
        "180",
        25,
        120_000,
        "The most milliseconds of that; each time a member draws a number between the two. At least a heartbeat more than raftElectionMinMillis",
    )
    .restart()
    .ours(),
    Key::size(
        "raftCatchUpRate",
        "64MiB",
        LEAST_CATCH_UP,
        MOST_CATCH_UP,
        "Bytes a second that a leader gives to learners, members that catch up and do not vote yet, all of its group together. What the log grows by comes out of it, too. `mqadmin addLearner --rate` changes it while the leader runs",
    )
    .restart()
    .ours(),
];
