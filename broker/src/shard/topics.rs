//! The topics of a shard: what the log says there is, and what has been appended to it.
//!
//! Two views. *Applied* is what is committed: consumers, tools and NameServers see it. *Appended* is
//! ahead of it by what is still under way: a send is checked against it, so that it can follow the
//! creation of its topic in the same batch without waiting. In a single replica nothing that was
//! appended is ever undone, short of the failure of the log, after which nothing is appended any more. In a group what a
//! leader has appended is forgotten when it leads no more: what of it is committed all the same comes back from the log.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::rc::Rc;

use bytes::Bytes;
use model::UnixMillis;
use remoting::header::DecodeExt;
use remoting::header::topic::{CreateTopicHeader, TopicHeader};
use remoting::{CommandRef, ResponseCode};
use transport::Connection;

use super::apply::Source;
use super::commands::TopicConfig;
use super::completions::{Afterwards, Completion};
use super::refusals::{check_phase, code_of};
use super::reply::{Caller, Refusal};
use super::topic_rules;
use super::{Shard, register, siblings};
use crate::limits::{MAX_QUEUES_TOTAL, MAX_TOPICS};

/// Which state of the table this is, for NameServers and slaves (RocketMQ 5.5.0, class DataVersion).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// When it last changed, milliseconds since 1970.
    pub timestamp: u64,
    /// How often it has changed.
    pub counter: u64,
}

/// A topic in one of the views.
#[derive(Clone, Debug)]
struct Known {
    topic: Rc<TopicConfig>,
    /// The most queues that it ever had; a topic that is made smaller keeps them in the index.
    most_queues: u32,
}

type Table = HashMap<Rc<str>, Known>;

/// Puts the topic into a view. Queues that it has now and had not before.
fn put_into(table: &mut Table, topic: Rc<TopicConfig>) -> u32 {
    let before = table.get(topic.name.as_str()).map_or(0, |before| before.most_queues);
    let most_queues = before.max(topic.queues());
    table.insert(Rc::from(topic.name.as_str()), Known { topic, most_queues });
    most_queues - before
}

/// The table of topics, in both views.
#[derive(Debug, Default)]
pub struct Topics {
    appended: Table,
    applied: Table,
    /// The names of the applied view in their order: whoever walks it may stop in between.
    names: BTreeSet<Rc<str>>,
    /// Queues of all topics of the appended view.
    queues: u64,
    version: Version,
}

