//! Decisions about a send: is it allowed, where does it go. No state, no I/O.
//!
//! The order of the checks, their codes and their words are those of RocketMQ 5.5.0, classes
//! AbstractSendMessageProcessor (`msgCheck`), SendMessageProcessor and HookUtils.

use std::net::SocketAddr;

use model::QueueId;
use model::topic::{DLQ_PREFIX, MAX_TOPIC, NOT_SENDABLE, RETRY_PREFIX, check_topic};
use model::{properties as property, sys_flag};
use remoting::ResponseCode;

use super::commands::{SubscriptionGroup, TopicConfig, perm};
use super::properties::Wishes;
use super::reply::Refusal;

/// Checks the name of the topic that is sent to.
///
/// # Errors
/// Code 29 for a name that no topic can have, 16 for a topic that takes no messages from clients.
pub fn check_name(topic: &str, max_topic: usize) -> Result<(), Refusal> {
    check_topic(topic).map_err(|error| Refusal::parameter(error.to_string()))?;
    let derived = topic.starts_with(RETRY_PREFIX) || topic.starts_with(DLQ_PREFIX);
    if !derived && topic.len() > max_topic.min(MAX_TOPIC) {
        let remark = format!("the specified topic is longer than topic max length {max_topic}");
        return Err(Refusal::parameter(remark));
    }
    if NOT_SENDABLE.contains(&topic) {
        let remark = format!("Sending message to topic[{topic}] is forbidden.");
        return Err(Refusal::new(ResponseCode::NoPermission, remark));
    }
    Ok(())
}

/// Checks that the broker may be written. Without that permission it refuses ordered topics only: others
/// vanish from its routes, and messages on their way are better taken than lost. For the same reason a
/// topic without write permission still takes what its producers have under way; their next route has
/// no queue here. That is how queues are drained (RocketMQ 5.5.0, `AbstractSendMessageProcessor.msgCheck`).
///
/// # Errors
/// Code 16, upon which a producer goes to another broker.
pub fn check_permission(broker: u32, host: SocketAddr, topic: &TopicConfig) -> Result<(), Refusal> {
    if !perm::writable(broker) && topic.order {
        let remark = format!("the broker[{}] sending message is forbidden", host.ip());
        return Err(Refusal::new(ResponseCode::NoPermission, remark));
    }
    Ok(())
}

/// The queue that a message goes to. A negative one leaves the choice to the broker: `random` gives a
/// number below the one it is called with.
///
/// # Errors
/// Code 29 when there is no such queue.
pub fn queue(
    topic: &TopicConfig,
    wanted: i32,
    producer: SocketAddr,
    random: impl FnOnce(u32) -> u32,
) -> Result<QueueId, Refusal> {
    let Ok(wanted) = u32::try_from(wanted) else {
        assert!(topic.write_queues > 0, "a topic has at least one queue");
        return Ok(QueueId(random(topic.write_queues)));
    };
    if wanted < topic.queues() {
        return Ok(QueueId(wanted));
    }
    let remark = format!(
        "request queueId[{wanted}] is illegal, TopicConfig [topicName={}, readQueueNums={}, \
         writeQueueNums={}] Producer: {producer}",
        topic.name, topic.read_queues, topic.write_queues
    );
    Err(Refusal::parameter(remark))
}

