//! Decisions about topics: which there are from the start, which are created by a send, which changes
//! are allowed. No state, no I/O.

use model::topic::{AUTO_CREATE, NameError, SCHEDULE, check_topic};
use remoting::header::topic::CreateTopicHeader;
use thiserror::Error;

use super::commands::{TopicConfig, perm};
use crate::config::Config;
use crate::limits::MAX_QUEUES;

/// The topic that load generators use; RocketMQ makes it at start.
pub const BENCHMARK: &str = "BenchmarkTest";
const BENCHMARK_QUEUES: u32 = 1024;
const SELF_TEST: &str = "SELF_TEST_TOPIC";
const OFFSET_MOVED: &str = "OFFSET_MOVED_EVENT";
const CLUSTER_QUEUES: u32 = 16;
/// Topics of this prefix belong to the broker.
const SYSTEM_PREFIX: &str = "rmq_sys_";
/// Names that are RocketMQ's own, whether this broker has them or not.
const RESERVED: [&str; 9] = [
    AUTO_CREATE,
    SCHEDULE,
    BENCHMARK,
    SELF_TEST,
    OFFSET_MOVED,
    "RMQ_SYS_TRACE_TOPIC",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
];

/// Values of the attribute `message.type` (RocketMQ 5.5.0, TopicMessageType).
const MESSAGE_TYPES: [&str; 8] =
    ["UNSPECIFIED", "NORMAL", "FIFO", "DELAY", "TRANSACTION", "MIXED", "LITE", "PRIORITY"];

const READ_WRITE: u32 = perm::READ | perm::WRITE;

/// Why a topic is not created or changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopicError {
    /// The name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name is the broker's.
    #[error("The topic[{0}] is conflict with system topic.")]
    System(String),
    /// The number of queues.
    #[error("{what} is {found}, allowed are 1 to {max}", max = MAX_QUEUES)]
    Queues {
        /// The field.
        what: &'static str,
        /// As sent.
        found: i32,
    },
    /// The permission bits.
    #[error(
        "perm is {0}, allowed are 2 (write), 4 (read), 6 (both), and 1 (inherit) or 8 (priority) with them"
    )]
    Perm(i32),
    /// The way of filtering.
    #[error("topicFilterType is `{0}`, allowed are SINGLE_TAG and MULTI_TAG")]
    FilterType(String),
    /// An attribute.
    #[error("attribute `{0}` is not in the form +key=value or -key")]
    Attribute(String),
    /// A message type that is none.
    #[error("message.type is `{0}`, allowed are {list}", list = MESSAGE_TYPES.join(", "))]
    MessageType(String),
    /// An attribute with a meaning that this broker does not have.
    #[error("attribute `{0}` is not supported by this broker; message.type is")]
    UnknownAttribute(String),
}

/// The topics that are created at the first start.
#[must_use]
pub fn system_topics(config: &Config, broker_name: &str) -> Vec<TopicConfig> {
    let all = READ_WRITE | perm::INHERIT;
    let mut topics = vec![
        TopicConfig::new(SELF_TEST, 1, READ_WRITE),
        TopicConfig::new(BENCHMARK, BENCHMARK_QUEUES, READ_WRITE),
        TopicConfig::new(OFFSET_MOVED, 1, READ_WRITE),
    ];
    if config.auto_create_topics {
        topics.push(TopicConfig::new(AUTO_CREATE, config.default_topic_queues, all));
    }
    if config.cluster_topic {
        topics.push(TopicConfig::new(&config.cluster, CLUSTER_QUEUES, all));
    }
    if config.broker_topic && broker_name != config.cluster {
        topics.push(TopicConfig::new(broker_name, 1, all));
    }
    if let Some(trace) = &config.trace_topic {
        topics.push(TopicConfig::new(trace, 1, READ_WRITE));
    }
    topics
}

