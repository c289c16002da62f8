//! Keys about the broker as clients, tools and NameServers see it.

use ::config::Key;

use super::reasons::{
    NO_CONTROLLER, NO_FILTERS, NO_METRICS, NO_POOL_QUEUES, NO_POOLS, NO_POP, NO_SLAVES,
    NO_TRANSACTIONS,
};

/// The keys, in the order of the documentation page.
pub(super) const KEYS: [Key; 68] = [
    // Who this broker is.
    Key::text(
        "brokerClusterName",
        "DefaultCluster",
        "Name of the cluster the broker belongs to",
    )
    .restart(),
    Key::text(
        "brokerName",
        "",
        "Name under which shard 0 registers; shard k registers as `brokerName-k`. Empty: the host name",
    )
    .restart(),
    Key::int(
        "brokerId",
        "0",
        -1,
        i32::MAX as i64,
        "0 is the master of its name. Others (slaves; -1, where a controller assigns the id) are refused in this build, unless a Raft group elects its leader",
    )
    .restart(),
    Key::text(
        "shards",
        "1",
        "Number of shards, 1 to 256, or `auto` for one on each core that the process may use. Each has a core, a port, a log and a broker name of its own. Fixed in the store at first start",
    )
    .restart()
    .ours(),
    Key::int(
        "brokerPermission",
        "6",
        0,
        7,
        "What the broker lets clients do: 6 read and write, 4 read only, 2 write only",
    )
    .restart(),
    Key::text(
        "regionId",
        "DefaultRegion",
        "Value of the property MSG_REGION on every message",
    )
    .restart(),
    // Where it listens and what it says about that.
    Key::int(
        "listenPort",
        "10911",
        1,
        65535,
        "TCP port of shard 0 for clients and tools",
    )
    .restart(),
    Key::int(
        "shardPortStride",
        "100",
        1,
        10000,
        "Shard k listens on listenPort + k × shardPortStride; likewise for its Raft group",
    )
    .restart()
    .ours(),
    Key::text("bindAddress", "0.0.0.0", "Local IPv4 address to listen on").restart(),
    Key::text(
        "brokerIP1",
        "",
        "Address that clients dial, registered at the NameServers. Empty: the first local address that is not loopback",
    )
    .restart(),
    Key::text("brokerIP2", "", "Address for replication between brokers")
        .restart()
        .no_effect(NO_SLAVES),
    Key::list(
        "namesrvAddr",
        "",
        ';',
        "NameServers to register at, `host:port` each. Also: option -n, environment variable NAMESRV_ADDR",
    )
    .restart(),
    Key::int(
        "registerNameServerPeriod",
        "30000",
        1,
        i32::MAX as i64,
        "Milliseconds between two registrations; held between 10 and 60 seconds",
    )
    .restart(),
    Key::int(
        "registerBrokerTimeoutMills",
        "24000",
        1,
        600_000,
        "Milliseconds a NameServer has to answer a registration",
    )
    .restart(),
    Key::int(
        "serverChannelMaxIdleTimeSeconds",
        "120",
        1,
        86_400,
        "Seconds without traffic after which a client's connection is closed",
    )
    .restart(),
    Key::int(
        "channelExpiredTimeout",
        "120000",
        1_000,
        86_400_000,
        "Milliseconds without a heartbeat after which a client leaves its groups",
    )
    .restart(),
    // Topics and groups.
    Key::bool(
        "autoCreateTopicEnable",
        "true",
        "A send to an unknown topic creates it after the template TBW102",
    )
    .restart(),
    Key::int(
        "defaultTopicQueueNums",
        "8",
        1,
        1024,
        "Queues of the template TBW102: the most an automatically created topic gets in a shard",
    )
    .restart(),
    Key::bool(
        "autoCreateSubscriptionGroup",
        "true",
        "A heartbeat of an unknown consumer group creates the group",
    )
    .restart(),
    Key::bool(
        "clusterTopicEnable",
        "true",
        "There is a topic named after the cluster; tools send to it",
    )
    .restart(),
    Key::bool(
        "brokerTopicEnable",
        "true",
        "There is a topic named after the broker; tools send to it",
    )
    .restart(),
    Key::bool(
        "traceTopicEnable",
        "false",
        "There is a topic for message traces",
    )
    .restart(),
    Key::text(
        "msgTraceTopicName",
        "RMQ_SYS_TRACE_TOPIC",
        "Name of the topic for message traces",
    )
    .restart(),
    Key::bool(
        "traceOn",
        "true",
        "Value of the property TRACE_ON on every message",
    )
    .restart(),
    Key::int("maxTopicLength", "127", 1, 127, "Longest topic name, bytes").restart(),
    // Consumers.
    Key::bool(
        "longPollingEnable",
        "true",
        "A pull that finds nothing waits for messages as long as the client allows",
    )
    .restart(),
    Key::int(
        "shortPollingTimeMills",
        "1000",
        1,
        60_000,
        "Milliseconds such a pull waits when longPollingEnable is false",
    )
    .restart(),
    Key::bool(
        "notifyConsumerIdsChangedEnable",
        "true",
        "The members of a group are told when another one comes or goes",
    )
    .restart(),
    Key::bool(
        "enablePropertyFilter",
        "false",
        "SQL92 filters on message properties",
    )
    .restart()
    .no_effect(NO_FILTERS),
    Key::bool("enableCalcFilterBitMap", "false", "Filter bitmaps beside the queue index")
        .no_effect(NO_FILTERS),
    Key::int(
        "flushConsumerOffsetInterval",
        "5000",
        1,
        i32::MAX as i64,
        "Milliseconds between two writes of consumer offsets",
    )
    .no_effect("consumer offsets are in the log within a second"),
    Key::int(
        "subscriptionExpiredTimeout",
        "600000",
        1,
        i32::MAX as i64,
        "Milliseconds after which a subscription that nobody repeats is forgotten",
    )
    .no_effect("a subscription lives as long as a client of the group repeats it"),
    Key::bool("slaveReadEnable", "false", "Consumers that are far behind read from slaves")
        .no_effect(NO_SLAVES),
    Key::bool("useServerSideResetOffset", "true", "Offsets are reset by the broker")
        .no_effect("resetting offsets by time is not in this build"),
    Key::bool(
        "enableBroadcastOffsetStore",
        "true",
        "Offsets of broadcast consumers behind a proxy are kept",
    )
    .no_effect("only proxies use it, and none is in this build"),
    Key::bool("serverLoadBalancerEnable", "true", "The broker assigns queues to POP clients")
        .no_effect(NO_POP),
    Key::one_of(
        "defaultMessageRequestMode",
        "PULL",
        &["PULL", "POP"],
        "How clients with broker-side assignment consume",
    )
    .no_effect(NO_POP),
    Key::int("popPollingSize", "1024", 1, i32::MAX as i64, "POP requests that may wait at a queue")
        .no_effect(NO_POP),
    Key::int("reviveQueueNum", "8", 1, 1024, "Queues of the POP revive topic").no_effect(NO_POP),
    Key::bool("enableRetryTopicV2", "false", "Names of POP retry topics use `+`").no_effect(NO_POP),
    Key::bool("recallMessageEnable", "false", "Scheduled messages can be recalled")
        .no_effect("scheduled messages are not in this build"),
    Key::bool("storeReplyMessageEnable", "true", "Replies are stored as well as pushed")
        .no_effect("request-reply is not in this build"),
    Key::bool("enableMixedMessageType", "false", "Topics of the type MIXED are allowed")
        .no_effect("the type of a topic is kept and not enforced"),
    // Transactions.
    Key::int(
        "transactionTimeOut",
        "6000",
        1,
        i32::MAX as i64,
        "Milliseconds before an undecided transaction is asked about",
    )
    .no_effect(NO_TRANSACTIONS),
    Key::int("transactionCheckMax", "15", 1, 1_000_000, "How often it is asked about")
        .no_effect(NO_TRANSACTIONS),
    Key::int(
        "transactionCheckInterval",
        "30000",
        1,
        i32::MAX as i64,
        "Milliseconds between two rounds of asking",
    )
    .no_effect(NO_TRANSACTIONS),
    Key::bool("rejectTransactionMessage", "false", "Transactional messages are refused")
        .no_effect(NO_TRANSACTIONS),
    // Thread pools.
    Key::text("sendMessageThreadPoolNums", "", "Threads for sends").no_effect(NO_POOLS),
    Key::text("pullMessageThreadPoolNums", "", "Threads for pulls").no_effect(NO_POOLS),
    Key::text("ackMessageThreadPoolNums", "16", "Threads for acknowledgements")
        .no_effect(NO_POOLS),
    Key::text("adminBrokerThreadPoolNums", "16", "Threads for tools").no_effect(NO_POOLS),
    Key::text("sendThreadPoolQueueCapacity", "10000", "Sends that may wait").no_effect(NO_POOLS),
    Key::text("pullThreadPoolQueueCapacity", "100000", "Pulls that may wait").no_effect(NO_POOLS),
    Key::bool(
        "brokerFastFailureEnable",
        "true",
        "Requests that waited too long are answered with code 2",
    )
    .no_effect(NO_POOL_QUEUES),
    Key::text("waitTimeMillsInSendQueue", "200", "Milliseconds a send may wait")
        .no_effect(NO_POOL_QUEUES),
    Key::text("waitTimeMillsInPullQueue", "5000", "Milliseconds a pull may wait")
        .no_effect(NO_POOL_QUEUES),
    Key::text("waitTimeMillsInHeartbeatQueue", "31000", "Milliseconds a heartbeat may wait")
        .no_effect(NO_POOL_QUEUES),
    Key::text(
        "waitTimeMillsInTransactionQueue",
        "3000",
        "Milliseconds the end of a transaction may wait",
    )
    .no_effect(NO_POOL_QUEUES),
    // Registration and metrics in other shapes.
    Key::bool("forceRegister", "true", "Every registration carries the whole topic table")
        .no_effect("the whole table is sent every time"),
    Key::bool("compressedRegister", "false", "Registrations are compressed")
        .no_effect("registrations are compressed when they are larger than 4 MiB, and plain otherwise"),
    Key::bool("enableSingleTopicRegister", "false", "A changed topic is registered by code 217")
        .no_effect("a changed topic is registered by an incremental code 103"),
    Key::text("rocketmqHome", "", "Directory of Apache's scripts")
        .no_effect("nothing is read from there"),
    Key::one_of(
        "metricsExporterType",
        "DISABLE",
        &["DISABLE", "OTLP_GRPC", "PROM", "LOG"],
        "Where metrics go",
    )
    .no_effect(NO_METRICS),
    Key::int("metricsPromExporterPort", "5557", 1, 65535, "Port of the Prometheus exporter")
        .no_effect(NO_METRICS),
    Key::one_of("configManagerVersion", "v1", &["v1", "v2"], "How Apache stores its tables")
        .no_effect("topics, groups and offsets are entries of the log"),
    Key::text(
        "configBlackList",
        "configBlackList;brokerConfigPath",
        "Keys that cannot be changed at run time",
    )
    .no_effect("changing keys at run time is not in this build"),
    Key::int(
        "brokerHeartbeatInterval",
        "1000",
        1,
        i32::MAX as i64,
        "Milliseconds between light heartbeats in controller and acting-master mode",
    )
    .no_effect(NO_CONTROLLER),
    Key::int(
        "brokerNotActiveTimeoutMillis",
        "10000",
        1,
        i32::MAX as i64,
        "Milliseconds after which a broker counts as dead in those modes",
    )
    .no_effect(NO_CONTROLLER),
];
