//! Clients, groups and locks, over connections, on both backends.

mod support;

use std::time::Duration;

use remoting::body::{
    Body, CheckClientConfig, ConsumerConnection, HeartbeatData, LockReply, LockRequest,
    MessageModel, ProducerData, SubscriptionData, SubscriptionGroupConfig, TopicConfig,
};
use remoting::fastjson::MessageQueue;
use remoting::{RequestCode, ResponseCode};
use support::member::{Member, queue};
use support::{Client, Running, config, everywhere, in_simulation};

#[test]
fn members_of_a_group_see_each_other_come_and_go() {
    everywhere("members", |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let (one, two) = (Member::connect(place.addr()).await, Member::connect(place.addr()).await);
        assert!(one.members("G").await.is_empty());
        let answer = one.beat("b-client", "G", &[("T", "*", 1)]).await;
        assert_eq!(answer.ext.get("IS_SUPPORT_HEART_BEAT_V2"), Some("false"));
        assert_eq!(one.told().await, 1, "the first member starts by itself being told");
        two.beat("a-client", "G", &[("T", "*", 1)]).await;
        assert_eq!((one.told().await, two.told.0.borrow_mut().drain(..).count()), (1, 1));
        assert_eq!(one.members("G").await, ["a-client", "b-client"]);

        // The same again changes nothing; a further topic does.
        two.beat("a-client", "G", &[("T", "*", 1)]).await;
        assert_eq!(one.told().await, 0);
        two.beat("a-client", "G", &[("T", "*", 1), ("U", "*", 1)]).await;
        assert_eq!(one.told().await, 1);

        let fields = [("clientID", "a-client"), ("consumerGroup", "G"), ("producerGroup", "PG")];
        let answer = two.ask(RequestCode::UnregisterClient, &fields, Vec::new()).await;
        assert_eq!(answer.code, 0);
        assert_eq!(one.told().await, 1);
        assert_eq!(one.members("G").await, ["b-client"]);
        two.beat("a-client", "G", &[("T", "*", 1)]).await;
        assert_eq!(one.told().await, 1);
        two.connection.close();
        assert_eq!(one.told().await, 1, "a closed connection is news at once");
        assert_eq!(one.members("G").await, ["b-client"]);
        shard.stop().await;
    });
}

#[test]
fn many_changes_are_told_together_and_members_that_disagree_make_no_storm() {
    in_simulation(11, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let one = Member::connect(place.addr()).await;
        one.beat("one", "G", &[("T", "*", 1)]).await;
        one.told().await;
        let mut crowd = Vec::new();
        for n in 0..50 {
            let member = Member::connect(place.addr()).await;
            member.beat(&format!("m{n:02}"), "G", &[("T", "*", 1)]).await;
            crowd.push(member);
        }
        let told = one.told().await;
        assert!((1..=25).contains(&told), "{told}");
        assert_eq!(one.members("G").await.len(), 51);
        crowd.iter().for_each(|member| member.connection.close());
        let told = one.told().await;
        assert!((1..=3).contains(&told), "{told}");
        assert_eq!(one.members("G").await, ["one"]);

        let two = Member::connect(place.addr()).await;
        two.beat("two", "G", &[("U", "*", 1)]).await;
        one.told().await;
        for _ in 0..5 {
            one.beat("one", "G", &[("T", "*", 1)]).await;
            two.beat("two", "G", &[("U", "*", 1)]).await;
        }
        assert_eq!(one.told().await, 0, "nothing changes while both stay what they are");
        shard.stop().await;
    });
}

#[test]
fn broadcasting_members_are_not_told() {
    in_simulation(12, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let (one, two) = (Member::connect(place.addr()).await, Member::connect(place.addr()).await);
        one.beat_as("one", "G", MessageModel::Broadcasting, &[("T", "*", 1)]).await;
        two.beat_as("two", "G", MessageModel::Broadcasting, &[("T", "*", 1)]).await;
        assert_eq!(one.told().await, 0);
        assert_eq!(one.members("G").await, ["one", "two"]);
        comes_and_goes_untold(&one, two, MessageModel::Broadcasting).await;
        shard.stop().await;
    });
}

/// `two` leaves the group in which `one` is, and comes back, and loses its connection.
async fn comes_and_goes_untold(one: &Member, two: Member, model: MessageModel) {
    let fields = [("clientID", "two"), ("consumerGroup", "G")];
    assert_eq!(two.ask(RequestCode::UnregisterClient, &fields, Vec::new()).await.code, 0);
    assert_eq!(one.members("G").await, ["one"]);
    two.beat_as("two", "G", model, &[("T", "*", 1)]).await;
    assert_eq!(one.members("G").await, ["one", "two"]);
    two.connection.close();
    assert_eq!(one.told().await, 0);
    assert_eq!(one.members("G").await, ["one"]);
}

