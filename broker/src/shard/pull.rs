//! PULL_MESSAGE (11) and LITE_PULL_MESSAGE (361).
//!
//! Records go from the log's buffers into the connection's outgoing bytes with one copy. What is still in
//! the tail is answered at once; what must be read from the disk runs as a bounded task; what is not there
//! yet is held (see [`super::long_poll`]).

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use model::{QueueId, QueueOffset, Record};
use remoting::body::MessageModel;
use remoting::header::DecodeExt;
use remoting::header::pull::{PullHeader, PullReply, pull_flag};
use remoting::{CommandRef, ResponseCode};
use runtime::{Instant, Slice};
use storage::{Reach, ReadError, Unit};
use transport::Connection;

use super::commands::{SubscriptionGroup, TopicConfig, perm};
use super::disk_reads::TooMany;
use super::held::Hold;
use super::pull_rules::{self, Begin, Choice, Status};
use super::refusals::{code_of, no_topic, too_many_held, too_many_reads, unread};
use super::replica::ends;
use super::reply::{Caller, Refusal};
use super::subscription::{Filter, Subscription};
use super::{Phase, Shard, offsets};
use crate::config::PullLimits;
use crate::limits::{
    MAX_PULL_BYTES, MAX_PULL_MESSAGES, MAX_SCANNED, MAX_SUSPEND, SCAN_STEP, SLOW_CONSUMER,
};

/// A pull, decoded.
pub struct PullRequest {
    caller: Caller,
    group: Box<str>,
    topic: Box<str>,
    queue: i32,
    offset: i64,
    messages: i32,
    bytes: Option<i32>,
    /// How long to wait for a message; `None`: not at all.
    wait: Option<Duration>,
    /// The subscription that came with it.
    given: Option<Rc<Subscription>>,
    /// The version of the subscription that the consumer works by.
    version: i64,
    /// When it arrived, or the message it waited for.
    since: Instant,
}

/// Why a pull is not served. `forbids` tells the client who forbids it (`forbiddenType`).
struct Refused {
    refusal: Refusal,
    forbids: Option<i32>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, forbids: None }
    }
}

/// Values of `forbiddenType` (RocketMQ 5.5.0, class ForbiddenType).
mod forbids {
    pub const BROKER: i32 = 1;
    pub const GROUP: i32 = 2;
    pub const TOPIC: i32 = 3;
    pub const BROADCAST: i32 = 4;
}

fn forbidden(by: i32, remark: String) -> Refused {
    Refused { refusal: Refusal::new(ResponseCode::NoPermission, remark), forbids: Some(by) }
}

/// What a pull may read, and by which filter.
struct Allowed {
    group: Rc<SubscriptionGroup>,
    topic: Rc<TopicConfig>,
    subscription: Rc<Subscription>,
    queue: QueueId,
}

/// PULL_MESSAGE (11), LITE_PULL_MESSAGE (361).
pub fn pull(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let header = match PullHeader::decode(code_of(request), &request.ext) {
        Ok(header) => header,
        Err(error) => return Refusal::from(error).send(&caller),
    };
    let pull = match PullRequest::new(shard, caller.clone(), &header) {
        Ok(pull) => Box::new(pull),
        Err(refusal) => return refusal.send(&caller),
    };
    let commits = header.sys_flag & pull_flag::COMMIT_OFFSET != 0 && header.commit_offset >= 0;
    if serve(shard, pull, Turn::First) && commits {
        let (queue, offset) = (header.queue_id, header.commit_offset);
        if let Err(refusal) =
            offsets::note(shard, header.consumer_group, header.topic, queue, offset)
        {
            tracing::debug!(reason = %refusal.remark, "offset of a pull not taken");
        }
    }
}

/// Answers pulls that were held: a message came, time is up, or their topic is gone.
pub fn resume(shard: &Rc<Shard>, woken: Vec<Box<PullRequest>>) {
    let now = runtime::now();
    for mut pull in woken {
        pull.since = now;
        serve(shard, pull, Turn::Last);
    }
}

