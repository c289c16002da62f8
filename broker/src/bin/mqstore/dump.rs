//! `mqstore dump`.

use broker::shard::commands::{
    CONSUMER_OFFSETS, ConsumerOffsets, GroupCommand, QUEUE_LOCKS, QueueLocks, SUBSCRIPTION_GROUP,
    TOPIC_ANNOUNCED, TopicConfig,
};
use clap::Args;
use model::{PhysicalOffset, Record, properties};
use serde_json::{Map, Value, json};
use storage::CommandKind;
use storage::inspect::{CheckpointRow, Content, EntryRow, PartRow, Seen, View};

use crate::escape::Escaped;
use crate::output::{Closed, Lines};
use crate::time::Utc;
use crate::{Failure, Outcome, StoreArgs};

#[derive(Args)]
pub struct DumpArgs {
    #[command(flatten)]
    store: StoreArgs,

    /// Begin with the first entry at this offset or behind it
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    from: u64,

    /// Print so many entries or messages at most
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// Only what is about this topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    /// Print a line for each entry of the log; this is what is done if nothing else is said
    #[arg(long, group = "which")]
    entries: bool,

    /// Print a line for each message
    #[arg(long, group = "which")]
    messages: bool,

    /// Print a line for each checkpoint
    #[arg(long, group = "which")]
    checkpoints: bool,

    /// Print a line for each file of the index
    #[arg(long, group = "which")]
    parts: bool,

    /// Print the bodies of messages too, with everything that is not printable escaped
    #[arg(long, requires = "messages")]
    body: bool,

    /// Print each line as a JSON object
    #[arg(long)]
    json: bool,
}

/// A line, both ways.
struct Row {
    text: String,
    json: Value,
}

pub async fn run(args: &DumpArgs) -> Result<Outcome, Failure> {
    let mut out = Lines::new();
    let view = View::open(&args.store.place().await?).await?;
    if args.checkpoints {
        for row in view.checkpoint_rows().await? {
            print(&mut out, args, checkpoint(&row))?;
        }
    } else if args.parts {
        for row in view.part_rows(|_| {}).await? {
            print(&mut out, args, part(&row))?;
        }
    } else {
        return log(&mut out, args, &view).await;
    }
    out.flush()?;
    Ok(Outcome::Intact)
}

fn print(out: &mut Lines, args: &DumpArgs, row: Row) -> Result<(), Closed> {
    if args.json { out.line(row.json) } else { out.line(row.text) }
}

async fn log(out: &mut Lines, args: &DumpArgs, view: &View) -> Result<Outcome, Failure> {
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut outcome = Outcome::Intact;
    let mut entries = view.entries(PhysicalOffset(args.from));
    while left > 0 {
        match entries.next().await? {
            Seen::Entry(row) => {
                let rows = if args.messages { messages(&row, args) } else { entry(&row, args) };
                for row in rows.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                    print(out, args, row)?;
                    left -= 1;
                }
            }
            Seen::Damage { file, offset, why } => {
                outcome = Outcome::Damaged;
                print(out, args, damage(&file.display().to_string(), offset, &why))?;
            }
            Seen::End { offset, torn } => {
                let offset = offset.map(|offset| offset.0);
                if torn && !args.json {
                    let end = offset.unwrap_or_default();
                    out.line(format_args!("offset {end} a write that was not finished follows"))?;
                }
                break;
            }
        }
    }
    out.flush()?;
    Ok(outcome)
}

fn damage(file: &str, offset: PhysicalOffset, why: &str) -> Row {
    Row {
        text: format!("offset {offset} DAMAGED {file}: {why}"),
        json: json!({ "offset": offset.0, "damaged": true, "file": file, "why": why }),
    }
}

fn entry(row: &EntryRow, args: &DumpArgs) -> Vec<Row> {
    if args.topic.as_ref().is_some_and(|topic| !is_about(&row.content, topic)) {
        return Vec::new();
    }
    let EntryRow { offset, index, term, generation, time, len, .. } = row;
    let (kind, detail, more) = content(row);
    let text = format!(
        "offset {offset} index {index} term {term} generation {generation} {} {kind} {len} bytes{}{detail}",
        Utc(*time),
        if detail.is_empty() { "" } else { ": " },
    );
    let mut object = Map::new();
    for (name, value) in [("offset", offset.0), ("index", index.0), ("term", term.0)] {
        object.insert(name.into(), value.into());
    }
    object.insert("generation".into(), (*generation).into());
    object.insert("time".into(), time.0.into());
    object.insert("kind".into(), kind.into());
    object.insert("bytes".into(), (*len).into());
    object.extend(more);
    vec![Row { text, json: Value::Object(object) }]
}

