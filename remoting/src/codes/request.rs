//! Request codes of RocketMQ 5.5.0, class RequestCode, by subject, and ours.

use super::codes;

codes! {
    /// A request code that RocketMQ 5.5.0 defines, of which not every one is served, or one of ours.
    pub enum RequestCode;
    // Basic send and pull.
    SendMessage = 10, "SEND_MESSAGE";
    SendMessageV2 = 310, "SEND_MESSAGE_V2";
    SendBatchMessage = 320, "SEND_BATCH_MESSAGE";
    PullMessage = 11, "PULL_MESSAGE";
    LitePullMessage = 361, "LITE_PULL_MESSAGE";
    GetRouteinfoByTopic = 105, "GET_ROUTEINFO_BY_TOPIC";
    HeartBeat = 34, "HEART_BEAT";
    UnregisterClient = 35, "UNREGISTER_CLIENT";
    GetMaxOffset = 30, "GET_MAX_OFFSET";
    GetMinOffset = 31, "GET_MIN_OFFSET";
    SearchOffsetByTimestamp = 29, "SEARCH_OFFSET_BY_TIMESTAMP";
    GetEarliestMsgStoretime = 32, "GET_EARLIEST_MSG_STORETIME";
    ViewMessageById = 33, "VIEW_MESSAGE_BY_ID";
    QueryMessage = 12, "QUERY_MESSAGE";
    CheckClientConfig = 46, "CHECK_CLIENT_CONFIG";
    // Consumer groups, offsets, ordered consumption.
    QueryConsumerOffset = 14, "QUERY_CONSUMER_OFFSET";
    UpdateConsumerOffset = 15, "UPDATE_CONSUMER_OFFSET";
    GetConsumerListByGroup = 38, "GET_CONSUMER_LIST_BY_GROUP";
    NotifyConsumerIdsChanged = 40, "NOTIFY_CONSUMER_IDS_CHANGED";
    ConsumerSendMsgBack = 36, "CONSUMER_SEND_MSG_BACK";
    LockBatchMq = 41, "LOCK_BATCH_MQ";
    UnlockBatchMq = 42, "UNLOCK_BATCH_MQ";
    ResetConsumerClientOffset = 220, "RESET_CONSUMER_CLIENT_OFFSET";
    GetConsumerStatusFromClient = 221, "GET_CONSUMER_STATUS_FROM_CLIENT";
    GetConsumerRunningInfo = 307, "GET_CONSUMER_RUNNING_INFO";
    ConsumeMessageDirectly = 309, "CONSUME_MESSAGE_DIRECTLY";
    QueryAssignment = 400, "QUERY_ASSIGNMENT";
    SetMessageRequestMode = 401, "SET_MESSAGE_REQUEST_MODE";
    GetAllMessageRequestMode = 402, "GET_ALL_MESSAGE_REQUEST_MODE";
    // POP consumption.
    PopMessage = 200050, "POP_MESSAGE";
    AckMessage = 200051, "ACK_MESSAGE";
    BatchAckMessage = 200151, "BATCH_ACK_MESSAGE";
    ChangeMessageInvisibletime = 200053, "CHANGE_MESSAGE_INVISIBLETIME";
    Notification = 200054, "NOTIFICATION";
    PeekMessage = 200052, "PEEK_MESSAGE";
    PollingInfo = 200055, "POLLING_INFO";
    PopRollback = 200056, "POP_ROLLBACK";
    // Transactions, request-reply, recall.
    EndTransaction = 37, "END_TRANSACTION";
    CheckTransactionState = 39, "CHECK_TRANSACTION_STATE";
    SendReplyMessage = 324, "SEND_REPLY_MESSAGE";
    SendReplyMessageV2 = 325, "SEND_REPLY_MESSAGE_V2";
    PushReplyMessageToClient = 326, "PUSH_REPLY_MESSAGE_TO_CLIENT";
    RecallMessage = 370, "RECALL_MESSAGE";
    ResumeCheckHalfMessage = 323, "RESUME_CHECK_HALF_MESSAGE";
    // Topic, subscription group and broker administration.
    UpdateAndCreateTopic = 17, "UPDATE_AND_CREATE_TOPIC";
    UpdateAndCreateTopicList = 18, "UPDATE_AND_CREATE_TOPIC_LIST";
    DeleteTopicInBroker = 215, "DELETE_TOPIC_IN_BROKER";
    GetTopicConfig = 351, "GET_TOPIC_CONFIG";
    GetAllTopicConfig = 21, "GET_ALL_TOPIC_CONFIG";
    GetTopicStatsInfo = 202, "GET_TOPIC_STATS_INFO";
    UpdateAndCreateSubscriptiongroup = 200, "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP";
    UpdateAndCreateSubscriptiongroupList = 225, "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST";
    DeleteSubscriptiongroup = 207, "DELETE_SUBSCRIPTIONGROUP";
    GetSubscriptiongroupConfig = 352, "GET_SUBSCRIPTIONGROUP_CONFIG";
    GetAllSubscriptiongroupConfig = 201, "GET_ALL_SUBSCRIPTIONGROUP_CONFIG";
    GetBrokerRuntimeInfo = 28, "GET_BROKER_RUNTIME_INFO";
    GetBrokerConfig = 26, "GET_BROKER_CONFIG";
    UpdateBrokerConfig = 25, "UPDATE_BROKER_CONFIG";
    GetConsumeStats = 208, "GET_CONSUME_STATS";
    GetConsumerConnectionList = 203, "GET_CONSUMER_CONNECTION_LIST";
    GetProducerConnectionList = 204, "GET_PRODUCER_CONNECTION_LIST";
    GetAllProducerInfo = 328, "GET_ALL_PRODUCER_INFO";
    QueryTopicConsumeByWho = 300, "QUERY_TOPIC_CONSUME_BY_WHO";
    QueryTopicsByConsumer = 343, "QUERY_TOPICS_BY_CONSUMER";
    QuerySubscriptionByConsumer = 345, "QUERY_SUBSCRIPTION_BY_CONSUMER";
    QueryConsumeTimeSpan = 303, "QUERY_CONSUME_TIME_SPAN";
    QueryCorrectionOffset = 308, "QUERY_CORRECTION_OFFSET";
    InvokeBrokerToResetOffset = 222, "INVOKE_BROKER_TO_RESET_OFFSET";
    InvokeBrokerToGetConsumerStatus = 223, "INVOKE_BROKER_TO_GET_CONSUMER_STATUS";
    CloneGroupOffset = 314, "CLONE_GROUP_OFFSET";
    ViewBrokerStatsData = 315, "VIEW_BROKER_STATS_DATA";
    GetBrokerConsumeStats = 317, "GET_BROKER_CONSUME_STATS";
    QueryConsumeQueue = 321, "QUERY_CONSUME_QUEUE";
    GetSystemTopicListFromBroker = 305, "GET_SYSTEM_TOPIC_LIST_FROM_BROKER";
    CleanExpiredConsumequeue = 306, "CLEAN_EXPIRED_CONSUMEQUEUE";
    DeleteExpiredCommitlog = 329, "DELETE_EXPIRED_COMMITLOG";
    CleanUnusedTopic = 316, "CLEAN_UNUSED_TOPIC";
    UpdateAndGetGroupForbidden = 353, "UPDATE_AND_GET_GROUP_FORBIDDEN";
    GetAllConsumerOffset = 43, "GET_ALL_CONSUMER_OFFSET";
    GetAllDelayOffset = 45, "GET_ALL_DELAY_OFFSET";
    GetTimerCheckPoint = 60, "GET_TIMER_CHECK_POINT";
    GetTimerMetrics = 61, "GET_TIMER_METRICS";
    UpdateColdDataFlowCtrConfig = 2001, "UPDATE_COLD_DATA_FLOW_CTR_CONFIG";
    RemoveColdDataFlowCtrConfig = 2002, "REMOVE_COLD_DATA_FLOW_CTR_CONFIG";
    GetColdDataFlowCtrInfo = 2003, "GET_COLD_DATA_FLOW_CTR_INFO";
    SetCommitlogReadMode = 2004, "SET_COMMITLOG_READ_MODE";
    CheckRocksdbCqWriteProgress = 354, "CHECK_ROCKSDB_CQ_WRITE_PROGRESS";
    ExportRocksdbConfigToJson = 355, "EXPORT_ROCKSDB_CONFIG_TO_JSON";
    SwitchTimerEngine = 5001, "SWITCH_TIMER_ENGINE";
    AddBroker = 902, "ADD_BROKER";
    RemoveBroker = 903, "REMOVE_BROKER";
    // NameServer.
    RegisterBroker = 103, "REGISTER_BROKER";
    UnregisterBroker = 104, "UNREGISTER_BROKER";
    BrokerHeartbeat = 904, "BROKER_HEARTBEAT";
    QueryDataVersion = 322, "QUERY_DATA_VERSION";
    RegisterTopicInNamesrv = 217, "REGISTER_TOPIC_IN_NAMESRV";
    GetBrokerMemberGroup = 901, "GET_BROKER_MEMBER_GROUP";
    GetBrokerClusterInfo = 106, "GET_BROKER_CLUSTER_INFO";
    GetAllTopicListFromNameserver = 206, "GET_ALL_TOPIC_LIST_FROM_NAMESERVER";
    DeleteTopicInNamesrv = 216, "DELETE_TOPIC_IN_NAMESRV";
    PutKvConfig = 100, "PUT_KV_CONFIG";
    GetKvConfig = 101, "GET_KV_CONFIG";
    DeleteKvConfig = 102, "DELETE_KV_CONFIG";
    GetKvlistByNamespace = 219, "GET_KVLIST_BY_NAMESPACE";
    WipeWritePermOfBroker = 205, "WIPE_WRITE_PERM_OF_BROKER";
    AddWritePermOfBroker = 327, "ADD_WRITE_PERM_OF_BROKER";
    GetTopicsByCluster = 224, "GET_TOPICS_BY_CLUSTER";
    GetSystemTopicListFromNs = 304, "GET_SYSTEM_TOPIC_LIST_FROM_NS";
    GetUnitTopicList = 311, "GET_UNIT_TOPIC_LIST";
    GetHasUnitSubTopicList = 312, "GET_HAS_UNIT_SUB_TOPIC_LIST";
    GetHasUnitSubUnunitTopicList = 313, "GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST";
    UpdateNamesrvConfig = 318, "UPDATE_NAMESRV_CONFIG";
    GetNamesrvConfig = 319, "GET_NAMESRV_CONFIG";
    NotifyMinBrokerIdChange = 905, "NOTIFY_MIN_BROKER_ID_CHANGE";
    // High availability and controller.
    ExchangeBrokerHaInfo = 906, "EXCHANGE_BROKER_HA_INFO";
    GetBrokerHaStatus = 907, "GET_BROKER_HA_STATUS";
    ResetMasterFlushOffset = 908, "RESET_MASTER_FLUSH_OFFSET";
    ControllerAlterSyncStateSet = 1001, "CONTROLLER_ALTER_SYNC_STATE_SET";
    ControllerElectMaster = 1002, "CONTROLLER_ELECT_MASTER";
    ControllerRegisterBroker = 1003, "CONTROLLER_REGISTER_BROKER";
    ControllerGetReplicaInfo = 1004, "CONTROLLER_GET_REPLICA_INFO";
    ControllerGetMetadataInfo = 1005, "CONTROLLER_GET_METADATA_INFO";
    ControllerGetSyncStateData = 1006, "CONTROLLER_GET_SYNC_STATE_DATA";
    GetBrokerEpochCache = 1007, "GET_BROKER_EPOCH_CACHE";
    NotifyBrokerRoleChanged = 1008, "NOTIFY_BROKER_ROLE_CHANGED";
    UpdateControllerConfig = 1009, "UPDATE_CONTROLLER_CONFIG";
    GetControllerConfig = 1010, "GET_CONTROLLER_CONFIG";
    CleanBrokerData = 1011, "CLEAN_BROKER_DATA";
    ControllerGetNextBrokerId = 1012, "CONTROLLER_GET_NEXT_BROKER_ID";
    ControllerApplyBrokerId = 1013, "CONTROLLER_APPLY_BROKER_ID";
    // Users and access control.
    AuthCreateUser = 3001, "AUTH_CREATE_USER";
    AuthUpdateUser = 3002, "AUTH_UPDATE_USER";
    AuthDeleteUser = 3003, "AUTH_DELETE_USER";
    AuthGetUser = 3004, "AUTH_GET_USER";
    AuthListUser = 3005, "AUTH_LIST_USER";
    AuthCreateAcl = 3006, "AUTH_CREATE_ACL";
    AuthUpdateAcl = 3007, "AUTH_UPDATE_ACL";
    AuthDeleteAcl = 3008, "AUTH_DELETE_ACL";
    AuthGetAcl = 3009, "AUTH_GET_ACL";
    AuthListAcl = 3010, "AUTH_LIST_ACL";
    // Static, light and lite topics.
    UpdateAndCreateStaticTopic = 513, "UPDATE_AND_CREATE_STATIC_TOPIC";
    PopLiteMessage = 200070, "POP_LITE_MESSAGE";
    LiteSubscriptionCtl = 200071, "LITE_SUBSCRIPTION_CTL";
    NotifyUnsubscribeLite = 200073, "NOTIFY_UNSUBSCRIBE_LITE";
    GetBrokerLiteInfo = 200074, "GET_BROKER_LITE_INFO";
    GetParentTopicInfo = 200075, "GET_PARENT_TOPIC_INFO";
    GetLiteTopicInfo = 200076, "GET_LITE_TOPIC_INFO";
    GetLiteClientInfo = 200077, "GET_LITE_CLIENT_INFO";
    GetLiteGroupInfo = 200078, "GET_LITE_GROUP_INFO";
    TriggerLiteDispatch = 200079, "TRIGGER_LITE_DISPATCH";
    // Numbers that RocketMQ 5.5.0 defines and answers with code 3.
    QueryBrokerOffset = 13, "QUERY_BROKER_OFFSET";
    GetTopicConfigList = 22, "GET_TOPIC_CONFIG_LIST";
    GetTopicNameList = 23, "GET_TOPIC_NAME_LIST";
    TriggerDeleteFiles = 27, "TRIGGER_DELETE_FILES";
    GetClientConfig = 47, "GET_CLIENT_CONFIG";
    AckLiteMessage = 200072, "ACK_LITE_MESSAGE";
    SuspendConsumer = 209, "SUSPEND_CONSUMER";
    ResumeConsumer = 210, "RESUME_CONSUMER";
    ResetConsumerOffsetInConsumer = 211, "RESET_CONSUMER_OFFSET_IN_CONSUMER";
    ResetConsumerOffsetInBroker = 212, "RESET_CONSUMER_OFFSET_IN_BROKER";
    AdjustConsumerThreadPool = 213, "ADJUST_CONSUMER_THREAD_POOL";
    WhoConsumeTheMessage = 214, "WHO_CONSUME_THE_MESSAGE";
    RegisterFilterServer = 301, "REGISTER_FILTER_SERVER";
    RegisterMessageFilterClass = 302, "REGISTER_MESSAGE_FILTER_CLASS";
    BrokerCloseChannelRequest = 1014, "BROKER_CLOSE_CHANNEL_REQUEST";
    CheckNotActiveBrokerRequest = 1015, "CHECK_NOT_ACTIVE_BROKER_REQUEST";
    GetBrokerLiveInfoRequest = 1016, "GET_BROKER_LIVE_INFO_REQUEST";
    GetSyncStateDataRequest = 1017, "GET_SYNC_STATE_DATA_REQUEST";
    RaftBrokerHeartBeatEventRequest = 1018, "RAFT_BROKER_HEART_BEAT_EVENT_REQUEST";
    // Ours, of which RocketMQ knows nothing: Raft groups (docs/mqadmin.md). They lie in a range that it does not use, and
    // below 2^15, because its binary headers have 16 bits for a code.
    GetRaftGroupState = 29001, "GET_RAFT_GROUP_STATE";
    AddRaftLearner = 29002, "ADD_RAFT_LEARNER";
    PromoteRaftLearner = 29003, "PROMOTE_RAFT_LEARNER";
    RemoveRaftMember = 29004, "REMOVE_RAFT_MEMBER";
    ReplaceRaftMember = 29005, "REPLACE_RAFT_MEMBER";
    TransferRaftLeader = 29006, "TRANSFER_RAFT_LEADER";
    RecoverRaftGroup = 29007, "RECOVER_RAFT_GROUP";
}

impl RequestCode {
    /// The codes that are ours and not RocketMQ's.
    pub const OURS: std::ops::RangeInclusive<i32> = 29_000..=29_999;
}