/// Checks that the message asks for nothing this broker does not have. A delayed message is never delivered at
/// once, a half message is never shown, and a request is never stored whose reply cannot be brought back: they
/// are refused, with a code on which no stock client tries again (those of RocketMQ 5.5.0 and 4.9.8, class
/// `DefaultMQProducer`, have code 16, among others, in `retryResponseCodes`).
///
/// A request that is refused fails at once and with this remark in the Java clients (class
/// `DefaultMQProducerImpl`, `request`); one that is stored makes its sender wait until its time is up, while
/// somebody may already have done what it asks for. The Go client 2.1.2 waits in both cases.
///
/// # Errors
/// Code 13.
pub fn check_wishes(wishes: &Wishes<'_>, flags: i32) -> Result<(), Refusal> {
    let illegal = |remark| Err(Refusal::new(ResponseCode::MessageIllegal, remark));
    let state = sys_flag::transaction(flags);
    let half = state == sys_flag::TRANSACTION_PREPARED || state == sys_flag::TRANSACTION_ROLLBACK;
    if wishes.transaction || half {
        let remark = "the message is the half message of a transaction: transactions are not in this build. \
                      Send it without a transaction, or to a broker that has them";
        return illegal(remark.to_owned());
    }
    if wishes.request {
        let remark = "the message is a request that waits for a reply (property REPLY_TO_CLIENT): \
                      request-reply is not in this build and the reply would never come. Send it as an \
                      ordinary message, without REPLY_TO_CLIENT";
        return illegal(remark.to_owned());
    }
    if let Some(by) = wishes.delayed_by {
        return illegal(format!(
            "the message asks for a later delivery by its property {by}: this broker does not serve \
             delayed messages yet and would deliver it at once. Send it without {by}"
        ));
    }
    Ok(())
}

/// The group whose retry topic this is.
#[must_use]
pub fn retry_group(topic: &str) -> Option<&str> {
    topic.strip_prefix(RETRY_PREFIX)
}

/// Checks a message that a consumer gives back to its group's retry topic.
///
/// # Errors
/// Code 26 without the group; 13 when it is due for the dead-letter topic, which is not served yet.
pub fn check_retry(
    group: &str,
    known: Option<&SubscriptionGroup>,
    reconsume_times: i32,
    max_reconsume_times: Option<i32>,
) -> Result<(), Refusal> {
    let Some(known) = known else {
        let remark = format!("subscription group not exist, {group}");
        return Err(Refusal::new(ResponseCode::SubscriptionGroupNotExist, remark));
    };
    let max = max_reconsume_times.unwrap_or(known.retry_max_times);
    if reconsume_times <= max {
        return Ok(());
    }
    let remark = format!(
        "the message was consumed {reconsume_times} times in vain, more than {max}: it is due for the \
         dead-letter topic of group {group}, which this broker does not serve yet"
    );
    Err(Refusal::new(ResponseCode::MessageIllegal, remark))
}

/// The longest body that is taken, in bytes. Clients check a body against the limit before they compress
/// it; what does not compress grows, by at most a 255th (LZ4; zlib and ZSTD grow less).
#[must_use]
pub fn longest_body(max_message: usize, flags: i32) -> usize {
    if flags & sys_flag::COMPRESSED == 0 {
        return max_message;
    }
    max_message + max_message / 255 + 64
}

