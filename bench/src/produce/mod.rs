//! Sending: as many messages in flight as asked for, every acknowledgement checked.

use std::rc::Rc;

use remoting::header::DecodeExt;
use remoting::header::send::SendReply;
use remoting::{CommandRef, RequestCode};
use runtime::Instant;

use crate::args::Produce;
use crate::limits::{ANSWER, OUTBOX_BYTES};
use crate::recorder::Recorder;
use crate::run::{SUCCESS, Stage};
use crate::wire::{Load, SendTemplate, Sender, Slots, born_digits};

/// A closed loop of sends: an acknowledgement makes room for the next message.
pub struct Producing {
    stage: Rc<Stage>,
    queues: Vec<Queue>,
    /// Index of the queue whose turn it is.
    turn: usize,
    body: Vec<u8>,
    in_flight: Slots<Sent>,
    /// Messages still to be sent.
    left: u64,
    /// Messages sent, for their unique keys.
    number: u64,
    over: bool,
}

struct Queue {
    id: i32,
    template: SendTemplate,
    /// The largest offset acknowledged; −1 if none.
    acknowledged: i64,
}

struct Sent {
    queue: usize,
    at: Instant,
    /// `Queue::acknowledged` when it was sent. Whatever a broker does in between, a message that is sent after
    /// another was acknowledged must be stored behind it.
    above: i64,
}

impl Producing {
    /// A load that sends to `queues` of `broker` in turn, `count` messages at most. `lane` spreads the lanes over the queues.
    #[must_use]
    pub fn new(
        stage: Rc<Stage>,
        args: &Produce,
        broker: &str,
        queues: &[i32],
        lane: usize,
        count: u64,
    ) -> Producing {
        assert!(!queues.is_empty(), "a lane has a queue");
        // Random bytes, so that no layer below gains by compressing them.
        let mut body = vec![0; args.size];
        runtime::fill(&mut body);
        let sender = Sender {
            group: &args.run.group,
            topic: &args.run.topic,
            topic_queues: i32::try_from(args.queues).expect("the flag's range is small"),
            key: runtime::random_u64(),
            body_len: args.size,
        };
        let queues: Vec<Queue> = queues
            .iter()
            .map(|id| {
                let template = SendTemplate::new(&sender, broker, *id);
                Queue { id: *id, template, acknowledged: -1 }
            })
            .collect();
        let capacity = usize::try_from(args.in_flight).expect("the flag's range is small");
        Producing {
            stage,
            turn: lane % queues.len(),
            queues,
            body,
            in_flight: Slots::new(capacity),
            left: count,
            number: 0,
            over: false,
        }
    }

    /// Whether another message may be sent at `now`.
    fn may_send(&mut self, now: Instant) -> bool {
        self.over = self.over || self.left == 0 || self.stage.is_over(now);
        !self.over
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
        let bytes = u64::try_from(self.body.len()).expect("a body is small");
        recorder.acknowledged(&self.stage.schedule(), sent.at, at, bytes);
    }
}

impl Load for Producing {
    fn fill(&mut self, out: &mut Vec<u8>) {
        let born = born_digits(runtime::unix_millis());
        let before = self.number;
        while !self.in_flight.is_full() && out.len() < OUTBOX_BYTES {
            let at = runtime::now();
            if !self.may_send(at) {
                break;
            }
            let queue = &self.queues[self.turn];
            let sent = Sent { queue: self.turn, at, above: queue.acknowledged };
            let opaque = self.in_flight.insert(sent).expect("there is room");
            queue.template.append(out, opaque, &born, self.number, &self.body);
            self.turn = (self.turn + 1) % self.queues.len();
            self.left -= 1;
            self.number += 1;
        }
        if self.in_flight.is_empty() {
            // Without messages in flight nobody else would notice the end.
            self.may_send(runtime::now());
        }
        self.stage.recorder().tally.sent += self.number - before;
    }

    fn answer(&mut self, at: Instant, head: &CommandRef<'_>, _body: &[u8]) {
        let stage = self.stage.clone();
        let mut recorder = stage.recorder();
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

    fn is_done(&self) -> bool {
        self.over && self.in_flight.is_empty()
    }

    fn is_overdue(&self, now: Instant) -> bool {
        self.in_flight.iter().any(|sent| now - sent.at > ANSWER)
    }

    fn lost(&mut self, why: &str) {
        let lost = u64::try_from(self.in_flight.drain().count()).expect("a count fits");
        let mut recorder = self.stage.recorder();
        recorder.tally.failures.note(None, why, lost);
        recorder.tally.unanswered += lost;
    }
}

#[cfg(test)]
mod tests;