/// Goes on with a pull from behind the end, of which it was asked whether it is the end. One whose connection was closed meanwhile
/// is dropped: it could be held, and nobody would look for it any more.
pub fn go_on(shard: &Rc<Shard>, pull: Box<PullRequest>, is_certain: bool) {
    if !pull.caller.connection().is_open() {
        return;
    }
    let turn = if is_certain { Turn::Certain } else { Turn::Uncertain };
    serve(shard, pull, turn);
}

/// How often a pull was looked at, and what is known since.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It has just come.
    First,
    /// All that was committed when it came is here.
    Certain,
    /// Perhaps not: another member may have more.
    Uncertain,
    /// It was held, and is not held again.
    Last,
}

impl PullRequest {
    fn new(shard: &Shard, caller: Caller, header: &PullHeader<'_>) -> Result<Self, Refusal> {
        let given = match header.sys_flag & pull_flag::SUBSCRIPTION != 0 {
            true => {
                let text = header.subscription.unwrap_or("");
                let parsed = Subscription::parse(text, header.expression_type, header.sub_version)
                    .map_err(|error| {
                        let remark = format!("parse the consumer's subscription failed: {error}");
                        Refusal::new(ResponseCode::SubscriptionParseFailed, remark)
                    })?;
                Some(Rc::new(parsed))
            }
            false => None,
        };
        let wait = (header.sys_flag & pull_flag::SUSPEND != 0).then(|| {
            if shard.config.long_polling {
                let millis = u64::try_from(header.suspend_timeout_millis).unwrap_or(0);
                Duration::from_millis(millis).min(MAX_SUSPEND)
            } else {
                shard.config.short_polling
            }
        });
        Ok(Self {
            caller,
            group: header.consumer_group.into(),
            topic: header.topic.into(),
            queue: header.queue_id,
            offset: header.queue_offset,
            messages: header.max_msg_nums,
            bytes: header.max_msg_bytes,
            wait,
            given,
            version: header.sub_version,
            since: runtime::now(),
        })
    }

    /// The checks, in RocketMQ's order, with its codes and words.
    fn check(&self, shard: &Shard) -> Result<Allowed, Refused> {
        let (group, name) = (&*self.group, &*self.topic);
        if !perm::readable(shard.config.permission) {
            let host = shard.identity.address.ip();
            return Err(forbidden(
                forbids::BROKER,
                format!("the broker[{host}] pulling message is forbidden"),
            ));
        }
        let Some(settings) = super::groups::find_or_create(shard, group) else {
            let remark = format!("subscription group [{group}] does not exist");
            return Err(Refusal::new(ResponseCode::SubscriptionGroupNotExist, remark).into());
        };
        if !settings.consume_enable {
            let remark = format!("subscription group no permission, {group}");
            return Err(forbidden(forbids::GROUP, remark));
        }
        let topic = shard.topics.borrow().find(name).cloned().ok_or_else(|| no_topic(name))?;
        if !perm::readable(topic.perm) {
            let remark = format!("the topic[{name}] pulling message is forbidden");
            return Err(forbidden(forbids::TOPIC, remark));
        }
        let queue = u32::try_from(self.queue).ok().filter(|queue| *queue < topic.read_queues);
        let Some(queue) = queue.map(QueueId) else {
            let remark = format!(
                "queueId[{}] is illegal, topic:[{name}] topicConfig.readQueueNums:[{}] consumer:[{}]",
                self.queue,
                topic.read_queues,
                self.caller.connection().peer()
            );
            return Err(Refusal::parameter(remark).into());
        };
        let subscription = match &self.given {
            Some(given) => Rc::clone(given),
            None => self.heartbeat_subscription(shard, &settings)?,
        };
        if let Filter::Unsupported(kind) = &subscription.filter {
            let remark =
                format!("The broker does not support consumer to filter message by {kind}");
            return Err(Refusal::new(ResponseCode::SystemError, remark).into());
        }
        Ok(Allowed { group: settings, topic, subscription, queue })
    }

