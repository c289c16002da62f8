//! What a pull is answered, and when.

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use model::tag::tag_hash;
use remoting::body::{Body, HeartbeatData};
use remoting::header::DecodeExt;
use remoting::header::pull::{PullHeader, PullReply, pull_flag};
use remoting::header::topic::TopicHeader;
use remoting::{Command, RequestCode, ResponseCode};
use runtime::Instant;
use runtime::channel::mailbox;
use runtime::sim::{DiskOp, Simulation, When};
use support::{
    Client, IP, LIMIT, Place, Pulled, Running, config, create_header, in_simulation, pull_header,
    pulled, send_header, simulated, text,
};
use transport::{Limits, NoRequests, connect};

struct Setup {
    client: Rc<Client>,
    place: Place,
}

fn with_shard<Fut>(keys: &'static [(&'static str, &'static str)], test: fn(Setup) -> Fut)
where
    Fut: Future<Output = ()> + 'static,
{
    in_simulation(13, move |place| async move {
        let shard = Running::start(&config(&place, keys), &place).await;
        let client = Rc::new(Client::connect(place.addr()).await);
        client.create_topic("T", 2).await;
        test(Setup { client, place }).await;
        shard.stop().await;
    });
}

async fn send_tagged(client: &Client, queue: i32, tag: &str, body: &[u8]) {
    let properties = text(&[("TAGS", tag)]);
    let mut header = send_header("T", queue);
    header.properties = Some(&properties);
    client.send_with(&header, body).await.expect("it is stored");
}

/// A pull that waits up to `millis` for a message.
fn waiting(queue: i32, offset: i64, expression: &str, millis: i64) -> PullHeader<'_> {
    PullHeader {
        sys_flag: pull_flag::SUBSCRIPTION | pull_flag::SUSPEND,
        suspend_timeout_millis: millis,
        subscription: Some(expression),
        ..pull_header("T", queue, offset)
    }
}

/// A pull under way, and when it was answered.
struct Held {
    answer: runtime::Task<(Pulled, Instant)>,
}

fn start_pull(client: &Rc<Client>, header: PullHeader<'static>) -> Held {
    let client = Rc::clone(client);
    let answer = runtime::spawn(async move {
        let answer = client.pull_with(&header).await;
        (answer, runtime::now())
    });
    Held { answer }
}

async fn settle() {
    runtime::sleep(Duration::from_millis(20)).await;
}

#[test]
fn the_outcomes_of_a_pull() {
    with_shard(&[], |Setup { client, .. }| async move {
        for number in 0..10u8 {
            client.send("T", 0, &[number]).await;
        }
        for (queue, offset, code, remark, next) in [
            (0, 0, ResponseCode::Success, "FOUND", 10),
            (0, 9, ResponseCode::Success, "FOUND", 10),
            (0, 10, ResponseCode::PullNotFound, "OFFSET_OVERFLOW_ONE", 10),
            (0, 11, ResponseCode::PullOffsetMoved, "OFFSET_OVERFLOW_BADLY", 10),
            (0, -1, ResponseCode::PullOffsetMoved, "OFFSET_TOO_SMALL", 0),
            (1, 0, ResponseCode::PullNotFound, "NO_MESSAGE_IN_QUEUE", 0),
            (1, 5, ResponseCode::PullOffsetMoved, "NO_MESSAGE_IN_QUEUE", 0),
        ] {
            let pulled = client.pull("T", queue, offset).await;
            assert_eq!((pulled.code, pulled.remark.as_str(), pulled.next), (code, remark, next));
            assert_eq!((pulled.min, pulled.max), (0, if queue == 0 { 10 } else { 0 }));
        }
        let mut few = pull_header("T", 0, 2);
        few.max_msg_nums = 3;
        let pulled = client.pull_with(&few).await;
        assert_eq!((pulled.offsets, pulled.next), (vec![2, 3, 4], 5));
        few.max_msg_bytes = Some(1);
        let pulled = client.pull_with(&few).await;
        assert_eq!((pulled.offsets, pulled.next), (vec![2], 3));
    });
}

