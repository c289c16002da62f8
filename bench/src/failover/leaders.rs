//! Who leads each group, by the route: the broker with id 0.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use client::{Client, ClientError, Options};
use remoting::ResponseCode;
use remoting::body::TopicRouteData;
use runtime::Task;
use runtime::channel::Notify;
use transport::Limits;

use crate::limits::{ROUTE_ANSWER, ROUTE_EVERY, ROUTE_GAP};

/// What a route says of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Address of the broker with id 0, if there is one.
    pub leader: Option<String>,
    /// How many brokers of it are registered.
    pub members: usize,
}

/// What a route says of each group, by broker name.
#[must_use]
pub fn standings(route: &TopicRouteData) -> BTreeMap<String, Standing> {
    let brokers = route.broker_datas.iter().map(|broker| {
        let leader = broker.broker_addrs.get(&0).cloned();
        (broker.broker_name.clone(), Standing { leader, members: broker.broker_addrs.len() })
    });
    brokers.collect()
}

/// The newest route of a topic. A clone is the same.
#[derive(Clone)]
pub struct Leaders {
    inner: Rc<Inner>,
}

struct Inner {
    client: Client,
    topic: String,
    standings: RefCell<BTreeMap<String, Standing>>,
    look: Notify,
    unanswered: Cell<u64>,
}

impl Leaders {
    /// For a topic at the NameServers of a `;`-separated list. Knows nobody before [`Leaders::follow`].
    #[must_use]
    pub fn new(namesrv: &str, topic: &str) -> Leaders {
        let limits = Limits { connect: ROUTE_ANSWER, ..Limits::default() };
        let client =
            Client::new(Options { timeout: ROUTE_ANSWER, limits, ..Options::new(namesrv) });
        let inner = Inner {
            client,
            topic: topic.to_owned(),
            standings: RefCell::default(),
            look: Notify::new(),
            unanswered: Cell::new(0),
        };
        Leaders { inner: Rc::new(inner) }
    }

    /// Reads the route every [`ROUTE_EVERY`], and whenever it is asked to, until the task is dropped.
    pub fn follow(&self) -> Task<()> {
        let leaders = self.clone();
        runtime::spawn(async move {
            loop {
                leaders.read().await;
                runtime::sleep(ROUTE_GAP).await;
                let early = leaders.inner.look.notified();
                let (Ok(()) | Err(_)) = runtime::timeout(ROUTE_EVERY, early).await;
            }
        })
    }

    /// Reads the route once.
    pub async fn read(&self) {
        let Inner { client, topic, standings: known, unanswered, .. } = &*self.inner;
        match client.route(topic).await {
            Ok(route) => *known.borrow_mut() = standings(&route),
            // No broker has registered it: clients keep the route that they have, but nobody leads.
            Err(error) if is_no_route(&error) => known.borrow_mut().clear(),
            Err(_) => unanswered.set(unanswered.get() + 1),
        }
    }

    /// Reads the route now: somebody met an error.
    pub fn look(&self) {
        self.inner.look.notify_one();
    }

    /// Address of the leader of a group.
    #[must_use]
    pub fn leader(&self, group: &str) -> Option<String> {
        self.inner.standings.borrow().get(group)?.leader.clone()
    }

    /// How many brokers of a group are registered.
    #[must_use]
    pub fn members(&self, group: &str) -> usize {
        self.inner.standings.borrow().get(group).map_or(0, |standing| standing.members)
    }

    /// How often no NameServer answered.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.inner.unanswered.get()
    }
}

fn is_no_route(error: &ClientError) -> bool {
    error.refused_with() == Some(ResponseCode::TopicNotExist.code())
}

#[cfg(test)]
mod tests {
    use remoting::body::BrokerData;

    use super::*;

    #[test]
    fn the_broker_with_id_0_leads() {
        let broker = |name: &str, addrs: &[(i64, &str)]| BrokerData {
            broker_addrs: addrs.iter().map(|(id, addr)| (*id, (*addr).to_owned())).collect(),
            broker_name: name.to_owned(),
            ..BrokerData::default()
        };
        let brokers = vec![
            broker("a", &[(0, "h:1"), (2, "h:2"), (3, "h:3")]),
            broker("b", &[(1, "h:4"), (2, "h:5")]),
        ];
        let route = TopicRouteData { broker_datas: brokers, ..TopicRouteData::default() };
        let known = standings(&route);
        assert_eq!(known["a"], Standing { leader: Some("h:1".to_owned()), members: 3 });
        assert_eq!(known["b"], Standing { leader: None, members: 2 });
    }
}
