//! Keys about what is kept, where, and how safely.

use ::config::Key;

use super::reasons::{ALWAYS_INDEXED, NO_COMPACTION, NO_CONTROLLER, NO_LITE, NO_SLAVES, NO_TIMERS};

/// The keys, in the order of the documentation page.
pub(super) const KEYS: [Key; 63] = [
    // Places and sizes.
    Key::text(
        "storePathRootDir",
        "~/store",
        "Directory of the store; with several shards, shard k has `shard-k` below it. `~` is the home directory",
    )
    .restart(),
    Key::text(
        "storePathCommitLog",
        "",
        "Directory of the log, one only; with several shards, shard k has `shard-k` below it. Empty: `log` in the store directory of the shard",
    )
    .restart(),
    Key::size(
        "mappedFileSizeCommitLog",
        "1GiB",
        16 << 20,
        2 << 30,
        "Size of a segment of the log, a multiple of 4096 with room for four of the largest requests: a little more than 8 × maxMessageSize + 256 KiB. Fixed in the store at first start",
    )
    .restart(),
    Key::size(
        "maxMessageSize",
        "4MiB",
        1024,
        12 << 20,
        "Largest message body",
    )
    .restart(),
    Key::size(
        "tailBudget",
        "32MiB",
        4 << 20,
        16 << 30,
        "Memory in which a shard keeps the end of its log for consumers that are not behind",
    )
    .restart()
    .ours(),
    Key::size(
        "maxQueuedBytes",
        "64MiB",
        16 << 20,
        16 << 30,
        "Bytes of messages that may wait for the disk in a shard; beyond it sends are answered with code 2",
    )
    .restart()
    .ours(),
    // How the log meets the device.
    Key::text(
        "ioProfile",
        "",
        "I/O profile that the broker loads below all other settings: `latency`, `throughput`, `dev`, or the path of a file that `mqtune iotune` wrote; a relative one is looked for beside the configuration file that names it. Empty: none",
    )
    .restart()
    .ours(),
    Key::one_of(
        "flushMethod",
        "FDATASYNC",
        &["FDATASYNC", "O_DSYNC"],
        "How a write of the log is made durable: FDATASYNC writes and then flushes, with O_DSYNC each write is durable by itself, which is much slower where all cores are busy",
    )
    .restart()
    .ours(),
    Key::size(
        "maxBatchBytes",
        "1MiB",
        64 << 10,
        8 << 20,
        "Most bytes of messages in one write of the log, unless a single request is larger",
    )
    .restart()
    .ours(),
    Key::one_of(
        "writesInFlight",
        "1",
        &["1"],
        "Writes of the log that may be under way at a time in a shard. Only 1 in this build",
    )
    .restart()
    .ours(),
    Key::int(
        "busyPollMicros",
        "0",
        0,
        1000,
        "Microseconds that a shard with nothing to do looks for work before it sleeps; costs CPU while it is idle",
    )
    .restart()
    .ours(),
    Key::size(
        "blockCacheSize",
        "64MiB",
        4 << 20,
        16 << 30,
        "Memory in which a shard keeps what it read of old messages",
    )
    .restart()
    .ours(),
    // When an answer is given.
    Key::one_of(
        "flushDiskType",
        "ASYNC_FLUSH",
        &["ASYNC_FLUSH", "SYNC_FLUSH"],
        "SYNC_FLUSH answers a send when the message is durable on the disk. ASYNC_FLUSH answers when it is written: it survives the death of the process, and a power cut can take what was not flushed yet. In a Raft group it says nothing: members flush before they acknowledge, and a send is answered when a majority has",
    )
    .restart(),
    Key::int(
        "flushIntervalCommitLog",
        "500",
        1,
        60_000,
        "Milliseconds between two flushes with ASYNC_FLUSH: what a power cut can take at most",
    )
    .restart(),
    Key::one_of(
        "brokerRole",
        "ASYNC_MASTER",
        &["ASYNC_MASTER", "SYNC_MASTER", "SLAVE"],
        "Only ASYNC_MASTER in this build; the others ask for a second copy and are refused, unless a Raft group elects its leader",
    )
    .restart(),
    // Pulls.
    Key::size(
        "maxTransferBytesOnMessageInMemory",
        "262144",
        1024,
        128 << 20,
        "Bytes of messages in an answer to a pull from the end of the log",
    )
    .restart(),
    Key::int(
        "maxTransferCountOnMessageInMemory",
        "32",
        1,
        100_000,
        "Messages in such an answer",
    )
    .restart(),
    Key::size(
        "maxTransferBytesOnMessageInDisk",
        "262144",
        1024,
        128 << 20,
        "Bytes of messages in an answer to a pull that reads the disk. Apache's default is 65536, for what lies further back than 40 % of the memory; here it is all that lies beyond `tailBudget`",
    )
    .restart(),
    Key::int(
        "maxTransferCountOnMessageInDisk",
        "32",
        1,
        100_000,
        "Messages in such an answer",
    )
    .restart(),
    // Retention.
    Key::list(
        "deleteWhen",
        "04",
        ';',
        "Hours of the day, 00 to 23 in local time, several separated by `;`, in which segments older than fileReservedTime go",
    )
    .restart(),
    Key::int("fileReservedTime", "72", 1, 1_000_000, "Hours for which messages are kept").restart(),
    Key::int(
        "diskMaxUsedSpaceRatio",
        "75",
        10,
        95,
        "Percent of the disk above which segments older than fileReservedTime go at any hour",
    )
    .restart(),
    Key::int(
        "diskSpaceCleanForciblyRatio",
        "85",
        10,
        100,
        "Percent of the disk above which the oldest segments go even if they are not old enough",
    )
    .restart(),
    Key::int(
        "diskSpaceWarningLevelRatio",
        "90",
        10,
        100,
        "Percent of the disk above which sends are refused",
    )
    .restart(),
    Key::bool(
        "cleanFileForciblyEnable",
        "true",
        "Whether segments go before their time when space runs out",
    )
    .restart(),
    // Replication other than in Raft groups: what asks for a second copy is refused in `demands`, the rest has no effect.
    Key::bool("enableControllerMode", "false", "A controller elects the master. Refused in this build").restart(),
    Key::list("controllerAddr", "", ';', "Addresses of the controllers").no_effect(NO_CONTROLLER),
    Key::bool(
        "allAckInSyncStateSet",
        "false",
        "A send is answered when every replica in sync has it. Refused in this build",
    )
    .restart(),
    Key::int("totalReplicas", "1", 1, 100, "Replicas of the group. Only 1 in this build, in a Raft group at most its members").restart(),
    Key::int("inSyncReplicas", "1", 1, 100, "Copies a send waits for. Only 1 in this build, in a Raft group at most its majority").restart(),
    Key::int("minInSyncReplicas", "1", 1, 100, "Copies without which sends are refused. Only 1 in this build, in a Raft group at most its majority").restart(),
    Key::bool("enableAutoInSyncReplicas", "false", "Fewer copies will do when replicas are away")
        .no_effect(NO_SLAVES),
    Key::int("haListenPort", "0", 0, 65535, "Port for replication between brokers").no_effect(NO_SLAVES),
    Key::text("haMasterAddress", "", "Address of the master to copy from").no_effect(NO_SLAVES),
    Key::int("haSendHeartbeatInterval", "5000", 1, i32::MAX as i64, "Milliseconds between replication heartbeats")
        .no_effect(NO_SLAVES),
    Key::int("haMaxGapNotInSync", "268435456", 1, i64::MAX, "Bytes a slave may be behind").no_effect(NO_SLAVES),
    Key::int("haMaxTimeSlaveNotCatchup", "15000", 1, i32::MAX as i64, "Milliseconds a slave may be behind")
        .no_effect(NO_SLAVES),
    Key::int("slaveTimeout", "3000", 1, i32::MAX as i64, "Milliseconds a send waits for a slave").no_effect(NO_SLAVES),
    Key::bool("enableSlaveActingMaster", "false", "A slave serves for a dead master").no_effect(NO_SLAVES),
    Key::bool("enableRemoteEscape", "false", "An acting master forwards sends").no_effect(NO_SLAVES),
    Key::text("storePathEpochFile", "", "File with the epochs of controller mode").no_effect(NO_CONTROLLER),
    Key::text("storePathBrokerIdentity", "", "File with the identity of controller mode").no_effect(NO_CONTROLLER),
    Key::int("syncBrokerMetadataPeriod", "5000", 1, i32::MAX as i64, "Milliseconds between two questions to the controller")
        .no_effect(NO_CONTROLLER),
    Key::int("checkSyncStateSetPeriod", "5000", 1, i32::MAX as i64, "Milliseconds between two checks of who is in sync")
        .no_effect(NO_CONTROLLER),
    Key::int("syncControllerMetadataPeriod", "10000", 1, i32::MAX as i64, "Milliseconds between two looks for the leading controller")
        .no_effect(NO_CONTROLLER),
    Key::int("controllerHeartBeatTimeoutMills", "10000", 1, i32::MAX as i64, "Milliseconds after which the controller counts a broker as dead")
        .no_effect(NO_CONTROLLER),
    Key::int("brokerElectionPriority", "2147483647", 0, i32::MAX as i64, "Smaller numbers are elected first")
        .no_effect(NO_CONTROLLER),
    Key::bool("duplicationEnable", "false", "A slave takes messages").no_effect(NO_SLAVES),
    // Scheduled messages, compaction, light queues.
    Key::text(
        "messageDelayLevel",
        "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h",
        "The delay levels",
    )
    .no_effect(NO_TIMERS),
    Key::bool("timerWheelEnable", "true", "Messages with any delay").no_effect(NO_TIMERS),
    Key::int("timerPrecisionMs", "1000", 1, 60_000, "Precision of delays, milliseconds").no_effect(NO_TIMERS),
    Key::int("timerMaxDelaySec", "259200", 1, i64::MAX, "Longest delay, seconds").no_effect(NO_TIMERS),
    Key::bool("timerStopEnqueue", "false", "Delayed messages wait").no_effect(NO_TIMERS),
    Key::bool("enableCompaction", "true", "Topics may be compacted").no_effect(NO_COMPACTION),
    Key::bool("enableLmq", "false", "Light queues").no_effect(NO_LITE),
    Key::bool("enableMultiDispatch", "false", "A message may go to several light queues")
        .no_effect(NO_LITE),
    // Message index.
    Key::bool("messageIndexEnable", "true", "Messages can be found by key")
        .no_effect(ALWAYS_INDEXED),
    Key::int("maxMsgsNumBatch", "64", 1, 10_000, "Most messages in the answer to a query by key")
        .restart(),
    Key::int(
        "defaultQueryMaxNum",
        "32",
        1,
        10_000,
        "Most messages in the answer to a query by unique key",
    )
    .restart(),
    // Who may do what: demands that are refused while there is nothing behind them.
    Key::bool("authenticationEnabled", "false", "Signatures are checked. Refused in this build").restart(),
    Key::bool("aclEnable", "false", "Permissions of RocketMQ 4 are checked. Refused in this build").restart(),
    Key::bool("useTLS", "false", "Connections are encrypted. Refused in this build").restart(),
    Key::bool("authorizationEnabled", "false", "Permissions are checked. Refused in this build").restart(),
];