#[test]
fn what_may_not_be_pulled() {
    with_shard(&[("autoCreateSubscriptionGroup", "false")], |Setup { client, .. }| async move {
        let unknown = client.pull("T", 0, 0).await;
        assert_eq!(unknown.code, ResponseCode::SubscriptionGroupNotExist);
        let tools =
            |header: PullHeader<'static>| PullHeader { consumer_group: "TOOLS_CONSUMER", ..header };
        let code = |header: PullHeader<'static>| {
            let client = Rc::clone(&client);
            async move { client.pull_with(&tools(header)).await.code }
        };
        assert_eq!(code(pull_header("Nothing", 0, 0)).await, ResponseCode::TopicNotExist);
        assert_eq!(code(pull_header("T", 2, 0)).await, ResponseCode::InvalidParameter);
        assert_eq!(code(pull_header("T", -1, 0)).await, ResponseCode::InvalidParameter);
        let mut header = pull_header("T", 0, 0);
        header.subscription = Some("||");
        let command = Command::request(RequestCode::PullMessage).with_ext(&tools(header));
        let answer = client.ask(command).await;
        assert_eq!(answer.code, ResponseCode::SubscriptionParseFailed.code());
        header.subscription = Some("a > 1");
        header.expression_type = Some("SQL92");
        assert_eq!(code(header).await, ResponseCode::SystemError);
        let mut deaf = create_header("Deaf", 1);
        deaf.perm = 2;
        assert_eq!(client.request(RequestCode::UpdateAndCreateTopic, &deaf).await.code, 0);
        let header = tools(pull_header("Deaf", 0, 0));
        let answer = client.request(RequestCode::PullMessage, &header).await;
        assert_eq!(answer.code, ResponseCode::NoPermission.code());
        let reply = PullReply::decode(RequestCode::PullMessage, &answer.ext).expect("a reply");
        assert_eq!(reply.forbidden_type, Some(3));
    });
}

#[test]
fn without_a_subscription_the_heartbeats_counts() {
    with_shard(&[], |Setup { client, .. }| async move {
        let pull = PullHeader { sys_flag: 0, sub_version: 5, ..pull_header("T", 0, 0) };
        let missing = client.pull_with(&pull).await;
        assert_eq!(missing.code, ResponseCode::SubscriptionNotExist);
        let heartbeat = |version: i64| {
            let json = format!(
                r#"{{"clientID":"c1","consumerDataSet":[{{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET",
                "consumeType":"CONSUME_PASSIVELY","groupName":"G","messageModel":"CLUSTERING",
                "subscriptionDataSet":[{{"classFilterMode":false,"codeSet":[{}],"expressionType":"TAG",
                "subString":"TagA","subVersion":{version},"tagsSet":["TagA"],"topic":"T"}}],
                "unitMode":false}}],"producerDataSet":[]}}"#,
                tag_hash("TagA")
            );
            let data = HeartbeatData::decode(json.as_bytes()).expect("a heartbeat");
            Command::request(RequestCode::HeartBeat).with_body(data.encode())
        };
        assert_eq!(client.ask(heartbeat(4)).await.code, 0);
        assert_eq!(client.pull_with(&pull).await.code, ResponseCode::SubscriptionNotLatest);
        assert_eq!(client.ask(heartbeat(5)).await.code, 0);
        send_tagged(&client, 0, "TagB", b"no").await;
        send_tagged(&client, 0, "TagA", b"yes").await;
        let pulled = client.pull_with(&pull).await;
        assert_eq!((pulled.bodies, pulled.next), (vec![b"yes".to_vec()], 2));
    });
}

#[test]
fn tags_filter() {
    with_shard(&[], |Setup { client, .. }| async move {
        for number in 0..30u8 {
            let tag = ["TagA", "TagB", "TagC"][usize::from(number) % 3];
            send_tagged(&client, 0, tag, &[number]).await;
        }
        let pull = |expression, offset| PullHeader {
            subscription: Some(expression),
            ..pull_header("T", 0, offset)
        };
        let two = client.pull_with(&pull("TagA || TagC", 0)).await;
        let want: Vec<Vec<u8>> = (0..30).filter(|n| n % 3 != 1).map(|n| vec![n]).collect();
        assert_eq!((two.bodies, two.next), (want, 30));
        let none = client.pull_with(&pull("TagZ", 3)).await;
        assert_eq!(none.code, ResponseCode::PullRetryImmediately);
        assert_eq!((none.remark.as_str(), none.next), ("NO_MATCHED_MESSAGE", 30));
    });
}