/// Checks the lengths of a message.
///
/// # Errors
/// Code 13.
pub fn check_lengths(body: usize, max_body: usize, properties: usize) -> Result<(), Refusal> {
    if body > 0 && body <= max_body && properties <= property::MAX_LEN {
        return Ok(());
    }
    let remark = format!(
        "the message is illegal, maybe msg body or properties length not matched. msg body length limit \
         {max_body}B, msg properties length limit 32KB: the body has {body} bytes, the properties have \
         {properties}"
    );
    Err(Refusal::new(ResponseCode::MessageIllegal, remark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> SocketAddr {
        "10.0.0.1:10911".parse().expect("an address")
    }

    fn code(result: Result<(), Refusal>) -> Option<ResponseCode> {
        result.err().map(|refusal| refusal.code)
    }

    #[test]
    fn names() {
        assert_eq!(check_name("T", 127), Ok(()));
        assert_eq!(code(check_name("a b", 127)), Some(ResponseCode::InvalidParameter));
        assert_eq!(code(check_name("", 127)), Some(ResponseCode::InvalidParameter));
        assert_eq!(code(check_name("TTTT", 3)), Some(ResponseCode::InvalidParameter));
        assert_eq!(check_name(&format!("%RETRY%{}", "g".repeat(120)), 127), Ok(()));
        for topic in NOT_SENDABLE {
            let refusal = check_name(topic, 127).expect_err("it takes no messages");
            assert_eq!(refusal.code, ResponseCode::NoPermission);
            assert_eq!(refusal.remark, format!("Sending message to topic[{topic}] is forbidden."));
        }
    }

    #[test]
    fn permissions() {
        let mut topic = TopicConfig::new("T", 4, 6);
        assert_eq!(check_permission(6, host(), &topic), Ok(()));
        assert_eq!(check_permission(4, host(), &topic), Ok(()));
        topic.order = true;
        let refusal = check_permission(4, host(), &topic).expect_err("ordered");
        assert_eq!(refusal.remark, "the broker[10.0.0.1] sending message is forbidden");
        // A read-only topic is one that is being drained.
        topic.perm = 4;
        assert_eq!(check_permission(6, host(), &topic), Ok(()));
    }

    #[test]
    fn queues() {
        let mut topic = TopicConfig::new("T", 4, 6);
        topic.read_queues = 8;
        assert_eq!(queue(&topic, -1, host(), |below| below - 1), Ok(QueueId(3)));
        assert_eq!(queue(&topic, 7, host(), |_| 0), Ok(QueueId(7)));
        let refusal = queue(&topic, 8, host(), |_| 0).expect_err("there are 8");
        assert_eq!(refusal.code, ResponseCode::InvalidParameter);
        assert!(
            refusal.remark.starts_with("request queueId[8] is illegal, "),
            "{}",
            refusal.remark
        );
        assert!(refusal.remark.ends_with("Producer: 10.0.0.1:10911"), "{}", refusal.remark);
    }

    #[test]
    fn what_is_not_served_is_refused_and_not_done_otherwise() {
        let plain = Wishes::default();
        assert_eq!(check_wishes(&plain, sys_flag::COMPRESSED | 0x300), Ok(()));
        assert_eq!(check_wishes(&plain, sys_flag::TRANSACTION_COMMIT), Ok(()));
        let half = Wishes { transaction: true, ..plain };
        let request = Wishes { request: true, ..plain };
        let later = Wishes { delayed_by: Some("DELAY"), ..plain };
        for (wishes, flags, why) in [
            (&plain, sys_flag::TRANSACTION_PREPARED, "transactions are not in this build"),
            (&plain, sys_flag::TRANSACTION_ROLLBACK, "transactions are not in this build"),
            (&half, 0, "transactions are not in this build"),
            (&request, 0, "request-reply is not in this build"),
            (&later, 0, "by its property DELAY"),
        ] {
            let refusal = check_wishes(wishes, flags).expect_err("it is not served");
            assert_eq!(refusal.code, ResponseCode::MessageIllegal, "no client tries it again");
            assert!(refusal.remark.contains(why), "{}", refusal.remark);
            assert!(refusal.remark.contains("Send it "), "{}", refusal.remark);
        }
    }

    #[test]
    fn retries() {
        let group = SubscriptionGroup::new("G");
        assert_eq!(retry_group("%RETRY%G"), Some("G"));
        assert_eq!(retry_group("G"), None);
        assert_eq!(check_retry("G", Some(&group), 16, None), Ok(()));
        assert_eq!(
            code(check_retry("G", Some(&group), 17, None)),
            Some(ResponseCode::MessageIllegal)
        );
        assert_eq!(check_retry("G", Some(&group), 17, Some(20)), Ok(()));
        assert_eq!(
            code(check_retry("G", None, 0, None)),
            Some(ResponseCode::SubscriptionGroupNotExist)
        );
    }

    #[test]
    fn a_compressed_body_may_have_grown() {
        assert_eq!(longest_body(4 << 20, 0), 4 << 20);
        // What zlib makes of 4 MiB that do not compress.
        assert!(longest_body(4 << 20, sys_flag::COMPRESSED) >= 4_195_590);
    }

    #[test]
    fn lengths() {
        assert_eq!(check_lengths(1, 10, 32_767), Ok(()));
        assert_eq!(check_lengths(10, 10, 0), Ok(()));
        for (body, properties) in [(0, 0), (11, 0), (1, 32_768)] {
            assert_eq!(
                code(check_lengths(body, 10, properties)),
                Some(ResponseCode::MessageIllegal)
            );
        }
    }
}