/// Whether a topic is the broker's own, not to be changed or deleted from outside.
#[must_use]
pub fn is_system(topic: &str, cluster: &str, broker_name: &str) -> bool {
    RESERVED.contains(&topic)
        || topic.starts_with(SYSTEM_PREFIX)
        || topic == cluster
        || topic == broker_name
}

/// The topic that a send to the unknown `topic` creates: after `template`, with at most `wanted` queues.
/// `None` when the template does not allow it. (RocketMQ 5.5.0,
/// TopicConfigManager.createTopicInSendMessageMethod.)
#[must_use]
pub fn from_template(
    topic: &str,
    template: &TopicConfig,
    wanted: i32,
    auto_create: bool,
) -> Option<TopicConfig> {
    let inherits = template.perm & perm::INHERIT != 0;
    if !inherits || (template.name == AUTO_CREATE && !auto_create) {
        return None;
    }
    let wanted = u32::try_from(wanted).unwrap_or(0).max(1);
    let queues = wanted.min(template.write_queues.max(1));
    let mut made = TopicConfig::new(topic, queues, template.perm & !perm::INHERIT);
    made.multi_tag = template.multi_tag;
    made.sys_flag = template.sys_flag;
    Some(made)
}

/// The retry topic of a group, as a heartbeat or a send creates it.
#[must_use]
pub fn retry_topic(topic: &str, queues: u32) -> TopicConfig {
    TopicConfig::new(topic, queues.max(1), READ_WRITE)
}

/// The topic that request 17 asks for; `before` is the one that is there.
///
/// # Errors
/// [`TopicError`] says which field is wrong.
pub fn requested(
    header: &CreateTopicHeader<'_>,
    before: Option<&TopicConfig>,
    cluster: &str,
    broker_name: &str,
) -> Result<TopicConfig, TopicError> {
    check_topic(header.topic)?;
    if is_system(header.topic, cluster, broker_name) {
        return Err(TopicError::System(header.topic.to_owned()));
    }
    let queues = |what, found| match u32::try_from(found) {
        Ok(count @ 1..=MAX_QUEUES) => Ok(count),
        _ => Err(TopicError::Queues { what, found }),
    };
    let bits = match u32::try_from(header.perm) {
        Ok(bits) if bits & !perm::ALL == 0 && bits & READ_WRITE != 0 => bits,
        _ => return Err(TopicError::Perm(header.perm)),
    };
    let multi_tag = match header.topic_filter_type {
        "SINGLE_TAG" | "" => false,
        "MULTI_TAG" => true,
        other => return Err(TopicError::FilterType(other.to_owned())),
    };
    let attributes = before.map_or(&[][..], |topic| &topic.attributes);
    Ok(TopicConfig {
        name: header.topic.to_owned(),
        read_queues: queues("readQueueNums", header.read_queue_nums)?,
        write_queues: queues("writeQueueNums", header.write_queue_nums)?,
        perm: bits,
        multi_tag,
        sys_flag: header.topic_sys_flag.unwrap_or(0),
        order: header.order,
        attributes: changed_attributes(attributes, header.attributes.unwrap_or(""))?,
    })
}

