//! What all clients have in common: they know NameServers, keep the routes of topics, and ask brokers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use client::{Client, ClientError, Options, Pull, PullStatus, Pulled};
use remoting::ResponseCode;
use remoting::body::TopicRouteData;
use runtime::{Instant, random_below};

use super::records;
use crate::content::{Queue, TOPICS, shard_of};
use crate::witness::{Got, Witness};

/// How long routes are taken for right. Stock clients take them for that 30 seconds.
const POLL: Duration = Duration::from_secs(1);
/// Time for an answer, with a connection.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The topic whose brokers are asked to make others.
const TEMPLATE: &str = "TBW102";
/// Queues that a topic gets which is made by a send.
const QUEUES: u64 = 4;
/// Messages that are asked for at a time.
const BATCH: i32 = 32;
pub const GROUP: &str = "G";

pub struct Stock {
    pub client: Client,
    pub witness: Witness,
    routes: RefCell<BTreeMap<&'static str, (Instant, Rc<TopicRouteData>)>>,
}

/// A queue, and the brokers that have it.
pub struct Found {
    pub queue: Queue,
    pub broker_name: String,
    pub master: Option<String>,
    pub all: Vec<String>,
}

impl Found {
    /// The master as stock clients know it; sometimes another one, as after a change that a client has not heard of.
    pub fn somebody(&self) -> Option<&String> {
        match random_below(5) {
            0 => Some(self.anybody()),
            _ => self.master.as_ref(),
        }
    }

    /// Any of them.
    pub fn anybody(&self) -> &String {
        &self.all[random_below(self.all.len() as u64) as usize]
    }
}

impl Stock {
    pub fn new(names: &str, witness: &Witness) -> Self {
        let options = Options { timeout: Duration::from_secs(3), ..Options::new(names) };
        Self { client: Client::new(options), witness: witness.clone(), routes: RefCell::default() }
    }

    /// What becomes of it within [`PATIENCE`].
    pub async fn bounded<T>(
        &self,
        asked: impl Future<Output = Result<T, ClientError>>,
    ) -> Option<Result<T, ClientError>> {
        runtime::timeout(PATIENCE, asked).await.ok()
    }

    /// The route of a topic, an old one if no NameServer answers.
    async fn route(&self, topic: &'static str) -> Option<Rc<TopicRouteData>> {
        let known = self.routes.borrow().get(topic).cloned();
        if let Some((since, route)) = &known
            && since.elapsed() < POLL
        {
            return Some(Rc::clone(route));
        }
        match self.bounded(self.client.route(topic)).await {
            Some(Ok(route)) => {
                let route = Rc::new(route);
                self.routes.borrow_mut().insert(topic, (runtime::now(), Rc::clone(&route)));
                Some(route)
            }
            Some(Err(ClientError::Refused { code, .. }))
                if code == ResponseCode::TopicNotExist.code() =>
            {
                None
            }
            _ => known.map(|(_, route)| route),
        }
    }

    /// Some queue of some topic; of one that nobody has heard of, if `makes`.
    pub async fn find(&self, makes: bool) -> Option<Found> {
        let topic = TOPICS[random_below(TOPICS.len() as u64) as usize];
        let known = self.route(topic).await;
        let route = match known {
            Some(route) => route,
            None if makes => self.route(TEMPLATE).await?,
            None => return None,
        };
        if route.broker_datas.is_empty() {
            return None;
        }
        let broker = &route.broker_datas[random_below(route.broker_datas.len() as u64) as usize];
        let shard = shard_of(&broker.broker_name);
        let id = random_below(QUEUES) as i32;
        let all: Vec<String> = broker.broker_addrs.values().cloned().collect();
        (!all.is_empty()).then(|| Found {
            queue: Queue { shard, topic, id },
            broker_name: broker.broker_name.clone(),
            master: broker.broker_addrs.get(&0).cloned(),
            all,
        })
    }

    /// The master of a queue's broker, as far as that is known.
    pub async fn master_of(&self, queue: Queue) -> Option<String> {
        for topic in [queue.topic, TEMPLATE] {
            let route = self.route(topic).await;
            let brokers = route.iter().flat_map(|route| &route.broker_datas);
            let broker = brokers.clone().find(|one| shard_of(&one.broker_name) == queue.shard);
            if let Some(broker) = broker {
                return broker.broker_addrs.get(&0).cloned();
            }
        }
        None
    }

    /// Reads from a queue, and checks what comes; where to go on, which is where it was asked if there was nothing.
    pub async fn pull(&self, addr: &str, queue: Queue, from: u64) -> Option<(u64, Vec<Got>)> {
        let pull = Pull {
            group: GROUP,
            topic: queue.topic,
            queue: queue.id,
            offset: from.cast_signed(),
            max: BATCH,
            tags: Some("*"),
            hold: None,
            commit: None,
        };
        let Pulled { status, reply, records: bytes } =
            self.bounded(self.client.pull(addr, &pull)).await?.ok()?;
        let next = reply.next_begin_offset.cast_unsigned();
        if status != PullStatus::Found {
            // What it asked for is, or was, the end as somebody knew it: a consumer must not go anywhere else.
            assert_eq!(
                next, from,
                "{addr} sends a consumer of {queue:?} on: {status:?}, {reply:?}"
            );
            return Some((next, Vec::new()));
        }
        let got = records(&bytes);
        let mut seen = self.witness.seen();
        for (due, one) in (from..).zip(&got) {
            assert_eq!(one.offset, due, "{queue:?} has a gap at {addr}");
            seen.got(queue, one);
        }
        assert_eq!(next, from + got.len() as u64, "{addr} sends a consumer of {queue:?} on");
        Some((next, got))
    }

    /// Where the group has come to in a queue; `None` if nobody says.
    pub async fn offset(&self, addr: &str, queue: Queue) -> Option<u64> {
        let (since, is_unset) = {
            let mut seen = self.witness.seen();
            let offset = seen.offsets.of(queue);
            (offset.since(), offset.is_unset())
        };
        let told = self.client.group_offset(addr, GROUP, queue.topic, queue.id);
        let told = match self.bounded(told).await? {
            Ok(told) => told,
            Err(error) => {
                // Clients of 4.9.8 take any refusal for "no offset".
                let refused = error.refused_with();
                let unknown =
                    [ResponseCode::TopicNotExist, ResponseCode::SubscriptionGroupNotExist];
                let unknown = unknown.map(|code| Some(code.code())).contains(&refused);
                assert!(
                    refused.is_none() || (unknown && is_unset),
                    "a question for the offset of {queue:?} is refused: {error}"
                );
                return None;
            }
        };
        self.witness.seen().offsets.is_told(queue, told, since);
        Some(told.map_or(0, i64::cast_unsigned))
    }
}

/// Up to so many milliseconds.
pub async fn pause(millis: u64) {
    runtime::sleep(Duration::from_micros(random_below(1_000 * millis))).await;
}
