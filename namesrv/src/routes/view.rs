//! What is asked of the table.

use std::collections::{BTreeMap, BTreeSet};

use remoting::route::Perm;

use super::{Queues, Routes};

/// A broker name and its processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerView {
    /// The name.
    pub name: String,
    /// The cluster.
    pub cluster: String,
    /// Address by broker id, 0 is the master.
    pub addrs: BTreeMap<i64, String>,
    /// Whether a slave may stand in for the master.
    pub acting_master: bool,
}

/// Where the queues of a topic are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteView {
    /// The brokers, by name.
    pub brokers: Vec<BrokerView>,
    /// Their queues, in the same order.
    pub queues: Vec<(String, Queues)>,
}

impl Routes {
    /// Where a topic is; `None` if no live broker has it.
    pub fn route(&self, topic: &str) -> Option<RouteView> {
        let on = self.topics.brokers(topic)?;
        let mut route = RouteView { brokers: Vec::new(), queues: Vec::new() };
        for (name, queues) in on {
            route.queues.push((name.clone(), *queues));
            route.brokers.extend(self.broker(name));
        }
        if self.rules.acting_master {
            let RouteView { brokers, queues } = &mut route;
            for broker in brokers {
                let writable =
                    queues.iter().any(|(n, q)| *n == broker.name && q.perm.contains(Perm::WRITE));
                stand_in(broker, writable);
            }
        }
        (!route.brokers.is_empty()).then_some(route)
    }

    /// One broker name with its processes.
    pub fn broker(&self, name: &str) -> Option<BrokerView> {
        let replicas = self.brokers.get(name)?;
        Some(BrokerView {
            name: name.to_owned(),
            cluster: replicas.cluster.clone(),
            addrs: replicas.addrs.clone(),
            acting_master: replicas.acting_master,
        })
    }

    /// All broker names with their processes.
    pub fn brokers(&self) -> impl Iterator<Item = BrokerView> {
        self.brokers.keys().filter_map(|name| self.broker(name))
    }

    /// Broker names by cluster.
    pub fn clusters(&self) -> &BTreeMap<String, BTreeSet<String>> {
        &self.clusters
    }

    /// All topics, sorted.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.names()
    }

    /// The topics of a cluster, sorted.
    pub fn topics_of_cluster(&self, cluster: &str) -> BTreeSet<&str> {
        let names = self.clusters.get(cluster).into_iter().flatten();
        names.flat_map(|name| self.topics.of_broker(name)).collect()
    }

    /// Names that are topics by themselves: clusters and their brokers; and the address of some broker.
    pub fn system_topics(&self) -> (Vec<&str>, Option<&str>) {
        let mut names = Vec::new();
        for (cluster, brokers) in &self.clusters {
            names.push(cluster.as_str());
            names.extend(brokers.iter().map(String::as_str));
        }
        let addr = self.brokers.values().find_map(|replicas| replicas.addrs.values().next());
        (names, addr.map(String::as_str))
    }

    /// Forgets a topic, in one cluster or everywhere, until a broker names it again. Whether it was there.
    pub fn drop_topic(&mut self, topic: &str, cluster: Option<&str>) -> bool {
        let Routes { clusters, topics, .. } = self;
        match cluster {
            None => topics.remove(topic, |_| true),
            Some(cluster) => match clusters.get(cluster) {
                Some(names) => topics.remove(topic, |broker| names.contains(broker)),
                None => false,
            },
        }
    }
}

/// Shows the smallest slave as master, if there is none and the broker allows it.
fn stand_in(broker: &mut BrokerView, writable: bool) {
    if !broker.acting_master || writable || broker.addrs.contains_key(&0) {
        return;
    }
    if let Some((_, addr)) = broker.addrs.pop_first() {
        broker.addrs.insert(0, addr);
    }
}
