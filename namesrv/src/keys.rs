//! The configuration keys of the NameServer: the one place that says what they are.

use ::config::{Key, Table};

const ONE_EXECUTOR: &str = "one executor serves every request";
const KERNEL_BUFFERS: &str = "the kernel sizes socket buffers by itself";
const MEMORY_ONLY: &str =
    "keys and values are kept in memory until this NameServer stops; the tools put them again";
const NO_RUNTIME_CHANGES: &str = "the configuration is read at start and not written";
const NO_CONTROLLER: &str = "this NameServer has no controller inside";
const CLUSTER_TEST: &str = "routes come from registered brokers only";
const NO_QUEUE: &str = "there is no such queue to size";

/// Every key of `namesrv.conf`. Names and defaults are those of RocketMQ 5.5.0, classes NamesrvConfig, NettyServerConfig and
/// ControllerConfig.
pub static KEYS: Table = Table::new(&[
    Key::int("listenPort", "9876", 0, 65_535, "TCP port to listen on; 0 takes a free one").restart(),
    Key::text("bindAddress", "0.0.0.0", "IP address to listen on; 0.0.0.0 is every address of the host").restart(),
    Key::int(
        "serverChannelMaxIdleTimeSeconds",
        "120",
        1,
        86_400,
        "A connection without traffic for this many seconds is closed",
    )
    .restart(),
    Key::int(
        "scanNotActiveBrokerInterval",
        "5000",
        10,
        3_600_000,
        "Milliseconds between two looks for brokers that have not been heard of for too long",
    )
    .restart(),
    Key::bool("orderMessageEnable", "false", "Give the order configuration of a topic with its route").restart(),
    Key::bool(
        "returnOrderTopicConfigToBroker",
        "true",
        "Give the order configuration of all topics to a broker that registers",
    )
    .restart(),
    Key::bool("enableAllTopicList", "true", "Answer requests for the list of all topics (code 206)").restart(),
    Key::bool(
        "enableTopicList",
        "true",
        "Answer requests for the topics of a cluster and for the system topics (codes 224 and 304)",
    )
    .restart(),
    Key::bool(
        "supportActingMaster",
        "false",
        "Show the slave with the smallest id as master where a broker allows it and its master is gone",
    )
    .restart(),
    Key::bool(
        "deleteTopicWithBrokerRegistration",
        "false",
        "A full registration removes the topics of the broker that it does not name",
    )
    .restart(),
    Key::bool("needWaitForService", "false", "Refuse routes for a while after the start, until the brokers are back").restart(),
    Key::int(
        "waitSecondsForService",
        "45",
        0,
        3_600,
        "With needWaitForService: how long, in seconds",
    )
    .restart(),
    Key::text("rocketmqHome", "", "Where RocketMQ is installed").no_effect("nothing is read from there"),
    Key::text("kvConfigPath", "", "File for keys and values").no_effect(MEMORY_ONLY),
    Key::text("configStorePath", "", "File for changed configuration").no_effect(NO_RUNTIME_CHANGES),
    Key::bool("clusterTest", "false", "Fall back to the routes of another cluster").no_effect(CLUSTER_TEST),
    Key::text("productEnvName", "center", "Name of that cluster").no_effect(CLUSTER_TEST),
    Key::bool("notifyMinBrokerIdChanged", "false", "Tell brokers when the smallest id of their group changes")
        .no_effect("brokers ask for their group themselves (code 901)"),
    Key::int("clientRequestThreadPoolNums", "8", 1, 4_096, "Threads for routes").no_effect(ONE_EXECUTOR),
    Key::int("defaultThreadPoolNums", "16", 1, 4_096, "Threads for other requests").no_effect(ONE_EXECUTOR),
    Key::int("clientRequestThreadPoolQueueCapacity", "50000", 1, i64::MAX, "Routes waiting").no_effect(NO_QUEUE),
    Key::int("defaultThreadPoolQueueCapacity", "10000", 1, i64::MAX, "Requests waiting").no_effect(NO_QUEUE),
    Key::int("unRegisterBrokerQueueCapacity", "3000", 1, i64::MAX, "Unregistrations waiting").no_effect(NO_QUEUE),
    Key::int("serverWorkerThreads", "8", 0, 4_096, "Threads for decoding").no_effect(ONE_EXECUTOR),
    Key::int("serverCallbackExecutorThreads", "0", 0, 4_096, "Threads for callbacks").no_effect(ONE_EXECUTOR),
    Key::int("serverSelectorThreads", "3", 0, 4_096, "Threads for sockets").no_effect(ONE_EXECUTOR),
    Key::int("serverOnewaySemaphoreValue", "256", 0, i64::MAX, "Oneway requests under way")
        .no_effect("a oneway request is done when it has been read"),
    Key::int("serverAsyncSemaphoreValue", "64", 0, i64::MAX, "Asynchronous requests under way").no_effect(ONE_EXECUTOR),
    Key::int("serverSocketSndBufSize", "0", 0, i64::MAX, "Send buffer").no_effect(KERNEL_BUFFERS),
    Key::int("serverSocketRcvBufSize", "0", 0, i64::MAX, "Receive buffer").no_effect(KERNEL_BUFFERS),
    Key::int("writeBufferHighWaterMark", "0", 0, i64::MAX, "Netty's mark").no_effect("every connection has its own bound"),
    Key::int("writeBufferLowWaterMark", "0", 0, i64::MAX, "Netty's mark").no_effect("every connection has its own bound"),
    Key::int("serverSocketBacklog", "1024", 0, i64::MAX, "Connections waiting").no_effect("the kernel's maximum is asked for"),
    Key::bool("serverNettyWorkerGroupEnable", "true", "Netty's threads").no_effect(ONE_EXECUTOR),
    Key::bool("serverPooledByteBufAllocatorEnable", "true", "Netty's memory").no_effect("there is no Netty inside"),
    Key::bool("enableShutdownGracefully", "false", "Drain before stopping").no_effect("a stop always drains"),
    Key::int("shutdownWaitTimeSeconds", "30", 0, 3_600, "Seconds for draining").no_effect("routes are answered at once"),
    Key::bool("useEpollNativeSelector", "false", "Netty's system call").no_effect("there is no Netty inside"),
    Key::bool("enableControllerInNamesrv", "false", "Run a controller inside").no_effect(NO_CONTROLLER),
    Key::text("controllerType", "DLedger", "Kind of controller").no_effect(NO_CONTROLLER),
    Key::text("controllerDLegerGroup", "", "Name of the controllers' group").no_effect(NO_CONTROLLER),
    Key::text("controllerDLegerPeers", "", "The controllers").no_effect(NO_CONTROLLER),
    Key::text("controllerDLegerSelfId", "", "Which of them this is").no_effect(NO_CONTROLLER),
    Key::text("controllerStorePath", "", "The controller's files").no_effect(NO_CONTROLLER),
    Key::bool("enableElectUncleanMaster", "false", "Elect replicas that lack messages").no_effect(NO_CONTROLLER),
    Key::bool("isProcessReadEvent", "false", "Reads through the log").no_effect(NO_CONTROLLER),
    Key::bool("notifyBrokerRoleChanged", "true", "Tell brokers their role").no_effect(NO_CONTROLLER),
    Key::int("scanInactiveMasterInterval", "5000", 1, i64::MAX, "Milliseconds").no_effect(NO_CONTROLLER),
    Key::int("electMasterMaxRetryCount", "3", 0, i64::MAX, "Tries").no_effect(NO_CONTROLLER),
    Key::int("mappedFileSize", "1073741824", 0, i64::MAX, "Bytes of a controller file").no_effect(NO_CONTROLLER),
    Key::int("controllerThreadPoolNums", "16", 1, 4_096, "Threads").no_effect(NO_CONTROLLER),
    Key::int("controllerRequestThreadPoolQueueCapacity", "50000", 1, i64::MAX, "Requests waiting").no_effect(NO_CONTROLLER),
    Key::text("jRaftGroupId", "jRaft-Controller", "Name of the group").no_effect(NO_CONTROLLER),
    Key::text("jRaftServerId", "localhost:9880", "This controller").no_effect(NO_CONTROLLER),
    Key::text("jRaftInitConf", "localhost:9880,localhost:9881,localhost:9882", "The controllers").no_effect(NO_CONTROLLER),
    Key::text("jRaftControllerRPCAddr", "localhost:9770,localhost:9771,localhost:9772", "Their addresses").no_effect(NO_CONTROLLER),
    Key::int("jRaftSnapshotIntervalSecs", "3600", 1, i64::MAX, "Seconds").no_effect(NO_CONTROLLER),
]);

#[cfg(test)]
mod tests {
    use super::KEYS;

    #[test]
    fn the_table_is_sound() {
        KEYS.assert_sound();
    }
}
