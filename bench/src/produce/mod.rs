//! Sending: as many messages in flight as asked for, every acknowledgement checked.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use remoting::header::DecodeExt;
use remoting::header::send::SendReply;
use remoting::{CommandRef, RequestCode};
use runtime::Instant;

use crate::args::Produce;
use crate::audit::{Ledger, Place};
use crate::cluster::TopicQueue;
use crate::limits::{ANSWER, OUTBOX_BYTES};
use crate::pace::Pace;
use crate::recorder::Recorder;
use crate::run::{SUCCESS, Stage};
use crate::wire::{Load, SendTemplate, Sender, Slots, Stamp, born_digits};

/// A loop of sends. Closed: an acknowledgement makes room for the next message. Open: messages are due at times of their
/// own, and wait for room where too many are in flight.
pub struct Producing {
    stage: Rc<Stage>,
    /// By topic, then by the digits of the queue's number.
    templates: Vec<Vec<Option<SendTemplate>>>,
    queues: Vec<Queue>,
    /// Index of the queue whose turn it is.
    turn: usize,
    body: Vec<u8>,
    in_flight: Slots<Sent>,
    /// Messages still to be sent.
    left: u64,
    /// Messages sent, for their unique keys.
    number: u64,
    pace: Option<Pace>,
    /// Index of the lane's ledger, if there is an audit.
    ledger: Option<usize>,
    /// Up to when there was no room for another message.
    full_until: Option<Instant>,
    /// The connection is gone, and messages have waited for another.
    was_lost: bool,
    over: bool,
}

/// One queue; small, since there may be very many.
struct Queue {
    id: i32,
    topic: u32,
    /// The largest offset acknowledged; −1 if none.
    acknowledged: i64,
}

struct Sent {
    queue: usize,
    number: u64,
    /// When its latency began.
    at: Instant,
    /// When it was sent.
    asked: Instant,
    /// `Queue::acknowledged` when it was sent. Whatever a broker does in between, a message that is sent after
    /// another was acknowledged must be stored behind it.
    above: i64,
}

/// Where a lane sends to, and how much.
#[derive(Clone, Debug)]
pub struct Route {
    /// The broker's name.
    pub broker: String,
    /// Its queues; not empty.
    pub queues: Arc<[TopicQueue]>,
    /// Number of the lane.
    pub lane: usize,
    /// Number of lanes of the run.
    pub lanes: usize,
    /// Most messages to send.
    pub count: u64,
}

/// Digits of the number of a queue.
fn digits(queue: i32) -> usize {
    queue.checked_ilog10().map_or(1, |log| usize::try_from(log).expect("at most 9") + 1)
}

impl Producing {
    /// A load that sends to the queues of `route` in turn; the number of the lane spreads the lanes over the queues.
    #[must_use]
    pub fn new(stage: Rc<Stage>, args: &Produce, route: &Route) -> Producing {
        assert!(!route.queues.is_empty(), "a lane has a queue");
        // Random bytes, so that no layer below gains by compressing them.
        let mut body = vec![0; args.size];
        runtime::fill(&mut body);
        let key = runtime::random_u64();
        let queues: Vec<Queue> = route
            .queues
            .iter()
            .map(|queue| Queue { id: queue.queue, topic: queue.topic, acknowledged: -1 })
            .collect();
        let capacity = usize::try_from(args.depth()).expect("the flag's range is small");
        let begin = stage.schedule().begin();
        let ledger = args.audit.then(|| {
            let ledgers = &mut stage.recorder().tally.ledgers;
            ledgers.push(Ledger::new(key, args.size));
            ledgers.len() - 1
        });
        Producing {
            stage,
            templates: templates(args, &route.broker, &queues, key),
            turn: route.lane % queues.len(),
            queues,
            body,
            in_flight: Slots::new(capacity),
            left: route.count,
            number: 0,
            pace: args.rate.map(|rate| Pace::new(begin, rate, route.lanes, route.lane)),
            ledger,
            full_until: None,
            was_lost: false,
            over: false,
        }
    }

    /// Whether another message may be sent at `now`. At the end of an open loop those may that were due before it.
    fn may_send(&self, now: Instant) -> bool {
        let was_due = || self.pace.is_some_and(|pace| pace.due(self.number) < self.end(now));
        !self.over && self.left > 0 && (!self.stage.is_over(now) || was_due())
    }

    /// When the run ends, as far as that is known at `now`.
    fn end(&self, now: Instant) -> Instant {
        self.stage.schedule().end().map_or(now, |end| end.min(now))
    }

    /// Notices that the time is up or the count is reached.
    fn look_for_the_end(&mut self, now: Instant) {
        if self.over || (self.left > 0 && !self.stage.is_over(now)) {
            return;
        }
        self.over = true;
        // What was due before the end had no room.
        let Some(pace) = self.pace else { return };
        let (schedule, end) = (self.stage.schedule(), self.end(now));
        let before = pace.due_until(end - Duration::from_nanos(1));
        let unsent = before.saturating_sub(self.number).min(self.left);
        let due = |index| pace.due(self.number + index);
        self.stage.recorder().unsent(&schedule, end, unsent, due);
    }

    /// When the next message's latency begins, if it may be sent at `now`.
    fn begins(&self, now: Instant) -> Option<Instant> {
        match self.pace {
            None => Some(now),
            Some(pace) => Some(pace.due(self.number)).filter(|due| *due <= now),
        }
    }

