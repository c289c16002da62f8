//! Membership of groups.

use remoting::RequestCode;
use remoting::body::{Body, ConsumerIds, HeartbeatData};
use remoting::header::client::{ConsumerGroupHeader, UnregisterClientHeader};

use crate::client::{Client, body};
use crate::error::ClientError;

impl Client {
    /// Says who the client is and which groups it belongs to. The broker forgets it after 120 seconds, or when the connection closes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn heartbeat(&self, addr: &str, data: &HeartbeatData) -> Result<(), ClientError> {
        self.ask(addr, RequestCode::HeartBeat, &(), &data.encode()).await.map(drop)
    }

    /// The ids of a consumer group's members at a broker.
    ///
    /// # Errors
    /// Refused with code 1 if there is none.
    pub async fn consumer_ids(&self, addr: &str, group: &str) -> Result<Vec<String>, ClientError> {
        let ask = ConsumerGroupHeader { consumer_group: group };
        let answer = self.ask(addr, RequestCode::GetConsumerListByGroup, &ask, &[]).await?;
        body(addr, &answer).map(|ids: ConsumerIds| ids.consumer_id_list)
    }

    /// Leaves a consumer group.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn leave(&self, addr: &str, client_id: &str, group: &str) -> Result<(), ClientError> {
        let ask =
            UnregisterClientHeader { client_id, producer_group: None, consumer_group: Some(group) };
        self.ask(addr, RequestCode::UnregisterClient, &ask, &[]).await.map(drop)
    }
}
