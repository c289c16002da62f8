//! The other shards of the broker: what they are told.
//!
//! A topic that a send creates on one shard is created on the others too, or a client would see one core
//! only. Shards share nothing else. Messages travel through bounded mailboxes; a full one makes the one
//! task that fills it wait, and no request.
//!
//! Shards that have groups may have their leaders on different nodes, so there the log of the one tells: wherever it comes to
//! be applied the siblings beside it are told, and the one among them that leads its own group creates the topic. Until somebody
//! has, each of them wants it: whoever comes to lead next creates it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use futures::lock::Mutex;
use futures::{FutureExt, select_biased};
use runtime::channel::{
    MailboxReceiver, MailboxSender, Notify, Receiver, Sender, TrySendError, mailbox, mpsc,
};

use model::{LogIndex, UnixMillis};
use raft::Role;
use remoting::ResponseCode;
use runtime::Instant;

use super::apply::Source;
use super::commands::{CommandError, TOPIC_ANNOUNCED, TopicConfig};
use super::completions::Completion;
use super::notices::{self, Notice};
use super::replica::Replica;
use super::reply::Refusal;
use super::{Phase, Shard, topics};
use crate::limits::{MAILBOX, MAX_ANNOUNCEMENTS};

/// How long a shard waits before it tries again to append what a sibling told it.
const RETRY: Duration = Duration::from_millis(50);
/// How often it is looked at what waits for a leader, beside when one begins to lead.
const LOOK: Duration = Duration::from_secs(1);
/// Topics that wait for longer are told of, once.
const PATIENCE: Duration = Duration::from_secs(10);
/// And those that wait for so long while the shard had a leader are forgotten: he does not take them, or they are deleted by now.
const FORGET: Duration = Duration::from_secs(60);
/// An announcement that is older is no news.
const RECENT: Duration = Duration::from_secs(60);

/// What one shard tells another.
#[derive(Clone, Debug)]
pub enum Note {
    /// A send has created this topic.
    TopicCreated(TopicConfig),
    /// The shard of this number serves no more until the broker is started again.
    Gone(u32),
}

/// A shard's end of the mailboxes. Made on the thread that starts the shards, taken along by each. One of a shard's lives uses
/// it at a time.
pub struct Mailbox {
    number: u32,
    /// The siblings that are gone.
    gone: RefCell<BTreeSet<u32>>,
    inbox: Mutex<MailboxReceiver<Note>>,
    others: Vec<MailboxSender<Note>>,
}

impl Mailbox {
    /// Tells the siblings that this shard is gone, for those who look at the broker. One that reads nothing for long does not hear it.
    pub fn tell_gone(&self) {
        for other in &self.others {
            drop(other.try_send(Note::Gone(self.number)));
        }
    }

    /// Takes what the siblings tell, for nobody: the shard has ended for good, and none of them is to wait for it. Never ends.
    pub async fn discard(&self) {
        let mut inbox = self.inbox.lock().await;
        while inbox.recv().await.is_some() {}
        std::future::pending().await
    }
}

/// One end for each of `shards` shards, in their order.
#[must_use]
pub fn mailboxes(shards: u32) -> Vec<Mailbox> {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..shards).map(|_| mailbox(MAILBOX)).unzip();
    let ends = (0..).zip(receivers).map(|(number, inbox)| {
        let others = (0..).zip(&senders).filter(|(other, _)| *other != number);
        let others = others.map(|(_, sender)| sender.clone()).collect();
        Mailbox { number, gone: RefCell::default(), inbox: Mutex::new(inbox), others }
    });
    ends.collect()
}

/// The siblings as a shard sees them.
pub struct Siblings {
    mailbox: Rc<Mailbox>,
    outbox: Option<Sender<Rc<TopicConfig>>>,
    announced: RefCell<Option<Receiver<Rc<TopicConfig>>>>,
    /// Topics of the siblings that are not here yet; at most [`MAX_ANNOUNCEMENTS`].
    wanted: RefCell<BTreeMap<String, Wanted>>,
    news: Notify,
}

/// A topic that a sibling has, and since when it is known here.
struct Wanted {
    topic: TopicConfig,
    since: Instant,
}