impl Topics {
    /// The topic as sends see it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Rc<TopicConfig>> {
        self.appended.get(name).map(|found| &found.topic)
    }

    /// The topic as consumers and tools see it.
    #[must_use]
    pub fn find_applied(&self, name: &str) -> Option<&Rc<TopicConfig>> {
        self.applied.get(name).map(|found| &found.topic)
    }

    /// All topics as consumers and tools see them, in no order.
    pub fn applied(&self) -> impl Iterator<Item = &Rc<TopicConfig>> {
        self.applied.values().map(|known| &known.topic)
    }

    /// The same in the order of their names, from the first one behind `last` on.
    pub fn applied_after(&self, last: Option<&str>) -> impl Iterator<Item = &Rc<TopicConfig>> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let names = self.names.range::<str, _>((from, Bound::Unbounded));
        names.map(|name| &self.applied.get(name).expect("it has every name's topic").topic)
    }

    /// How many there are.
    #[must_use]
    pub fn applied_len(&self) -> usize {
        assert_eq!(self.names.len(), self.applied.len(), "each topic has one name");
        self.applied.len()
    }

    /// The same, each with the most queues that it ever had.
    pub fn applied_with_queues(&self) -> impl Iterator<Item = (&Rc<TopicConfig>, u32)> {
        self.applied.values().map(|known| (&known.topic, known.most_queues))
    }

    /// Both views as they were at a checkpoint: topics, each with the most queues that it ever had.
    #[must_use]
    pub fn restored(topics: impl Iterator<Item = (TopicConfig, u32)>, version: Version) -> Self {
        let known = |(topic, most_queues): (TopicConfig, u32)| {
            let name = Rc::<str>::from(topic.name.as_str());
            let most_queues = most_queues.max(topic.queues());
            (name, Known { topic: Rc::new(topic), most_queues })
        };
        let applied: Table = topics.map(known).collect();
        let queues = applied.values().map(|known| u64::from(known.most_queues)).sum();
        let names = applied.keys().map(Rc::clone).collect();
        Self { appended: applied.clone(), applied, names, queues, version }
    }

    /// Which state of the applied table this is.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Topics there are, with those under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.appended.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.appended.is_empty()
    }

    /// Whether there is room for the creation or change of `topic`. What needs nothing more always has room.
    fn check_room(&self, topic: &TopicConfig) -> Result<(), Refusal> {
        let before = self.appended.get(topic.name.as_str());
        let full = |remark| Err(Refusal::new(ResponseCode::SystemError, remark));
        if before.is_none() && self.len() >= MAX_TOPICS {
            return full(format!("there are {MAX_TOPICS} topics already, more are not possible"));
        }
        let more = topic.queues().saturating_sub(before.map_or(0, |before| before.most_queues));
        if more > 0 && self.queues + u64::from(more) > MAX_QUEUES_TOTAL {
            return full(format!(
                "the topics of this broker have {} queues together, topic {} needs {more} more, the limit is \
                 {MAX_QUEUES_TOTAL}; delete topics, or create it with fewer queues or on another broker",
                self.queues, topic.name
            ));
        }
        Ok(())
    }

    fn append(&mut self, topic: Rc<TopicConfig>) {
        self.queues += u64::from(put_into(&mut self.appended, topic));
    }

    fn append_delete(&mut self, name: &str) {
        let Some(gone) = self.appended.remove(name) else { return };
        let rest = self.queues.checked_sub(u64::from(gone.most_queues));
        self.queues = rest.expect("the sum holds every topic's queues");
    }

    /// Forgets what is under way: nobody here appends any more, or not yet.
    pub fn forget_appended(&mut self) {
        self.appended = self.applied.clone();
        self.queues = self.applied.values().map(|known| u64::from(known.most_queues)).sum();
    }

    /// A committed creation or change; `now` in milliseconds since 1970. One that was not appended here since the start was
    /// never in the appended view: it is `foreign`.
    pub fn apply(&mut self, topic: TopicConfig, foreign: bool, now: u64) {
        let topic = Rc::new(topic);
        if foreign {
            self.append(Rc::clone(&topic));
        }
        self.names.insert(Rc::from(topic.name.as_str()));
        put_into(&mut self.applied, topic);
        self.changed(now);
    }

    /// A committed deletion.
    pub fn apply_delete(&mut self, name: &str, foreign: bool, now: u64) {
        if foreign {
            self.append_delete(name);
        }
        self.applied.remove(name);
        self.names.remove(name);
        self.changed(now);
    }

    /// What is told of the table has changed; `now` in milliseconds since 1970.
    pub(super) fn changed(&mut self, now: u64) {
        self.version.timestamp = now;
        self.version.counter += 1;
    }
}

/// Appends the creation or change of a topic.
///
/// # Errors
/// The log takes nothing at the moment, or there are too many topics or queues.
pub fn put(
    shard: &Shard,
    topic: TopicConfig,
    then: Completion,
) -> Result<Rc<TopicConfig>, Refusal> {
    shard.check_append()?;
    let mut topics = shard.topics.borrow_mut();
    topics.check_room(&topic)?;
    if matches!(then, Completion::Announce(_)) {
        siblings::announce_in_log(shard, &topic)?;
    }
    shard.store.append_create_topic(&topic.name, topic.queues(), &topic.to_bytes())?;
    let for_someone = !matches!(then, Completion::Silent);
    shard.completions.borrow_mut().push(then);
    let topic = Rc::new(topic);
    topics.append(Rc::clone(&topic));
    let (read_queues, write_queues) = (topic.read_queues, topic.write_queues);
    let (shard, perm) = (&shard.identity.name, topic.perm);
    let what = "topic created or changed";
    if for_someone {
        tracing::info!(%shard, topic = %topic.name, read_queues, write_queues, perm, "{what}");
    } else {
        tracing::debug!(%shard, topic = %topic.name, read_queues, write_queues, perm, "{what}");
    }
    Ok(topic)
}

