//! QUERY_MESSAGE (12): messages by key and by unique key.
//!
//! RocketMQ 5.5.0, classes QueryMessageProcessor and DefaultMessageStore: the newest messages that have the key, in
//! the order of the log. Keys and unique keys are found alike there and here; clients look through the answer.

use std::rc::Rc;

use bytes::Bytes;
use model::UnixMillis;
use remoting::header::DecodeExt;
use remoting::header::query::{QueryMessageHeader, QueryMessageReply};
use remoting::{CommandRef, ResponseCode};
use runtime::Slice;
use storage::KeyQuery;
use transport::Connection;

use super::Shard;
use super::disk_reads::TooMany;
use super::refusals::{code_of, too_many_reads};
use super::reply::{Caller, Refusal};
use super::view;
use crate::limits::MAX_QUERY_BYTES;

/// The index of tags, which RocketMQ has with its store in RocksDB only.
const TAGS: &str = "T";
/// RocketMQ's words for an empty answer.
const NOT_FOUND: &str = "can not find message, maybe time range not correct";

/// A query, decoded.
struct Query {
    topic: String,
    key: String,
    begin: UnixMillis,
    end: UnixMillis,
    max: usize,
}

/// QUERY_MESSAGE (12).
pub fn by_key(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let header = match QueryMessageHeader::decode(code_of(request), &request.ext) {
        Ok(header) => header,
        Err(error) => return Refusal::from(error).send(&caller),
    };
    let Some(query) = Query::new(shard, &header) else {
        return caller.refuse(ResponseCode::QueryNotFound, NOT_FOUND);
    };
    let (at, to) = (Rc::clone(shard), caller.clone());
    let read = async move {
        let Query { topic, key, begin, end, max } = &query;
        let (begin, end, max) = (*begin, *end, *max);
        let wanted = KeyQuery { topic, key, begin, end, max, max_bytes: MAX_QUERY_BYTES };
        match at.store.find_by_key(wanted).await {
            Ok(found) => answer(&at, &to, &found),
            Err(error) => view::failed(&at, &to, &error),
        }
    };
    if let Err(TooMany { max }) = shard.disk_reads.run(read) {
        too_many_reads(max).send(&caller);
    }
}

impl Query {
    /// `None` when nothing can be found by it.
    fn new(shard: &Shard, header: &QueryMessageHeader<'_>) -> Option<Self> {
        let limits = &shard.config.query;
        let asked = match header.unique_key {
            Some("true") => limits.unique_key,
            _ => usize::try_from(header.max_num).unwrap_or(0),
        };
        let max = asked.min(limits.messages);
        let time = |millis: i64| UnixMillis(u64::try_from(millis).unwrap_or(0));
        let (begin, end) = (time(header.begin_timestamp), time(header.end_timestamp));
        let possible = max > 0 && begin <= end && header.index_type != Some(TAGS);
        let (topic, key) = (header.topic.to_owned(), header.key.to_owned());
        possible.then_some(Self { topic, key, begin, end, max })
    }
}

/// Answers with what was found, newest first.
fn answer(shard: &Shard, caller: &Caller, newest_first: &[Slice]) {
    let len = newest_first.iter().map(|record| record.len()).sum();
    let newest = shard.store.segment_times().into_iter().rev().find_map(|segment| segment.times);
    let reply = QueryMessageReply {
        index_last_update_timestamp: newest.map_or(0, |(_, newest)| newest.0.cast_signed()),
        index_last_update_phyoffset: shard.store.stats().max.0.cast_signed(),
    };
    if newest_first.is_empty() {
        return caller.answer(ResponseCode::QueryNotFound, Some(NOT_FOUND), &reply, &[]);
    }
    caller.answer_with(ResponseCode::Success, None, &reply, len, |out| {
        newest_first.iter().rev().for_each(|record| out.extend_from_slice(record));
    });
}