    /// What the group's heartbeats subscribe to.
    fn heartbeat_subscription(
        &self,
        shard: &Shard,
        settings: &SubscriptionGroup,
    ) -> Result<Rc<Subscription>, Refused> {
        let missing = |remark: &str| Refusal::new(ResponseCode::SubscriptionNotExist, remark);
        let clients = shard.clients.borrow();
        let group = clients
            .consumers(&self.group)
            .ok_or_else(|| missing("the consumer's group info not exist"))?;
        let broadcasts = group.mode().message_model == MessageModel::Broadcasting;
        if broadcasts && !settings.consume_broadcast_enable {
            let remark =
                format!("the consumer group[{}] can not consume by broadcast way", self.group);
            return Err(forbidden(forbids::BROADCAST, remark));
        }
        let subscription = clients
            .subscription(&self.group, &self.topic)
            .ok_or_else(|| missing("the consumer's subscription not exist"))?;
        if subscription.version < self.version {
            let remark = "the consumer's subscription not latest";
            return Err(Refusal::new(ResponseCode::SubscriptionNotLatest, remark).into());
        }
        Ok(Rc::clone(subscription))
    }
}

/// Answers a pull, or holds it, unless this is its last turn. False if it was refused.
fn serve(shard: &Rc<Shard>, pull: Box<PullRequest>, turn: Turn) -> bool {
    let allowed = match pull.check(shard) {
        Ok(allowed) => allowed,
        Err(refused) => {
            answer_refused(&pull, &refused);
            return false;
        }
    };
    let range = shard.store.queue(&pull.topic, allowed.queue);
    let (status, next) = match pull_rules::begin(range, pull.offset) {
        Begin::Nowhere { status, next } => (status, next),
        Begin::At(offset) => {
            read(shard, pull, allowed, offset);
            return true;
        }
    };
    let in_doubt = shard.replica.is_some() && turn != Turn::Certain;
    match in_doubt && status.sends_back(pull.offset) {
        true if turn == Turn::First => ends::ask(shard, pull),
        true => {
            let wanted = QueueOffset(pull.offset.cast_unsigned());
            wait_or_answer(shard, pull, &allowed, (Status::OffsetOverflowOne, wanted), turn);
        }
        false => wait_or_answer(shard, pull, &allowed, (status, next), turn),
    }
    true
}

/// There is no message for the pull: holds it if that may pass, or says so.
fn wait_or_answer(
    shard: &Shard,
    pull: Box<PullRequest>,
    allowed: &Allowed,
    (status, next): (Status, QueueOffset),
    turn: Turn,
) {
    let waits = turn != Turn::Last && status.code(pull.offset) == ResponseCode::PullNotFound;
    match pull.wait.filter(|_| waits && shard.phase.get() != Phase::Stopping) {
        Some(wait) => hold(shard, pull, allowed, wait),
        None => answer_empty(shard, &pull, allowed, status, next),
    }
}

/// Holds the pull, out of its connection's count of requests: [`MAX_HELD_PULLS`](crate::limits::MAX_HELD_PULLS) bounds it.
fn hold(shard: &Shard, pull: Box<PullRequest>, allowed: &Allowed, wait: Duration) {
    let caller = pull.caller.clone();
    let hold = Hold {
        topic: Rc::from(&*pull.topic),
        queue: allowed.queue,
        from: QueueOffset(u64::try_from(pull.offset).unwrap_or(0)),
        subscription: Rc::clone(&allowed.subscription),
        deadline: runtime::now() + wait,
        connection: pull.caller.connection().id(),
        what: pull,
    };
    match shard.long_polls.borrow_mut().hold(hold) {
        Ok(()) => caller.hold_aside(),
        // Told that there is nothing, clients would ask again at once, for ever. On this code RocketMQ's wait three
        // seconds (5.5.0, class DefaultMQPushConsumerImpl, pullTimeDelayMillsWhenException).
        Err(pull) => answer_refused(&pull, &too_many_held().into()),
    }
}

/// Answers with messages from `begin` on, which is there.
fn read(shard: &Rc<Shard>, pull: Box<PullRequest>, allowed: Allowed, begin: QueueOffset) {
    if pull.caller.connection().queued_bytes() > SLOW_CONSUMER {
        // It has not taken what it asked for before: let it ask again, then its requests wait.
        return answer_empty(shard, &pull, &allowed, Status::NoMatchedMessage, begin);
    }
    let Some((units, next)) = choose(shard, &pull, &allowed, begin) else {
        return on_disk(shard, pull, allowed, Wanted::From(begin));
    };
    if units.is_empty() {
        return answer_empty(shard, &pull, &allowed, Status::NoMatchedMessage, next);
    }
    let tail: Option<Vec<Slice>> =
        units.iter().map(|unit| shard.store.try_read(unit.offset, unit.size)).collect();
    match tail {
        Some(records) => answer_found(shard, &pull, &allowed, &records, next),
        None => on_disk(shard, pull, allowed, Wanted::Chosen { units, next }),
    }
}

