//! Requests as no client sends them: each is answered, and the shard goes on.

mod support;

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use remoting::body::{Body, HeartbeatData, ProducerData};
use remoting::command::{EncodeExt, ExtSink};
use remoting::{Command, RequestCode, ResponseCode};

use support::member::Member;
use support::{Client, LIMIT, Running, config, in_simulation};

/// Every field of every request that is served, with a value that makes sense.
const FIELDS: [(&str, &str); 59] = [
    ("a", "PG"),
    ("b", "T"),
    ("c", "TBW102"),
    ("d", "4"),
    ("e", "0"),
    ("f", "0"),
    ("g", "1700000000000"),
    ("h", "0"),
    ("i", "TAGS\u{1}A\u{2}"),
    ("j", "0"),
    ("k", "false"),
    ("l", "16"),
    ("m", "false"),
    ("n", "broker-a"),
    ("producerGroup", "PG"),
    ("topic", "T"),
    ("defaultTopic", "TBW102"),
    ("defaultTopicQueueNums", "4"),
    ("queueId", "0"),
    ("sysFlag", "4"),
    ("bornTimestamp", "1700000000000"),
    ("flag", "0"),
    ("properties", "KEYS\u{1}k\u{2}"),
    ("reconsumeTimes", "0"),
    ("unitMode", "false"),
    ("batch", "false"),
    ("maxReconsumeTimes", "16"),
    ("consumerGroup", "G"),
    ("queueOffset", "0"),
    ("maxMsgNums", "32"),
    ("commitOffset", "0"),
    ("suspendTimeoutMillis", "1000"),
    ("subscription", "*"),
    ("subVersion", "0"),
    ("expressionType", "TAG"),
    ("maxMsgBytes", "1000"),
    ("requestSource", "-1"),
    ("offset", "0"),
    ("timestamp", "0"),
    ("boundaryType", "LOWER"),
    ("committed", "true"),
    ("setZeroIfNotFound", "true"),
    ("readQueueNums", "4"),
    ("writeQueueNums", "4"),
    ("perm", "6"),
    ("topicFilterType", "SINGLE_TAG"),
    ("topicSysFlag", "0"),
    ("order", "false"),
    ("attributes", "+message.type=FIFO"),
    ("force", "false"),
    ("group", "G"),
    ("groupName", "G"),
    ("cleanOffset", "true"),
    ("clientID", "c"),
    ("topicList", "T;U"),
    ("topicSeq", "0"),
    ("maxTopicNum", "10"),
    ("groupSeq", "0"),
    ("maxGroupNum", "10"),
];

/// Values that make no sense in most places.
const NASTY: [&str; 20] = [
    "",
    " ",
    "-1",
    "1",
    "7",
    "31",
    "65535",
    "65536",
    "65537",
    "2147483647",
    "-2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "1e3",
    "SQL92",
    "%RETRY%",
    "%RETRY%G",
    "\u{1}\u{2}\u{0}苏州\u{1F600}",
    "TagA || || TagB",
];

const BODIES: [&[u8]; 9] = [
    b"",
    b"x",
    b"{}",
    b"null",
    b"[1,2",
    b"\xff\xfe\x00",
    br#"{"clientID":"c","consumerDataSet":[{"groupName":"G","consumeType":"NONE","messageModel":"MANY","subscriptionDataSet":[{"topic":"T","subString":"||"}]}],"producerDataSet":[{}]}"#,
    br#"{"consumerGroup":"G","clientId":"c","mqSet":[{"topic":"T","brokerName":"broker-a","queueId":-1},{"topic":"T","brokerName":"broker-a","queueId":2147483647}]}"#,
    b"\x00\x00\x00\x16\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f\xff\xff\xff\x00\x00",
];

/// A request's fields.
struct Fields(Vec<(&'static str, &'static str)>);

impl EncodeExt for Fields {
    fn encode_ext(&self, sink: &mut dyn ExtSink) {
        self.0.iter().for_each(|(name, value)| sink.text(name, value));
    }
}

