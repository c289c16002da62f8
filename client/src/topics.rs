//! Creating and deleting topics.

use remoting::RequestCode;
use remoting::header::topic::{CreateTopicHeader, TopicHeader};
use remoting::route::Perm;

use crate::client::Client;
use crate::error::ClientError;

/// A topic to be created, or the new settings of one.
#[derive(Debug, Clone, Copy)]
pub struct NewTopic<'a> {
    /// The topic.
    pub name: &'a str,
    /// Queues to read from.
    pub read_queues: i32,
    /// Queues to write to.
    pub write_queues: i32,
    /// What is allowed.
    pub perm: Perm,
    /// Attributes to set or drop, `+key=value,-key`.
    pub attributes: Option<&'a str>,
}

impl<'a> NewTopic<'a> {
    /// A topic to read and write with so many queues.
    pub fn new(name: &'a str, queues: i32) -> NewTopic<'a> {
        NewTopic {
            name,
            read_queues: queues,
            write_queues: queues,
            perm: Perm::READ_WRITE,
            attributes: None,
        }
    }
}

impl Client {
    /// Creates a topic on a broker, or changes it.
    ///
    /// # Errors
    /// Refused if the name or the settings are not possible.
    pub async fn create_topic(&self, addr: &str, topic: &NewTopic<'_>) -> Result<(), ClientError> {
        let ask = CreateTopicHeader {
            topic: topic.name,
            default_topic: "TBW102",
            read_queue_nums: topic.read_queues,
            write_queue_nums: topic.write_queues,
            perm: topic.perm.0,
            topic_filter_type: "SINGLE_TAG",
            topic_sys_flag: Some(0),
            order: false,
            attributes: topic.attributes,
            force: None,
        };
        self.ask(addr, RequestCode::UpdateAndCreateTopic, &ask, &[]).await.map(drop)
    }

    /// Deletes a topic on a broker. NameServers know it until [`Client::forget_topic`].
    ///
    /// # Errors
    /// Refused for system topics.
    pub async fn delete_topic(&self, addr: &str, topic: &str) -> Result<(), ClientError> {
        let code = RequestCode::DeleteTopicInBroker;
        self.ask(addr, code, &TopicHeader { topic }, &[]).await.map(drop)
    }
}
