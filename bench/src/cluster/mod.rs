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
