//! Consumer offsets and topics: what is told, what survives, what goes.

mod support;

use std::rc::Rc;
use std::time::Duration;

use remoting::header::DecodeExt;
use remoting::header::offset::{
    Boundary, OffsetReply, QueryOffsetHeader, QueueHeader, SearchOffsetHeader, StoreTimeReply,
    UpdateOffsetHeader,
};
use remoting::header::topic::TopicHeader;
use remoting::{Command, RequestCode, ResponseCode};
use runtime::channel::mailbox;
use runtime::sim::Simulation;
use support::member::Member;
use support::{Client, IP, LIMIT, Running, config, create_header, in_simulation, simulated};

fn with_shard<Fut>(test: fn(Rc<Client>) -> Fut)
where
    Fut: Future<Output = ()> + 'static,
{
    in_simulation(17, move |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let client = Rc::new(Client::connect(place.addr()).await);
        client.create_topic("T", 2).await;
        client.pull("T", 0, 0).await; // makes the group
        test(client).await;
        shard.stop().await;
    });
}

fn oneway_commit(client: &Client, queue: i32, offset: i64) {
    let header = UpdateOffsetHeader {
        consumer_group: "G",
        topic: "T",
        queue_id: queue,
        commit_offset: offset,
    };
    let command = Command::oneway(RequestCode::UpdateConsumerOffset).with_ext(&header);
    client.connection.oneway(&command).expect("it is short");
}

async fn delete(client: &Client, topic: &str) -> Command {
    client.request(RequestCode::DeleteTopicInBroker, &TopicHeader { topic }).await
}

#[test]
fn a_new_group_begins_a_young_queue_at_its_first_message() {
    with_shard(|client| async move {
        let query = |set_zero_if_not_found| QueryOffsetHeader {
            consumer_group: "G",
            topic: "T",
            queue_id: 0,
            set_zero_if_not_found,
        };
        let ask = |set_zero: Option<bool>| {
            let client = Rc::clone(&client);
            async move { client.request(RequestCode::QueryConsumerOffset, &query(set_zero)).await }
        };
        assert_eq!(ask(None).await.code, ResponseCode::QueryNotFound.code());
        client.send("T", 0, b"x").await;
        for set_zero in [None, Some(true)] {
            let answer = ask(set_zero).await;
            assert_eq!(answer.code, 0);
            let reply = OffsetReply::decode(RequestCode::QueryConsumerOffset, &answer.ext);
            assert_eq!(reply, Ok(OffsetReply { offset: 0 }));
        }
        assert_eq!(ask(Some(false)).await.code, ResponseCode::QueryNotFound.code());
    });
}

#[test]
fn updates_are_checked() {
    with_shard(|client| async move {
        for (group, topic, queue, offset, want) in [
            ("G", "T", 0, 5, ResponseCode::Success),
            ("G", "Nothing", 0, 5, ResponseCode::TopicNotExist),
            ("Nobody", "T", 0, 5, ResponseCode::SubscriptionGroupNotExist),
            ("G", "T", 2, 5, ResponseCode::InvalidParameter),
            ("G", "T", -1, 5, ResponseCode::InvalidParameter),
            ("G", "T", 0, -1, ResponseCode::InvalidParameter),
        ] {
            let answer = client.commit(group, topic, queue, offset).await;
            assert_eq!(answer.code, want.code(), "{:?}", answer.remark);
        }
        assert_eq!(client.committed("G", "T", 0).await, Some(5));
        // Going back is allowed.
        client.commit("G", "T", 0, 2).await;
        assert_eq!(client.committed("G", "T", 0).await, Some(2));
    });
}

#[test]
fn a_query_sees_the_oneway_update_before_it() {
    with_shard(|client| async move {
        for offset in 1..100 {
            oneway_commit(&client, 0, offset);
            oneway_commit(&client, 1, 2 * offset);
        }
        assert_eq!(client.committed("G", "T", 0).await, Some(99));
        assert_eq!(client.committed("G", "T", 1).await, Some(198));
        assert_eq!(client.committed("Other", "T", 1).await, None);
    });
}

/// What one life of the process does, and the offsets that the next one finds.
fn over_a_crash(wait: Duration, stop: bool) -> (Option<i64>, Option<i64>) {
    let simulation = Simulation::new(23);
    let node = simulation.node("node", IP);
    let before = node.start("before", move || async move {
        let place = simulated();
        let shard = Running::start(&config(&place, &[]), &place).await;
        let client = Client::connect(place.addr()).await;
        client.create_topic("T", 2).await;
        client.pull("T", 0, 0).await;
        assert_eq!(client.commit("G", "T", 0, 7).await.code, 0);
        oneway_commit(&client, 1, 9);
        runtime::sleep(wait).await;
        if stop {
            shard.stop().await;
        }
    });
    simulation.join(before, LIMIT).expect("the first life");
    node.crash();
    let after = node.start("after", move || async move {
        let place = simulated();
        let shard = Running::start(&config(&place, &[]), &place).await;
        assert_eq!(shard.started.clean, stop);
        let client = Client::connect(place.addr()).await;
        let found = (client.committed("G", "T", 0).await, client.committed("G", "T", 1).await);
        shard.stop().await;
        found
    });
    simulation.join(after, LIMIT).expect("the second life")
}

#[test]
fn offsets_survive_the_death_of_the_process() {
    // Acknowledged: always. Oneway: after a second, or a graceful stop.
    assert_eq!(over_a_crash(Duration::from_millis(5), false), (Some(7), None));
    assert_eq!(over_a_crash(Duration::from_millis(1_100), false), (Some(7), Some(9)));
    assert_eq!(over_a_crash(Duration::from_millis(5), true), (Some(7), Some(9)));
}

