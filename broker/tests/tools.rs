//! What the admin tools ask, over connections, on both backends.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use remoting::body::{
    Body, ConsumeStats, ConsumerConnection, GroupList, KvTable, TopicConfigs, TopicList,
    TopicStatsTable,
};
use remoting::{RequestCode, ResponseCode};
use support::member::{Member, queue};
use support::{Client, Running, config, everywhere, in_simulation};

/// What tells an operator of the keys.
const STATUS_PAGE: &str = include_str!("../../docs/status.md");

/// Every key of RocketMQ 5.5.0's runtime information, as far as its names do not depend on the broker.
const RUNTIME_KEYS: [&str; 50] = [
    "EndTransactionQueueSize",
    "EndTransactionThreadPoolQueueCapacity",
    "ackThreadPoolQueueCapacity",
    "ackThreadPoolQueueHeadWaitTimeMills",
    "ackThreadPoolQueueSize",
    "bootTimestamp",
    "brokerActive",
    "brokerVersion",
    "brokerVersionDesc",
    "commitLogDirCapacity",
    "commitLogDiskRatio",
    "commitLogMaxOffset",
    "commitLogMinOffset",
    "consumeQueueDiskRatio",
    "dispatchBehindBytes",
    "dispatchMaxBuffer",
    "earliestMessageTimeStamp",
    "getFoundTps",
    "getMessageEntireTimeMax",
    "getMissTps",
    "getTotalTps",
    "getTransferredTps",
    "litePullThreadPoolQueueSize",
    "msgGetTotalTodayMorning",
    "msgGetTotalTodayNow",
    "msgGetTotalYesterdayMorning",
    "msgPutTotalTodayMorning",
    "msgPutTotalTodayNow",
    "msgPutTotalYesterdayMorning",
    "pageCacheLockTimeMills",
    "pullThreadPoolQueueSize",
    "putLatency99",
    "putLatency999",
    "putMessageAverageSize",
    "putMessageDistributeTime",
    "putMessageEntireTimeMax",
    "putMessageFailedTimes",
    "putMessageSizeTotal",
    "putMessageTimesTotal",
    "putTps",
    "queryThreadPoolQueueSize",
    "remainHowManyDataToFlush",
    "remainTransientStoreBufferNumbs",
    "runtime",
    "sendThreadPoolQueueSize",
    "startAcceptSendRequestTimeStamp",
    "timerCongestNum",
    "timerEnqueueTps",
    "timerOffsetBehind",
    "timerReadBehind",
];

async fn runtime_info(member: &Member) -> BTreeMap<String, String> {
    let answer = member.ask(RequestCode::GetBrokerRuntimeInfo, &[], Vec::new()).await;
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
    KvTable::decode(&answer.body).expect("a table").table
}

/// A key as docs/status.md has it: the thread pools have one set of names, and the log's directory is any.
fn as_documented(key: &str) -> String {
    match key.split_once("ThreadPoolQueue") {
        Some((_pool, what)) => format!("ThreadPoolQueue{what}"),
        None if key.starts_with("commitLogDiskRatio_") => "commitLogDiskRatio_DIR".to_owned(),
        None => key.to_owned(),
    }
}

#[test]
fn runtime_information_is_measured() {
    everywhere("runtime-info", |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let member = Member::connect(place.addr()).await;
        let client = Client::connect(place.addr()).await;
        let before = runtime_info(&member).await;
        for key in RUNTIME_KEYS {
            assert!(before.contains_key(key), "{key} is missing");
        }
        for key in before.keys().map(|key| as_documented(key)) {
            assert!(STATUS_PAGE.contains(&format!("`{key}`")), "docs/status.md lacks {key}");
        }
        let unwritten = before["commitLogUnwrittenBytes"].parse::<u64>();
        assert!(unwritten.is_ok(), "{unwritten:?}");
        assert_eq!(before["brokerVersionDesc"], "V5_5_0");
        assert_eq!(before["brokerActive"], "true");
        let earliest = |info: &BTreeMap<String, String>| {
            info["earliestMessageTimeStamp"].parse::<u64>().expect("a number")
        };
        assert!(earliest(&before) + 10_000 > runtime::unix_millis(), "there is no message");
        assert_eq!(before["msgPutTotalTodayNow"], "0");
        for n in 0..20 {
            client.send("T", n % 4, b"body").await;
        }
        client.pull("T", 0, 0).await;
        client.pull("T", 0, 5).await;
        runtime::sleep(Duration::from_millis(2500)).await;
        let after = runtime_info(&member).await;
        assert_eq!(after["msgPutTotalTodayNow"], "20");
        assert_eq!(after["msgGetTotalTodayNow"], "5");
        assert_eq!(after["putMessageTimesTotal"], "20");
        let tps: Vec<f64> = after["putTps"].split(' ').map(|tps| tps.parse().unwrap()).collect();
        assert_eq!(tps.len(), 3);
        assert!(tps[0] > 0.0, "{tps:?}");
        assert!(earliest(&after) >= earliest(&before));
        assert!(earliest(&after) + 1_000 < runtime::unix_millis(), "the oldest is there for long");
        let number = |key: &str| after[key].parse::<f64>().unwrap_or_else(|_| panic!("{key}"));
        assert!(number("putMessageAverageSize") > 91.0);
        assert!(number("commitLogMaxOffset") > number("commitLogMinOffset"));
        assert!((0.0..=1.0).contains(&number("commitLogDiskRatio")));
        assert!(number("putLatency99") >= 0.0);
        shard.stop().await;
    });
}

