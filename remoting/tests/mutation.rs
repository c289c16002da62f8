//! Damaged frames: whatever arrives, the answer is a value or a typed error, never a panic.
#![allow(clippy::unwrap_used)] // in tests, also in the functions that they share
#![allow(clippy::disallowed_methods)] // tests read their fixtures from the disk themselves

mod recorded;
#[path = "../src/seeded.rs"]
mod seeded;
mod typed;

use bytes::Bytes;
use remoting::body::{Body, HeartbeatData, LockRequest, RegisterBrokerBody, TopicRouteData};
use remoting::header::pull::PullHeader;
use remoting::header::route::RegisterBrokerHeader;
use remoting::header::send::SendHeader;
use remoting::{
    Command, CommandRef, Language, MAX_FRAME, RequestCode, SerializeType, batch, frame,
};
use seeded::Seeded;

/// Damaged frames that are tried; a run takes seconds.
const FRAMES: usize = 100_000;
/// What a failing run is repeated with.
const SEED: u64 = 0x5eed_0003;

/// Pieces that a parser may stumble over.
const PIECES: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud83d",
    b":",
    b",",
    b"null",
    b"NaN",
    b"-",
    b"-1",
    b"99999999999999999999",
    b"{{",
    b"{0:",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"true",
];

fn send() -> Command {
    let header = SendHeader {
        producer_group: "pg",
        topic: "T",
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id: 1,
        sys_flag: 0,
        born_timestamp: 1_763_000_000_000,
        flag: 0,
        properties: Some("KEYS\u{1}k\u{2}TAGS\u{1}TagA"),
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch: true,
        broker_name: Some("b"),
    };
    let mut body = Vec::new();
    for flag in 0..3 {
        let message = batch::BatchMessage { flag, body: b"hello", properties: b"K\x01v\x02" };
        batch::append(&mut body, &message).unwrap();
    }
    Command::request(RequestCode::SendBatchMessage).with_ext(&header).with_body(body)
}

fn pull() -> Command {
    let header = PullHeader {
        consumer_group: "g",
        topic: "T",
        lite_topic: None,
        queue_id: 0,
        queue_offset: 5,
        max_msg_nums: 32,
        sys_flag: 3,
        commit_offset: 4,
        suspend_timeout_millis: 15_000,
        subscription: Some("*"),
        sub_version: 0,
        expression_type: Some("TAG"),
        max_msg_bytes: Some(262_144),
        request_source: Some(-1),
        proxy_forward_client_id: None,
    };
    Command::request(RequestCode::PullMessage).with_ext(&header)
}

fn register() -> Command {
    let text = br#"{"filterServerList":["f"],"topicConfigSerializeWrapper":{"dataVersion":{"counter":1},"topicConfigTable":{"A":{"topicName":"A"},"B":{"topicName":"B"}}}}"#;
    let body = RegisterBrokerBody::decode(text).unwrap().encode_compressed().unwrap();
    let header = RegisterBrokerHeader {
        broker_name: "b",
        broker_addr: "h:1",
        cluster_name: "c",
        ha_server_addr: "h:2",
        broker_id: 0,
        heartbeat_timeout_millis: None,
        enable_acting_master: None,
        compressed: Some(true),
        body_crc32: None,
    };
    Command::request(RequestCode::RegisterBroker).with_ext(&header).with_body(body)
}

/// Whole frames of many kinds, made here and recorded, with the request that they are or answer.
fn originals() -> Vec<(RequestCode, Vec<u8>)> {
    let json = |code: RequestCode, text: &str| Command::request(code).with_body(text.to_owned());
    let lock = r#"{"clientId":"c","consumerGroup":"g","mqSet":[{"brokerName":"b","queueId":1,"topic":"T"}]}"#;
    let beat = r#"{"clientID":"c","consumerDataSet":[{"consumeType":"CONSUME_PASSIVELY","groupName":"g","subscriptionDataSet":[{"codeSet":[1],"subString":"a","tagsSet":["a"],"topic":"T"}]}]}"#;
    let route = r#"{"brokerDatas":[{"brokerAddrs":{0:"h:1"},"brokerName":"b","cluster":"C"}],"queueDatas":[{"brokerName":"b","perm":6}]}"#;
    let stats = r#"{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"T"}:{"maxOffset":1}},"topicPutTps":0.0}"#;
    LockRequest::decode(lock.as_bytes()).unwrap();
    HeartbeatData::decode(beat.as_bytes()).unwrap();
    TopicRouteData::decode(route.as_bytes()).unwrap();
    let reply = |text: &str| Command::reply_to(7, 0).with_body(text.to_owned());
    let all = [
        (RequestCode::SendBatchMessage, send()),
        (RequestCode::PullMessage, pull()),
        (RequestCode::RegisterBroker, register()),
        (RequestCode::LockBatchMq, json(RequestCode::LockBatchMq, lock)),
        (RequestCode::HeartBeat, json(RequestCode::HeartBeat, beat)),
        (RequestCode::GetRouteinfoByTopic, reply(route)),
        (RequestCode::GetTopicStatsInfo, reply(stats)),
    ];
    let bytes = |command: Command| {
        let mut out = Vec::new();
        command.encode(&mut out).unwrap();
        out
    };
    let made = all.into_iter().map(|(code, command)| (code, bytes(command)));
    let recorded = recorded::index()
        .into_iter()
        .map(|recorded| (recorded.subject().expect("a code of the table"), recorded.frame()));
    made.chain(recorded).collect()
}

