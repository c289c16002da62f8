//! The rest of RocketMQ 5.5.0's `BrokerConfig`: keys that are known and do nothing here, with the reason and Apache's default.

use ::config::Key;

use super::reasons::{
    INTERNAL, NO_AUTH, NO_COLD_DATA, NO_CONTROLLER, NO_FILTERS, NO_LITE, NO_LOOKUP, NO_METRICS,
    NO_NETTY, NO_POOL_QUEUES, NO_POOLS, NO_POP, NO_PROXY, NO_ROCKSDB, NO_SLAVES, NO_TIMERS,
    NO_TRANSACTIONS,
};
use super::table::{joined, without_effect};

const INTERNAL_KEYS: [Key; 24] = without_effect(
    INTERNAL,
    [
        ("broadcastOffsetExpireMaxSecond", "300"),
        ("broadcastOffsetExpireSecond", "120"),
        ("brokerConfigPath", ""),
        ("compatibleWithOldNameSrv", "true"),
        ("consumerFallbehindThreshold", "17179869184"),
        ("consumerOffsetUpdateVersionStep", "500"),
        ("disableConsumeIfConsumerReadSlowly", "false"),
        ("enableCreateSysGroup", "true"),
        ("enableDetailStat", "true"),
        ("enableRegisterProducer", "true"),
        ("enableSplitMetadata", "true"),
        ("enableSplitRegistration", "false"),
        ("flushConsumerOffsetHistoryInterval", "60000"),
        ("lockInStrictMode", "false"),
        ("messageStorePlugIn", ""),
        ("persistConsumerOffsetIncrementally", "false"),
        ("printChannelGroups", "false"),
        ("printChannelGroupsMinNum", "5"),
        ("rejectPullConsumerEnable", "false"),
        ("splitMetadataSize", "2000"),
        ("splitRegistrationSize", "800"),
        ("startAcceptSendRequestTimeStamp", "0"),
        ("useStaticSubscription", "false"),
        ("validateSystemTopicWhenUpdateTopic", "true"),
    ],
);

const NO_AUTH_KEYS: [Key; 12] = without_effect(
    NO_AUTH,
    [
        ("authConfigPath", ""),
        ("authenticationMetadataProvider", ""),
        ("authenticationProvider", ""),
        ("authenticationStrategy", ""),
        ("authenticationWhitelist", ""),
        ("authorizationMetadataProvider", ""),
        ("authorizationProvider", ""),
        ("authorizationStrategy", ""),
        ("authorizationWhitelist", ""),
        ("initAuthenticationUser", ""),
        ("innerClientAuthenticationCredentials", ""),
        ("migrateAuthFromV1Enabled", "false"),
    ],
);

/// Of `AuthConfig`, which reads the same file.
const AUTH_CONFIG_KEYS: [Key; 12] = without_effect(
    NO_AUTH,
    [
        ("aclCacheExpiredSecond", "600"),
        ("aclCacheMaxNum", "1000"),
        ("aclCacheRefreshSecond", "60"),
        ("clusterName", ""),
        ("configName", ""),
        ("statefulAuthenticationCacheExpiredSecond", "60"),
        ("statefulAuthenticationCacheMaxNum", "10000"),
        ("statefulAuthorizationCacheExpiredSecond", "60"),
        ("statefulAuthorizationCacheMaxNum", "10000"),
        ("userCacheExpiredSecond", "600"),
        ("userCacheMaxNum", "1000"),
        ("userCacheRefreshSecond", "60"),
    ],
);

/// Of `NettyClientConfig`, which reads the same file.
const NO_PROXY_KEYS: [Key; 1] = without_effect(NO_PROXY, [("socksProxyConfig", "{}")]);

const NO_COLD_DATA_KEYS: [Key; 4] = without_effect(
    NO_COLD_DATA,
    [
        ("cgColdReadThreshold", "3145728"),
        ("coldCtrStrategyEnable", "false"),
        ("globalColdReadThreshold", "104857600"),
        ("usePIDColdCtrStrategy", "true"),
    ],
);

