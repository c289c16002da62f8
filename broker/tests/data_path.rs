//! The way of messages through one shard, the same code on both backends.

mod support;

use futures::future::join_all;
use model::message_id::message_id;
use model::{PhysicalOffset, Record};
use remoting::header::pull::ViewMessageHeader;
use remoting::{RequestCode, ResponseCode};
use support::{Client, Place, Running, config, everywhere, send_header, text};

const MESSAGES: usize = 1000;
const QUEUES: i32 = 4;

fn body(number: usize) -> Vec<u8> {
    format!("message {number} {}", "x".repeat(number % 700)).into_bytes()
}

/// Sends all messages at once, pipelined on one connection, and returns their ids.
async fn send_all(client: &Client) -> Vec<String> {
    let sends = (0..MESSAGES).map(|number| async move {
        let queue = i32::try_from(number).expect("small") % QUEUES;
        let key = format!("key-{number}");
        let properties = text(&[("UNIQ_KEY", &key), ("TAGS", "TagA"), ("WAIT", "true")]);
        let mut header = send_header("T", queue);
        header.properties = Some(&properties);
        let sent = client.send_with(&header, &body(number)).await.expect("it is stored");
        assert_eq!((sent.queue, sent.offset), (queue, i64::try_from(number / 4).expect("small")));
        assert_eq!(sent.transaction, Some(key));
        sent.id
    });
    join_all(sends).await
}

/// Pulls all queues from their beginning, and checks bodies and order.
async fn pull_all(client: &Client) {
    for queue in 0..QUEUES {
        let first = usize::try_from(queue).expect("small");
        let (mut next, mut found) = (0, Vec::new());
        loop {
            let pulled = client.pull("T", queue, next).await;
            if pulled.code == ResponseCode::PullNotFound {
                assert_eq!((pulled.remark.as_str(), pulled.next), ("OFFSET_OVERFLOW_ONE", 250));
                break;
            }
            assert_eq!((pulled.code, pulled.remark.as_str()), (ResponseCode::Success, "FOUND"));
            assert_eq!((pulled.min, pulled.max), (0, 250));
            assert_eq!(pulled.offsets[0], u64::try_from(next).expect("not negative"));
            assert!(pulled.bodies.len() <= 32);
            next = pulled.next;
            found.extend(pulled.bodies);
        }
        let want: Vec<Vec<u8>> = (first..MESSAGES).step_by(4).map(body).collect();
        assert!(found == want, "queue {queue}");
    }
}

async fn view(client: &Client, place: &Place, ids: &[String]) {
    for (number, id) in ids.iter().enumerate().step_by(97) {
        let offset = u64::from_str_radix(&id[16..], 16).expect("hex");
        assert_eq!(*id, message_id(place.addr(), PhysicalOffset(offset)));
        let header = ViewMessageHeader { topic: None, offset: offset.cast_signed() };
        let answer = client.request(RequestCode::ViewMessageById, &header).await;
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        let record = Record::parse(&answer.body).expect("a record");
        assert_eq!(record.body(), body(number));
        assert_eq!(record.bytes().len(), answer.body.len());
        let want = text(&[
            ("UNIQ_KEY", &format!("key-{number}")),
            ("TAGS", "TagA"),
            ("WAIT", "true"),
            ("MSG_REGION", "DefaultRegion"),
            ("TRACE_ON", "true"),
            ("CLUSTER", "DefaultCluster"),
        ]);
        assert_eq!(record.properties(), want.as_bytes());
        assert_eq!(record.store_host(), place.addr());
    }
    for offset in [-1, 1, i64::MAX] {
        let header = ViewMessageHeader { topic: None, offset };
        let answer = client.request(RequestCode::ViewMessageById, &header).await;
        assert_eq!(answer.code, ResponseCode::SystemError.code());
        let want = format!("can not find message by the offset, {offset}");
        assert_eq!(answer.remark, Some(want));
    }
}

#[test]
fn messages_and_offsets_survive_a_restart() {
    everywhere("data-path", |place| async move {
        let config = config(&place, &[]);
        let shard = Running::start(&config, &place).await;
        assert!(shard.started.clean);
        let client = Client::connect(place.addr()).await;
        client.create_topic("T", QUEUES).await;
        let ids = send_all(&client).await;
        pull_all(&client).await;
        view(&client, &place, &ids).await;
        for queue in 0..QUEUES {
            let answer = client.commit("G", "T", queue, 200 + i64::from(queue)).await;
            assert_eq!((answer.code, answer.remark), (0, None));
            assert_eq!(client.committed("G", "T", queue).await, Some(200 + i64::from(queue)));
        }
        shard.stop().await;
        assert!(!client.connection.is_open());

        let shard = Running::start(&config, &place).await;
        assert!(shard.started.clean);
        let client = Client::connect(place.addr()).await;
        pull_all(&client).await;
        view(&client, &place, &ids).await;
        for queue in 0..QUEUES {
            assert_eq!(client.committed("G", "T", queue).await, Some(200 + i64::from(queue)));
            assert_eq!(client.max_offset("T", queue).await, 250);
            let sent = client.send("T", queue, b"one more").await;
            assert_eq!(sent.offset, 250);
        }
        shard.stop().await;
    });
}
