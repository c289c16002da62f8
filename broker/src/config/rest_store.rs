//! The rest of RocketMQ 5.5.0's `MessageStoreConfig`: keys that are known and do nothing here, with the reason and Apache's default.

use ::config::Key;

use super::reasons::{
    ALWAYS_CHECKED, FLUSH_DECIDES, INTERNAL, NO_COLD_DATA, NO_COMPACTION, NO_FILTERS,
    NO_INDEX_FILES, NO_LITE, NO_METRICS, NO_PAGE_CACHE, NO_POOLS, NO_RETENTION, NO_ROCKSDB,
    NO_SLAVES, NO_TIMERS, NO_TRANSACTIONS,
};
use super::table::{joined, without_effect};

const ALWAYS_CHECKED_KEYS: [Key; 3] = without_effect(
    ALWAYS_CHECKED,
    [
        ("checkCRCOnRecover", "true"),
        ("enabledAppendPropCRC", "false"),
        ("forceVerifyPropCRC", "false"),
    ],
);

const FLUSH_DECIDES_KEYS: [Key; 2] =
    without_effect(FLUSH_DECIDES, [("putMessageTimeout", "8000"), ("syncFlushTimeout", "5000")]);

const INTERNAL_KEYS: [Key; 8] = without_effect(
    INTERNAL,
    [
        ("autoMessageVersionOnTopicLen", "true"),
        ("checkCommitLogOffsetOnRecover", "false"),
        ("commitLogRecoverMaxNum", "10"),
        ("enableAcceleratedRecovery", "false"),
        ("enableRunningFlagsInFlush", "false"),
        ("maxRecoveryCommitlogFiles", "30"),
        ("pullBatchMaxMessageCount", "160"),
        ("readOnlyCommitLogStorePaths", ""),
    ],
);

const NO_COLD_DATA_KEYS: [Key; 3] = without_effect(
    NO_COLD_DATA,
    [
        ("coldDataFlowControlEnable", "false"),
        ("coldDataScanEnable", "false"),
        ("timerColdDataCheckIntervalMs", "60000"),
    ],
);

const NO_COMPACTION_KEYS: [Key; 4] = without_effect(
    NO_COMPACTION,
    [
        ("compactionCqMappedFileSize", "10485760"),
        ("compactionMappedFileSize", "104857600"),
        ("compactionThreadNum", "6"),
        ("maxOffsetMapSize", "104857600"),
    ],
);

const NO_FILTERS_KEYS: [Key; 1] = without_effect(NO_FILTERS, [("maxFilterMessageSize", "16000")]);

const NO_INDEX_FILES_KEYS: [Key; 27] = without_effect(
    NO_INDEX_FILES,
    [
        ("bitMapLengthConsumeQueueExt", "64"),
        ("correctLogicMinOffsetForceInterval", "300000"),
        ("correctLogicMinOffsetSleepInterval", "1"),
        ("dispatchCqCacheNum", "4096"),
        ("dispatchFromSenderThread", "false"),
        ("enableAsyncReput", "true"),
        ("enableBuildConsumeQueueConcurrently", "false"),
        ("enableConsumeQueueExt", "false"),
        ("enableLogConsumeQueueRepeatedlyBuildWhenRecover", "false"),
        ("flushConsumeQueueLeastPages", "2"),
        ("flushConsumeQueueThoroughInterval", "60000"),
        ("flushIntervalConsumeQueue", "1000"),
        ("indexFileReadEnable", "true"),
        ("indexFileWriteEnable", "true"),
        ("mappedFileSizeConsumeQueue", "6000000"),
        ("mappedFileSizeConsumeQueueExt", "50331648"),
        ("mapperFileSizeBatchConsumeQueue", "13800000"),
        ("maxConsumeQueueScan", "20000"),
        ("maxHashSlotNum", "5000000"),
        ("maxIndexNum", "20000000"),
        ("messageIndexSafe", "false"),
        ("putConsumeQueueDataByFileChannel", "true"),
        ("putMsgIndexHightWater", "600000"),
        ("recheckReputOffsetFromCq", "false"),
        ("searchBcqByCacheEnable", "true"),
        ("storeType", "default"),
        ("travelCqFileNumWhenGetMessage", "1"),
    ],
);

/// Of older releases, and still in many files.
const OLD_FILES_KEYS: [Key; 4] = without_effect(
    NO_INDEX_FILES,
    [
        ("abortFile", ""),
        ("storeCheckpoint", ""),
        ("storePathConsumeQueue", ""),
        ("storePathIndex", ""),
    ],
);

