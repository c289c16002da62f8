//! Routes and clusters, as the NameServer tells them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The queues of one topic at one broker name. Class QueueData.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueData {
    /// The broker's name.
    pub broker_name: String,
    /// Permission bits, see [`crate::route::Perm`].
    pub perm: i32,
    /// Queues that consumers see.
    pub read_queue_nums: i32,
    /// System flag of the topic.
    pub topic_sys_flag: i32,
    /// Queues that producers see.
    pub write_queue_nums: i32,
}

/// The replicas of one broker name. Class BrokerData.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerData {
    /// `ip:port` by broker id; 0 is the master.
    pub broker_addrs: BTreeMap<i64, String>,
    /// The broker's name.
    pub broker_name: String,
    /// The cluster.
    pub cluster: String,
    /// May the smallest slave stand in for the master?
    pub enable_acting_master: bool,
    /// The zone, where zones are used.
    pub zone_name: Option<String>,
}

/// Where a topic's queues are: the answer to GET_ROUTEINFO_BY_TOPIC (105). Class TopicRouteData.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicRouteData {
    /// The brokers that have queues of the topic.
    pub broker_datas: Vec<BrokerData>,
    /// Filter servers by broker address; no longer used.
    pub filter_server_table: BTreeMap<String, Vec<String>>,
    /// `name:queues;…` of an ordered topic.
    pub order_topic_conf: Option<String>,
    /// The queues.
    pub queue_datas: Vec<QueueData>,
    /// Static topic mappings by broker name, carried as JSON.
    pub topic_queue_mapping_by_broker: Option<serde_json::Value>,
}

/// All brokers: the answer to GET_BROKER_CLUSTER_INFO (106). Class ClusterInfo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterInfo {
    /// Brokers by name.
    pub broker_addr_table: BTreeMap<String, BrokerData>,
    /// Broker names by cluster.
    pub cluster_addr_table: BTreeMap<String, BTreeSet<String>>,
}

/// The replicas of one broker name that are alive. Class BrokerMemberGroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerMemberGroup {
    /// `ip:port` by broker id.
    pub broker_addrs: BTreeMap<i64, String>,
    /// The broker's name.
    pub broker_name: String,
    /// The cluster.
    pub cluster: String,
}

/// The answer to GET_BROKER_MEMBER_GROUP (901).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MemberGroupReply {
    /// The replicas; their map is empty if none is alive.
    pub broker_member_group: Option<BrokerMemberGroup>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Body, assert_json};

    fn broker() -> BrokerData {
        BrokerData {
            broker_addrs: BTreeMap::from([(0, "h:1".to_owned()), (1, "h:2".to_owned())]),
            broker_name: "b".to_owned(),
            cluster: "C".to_owned(),
            ..BrokerData::default()
        }
    }

    #[test]
    fn a_route_with_quoted_broker_ids() {
        let route = TopicRouteData {
            broker_datas: vec![broker()],
            queue_datas: vec![QueueData {
                broker_name: "b".to_owned(),
                perm: 6,
                read_queue_nums: 4,
                topic_sys_flag: 0,
                write_queue_nums: 4,
            }],
            ..TopicRouteData::default()
        };
        let text = r#"{"brokerDatas":[{"brokerAddrs":{"0":"h:1","1":"h:2"},"brokerName":"b","cluster":"C","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#;
        assert_json(&route, text);
        let bare = text.replace(r#""0":"#, "0:").replace(r#""1":"#, "1:");
        assert_eq!(TopicRouteData::decode(bare.as_bytes()).unwrap(), route);
    }

    #[test]
    fn a_cluster() {
        let info = ClusterInfo {
            broker_addr_table: BTreeMap::from([("b".to_owned(), broker())]),
            cluster_addr_table: BTreeMap::from([(
                "C".to_owned(),
                BTreeSet::from(["b".to_owned()]),
            )]),
        };
        let text = r#"{"brokerAddrTable":{"b":{"brokerAddrs":{"0":"h:1","1":"h:2"},"brokerName":"b","cluster":"C","enableActingMaster":false}},"clusterAddrTable":{"C":["b"]}}"#;
        assert_json(&info, text);
    }

    #[test]
    fn a_member_group() {
        let group = BrokerMemberGroup {
            broker_addrs: BTreeMap::from([(0, "h:1".to_owned())]),
            broker_name: "b".to_owned(),
            cluster: "C".to_owned(),
        };
        let text =
            r#"{"brokerMemberGroup":{"brokerAddrs":{"0":"h:1"},"brokerName":"b","cluster":"C"}}"#;
        assert_json(&MemberGroupReply { broker_member_group: Some(group) }, text);
        assert_json(&MemberGroupReply::default(), "{}");
    }
}
