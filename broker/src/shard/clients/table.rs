//! The table of clients: who is connected, in which groups, with which subscriptions. Plain state.
//!
//! A member of a group is a connection that has sent a heartbeat for it. What the group subscribes to is what its
//! members say together; where two of them say different things of one topic, the later version of the
//! subscription counts. (RocketMQ 5.5.0 lets the last heartbeat replace everything, so that two members that
//! disagree change the group with every heartbeat; here they do not.)

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use remoting::Language;
use remoting::body::{ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData};
use runtime::Instant;
use transport::{Connection, ConnectionId};

use super::super::subscription::Subscription;
use crate::limits::{MAX_GROUPS_A_CLIENT, MAX_MEMBERSHIPS};

/// A client program, as it presents itself.
#[derive(Clone, Debug)]
pub struct Client {
    /// The id that it chose, such as `127.0.0.1@19764#93464`.
    pub id: Rc<str>,
    /// How it is reached.
    pub connection: Connection,
    /// Its language.
    pub language: Language,
    /// The ordinal of its version.
    pub version: i32,
    /// When it last sent a heartbeat.
    pub seen: Instant,
    /// The same by the wall clock, milliseconds since 1970, for tools.
    pub seen_at: u64,
}

/// How the members of a group consume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Push, pull or POP.
    pub consume_type: ConsumeType,
    /// Whether one member gets a message, or all.
    pub message_model: MessageModel,
    /// Where the group begins in a queue that it does not know.
    pub from_where: ConsumeFromWhere,
}

/// A subscription to one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// As the client sent it, for the tools.
    pub data: SubscriptionData,
    /// As the filter of pulls.
    pub subscription: Rc<Subscription>,
}

/// What one member or a whole group subscribes to, by topic.
pub type Subscriptions = BTreeMap<String, Rc<Subscribed>>;

/// A consumer group with at least one member.
#[derive(Debug)]
pub struct ConsumerGroup {
    members: BTreeMap<ConnectionId, Member>,
    mode: Mode,
    subscriptions: Subscriptions,
}

#[derive(Debug)]
struct Member {
    client: Client,
    subscriptions: Subscriptions,
}

impl ConsumerGroup {
    /// Its members, in the order in which they connected.
    pub fn members(&self) -> impl Iterator<Item = &Client> {
        self.members.values().map(|member| &member.client)
    }

    /// The ids of its members, sorted, each once.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        let ids: BTreeSet<&str> = self.members().map(|client| &*client.id).collect();
        ids.into_iter().collect()
    }

    /// How it consumes, as the last heartbeat said.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What it subscribes to.
    #[must_use]
    pub fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// Works out what the members subscribe to together. True when the topics are other ones than before.
    fn merge(&mut self) -> bool {
        let mut merged = Subscriptions::new();
        for (topic, mine) in self.members.values().flat_map(|member| &member.subscriptions) {
            match merged.get_mut(topic) {
                Some(known) if known.data.sub_version >= mine.data.sub_version => {}
                Some(known) => *known = Rc::clone(mine),
                None => drop(merged.insert(topic.clone(), Rc::clone(mine))),
            }
        }
        let changed = !merged.keys().eq(self.subscriptions.keys());
        self.subscriptions = merged;
        changed
    }
}

/// All clients of a shard.
#[derive(Debug, Default)]
pub struct Clients {
    producers: HashMap<String, BTreeMap<ConnectionId, Client>>,
    consumers: HashMap<String, ConsumerGroup>,
    joined: HashMap<ConnectionId, Joined>,
    memberships: usize,
}

/// The groups of one connection.
#[derive(Debug, Default)]
struct Joined {
    producers: BTreeSet<String>,
    consumers: BTreeSet<String>,
}

impl Joined {
    fn len(&self) -> usize {
        self.producers.len() + self.consumers.len()
    }
}

/// Why a client does not become a member of one more group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The shard holds as many memberships as it may.
    #[error(
        "there are {MAX_MEMBERSHIPS} memberships of clients in groups already, more are not possible"
    )]
    Shard,
    /// The client is in as many groups as it may be.
    #[error(
        "the client is in {MAX_GROUPS_A_CLIENT} groups already; leave some, or use one more client"
    )]
    Client,
}

impl Clients {
    /// A heartbeat of a producer.
    ///
    /// # Errors
    /// [`Full`]; a producer that is known already is never refused.
    pub fn producer_seen(&mut self, group: &str, client: Client) -> Result<(), Full> {
        let id = client.connection.id();
        let known = self.producers.get(group).is_some_and(|members| members.contains_key(&id));
        if !known {
            self.check_room(id)?;
        }
        self.producers.entry(group.to_owned()).or_default().insert(id, client);
        if !known {
            self.memberships += 1;
            self.joined.entry(id).or_default().producers.insert(group.to_owned());
        }
        Ok(())
    }

    fn check_room(&self, id: ConnectionId) -> Result<(), Full> {
        let in_groups = self.joined.get(&id).map_or(0, Joined::len);
        if in_groups >= MAX_GROUPS_A_CLIENT {
            return Err(Full::Client);
        }
        if self.memberships >= MAX_MEMBERSHIPS {
            return Err(Full::Shard);
        }
        Ok(())
    }