#[test]
fn a_held_pull_is_woken_by_what_it_wants() {
    with_shard(&[], |Setup { client, .. }| async move {
        send_tagged(&client, 0, "TagA", b"old").await;
        let all = start_pull(&client, waiting(0, 1, "*", 15_000));
        let tag = start_pull(&client, waiting(0, 1, "TagB", 15_000));
        let other = start_pull(&client, waiting(1, 0, "*", 15_000));
        settle().await;
        let before = runtime::now();
        send_tagged(&client, 0, "TagA", b"a").await;
        let (pulled, at) = all.answer.await;
        assert_eq!((pulled.code, pulled.bodies), (ResponseCode::Success, vec![b"a".to_vec()]));
        assert!(at - before < Duration::from_millis(50), "{:?}", at - before);
        settle().await;
        send_tagged(&client, 0, "TagB", b"b").await;
        let (pulled, _) = tag.answer.await;
        assert_eq!((pulled.bodies, pulled.next), (vec![b"b".to_vec()], 3));
        send_tagged(&client, 1, "TagZ", b"c").await;
        assert_eq!(other.answer.await.0.bodies, [b"c"]);
    });
}

#[test]
fn a_held_pull_ends_when_its_time_is_up() {
    with_shard(&[], |Setup { client, .. }| async move {
        let began = runtime::now();
        let held = start_pull(&client, waiting(0, 0, "TagA", 3_000));
        settle().await;
        send_tagged(&client, 0, "TagB", b"not this").await;
        let (pulled, at) = held.answer.await;
        let took = at - began;
        assert!(took >= Duration::from_secs(3) && took < Duration::from_millis(3_300), "{took:?}");
        assert_eq!((pulled.code, pulled.next), (ResponseCode::PullRetryImmediately, 1));
        // At the end of the queue it says that there is nothing.
        let (pulled, _) = start_pull(&client, waiting(0, 1, "TagA", 500)).answer.await;
        assert_eq!((pulled.code, pulled.next), (ResponseCode::PullNotFound, 1));
        // An offset that makes no sense is not waited for.
        let began = runtime::now();
        let (pulled, at) = start_pull(&client, waiting(0, 9, "*", 5_000)).answer.await;
        assert_eq!(pulled.code, ResponseCode::PullOffsetMoved);
        assert!(at - began < Duration::from_millis(100));
    });
}

#[test]
fn without_long_polling_a_pull_waits_shortly() {
    with_shard(&[("longPollingEnable", "false")], |Setup { client, .. }| async move {
        let began = runtime::now();
        let (pulled, at) = start_pull(&client, waiting(0, 0, "*", 15_000)).answer.await;
        assert_eq!(pulled.code, ResponseCode::PullNotFound);
        assert!(at - began < Duration::from_millis(1_300), "{:?}", at - began);
    });
}

#[test]
fn a_deleted_topic_and_a_closed_connection_end_it() {
    with_shard(&[], |Setup { client, place }| async move {
        let other = Rc::new(Client::connect(place.addr()).await);
        let answered = Rc::new(Cell::new(false));
        let (flag, lost) = (Rc::clone(&answered), Rc::clone(&other));
        let task = runtime::spawn(async move {
            let header = waiting(0, 0, "*", 15_000);
            let command = Command::request(RequestCode::PullMessage).with_ext(&header);
            let answer = lost.connection.request(command, Duration::from_secs(20)).await;
            flag.set(answer.is_ok());
        });
        let held = start_pull(&client, waiting(0, 0, "*", 15_000));
        settle().await;
        other.connection.close();
        task.await;
        assert!(!answered.get());
        let header = TopicHeader { topic: "T" };
        assert_eq!(client.request(RequestCode::DeleteTopicInBroker, &header).await.code, 0);
        assert_eq!(held.answer.await.0.code, ResponseCode::TopicNotExist);
    });
}

