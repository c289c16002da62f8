//! NameServer: codes 100 to 105, 205, 216, 219, 224, 322, 327, 901, 904.

use crate::header::header;

header! {
    /// GET_ROUTEINFO_BY_TOPIC (105).
    pub struct RouteHeader<'a> {
        /// The topic.
        pub topic: &'a str = "topic",
        /// Whether the client insists on standard JSON; absent means no.
        pub accept_standard_json_only: Option<bool> = "acceptStandardJsonOnly",
    }
}

header! {
    /// REGISTER_BROKER (103).
    pub struct RegisterBrokerHeader<'a> {
        /// The broker's name; replicas share it.
        pub broker_name: &'a str = "brokerName",
        /// `ip:port` for clients.
        pub broker_addr: &'a str = "brokerAddr",
        /// The cluster.
        pub cluster_name: &'a str = "clusterName",
        /// `ip:port` for replicas.
        pub ha_server_addr: &'a str = "haServerAddr",
        /// 0 is the master.
        pub broker_id: i64 = "brokerId",
        /// Without a heartbeat for this long the broker is gone; absent means the NameServer's 120 s.
        pub heartbeat_timeout_millis: Option<i64> = "heartbeatTimeoutMillis",
        /// May the smallest slave stand in for the master? Absent means no.
        pub enable_acting_master: Option<bool> = "enableActingMaster",
        /// Is the body compressed? Absent means no.
        pub compressed: Option<bool> = "compressed",
        /// CRC-32 of the body without its top bit; 0 or absent means unchecked.
        pub body_crc32: Option<i32> = "bodyCrc32",
    }
}

header! {
    /// The answer to 103.
    pub struct RegisterBrokerReply<'a> {
        /// The master's `ip:port` for replicas; for slaves only.
        pub ha_server_addr: Option<&'a str> = "haServerAddr",
        /// The master's `ip:port` for clients; for slaves only.
        pub master_addr: Option<&'a str> = "masterAddr",
    }
}

header! {
    /// A broker and where it is: UNREGISTER_BROKER (104), QUERY_DATA_VERSION (322).
    pub struct BrokerHeader<'a> {
        /// The broker's name.
        pub broker_name: &'a str = "brokerName",
        /// `ip:port` for clients.
        pub broker_addr: &'a str = "brokerAddr",
        /// The cluster.
        pub cluster_name: &'a str = "clusterName",
        /// 0 is the master.
        pub broker_id: i64 = "brokerId",
    }
}

header! {
    /// The answer to 322.
    pub struct DataVersionReply {
        /// Shall the broker register in full?
        pub changed: bool = "changed",
    }
}

header! {
    /// BROKER_HEARTBEAT (904), oneway. The fields after the name are of use to a controller only.
    pub struct BrokerHeartbeatHeader<'a> {
        /// The cluster.
        pub cluster_name: &'a str = "clusterName",
        /// `ip:port` for clients.
        pub broker_addr: &'a str = "brokerAddr",
        /// The broker's name.
        pub broker_name: &'a str = "brokerName",
        /// The broker's id.
        pub broker_id: Option<i64> = "brokerId",
        /// The master's epoch.
        pub epoch: Option<i32> = "epoch",
        /// End of the broker's commitlog.
        pub max_offset: Option<i64> = "maxOffset",
        /// What its replicas have confirmed.
        pub confirm_offset: Option<i64> = "confirmOffset",
        /// Without a heartbeat for this long the broker is gone. RocketMQ spells the name this way.
        pub heartbeat_timeout_millis: Option<i64> = "heartbeatTimeoutMills",
        /// The smaller, the sooner it is elected.
        pub election_priority: Option<i32> = "electionPriority",
    }
}

header! {
    /// DELETE_TOPIC_IN_NAMESRV (216).
    pub struct DropTopicHeader<'a> {
        /// The topic.
        pub topic: &'a str = "topic",
        /// Only in this cluster; absent or empty means everywhere.
        pub cluster_name: Option<&'a str> = "clusterName",
    }
}

header! {
    /// GET_TOPICS_BY_CLUSTER (224).
    pub struct ClusterHeader<'a> {
        /// The cluster.
        pub cluster: &'a str = "cluster",
    }
}

header! {
    /// GET_BROKER_MEMBER_GROUP (901).
    pub struct MemberGroupHeader<'a> {
        /// The cluster.
        pub cluster_name: &'a str = "clusterName",
        /// The broker's name.
        pub broker_name: &'a str = "brokerName",
    }
}

header! {
    /// WIPE_WRITE_PERM_OF_BROKER (205) and ADD_WRITE_PERM_OF_BROKER (327).
    pub struct BrokerNameHeader<'a> {
        /// The broker's name.
        pub broker_name: &'a str = "brokerName",
    }
}

header! {
    /// The answer to 205.
    pub struct WipeWritePermReply {
        /// Topics that were changed.
        pub topics: i32 = "wipeTopicCount",
    }
}

header! {
    /// The answer to 327.
    pub struct AddWritePermReply {
        /// Topics that were changed.
        pub topics: i32 = "addTopicCount",
    }
}

header! {
    /// PUT_KV_CONFIG (100).
    pub struct PutKvHeader<'a> {
        /// The table, for example `ORDER_TOPIC_CONFIG`.
        pub namespace: &'a str = "namespace",
        /// The key in it.
        pub key: &'a str = "key",
        /// The value to store.
        pub value: &'a str = "value",
    }
}