const NO_LITE_KEYS: [Key; 3] = without_effect(
    NO_LITE,
    [
        ("combineCQUseRocksdbForLmq", "false"),
        ("enableLmqQuota", "false"),
        ("maxLmqConsumeQueueNum", "20000"),
    ],
);

const NO_METRICS_KEYS: [Key; 5] = without_effect(
    NO_METRICS,
    [
        ("diskFallRecorded", "true"),
        ("enableScheduleMessageStats", "true"),
        ("timerCheckMetricsWhen", "05"),
        ("timerEnableCheckMetrics", "true"),
        ("timerMetricSmallThreshold", "1000000"),
    ],
);

const NO_PAGE_CACHE_KEYS: [Key; 33] = without_effect(
    NO_PAGE_CACHE,
    [
        ("accessMessageInMemoryHotRatio", "26"),
        ("accessMessageInMemoryMaxRatio", "40"),
        ("commitCommitLogLeastPages", "4"),
        ("commitCommitLogThoroughInterval", "200"),
        ("commitIntervalCommitLog", "200"),
        ("commitLogForceSwapMapInterval", "43200000"),
        ("commitLogSwapMapInterval", "3600000"),
        ("commitLogSwapMapReserveFileNum", "100"),
        ("dataReadAheadEnable", "true"),
        ("debugLockEnable", "false"),
        ("fastFailIfNoBufferInStorePool", "false"),
        ("flushCommitLogLeastPages", "4"),
        ("flushCommitLogThoroughInterval", "10000"),
        ("flushCommitLogTimed", "true"),
        ("flushLeastPagesWhenWarmMapedFile", "4096"),
        ("logicQueueForceSwapMapInterval", "43200000"),
        ("logicQueueSwapMapInterval", "3600000"),
        ("logicQueueSwapMapReserveFileNum", "20"),
        ("mappedFileSwapEnable", "true"),
        ("osPageCacheBusyTimeOutMills", "1000"),
        ("readUnCommitted", "false"),
        ("sampleCountThreshold", "5000"),
        ("sampleSteps", "32"),
        ("spinLockCollisionRetreatOptimalDegree", "1000"),
        ("topicQueueLockNum", "32"),
        ("transientStorePoolEnable", "false"),
        ("transientStorePoolSize", "5"),
        ("useABSLock", "false"),
        ("useReentrantLockWhenPutMessage", "true"),
        ("wakeCommitWhenPutMessage", "true"),
        ("wakeFlushWhenPutMessage", "false"),
        ("warmMapedFileEnable", "false"),
        ("writeWithoutMmap", "false"),
    ],
);

const NO_POOLS_KEYS: [Key; 4] = without_effect(
    NO_POOLS,
    [
        ("batchDispatchRequestThreadPoolNums", "16"),
        ("dispatchCqThreads", "10"),
        ("maxAsyncPutMessageRequests", "5000"),
        ("sharedByteBufferNum", "16"),
    ],
);

const NO_RETENTION_KEYS: [Key; 10] = without_effect(
    NO_RETENTION,
    [
        ("cleanResourceInterval", "10000"),
        ("cleanSwapedMapInterval", "300000"),
        ("deleteCommitLogFilesInterval", "100"),
        ("deleteConsumeQueueFilesInterval", "100"),
        ("deleteFileBatchMax", "10"),
        ("destroyMapedFileIntervalForcibly", "120000"),
        ("enableCleanExpiredOffset", "false"),
        ("logicalDiskSpaceCleanForciblyThreshold", "0.8"),
        ("maxBatchDeleteFilesNum", "50"),
        ("redeleteHangedFileInterval", "120000"),
    ],
);

const NO_ROCKSDB_KEYS: [Key; 19] = without_effect(
    NO_ROCKSDB,
    [
        ("bottomMostCompressionTypeForConsumeQueueStore", ""),
        ("cleanRocksDBDirtyCQIntervalMin", "60"),
        ("combineAssignOffsetCQType", ""),
        ("combineCQEnableCheckSelf", "false"),
        ("combineCQLoadingCQTypes", ""),
        ("combineCQMaxExtraSearchCommitLogFiles", "3"),
        ("combineCQPreferCQType", ""),
        ("enableRocksDBLog", "false"),
        ("indexRocksDBEnable", "false"),
        ("iteratorWhenUseRocksdbConsumeQueue", "true"),
        ("maxRocksDBIndexQueryDays", "7"),
        ("memTableFlushIntervalMs", "3600000"),
        ("realTimePersistRocksDBConfig", "true"),
        ("rocksdbCQDoubleWriteEnable", "false"),
        ("rocksdbCompressionType", ""),
        ("rocksdbFlushWalFrequency", "1024"),
        ("rocksdbWalFileRollingThreshold", ""),
        ("statRocksDBCQIntervalSec", "10"),
        ("useSeparateStorePathForRocksdbCQ", "false"),
    ],
);

