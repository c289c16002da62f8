//! Seeds out of frames that were recorded from real clients and servers.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use flate2::read::ZlibDecoder;
use remoting::body::{Body as _, RegisterBrokerBody};
use remoting::{Command, MAX_FRAME, RequestCode, frame};

use super::Seed;
use crate::check::body::BODIES;
use crate::check::registration::{OLD, PLAIN};

/// Which body a request (`true`) or the answer to it has, by RocketMQ's name.
const OF_CODE: [(RequestCode, bool, &str); 18] = [
    (RequestCode::HeartBeat, true, "HeartbeatData"),
    (RequestCode::GetRouteinfoByTopic, false, "TopicRouteData"),
    (RequestCode::GetBrokerClusterInfo, false, "ClusterInfo"),
    (RequestCode::LockBatchMq, true, "LockBatchRequestBody"),
    (RequestCode::LockBatchMq, false, "LockBatchResponseBody"),
    (RequestCode::UnlockBatchMq, true, "LockBatchRequestBody"),
    (RequestCode::GetConsumerListByGroup, false, "GetConsumerListByGroupResponseBody"),
    (RequestCode::GetTopicStatsInfo, false, "TopicStatsTable"),
    (RequestCode::GetConsumeStats, false, "ConsumeStats"),
    (RequestCode::GetConsumerConnectionList, false, "ConsumerConnection"),
    (RequestCode::QueryTopicConsumeByWho, false, "GroupList"),
    (RequestCode::GetAllTopicListFromNameserver, false, "TopicList"),
    (RequestCode::GetBrokerRuntimeInfo, false, "KVTable"),
    (RequestCode::RegisterBroker, true, "RegisterBrokerBody"),
    (RequestCode::CheckClientConfig, true, "CheckClientRequestBody"),
    (RequestCode::UpdateAndCreateSubscriptiongroup, true, "SubscriptionGroupConfig"),
    (RequestCode::GetTopicConfig, false, "TopicConfig"),
    (RequestCode::GetBrokerMemberGroup, false, "GetBrokerMemberGroupResponseBody"),
];