#[test]
fn a_stop_answers_what_is_held() {
    in_simulation(5, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let client = Rc::new(Client::connect(place.addr()).await);
        client.create_topic("T", 1).await;
        let held = start_pull(&client, waiting(0, 0, "*", 15_000));
        settle().await;
        let began = runtime::now();
        shard.stop().await;
        assert!(runtime::now() - began < Duration::from_secs(2), "{:?}", runtime::now() - began);
        assert_eq!(held.answer.await.0.code, ResponseCode::PullNotFound);
    });
}

#[test]
fn a_pull_commits_the_offset_it_brings() {
    with_shard(&[], |Setup { client, .. }| async move {
        client.send("T", 0, b"x").await;
        let mut header = pull_header("T", 0, 0);
        header.sys_flag |= pull_flag::COMMIT_OFFSET;
        header.commit_offset = 1;
        assert_eq!(client.pull_with(&header).await.code, ResponseCode::Success);
        assert_eq!(client.committed("G", "T", 0).await, Some(1));
    });
}

/// Messages that have left memory are read from the disk, whole and in order.
#[test]
fn what_is_no_longer_in_memory_is_read_from_the_disk() {
    with_shard(&[("tailBudget", "4MiB")], |Setup { client, .. }| async move {
        let body = |number: u8| vec![number; 300_000];
        for number in 0..60 {
            client.send("T", 0, &body(number)).await;
        }
        let pulls = (0..60).map(|offset| client.pull("T", 0, offset));
        for (number, pulled) in futures::future::join_all(pulls).await.into_iter().enumerate() {
            assert_eq!(pulled.code, ResponseCode::Success);
            assert!(pulled.bodies[0] == body(u8::try_from(number).expect("small")), "{number}");
        }
        let answer = client.request(RequestCode::PullMessage, &pull_header("T", 0, 0)).await;
        assert_eq!(pulled(&answer).offsets[0], 0);
    });
}

#[test]
fn a_new_group_reads_from_a_log_that_has_failed() {
    let simulation = Simulation::new(23);
    let node = simulation.node("node", IP);
    let (ask, mut asked) = mailbox(1);
    let run = node.start("broker", move || async move {
        let place = simulated();
        let _shard = Running::start(&config(&place, &[]), &place).await;
        let client = Client::connect(place.addr()).await;
        client.create_topic("T", 1).await;
        client.send("T", 0, b"stored").await;
        ask.try_send(()).expect("asked once");
        runtime::sleep(Duration::from_secs(1)).await;
        client.send_with(&send_header("T", 0), b"lost").await.expect_err("the flush failed");
        let new = PullHeader { consumer_group: "New", ..pull_header("T", 0, 0) };
        let pulled = client.pull_with(&new).await;
        assert_eq!((pulled.code, pulled.bodies), (ResponseCode::Success, vec![b"stored".to_vec()]));
    });
    assert!(simulation.run_until(LIMIT, || asked.try_recv().is_some()));
    node.disk().fail(DiskOp::Flush, When::OneIn(1));
    node.disk().fail(DiskOp::Write, When::OneIn(1));
    simulation.join(run, LIMIT).expect("the run ends in time");
}

/// One connection holds more pulls than it may have requests unanswered, and goes on being read.
#[test]
fn held_pulls_do_not_keep_their_connection_from_being_read() {
    const QUEUES: usize = 1024;
    with_shard(&[], |Setup { client, place }| async move {
        client.create_topic("W", i32::try_from(QUEUES).expect("small")).await;
        let pulls = Limits::default().in_flight + 100;
        let limits = Limits { outstanding: 2 * pulls, ..Limits::default() };
        let connection = connect(place.addr(), limits, Rc::new(NoRequests)).await.expect("listens");
        for number in 0..pulls {
            let connection = connection.clone();
            runtime::spawn(async move {
                let queue = i32::try_from(number % QUEUES).expect("small");
                let wanted = PullHeader { topic: "W", ..waiting(queue, 0, "*", 60_000) };
                let code = RequestCode::PullMessage.code();
                let held = connection.request_parts(code, &wanted, b"", LIMIT).await;
                held.expect_err("it is held until the connection is closed");
            })
            .detach();
        }
        runtime::yield_now().await;
        let client = Client { connection };
        let began = runtime::now();
        assert_eq!(client.max_offset("T", 0).await, 0);
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        client.connection.close();
        runtime::sleep(Duration::from_secs(1)).await;
    });
}