const NO_CONTROLLER_KEYS: [Key; 5] = without_effect(
    NO_CONTROLLER,
    [
        ("fetchControllerAddrByDnsLookup", "false"),
        ("isBrokerContainer", "false"),
        ("isInBrokerContainer", "false"),
        ("skipPreOnline", "false"),
        ("syncBrokerMemberGroupPeriod", "1000"),
    ],
);

const NO_FILTERS_KEYS: [Key; 4] = without_effect(
    NO_FILTERS,
    [
        ("expectConsumerNumUseFilter", "32"),
        ("filterDataCleanTimeSpan", "86400000"),
        ("filterSupportRetry", "false"),
        ("maxErrorRateOfBloomFilter", "20"),
    ],
);

const NO_LITE_KEYS: [Key; 16] = without_effect(
    NO_LITE,
    [
        ("enableLiteEventMode", "true"),
        ("enableLmqStats", "false"),
        ("liteEventCheckInterval", "10000"),
        ("liteEventFullDispatchDelayTime", "10000"),
        ("liteEventFullDispatchDelayTimeForWildcardGroup", "10000"),
        ("liteLagCountMetricsEnable", "false"),
        ("liteLagLatencyCollectEnable", "false"),
        ("liteLagLatencyMetricsEnable", "false"),
        ("liteLagLatencyTopK", "50"),
        ("litePullMessageEnable", "true"),
        ("liteSubscriptionCheckInterval", "120000"),
        ("liteSubscriptionCheckTimeoutMills", "180000"),
        ("liteTtlCheckInterval", "120000"),
        ("maxClientEventCount", "100"),
        ("maxLiteSubscriptionCount", "100000"),
        ("minLiteTTl", "900000"),
    ],
);

const NO_LOOKUP_KEYS: [Key; 5] = without_effect(
    NO_LOOKUP,
    [
        ("fetchNameSrvAddrByDnsLookup", "false"),
        ("fetchNamesrvAddrByAddressServer", "false"),
        ("fetchNamesrvAddrInterval", "10000"),
        ("loadBalancePollNameServerInterval", "30000"),
        ("updateNameServerAddrPeriod", "120000"),
    ],
);

const NO_METRICS_KEYS: [Key; 24] = without_effect(
    NO_METRICS,
    [
        ("accountStatsEnable", "true"),
        ("accountStatsPrintZeroValues", "true"),
        ("autoDeleteUnusedStats", "true"),
        ("commercialBaseCount", "1"),
        ("commercialSizePerMsg", "4096"),
        ("enableConnectionMetrics", "true"),
        ("enableLagAndDlqMetrics", "true"),
        ("enableMessageStoreMetrics", "true"),
        ("enableRemotingMetrics", "true"),
        ("enableRequestMetrics", "true"),
        ("enableStatsMetrics", "true"),
        ("enableTransactionMetrics", "true"),
        ("estimateAccumulation", "true"),
        ("maxStatsIdleTimeInMinutes", "-1"),
        ("metricGrpcExporterIntervalInMills", "60000"),
        ("metricGrpcExporterTimeOutInMills", "3000"),
        ("metricLoggingExporterIntervalInMills", "10000"),
        ("metricsExportBatchMaxDataPoints", "1000"),
        ("metricsGrpcExporterHeader", ""),
        ("metricsGrpcExporterTarget", ""),
        ("metricsInDelta", "false"),
        ("metricsLabel", ""),
        ("metricsOtelCardinalityLimit", "50000"),
        ("metricsPromExporterHost", ""),
    ],
);

