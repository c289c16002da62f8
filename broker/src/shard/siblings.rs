//! The other shards of the broker: what they are told.
//!
//! A topic that a send creates on one shard is created on the others too, or a client would see one core
//! only. Shards share nothing else. Messages travel through bounded mailboxes; a full one makes the one
//! task that fills it wait, and no request.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use runtime::channel::{
    MailboxReceiver, MailboxSender, Receiver, Sender, TrySendError, mailbox, mpsc,
};

use remoting::ResponseCode;

use super::commands::TopicConfig;
use super::completions::Completion;
use super::reply::Refusal;
use super::{Phase, Shard, topics};
use crate::limits::{MAILBOX, MAX_ANNOUNCEMENTS};

/// How long a shard waits before it tries again to append what a sibling told it.
const RETRY: Duration = Duration::from_millis(50);

/// What one shard tells another.
#[derive(Clone, Debug)]
pub enum Note {
    /// A send has created this topic.
    TopicCreated(TopicConfig),
}

/// A shard's end of the mailboxes. Made on the thread that starts the shards, taken along by each.
pub struct Mailbox {
    inbox: MailboxReceiver<Note>,
    others: Vec<MailboxSender<Note>>,
}

/// One end for each of `shards` shards, in their order.
#[must_use]
pub fn mailboxes(shards: u32) -> Vec<Mailbox> {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..shards).map(|_| mailbox(MAILBOX)).unzip();
    let ends = receivers.into_iter().enumerate().map(|(number, inbox)| {
        let others = senders.iter().enumerate().filter(|(other, _)| *other != number);
        Mailbox { inbox, others: others.map(|(_, sender)| sender.clone()).collect() }
    });
    ends.collect()
}

/// The siblings as a shard sees them.
pub struct Siblings {
    outbox: Option<Sender<Rc<TopicConfig>>>,
    post: RefCell<Option<Post>>,
}

/// What the shard's two tasks work with.
struct Post {
    inbox: MailboxReceiver<Note>,
    others: Vec<MailboxSender<Note>>,
    announced: Receiver<Rc<TopicConfig>>,
}

impl Siblings {
    /// Those behind `mailbox`.
    #[must_use]
    pub fn new(mailbox: Mailbox) -> Self {
        let (outbox, announced) = mpsc(MAX_ANNOUNCEMENTS);
        let alone = mailbox.others.is_empty();
        let Mailbox { inbox, others } = mailbox;
        Self {
            outbox: (!alone).then_some(outbox),
            post: RefCell::new(Some(Post { inbox, others, announced })),
        }
    }

    /// Tells all siblings that a topic was created. Never waits.
    pub fn announce(&self, shard: &str, topic: Rc<TopicConfig>) {
        let Some(outbox) = &self.outbox else { return };
        match outbox.try_send(topic) {
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(topic)) => tracing::warn!(
                shard, topic = %topic.name, waiting = MAX_ANNOUNCEMENTS,
                "topic not created on the other shards, too many wait; create it there with mqadmin updateTopic"
            ),
        }
    }
}

/// Delivers announcements and takes those of the siblings, for as long as the shard runs.
pub async fn run(shard: Rc<Shard>) {
    let post = shard.siblings.post.borrow_mut().take();
    let Post { mut inbox, others, mut announced } = post.expect("the task is started once");
    let deliver = async {
        while let Some(topic) = announced.recv().await {
            for other in &others {
                // A sibling that is gone is being stopped, and this shard with it.
                drop(other.send(Note::TopicCreated((*topic).clone())).await);
            }
        }
    };
    let receive = async {
        while let Some(Note::TopicCreated(topic)) = inbox.recv().await {
            create(&shard, topic).await;
        }
    };
    futures::future::join(deliver, receive).await;
}

/// Creates a sibling's topic here, unless it is there. Tries again while the log is busy; what is refused for
/// good must not keep those behind it waiting.
async fn create(shard: &Rc<Shard>, topic: TopicConfig) {
    while shard.phase.get() == Phase::Serving {
        let Err(refusal) = topics::ensure(shard, topic.clone(), Completion::Silent) else {
            return;
        };
        let (shard, topic, reason) = (&shard.identity.name, &topic.name, &refusal.remark);
        if !will_pass(&refusal) {
            tracing::warn!(%shard, %topic, %reason, "topic of a sibling shard not created here");
            return;
        }
        tracing::debug!(%shard, %topic, %reason, "topic of a sibling shard not created yet");
        runtime::sleep(RETRY).await;
    }
}

/// Whether what was refused may be taken a moment later. A log that has failed shows in the shard's phase.
fn will_pass(refusal: &Refusal) -> bool {
    matches!(refusal.code, ResponseCode::SystemBusy | ResponseCode::ServiceNotAvailable)
}

#[cfg(test)]
mod tests {
    use storage::AppendError;

    use super::*;

    #[test]
    fn only_what_passes_is_waited_for() {
        for passes in [AppendError::Busy { queued: 1, max: 1 }, AppendError::Failed] {
            assert!(will_pass(&passes.into()));
        }
        for stays in [
            AppendError::TooManyQueues { queues: 70_000, max: 65_536 },
            AppendError::TooLarge { len: 2, max: 1 },
        ] {
            assert!(!will_pass(&stays.into()));
        }
        let full = Refusal::new(ResponseCode::SystemError, "there are too many topics");
        assert!(!will_pass(&full));
    }
}
