//! The topic of a run: found, or created.

use client::{Client, ClientError, NewTopic, Options};
use remoting::ResponseCode;
use remoting::body::TopicRouteData;

use crate::cluster::{Masters, Side, Target, masters};
use crate::error::BenchError;
use crate::limits::{TOPIC_POLL, TOPIC_WAIT};

/// A cluster as its NameServers tell it.
pub struct Cluster {
    client: Client,
    namesrv: String,
}

impl Cluster {
    /// The cluster of the NameServers in a `;`-separated list. Nothing is asked yet.
    #[must_use]
    pub fn new(namesrv: &str) -> Cluster {
        Cluster { client: Client::new(Options::new(namesrv)), namesrv: namesrv.to_owned() }
    }

    /// For questions of other kinds.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The writable queues of each of `topics`. One that does not exist is created on every broker with `queues` queues;
    /// where brokers refuse that, the topic that new ones are copied from (TBW102) tells what a send will create.
    ///
    /// # Errors
    /// [`BenchError`] says what is missing.
    pub async fn for_producing(
        &self,
        topics: &[String],
        queues: u32,
    ) -> Result<Vec<Vec<Target>>, BenchError> {
        let queues = i32::try_from(queues).expect("the flag's range is small");
        let mut brokers = None;
        let mut found: Vec<Option<Masters>> = Vec::with_capacity(topics.len());
        for topic in topics {
            if let Some(route) = self.route(topic).await? {
                found.push(Some(masters(&route, Side::Write)));
                continue;
            }
            if brokers.is_none() {
                brokers = Some(self.brokers().await?);
            }
            let brokers = brokers.as_deref().expect("asked for above");
            match self.create(topic, queues, brokers).await {
                Ok(()) => found.push(None),
                Err(refused @ BenchError::TopicRefused { .. }) => {
                    found.push(Some(self.on_demand(queues).await?.ok_or(refused)?));
                }
                Err(error) => return Err(error),
            }
        }
        let mut all = Vec::with_capacity(topics.len());
        for (topic, masters) in topics.iter().zip(found) {
            let masters = match masters {
                Some(masters) => masters,
                None => self.appearing(topic, brokers.as_ref().map_or(0, Vec::len)).await?,
            };
            all.push(self.targets(topic, masters, Side::Write).await?);
        }
        Ok(all)
    }

    /// The readable queues of `topic`.
    ///
    /// # Errors
    /// [`BenchError`] says what is missing.
    pub async fn for_consuming(&self, topic: &str) -> Result<Vec<Target>, BenchError> {
        let route = self.route(topic).await?;
        let route = route.ok_or_else(|| BenchError::NoTopic { topic: topic.to_owned() })?;
        self.targets(topic, masters(&route, Side::Read), Side::Read).await
    }

    /// Whether the NameServer knows the topic.
    ///
    /// # Errors
    /// [`BenchError::NameServer`].
    pub async fn has(&self, topic: &str) -> Result<bool, BenchError> {
        Ok(self.route(topic).await?.is_some())
    }

    fn failed(&self, source: ClientError) -> BenchError {
        BenchError::NameServer { namesrv: self.namesrv.clone(), source: source.into() }
    }

    async fn route(&self, topic: &str) -> Result<Option<TopicRouteData>, BenchError> {
        match self.client.route(topic).await {
            Ok(route) => Ok(Some(route)),
            Err(error) if error.refused_with() == Some(ResponseCode::TopicNotExist.code()) => {
                Ok(None)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Name and address of each broker's master.
    async fn brokers(&self) -> Result<Vec<(String, String)>, BenchError> {
        let info = self.client.cluster_info().await.map_err(|error| self.failed(error))?;
        let masters: Vec<_> = info
            .broker_addr_table
            .into_iter()
            .filter_map(|(name, broker)| Some((name, broker.broker_addrs.get(&0)?.clone())))
            .collect();
        if masters.is_empty() {
            return Err(BenchError::NoBroker { namesrv: self.namesrv.clone() });
        }
        Ok(masters)
    }

    /// Creates the topic everywhere.
    async fn create(
        &self,
        topic: &str,
        queues: i32,
        brokers: &[(String, String)],
    ) -> Result<(), BenchError> {
        for (broker, addr) in brokers {
            let created = self.client.create_topic(addr, &NewTopic::new(topic, queues)).await;
            let Err(source) = created else { continue };
            let (broker, addr, topic) = (broker.clone(), addr.clone(), topic.to_owned());
            let (refused, source) = (source.refused_with(), Box::new(source));
            return Err(match refused {
                Some(_) => BenchError::TopicRefused { topic, broker, source },
                None => BenchError::Broker { broker, addr, source },
            });
        }
        Ok(())
    }

    /// Waits until the NameServer tells all of a topic that was created on so many brokers.
    async fn appearing(&self, topic: &str, brokers: usize) -> Result<Masters, BenchError> {
        let deadline = runtime::now() + TOPIC_WAIT;
        loop {
            let route = self.route(topic).await?;
            let late = runtime::now() >= deadline;
            match route.map(|route| masters(&route, Side::Write)) {
                Some(masters) if late || masters.len() >= brokers => return Ok(masters),
                None if late => {
                    let (topic, namesrv) = (topic.to_owned(), self.namesrv.clone());
                    return Err(BenchError::NoRouteYet { topic, namesrv });
                }
                _ => runtime::sleep(TOPIC_POLL).await,
            }
        }
    }

    /// What the first send will create, by the template's route; `None` if there is no template.
    async fn on_demand(&self, queues: i32) -> Result<Option<Masters>, BenchError> {
        let Some(route) = self.route(model::topic::AUTO_CREATE).await? else {
            return Ok(None);
        };
        let mut masters = masters(&route, Side::Write);
        for (_, count) in masters.values_mut() {
            *count = queues.min(*count);
        }
        Ok(Some(masters))
    }

    /// Looks up the addresses, and sees that every broker can be reached.
    async fn targets(
        &self,
        topic: &str,
        masters: Masters,
        side: Side,
    ) -> Result<Vec<Target>, BenchError> {
        let mut targets = Vec::new();
        for (broker, (addr, count)) in masters {
            match self.client.connection(&addr).await {
                Ok(connection) => {
                    let queues = (0..count).collect();
                    targets.push(Target { broker, addr: connection.peer(), queues });
                }
                Err(source) => {
                    let source = Box::new(source);
                    return Err(BenchError::Broker { broker, addr, source });
                }
            }
        }
        if targets.is_empty() {
            return Err(BenchError::NoQueue { topic: topic.to_owned(), what: side.adjective() });
        }
        Ok(targets)
    }
}