const NO_NETTY_KEYS: [Key; 26] = without_effect(
    NO_NETTY,
    [
        ("channelNotActiveInterval", "60000"),
        ("clientAsyncSemaphoreValue", "65535"),
        ("clientCallbackExecutorThreads", ""),
        ("clientChannelMaxIdleTimeSeconds", "120"),
        ("clientCloseSocketIfTimeout", "true"),
        ("clientOnewaySemaphoreValue", "65535"),
        ("clientPooledByteBufAllocatorEnable", "false"),
        ("clientSocketRcvBufSize", "0"),
        ("clientSocketSndBufSize", "0"),
        ("clientWorkerThreads", "4"),
        ("connectTimeoutMillis", "3000"),
        ("enableShutdownGracefully", "false"),
        ("serverAsyncSemaphoreValue", "64"),
        ("serverCallbackExecutorThreads", "0"),
        ("serverNettyWorkerGroupEnable", "true"),
        ("serverOnewaySemaphoreValue", "256"),
        ("serverPooledByteBufAllocatorEnable", "true"),
        ("serverSelectorThreads", "3"),
        ("serverSocketBacklog", "1024"),
        ("serverSocketRcvBufSize", "0"),
        ("serverSocketSndBufSize", "0"),
        ("serverWorkerThreads", "8"),
        ("shutdownWaitTimeSeconds", "30"),
        ("useEpollNativeSelector", "false"),
        ("writeBufferHighWaterMark", "0"),
        ("writeBufferLowWaterMark", "0"),
    ],
);

const NO_POOLS_KEYS: [Key; 27] = without_effect(
    NO_POOLS,
    [
        ("ackThreadPoolQueueCapacity", "100000"),
        ("adminBrokerThreadPoolQueueCapacity", "10000"),
        ("asyncSendEnable", "true"),
        ("clientManageThreadPoolNums", "32"),
        ("clientManagerThreadPoolQueueCapacity", "1000000"),
        ("consumerManageThreadPoolNums", "32"),
        ("consumerManagerThreadPoolQueueCapacity", "1000000"),
        ("enableFastChannelEventProcess", "false"),
        ("endTransactionPoolQueueCapacity", "100000"),
        ("endTransactionThreadPoolNums", ""),
        ("heartbeatThreadPoolNums", ""),
        ("heartbeatThreadPoolQueueCapacity", "50000"),
        ("highSpeedMode", "false"),
        ("isolateLogEnable", "false"),
        ("litePullMessageThreadPoolNums", ""),
        ("litePullThreadPoolQueueCapacity", "100000"),
        ("loadBalanceProcessorThreadPoolNums", "32"),
        ("loadBalanceThreadPoolQueueCapacity", "100000"),
        ("processReplyMessageThreadPoolNums", ""),
        ("putMessageFutureThreadPoolNums", ""),
        ("putThreadPoolQueueCapacity", "10000"),
        ("queryMessageThreadPoolNums", ""),
        ("queryThreadPoolQueueCapacity", "20000"),
        ("recoverConcurrently", "false"),
        ("recoverThreadPoolNums", "32"),
        ("replyThreadPoolQueueCapacity", "10000"),
        ("transferMsgByHeap", "true"),
    ],
);

const NO_POOL_QUEUES_KEYS: [Key; 4] = without_effect(
    NO_POOL_QUEUES,
    [
        ("enableNetWorkFlowControl", "false"),
        ("waitTimeMillsInAckQueue", "3000"),
        ("waitTimeMillsInAdminBrokerQueue", "5000"),
        ("waitTimeMillsInLitePullQueue", "5000"),
    ],
);

