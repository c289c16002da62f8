//! What is refused leaves a trace: an answer, a counter, or a log line, and never a flood of lines.

mod support;

use std::time::Duration;

use bytes::Bytes;
use remoting::body::{Body, KvTable};
use remoting::header::send::SendHeader;
use remoting::{Command, RequestCode, ResponseCode};
use support::log::Lines;
use support::{Client, Running, config, in_simulation, send_header, text};

/// Sends without waiting for an answer.
fn oneway(client: &Client, topic: &str, properties: Option<&str>) {
    let header = SendHeader { properties, ..send_header(topic, 0) };
    let command = Command::oneway(RequestCode::SendMessageV2).with_ext(&header);
    client.connection.oneway(&command.with_body(Bytes::from_static(b"x"))).expect("it is short");
}

/// `putMessageFailedTimes`, after everything that was sent before on this connection.
async fn failed(client: &Client) -> u64 {
    let answer = client.request(RequestCode::GetBrokerRuntimeInfo, &()).await;
    let table = KvTable::decode(&answer.body).expect("a table").table;
    table["putMessageFailedTimes"].parse().expect("a number")
}

#[test]
fn oneway_sends_that_are_refused_are_counted_and_told_now_and_then() {
    let lines = Lines::keep();
    in_simulation(31, |place| async move {
        let keys = [("autoCreateTopicEnable", "false")];
        let shard = Running::start(&config(&place, &keys), &place).await;
        let client = Client::connect(place.addr()).await;
        client.create_topic("T", 1).await;
        assert_eq!(failed(&client).await, 0);
        oneway(&client, "T", None);
        runtime::sleep(Duration::from_millis(100)).await;
        assert_eq!(failed(&client).await, 0, "what is stored is no failure");
        for _ in 0..1000 {
            oneway(&client, "T", Some("DELAY\u{1}3\u{2}"));
        }
        oneway(&client, "No\nwhere", None);
        oneway(&client, "Nowhere", None);
        assert_eq!(failed(&client).await, 1002);
        assert_eq!(client.max_offset("T", 0).await, 1);
        // The rest of the first thousand has its line although nothing more comes.
        runtime::sleep(Duration::from_secs(12)).await;
        for _ in 0..7 {
            oneway(&client, "T", Some("DELAY\u{1}3\u{2}"));
        }
        assert_eq!(failed(&client).await, 1009);
        shard.stop().await;
    });
    let delayed = lines.with("refused with code 13 and lost");
    let times = |line: &String| {
        let (_, rest) = line.split_once("times=").expect("a number of times");
        rest.split_whitespace().next().expect("a number").parse::<u64>().expect("a number")
    };
    assert_eq!(delayed.iter().map(times).collect::<Vec<_>>(), [1, 999, 7], "{delayed:#?}");
    for line in &delayed {
        assert!(line.contains("WARN") && line.contains("shard=broker-a"), "{line}");
        assert!(line.contains("topic `T`") && line.contains("Send it without DELAY"), "{line}");
    }
    let unknown = lines.with("refused with code 17 and lost");
    assert_eq!(unknown.len(), 1, "{unknown:#?}");
    assert!(unknown[0].contains("topic `Nowhere`"), "{unknown:#?}");
    let illegal = lines.with("refused with code 29 and lost");
    assert_eq!(illegal.len(), 1, "{illegal:#?}");
    assert!(illegal[0].contains("topic `No\\nwhere`"), "{illegal:#?}");
}

#[test]
fn transactions_and_requests_are_refused_for_good() {
    let lines = Lines::keep();
    in_simulation(32, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let client = Client::connect(place.addr()).await;
        client.create_topic("T", 1).await;
        let half = text(&[("TRAN_MSG", "true"), ("PGROUP", "PG")]);
        let request =
            text(&[("CORRELATION_ID", "c"), ("REPLY_TO_CLIENT", "10.0.0.9@1"), ("TTL", "3000")]);
        for (properties, flags, why) in [
            (&half, 4, "transactions are not in this build"),
            (&request, 0, "request-reply is not in this build"),
        ] {
            let header =
                SendHeader { properties: Some(properties), sys_flag: flags, ..send_header("T", 0) };
            let (code, remark) = client.send_with(&header, b"x").await.expect_err("it is refused");
            assert_eq!(code, ResponseCode::MessageIllegal, "stock clients do not send it again");
            assert!(remark.contains(why), "{remark}");
        }
        assert_eq!(failed(&client).await, 2);
        assert_eq!(client.max_offset("T", 0).await, 0);
        let reply = text(&[("MSG_TYPE", "reply"), ("REPLY_TO_CLIENT", "10.0.0.9@1")]);
        let header = SendHeader { properties: Some(&reply), ..send_header("T", 0) };
        client.send_with(&header, b"x").await.expect("no request, a message like any");
        shard.stop().await;
    });
    assert_eq!(lines.with("WARN").iter().filter(|line| line.contains("refused")).count(), 0);
}

#[test]
fn a_message_that_is_given_back_is_told_once_in_a_while() {
    let lines = Lines::keep();
    in_simulation(33, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let client = Client::connect(place.addr()).await;
        let fields = [
            ("offset", "0"),
            ("group", "Orders"),
            ("delayLevel", "0"),
            ("originMsgId", "0A000001"),
            ("originTopic", "T"),
        ];
        for _ in 0..20 {
            let give_back = Command::request(RequestCode::ConsumerSendMsgBack);
            let answer = client.ask(give_back.with_ext(&fields)).await;
            assert_eq!(answer.code, ResponseCode::RequestCodeNotSupported.code());
            runtime::sleep(Duration::from_secs(1)).await;
        }
        shard.stop().await;
    });
    let told = lines.with("gives a message of topic `T` back");
    assert!((2..=3).contains(&told.len()), "{told:#?}");
    for line in &told {
        assert!(line.contains("group `Orders`"), "{line}");
        assert!(line.contains("its offset stays before it"), "{line}");
    }
}