/// Bodies and dialects that were not recorded.
const TEXTS: [(&str, &str); 11] = [
    ("BrokerMemberGroup", r#"{"brokerAddrs":{0:"h:1"},"brokerName":"b","cluster":"C"}"#),
    ("DataVersion", r#"{"counter":7,"stateVersion":1,"timestamp":1763000000000}"#),
    (
        "TopicConfigSerializeWrapper",
        r#"{"dataVersion":{"counter":1},"topicConfigTable":{"A":{"topicName":"A","perm":6},"B":null}}"#,
    ),
    ("CheckClientRequestBody", r#"{"clientId":"c","group":"g","subscriptionData":{"topic":"T"}}"#),
    ("TopicConfig", r#"{"attributes":{"+message.type":"FIFO"},"order":true,"topicName":"T"}"#),
    ("SubscriptionGroupConfig", r#"{"groupName":"g","groupRetryPolicy":{"type":"CUSTOMIZED"}}"#),
    ("GroupList", r#"{"groupList":["a","b"]}"#),
    ("KVTable", r#"{"table":{"k":"v","é😀":"\u0001\ud83d\ude00"}}"#),
    (
        "TopicStatsTable",
        r#"{"offsetTable":{{topic:"T",queueId:3,brokerName:"b"}:{"maxOffset":1}},"topicPutTps":NaN}"#,
    ),
    (
        "ConsumeStats",
        r#"{"consumeTps":1.5,"offsetTable":{"{\"queueId\":\"7\"}":{"pullOffset":-1}}}"#,
    ),
    ("GetBrokerMemberGroupResponseBody", r#"{"brokerMemberGroup":{"brokerAddrs":{"0":"h:1"}}}"#),
];

/// A line of the index of the recorded frames.
struct Recorded {
    file: String,
    is_reply: bool,
    code: i32,
    request: i32,
}

fn index(folder: &Path) -> io::Result<Vec<Recorded>> {
    let text = fs::read_to_string(folder.join("index.tsv"))?;
    let line = |line: &str| {
        let cells: Vec<_> = line.split('\t').collect();
        let code = cells.get(5)?.parse().ok()?;
        let is_reply = cells[4] == "reply";
        let request = if is_reply { cells.get(6)?.parse().ok()? } else { code };
        Some(Recorded { file: cells[0].to_owned(), is_reply, code, request })
    };
    Ok(text.lines().filter_map(line).collect())
}

pub(super) fn seeds() -> io::Result<Vec<Seed>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/frames");
    let (mut seeds, mut seen) = (Vec::new(), BTreeSet::new());
    for recorded in index(&folder)? {
        let Recorded { file, is_reply, code, request } = recorded;
        // One of each kind: they differ in their clients' languages alone.
        if seen.insert((is_reply, code, request)) {
            let kind = if is_reply { "reply" } else { "request" };
            let name = format!("{request}-{kind}-{code}");
            of_frame(&mut seeds, &name, &fs::read(folder.join(file))?, request, is_reply);
        }
    }
    for (body, text) in TEXTS {
        seeds.push(body_seed(body, body, text.as_bytes()));
        seeds.push(Seed::new("fastjson", body, text));
    }
    batches(&mut seeds);
    registrations(&mut seeds)?;
    Ok(seeds)
}

fn body_seed(name: &str, body: &str, text: &[u8]) -> Seed {
    let which = BODIES.iter().position(|(name, _)| *name == body).expect("a body's name");
    let which = u8::try_from(which).expect("there are a few bodies");
    Seed::new("bodies", name, [&[which], text].concat())
}

fn of_frame(seeds: &mut Vec<Seed>, name: &str, bytes: &[u8], request: i32, is_reply: bool) {
    let range = frame::split(bytes, MAX_FRAME).ok().flatten().expect("a whole frame");
    let (header, body) = (&bytes[range.header.clone()], &bytes[range.body.clone()]);
    seeds.push(Seed::new("frames", name, bytes));
    seeds.push(Seed::new("headers", name, header));
    let of_code = OF_CODE
        .iter()
        .find(|(code, of_request, _)| i32::from(*code) == request && *of_request != is_reply);
    if let (Some((_, _, which)), Some(b'{')) = (of_code, body.first()) {
        seeds.push(body_seed(name, which, body));
        seeds.push(Seed::new("fastjson", name, body));
    }
    if !is_reply && request == i32::from(RequestCode::SendBatchMessage) {
        seeds.push(Seed::new("batches", name, body));
    }
    if is_reply && request == i32::from(RequestCode::PullMessage) && !body.is_empty() {
        seeds.push(Seed::new("records", name, body));
    }
}

fn batches(seeds: &mut Vec<Seed>) {
    use remoting::batch::{BatchMessage, append};
    let mut body = Vec::new();
    for (flag, properties) in [(0, &b"K\x01v\x02"[..]), (-1, b""), (7, b"TAGS\x01a")] {
        let message = BatchMessage { flag, body: b"hello", properties };
        append(&mut body, &message).expect("it fits");
    }
    seeds.push(Seed::new("batches", "three", body));
    // What a client of ours sends.
    let mut frame = Vec::new();
    Command::request(RequestCode::GetRouteinfoByTopic)
        .with_ext(&[("topic", "T\u{1}\"\\é😀\r\n\t")])
        .encode(&mut frame)
        .expect("it fits");
    seeds.push(Seed::new("frames", "ours", frame));
}

fn registrations(seeds: &mut Vec<Seed>) -> io::Result<()> {
    let text = r#"{"filterServerList":["f"],"topicConfigSerializeWrapper":{"dataVersion":{"counter":1},"topicConfigTable":{"A":{"topicName":"A","attributes":{"a":"b"}},"B":{"topicName":"B"}},"topicQueueMappingInfoMap":{"A":{"topic":"A","totalQueues":4}}}}"#;
    let body = RegisterBrokerBody::decode(text.as_bytes()).expect("a registration");
    let packed = body.encode_compressed().expect("it fits");
    let mut plain = Vec::new();
    ZlibDecoder::new(&packed[..]).read_to_end(&mut plain)?;
    for (name, options, bytes) in
        [("packed", 0, &packed), ("plain", PLAIN, &plain), ("old", PLAIN | OLD, &plain)]
    {
        seeds.push(Seed::new("registrations", name, [&[options], &bytes[..]].concat()));
    }
    Ok(())
}
