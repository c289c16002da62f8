//! What NameServers know.

use remoting::RequestCode;
use remoting::body::{ClusterInfo, TopicList, TopicRouteData};
use remoting::header::route::{DropTopicHeader, RouteHeader};

use crate::client::{Client, accepted, body};
use crate::error::ClientError;

impl Client {
    /// Where a topic's queues are.
    ///
    /// # Errors
    /// Refused with code 17 if no broker has the topic.
    pub async fn route(&self, topic: &str) -> Result<TopicRouteData, ClientError> {
        let code = RequestCode::GetRouteinfoByTopic;
        let header = RouteHeader { topic, accept_standard_json_only: Some(true) };
        let (answer, addr) = self.ask_names(code, &header, &[]).await?;
        body(addr, &accepted(addr, code, answer)?)
    }

    /// All clusters and brokers.
    ///
    /// # Errors
    /// No NameServer answers.
    pub async fn cluster_info(&self) -> Result<ClusterInfo, ClientError> {
        let code = RequestCode::GetBrokerClusterInfo;
        let (answer, addr) = self.ask_names(code, &(), &[]).await?;
        body(addr, &accepted(addr, code, answer)?)
    }

    /// All topics.
    ///
    /// # Errors
    /// Refused with code 16 if the NameServer does not give the list.
    pub async fn topics(&self) -> Result<TopicList, ClientError> {
        let code = RequestCode::GetAllTopicListFromNameserver;
        let (answer, addr) = self.ask_names(code, &(), &[]).await?;
        body(addr, &accepted(addr, code, answer)?)
    }

    /// Makes every NameServer forget a topic, in one cluster or everywhere. Brokers that still have it will name it again.
    ///
    /// # Errors
    /// The first NameServer that does not do it; the others have been asked too.
    pub async fn forget_topic(
        &self,
        topic: &str,
        cluster: Option<&str>,
    ) -> Result<(), ClientError> {
        let code = RequestCode::DeleteTopicInNamesrv;
        let header = DropTopicHeader { topic, cluster_name: cluster };
        let mut result = Ok(());
        for addr in self.names().all() {
            let done = self.ask(addr, code, &header, &[]).await.map(drop);
            result = result.and(done);
        }
        result
    }
}