header! {
    /// GET_KV_CONFIG (101) and DELETE_KV_CONFIG (102).
    pub struct KvKeyHeader<'a> {
        /// The table.
        pub namespace: &'a str = "namespace",
        /// The key in it.
        pub key: &'a str = "key",
    }
}

header! {
    /// The answer to 101.
    pub struct KvReply<'a> {
        /// The value that is stored.
        pub value: Option<&'a str> = "value",
    }
}

header! {
    /// GET_KVLIST_BY_NAMESPACE (219).
    pub struct KvNamespaceHeader<'a> {
        /// The table.
        pub namespace: &'a str = "namespace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::RequestCode;
    use crate::header::{DecodeExt, assert_fields};

    #[test]
    fn registration_round_trips() {
        let header = RegisterBrokerHeader {
            broker_name: "b",
            broker_addr: "h:1",
            cluster_name: "c",
            ha_server_addr: "h:2",
            broker_id: 0,
            heartbeat_timeout_millis: None,
            enable_acting_master: Some(false),
            compressed: Some(false),
            body_crc32: Some(7),
        };
        let ext = assert_fields(
            &header,
            &[
                ("brokerName", "b"),
                ("brokerAddr", "h:1"),
                ("clusterName", "c"),
                ("haServerAddr", "h:2"),
                ("brokerId", "0"),
                ("enableActingMaster", "false"),
                ("compressed", "false"),
                ("bodyCrc32", "7"),
            ],
        );
        assert_eq!(RegisterBrokerHeader::decode(RequestCode::RegisterBroker, &ext), Ok(header));
        let broker =
            BrokerHeader { broker_name: "b", broker_addr: "h:1", cluster_name: "c", broker_id: 0 };
        assert_eq!(BrokerHeader::decode(RequestCode::UnregisterBroker, &ext), Ok(broker));
        let heartbeat = BrokerHeartbeatHeader::decode(RequestCode::BrokerHeartbeat, &ext).unwrap();
        assert_eq!((heartbeat.broker_id, heartbeat.epoch), (Some(0), None));
        assert_eq!(heartbeat.heartbeat_timeout_millis, None);
        let reply = RegisterBrokerReply { ha_server_addr: None, master_addr: Some("h:1") };
        let ext = assert_fields(&reply, &[("masterAddr", "h:1")]);
        assert_eq!(RegisterBrokerReply::decode(RequestCode::RegisterBroker, &ext), Ok(reply));
    }

    #[test]
    fn routes_and_topics_round_trip() {
        let header = RouteHeader { topic: "t", accept_standard_json_only: Some(true) };
        let ext = assert_fields(&header, &[("topic", "t"), ("acceptStandardJsonOnly", "true")]);
        assert_eq!(RouteHeader::decode(RequestCode::GetRouteinfoByTopic, &ext), Ok(header));
        let header = DropTopicHeader { topic: "t", cluster_name: Some("c") };
        let ext = assert_fields(&header, &[("topic", "t"), ("clusterName", "c")]);
        assert_eq!(DropTopicHeader::decode(RequestCode::DeleteTopicInNamesrv, &ext), Ok(header));
        let header = ClusterHeader { cluster: "c" };
        let ext = assert_fields(&header, &[("cluster", "c")]);
        assert_eq!(ClusterHeader::decode(RequestCode::GetTopicsByCluster, &ext), Ok(header));
        let header = MemberGroupHeader { cluster_name: "c", broker_name: "b" };
        let ext = assert_fields(&header, &[("clusterName", "c"), ("brokerName", "b")]);
        assert_eq!(MemberGroupHeader::decode(RequestCode::GetBrokerMemberGroup, &ext), Ok(header));
        let ext = assert_fields(&DataVersionReply { changed: true }, &[("changed", "true")]);
        let reply = DataVersionReply::decode(RequestCode::QueryDataVersion, &ext);
        assert_eq!(reply, Ok(DataVersionReply { changed: true }));
    }

    #[test]
    fn keys_values_and_permissions_round_trip() {
        let header = PutKvHeader { namespace: "n", key: "k", value: "v" };
        let ext = assert_fields(&header, &[("namespace", "n"), ("key", "k"), ("value", "v")]);
        assert_eq!(PutKvHeader::decode(RequestCode::PutKvConfig, &ext), Ok(header));
        let key = KvKeyHeader { namespace: "n", key: "k" };
        assert_eq!(KvKeyHeader::decode(RequestCode::GetKvConfig, &ext), Ok(key));
        let reply = KvReply { value: Some("v") };
        assert_eq!(KvReply::decode(RequestCode::GetKvConfig, &ext), Ok(reply));
        let namespace = KvNamespaceHeader { namespace: "n" };
        assert_eq!(
            KvNamespaceHeader::decode(RequestCode::GetKvlistByNamespace, &ext),
            Ok(namespace)
        );
        let header = BrokerNameHeader { broker_name: "b" };
        let ext = assert_fields(&header, &[("brokerName", "b")]);
        assert_eq!(BrokerNameHeader::decode(RequestCode::WipeWritePermOfBroker, &ext), Ok(header));
        assert_fields(&WipeWritePermReply { topics: 2 }, &[("wipeTopicCount", "2")]);
        assert_fields(&AddWritePermReply { topics: 3 }, &[("addTopicCount", "3")]);
    }
}