/// Numbers that look random, the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("a small number")
    }

    fn request(&mut self, code: RequestCode) -> Command {
        let spoilt = self.below(4);
        let mut fields = Vec::new();
        for (name, value) in FIELDS {
            match self.below(12) {
                0 => {}
                at if at <= spoilt => fields.push((name, NASTY[self.below(NASTY.len())])),
                _ => fields.push((name, value)),
            }
        }
        let body = BODIES[self.below(BODIES.len())];
        Command::request(code).with_ext(&Fields(fields)).with_body(Bytes::from_static(body))
    }
}

/// Codes that some program sends, served or not.
fn codes() -> Vec<RequestCode> {
    (0..=2100).filter_map(RequestCode::from_code).collect()
}

#[test]
fn nothing_that_a_client_sends_stops_a_shard() {
    in_simulation(11, |place| async move {
        let config = config(&place, &[]);
        let shard = Running::start(&config, &place).await;
        let client = Client::connect(place.addr()).await;
        client.create_topic("T", 4).await;
        client.send("T", 0, b"first").await;
        let mut dice = Dice(0x2545_F491_4F6C_DD1D);
        for _ in 0..12 {
            let requests: Vec<Command> =
                codes().into_iter().map(|code| dice.request(code)).collect();
            for request in &requests {
                let mut oneway = request.clone();
                oneway.flag = Command::oneway(RequestCode::HeartBeat).flag;
                client.connection.oneway(&oneway).expect("it fits a frame");
            }
            let asked =
                requests.into_iter().map(|request| client.connection.request(request, LIMIT));
            for answer in join_all(asked).await {
                let answer = answer.expect("every request is answered");
                assert!(ResponseCode::from_code(answer.code).is_some(), "{answer:?}");
                let done = answer.code == ResponseCode::Success.code();
                assert!(done || answer.remark.is_some_and(|remark| !remark.is_empty()));
            }
        }
        let other = Client::connect(place.addr()).await;
        other.create_topic("still-there", 1).await;
        assert_eq!(other.send("still-there", 0, b"last").await.offset, 0);
        shard.stop().await;
        let shard = Running::start(&config, &place).await;
        assert!(shard.started.clean);
        let client = Client::connect(place.addr()).await;
        assert_eq!(client.pull("still-there", 0, 0).await.bodies, [b"last".to_vec()]);
        shard.stop().await;
    });
}

#[test]
fn a_client_has_a_bounded_number_of_groups_and_short_names() {
    in_simulation(12, |place| async move {
        let shard = Running::start(&config(&place, &[]), &place).await;
        let member = Member::connect(place.addr()).await;
        let beat = |id: &str, groups: Vec<String>| {
            let sets = groups.into_iter().map(|group_name| ProducerData { group_name });
            let data = HeartbeatData {
                client_id: id.to_owned(),
                producer_data_set: sets.collect(),
                ..HeartbeatData::default()
            };
            member.ask(RequestCode::HeartBeat, &[], data.encode())
        };
        let many: Vec<String> = (0..4096).map(|number| format!("PG-{number}")).collect();
        assert_eq!(beat("c", many.clone()).await.code, 0);
        assert_eq!(beat("c", many).await.code, 0, "who is known stays");
        let answer = beat("c", vec!["one-more".to_owned()]).await;
        assert_eq!(answer.code, ResponseCode::SystemError.code());
        assert!(answer.remark.expect("a reason").contains("4096 groups already"));
        for (id, group) in [("c".repeat(2000), "PG".to_owned()), ("c".to_owned(), "g".repeat(300))]
        {
            let answer = beat(&id, vec![group]).await;
            assert_eq!(answer.code, ResponseCode::InvalidParameter.code());
        }
        let group = "g".repeat(300);
        let body = format!(r#"{{"consumerGroup":"{group}","clientId":"c","mqSet":[]}}"#);
        let answer = member.ask(RequestCode::LockBatchMq, &[], body.into_bytes()).await;
        assert_eq!(answer.code, ResponseCode::InvalidParameter.code());
        runtime::sleep(Duration::from_millis(1)).await;
        shard.stop().await;
    });
}
