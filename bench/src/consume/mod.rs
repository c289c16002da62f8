//! Pulling: one request in flight for each queue, everything that comes is checked.

mod queue;

use std::collections::VecDeque;
use std::rc::Rc;

use remoting::header::DecodeExt;
use remoting::header::offset::UpdateOffsetHeader;
use remoting::header::pull::{PullHeader, PullReply, pull_flag};
use remoting::{CommandRef, RequestCode, RequestHead, ResponseCode, encode_request};
use runtime::Instant;

use crate::args::Consume;
use crate::limits::{ANSWER, COMMIT_EVERY, OUTBOX_BYTES, PULL_REST, SUSPEND, SUSPEND_SHORT};
use crate::run::{SUCCESS, Stage};
use crate::wire::{Load, Slots};
use queue::Queue;

const NOT_FOUND: i32 = ResponseCode::PullNotFound.code();
const RETRY: i32 = ResponseCode::PullRetryImmediately.code();
const MOVED: i32 = ResponseCode::PullOffsetMoved.code();

/// Pulls queues without end, and stores the group's progress from time to time.
pub struct Consuming {
    stage: Rc<Stage>,
    args: Consume,
    queues: Vec<Queue>,
    /// Indexes of the queues that may be pulled, in turn.
    ready: VecDeque<usize>,
    /// Those that rest after a failure, and until when.
    resting: VecDeque<(Instant, usize)>,
    in_flight: Slots<Asked>,
    pulls: usize,
    commits: usize,
    pulls_max: usize,
    suspend_millis: i64,
    commit_at: Instant,
    over: bool,
    /// Whether the last commits were sent.
    parted: bool,
}

struct Asked {
    queue: usize,
    at: Instant,
    what: Question,
}

enum Question {
    Pull,
    /// Store this offset.
    Commit(i64),
}

impl Consuming {
    /// A load that pulls `queues`, each from its offset on.
    #[must_use]
    pub fn new(stage: Rc<Stage>, args: &Consume, queues: &[(i32, i64)]) -> Consuming {
        assert!(!queues.is_empty(), "a lane has a queue");
        let asked = usize::try_from(args.in_flight).expect("the flag's range is small");
        let pulls_max = asked.min(queues.len());
        // A held pull keeps the others waiting where there are more queues than pulls.
        let suspend = if pulls_max < queues.len() { SUSPEND_SHORT } else { SUSPEND };
        Consuming {
            stage,
            queues: queues.iter().map(|(id, next)| Queue::new(*id, *next)).collect(),
            ready: (0..queues.len()).collect(),
            resting: VecDeque::new(),
            in_flight: Slots::new(pulls_max + queues.len()),
            pulls: 0,
            commits: 0,
            pulls_max,
            suspend_millis: i64::try_from(suspend.as_millis()).expect("seconds"),
            commit_at: runtime::now() + COMMIT_EVERY,
            over: false,
            parted: false,
            args: args.clone(),
        }
    }

    fn pull(&mut self, out: &mut Vec<u8>, index: usize, at: Instant) {
        let queue = &self.queues[index];
        let header = PullHeader {
            consumer_group: &self.args.run.group,
            topic: &self.args.run.topic,
            lite_topic: None,
            queue_id: queue.id,
            queue_offset: queue.next,
            max_msg_nums: i32::try_from(self.args.batch).expect("the flag's range is small"),
            sys_flag: pull_flag::SUSPEND | pull_flag::SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_millis: self.suspend_millis,
            subscription: Some("*"),
            sub_version: 0,
            expression_type: Some("TAG"),
            max_msg_bytes: None,
            request_source: Some(-1),
            proxy_forward_client_id: None,
        };
        let asked = Asked { queue: index, at, what: Question::Pull };
        let opaque = self.in_flight.insert(asked).expect("pulls have their places");
        let code = RequestCode::PullMessage.code();
        let head = RequestHead { code, opaque, oneway: false, ext: &header };
        encode_request(out, &head, 0).expect("a pull fits a frame");
        self.pulls += 1;
    }