/// Creates the topic unless it is there.
///
/// # Errors
/// As [`put`].
pub fn ensure(shard: &Shard, topic: TopicConfig, then: Completion) -> Result<(), Refusal> {
    if shard.topics.borrow().find(&topic.name).is_some() {
        return Ok(());
    }
    put(shard, topic, then).map(drop)
}

/// The topic that a send names; created if it is unknown and may be. The creation goes to the log
/// before the message, in the same batch if there is room.
///
/// # Errors
/// Code 17 when it is not there and may not be created.
pub fn find_or_create(
    shard: &Shard,
    name: &str,
    template: &str,
    wanted_queues: i32,
) -> Result<Rc<TopicConfig>, Refusal> {
    let made = {
        let topics = shard.topics.borrow();
        if let Some(topic) = topics.find(name) {
            return Ok(Rc::clone(topic));
        }
        let auto_create = shard.config.auto_create_topics;
        topics
            .find(template)
            .and_then(|template| {
                topic_rules::from_template(name, template, wanted_queues, auto_create)
            })
            .or_else(|| {
                let retry = name.starts_with(model::topic::RETRY_PREFIX);
                retry.then(|| topic_rules::retry_topic(name, 1))
            })
    };
    let made = made.ok_or_else(|| super::refusals::no_topic(name))?;
    let announced = Completion::Announce(Rc::new(made.clone()));
    put(shard, made, announced)
}

/// UPDATE_AND_CREATE_TOPIC (17). Answered when the change is committed.
pub fn create(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    if let Err(refusal) = try_create(shard, &caller, request) {
        refusal.send(&caller);
    }
}

fn try_create(shard: &Rc<Shard>, caller: &Caller, request: &CommandRef<'_>) -> Result<(), Refusal> {
    let header = CreateTopicHeader::decode(code_of(request), &request.ext)?;
    check_phase(shard)?;
    let before = shard.topics.borrow().find(header.topic).cloned();
    let identity = &shard.identity;
    let topic =
        topic_rules::requested(&header, before.as_deref(), &identity.cluster, &identity.name)
            .map_err(|error| Refusal::parameter(error.to_string()))?;
    if before.as_deref() == Some(&topic) {
        shard.afterwards(Afterwards::Answer(caller.clone()));
        return Ok(());
    }
    put(shard, topic, Completion::Answer(caller.clone())).map(drop)
}

/// DELETE_TOPIC_IN_BROKER (215). The topic's messages and consumer offsets go with it; one of the same
/// name that is created later starts clean. Answered when the deletion is committed; deleting what is not
/// there succeeds, as with RocketMQ.
pub fn delete(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    if let Err(refusal) = try_delete(shard, &caller, request) {
        refusal.send(&caller);
    }
}

fn try_delete(shard: &Rc<Shard>, caller: &Caller, request: &CommandRef<'_>) -> Result<(), Refusal> {
    let header = TopicHeader::decode(code_of(request), &request.ext)?;
    check_phase(shard)?;
    let name = header.topic.trim();
    if name.is_empty() {
        return Err(Refusal::parameter("The specified topic is blank."));
    }
    if topic_rules::is_system(name, &shard.identity.cluster, &shard.identity.name) {
        let error = topic_rules::TopicError::System(name.to_owned());
        return Err(Refusal::parameter(error.to_string()));
    }
    if shard.topics.borrow().find(name).is_none() {
        shard.afterwards(Afterwards::Answer(caller.clone()));
        return Ok(());
    }
    shard.store.append_delete_topic(name)?;
    shard.completions.borrow_mut().push(Completion::Answer(caller.clone()));
    shard.topics.borrow_mut().append_delete(name);
    tracing::info!(shard = %shard.identity.name, topic = name, "topic deleted");
    Ok(())
}

/// A committed creation or change of a topic.
///
/// # Errors
/// The payload was written by another version.
pub fn applied(
    shard: &Rc<Shard>,
    payload: &[u8],
    (source, when): (Source, UnixMillis),
) -> Result<(), super::commands::CommandError> {
    let topic = TopicConfig::from_bytes(payload)?;
    let name = topic.name.clone();
    shard.topics.borrow_mut().apply(topic, source.is_foreign(), when.0);
    shard.siblings.has_come(&name);
    if source.is_news() {
        register::topic_changed(shard, &name);
    }
    Ok(())
}

