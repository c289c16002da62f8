//! Messages are found by their keys, wherever in the log they are.

mod support;

use model::{Record, properties};
use remoting::RequestCode;
use remoting::header::DecodeExt;
use remoting::header::query::{QueryMessageHeader, QueryMessageReply};
use remoting::header::topic::TopicHeader;
use support::{Client, Running, config, in_simulation, send_header, text};

const FOUND: i32 = 0;
const NOT_FOUND: i32 = 22;

/// As clients ask: for all times.
fn question<'a>(topic: &'a str, key: &'a str) -> QueryMessageHeader<'a> {
    QueryMessageHeader {
        topic,
        key,
        max_num: 64,
        begin_timestamp: 0,
        end_timestamp: i64::MAX,
        index_type: None,
        last_key: None,
        unique_key: Some("false"),
    }
}

/// The code of the answer, and the queue offsets of the messages in it.
async fn ask(client: &Client, header: &QueryMessageHeader<'_>) -> (i32, Vec<u64>) {
    let answer = client.request(RequestCode::QueryMessage, header).await;
    let (mut offsets, mut rest) = (Vec::new(), &answer.body[..]);
    while !rest.is_empty() {
        let record = Record::parse(rest).expect("a whole record");
        record.check_body().expect("the body is as it was sent");
        assert_eq!(record.topic(), header.topic);
        offsets.push(record.queue_offset().0);
        rest = &rest[record.bytes().len()..];
    }
    let reply = QueryMessageReply::decode(RequestCode::QueryMessage, &answer.ext);
    if answer.code == FOUND {
        assert!(reply.expect("both fields").index_last_update_phyoffset > 0);
    } else {
        let remark = answer.remark.as_deref();
        assert_eq!(remark, Some("can not find message, maybe time range not correct"));
    }
    (answer.code, offsets)
}

async fn send(client: &Client, keys: &str, unique: &str, len: usize) -> u64 {
    let pairs = [(properties::KEYS, keys), (properties::UNIQ_KEY, unique)];
    let properties = text(&pairs);
    let mut header = send_header("T", 0);
    header.properties = Some(&properties);
    let sent = client.send_with(&header, &vec![7; len]).await.expect("it is stored");
    sent.offset.cast_unsigned()
}

/// Offsets 0 to 2 with the key `old`, 3 to 32 of nearly 1 MiB with the key `large`, 33 and 34 with `old new`.
async fn fill(client: &Client) {
    client.create_topic("T", 1).await;
    for unique in ["U0", "U1", "U2"] {
        send(client, "old", unique, 10).await;
    }
    for number in 3..33 {
        send(client, "large", &format!("U{number}"), 900_000).await;
    }
    assert_eq!(send(client, "old new", "U33", 10).await, 33);
    assert_eq!(send(client, "old  new", "U33", 10).await, 34);
}

async fn check(client: &Client) {
    assert_eq!(ask(client, &question("T", "old")).await, (FOUND, vec![0, 1, 2, 33, 34]));
    assert_eq!(ask(client, &question("T", "new")).await, (FOUND, vec![33, 34]));
    assert_eq!(ask(client, &question("T", "old new")).await, (NOT_FOUND, vec![]));
    assert_eq!(ask(client, &question("T", "OLD")).await, (NOT_FOUND, vec![]));
    assert_eq!(ask(client, &question("U", "old")).await, (NOT_FOUND, vec![]));
    let newest = QueryMessageHeader { max_num: 3, ..question("T", "old") };
    assert_eq!(ask(client, &newest).await, (FOUND, vec![2, 33, 34]));
    let none = QueryMessageHeader { max_num: 0, ..question("T", "old") };
    assert_eq!(ask(client, &none).await, (NOT_FOUND, vec![]));
    // A unique key is found whatever number the client names, and by both kinds of query.
    for (max_num, unique_key) in [(0, Some("true")), (64, Some("false")), (1, None)] {
        let header = QueryMessageHeader { max_num, unique_key, ..question("T", "U1") };
        assert_eq!(ask(client, &header).await, (FOUND, vec![1]));
    }
    let twice = QueryMessageHeader { unique_key: Some("true"), ..question("T", "U33") };
    assert_eq!(ask(client, &twice).await, (FOUND, vec![33, 34]));
    for (index_type, code) in [("K", FOUND), ("U", FOUND), ("T", NOT_FOUND)] {
        let header = QueryMessageHeader { index_type: Some(index_type), ..question("T", "U1") };
        assert_eq!(ask(client, &header).await.0, code, "{index_type}");
    }
    // The answer has as many of the newest as fit.
    let (code, large) = ask(client, &question("T", "large")).await;
    assert_eq!((code, large), (FOUND, (24..33).collect()));
}

#[test]
fn messages_are_found_by_their_keys() {
    in_simulation(61, |place| async move {
        let config = config(&place, &[]);
        let shard = Running::start(&config, &place).await;
        let client = Client::connect(place.addr()).await;
        let began = runtime::unix_millis().cast_signed();
        fill(&client).await;
        check(&client).await;
        let ended = runtime::unix_millis().cast_signed();
        for (begin_timestamp, end_timestamp, code) in [
            (began, ended, FOUND),
            (ended + 1, i64::MAX, NOT_FOUND),
            (0, began - 1, NOT_FOUND),
            (5, 4, NOT_FOUND),
        ] {
            let header =
                QueryMessageHeader { begin_timestamp, end_timestamp, ..question("T", "old") };
            assert_eq!(ask(&client, &header).await.0, code, "{begin_timestamp} to {end_timestamp}");
        }
        shard.stop().await;

        let shard = Running::start(&config, &place).await;
        let client = Client::connect(place.addr()).await;
        check(&client).await;
        let delete = TopicHeader { topic: "T" };
        assert_eq!(client.request(RequestCode::DeleteTopicInBroker, &delete).await.code, 0);
        assert_eq!(ask(&client, &question("T", "old")).await, (NOT_FOUND, vec![]));
        client.create_topic("T", 1).await;
        assert_eq!(ask(&client, &question("T", "old")).await, (NOT_FOUND, vec![]));
        send(&client, "old", "U", 10).await;
        assert_eq!(ask(&client, &question("T", "old")).await, (FOUND, vec![0]));
        shard.stop().await;
    });
}

#[test]
fn fewer_are_answered_where_the_configuration_says_so() {
    in_simulation(62, |place| async move {
        let keys = [("maxMsgsNumBatch", "4"), ("defaultQueryMaxNum", "2")];
        let shard = Running::start(&config(&place, &keys), &place).await;
        let client = Client::connect(place.addr()).await;
        client.create_topic("T", 1).await;
        for _ in 0..6 {
            send(&client, "k", "U", 10).await;
        }
        assert_eq!(ask(&client, &question("T", "k")).await, (FOUND, vec![2, 3, 4, 5]));
        let unique = QueryMessageHeader { unique_key: Some("true"), ..question("T", "U") };
        assert_eq!(ask(&client, &unique).await, (FOUND, vec![4, 5]));
        shard.stop().await;
    });
}
