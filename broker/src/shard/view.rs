//! Questions about queues and single messages: GET_MAX_OFFSET (30), GET_MIN_OFFSET (31),
//! SEARCH_OFFSET_BY_TIMESTAMP (29), GET_EARLIEST_MSG_STORETIME (32), VIEW_MESSAGE_BY_ID (33).
//!
//! As with RocketMQ, a queue that is not there counts as an empty one.

use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use model::{PhysicalOffset, QueueId, UnixMillis};
use remoting::header::DecodeExt;
use remoting::header::offset::{
    Boundary, MaxOffsetHeader, OffsetReply, QueueHeader, SearchOffsetHeader, StoreTimeReply,
};
use remoting::header::pull::ViewMessageHeader;
use remoting::{CommandRef, ResponseCode};
use storage::{QueueRange, ReadError};
use transport::Connection;

use super::Shard;
use super::disk_reads::TooMany;
use super::refusals::{code_of, too_many_reads, unread};
use super::reply::{Caller, Refusal};

/// The store time of an empty queue.
const NO_TIME: i64 = -1;

fn range(shard: &Shard, topic: &str, queue: i32) -> Option<QueueRange> {
    let queue = u32::try_from(queue).ok()?;
    shard.store.queue(topic, QueueId(queue))
}

fn answer_offset(caller: &Caller, offset: u64) {
    caller.ok(&OffsetReply { offset: offset.cast_signed() });
}

/// GET_MAX_OFFSET (30): the offset that the next message gets. Only committed messages count.
pub fn max_offset(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    match MaxOffsetHeader::decode(code_of(request), &request.ext) {
        Ok(header) => {
            let range = range(shard, header.topic, header.queue_id);
            answer_offset(&caller, range.map_or(0, |range| range.max.0));
        }
        Err(error) => Refusal::from(error).send(&caller),
    }
}

/// GET_MIN_OFFSET (31): the offset of the oldest message.
pub fn min_offset(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    match QueueHeader::decode(code_of(request), &request.ext) {
        Ok(header) => {
            let range = range(shard, header.topic, header.queue_id);
            answer_offset(&caller, range.map_or(0, |range| range.min.0));
        }
        Err(error) => Refusal::from(error).send(&caller),
    }
}

/// SEARCH_OFFSET_BY_TIMESTAMP (29).
pub fn search_offset(
    shard: &Rc<Shard>,
    connection: &Connection,
    request: &CommandRef<'_>,
    _: Bytes,
) {
    let caller = Caller::of(connection, request);
    let header = match SearchOffsetHeader::decode(code_of(request), &request.ext) {
        Ok(header) => header,
        Err(error) => return Refusal::from(error).send(&caller),
    };
    if range(shard, header.topic, header.queue_id).is_none() {
        return answer_offset(&caller, 0);
    }
    let topic = header.topic.to_owned();
    let queue = QueueId(u32::try_from(header.queue_id).expect("the queue was found"));
    let time = UnixMillis(u64::try_from(header.timestamp).unwrap_or(0));
    let boundary = match header.boundary {
        Boundary::Lower => storage::Boundary::Lower,
        Boundary::Upper => storage::Boundary::Upper,
    };
    let (at, to) = (Rc::clone(shard), caller.clone());
    in_disk_read(shard, &caller, async move {
        match at.store.offset_by_time(&topic, queue, time, boundary).await {
            Ok(offset) => answer_offset(&to, offset.map_or(0, |offset| offset.0)),
            Err(error) => failed(&at, &to, &error),
        }
    });
}

/// GET_EARLIEST_MSG_STORETIME (32): −1 for an empty queue.
pub fn earliest_store_time(
    shard: &Rc<Shard>,
    connection: &Connection,
    request: &CommandRef<'_>,
    _: Bytes,
) {
    let caller = Caller::of(connection, request);
    let header = match QueueHeader::decode(code_of(request), &request.ext) {
        Ok(header) => header,
        Err(error) => return Refusal::from(error).send(&caller),
    };
    let found = range(shard, header.topic, header.queue_id).filter(|range| range.min < range.max);
    let Some(QueueRange { min, .. }) = found else {
        return caller.ok(&StoreTimeReply { timestamp: NO_TIME });
    };
    let topic = header.topic.to_owned();
    let queue = QueueId(u32::try_from(header.queue_id).expect("the queue was found"));
    let (at, to) = (Rc::clone(shard), caller.clone());
    in_disk_read(shard, &caller, async move {
        match at.store.store_time(&topic, queue, min).await {
            Ok(time) => {
                let timestamp = time.map_or(NO_TIME, |time| time.0.cast_signed());
                to.ok(&StoreTimeReply { timestamp });
            }
            Err(error) => failed(&at, &to, &error),
        }
    });
}

/// VIEW_MESSAGE_BY_ID (33): the record at a physical offset.
pub fn by_id(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let header = match ViewMessageHeader::decode(code_of(request), &request.ext) {
        Ok(header) => header,
        Err(error) => return Refusal::from(error).send(&caller),
    };
    let Ok(offset) = u64::try_from(header.offset).map(PhysicalOffset) else {
        return not_there(&caller, header.offset);
    };
    let (at, to) = (Rc::clone(shard), caller.clone());
    in_disk_read(shard, &caller, async move {
        match at.store.record_at(offset).await {
            Ok(record) => to.body(&(), &record),
            Err(ReadError::OutOfRange { .. } | ReadError::NoRecord { .. }) => {
                not_there(&to, offset.0.cast_signed());
            }
            Err(error) => failed(&at, &to, &error),
        }
    });
}

fn not_there(caller: &Caller, offset: i64) {
    let remark = format!("can not find message by the offset, {offset}");
    caller.refuse(ResponseCode::SystemError, &remark);
}

/// Answers a read that failed, and says so in the log.
pub(super) fn failed(shard: &Shard, caller: &Caller, error: &ReadError) {
    if let Some(unreported) = shard.read_failures.may_say(runtime::now()) {
        tracing::error!(shard = %shard.identity.name, %error, unreported, "the log cannot be read");
    }
    unread(error).send(caller);
}

/// Runs a read for this caller, or answers that too many wait.
pub(super) fn in_disk_read(
    shard: &Shard,
    caller: &Caller,
    read: impl Future<Output = ()> + 'static,
) {
    if let Err(TooMany { max }) = shard.disk_reads.run(read) {
        too_many_reads(max).send(caller);
    }
}
