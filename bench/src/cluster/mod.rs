//! Where a topic is: what the NameServer and the brokers say before a run begins.

mod offsets;
mod topic;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use remoting::body::TopicRouteData;
use remoting::route::Perm;

pub use topic::Cluster;

/// The queues of a topic at one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The broker's name.
    pub broker: String,
    /// Its master's address.
    pub addr: SocketAddr,
    /// Queue numbers, ascending; not empty.
    pub queues: Vec<i32>,
}

/// A queue of one of the topics of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicQueue {
    /// Index of the topic.
    pub topic: u32,
    /// Queue number.
    pub queue: i32,
}

/// The queues of all topics of a run at one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The broker's name.
    pub broker: String,
    /// Its master's address.
    pub addr: SocketAddr,
    /// Topic by topic, queue numbers ascending; not empty.
    pub queues: Vec<TopicQueue>,
}

/// Puts together what each topic has at each broker; `topics` are in the order of their indexes.
#[must_use]
pub fn by_broker(topics: &[Vec<Target>]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for (topic, targets) in (0..).zip(topics) {
        for target in targets {
            let known = places.iter_mut().position(|place| place.addr == target.addr);
            let at = known.unwrap_or_else(|| {
                let (broker, addr) = (target.broker.clone(), target.addr);
                places.push(Place { broker, addr, queues: Vec::new() });
                places.len() - 1
            });
            let queues = target.queues.iter().map(|queue| TopicQueue { topic, queue: *queue });
            places[at].queues.extend(queues);
        }
    }
    places
}

/// Which queues of a route are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those that producers see.
    Write,
    /// Those that consumers see.
    Read,
}

impl Side {
    fn perm(self) -> Perm {
        match self {
            Side::Write => Perm::WRITE,
            Side::Read => Perm::READ,
        }
    }

    fn adjective(self) -> &'static str {
        match self {
            Side::Write => "writable",
            Side::Read => "readable",
        }
    }
}

/// A broker's master and how many queues of the topic it has: broker name → (address, queues).
type Masters = BTreeMap<String, (String, i32)>;

/// The masters of a route that have queues for this side.
fn masters(route: &TopicRouteData, side: Side) -> Masters {
    let mut masters = Masters::new();
    for queues in &route.queue_datas {
        let count = match side {
            Side::Write => queues.write_queue_nums,
            Side::Read => queues.read_queue_nums,
        };
        let broker = route.broker_datas.iter().find(|b| b.broker_name == queues.broker_name);
        let master = broker.and_then(|broker| broker.broker_addrs.get(&0));
        if let Some(addr) = master
            && count > 0
            && Perm(queues.perm).contains(side.perm())
        {
            masters.insert(queues.broker_name.clone(), (addr.clone(), count));
        }
    }
    masters
}

#[cfg(test)]
mod tests {
    use remoting::body::{BrokerData, QueueData};

    use super::*;

    #[test]
    fn queues_of_all_topics_are_gathered_by_broker() {
        let target = |port: u16, queues: i32| Target {
            broker: format!("b{port}"),
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
            queues: (0..queues).collect(),
        };
        let places = by_broker(&[vec![target(1, 2), target(2, 1)], vec![target(2, 2)]]);
        let told: Vec<_> = places
            .iter()
            .map(|place| {
                let queues: Vec<_> = place.queues.iter().map(|q| (q.topic, q.queue)).collect();
                (place.addr.port(), queues)
            })
            .collect();
        assert_eq!(told, [(1, vec![(0, 0), (0, 1)]), (2, vec![(0, 0), (1, 0), (1, 1)])]);
    }

    #[test]
    fn only_masters_with_permitted_queues_count() {
        let broker = |name: &str, id: i64| BrokerData {
            broker_addrs: [(id, format!("{name}:1"))].into(),
            broker_name: name.to_owned(),
            ..BrokerData::default()
        };
        let queues = |name: &str, perm: i32, read: i32, write: i32| QueueData {
            broker_name: name.to_owned(),
            perm,
            read_queue_nums: read,
            write_queue_nums: write,
            ..QueueData::default()
        };
        let route = TopicRouteData {
            broker_datas: vec![broker("a", 0), broker("b", 0), broker("slave", 1), broker("d", 0)],
            queue_datas: vec![
                queues("a", 6, 4, 8),
                queues("b", 4, 2, 2),
                queues("slave", 6, 4, 4),
                queues("d", 6, 1, 0),
                queues("gone", 6, 4, 4),
            ],
            ..TopicRouteData::default()
        };
        let expect = |list: &[(&str, i32)]| -> Masters {
            list.iter().map(|(n, q)| ((*n).to_owned(), (format!("{n}:1"), *q))).collect()
        };
        assert_eq!(masters(&route, Side::Write), expect(&[("a", 8)]));
        assert_eq!(masters(&route, Side::Read), expect(&[("a", 4), ("b", 2), ("d", 1)]));
    }
}