/// Changes some bytes.
fn damage(bytes: &mut Vec<u8>, seeded: &mut Seeded) {
    for _ in 0..=seeded.below(4) {
        let at = seeded.below(bytes.len() + 1);
        let to = seeded.below(bytes.len() + 1);
        let (low, high) = (at.min(to), at.max(to));
        match seeded.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << seeded.below(8),
            1 if at < bytes.len() => bytes[at] = seeded.next().to_le_bytes()[0],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(low..high.min(low + 8))),
            4 => {
                let copy = bytes[low..high.min(low + 64)].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                let piece = PIECES[seeded.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
}

/// Damages header, body or the whole; in the first two the prefix is put right again, or hardly
/// anything would get past it.
fn damaged(frame: &[u8], seeded: &mut Seeded) -> Vec<u8> {
    let parts = frame::split(frame, MAX_FRAME).unwrap().unwrap();
    let (mut header, mut body) = (frame[parts.header].to_vec(), frame[parts.body].to_vec());
    match seeded.below(5) {
        0 => {
            let mut whole = frame.to_vec();
            damage(&mut whole, seeded);
            return whole;
        }
        1 | 2 => damage(&mut header, seeded),
        _ => damage(&mut body, seeded),
    }
    let length = u32::try_from(4 + header.len() + body.len()).unwrap();
    let word = u32::try_from(header.len()).unwrap();
    [&length.to_be_bytes()[..], &word.to_be_bytes(), &header, &body].concat()
}

/// Reads a frame as a server or client would. True if its header could be read.
fn read(request: RequestCode, bytes: &[u8]) -> bool {
    let missing = frame::missing(bytes, MAX_FRAME);
    let found = frame::split(bytes, MAX_FRAME);
    let parts = match (&missing, found) {
        (Ok(0), Ok(Some(parts))) => parts,
        (Ok(lacks), Ok(None)) => {
            assert!((1..=MAX_FRAME).contains(lacks));
            return false;
        }
        (Err(left), Err(right)) => {
            assert_eq!(*left, right);
            return false;
        }
        (missing, found) => panic!("{missing:?} bytes missing, but {found:?}"),
    };
    assert!(parts.end() <= bytes.len() && parts.header.end == parts.body.start);
    let Ok(head) = CommandRef::decode(parts.serialize, &bytes[parts.header]) else {
        return false;
    };
    let command = head.into_owned(Bytes::copy_from_slice(&bytes[parts.body]));
    survives(&command);
    let code = RequestCode::from_code(command.code).unwrap_or(request);
    // Damaged fields and bodies are errors or not; that they are found is all that counts here.
    drop(typed::request(code, &command));
    drop(typed::reply(request, &Command { code: 0, ..command }));
    true
}

/// What could be read can be written, and reads the same again.
fn survives(command: &Command) {
    let mut out = Vec::new();
    command.encode(&mut out).unwrap();
    let parts = frame::split(&out, MAX_FRAME).unwrap().unwrap();
    let mut again = Command::from_frame(&Bytes::from(out), &parts).unwrap();
    if command.language == Language::Unknown {
        assert_eq!(again.language, Language::Other);
        again.language = Language::Unknown;
    }
    assert_eq!(&again, command);
    assert_eq!(again.serialize, SerializeType::Json);
}

#[test]
fn damaged_frames_never_panic() {
    let originals = originals();
    for (code, frame) in &originals {
        assert!(read(*code, frame), "{code} is not damaged");
    }
    let mut seeded = Seeded::new(SEED);
    let mut readable = 0;
    for _ in 0..FRAMES {
        let (code, frame) = &originals[seeded.below(originals.len())];
        readable += usize::from(read(*code, &damaged(frame, &mut seeded)));
    }
    // If nearly all were refused at the door, nothing behind it would have been tried.
    assert!(readable > FRAMES / 4, "only {readable} headers could be read");
    assert!(readable < FRAMES, "no damage was noticed");
}

#[test]
fn noise_is_refused() {
    let mut seeded = Seeded::new(SEED);
    for _ in 0..10_000 {
        let noise: Vec<u8> =
            (0..seeded.below(64)).map(|_| seeded.next().to_le_bytes()[0]).collect();
        assert!(!read(RequestCode::SendMessageV2, &noise));
    }
}