    /// A heartbeat of a consumer. `subscriptions` is everything that it subscribes to in the group, or `None`
    /// when the heartbeat does not say. True when the other members should hear of it.
    ///
    /// # Errors
    /// [`Full`]; a consumer that is known already is never refused.
    pub fn consumer_seen(
        &mut self,
        group: &str,
        client: Client,
        mode: Mode,
        subscriptions: Option<Subscriptions>,
    ) -> Result<bool, Full> {
        let id = client.connection.id();
        let known = self.consumers.get(group).is_some_and(|group| group.members.contains_key(&id));
        if !known {
            self.check_room(id)?;
            self.memberships += 1;
            self.joined.entry(id).or_default().consumers.insert(group.to_owned());
        }
        let of_group = self.consumers.entry(group.to_owned()).or_insert_with(|| ConsumerGroup {
            members: BTreeMap::new(),
            mode,
            subscriptions: Subscriptions::new(),
        });
        of_group.mode = mode;
        let renamed = match of_group.members.get_mut(&id) {
            Some(member) => {
                let renamed = member.client.id != client.id;
                member.client = client;
                if let Some(subscriptions) = subscriptions {
                    replace(&mut member.subscriptions, subscriptions);
                }
                renamed
            }
            None => {
                let subscriptions = subscriptions.unwrap_or_default();
                of_group.members.insert(id, Member { client, subscriptions });
                true
            }
        };
        let changed = of_group.merge();
        Ok(renamed || changed)
    }

    /// A consumer says good-bye to a group. True when there are others to hear of it.
    pub fn consumer_left(&mut self, group: &str, id: ConnectionId) -> bool {
        let Some(of_group) = self.consumers.get_mut(group) else { return false };
        if of_group.members.remove(&id).is_none() {
            return false;
        }
        let others = !of_group.members.is_empty();
        if others {
            of_group.merge();
        } else {
            self.consumers.remove(group);
        }
        self.left(id, |joined| joined.consumers.remove(group));
        others
    }

    /// A producer says good-bye to a group.
    pub fn producer_left(&mut self, group: &str, id: ConnectionId) {
        let Some(members) = self.producers.get_mut(group) else { return };
        if members.remove(&id).is_none() {
            return;
        }
        if members.is_empty() {
            self.producers.remove(group);
        }
        self.left(id, |joined| joined.producers.remove(group));
    }

    fn left(&mut self, id: ConnectionId, leave: impl FnOnce(&mut Joined) -> bool) {
        let joined = self.joined.get_mut(&id).expect("a member's connection has joined");
        let was_in = leave(joined);
        assert!(was_in, "a member's connection knows the group");
        if joined.producers.is_empty() && joined.consumers.is_empty() {
            self.joined.remove(&id);
        }
        self.memberships -= 1;
    }

    /// The connection is gone, and with it all its memberships. The consumer groups whose other members
    /// should hear of it.
    pub fn connection_closed(&mut self, id: ConnectionId) -> Vec<String> {
        let Some(joined) = self.joined.get(&id) else { return Vec::new() };
        let (producers, consumers) = (joined.producers.clone(), joined.consumers.clone());
        for group in &producers {
            self.producer_left(group, id);
        }
        let left = consumers.into_iter().filter(|group| self.consumer_left(group, id));
        left.collect()
    }

    /// Clients whose last heartbeat is older than `expiry`, with their connections.
    #[must_use]
    pub fn expired(&self, now: Instant, expiry: Duration) -> Vec<(Rc<str>, Connection)> {
        let consumers = self.consumers.values().flat_map(ConsumerGroup::members);
        let producers = self.producers.values().flat_map(BTreeMap::values);
        let mut last: BTreeMap<ConnectionId, &Client> = BTreeMap::new();
        for client in consumers.chain(producers) {
            let latest = last.entry(client.connection.id()).or_insert(client);
            if client.seen > latest.seen {
                *latest = client;
            }
        }
        let expired = last.into_values().filter(|client| now - client.seen > expiry);
        expired.map(|client| (Rc::clone(&client.id), client.connection.clone())).collect()
    }

    /// The group, if it has members.
    #[must_use]
    pub fn consumers(&self, group: &str) -> Option<&ConsumerGroup> {
        self.consumers.get(group)
    }

    /// All consumer groups that have members, in no order.
    pub fn consumer_groups(&self) -> impl Iterator<Item = (&str, &ConsumerGroup)> {
        self.consumers.iter().map(|(name, group)| (name.as_str(), group))
    }

    /// What the group subscribes to of the topic.
    #[must_use]
    pub fn subscription(&self, group: &str, topic: &str) -> Option<&Rc<Subscription>> {
        let subscribed = self.consumers.get(group)?.subscriptions.get(topic)?;
        Some(&subscribed.subscription)
    }

    /// The members of a producer group, in the order in which they connected.
    pub fn producers(&self, group: &str) -> impl Iterator<Item = &Client> {
        self.producers.get(group).into_iter().flat_map(BTreeMap::values)
    }

    /// All producer groups that have members, in no order.
    pub fn producer_groups(&self) -> impl Iterator<Item = &str> {
        self.producers.keys().map(String::as_str)
    }

    /// Memberships of clients in groups.
    #[must_use]
    pub fn memberships(&self) -> usize {
        self.memberships
    }
}

/// Takes over what a member subscribes to now. A subscription of an older version than the known one does not
/// replace it: a heartbeat may have been overtaken.
fn replace(known: &mut Subscriptions, mut now: Subscriptions) {
    for (topic, subscription) in &mut now {
        if let Some(old) = known.get(topic)
            && old.data.sub_version > subscription.data.sub_version
        {
            *subscription = Rc::clone(old);
        }
    }
    *known = now;
}
