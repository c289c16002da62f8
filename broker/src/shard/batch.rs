//! SEND_BATCH_MESSAGE (320): all messages of a batch, or none.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use model::{Draft, QueueId, QueueOffset, message_id};
use remoting::ResponseCode;
use remoting::batch::{BatchMessage, messages};
use remoting::header::send::SendHeader;
use runtime::Instant;
use storage::AppliedRecord;

use super::commands::TopicConfig;
use super::completions::Completion;
use super::properties;
use super::reply::{Caller, Refusal};
use super::send::{answer_stored, born_time, check, choose_queue, sys_flag, with_properties};
use super::{Shard, send_rules};
use crate::limits::MAX_BATCH_MESSAGES;

/// The sender of a batch that is on its way into the log.
pub struct BatchSender {
    caller: Caller,
    unique_key: Option<Box<str>>,
    ids: RefCell<String>,
    first: Cell<Option<QueueOffset>>,
    left: Cell<usize>,
    /// When it arrived.
    pub since: Instant,
}

impl BatchSender {
    /// Notes that one more message is stored; the last one answers.
    pub fn stored(&self, shard: &Shard, record: &AppliedRecord) {
        let left = self.left.get();
        assert!(left > 0, "a batch has no more messages than it was appended with");
        self.left.set(left - 1);
        let mut ids = self.ids.borrow_mut();
        if !ids.is_empty() {
            ids.push(',');
        }
        ids.push_str(&message_id::message_id(shard.identity.address, record.physical));
        let first = self.first.get().unwrap_or(record.queue_offset);
        self.first.set(Some(first));
        if left == 1 {
            answer_stored(shard, &self.caller, &ids, record, first, self.unique_key.as_deref());
        }
    }

    /// Who waits, for a refusal; once only.
    #[must_use]
    pub fn give_up(&self) -> Option<&Caller> {
        (self.left.replace(0) > 0).then_some(&self.caller)
    }
}

fn illegal(remark: String) -> Refusal {
    Refusal::new(ResponseCode::MessageIllegal, remark)
}

/// A message of the batch, with its property text as it will be stored.
struct Part<'a> {
    message: BatchMessage<'a>,
    properties: Vec<u8>,
    added: Vec<u8>,
}

/// Checks a batch and appends it.
///
/// # Errors
/// What to answer; nothing was appended then, but for a topic that the batch created.
pub fn place(
    shard: &Rc<Shard>,
    caller: &Caller,
    header: &SendHeader<'_>,
    body: &[u8],
) -> Result<(), Refusal> {
    let since = runtime::now();
    let topic = check(shard, header)?;
    let queue_id = choose_queue(caller, &topic, header)?;
    if send_rules::retry_group(header.topic).is_some() {
        let remark = format!("batch request does not support retry group {}", header.topic);
        return Err(illegal(remark));
    }
    let now = runtime::unix_millis();
    let own = properties::look(header.properties.unwrap_or("").as_bytes(), now);
    send_rules::check_wishes(&own, header.sys_flag)?;
    send_rules::check_lengths(body.len(), shard.config.max_message, 0)?;
    let parts = parts(shard, body, now)?;
    let draft = |part| draft(shard, caller, header, &topic, queue_id, part);
    let drafts: Vec<Draft<'_>> = parts.iter().map(draft).collect();
    for draft in &drafts {
        let properties = draft.properties_len();
        send_rules::check_lengths(draft.body.len(), shard.config.max_message, properties)?;
    }
    shard.store.append_messages(&drafts)?;
    expect(shard, caller, drafts.len(), own.unique_key, since);
    Ok(())
}

fn draft<'a>(
    shard: &Shard,
    caller: &Caller,
    header: &SendHeader<'a>,
    topic: &TopicConfig,
    queue_id: QueueId,
    part: &'a Part<'_>,
) -> Draft<'a> {
    Draft {
        topic: header.topic,
        queue_id,
        flag: part.message.flag,
        sys_flag: sys_flag(header, topic),
        born_time: born_time(header),
        born_host: caller.connection().peer(),
        store_host: shard.identity.address,
        reconsume_times: header.reconsume_times,
        prepared_offset: 0,
        body: part.message.body,
        properties: &part.properties,
        more_properties: &part.added,
    }
}

/// The messages of the batch; what a message asks for is checked.
fn parts<'a>(shard: &Shard, body: &'a [u8], now: u64) -> Result<Vec<Part<'a>>, Refusal> {
    let mut parts = Vec::new();
    for message in messages(body) {
        if parts.len() == MAX_BATCH_MESSAGES {
            let most = MAX_BATCH_MESSAGES;
            return Err(illegal(format!("a batch has at most {most} messages, send smaller ones")));
        }
        let message = message.map_err(|error| illegal(error.to_string()))?;
        let wishes = properties::look(message.properties, now);
        send_rules::check_wishes(&wishes, 0)?;
        let part = with_properties(shard, message.properties, &wishes, now, |text, added, _| {
            Part { message, properties: text.to_vec(), added: added.to_vec() }
        });
        parts.push(part);
    }
    assert!(!parts.is_empty(), "a body that is not empty has a message");
    Ok(parts)
}

/// One completion for each message that was appended.
fn expect(
    shard: &Shard,
    caller: &Caller,
    messages: usize,
    unique_key: Option<&str>,
    since: Instant,
) {
    let mut completions = shard.completions.borrow_mut();
    if caller.is_oneway() {
        (0..messages).for_each(|_| completions.push(Completion::OnewayMessage(since)));
        return;
    }
    let sender = Rc::new(BatchSender {
        caller: caller.clone(),
        unique_key: unique_key.map(Box::from),
        ids: RefCell::default(),
        first: Cell::default(),
        left: Cell::new(messages),
        since,
    });
    (0..messages).for_each(|_| completions.push(Completion::InBatch(Rc::clone(&sender))));
}