#[test]
fn nobody_is_told_where_a_setting_says_so() {
    in_simulation(16, |place| async move {
        let keys = [("notifyConsumerIdsChangedEnable", "false")];
        let shard = Running::start(&config(&place, &keys), &place).await;
        let (one, two) = (Member::connect(place.addr()).await, Member::connect(place.addr()).await);
        one.beat("one", "G", &[("T", "*", 1)]).await;
        two.beat("two", "G", &[("T", "*", 1)]).await;
        comes_and_goes_untold(&one, two, MessageModel::Clustering).await;
        shard.stop().await;
    });
    in_simulation(17, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let (one, two) = (Member::connect(place.addr()).await, Member::connect(place.addr()).await);
        let quiet = SubscriptionGroupConfig {
            group_name: "G".to_owned(),
            notify_consumer_ids_changed_enable: false,
            ..SubscriptionGroupConfig::default()
        };
        let update = RequestCode::UpdateAndCreateSubscriptiongroup;
        assert_eq!(one.ask(update, &[], quiet.encode()).await.code, 0);
        one.beat("one", "G", &[("T", "*", 1)]).await;
        two.beat("two", "G", &[("T", "*", 1)]).await;
        comes_and_goes_untold(&one, two, MessageModel::Clustering).await;
        shard.stop().await;
    });
}

#[test]
fn a_client_that_falls_silent_is_forgotten() {
    in_simulation(13, |place| async move {
        let keys = [("channelExpiredTimeout", "60000")];
        let shard = Running::start(&config(&place, &keys), &place).await;
        let (quiet, lively) =
            (Member::connect(place.addr()).await, Member::connect(place.addr()).await);
        quiet.beat("quiet", "G", &[("T", "*", 1)]).await;
        for _ in 0..4 {
            lively.beat("lively", "G", &[("T", "*", 1)]).await;
            // It talks, and still sends no heartbeat.
            assert_eq!(quiet.members("G").await, ["lively", "quiet"]);
            runtime::sleep(Duration::from_secs(14)).await;
        }
        lively.beat("lively", "G", &[("T", "*", 1)]).await;
        lively.told().await;
        runtime::sleep(Duration::from_secs(15)).await;
        assert_eq!(lively.members("G").await, ["lively"]);
        assert_eq!(lively.told().await, 1);
        assert!(!quiet.connection.is_open());
        shard.stop().await;
    });
}

#[test]
fn a_later_version_of_a_subscription_counts() {
    in_simulation(14, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let (one, two) = (Member::connect(place.addr()).await, Member::connect(place.addr()).await);
        let text = async || {
            let fields = [("consumerGroup", "G")];
            let answer = one.ask(RequestCode::GetConsumerConnectionList, &fields, vec![]).await;
            let body = ConsumerConnection::decode(&answer.body).expect("connections");
            body.subscription_table["T"].sub_string.clone()
        };
        one.beat("one", "G", &[("T", "TagA", 5)]).await;
        two.beat("two", "G", &[("T", "TagB", 7)]).await;
        assert_eq!(text().await, "TagB");
        one.beat("one", "G", &[("T", "TagA", 5)]).await;
        assert_eq!(text().await, "TagB", "an older version does not replace it");
        one.beat("one", "G", &[("T", "TagC", 9)]).await;
        assert_eq!(text().await, "TagC");
        one.beat("one", "G", &[("T", "TagA", 5)]).await;
        assert_eq!(text().await, "TagC", "a heartbeat that was overtaken changes nothing");
        shard.stop().await;
    });
}

#[test]
fn heartbeats_create_groups_and_their_retry_topics_for_good() {
    everywhere("groups", |place| async move {
        let broker = config(&place, &[]);
        let shard = Running::start(&broker, &place).await;
        let member = Member::connect(place.addr()).await;
        member.beat("one", "G", &[("T", "*", 1)]).await;
        let fields = [("topic", "%RETRY%G")];
        let answer = member.ask(RequestCode::GetTopicConfig, &fields, Vec::new()).await;
        let retry = TopicConfig::decode(&answer.body).expect("a topic");
        assert_eq!((retry.write_queue_nums, retry.perm), (1, 6));
        let wanted = SubscriptionGroupConfig {
            group_name: "H".to_owned(),
            retry_max_times: 3,
            consume_enable: false,
            ..SubscriptionGroupConfig::default()
        };
        let update = RequestCode::UpdateAndCreateSubscriptiongroup;
        assert_eq!(member.ask(update, &[], wanted.encode()).await.code, 0);
        shard.stop().await;

        let shard = Running::start(&broker, &place).await;
        let member = Member::connect(place.addr()).await;
        for (group, times) in [("G", 16), ("H", 3)] {
            let fields = [("group", group)];
            let get = RequestCode::GetSubscriptiongroupConfig;
            let answer = member.ask(get, &fields, Vec::new()).await;
            let found = SubscriptionGroupConfig::decode(&answer.body).expect("settings");
            assert_eq!((found.group_name.as_str(), found.retry_max_times), (group, times));
            assert_eq!(found.consume_enable, group == "G");
        }
        let delete = RequestCode::DeleteSubscriptiongroup;
        let answer = member.ask(delete, &[("groupName", "H")], Vec::new()).await;
        assert_eq!(answer.code, 0);
        let all = RequestCode::GetAllSubscriptiongroupConfig;
        let answer = member.ask(all, &[], Vec::new()).await;
        let text = String::from_utf8(answer.body.to_vec()).expect("text");
        assert!(text.contains("\"G\"") && text.contains("\"TOOLS_CONSUMER\""), "{text}");
        assert!(!text.contains("\"H\""), "{text}");
        assert_eq!(answer.ext.get("totalGroupNum"), Some("9"));
        shard.stop().await;
    });
}

