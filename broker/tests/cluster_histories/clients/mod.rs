//! Clients: what each does, for as long as it is let.

pub mod consumer;
pub mod crowd;
pub mod operator;
pub mod producer;
pub mod reader;
pub mod stock;
pub mod watcher;

use model::Record;

use crate::witness::Got;

/// The records of an answer.
pub fn records(mut bytes: &[u8]) -> Vec<Got> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let record = Record::parse(bytes).expect("a whole record");
        record.check_body().expect("the body is as it was sent");
        let body = record.body().to_vec();
        all.push(Got {
            offset: record.queue_offset().0,
            stored_millis: record.store_time().0,
            body,
        });
        bytes = &bytes[record.bytes().len()..];
    }
    all
}