/// Whether an entry is about a topic.
fn is_about(content: &Content, topic: &str) -> bool {
    match content {
        Content::Messages { records, .. } => parsed(records).any(|record| record.topic() == topic),
        Content::TopicPut { name, .. } | Content::TopicDeleted { name } => name == topic,
        _ => false,
    }
}

/// The records of an entry, as far as they can be read.
fn parsed(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut left = bytes;
    std::iter::from_fn(move || {
        let record = Record::parse(left).ok()?;
        left = &left[record.bytes().len()..];
        Some(record)
    })
}

/// Kind, detail as text and detail as JSON.
fn content(row: &EntryRow) -> (&'static str, String, Map<String, Value>) {
    let named = |name: &str| Escaped(name.as_bytes()).to_string();
    let (kind, text, value) = match &row.content {
        Content::Membership { voters } => {
            let voters: Vec<_> = voters.iter().map(|voter| format!("{voter:032x}")).collect();
            ("membership", voters.join(" "), json!({ "voters": voters }))
        }
        Content::Messages { .. } => {
            let records = row.records;
            ("messages", format!("{records} records"), json!({ "records": records }))
        }
        Content::TopicPut { name, queues, payload } => {
            let config = TopicConfig::from_bytes(payload).ok();
            let perm = config.as_ref().map(|config| config.perm);
            let text = match perm {
                Some(perm) => format!("put {} with {queues} queues, perm {perm}", named(name)),
                None => format!("put {} with {queues} queues", named(name)),
            };
            ("topic", text, json!({ "topic": name, "queues": queues, "perm": perm }))
        }
        Content::TopicDeleted { name } => {
            ("topic", format!("delete {}", named(name)), json!({ "topic": name, "deleted": true }))
        }
        Content::Command { kind, payload } => {
            let (text, value) = command(*kind, payload);
            ("command", text, value)
        }
        Content::Blank => ("blank", String::new(), json!({})),
        Content::Trimmed { to } => ("trim", format!("to offset {to}"), json!({ "to": to.0 })),
        Content::Unknown { why } => ("unknown", why.clone(), json!({ "why": why })),
    };
    let Value::Object(more) = value else { unreachable!("each of them is an object") };
    (kind, text, more)
}

fn command(kind: CommandKind, payload: &[u8]) -> (String, Value) {
    let number = kind.0;
    let unknown = |why: String| {
        let text = format!("kind {number}, {} bytes: {why}", payload.len());
        (text, json!({ "command": number, "why": why }))
    };
    match kind {
        SUBSCRIPTION_GROUP => match GroupCommand::from_bytes(payload) {
            Ok(GroupCommand::Put(group)) => {
                let text = format!("put group {}", Escaped(group.name.as_bytes()));
                (text, json!({ "command": number, "group": group.name }))
            }
            Ok(GroupCommand::Delete { name, offsets }) => {
                let text = format!("delete group {}, offsets {offsets}", Escaped(name.as_bytes()));
                (
                    text,
                    json!({ "command": number, "group": name, "deleted": true, "offsets": offsets }),
                )
            }
            Err(error) => unknown(error.to_string()),
        },
        CONSUMER_OFFSETS => match ConsumerOffsets::from_bytes(payload) {
            Ok(offsets) => consumer_offsets(number, &offsets),
            Err(error) => unknown(error.to_string()),
        },
        TOPIC_ANNOUNCED => match TopicConfig::from_bytes(payload) {
            Ok(topic) => {
                let text = format!("announce topic {}", Escaped(topic.name.as_bytes()));
                (text, json!({ "command": number, "topic": topic.name }))
            }
            Err(error) => unknown(error.to_string()),
        },
        QUEUE_LOCKS => match QueueLocks::from_bytes(payload) {
            Ok(locks) => queue_locks(number, &locks),
            Err(error) => unknown(error.to_string()),
        },
        _ => unknown("this program does not know it".to_owned()),
    }
}

fn queue_locks(number: u8, locks: &QueueLocks) -> (String, Value) {
    let (group, client) = (Escaped(locks.group.as_bytes()), Escaped(locks.client.as_bytes()));
    let what = if locks.taken { "takes" } else { "gives back" };
    let topics = locks.topics.iter().map(|(topic, queues)| {
        let queues: Vec<_> = queues.iter().map(u32::to_string).collect();
        format!("{} {}", Escaped(topic.as_bytes()), queues.join(" "))
    });
    let text =
        format!("client {client} of {group} {what} {}", topics.collect::<Vec<_>>().join(", "));
    let value = json!({
        "command": number, "group": locks.group, "client": locks.client, "taken": locks.taken, "topics": locks.topics
    });
    (text, value)
}

