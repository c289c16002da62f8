//! Who waits for what was appended to the log.
//!
//! The log gives back what was appended in the order of the appends, so that a queue is enough to find
//! who waits for it: each successful append adds one [`Completion`], each committed record or command
//! takes one. There is no task and no channel for a message.

use std::collections::VecDeque;
use std::rc::Rc;

use remoting::body::{Body, LockReply};
use remoting::fastjson::MessageQueue;
use runtime::Instant;

use super::commands::TopicConfig;
use super::offset_questions::Mark;
use super::reply::Caller;
use super::send::{BatchSender, Sender};

/// What happens when something that was appended is committed.
pub enum Completion {
    /// A message: its sender gets its id and offset.
    Message(Sender),
    /// A message of a batch; the last one answers for all.
    InBatch(Rc<BatchSender>),
    /// A message that nobody waits for; when it arrived.
    OnewayMessage(Instant),
    /// A topic or a command: who asked for it gets code 0.
    Answer(Caller),
    /// Queue locks: who asked for them gets these.
    Locked(Caller, Vec<MessageQueue>),
    /// A topic that a send created: the sibling shards shall have it too.
    Announce(Rc<TopicConfig>),
    /// A topic or a command that nobody waits for.
    Silent,
}

impl Completion {
    /// Answers a request that changes nothing.
    ///
    /// # Panics
    /// When somebody waits for more than that.
    pub fn run_now(self) {
        match self {
            Self::Answer(caller) => caller.ok(&()),
            Self::Locked(caller, locked) => caller.body(&(), &LockReply { locked }.encode()),
            _ => panic!("nothing was appended"),
        }
    }
}

/// What is done once everything appended before it is committed.
pub enum Afterwards {
    /// Code 0.
    Answer(Caller),
    /// The answers to the questions for consumer offsets up to this mark.
    Offsets(Mark),
    /// Wakes whoever waits for the log to come to this point.
    Wake(runtime::channel::OneshotSender<()>),
}

enum Waiting {
    Append(Completion),
    Afterwards(Afterwards),
}

/// All that wait, in the order of the log. It is as long as the store lets appends wait, at most: questions for offsets behind the same
/// append wait as one.
#[derive(Default)]
pub struct Completions {
    queue: VecDeque<Waiting>,
}

impl Completions {
    /// Something was appended. Call it once for each successful append, in their order.
    pub fn push(&mut self, completion: Completion) {
        self.queue.push_back(Waiting::Append(completion));
    }

    /// Does `then` after all that was appended so far; gives it back when nothing is under way, to be
    /// done at once.
    #[must_use]
    pub fn afterwards(&mut self, then: Afterwards) -> Option<Afterwards> {
        if self.queue.is_empty() {
            return Some(then);
        }
        match (self.queue.back_mut(), &then) {
            (Some(Waiting::Afterwards(Afterwards::Offsets(last))), Afterwards::Offsets(mark)) => {
                assert!(*last < *mark, "marks grow");
                *last = *mark;
            }
            _ => self.queue.push_back(Waiting::Afterwards(then)),
        }
        None
    }

    /// Something was committed: who waits for it.
    ///
    /// # Panics
    /// When nobody does: the log gave back what was never appended.
    pub fn committed(&mut self) -> Completion {
        match self.queue.pop_front() {
            Some(Waiting::Append(completion)) => completion,
            Some(Waiting::Afterwards(_)) => {
                panic!("what was due was done with the append before it")
            }
            None => panic!("the log commits only what was appended"),
        }
    }

    /// What is due now that the last committed append has been answered.
    pub fn due(&mut self) -> Option<Afterwards> {
        match self.queue.front() {
            Some(Waiting::Afterwards(_)) => match self.queue.pop_front() {
                Some(Waiting::Afterwards(then)) => Some(then),
                _ => unreachable!("it was just looked at"),
            },
            _ => None,
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many of them are messages whose senders, if they want an answer, are to get one.
    #[must_use]
    pub fn messages(&self) -> usize {
        let is_message = |waiting: &&Waiting| match waiting {
            Waiting::Append(completion) => matches!(
                completion,
                Completion::Message(_) | Completion::InBatch(_) | Completion::OnewayMessage(_)
            ),
            Waiting::Afterwards(_) => false,
        };
        self.queue.iter().filter(is_message).count()
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Empties the queue after the log has failed: what nobody will commit any more, and what was to
    /// be done after it.
    pub fn fail(&mut self) -> (Vec<Completion>, Vec<Afterwards>) {
        let (mut appends, mut then) = (Vec::new(), Vec::new());
        for waiting in self.queue.drain(..) {
            match waiting {
                Waiting::Append(completion) => appends.push(completion),
                Waiting::Afterwards(afterwards) => then.push(afterwards),
            }
        }
        assert!(self.queue.is_empty());
        (appends, then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wake() -> Afterwards {
        Afterwards::Wake(runtime::channel::oneshot().0)
    }

    #[test]
    fn nothing_under_way_is_done_at_once() {
        let mut completions = Completions::default();
        assert!(completions.afterwards(wake()).is_some());
        assert!(completions.is_empty() && completions.due().is_none());
    }

    #[test]
    fn what_comes_afterwards_waits_for_all_before_it() {
        let mut completions = Completions::default();
        completions.push(Completion::Silent);
        completions.push(Completion::Announce(Rc::new(TopicConfig::new("T", 1, 6))));
        assert!(completions.afterwards(wake()).is_none());
        completions.push(Completion::Silent);
        assert!(matches!(completions.committed(), Completion::Silent));
        assert!(completions.due().is_none());
        assert!(matches!(completions.committed(), Completion::Announce(_)));
        assert!(completions.due().is_some());
        assert!(completions.due().is_none());
        assert_eq!((completions.len(), completions.messages()), (1, 0));
        completions.push(Completion::OnewayMessage(runtime::now()));
        assert_eq!(completions.messages(), 1);
        let (appends, then) = completions.fail();
        assert_eq!((appends.len(), then.len(), completions.len()), (2, 0, 0));
    }

    #[test]
    fn questions_behind_the_same_append_take_one_place() {
        let mut completions = Completions::default();
        let ask = |completions: &mut Completions, mark| {
            assert!(completions.afterwards(Afterwards::Offsets(Mark(mark))).is_none());
        };
        completions.push(Completion::Silent);
        (1..=100).for_each(|mark| ask(&mut completions, mark));
        assert_eq!(completions.len(), 2);
        completions.push(Completion::Silent);
        ask(&mut completions, 101);
        assert_eq!(completions.len(), 4);
        assert!(matches!(completions.committed(), Completion::Silent));
        assert!(matches!(completions.due(), Some(Afterwards::Offsets(Mark(100)))));
        assert!(completions.due().is_none());
    }

    #[test]
    #[should_panic(expected = "the log commits only what was appended")]
    fn what_was_not_appended_is_not_committed() {
        let _ = Completions::default().committed();
    }
}
