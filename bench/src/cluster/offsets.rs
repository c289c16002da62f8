//! Where a consumer begins in each queue.

use client::{Client, ClientError};

use crate::args::Begin;
use crate::cluster::{Cluster, Place, Target};
use crate::error::BenchError;

impl Cluster {
    /// The first offset to pull, for each queue of `target` in its order.
    ///
    /// # Errors
    /// [`BenchError::Broker`].
    pub async fn start_offsets(
        &self,
        target: &Target,
        topic: &str,
        group: &str,
        from: Begin,
    ) -> Result<Vec<i64>, BenchError> {
        let addr = target.addr.to_string();
        let mut offsets = Vec::with_capacity(target.queues.len());
        for queue in &target.queues {
            match start_offset(self.client(), &addr, topic, group, *queue, from).await {
                Ok(offset) => offsets.push(offset),
                Err(source) => {
                    let (broker, source) = (target.broker.clone(), Box::new(source));
                    return Err(BenchError::Broker { broker, addr, source });
                }
            }
        }
        Ok(offsets)
    }
}

impl Cluster {
    /// One more than the largest offset of each queue of `place`, in its order; 0 for a topic that the broker has not yet.
    ///
    /// # Errors
    /// [`BenchError::Broker`].
    pub async fn ends(&self, place: &Place, topics: &[String]) -> Result<Vec<i64>, BenchError> {
        let addr = place.addr.to_string();
        let mut ends = Vec::with_capacity(place.queues.len());
        for queue in &place.queues {
            let topic = &topics[usize::try_from(queue.topic).expect("an index")];
            match self.client().max_offset(&addr, topic, queue.queue).await {
                Ok(end) => ends.push(end),
                Err(error) if error.refused_with().is_some() => ends.push(0),
                Err(source) => {
                    let (broker, source) = (place.broker.clone(), Box::new(source));
                    return Err(BenchError::Broker { broker, addr, source });
                }
            }
        }
        Ok(ends)
    }
}

async fn start_offset(
    client: &Client,
    addr: &str,
    topic: &str,
    group: &str,
    queue: i32,
    from: Begin,
) -> Result<i64, ClientError> {
    match from {
        Begin::First => client.min_offset(addr, topic, queue).await,
        Begin::Last => client.max_offset(addr, topic, queue).await,
        Begin::Committed => match client.group_offset(addr, group, topic, queue).await? {
            Some(offset) => Ok(offset),
            None => client.min_offset(addr, topic, queue).await,
        },
    }
}