fn consumer_offsets(number: u8, offsets: &ConsumerOffsets) -> (String, Value) {
    let (mut texts, mut values) = (Vec::new(), Vec::new());
    for update in &offsets.updates {
        let queues: Vec<_> =
            update.queues.iter().map(|(queue, offset)| format!("{queue}={offset}")).collect();
        let (group, topic) = (Escaped(update.group.as_bytes()), Escaped(update.topic.as_bytes()));
        texts.push(format!("{group}@{topic} {}", queues.join(" ")));
        values
            .push(json!({ "group": update.group, "topic": update.topic, "queues": update.queues }));
    }
    (
        format!("consumer offsets {}", texts.join(", ")),
        json!({ "command": number, "updates": values }),
    )
}

fn messages(row: &EntryRow, args: &DumpArgs) -> Vec<Row> {
    let Content::Messages { records, .. } = &row.content else {
        return Vec::new();
    };
    let wanted = |record: &Record<'_>| {
        args.topic.as_ref().is_none_or(|topic| record.topic() == topic)
            && record.physical_offset().0 >= args.from
    };
    parsed(records).filter(wanted).map(|record| message(row, &record, args.body)).collect()
}

fn message(row: &EntryRow, record: &Record<'_>, with_body: bool) -> Row {
    let property = |name: &str| properties::find(record.properties(), name);
    let (topic, body) = (record.topic(), record.body());
    let (queue, offset) = (record.queue_id(), record.queue_offset());
    let mut text = format!(
        "offset {} index {} {} {} queue {queue} offset {offset}, {} bytes",
        record.physical_offset(),
        row.index,
        Utc(record.store_time()),
        Escaped(topic.as_bytes()),
        body.len(),
    );
    let mut value = json!({
        "offset": record.physical_offset().0,
        "index": row.index.0,
        "time": record.store_time().0,
        "born": record.born_time().0,
        "topic": topic,
        "queue": queue.0,
        "queueOffset": offset.0,
        "bytes": body.len(),
    });
    let named = [
        ("tags", properties::TAGS),
        ("keys", properties::KEYS),
        ("uniqueKey", properties::UNIQ_KEY),
    ];
    for (name, property_name) in named {
        if let Some(found) = property(property_name) {
            text += &format!(", {name} {}", Escaped(found.as_bytes()));
            value[name] = found.into();
        }
    }
    if let Err(error) = record.check_body() {
        text += &format!(", DAMAGED: {error}");
        value["damaged"] = error.to_string().into();
    }
    if with_body {
        let body = Escaped(body).to_string();
        text += &format!(": {body}");
        value["body"] = body.into();
    }
    Row { text, json: value }
}

fn checkpoint(row: &CheckpointRow) -> Row {
    let CheckpointRow { offset, bytes, .. } = row;
    match &row.held {
        Ok(held) => Row {
            text: format!(
                "offset {offset} next index {} {} trim {}, {} topics, {} queues, {} bytes of the broker's state, {bytes} bytes",
                held.index,
                Utc(held.time),
                held.trim,
                held.topics,
                held.queues,
                held.owner,
            ),
            json: json!({
                "offset": offset.0, "index": held.index.0, "time": held.time.0, "trim": held.trim.0,
                "topics": held.topics, "queues": held.queues, "state": held.owner, "bytes": bytes,
            }),
        },
        Err(why) => damage(&row.file.display().to_string(), *offset, why),
    }
}

fn part(row: &PartRow) -> Row {
    let (from, to) = (row.from, row.to);
    let Some(held) = row.held.filter(|_| row.damage.is_none()) else {
        let why = row.damage.as_deref().unwrap_or_default();
        return damage(&row.file.display().to_string(), from, why);
    };
    let merged = if held.complete { ", of a whole segment" } else { "" };
    let times = held.times.map(|(oldest, newest)| format!(", {} to {}", Utc(oldest), Utc(newest)));
    Row {
        text: format!(
            "offsets {from} to {to}, {} queues, {} messages, {} bytes{merged}{}",
            held.queues,
            held.messages,
            held.bytes,
            times.unwrap_or_default(),
        ),
        json: json!({
            "from": from.0, "to": to.0, "queues": held.queues, "messages": held.messages, "bytes": held.bytes,
            "complete": held.complete, "oldest": held.times.map(|(oldest, _)| oldest.0),
            "newest": held.times.map(|(_, newest)| newest.0),
        }),
    }
}
