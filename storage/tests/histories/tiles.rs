//! Entries that end where blocks end. Those of one life then lie where those of the next one will: what a power cut
//! has left behind of the first would be taken for the log's end by a start that does not look closely.

use model::{Draft, QueueId};
use runtime::BLOCK;
use storage::{AppendError, ENTRY_HEADER_LEN, Store};

use crate::life::{Shared, with};
use crate::model::{Message, Op, body};
use crate::observe::TOPICS;
use crate::support::draft;

/// A message with a longer body is left out. Shorter ones make entries of one block, whatever their length.
const LONGEST: usize = 2_000;

/// One message, alone in its entry, with properties that fill the entry up to where a block ends. Nothing, while
/// another is under way.
pub fn append(shared: &Shared, store: &Store) -> Result<(), AppendError> {
    if !with(shared, |model| model.pending.is_empty()) {
        return Ok(());
    }
    let (topic, queue) = (TOPICS[0], QueueId(0));
    if !store.has_topic(topic) {
        store.append_create_topic(topic, 1, b"payload")?;
        let put = Op::TopicPut { name: topic.to_owned(), queues: 1 };
        with(shared, |model| model.pending.push_back(put));
        return Ok(());
    }
    let number = with(shared, |model| model.appended.len() as u64);
    let message = Message { number, topic: topic.to_owned(), queue };
    let bytes = body(number);
    if bytes.len() > LONGEST {
        let never = Message { topic: String::new(), ..message };
        with(shared, |model| model.appended.push(never));
        return Ok(());
    }
    let properties = filler(&draft(topic, queue, &bytes), store.stats().max.0 as usize);
    store.append_messages(&[Draft { properties: &properties, ..draft(topic, queue, &bytes) }])?;
    with(shared, |model| {
        model.pending.push_back(Op::Message(message.clone()));
        model.appended.push(message);
    });
    Ok(())
}

/// Properties with which the entry of this message ends where a block ends, if it begins at `from`.
fn filler(draft: &Draft<'_>, from: usize) -> Vec<u8> {
    let mut properties = [draft.properties, b"X\x01"].concat();
    let least = ENTRY_HEADER_LEN + draft.encoded_len() + b"X\x01".len();
    let end = (from + least).next_multiple_of(BLOCK);
    properties.resize(properties.len() + end - from - least, b'x');
    properties
}
