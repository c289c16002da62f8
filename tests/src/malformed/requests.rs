//! What is wrong is what a sound frame asks for.

use super::headers::framed;
use super::rng::Rng;
use crate::frame;

/// Request codes of NameServer and broker (RocketMQ 5.5.0, `RequestCode`).
const CODES: [i32; 56] = [
    10, 11, 12, 14, 15, 17, 21, 22, 23, 24, 25, 26, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 41,
    42, 43, 46, 61, 100, 101, 103, 104, 105, 106, 200, 201, 202, 203, 204, 206, 208, 215, 216, 221,
    222, 224, 300, 304, 307, 309, 310, 315, 320, 321, 351, 904,
];

/// Names of fields that some request reads.
const FIELDS: [&str; 24] = [
    "a",
    "b",
    "d",
    "e",
    "f",
    "g",
    "i",
    "j",
    "topic",
    "queueId",
    "queueOffset",
    "offset",
    "maxMsgNums",
    "sysFlag",
    "consumerGroup",
    "subscription",
    "timestamp",
    "readQueueNums",
    "commitOffset",
    "brokerId",
    "brokerName",
    "suspendTimeoutMillis",
    "compressed",
    "bodyCrc32",
];

/// Values that a careless reader falls over.
const VALUES: [&str; 16] = [
    "",
    " ",
    "-1",
    "x",
    "9223372036854775808",
    "-9223372036854775809",
    "2147483648",
    "1.5",
    "0x10",
    "true",
    "NaN",
    "\u{0}",
    "\u{1}\u{2}",
    "../../etc",
    "a/b\\c",
    "größe\u{1f980}",
];

/// A sound request, for others to spoil. Its topic is nobody else's.
pub fn sound(rng: &mut Rng) -> Vec<u8> {
    let size = rng.between(0, 300);
    let body = rng.bytes(size);
    let ext =
        [("b", "mangled"), ("a", "group"), ("c", "TBW102"), ("d", "4"), ("e", "0"), ("f", "0")];
    let more =
        [("g", "1700000000000"), ("h", "0"), ("i", "KEYS\u{1}k\u{2}"), ("j", "0"), ("k", "false")];
    frame::request(310, 0, opaque(rng), &[&ext[..], &more[..]].concat(), &body)
}

/// The JSON header of a sound request.
pub fn header(rng: &mut Rng) -> Vec<u8> {
    let frame = sound(rng);
    let length = u32::from_be_bytes([0, frame[5], frame[6], frame[7]]) as usize;
    frame[8..8 + length].to_vec()
}

fn opaque(rng: &mut Rng) -> i32 {
    i32::try_from(rng.word() >> 1).expect("31 bits")
}

pub fn no_fields(rng: &mut Rng) -> Vec<u8> {
    frame::request(rng.pick(&CODES), 0, opaque(rng), &[], b"")
}

pub fn bad_fields(rng: &mut Rng) -> Vec<u8> {
    let count = rng.between(1, 10);
    let ext: Vec<_> = (0..count).map(|_| (rng.pick(&FIELDS), rng.pick(&VALUES))).collect();
    frame::request(rng.pick(&CODES), 0, opaque(rng), &ext, b"")
}

pub fn huge_fields(rng: &mut Rng) -> Vec<u8> {
    let value = "x".repeat(rng.between(20_000, 70_000));
    let field = rng.pick(&FIELDS);
    frame::request(rng.pick(&CODES), 0, opaque(rng), &[(field, &value), ("topic", "x")], b"")
}

/// Fields that lead as deep into a request as guessing can.
fn plausible(code: i32, opaque: i32, flag: i32, body: &[u8]) -> Vec<u8> {
    let ext = [
        ("a", "g"),
        ("b", "mangled"),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", "0"),
        ("f", "0"),
        ("g", "1"),
        ("h", "0"),
        ("i", "KEYS\u{1}"),
        ("j", "0"),
        ("m", "true"),
        ("topic", "mangled"),
        ("queueId", "0"),
        ("consumerGroup", "g"),
        ("producerGroup", "g"),
        ("clientID", "c"),
        ("brokerName", "mangled"),
        ("brokerAddr", "127.0.0.1:1"),
        ("clusterName", "mangled"),
        ("haServerAddr", "127.0.0.1:2"),
        ("brokerId", "0"),
        ("compressed", "true"),
        ("bodyCrc32", "0"),
    ];
    frame::request(code, flag, opaque, &ext, body)
}

pub fn garbage_body(rng: &mut Rng) -> Vec<u8> {
    let size = rng.between(1, 4_000);
    let body = rng.bytes(size);
    plausible(rng.pick(&CODES), opaque(rng), 0, &body)
}

pub fn nested_body(rng: &mut Rng) -> Vec<u8> {
    let depth = rng.between(500, 60_000);
    let open = rng.pick(&["[", "{\"a\":", "{{", "[{\"subscriptionDataSet\":["]);
    plausible(
        rng.pick(&[34, 41, 42, 103, 200, 18, 225]),
        opaque(rng),
        0,
        open.repeat(depth).as_bytes(),
    )
}

pub fn wrong_json_body(rng: &mut Rng) -> Vec<u8> {
    let body = rng.pick(&[
        "{\"clientID\":7,\"consumerDataSet\":{},\"producerDataSet\":\"x\"}",
        "{\"clientID\":null,\"consumerDataSet\":[null],\"producerDataSet\":[1]}",
        "{\"consumerGroup\":\"g\",\"clientId\":[],\"mqSet\":[{\"queueId\":\"x\"}]}",
        "{\"consumerGroup\":\"g\",\"clientId\":\"c\",\"mqSet\":[{\"queueId\":99999999999}]}",
        "{\"groupName\":-1,\"retryQueueNums\":1e400}",
        "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{\"t\":7}}}",
        "\u{feff}{}",
        "[]",
        "nul",
    ]);
    plausible(rng.pick(&[34, 41, 42, 103, 200]), opaque(rng), 0, body.as_bytes())
}

pub fn unknown_code(rng: &mut Rng) -> Vec<u8> {
    let code = rng.pick(&[-1, 0, 1, 9_999, 32_768, 65_535, 200_050, i32::MAX, i32::MIN]);
    let size = rng.between(0, 200);
    let body = rng.bytes(size);
    frame::request(code, 0, opaque(rng), &[("topic", "x")], &body)
}

/// A sound request with one to eight bits turned, none of them in its length.
pub fn flipped_bits(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = sound(rng);
    for _ in 0..rng.between(1, 8) {
        let at = rng.between(4, bytes.len() - 1);
        bytes[at] ^= 1 << rng.below(8);
    }
    bytes
}

pub fn garbage_oneway(rng: &mut Rng) -> Vec<u8> {
    let size = rng.between(0, 400);
    let body = rng.bytes(size);
    plausible(rng.pick(&CODES), opaque(rng), 2, &body)
}

/// A reply to a request that the server has never sent.
pub fn unasked_reply(rng: &mut Rng) -> Vec<u8> {
    let header = format!(
        "{{\"code\":{},\"flag\":1,\"language\":\"JAVA\",\"opaque\":{},\"version\":513}}",
        rng.between(0, 30),
        opaque(rng)
    );
    framed(0, header.as_bytes(), b"whatever")
}
