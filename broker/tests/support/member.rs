//! A client that is a member of groups.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use remoting::body::{
    Body, ConsumerData, ConsumerIds, HeartbeatData, MessageModel, ProducerData, SubscriptionData,
};
use remoting::fastjson::MessageQueue;
use remoting::{Command, CommandRef, RequestCode};
use transport::{Connection, Limits, Serve, connect};

use super::LIMIT;

/// A client that notes which groups it was told of.
pub struct Member {
    /// Its connection.
    pub connection: Connection,
    /// What it was told.
    pub told: Rc<Told>,
}

/// The groups of notifications, in order.
#[derive(Default)]
pub struct Told(pub RefCell<Vec<String>>);

impl Serve for Told {
    fn on_request(&self, _: &Connection, request: CommandRef<'_>, _: Bytes) {
        assert_eq!(request.code, RequestCode::NotifyConsumerIdsChanged.code());
        assert!(request.flag.is_oneway());
        let group = request.ext.get("consumerGroup").expect("a group").to_owned();
        self.0.borrow_mut().push(group);
    }
}

impl Member {
    pub async fn connect(addr: SocketAddr) -> Self {
        let told = Rc::new(Told::default());
        let connection = connect(addr, Limits::default(), Rc::clone(&told)).await;
        Self { connection: connection.expect("the shard listens"), told }
    }

    pub async fn ask(&self, code: RequestCode, ext: &[(&str, &str)], body: Vec<u8>) -> Command {
        let command = Command::request(code).with_ext(&Fields(ext)).with_body(body);
        self.connection.request(command, LIMIT).await.expect("an answer")
    }

    pub async fn beat(
        &self,
        id: &str,
        group: &str,
        subscriptions: &[(&str, &str, i64)],
    ) -> Command {
        self.beat_as(id, group, MessageModel::Clustering, subscriptions).await
    }

    pub async fn beat_as(
        &self,
        id: &str,
        group: &str,
        message_model: MessageModel,
        subscriptions: &[(&str, &str, i64)],
    ) -> Command {
        let one = |(topic, text, version): &(&str, &str, i64)| SubscriptionData {
            topic: (*topic).to_owned(),
            sub_string: (*text).to_owned(),
            sub_version: *version,
            ..SubscriptionData::default()
        };
        let consumer = ConsumerData {
            group_name: group.to_owned(),
            message_model,
            subscription_data_set: subscriptions.iter().map(one).collect(),
            ..ConsumerData::default()
        };
        let heartbeat = HeartbeatData {
            client_id: id.to_owned(),
            consumer_data_set: vec![consumer],
            producer_data_set: vec![ProducerData { group_name: "PG".to_owned() }],
            ..HeartbeatData::default()
        };
        let answer = self.ask(RequestCode::HeartBeat, &[], heartbeat.encode()).await;
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        answer
    }

    /// The members of a group as the broker lists them.
    pub async fn members(&self, group: &str) -> Vec<String> {
        let fields = [("consumerGroup", group)];
        let answer = self.ask(RequestCode::GetConsumerListByGroup, &fields, Vec::new()).await;
        match answer.code {
            0 => ConsumerIds::decode(&answer.body).expect("a list").consumer_id_list,
            code => {
                assert_eq!(code, 1);
                Vec::new()
            }
        }
    }

    /// How often the client was told of a change since the last call, once all is quiet.
    pub async fn told(&self) -> usize {
        runtime::sleep(Duration::from_millis(400)).await;
        std::mem::take(&mut *self.told.0.borrow_mut()).len()
    }
}

struct Fields<'a>(&'a [(&'a str, &'a str)]);

impl remoting::command::EncodeExt for Fields<'_> {
    fn encode_ext(&self, sink: &mut dyn remoting::command::ExtSink) {
        self.0.encode_ext(sink);
    }
}

/// A queue by name.
pub fn queue(topic: &str, broker_name: &str, queue_id: i32) -> MessageQueue {
    MessageQueue { topic: topic.to_owned(), broker_name: broker_name.to_owned(), queue_id }
}
