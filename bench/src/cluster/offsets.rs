//! Where a consumer begins in each queue.

use client::{Client, ClientError};

use crate::args::Begin;
use crate::cluster::{Cluster, Target};
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
