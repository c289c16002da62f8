//! Entering committed entries into the index: the one way in, for what was read at start and for what
//! was just written.

use std::rc::Rc;

use model::record::RecordError;
use model::{PhysicalOffset, Record};
use runtime::Slice;

use crate::batch::BatchRecord;
use crate::command::{CommandKind, TopicCommand, Trim};
use crate::entry::{ENTRY_HEADER_LEN, Kind, Replicated};
use crate::error::StoreError;
use crate::index::{Added, Index, Message};
use crate::membership::Membership;
use crate::store::{Applied, AppliedRecord, Inner, What};
use crate::topics::Slot;
use crate::trim;

/// Where a committed entry comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// It was read at start.
    Log,
    /// It was just written, and this is what was known of its messages.
    Written(&'a [BatchRecord]),
    /// Another member placed it, and the group has committed it.
    Group,
}

/// Enters a committed entry.
pub(crate) async fn apply(
    inner: &Rc<Inner>,
    header: &Replicated,
    payload: Slice,
    origin: Origin<'_>,
) -> Result<Applied, StoreError> {
    let (replayed, known) = match origin {
        Origin::Log => (true, None),
        Origin::Written(known) => (false, Some(known)),
        Origin::Group => (false, None),
    };
    let here = known.is_some();
    if header.kind == Kind::Trim {
        let Trim { to } = Trim::from_bytes(&payload).map_err(|why| foreign(inner, header, why))?;
        trim::applied(inner, PhysicalOffset(to), replayed).await?;
    }
    let what = understand(&mut inner.index.borrow_mut(), header, payload, known);
    let what = what.map_err(|why| foreign(inner, header, why))?;
    let &Replicated { index, term, timestamp, .. } = header;
    Ok(Applied { replayed, here, index, term, timestamp, what })
}

fn foreign(inner: &Inner, header: &Replicated, why: String) -> StoreError {
    let segment = inner.log.path_of(header.offset);
    StoreError::Foreign { segment, index: header.index.0, offset: header.offset, why }
}

fn understand(
    index: &mut Index,
    header: &Replicated,
    payload: Slice,
    known: Option<&[BatchRecord]>,
) -> Result<What, String> {
    Ok(match header.kind {
        Kind::Membership => {
            index.set_membership(Membership::of_entry(header.index, header.term, &payload)?);
            What::Membership
        }
        Kind::Blank => What::Membership,
        Kind::Messages => What::Messages(messages(index, header, &payload, known)?),
        Kind::Topic => match TopicCommand::from_bytes(&payload)? {
            TopicCommand::Put { name, queues, payload } => {
                index.put_topic(&name, queues, header.index);
                What::TopicPut { name, queues, payload }
            }
            TopicCommand::Delete { name } => {
                index.delete_topic(&name);
                What::TopicDeleted { name }
            }
        },
        Kind::Command => {
            let kind = CommandKind(*payload.first().ok_or("a command without a kind")?);
            What::Command { kind, payload: payload.slice(1..payload.len()) }
        }
        Kind::Trim => What::Trimmed { to: PhysicalOffset(Trim::from_bytes(&payload)?.to) },
    })
}

/// What the record's bytes themselves say.
fn reread(bytes: &[u8], slot: Option<Slot>) -> Result<Message<'_>, RecordError> {
    Ok(Message { slot, ..Message::read(&Record::parse(bytes)?) })
}

fn messages(
    index: &mut Index,
    header: &Replicated,
    payload: &[u8],
    known: Option<&[BatchRecord]>,
) -> Result<Vec<AppliedRecord>, String> {
    let mut applied = Vec::with_capacity(header.records as usize);
    let mut known = known.map(|known| known.iter());
    let mut at = header.offset.plus(ENTRY_HEADER_LEN as u64);
    let mut left = payload;
    while !left.is_empty() {
        let message = match &mut known {
            Some(known) => {
                let record = known.next().expect("all that was written is known");
                Message::written(record, header, &left[..record.len])
            }
            None => Message::read(&Record::parse(left).map_err(|error| error.to_string())?),
        };
        debug_assert_eq!(
            Ok(message),
            reread(left, message.slot),
            "a record is what it was known to be"
        );
        if message.physical != at {
            return Err(format!("the record at offset {at} says it is at {}", message.physical));
        }
        let Added { topic, unit } = index.add(&message)?;
        applied.push(AppliedRecord {
            topic,
            queue: message.queue,
            queue_offset: message.offset,
            physical: at,
            size: unit.size,
            tag_hash: unit.tag_hash,
            store_time: message.stored,
        });
        at = at.plus(u64::from(message.size));
        left = &left[message.size as usize..];
    }
    if applied.len() != header.records as usize {
        return Err(format!("{} records, the header says {}", applied.len(), header.records));
    }
    Ok(applied)
}
