//! Message records, as producers' messages become and as the log holds them.

use model::record::{Head, MAGIC_V2, MAX_TOPIC_V1, stamp};
use model::{Draft, Record, properties, topic};

use crate::Outcome;

/// Bytes that begin with a record, perhaps.
///
/// # Panics
/// When reading depends on what follows the record, when its head says something else, when a flipped
/// bit of its body passes the CRC, or when it does not survive being written and read.
pub fn check(bytes: &[u8]) -> Outcome {
    let record = match Record::parse(bytes) {
        Ok(record) => record,
        Err(error) => {
            drop(Head::parse(bytes));
            return Outcome::refused(error);
        }
    };
    let whole = record.bytes();
    assert!(whole.len() <= bytes.len() && bytes.starts_with(whole));
    assert!(same(&Record::parse(whole).expect("nothing behind it matters"), &record));
    assert!(Record::parse(&whole[..whole.len() - 1]).is_err(), "its last byte matters");
    let head = Head::parse(bytes).expect("a record has a head");
    assert_eq!(head.len as usize, whole.len());
    assert_eq!((head.queue_id, head.queue_offset), (record.queue_id(), record.queue_offset()));
    assert_eq!(head.physical_offset, record.physical_offset());
    assert_eq!(head.store_time, record.store_time());
    check_properties(record.properties());
    let tag = properties::find(record.properties(), properties::TAGS);
    assert!(tag.is_some() || record.tag_hash() == 0, "no tag has no hash");
    survives(&record);
    match record.check_body() {
        Ok(()) => {
            check_crc(&record);
            Outcome::Read
        }
        Err(error) => Outcome::refused(error),
    }
}

/// Pairs that are found can be written, and are found again.
fn check_properties(text: &[u8]) {
    let mut again = Vec::new();
    for (name, value) in properties::pairs(text) {
        assert!(!name.is_empty() && !value.is_empty());
        let (Ok(name), Ok(value)) = (str::from_utf8(name), str::from_utf8(value)) else { return };
        properties::append(&mut again, name, value);
    }
    assert!(again.len() <= text.len() + 1, "only the last separator may be missing");
    assert!(properties::pairs(&again).eq(properties::pairs(text)));
}

fn check_crc(record: &Record<'_>) {
    let whole = record.bytes();
    let body = record.body().as_ptr() as usize - whole.as_ptr() as usize;
    let bits = record.body().len() * 8;
    if bits == 0 {
        return;
    }
    let bit = crc32c::crc32c(whole) as usize % bits;
    let mut bad = whole.to_vec();
    bad[body + bit / 8] ^= 1 << (bit % 8);
    let bad = Record::parse(&bad).expect("the body does not matter to its parts");
    assert!(bad.check_body().is_err(), "bit {bit} of the body was flipped and not seen");
}

/// The record as a draft that is stamped: the same value, and the same bytes if nothing in it is
/// written in another way than ours.
fn survives(record: &Record<'_>) {
    let fits = (1..=topic::MAX_RETRY_TOPIC).contains(&record.topic().len())
        && record.properties().len() <= properties::MAX_LEN;
    if !fits {
        return; // such a record is never made
    }
    let whole = record.bytes();
    let body = record.body().as_ptr() as usize - whole.as_ptr() as usize;
    let prepared = whole[body - 12..body - 4].try_into().expect("eight bytes");
    let draft = Draft {
        topic: record.topic(),
        queue_id: record.queue_id(),
        flag: record.flag(),
        sys_flag: record.sys_flag(),
        born_time: record.born_time(),
        born_host: record.born_host(),
        store_host: record.store_host(),
        reconsume_times: record.reconsume_times(),
        prepared_offset: i64::from_be_bytes(prepared),
        body: record.body(),
        properties: record.properties(),
        more_properties: b"",
    };
    let mut again = vec![0; draft.encoded_len()];
    draft.encode(&mut again);
    stamp(&mut again, record.queue_offset(), record.physical_offset(), record.store_time());
    let read = Record::parse(&again).expect("ours");
    assert!(same(&read, record), "a record survives being written");
    let long = record.topic().len() > MAX_TOPIC_V1;
    let ours = (whole[4..8] == MAGIC_V2.to_be_bytes()) == long
        && record.check_body().is_ok()
        && ports_fit(record, body);
    assert!(!ours || again == whole, "a record has one form");
}

/// Whether the upper halves of the ports, which have four bytes, are not in use.
fn ports_fit(record: &Record<'_>, body: usize) -> bool {
    let whole = record.bytes();
    let born = if record.born_host().is_ipv4() { 48 + 4 } else { 48 + 16 };
    let store = body - 4 - 8 - 4 - 4; // before it: length, prepared offset, reconsume times
    whole[born..born + 2] == [0, 0] && whole[store..store + 2] == [0, 0]
}

fn same(a: &Record<'_>, b: &Record<'_>) -> bool {
    (a.topic(), a.queue_id(), a.flag(), a.sys_flag(), a.body(), a.properties())
        == (b.topic(), b.queue_id(), b.flag(), b.sys_flag(), b.body(), b.properties())
        && (a.queue_offset(), a.physical_offset(), a.reconsume_times())
            == (b.queue_offset(), b.physical_offset(), b.reconsume_times())
        && (a.born_time(), a.born_host(), a.store_time(), a.store_host())
            == (b.born_time(), b.born_host(), b.store_time(), b.store_host())
}