const NO_POP_KEYS: [Key; 44] = without_effect(
    NO_POP,
    [
        ("appendAckAsync", "false"),
        ("appendCkAsync", "false"),
        ("defaultPopShareQueueNum", "-1"),
        ("enableLitePopLog", "false"),
        ("enableNotifyAfterPopOrderLockRelease", "true"),
        ("enableNotifyBeforePopCalculateLag", "true"),
        ("enablePopBatchAck", "false"),
        ("enablePopBufferMerge", "false"),
        ("enablePopLog", "false"),
        ("enablePopMessageThreshold", "false"),
        ("enablePopMetrics", "true"),
        ("enableSkipLongAwaitingAck", "false"),
        ("initPopOffsetByCheckMsgInMem", "true"),
        ("maxMessageFilterNumForNotification", "64"),
        ("maxPopPollingSize", "100000"),
        ("popCkMaxBufferSize", "200000"),
        ("popCkOffsetMaxQueueSize", "20000"),
        ("popCkStayBufferTime", "10000"),
        ("popCkStayBufferTimeOut", "3000"),
        ("popConsumerFSServiceInit", "true"),
        ("popConsumerKVServiceEnable", "false"),
        ("popConsumerKVServiceInit", "false"),
        ("popConsumerKVServiceLog", "false"),
        ("popFromRetryProbability", "20"),
        ("popFromRetryProbabilityForPriority", "0"),
        ("popInflightMessageThreshold", "10000"),
        ("popLongPollingForceNotifyInterval", "800"),
        ("popPollingMapExpireTimeSeconds", "600"),
        ("popPollingMapSize", "100000"),
        ("popResponseReturnActualRetryTopic", "false"),
        ("popReviveConcurrency", "32"),
        ("popReviveMaxAttemptTimes", "16"),
        ("popReviveMaxReturnSizePerRead", "16384"),
        ("popReviveSkipIfGroupAbsent", "true"),
        ("priorityOrderAsc", "true"),
        ("realTimeNotifyConsumerChange", "true"),
        ("retrieveMessageFromPopRetryTopicV1", "true"),
        ("reviveAckWaitMs", "180000"),
        ("reviveInterval", "1000"),
        ("reviveMaxSlow", "3"),
        ("reviveScanTime", "10000"),
        ("skipWhenCKRePutReachMaxTimes", "false"),
        ("useMessageFilterForNotification", "true"),
        ("useSeparateRetryQueue", "false"),
    ],
);

const NO_POP_RETRY_KEYS: [Key; 1] =
    without_effect(NO_POP, [("clearRetryTopicWhenDeleteTopic", "true")]);

const NO_ROCKSDB_KEYS: [Key; 1] =
    without_effect(NO_ROCKSDB, [("useSingleRocksDBForAllConfigs", "false")]);

const NO_SLAVES_KEYS: [Key; 3] = without_effect(
    NO_SLAVES,
    [
        ("cleanOfflineBrokerInterval", "30000"),
        ("forwardTimeout", "3000"),
        ("sendHeartbeatTimeoutMillis", "1000"),
    ],
);

const NO_TIMERS_KEYS: [Key; 2] = without_effect(
    NO_TIMERS,
    [("allowRecallWhenBrokerNotWriteable", "true"), ("delayOffsetUpdateVersionStep", "200")],
);

const NO_TRANSACTIONS_KEYS: [Key; 6] = without_effect(
    NO_TRANSACTIONS,
    [
        ("transactionCheckRocksdbCoreThreads", "2"),
        ("transactionCheckRocksdbMaxThreads", "5"),
        ("transactionCheckRocksdbQueueCapacity", "2000"),
        ("transactionMetricFlushInterval", "10000"),
        ("transactionOpBatchInterval", "3000"),
        ("transactionOpMsgMaxSize", "4096"),
    ],
);

/// All of them.
pub(super) static KEYS: [Key; 221] = joined([
    &INTERNAL_KEYS,
    &NO_AUTH_KEYS,
    &AUTH_CONFIG_KEYS,
    &NO_PROXY_KEYS,
    &NO_COLD_DATA_KEYS,
    &NO_CONTROLLER_KEYS,
    &NO_FILTERS_KEYS,
    &NO_LITE_KEYS,
    &NO_LOOKUP_KEYS,
    &NO_METRICS_KEYS,
    &NO_NETTY_KEYS,
    &NO_POOLS_KEYS,
    &NO_POOL_QUEUES_KEYS,
    &NO_POP_KEYS,
    &NO_POP_RETRY_KEYS,
    &NO_ROCKSDB_KEYS,
    &NO_SLAVES_KEYS,
    &NO_TIMERS_KEYS,
    &NO_TRANSACTIONS_KEYS,
]);