#[test]
fn progress_of_topics_and_groups() {
    everywhere("progress", |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let member = Member::connect(place.addr()).await;
        let client = Client::connect(place.addr()).await;
        client.create_topic("T", 2).await;
        member.beat("one", "G", &[("T", "*", 1)]).await;
        for n in 0..7 {
            client.send("T", n % 2, b"body").await;
        }
        assert_eq!(client.commit("G", "T", 0, 3).await.code, 0);
        let fields = [("topic", "T")];
        let answer = member.ask(RequestCode::GetTopicStatsInfo, &fields, Vec::new()).await;
        let stats = TopicStatsTable::decode(&answer.body).expect("stats").offset_table;
        let first = stats[&queue("T", "broker-a", 0)];
        assert_eq!((stats.len(), first.min_offset, first.max_offset), (2, 0, 4));
        assert!(first.last_update_timestamp > 0);

        let fields = [("consumerGroup", "G")];
        let answer = member.ask(RequestCode::GetConsumeStats, &fields, Vec::new()).await;
        let stats = ConsumeStats::decode(&answer.body).expect("stats").offset_table;
        let (first, second) =
            (stats[&queue("T", "broker-a", 0)], stats[&queue("T", "broker-a", 1)]);
        assert_eq!((first.broker_offset, first.consumer_offset), (4, 3));
        assert!(first.last_timestamp > 0);
        assert_eq!(
            (second.broker_offset, second.consumer_offset, second.last_timestamp),
            (3, 0, 0)
        );

        let fields = [("topic", "T")];
        let answer = member.ask(RequestCode::QueryTopicConsumeByWho, &fields, Vec::new()).await;
        assert_eq!(GroupList::decode(&answer.body).expect("groups").group_list, ["G"]);
        let answer = member.ask(RequestCode::GetTopicStatsInfo, &[("topic", "?")], vec![]).await;
        assert_eq!(answer.code, ResponseCode::TopicNotExist.code());
        shard.stop().await;
    });
}

#[test]
fn connections_topics_and_what_nobody_serves() {
    in_simulation(19, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let member = Member::connect(place.addr()).await;
        member.beat("one", "G", &[("T", "TagA||TagB", 4)]).await;
        let fields = [("consumerGroup", "G")];
        let answer = member.ask(RequestCode::GetConsumerConnectionList, &fields, vec![]).await;
        let body = ConsumerConnection::decode(&answer.body).expect("connections");
        assert_eq!(body.connection_set[0].client_id, "one");
        assert_eq!(body.connection_set[0].client_addr, member.connection.local().to_string());
        assert_eq!(body.subscription_table["T"].sub_string, "TagA||TagB");
        let fields = [("consumerGroup", "nobody")];
        let answer = member.ask(RequestCode::GetConsumerConnectionList, &fields, vec![]).await;
        assert_eq!(answer.code, ResponseCode::ConsumerNotOnline.code());

        let fields = [("producerGroup", "PG")];
        let answer = member.ask(RequestCode::GetProducerConnectionList, &fields, vec![]).await;
        assert!(String::from_utf8_lossy(&answer.body).contains(r#""clientId":"one""#));

        let answer = member.ask(RequestCode::GetAllTopicConfig, &[], vec![]).await;
        let all = TopicConfigs::decode(&answer.body).expect("topics");
        assert!(all.topic_config_table.contains_key("TBW102"));
        assert!(all.topic_config_table.contains_key("%RETRY%G"));
        assert_eq!(
            answer.ext.get("totalTopicNum"),
            Some(&*all.topic_config_table.len().to_string())
        );
        let answer = member.ask(RequestCode::GetSystemTopicListFromBroker, &[], vec![]).await;
        let system = TopicList::decode(&answer.body).expect("topics").topic_list;
        assert!(system.contains(&"TBW102".to_owned()) && !system.contains(&"%RETRY%G".to_owned()));

        let answer = member.ask(RequestCode::PopMessage, &[], vec![]).await;
        assert_eq!(answer.code, ResponseCode::RequestCodeNotSupported.code());
        assert_eq!(answer.remark.as_deref(), Some(" request type 200050 not supported"));
        shard.stop().await;
    });
}