#[test]
fn a_topic_made_again_starts_clean() {
    with_shard(|client| async move {
        client.send("T", 0, b"old").await;
        client.commit("G", "T", 0, 1).await;
        assert_eq!(delete(&client, "T").await.code, 0);
        assert_eq!(client.pull("T", 0, 0).await.code, ResponseCode::TopicNotExist);
        assert_eq!(delete(&client, "T").await.code, 0, "deleting nothing succeeds");
        client.create_topic("T", 2).await;
        assert_eq!(client.max_offset("T", 0).await, 0);
        assert_eq!(client.committed("G", "T", 0).await, None);
        assert_eq!(client.send("T", 0, b"new").await.offset, 0);
        assert_eq!(client.pull("T", 0, 0).await.bodies, [b"new"]);
        for system in ["TBW102", "DefaultCluster", "broker-a", "SELF_TEST_TOPIC"] {
            let answer = delete(&client, system).await;
            assert_eq!(answer.code, ResponseCode::InvalidParameter.code(), "{system}");
        }
    });
}

#[test]
fn a_topic_grows_and_shrinks() {
    with_shard(|client| async move {
        client.send("T", 1, b"in queue 1").await;
        let change = |read, write| {
            let client = Rc::clone(&client);
            async move {
                let mut header = create_header("T", 1);
                (header.read_queue_nums, header.write_queue_nums) = (read, write);
                let answer = client.request(RequestCode::UpdateAndCreateTopic, &header).await;
                assert_eq!(answer.code, 0, "{:?}", answer.remark);
            }
        };
        change(1, 1).await;
        let gone = client.send_with(&support::send_header("T", 1), b"x").await;
        assert_eq!(gone.expect_err("the queue is gone").0, ResponseCode::InvalidParameter);
        assert_eq!(client.pull("T", 1, 0).await.code, ResponseCode::InvalidParameter);
        change(4, 4).await;
        assert_eq!(client.pull("T", 1, 0).await.bodies, [b"in queue 1"]);
        assert_eq!(client.send("T", 1, b"x").await.offset, 1);
        assert_eq!(client.send("T", 3, b"x").await.offset, 0);
        change(4, 4).await;
    });
}

#[test]
fn times_find_offsets() {
    with_shard(|client| async move {
        let store_time = |topic: &'static str, queue_id| {
            let client = Rc::clone(&client);
            async move {
                let header = QueueHeader { topic, queue_id };
                let code = RequestCode::GetEarliestMsgStoretime;
                let answer = client.request(code, &header).await;
                StoreTimeReply::decode(code, &answer.ext).expect("a time").timestamp
            }
        };
        assert_eq!(store_time("T", 0).await, -1);
        assert_eq!(store_time("Nothing", 0).await, -1);
        for _ in 0..5 {
            client.send("T", 0, b"x").await;
            runtime::sleep(Duration::from_millis(100)).await;
        }
        let first = store_time("T", 0).await;
        let search = |timestamp, boundary| {
            let client = Rc::clone(&client);
            async move {
                let header = SearchOffsetHeader {
                    topic: "T",
                    lite_topic: None,
                    queue_id: 0,
                    timestamp,
                    boundary,
                };
                let code = RequestCode::SearchOffsetByTimestamp;
                let answer = client.request(code, &header).await;
                OffsetReply::decode(code, &answer.ext).expect("an offset").offset
            }
        };
        for (timestamp, lower, upper) in [
            (0, 0, 0),
            (first, 0, 0),
            (first + 50, 1, 0),
            (first + 150, 2, 1),
            (first + 9_999, 5, 4),
        ] {
            assert_eq!(search(timestamp, Boundary::Lower).await, lower, "{timestamp}");
            assert_eq!(search(timestamp, Boundary::Upper).await, upper, "{timestamp}");
        }
        let header = QueueHeader { topic: "T", queue_id: 0 };
        let answer = client.request(RequestCode::GetMinOffset, &header).await;
        let reply = OffsetReply::decode(RequestCode::GetMinOffset, &answer.ext);
        assert_eq!(reply, Ok(OffsetReply { offset: 0 }));
    });
}

/// Offsets go to the log once a second, also while a deletion is on its way there.
#[test]
fn what_a_deleted_group_has_told_does_not_come_back() {
    let simulation = Simulation::new(31);
    let node = simulation.node("node", IP);
    let (ask, mut asked) = mailbox(1);
    let run = node.start("broker", move || async move {
        let place = simulated();
        let _shard = Running::start(&config(&place, &[]), &place).await;
        let client = Client::connect(place.addr()).await;
        client.create_topic("T", 1).await;
        client.pull("T", 0, 0).await; // makes the group
        ask.try_send(()).expect("asked once");
        runtime::sleep(Duration::from_millis(10)).await;
        oneway_commit(&client, 0, 5);
        runtime::sleep(Duration::from_millis(10)).await;
        let delete = RequestCode::DeleteSubscriptiongroup;
        let gone = [("groupName", "G"), ("cleanOffset", "true")];
        let answer = Member::connect(place.addr()).await.ask(delete, &gone, Vec::new()).await;
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        runtime::sleep(Duration::from_secs(3)).await;
        assert_eq!(client.committed("G", "T", 0).await, None);
    });
    assert!(simulation.run_until(LIMIT, || asked.try_recv().is_some()));
    node.disk().stall(Duration::from_millis(2_500));
    simulation.join(run, LIMIT).expect("the run ends in time");
}