/// The attributes after a change such as `+message.type=FIFO,-other` (RocketMQ 5.5.0, AttributeParser).
fn changed_attributes(
    before: &[(String, String)],
    changes: &str,
) -> Result<Vec<(String, String)>, TopicError> {
    let mut after = before.to_vec();
    for change in changes.split(',').map(str::trim).filter(|change| !change.is_empty()) {
        let malformed = || TopicError::Attribute(change.to_owned());
        let (key, value) = match change.split_at_checked(1) {
            Some(("+", pair)) => pair.split_once('=').map(|(key, value)| (key, Some(value))),
            Some(("-", key)) => Some((key, None)),
            _ => None,
        }
        .filter(|(key, value)| !key.is_empty() && value.is_none_or(|value| !value.is_empty()))
        .ok_or_else(malformed)?;
        if key != "message.type" {
            return Err(TopicError::UnknownAttribute(key.to_owned()));
        }
        if let Some(unknown) = value.filter(|value| !MESSAGE_TYPES.contains(value)) {
            return Err(TopicError::MessageType(unknown.to_owned()));
        }
        after.retain(|(have, _)| have != key);
        after.extend(value.map(|value| (key.to_owned(), value.to_owned())));
    }
    after.sort();
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> CreateTopicHeader<'static> {
        CreateTopicHeader {
            topic: "T",
            default_topic: "TBW102",
            read_queue_nums: 8,
            write_queue_nums: 4,
            perm: 6,
            topic_filter_type: "SINGLE_TAG",
            topic_sys_flag: None,
            order: false,
            attributes: None,
            force: None,
        }
    }

    #[test]
    fn a_send_creates_after_the_template() {
        let template = TopicConfig::new(AUTO_CREATE, 8, 7);
        let made = from_template("T", &template, 4, true).expect("it inherits");
        assert_eq!(made, TopicConfig::new("T", 4, 6));
        for (wanted, queues) in [(16, 8), (0, 1), (-3, 1), (8, 8)] {
            let made = from_template("T", &template, wanted, true).expect("it inherits");
            assert_eq!(made.write_queues, queues, "{wanted} wanted");
        }
        assert_eq!(from_template("T", &template, 4, false), None);
        assert_eq!(from_template("T", &TopicConfig::new("Other", 4, 6), 4, true), None);
        assert!(from_template("T", &TopicConfig::new("Other", 4, 7), 4, false).is_some());
    }

    #[test]
    fn a_request_becomes_a_topic() {
        let made = requested(&header(), None, "C", "b").expect("a topic");
        assert_eq!((made.read_queues, made.write_queues, made.perm), (8, 4, 6));
        assert_eq!(made.queues(), 8);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let wrong = |change: fn(&mut CreateTopicHeader<'static>)| {
            let mut header = header();
            change(&mut header);
            requested(&header, None, "C", "b").expect_err("it is wrong")
        };
        assert!(matches!(wrong(|h| h.topic = "a b"), TopicError::Name(_)));
        assert_eq!(
            wrong(|h| h.topic = "TBW102").to_string(),
            "The topic[TBW102] is conflict with system topic."
        );
        assert!(matches!(wrong(|h| h.topic = "C"), TopicError::System(_)));
        assert!(matches!(wrong(|h| h.topic = "rmq_sys_x"), TopicError::System(_)));
        assert_eq!(
            wrong(|h| h.read_queue_nums = 0),
            TopicError::Queues { what: "readQueueNums", found: 0 }
        );
        assert!(matches!(wrong(|h| h.write_queue_nums = i32::MAX), TopicError::Queues { .. }));
        assert_eq!(wrong(|h| h.perm = 16), TopicError::Perm(16));
        assert_eq!(wrong(|h| h.perm = 1), TopicError::Perm(1));
        assert!(matches!(wrong(|h| h.topic_filter_type = "x"), TopicError::FilterType(_)));
        assert!(matches!(wrong(|h| h.attributes = Some("x=1")), TopicError::Attribute(_)));
        assert!(matches!(
            wrong(|h| h.attributes = Some("+queue.type=BatchCQ")),
            TopicError::UnknownAttribute(_)
        ));
    }

    #[test]
    fn attributes_are_added_and_dropped() {
        let mut header = header();
        header.attributes = Some("+message.type=FIFO");
        let first = requested(&header, None, "C", "b").expect("a topic");
        assert_eq!(first.attributes, [("message.type".to_owned(), "FIFO".to_owned())]);
        header.attributes = Some("+message.type=NORMAL");
        let second = requested(&header, Some(&first), "C", "b").expect("a topic");
        assert_eq!(second.attributes, [("message.type".to_owned(), "NORMAL".to_owned())]);
        header.attributes = Some("-message.type");
        assert!(
            requested(&header, Some(&second), "C", "b").expect("a topic").attributes.is_empty()
        );
        header.attributes = None;
        assert_eq!(
            requested(&header, Some(&second), "C", "b").expect("a topic").attributes.len(),
            1
        );
    }
}