    /// Counts how late a message of an open loop is, unless it had to wait for room.
    fn note_lateness(&self, due: Instant, now: Instant) {
        if self.pace.is_some() && self.full_until.is_none_or(|until| until < due) {
            self.stage.recorder().late(&self.stage.schedule(), due, now - due);
        }
    }

    fn send(&mut self, out: &mut Vec<u8>, born: &[u8; 13], at: Instant, asked: Instant) {
        let queue = &self.queues[self.turn];
        let (number, queue_id) = (self.number, queue.id);
        let sent = Sent { queue: self.turn, number, at, asked, above: queue.acknowledged };
        let opaque = self.in_flight.insert(sent).expect("there is room");
        let topic = usize::try_from(queue.topic).expect("an index");
        let template = self.templates[topic][digits(queue_id)].as_ref();
        let stamp = Stamp { opaque, queue_id, born, number };
        template.expect("made for every queue").append(out, &stamp, &self.body);
        self.turn = (self.turn + 1) % self.queues.len();
        self.left -= 1;
        self.number += 1;
    }

    fn acknowledged(
        &mut self,
        recorder: &mut Recorder,
        at: Instant,
        sent: &Sent,
        head: &CommandRef<'_>,
    ) {
        let Ok(reply) = SendReply::decode(RequestCode::SendMessageV2, &head.ext) else {
            recorder.tally.broken.unreadable += 1;
            return;
        };
        let queue = &mut self.queues[sent.queue];
        if reply.queue_id != queue.id {
            recorder.tally.broken.wrong_queue += 1;
        }
        if reply.queue_offset <= sent.above {
            recorder.tally.broken.offsets_not_rising += 1;
        }
        queue.acknowledged = queue.acknowledged.max(reply.queue_offset);
        if let Some(ledger) = self.ledger {
            let place = Place { topic: queue.topic, queue: queue.id, offset: reply.queue_offset };
            recorder.tally.ledgers[ledger].acknowledged(sent.number, place);
        }
        let bytes = u64::try_from(self.body.len()).expect("a body is small");
        recorder.acknowledged(&self.stage.schedule(), sent.at, at, bytes);
    }
}

/// A template for each topic and each length of queue numbers that occurs.
fn templates(
    args: &Produce,
    broker: &str,
    queues: &[Queue],
    key: u64,
) -> Vec<Vec<Option<SendTemplate>>> {
    let topics = args.topic_names();
    let mut templates = vec![vec![None; digits(i32::MAX) + 1]; topics.len()];
    for queue in queues {
        let topic = usize::try_from(queue.topic).expect("an index");
        let place: &mut Option<SendTemplate> = &mut templates[topic][digits(queue.id)];
        if place.is_none() {
            let sender = Sender {
                group: &args.run.group,
                topic: &topics[topic],
                topic_queues: i32::try_from(args.queues).expect("the flag's range is small"),
                key,
                body_len: args.size,
            };
            *place = Some(SendTemplate::new(&sender, broker, queue.id));
        }
    }
    templates
}

impl Load for Producing {
    fn fill(&mut self, out: &mut Vec<u8>) {
        let born = born_digits(runtime::unix_millis());
        let before = self.number;
        if std::mem::take(&mut self.was_lost) {
            self.full_until = Some(runtime::now());
        }
        while !self.in_flight.is_full() && out.len() < OUTBOX_BYTES {
            let now = runtime::now();
            if !self.may_send(now) {
                break;
            }
            let Some(at) = self.begins(now) else { break };
            self.note_lateness(at, now);
            self.send(out, &born, at, now);
            if self.in_flight.is_full() || out.len() >= OUTBOX_BYTES {
                self.full_until = Some(now);
            }
        }
        self.look_for_the_end(runtime::now());
        self.stage.recorder().tally.sent += self.number - before;
    }

    fn answer(&mut self, at: Instant, head: &CommandRef<'_>, _body: &[u8]) {
        let stage = self.stage.clone();
        let mut recorder = stage.recorder();
        if self.in_flight.is_full() {
            self.full_until = Some(at);
        }
        match self.in_flight.remove(head.opaque) {
            None => recorder.tally.broken.unreadable += 1,
            Some(sent) if head.code == SUCCESS => {
                self.acknowledged(&mut recorder, at, &sent, head);
            }
            Some(_) => {
                let remark = head.remark.as_deref().unwrap_or_default();
                recorder.tally.failures.note(Some(head.code), remark, 1);
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let waits = !self.over && self.left > 0 && !self.in_flight.is_full();
        self.pace.filter(|_| waits).map(|pace| pace.due(self.number))
    }

    fn is_done(&self) -> bool {
        self.over && self.in_flight.is_empty()
    }

    fn is_overdue(&self, now: Instant) -> bool {
        self.in_flight.iter().any(|sent| now - sent.asked > ANSWER)
    }

    fn lost(&mut self, why: &str) {
        self.was_lost = true;
        let lost = u64::try_from(self.in_flight.drain().count()).expect("a count fits");
        let mut recorder = self.stage.recorder();
        recorder.tally.failures.note(None, why, lost);
        recorder.tally.unanswered += lost;
    }
}

#[cfg(test)]
mod tests;