#[test]
fn without_automatic_groups_an_unknown_one_is_not_created() {
    in_simulation(15, |place| async move {
        let keys = [("autoCreateSubscriptionGroup", "false")];
        let shard = Running::start(&config(&place, &keys), &place).await;
        let member = Member::connect(place.addr()).await;
        member.beat("one", "G", &[("T", "*", 1)]).await;
        assert!(member.members("G").await.is_empty());
        let get = RequestCode::GetSubscriptiongroupConfig;
        let answer = member.ask(get, &[("group", "G")], Vec::new()).await;
        assert_eq!(answer.code, ResponseCode::SubscriptionGroupNotExist.code());
        member.beat("one", "TOOLS_CONSUMER", &[("T", "*", 1)]).await;
        assert_eq!(member.members("TOOLS_CONSUMER").await, ["one"]);
        shard.stop().await;
    });
}

#[test]
fn heartbeats_that_make_no_sense_are_refused() {
    in_simulation(16, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let member = Member::connect(place.addr()).await;
        for body in ["", "{", "[]", r#"{"clientID":""}"#, r#"{"consumerDataSet":3}"#] {
            let answer = member.ask(RequestCode::HeartBeat, &[], body.into()).await;
            assert_ne!(answer.code, 0, "{body}");
        }
        let groups = (0..5000).map(|n| ProducerData { group_name: format!("g{n}") });
        let crowd = HeartbeatData {
            client_id: "one".to_owned(),
            producer_data_set: groups.collect(),
            ..HeartbeatData::default()
        };
        let answer = member.ask(RequestCode::HeartBeat, &[], crowd.encode()).await;
        assert_eq!(answer.code, ResponseCode::InvalidParameter.code());
        shard.stop().await;
    });
}

#[test]
fn subscriptions_are_checked_before_they_are_used() {
    in_simulation(17, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let member = Member::connect(place.addr()).await;
        let check = async |kind: &str, text: &str| {
            let body = CheckClientConfig {
                subscription_data: SubscriptionData {
                    expression_type: kind.to_owned(),
                    sub_string: text.to_owned(),
                    ..SubscriptionData::default()
                },
                ..CheckClientConfig::default()
            };
            member.ask(RequestCode::CheckClientConfig, &[], body.encode()).await.code
        };
        assert_eq!(check("TAG", "TagA || TagB").await, 0);
        assert_eq!(check("SQL92", "a > 1").await, ResponseCode::SystemError.code());
        assert_eq!(check("TAG", "||").await, ResponseCode::SubscriptionParseFailed.code());
        shard.stop().await;
    });
}

async fn lock(member: &Member, code: RequestCode, client: &str, set: &[MessageQueue]) -> Vec<i32> {
    let request = LockRequest {
        client_id: client.to_owned(),
        consumer_group: "G".to_owned(),
        mq_set: set.to_vec(),
        only_this_broker: false,
    };
    let answer = member.ask(code, &[], request.encode()).await;
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
    if code == RequestCode::UnlockBatchMq {
        return Vec::new();
    }
    let locked = LockReply::decode(&answer.body).expect("a set").locked;
    locked.into_iter().map(|queue| queue.queue_id).collect()
}

#[test]
fn queues_are_locked_for_one_client_until_it_lets_go_or_falls_silent() {
    in_simulation(18, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let client = Client::connect(place.addr()).await;
        client.create_topic("T", 4).await;
        let member = Member::connect(place.addr()).await;
        let set = [
            queue("T", "broker-a", 0),
            queue("T", "broker-a", 1),
            queue("T", "broker-a", 4),
            queue("T", "another", 2),
            queue("unknown", "broker-a", 0),
        ];
        let (take, give) = (RequestCode::LockBatchMq, RequestCode::UnlockBatchMq);
        assert_eq!(lock(&member, take, "a", &set).await, [0, 1]);
        assert_eq!(lock(&member, take, "b", &set).await, Vec::<i32>::new());
        lock(&member, give, "b", &set).await;
        assert_eq!(lock(&member, take, "b", &set).await, Vec::<i32>::new());
        lock(&member, give, "a", &set[..1]).await;
        assert_eq!(lock(&member, take, "b", &set).await, [0]);
        for _ in 0..3 {
            runtime::sleep(Duration::from_secs(19)).await;
            assert_eq!(lock(&member, take, "a", &set).await, [1]);
        }
        runtime::sleep(Duration::from_secs(4)).await;
        assert_eq!(lock(&member, take, "a", &set).await, [0, 1], "b did not renew");
        shard.stop().await;
    });
}