const NO_SLAVES_KEYS: [Key; 11] = without_effect(
    NO_SLAVES,
    [
        ("asyncLearner", "false"),
        ("haFlowControlEnable", "false"),
        ("haHousekeepingInterval", "20000"),
        ("haTransferBatchSize", "32768"),
        ("maxChecksumRange", "1073741824"),
        ("maxHaTransferByteInSecond", "104857600"),
        ("maxSlaveResendLength", "268435456"),
        ("offsetCheckInSlave", "false"),
        ("replicasPerDiskPartition", "1"),
        ("syncFromLastFile", "false"),
        ("syncMasterFlushOffsetWhenStartup", "false"),
    ],
);

const NO_TIMERS_KEYS: [Key; 34] = without_effect(
    NO_TIMERS,
    [
        ("appendTopicForTimerDeleteKey", "false"),
        ("compactionScheduleInternal", "900000"),
        ("disappearTimeAfterStart", "-1"),
        ("enableScheduleAsyncDeliver", "false"),
        ("flushDelayOffsetInterval", "10000"),
        ("mappedFileSizeTimerLog", "104857600"),
        ("scheduleAsyncDeliverMaxPendingLimit", "2000"),
        ("scheduleAsyncDeliverMaxResendNum2Blocked", "3"),
        ("timerCongestNumEachSlot", "2147483647"),
        ("timerEnableDisruptor", "false"),
        ("timerEnableRetryUntilSuccess", "false"),
        ("timerFlushIntervalMs", "1000"),
        ("timerGetMessageThreadNum", "3"),
        ("timerInterceptDelayLevel", "false"),
        ("timerProgressLogIntervalMs", "10000"),
        ("timerPutMessageThreadNum", "3"),
        ("timerRecallToTimeWheelEnable", "true"),
        ("timerRecallToTimelineEnable", "true"),
        ("timerReputServiceCorePoolSize", "6"),
        ("timerReputServiceMaxPoolSize", "6"),
        ("timerReputServiceQueueCapacity", "10000"),
        ("timerRocksDBEnable", "false"),
        ("timerRocksDBPrecisionMs", "1000"),
        ("timerRocksDBRollIntervalHours", "1"),
        ("timerRocksDBRollMaxTps", "8000.0"),
        ("timerRocksDBRollRangeHours", "2"),
        ("timerRocksDBStopScan", "false"),
        ("timerRocksDBTimeExpiredMaxTps", "200000.0"),
        ("timerRollWindowSlot", "172800"),
        ("timerSkipUnknownError", "false"),
        ("timerStopDequeue", "false"),
        ("timerWarmEnable", "false"),
        ("timerWheelSnapshotFlush", "false"),
        ("timerWheelSnapshotIntervalMs", "10000"),
    ],
);

const NO_TRANSACTIONS_KEYS: [Key; 2] = without_effect(
    NO_TRANSACTIONS,
    [("transRocksDBEnable", "false"), ("transWriteOriginTransHalfEnable", "true")],
);

/// All of them.
pub(super) static KEYS: [Key; 173] = joined([
    &ALWAYS_CHECKED_KEYS,
    &FLUSH_DECIDES_KEYS,
    &INTERNAL_KEYS,
    &NO_COLD_DATA_KEYS,
    &NO_COMPACTION_KEYS,
    &NO_FILTERS_KEYS,
    &NO_INDEX_FILES_KEYS,
    &OLD_FILES_KEYS,
    &NO_LITE_KEYS,
    &NO_METRICS_KEYS,
    &NO_PAGE_CACHE_KEYS,
    &NO_POOLS_KEYS,
    &NO_RETENTION_KEYS,
    &NO_ROCKSDB_KEYS,
    &NO_SLAVES_KEYS,
    &NO_TIMERS_KEYS,
    &NO_TRANSACTIONS_KEYS,
]);
