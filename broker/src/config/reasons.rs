//! Why a known key does nothing here. Each text completes "has no effect: …".

pub(super) const ALWAYS_BATCHED: &str =
    "an entry of the log is a batch of messages, and entries travel without waiting for each other";
pub(super) const ALWAYS_CHECKED: &str =
    "every entry of the log and every record carries a checksum, and it is always checked";
pub(super) const ALWAYS_INDEXED: &str = "keys are part of the index, which a start depends on";
pub(super) const FLUSH_DECIDES: &str =
    "a send is answered when its write or flush is done or has failed, no timer is involved";
pub(super) const INTERNAL: &str = "the part of RocketMQ that it tunes has no counterpart here";
pub(super) const NO_AUTH: &str = "authentication and authorization are not in this build";
pub(super) const NO_COLD_DATA: &str = "reads of old data are not throttled";
pub(super) const NO_COMPACTION: &str = "compaction is not in this build";
pub(super) const LOG_IS_THE_COMMITLOG: &str =
    "the log of the group is the commitlog, and lies where storePathCommitLog says";
pub(super) const NO_CONTROLLER: &str = "controller mode is not in this build";
pub(super) const NO_FILTERS: &str =
    "SQL92 filters are not in this build, subscriptions with one are refused";
pub(super) const NO_INDEX_FILES: &str =
    "the queue index is part of the log, there are no consume queue and index files";
pub(super) const NO_LITE: &str = "light queues and light topics are not in this build";
pub(super) const NO_LOOKUP: &str =
    "addresses come from namesrvAddr only, whose host names are looked up at every connection";
pub(super) const NO_METRICS: &str =
    "the metrics exporter is not in this build; `mqadmin brokerStatus` shows the counters";
pub(super) const NO_NETTY: &str =
    "connections are served by the shard's own executor, not by Netty";
pub(super) const NO_PAGE_CACHE: &str =
    "the log is written and read with direct I/O, past the page cache";
pub(super) const NO_POOLS: &str = "a shard has one thread, there are no thread pools to size";
pub(super) const NO_POOL_QUEUES: &str =
    "requests do not wait in queues of thread pools; a shard that is behind answers code 2 at once";
pub(super) const NO_POP: &str = "POP consumption is not in this build, its requests are refused";
pub(super) const NO_PROXY: &str = "NameServers are dialled directly";
pub(super) const NO_RETENTION: &str =
    "segments go in small steps; when, fileReservedTime, deleteWhen and the ratios of the disk say";
pub(super) const NO_ROCKSDB: &str = "nothing is kept in RocksDB";
pub(super) const NO_SLAVES: &str = "primary-backup replication is not in this build";
pub(super) const NO_TIMERS: &str =
    "scheduled messages are not in this build, messages with a delay are refused";
pub(super) const NO_TRANSACTIONS: &str =
    "transactions are not in this build, transactional messages are refused";
