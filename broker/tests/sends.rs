//! What a send is answered, and what is stored of it.

mod support;

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use model::{Record, properties};
use remoting::header::send::SendHeader;
use remoting::{Command, RequestCode, ResponseCode};
use support::{Client, Running, config, in_simulation, pull_header, send_header, sent, text};

/// Runs a test against a simulated shard.
fn with_shard<Fut>(keys: &'static [(&'static str, &'static str)], test: fn(Rc<Client>) -> Fut)
where
    Fut: Future<Output = ()> + 'static,
{
    in_simulation(11, move |place| async move {
        let shard = Running::start(&config(&place, keys), &place).await;
        test(Rc::new(Client::connect(place.addr()).await)).await;
        shard.stop().await;
    });
}

/// The first record of a queue, as it is stored.
async fn stored(client: &Client, topic: &str, queue: i32) -> Vec<u8> {
    let answer = client.request(RequestCode::PullMessage, &pull_header(topic, queue, 0)).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    answer.body.to_vec()
}

async fn refused(client: &Client, header: &SendHeader<'_>, body: &[u8]) -> (ResponseCode, String) {
    client.send_with(header, body).await.expect_err("it is refused")
}

fn batch(messages: &[(&[u8], &str)]) -> Bytes {
    let mut bytes = Vec::new();
    for (body, text) in messages {
        let size = 22 + body.len() + text.len();
        let len = |len: usize| u32::try_from(len).expect("small").to_be_bytes();
        bytes.extend_from_slice(&len(size));
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(&len(body.len()));
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(&u16::try_from(text.len()).expect("small").to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.into()
}

fn batch_command(header: &SendHeader<'_>, body: Bytes) -> Command {
    let header = SendHeader { batch: true, ..*header };
    Command::request(RequestCode::SendBatchMessage).with_ext(&header).with_body(body)
}

#[test]
fn an_unknown_topic_is_created_by_a_send() {
    with_shard(&[], |client| async move {
        assert_eq!(client.send("New", 3, b"x").await.offset, 0);
        let (code, remark) = refused(&client, &send_header("New", 4), b"x").await;
        assert_eq!(code, ResponseCode::InvalidParameter);
        assert!(remark.starts_with("request queueId[4] is illegal, "), "{remark}");
        let mut wide = send_header("Wide", 7);
        wide.default_topic_queue_nums = 16;
        client.send_with(&wide, b"x").await.expect("the template has 8 queues");
        wide.queue_id = 8;
        assert_eq!(refused(&client, &wide, b"x").await.0, ResponseCode::InvalidParameter);
        let mut other = send_header("Other", 0);
        other.default_topic = "New";
        let (code, remark) = refused(&client, &other, b"x").await;
        assert_eq!(code, ResponseCode::TopicNotExist);
        assert_eq!(remark, "topic[Other] not exist, apply first please!");
    });
}

#[test]
fn a_broker_may_forbid_it() {
    with_shard(&[("autoCreateTopicEnable", "false")], |client| async move {
        let (code, _) = refused(&client, &send_header("New", 0), b"x").await;
        assert_eq!(code, ResponseCode::TopicNotExist);
        client.create_topic("New", 1).await;
        client.send("New", 0, b"x").await;
    });
}

#[test]
fn what_is_not_served_is_refused_and_not_stored() {
    with_shard(&[("maxMessageSize", "4096")], |client| async move {
        client.create_topic("T", 1).await;
        let code = |text: &'static str, flags: i32| {
            let client = Rc::clone(&client);
            async move {
                let mut header = send_header("T", 0);
                (header.properties, header.sys_flag) = (Some(text), flags);
                refused(&client, &header, b"x").await.0
            }
        };
        assert_eq!(code("DELAY\u{1}3\u{2}", 0).await, ResponseCode::MessageIllegal);
        assert_eq!(code("TIMER_DELAY_SEC\u{1}3\u{2}", 0).await, ResponseCode::MessageIllegal);
        assert_eq!(code("TRAN_MSG\u{1}true\u{2}", 4).await, ResponseCode::MessageIllegal);
        assert_eq!(code("", 4).await, ResponseCode::MessageIllegal);
        assert_eq!(code("", 12).await, ResponseCode::MessageIllegal);
        for (topic, want) in [
            ("a b", ResponseCode::InvalidParameter),
            ("SCHEDULE_TOPIC_XXXX", ResponseCode::NoPermission),
            ("%RETRY%nobody", ResponseCode::SubscriptionGroupNotExist),
        ] {
            assert_eq!(refused(&client, &send_header(topic, 0), b"x").await.0, want, "{topic}");
        }
        let header = send_header("T", 0);
        assert_eq!(refused(&client, &header, b"").await.0, ResponseCode::MessageIllegal);
        assert_eq!(refused(&client, &header, &[7; 4097]).await.0, ResponseCode::MessageIllegal);
        let long = text(&[("K", &"v".repeat(32_700))]);
        let full = SendHeader { properties: Some(&long), ..header };
        assert_eq!(refused(&client, &full, b"x").await.0, ResponseCode::MessageIllegal);
        assert_eq!(client.max_offset("T", 0).await, 0);
        client.send_with(&header, &[7; 4096]).await.expect("the limit itself is allowed");
    });
}

#[test]
fn unknown_requests_are_told_so() {
    with_shard(&[], |client| async move {
        let answer = client.request(RequestCode::ConsumerSendMsgBack, &()).await;
        assert_eq!(answer.code, ResponseCode::RequestCodeNotSupported.code());
        assert_eq!(answer.remark.as_deref(), Some(" request type 36 not supported"));
        let answer = client.request(RequestCode::SendMessageV2, &()).await;
        assert_eq!(answer.code, ResponseCode::SystemError.code());
        assert_eq!(answer.ext.get("MSG_REGION"), Some("DefaultRegion"));
    });
}

#[test]
fn the_brokers_properties_are_added_once() {
    with_shard(&[], |client| async move {
        client.create_topic("T", 3).await;
        let own = text(&[("CLUSTER", "elsewhere"), ("A", "1"), ("UNIQ_KEY", "k")]);
        for (queue, properties) in [(0, Some(own.as_str())), (1, Some("A\u{1}1")), (2, None)] {
            let header = SendHeader { properties, ..send_header("T", queue) };
            let sent = client.send_with(&header, b"x").await.expect("it is stored");
            let bytes = stored(&client, "T", queue).await;
            let record = Record::parse(&bytes).expect("a record");
            let pairs: Vec<_> = properties::pairs(record.properties()).collect();
            let names: Vec<&[u8]> = pairs.iter().map(|(name, _)| *name).collect();
            assert_eq!(names.iter().filter(|name| **name == b"CLUSTER").count(), 1);
            assert_eq!(properties::find(record.properties(), "CLUSTER"), Some("DefaultCluster"));
            assert_eq!(properties::find(record.properties(), "TRACE_ON"), Some("true"));
            let key =
                properties::find(record.properties(), "UNIQ_KEY").expect("every message has one");
            assert_eq!(sent.transaction.as_deref(), Some(key));
            assert_eq!(key.len(), if queue == 0 { 1 } else { 32 });
            let has = names.contains(&&b"A"[..]);
            assert_eq!(has, queue < 2);
        }
    });
}

#[test]
fn a_negative_queue_leaves_the_choice_to_the_broker() {
    with_shard(&[], |client| async move {
        client.create_topic("T", 4).await;
        let mut seen = [false; 4];
        for _ in 0..64 {
            let queue = client.send("T", -1, b"x").await.queue;
            seen[usize::try_from(queue).expect("a queue")] = true;
        }
        assert_eq!(seen, [true; 4]);
    });
}

#[test]
fn a_oneway_send_is_stored() {
    with_shard(&[], |client| async move {
        client.create_topic("T", 1).await;
        for code in [RequestCode::SendMessage, RequestCode::SendMessageV2] {
            let mut command = Command::oneway(code).with_ext(&send_header("T", 0));
            command.body = Bytes::from_static(b"x");
            client.connection.oneway(&command).expect("it is short");
        }
        let refused = Command::oneway(RequestCode::SendMessageV2).with_ext(&send_header("a b", 0));
        client.connection.oneway(&refused).expect("it is short");
        assert_eq!(client.send("T", 0, b"y").await.offset, 2);
        runtime::sleep(Duration::from_millis(10)).await;
        assert!(client.connection.is_open());
    });
}

#[test]
fn a_batch_is_stored_message_by_message() {
    with_shard(&[], |client| async move {
        client.create_topic("T", 1).await;
        client.send("T", 0, b"first").await;
        let body = batch(&[(b"a", "UNIQ_KEY\u{1}1"), (b"b", "TAGS\u{1}TagA\u{2}"), (b"c", "")]);
        let answer = client.ask(batch_command(&send_header("T", 0), body.clone())).await;
        let sent = sent(&answer).expect("it is stored");
        assert_eq!(sent.offset, 1);
        let ids: Vec<&str> = sent.id.split(',').collect();
        assert_eq!(ids.len(), 3);
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 32));
        let pulled = client.pull("T", 0, 0).await;
        assert_eq!(pulled.bodies, [&b"first"[..], b"a", b"b", b"c"]);
        assert_eq!(pulled.offsets, [0, 1, 2, 3]);
        // The same with the batch flag on an ordinary send.
        let mut command = batch_command(&send_header("T", -1), body);
        command.code = RequestCode::SendMessageV2.code();
        assert_eq!(client.ask(command).await.code, 0);
        assert_eq!(client.max_offset("T", 0).await, 7);
    });
}