impl Siblings {
    /// Those behind `mailbox`.
    #[must_use]
    pub fn new(mailbox: Rc<Mailbox>) -> Self {
        let (outbox, announced) = mpsc(MAX_ANNOUNCEMENTS);
        let alone = mailbox.others.is_empty();
        let outbox = (!alone).then_some(outbox);
        let (wanted, news) = Default::default();
        Self { mailbox, outbox, announced: RefCell::new(Some(announced)), wanted, news }
    }

    /// Something is wanted that was not, or the shard may create topics now: what is wanted is looked at.
    pub fn look_again(&self) {
        self.news.notify_one();
    }

    /// The siblings that serve no more until the broker is started again.
    #[must_use]
    pub fn gone(&self) -> Vec<u32> {
        self.mailbox.gone.borrow().iter().copied().collect()
    }

    /// Topics of the siblings that are not here yet.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.wanted.borrow().len()
    }

    /// Forgets topics that were wanted at `then` already; how many.
    fn forget(&self, then: Instant) -> usize {
        let mut wanted = self.wanted.borrow_mut();
        let before = wanted.len();
        wanted.retain(|_, one| one.since > then);
        before - wanted.len()
    }

    /// A topic is here.
    pub fn has_come(&self, topic: &str) {
        self.wanted.borrow_mut().remove(topic);
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

/// Has the log tell the siblings of a topic that is about to be created; nothing where the shard tells them itself.
///
/// # Errors
/// The log does not take it now.
pub fn announce_in_log(shard: &Shard, topic: &TopicConfig) -> Result<(), Refusal> {
    if shard.replica.is_none() || shard.siblings.outbox.is_none() {
        return Ok(());
    }
    shard.store.append_command(TOPIC_ANNOUNCED, &topic.to_bytes())?;
    shard.completions.borrow_mut().push(Completion::Silent);
    Ok(())
}

/// A committed announcement.
///
/// # Errors
/// Another version wrote it.
pub fn applied(
    shard: &Shard,
    payload: &[u8],
    source: Source,
    (when, index): (UnixMillis, LogIndex),
) -> Result<(), CommandError> {
    let topic = TopicConfig::from_bytes(payload)?;
    // What a member hears late others have heard before, and the topic may be deleted by now. Its time is that of another one's clock.
    let age = Duration::from_millis(runtime::unix_millis().saturating_sub(when.0));
    let was_there = |replica: &Replica| replica.is_news(index, RECENT);
    let is_recent = age < RECENT || shard.replica.as_ref().is_some_and(was_there);
    if source.is_news() && is_recent {
        shard.siblings.announce(&shard.identity.name, Rc::new(topic));
    }
    Ok(())
}

/// Delivers announcements and takes those of the siblings, for as long as the shard runs.
pub async fn run(shard: Rc<Shard>) {
    let announced = shard.siblings.announced.borrow_mut().take();
    let mut announced = announced.expect("the task is started once");
    let Mailbox { inbox, others, gone, .. } = &*shard.siblings.mailbox;
    let deliver = async {
        while let Some(topic) = announced.recv().await {
            for other in others {
                // A sibling that is gone is being stopped, and this shard with it; one that has ended for good reads on.
                drop(other.send(Note::TopicCreated((*topic).clone())).await);
            }
        }
    };
    let receive = async {
        let mut inbox = inbox.lock().await;
        while let Some(note) = inbox.recv().await {
            match note {
                Note::TopicCreated(topic) => want(&shard, topic),
                Note::Gone(number) => drop(gone.borrow_mut().insert(number)),
            }
        }
    };
    futures::future::join3(deliver, receive, create_what_is_wanted(&shard)).await;
}

/// Notes that a sibling has a topic.
fn want(shard: &Shard, topic: TopicConfig) {
    let siblings = &shard.siblings;
    let mut wanted = siblings.wanted.borrow_mut();
    if wanted.len() >= MAX_ANNOUNCEMENTS && !wanted.contains_key(&topic.name) {
        notices::note(shard, Notice::SiblingsTopic, || {
            format!(
                "topics of sibling shards are not created here: {MAX_ANNOUNCEMENTS} already wait. Create them with mqadmin \
                 updateTopic; one is {}",
                notices::name(&topic.name)
            )
        });
        return;
    }
    wanted.insert(topic.name.clone(), Wanted { topic, since: runtime::now() });
    siblings.look_again();
}

/// Creates what is wanted as soon as this shard may; in a group another member may be faster. Never ends.
async fn create_what_is_wanted(shard: &Shard) {
    let siblings = &shard.siblings;
    let (mut waits, mut leaderless) = (None, runtime::now());
    loop {
        let news = siblings.news.notified();
        let pause = create_all(shard);
        if !has_other_leader(shard) {
            leaderless = runtime::now();
        }
        forget_what_nobody_takes(shard, leaderless);
        if siblings.wanted() == 0 {
            waits = None;
            news.await;
            continue;
        }
        let (since, told) = waits.get_or_insert((runtime::now(), false));
        if !*told && since.elapsed() > PATIENCE {
            *told = true;
            tell_of_patience(shard);
        }
        select_biased! {
            () = news.fuse() => {}
            () = runtime::sleep(pause).fuse() => {}
        }
    }
}

/// Whether another member of the shard's group leads it.
fn has_other_leader(shard: &Shard) -> bool {
    let role = shard.replica.as_ref().map(|replica| replica.role());
    matches!(role, Some(Role::Following(Some(_))))
}

/// Another member has led since `leaderless`: what has been wanted for long enough meanwhile it would have created.
fn forget_what_nobody_takes(shard: &Shard, leaderless: Instant) {
    let now = runtime::now();
    if now < leaderless + FORGET {
        return;
    }
    let count = shard.siblings.forget(now - FORGET);
    if count > 0 {
        tracing::info!(
            shard = %shard.identity.name, topics = count,
            "topics of sibling shards are not waited for any more: this shard's leader has not created them within {FORGET:?}. If one is \
             missing, mqadmin updateTopic creates it"
        );
    }
}

fn tell_of_patience(shard: &Shard) {
    let why = shard.check_office().err().map_or("its log is busy".to_owned(), |why| why.remark);
    tracing::warn!(
        shard = %shard.identity.name, topics = shard.siblings.wanted(), %why,
        "topics of sibling shards wait here for longer than {PATIENCE:?}. They are created as soon as this shard's leader takes them, or forgotten if he \
         does not"
    );
}

/// Creates what is wanted, if this shard may; how long to wait with what is left.
fn create_all(shard: &Shard) -> Duration {
    let names: Vec<String> = shard.siblings.wanted.borrow().keys().cloned().collect();
    for name in names {
        if shard.topics.borrow().find_applied(&name).is_some() {
            shard.siblings.has_come(&name);
            continue;
        }
        if shard.phase.get() != Phase::Serving || shard.check_office().is_err() {
            return LOOK;
        }
        let topic = shard.siblings.wanted.borrow().get(&name).map(|one| one.topic.clone());
        let topic = topic.expect("nothing was awaited since it was there");
        // It is wanted until it is committed: the office may be lost before.
        let Err(refusal) = topics::ensure(shard, topic, Completion::Silent) else { continue };
        let (shard_name, reason) = (&shard.identity.name, &refusal.remark);
        if will_pass(&refusal) {
            tracing::debug!(shard = %shard_name, topic = %name, %reason, "topic of a sibling shard not created yet");
            return RETRY;
        }
        tracing::warn!(shard = %shard_name, topic = %name, %reason, "topic of a sibling shard not created here");
        shard.siblings.has_come(&name);
    }
    LOOK
}

/// Whether what was refused may be taken a moment later. A log that has failed shows in the shard's phase.
fn will_pass(refusal: &Refusal) -> bool {
    matches!(refusal.code, ResponseCode::SystemBusy | ResponseCode::ServiceNotAvailable)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use runtime::sim::Simulation;
    use storage::AppendError;

    use super::*;

    #[test]
    fn topics_that_nobody_takes_are_forgotten_and_later_ones_are_not() {
        let simulation = Simulation::new(1);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let life = node.start("shard", || async {
            let siblings = Siblings::new(Rc::new(mailboxes(2).remove(0)));
            let want = |name: &str| {
                let (topic, since) = (TopicConfig::new(name, 1, 6), runtime::now());
                siblings.wanted.borrow_mut().insert(name.to_owned(), Wanted { topic, since });
            };
            want("old");
            runtime::sleep(FORGET).await;
            want("new");
            assert_eq!(siblings.forget(runtime::now() - FORGET), 1);
            assert!(siblings.wanted.borrow().contains_key("new"));
        });
        simulation.join(life, 2 * FORGET).expect("it ends");
    }

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