    /// Stores the progress of all queues that have any.
    fn commit(&mut self, out: &mut Vec<u8>, at: Instant) {
        for index in 0..self.queues.len() {
            let queue = &mut self.queues[index];
            let Some(commit_offset) = queue.begin_commit() else { continue };
            let header = UpdateOffsetHeader {
                consumer_group: &self.args.run.group,
                topic: &self.args.run.topic,
                queue_id: queue.id,
                commit_offset,
            };
            let what = Question::Commit(commit_offset);
            let asked = Asked { queue: index, at, what };
            let opaque = self.in_flight.insert(asked).expect("each queue has a place for a commit");
            let code = RequestCode::UpdateConsumerOffset.code();
            let head = RequestHead { code, opaque, oneway: false, ext: &header };
            encode_request(out, &head, 0).expect("a commit fits a frame");
            self.commits += 1;
        }
    }

    /// A pull was answered.
    fn pulled(&mut self, index: usize, at: Instant, head: &CommandRef<'_>, body: &[u8]) {
        let stage = self.stage.clone();
        let mut recorder = stage.recorder();
        let queue = &mut self.queues[index];
        let reply = PullReply::decode(RequestCode::PullMessage, &head.ext);
        let next = reply.as_ref().map(|reply| reply.next_begin_offset);
        let rest = match (head.code, next) {
            (SUCCESS, Ok(next)) => {
                let taken = queue.found(&mut recorder, &stage.schedule(), &self.args, at, body);
                queue.goes_on_at(&mut recorder.tally.broken, next);
                stage.took(taken);
                taken == 0
            }
            (NOT_FOUND | RETRY | MOVED, Ok(next)) => {
                let stays = queue.next == next;
                recorder.tally.moved += u64::from(!stays);
                queue.jump(next);
                stays && head.code != NOT_FOUND
            }
            (SUCCESS | NOT_FOUND | RETRY | MOVED, Err(_)) => {
                recorder.tally.broken.unreadable += 1;
                true
            }
            (code, _) => {
                let remark = head.remark.as_deref().unwrap_or_default();
                recorder.tally.failures.note(Some(code), remark, 1);
                true
            }
        };
        if let Ok(reply) = &reply
            && self.args.again
            && queue.next >= reply.max_offset
        {
            queue.jump(reply.min_offset);
        }
        if rest {
            self.resting.push_back((at + PULL_REST, index));
        } else {
            self.ready.push_back(index);
        }
    }
}

impl Load for Consuming {
    fn fill(&mut self, out: &mut Vec<u8>) {
        let now = runtime::now();
        self.over = self.over || self.stage.is_over(now);
        if self.over {
            if !self.parted {
                self.commit(out, now);
                self.parted = true;
            }
            return;
        }
        if now >= self.commit_at {
            self.commit(out, now);
            self.commit_at = now + COMMIT_EVERY;
        }
        while let Some((_, index)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            self.ready.push_back(index);
        }
        while self.pulls < self.pulls_max && out.len() < OUTBOX_BYTES {
            let Some(index) = self.ready.pop_front() else { break };
            self.pull(out, index, now);
        }
    }

    fn answer(&mut self, at: Instant, head: &CommandRef<'_>, body: &[u8]) {
        let Some(asked) = self.in_flight.remove(head.opaque) else {
            self.stage.recorder().tally.broken.unreadable += 1;
            return;
        };
        match asked.what {
            Question::Pull => {
                self.pulls -= 1;
                // What comes after the end is not consumed.
                if !self.over {
                    self.pulled(asked.queue, at, head, body);
                }
            }
            Question::Commit(offset) => {
                self.commits -= 1;
                self.queues[asked.queue].committing = false;
                if head.code == SUCCESS {
                    self.queues[asked.queue].committed = Some(offset);
                } else {
                    let remark = head.remark.as_deref().unwrap_or_default();
                    self.stage.recorder().tally.failures.note(Some(head.code), remark, 1);
                }
            }
        }
    }

    fn is_done(&self) -> bool {
        self.parted && self.commits == 0
    }

    fn is_overdue(&self, now: Instant) -> bool {
        self.in_flight.iter().any(|asked| now - asked.at > ANSWER)
    }

    fn lost(&mut self, why: &str) {
        self.stage.recorder().tally.failures.note(None, why, 1);
        for asked in self.in_flight.drain() {
            match asked.what {
                Question::Pull => self.ready.push_back(asked.queue),
                Question::Commit(_) => self.queues[asked.queue].committing = false,
            }
        }
        self.pulls = 0;
        self.commits = 0;
        self.parted = false;
    }
}

#[cfg(test)]
mod tests;