/// Chooses what the pull returns. A pull that begins in the tail has other limits than one that reads the
/// disk. `None`: where the first message is must be read from the disk.
fn choose(
    shard: &Shard,
    pull: &PullRequest,
    allowed: &Allowed,
    begin: QueueOffset,
) -> Option<(Vec<Unit>, QueueOffset)> {
    let mut choice = None;
    let reach =
        shard.store.units(&pull.topic, allowed.queue, begin, MAX_SCANNED, |offset, unit| {
            choice
                .get_or_insert_with(|| {
                    Choice::new(&allowed.subscription.filter, limits(shard, pull, unit), begin)
                })
                .offer(offset, unit)
        });
    if reach == Reach::Disk {
        return None;
    }
    Some(choice.map_or((Vec::new(), begin), Choice::into_units))
}

/// The same from the parts of the index that are on the disk. Nothing is chosen when the message to begin with is not
/// there any more.
async fn choose_on_disk(
    shard: &Shard,
    pull: &PullRequest,
    allowed: &Allowed,
    begin: QueueOffset,
) -> Result<(Vec<Unit>, QueueOffset), ReadError> {
    let filter = &allowed.subscription.filter;
    let step = match filter {
        Filter::All => usize::try_from(pull.messages).unwrap_or(0).clamp(1, SCAN_STEP),
        Filter::Tags(_) | Filter::Unsupported(_) => SCAN_STEP,
    };
    let (mut choice, mut scanned): (Option<Choice<'_>>, usize) = (None, 0);
    while scanned < MAX_SCANNED {
        let at = choice.as_ref().map_or(begin, Choice::next);
        let max = step.min(MAX_SCANNED - scanned);
        let found = shard.store.older_units(&pull.topic, allowed.queue, at, max).await?;
        let Some((offset, first)) = found.first() else { break };
        if *offset != at {
            break; // a trim has overtaken the pull: the next one is told, this one passes nothing over
        }
        scanned += found.len();
        let choice =
            choice.get_or_insert_with(|| Choice::new(filter, limits(shard, pull, *first), begin));
        if found.into_iter().any(|(offset, unit)| choice.offer(offset, unit).is_break()) {
            break;
        }
    }
    Ok(choice.map_or((Vec::new(), begin), Choice::into_units))
}

/// The limits of a pull whose first message is `first`.
fn limits(shard: &Shard, pull: &PullRequest, first: Unit) -> PullLimits {
    let in_tail = shard.store.try_read(first.offset, first.size).is_some();
    let config = &shard.config;
    let broker = if in_tail { config.pull_memory } else { config.pull_disk };
    let broker = PullLimits {
        bytes: broker.bytes.min(MAX_PULL_BYTES),
        messages: broker.messages.min(MAX_PULL_MESSAGES),
    };
    pull_rules::limits(broker, pull.messages, pull.bytes)
}

/// What a pull reads from the disk.
enum Wanted {
    /// Messages whose places are known, and where the next pull goes on.
    Chosen { units: Vec<Unit>, next: QueueOffset },
    /// Messages from here on, wherever they are.
    From(QueueOffset),
}

fn on_disk(shard: &Rc<Shard>, pull: Box<PullRequest>, allowed: Allowed, wanted: Wanted) {
    let caller = pull.caller.clone();
    let at = Rc::clone(shard);
    let read = async move {
        if !pull.caller.connection().is_open() {
            return;
        }
        match from_disk(&at, &pull, &allowed, wanted).await {
            Ok((records, next)) if records.is_empty() => {
                answer_empty(&at, &pull, &allowed, Status::NoMatchedMessage, next);
            }
            Ok((records, next)) => answer_found(&at, &pull, &allowed, &records, next),
            Err(error) => not_read(&at, &pull, &allowed, &error),
        }
    };
    if let Err(TooMany { max }) = shard.disk_reads.run(read) {
        too_many_reads(max).send(&caller);
    }
}

async fn from_disk(
    shard: &Shard,
    pull: &PullRequest,
    allowed: &Allowed,
    wanted: Wanted,
) -> Result<(Vec<Slice>, QueueOffset), ReadError> {
    let (units, next) = match wanted {
        Wanted::Chosen { units, next } => (units, next),
        Wanted::From(begin) => choose_on_disk(shard, pull, allowed, begin).await?,
    };
    match shard.store.read_units(&units).await {
        Ok(records) => Ok((records, next)),
        Err(error) => Ok(before_damage(shard, units, error).await?),
    }
}

/// The records before the one that `error` tells of, and where that one is: a consumer gets what is intact, and
/// is told when it comes to the one that is not.
async fn before_damage(
    shard: &Shard,
    mut units: Vec<Unit>,
    error: ReadError,
) -> Result<(Vec<Slice>, QueueOffset), ReadError> {
    let bad = units.iter().position(|unit| Some(unit.offset) == error.record());
    let Some(bad) = bad.filter(|bad| *bad > 0) else {
        return Err(error);
    };
    units.truncate(bad);
    let records = shard.store.read_units(&units).await?;
    let last = records.last().expect("there is one before the bad one");
    let last = Record::parse(last).expect("it was just checked").queue_offset();
    Ok((records, last.plus(1)))
}

fn not_read(shard: &Shard, pull: &PullRequest, allowed: &Allowed, error: &ReadError) {
    let range = shard.store.queue(&pull.topic, allowed.queue);
    if let Begin::Nowhere { status, next } = pull_rules::begin(range, pull.offset) {
        // The messages were given up, or their topic was deleted, while they were being read.
        return answer_empty(shard, pull, allowed, status, next);
    }
    if let Some(unreported) = shard.read_failures.may_say(runtime::now()) {
        tracing::error!(
            shard = %shard.identity.name, topic = %pull.topic, queue = %allowed.queue, %error, unreported,
            "messages cannot be read"
        );
    }
    unread(error).send(&pull.caller);
}

/// The fields of every answer to a pull that was not refused.
fn reply(shard: &Shard, pull: &PullRequest, allowed: &Allowed, next: QueueOffset) -> PullReply {
    let range = shard.store.queue(&pull.topic, allowed.queue);
    PullReply {
        suggest_which_broker_id: 0,
        next_begin_offset: next.0.cast_signed(),
        min_offset: range.map_or(0, |range| range.min.0.cast_signed()),
        max_offset: range.map_or(0, |range| range.max.0.cast_signed()),
        offset_delta: None,
        topic_sys_flag: Some(allowed.topic.sys_flag),
        group_sys_flag: Some(allowed.group.group_sys_flag),
        forbidden_type: None,
    }
}

fn answer_found(
    shard: &Shard,
    pull: &PullRequest,
    allowed: &Allowed,
    records: &[Slice],
    next: QueueOffset,
) {
    let len = records.iter().map(|record| record.len()).sum();
    let reply = reply(shard, pull, allowed, next);
    let remark = Some(Status::Found.name());
    pull.caller.answer_with(ResponseCode::Success, remark, &reply, len, |out| {
        records.iter().for_each(|record| out.extend_from_slice(record));
    });
    let took = pull.since.elapsed();
    shard.stats.pulled(&pull.group, &pull.topic, records.len() as u64, len as u64, took);
}

fn answer_empty(
    shard: &Shard,
    pull: &PullRequest,
    allowed: &Allowed,
    status: Status,
    next: QueueOffset,
) {
    let reply = reply(shard, pull, allowed, next);
    pull.caller.answer(status.code(pull.offset), Some(status.name()), &reply, &[]);
    shard.stats.missed();
}

fn answer_refused(pull: &PullRequest, refused: &Refused) {
    let Refused { refusal, forbids } = refused;
    let reply = PullReply {
        suggest_which_broker_id: 0,
        next_begin_offset: pull.offset,
        min_offset: 0,
        max_offset: 0,
        offset_delta: None,
        topic_sys_flag: None,
        group_sys_flag: None,
        forbidden_type: *forbids,
    };
    pull.caller.answer(refusal.code, Some(&refusal.remark), &reply, &[]);
}
