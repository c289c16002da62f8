//! CONSUMER_SEND_MSG_BACK (36), which this build does not serve: there is no redelivery from the broker.
//!
//! The consumer is told so (code 3). The stock push consumers then send the message to their group's retry topic
//! with a delay, which is refused as well, and in the end keep it: they hand it to the listener again after 5
//! seconds, and their offset stays before it (RocketMQ 5.5.0, classes `DefaultMQPushConsumerImpl` and
//! `ConsumeMessageConcurrentlyService`).

use std::rc::Rc;

use bytes::Bytes;
use remoting::CommandRef;
use transport::Connection;

use super::Shard;
use super::notices::{self, Notice};

/// Refuses, and tells the log for which consumer.
pub fn refuse(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    notices::note(shard, Notice::SendBack, || {
        let field = |key| notices::name(request.ext.get(key).unwrap_or("?"));
        format!(
            "group {} gives a message of topic {} back and is refused: redelivery and dead letters are not in \
             this build. The consumer at {} keeps the message, offers it to its listener again after some \
             seconds, and its offset stays before it until the listener succeeds",
            field("group"),
            field("originTopic"),
            connection.peer(),
        )
    });
    transport::not_supported(connection, request);
}