/// A committed deletion of a topic.
pub fn applied_delete(shard: &Rc<Shard>, name: &str, (source, when): (Source, UnixMillis)) {
    shard.topics.borrow_mut().apply_delete(name, source.is_foreign(), when.0);
    shard.offsets.borrow_mut().topic_deleted(name);
    if source.is_news() {
        super::long_poll::topic_gone(shard, name);
        register::topic_changed(shard, name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(queues: u32) -> TopicConfig {
        TopicConfig::new("T", queues, 6)
    }

    #[test]
    fn sends_see_what_is_under_way_and_others_do_not() {
        let mut topics = Topics::default();
        topics.append(Rc::new(topic(4)));
        assert!(topics.find("T").is_some() && topics.find_applied("T").is_none());
        topics.apply(topic(4), false, 10);
        assert_eq!(topics.find_applied("T").map(|topic| topic.write_queues), Some(4));
        assert_eq!(topics.version(), Version { timestamp: 10, counter: 1 });
        topics.append_delete("T");
        assert!(topics.find("T").is_none() && topics.find_applied("T").is_some());
        topics.append(Rc::new(topic(2)));
        topics.apply_delete("T", false, 11);
        assert!(topics.find("T").is_some(), "it was created again after the deletion");
        assert!(topics.find_applied("T").is_none());
    }

    #[test]
    fn the_applied_view_has_an_order() {
        let mut topics = Topics::restored([(topic(1), 1)].into_iter(), Version::default());
        for name in ["b", "a", "c", "a"] {
            topics.apply(TopicConfig::new(name, 1, 6), true, 1);
        }
        let after = |topics: &Topics, last| -> Vec<String> {
            topics.applied_after(last).map(|topic| topic.name.clone()).collect()
        };
        assert_eq!(after(&topics, None), ["T", "a", "b", "c"]);
        assert_eq!(after(&topics, Some("a")), ["b", "c"]);
        topics.apply_delete("b", true, 2);
        assert_eq!(after(&topics, Some("aa")), ["c"]);
        assert_eq!(after(&topics, Some("c")), Vec::<String>::new());
        assert_eq!(topics.applied_len(), 3);
    }

    #[test]
    fn the_log_of_the_last_run_fills_both_views() {
        let mut topics = Topics::default();
        topics.apply(topic(4), true, 1);
        assert!(topics.find("T").is_some() && topics.find_applied("T").is_some());
        topics.apply_delete("T", true, 2);
        assert!(topics.is_empty() && topics.applied().next().is_none());
    }

    #[test]
    fn the_queues_of_all_topics_are_limited() {
        let named = |name: &str, queues| TopicConfig::new(name, queues, 6);
        let mut topics = Topics::default();
        topics.append(Rc::new(named("Big", 600_000)));
        topics.append(Rc::new(named("Small", 100)));
        assert_eq!(topics.check_room(&named("Fits", 399_900)), Ok(()));
        let refusal = topics.check_room(&named("Over", 399_901)).expect_err("there is no room");
        assert_eq!(refusal.code, ResponseCode::SystemError);
        for part in ["600100 queues", "needs 399901 more", "the limit is 1000000"] {
            assert!(refusal.remark.contains(part), "{}", refusal.remark);
        }
        // The queues that a topic once had count on, and it may have them again.
        topics.append(Rc::new(named("Big", 1)));
        assert!(topics.check_room(&named("Over", 399_901)).is_err());
        assert_eq!(topics.check_room(&named("Big", 600_000)), Ok(()));
        topics.append(Rc::new(named("Rest", 399_900)));
        assert_eq!(topics.check_room(&named("Small", 50)), Ok(()), "it needs nothing more");
        assert!(topics.check_room(&named("Small", 101)).is_err());
        topics.append_delete("Big");
        topics.append_delete("Big");
        assert_eq!(topics.queues, 400_000);
        assert_eq!(topics.check_room(&named("Over", 399_901)), Ok(()));
    }

    #[test]
    fn replayed_topics_count_like_others() {
        let mut topics = Topics::default();
        topics.apply(topic(8), true, 1);
        topics.apply(topic(4), true, 2);
        assert_eq!(topics.queues, 8);
        topics.apply_delete("T", true, 3);
        assert_eq!(topics.queues, 0);
    }
}