#[test]
fn a_batch_is_refused_as_a_whole() {
    with_shard(&[], |client| async move {
        client.create_topic("T", 1).await;
        let header = send_header("T", 0);
        let good = batch(&[(b"a", ""), (b"b", "")]);
        for body in [
            batch(&[(b"a", ""), (b"b", "DELAY\u{1}1\u{2}")]),
            batch(&[(b"a", ""), (b"", "")]),
            good.slice(..good.len() - 1),
            Bytes::new(),
        ] {
            let answer = client.ask(batch_command(&header, body)).await;
            assert_eq!(answer.code, ResponseCode::MessageIllegal.code(), "{:?}", answer.remark);
        }
        let retry = batch_command(&send_header("%RETRY%G", 0), good);
        assert_eq!(client.ask(retry).await.code, ResponseCode::MessageIllegal.code());
        assert_eq!(client.max_offset("T", 0).await, 0);
    });
}

#[test]
fn the_largest_body_is_taken_and_given_back() {
    with_shard(
        &[("maxMessageSize", "4MiB"), ("mappedFileSizeCommitLog", "64MiB")],
        |client| async move {
            client.create_topic("T", 1).await;
            let body: Vec<u8> =
                (0..4 << 20).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
            for offset in 0..3 {
                assert_eq!(client.send("T", 0, &body).await.offset, offset);
            }
            for offset in 0..3 {
                let pulled = client.pull("T", 0, offset).await;
                assert!(pulled.bodies == [body.as_slice()], "message {offset}");
            }
        },
    );
}
