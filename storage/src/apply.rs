//! Entering committed entries into the index: the one way in, for what was read at start and for what
//! was just written.

use std::rc::Rc;

use model::{PhysicalOffset, Record};
use runtime::Slice;

use crate::batch::RecordDraft;
use crate::command::{CommandKind, Membership, TopicCommand, Trim};
use crate::entry::{ENTRY_HEADER_LEN, Kind, Replicated};
use crate::error::StoreError;
use crate::index::{Added, Index};
use crate::store::{Applied, AppliedRecord, Inner, What};
use crate::trim;

/// Where a committed entry comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// It was read at start.
    Log,
    /// It was just written, and this is what was known of its messages.
    Written(&'a [RecordDraft]),
}

/// Enters a committed entry.
pub(crate) async fn apply(
    inner: &Rc<Inner>,
    header: &Replicated,
    payload: Slice,
    origin: Origin<'_>,
) -> Result<Applied, StoreError> {
    let (replayed, drafts) = match origin {
        Origin::Log => (true, [].as_slice()),
        Origin::Written(drafts) => (false, drafts),
    };
    if header.kind == Kind::Trim {
        let Trim { to } = Trim::from_bytes(&payload).map_err(|why| foreign(inner, header, why))?;
        trim::applied(inner, PhysicalOffset(to), replayed).await?;
    }
    let what = understand(&mut inner.index.borrow_mut(), header, payload, drafts);
    let what = what.map_err(|why| foreign(inner, header, why))?;
    Ok(Applied { replayed, index: header.index, timestamp: header.timestamp, what })
}

fn foreign(inner: &Inner, header: &Replicated, why: String) -> StoreError {
    let segment = inner.log.path_of(header.offset);
    StoreError::Foreign { segment, index: header.index.0, offset: header.offset, why }
}

fn understand(
    index: &mut Index,
    header: &Replicated,
    payload: Slice,
    drafts: &[RecordDraft],
) -> Result<What, String> {
    Ok(match header.kind {
        Kind::Membership => {
            index.set_membership(Membership::from_bytes(&payload)?);
            What::Membership
        }
        Kind::Blank => What::Membership,
        Kind::Messages => What::Messages(messages(index, header, &payload, drafts)?),
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

fn messages(
    index: &mut Index,
    header: &Replicated,
    payload: &[u8],
    drafts: &[RecordDraft],
) -> Result<Vec<AppliedRecord>, String> {
    let mut applied = Vec::with_capacity(header.records as usize);
    let mut drafts = drafts.iter();
    let mut at = header.offset.plus(ENTRY_HEADER_LEN as u64);
    let mut left = payload;
    while !left.is_empty() {
        let record = Record::parse(left).map_err(|error| error.to_string())?;
        if record.physical_offset() != at {
            return Err(format!(
                "the record at offset {at} says it is at {}",
                record.physical_offset()
            ));
        }
        let slot = drafts.next().map(|draft| draft.topic);
        let Added { topic, unit } = index.add(&record, slot)?;
        applied.push(AppliedRecord {
            topic,
            queue: record.queue_id(),
            queue_offset: record.queue_offset(),
            physical: at,
            size: unit.size,
            tag_hash: unit.tag_hash,
            store_time: record.store_time(),
        });
        at = at.plus(record.bytes().len() as u64);
        left = &left[record.bytes().len()..];
    }
    if applied.len() != header.records as usize {
        return Err(format!("{} records, the header says {}", applied.len(), header.records));
    }
    Ok(applied)
}
