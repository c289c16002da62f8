//! What is registered: topics as NameServers and tools see them.

use std::cell::RefCell;

use bytes::Bytes;
use futures::lock::Mutex;
use remoting::body::{DataVersion, RegisterError, RegisterWriter, Squeeze, body_crc};
use remoting::header::route::RegisterBrokerHeader;
use remoting::{Command, RequestCode};

use super::super::admin::data_version;
use super::super::commands::{TopicConfig, perm};
use super::super::identity::Identity;
use super::super::topics::{Topics, Version};

/// Plain bodies above this size are sent compressed: they would come near the largest frame.
const COMPRESS_ABOVE: usize = 4 * 1024 * 1024;
/// Topics that are written between two turns of the shard: a fraction of a millisecond.
const TOPICS_A_SLICE: usize = 64;

/// A topic as the wire has it.
#[must_use]
pub fn to_body(topic: &TopicConfig) -> remoting::body::TopicConfig {
    let number = |value: u32| i32::try_from(value).expect("queues and bits are few");
    remoting::body::TopicConfig {
        attributes: topic.attributes.iter().cloned().collect(),
        order: topic.order,
        perm: number(topic.perm),
        read_queue_nums: number(topic.read_queues),
        topic_filter_type: if topic.multi_tag { "MULTI_TAG" } else { "SINGLE_TAG" }.to_owned(),
        topic_name: topic.name.clone(),
        topic_sys_flag: topic.sys_flag,
        write_queue_nums: number(topic.write_queues),
    }
}

/// A registration as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    bytes: Bytes,
    crc: i32,
    is_compressed: bool,
}

/// The topic as a broker with this permission registers it. One that is not to be read or written says so for each
/// topic.
fn registered(topic: &TopicConfig, broker_permission: u32) -> remoting::body::TopicConfig {
    let mut body = to_body(topic);
    if broker_permission & (perm::READ | perm::WRITE) != perm::READ | perm::WRITE {
        body.perm = i32::try_from(topic.perm & broker_permission).expect("bits are few");
    }
    body
}

/// The registration of one topic, as of `version`.
pub(super) fn one_topic(
    topic: &TopicConfig,
    (version, office): (Version, Office),
    broker_permission: u32,
) -> Encoded {
    let mut writer = RegisterWriter::plain(version_in(version, office));
    writer.topic(&registered(topic, broker_permission)).expect("one topic is short");
    let bytes = Bytes::from(writer.finish());
    let crc = body_crc(&bytes);
    Encoded { bytes, crc, is_compressed: false }
}

/// As which replica a shard registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Office {
    /// 0 for the one that takes messages.
    pub broker_id: i64,
    /// The term in which a group's leader leads; 0 for all others. Of two that say that they are broker 0 a NameServer
    /// believes the one with the greater (RocketMQ 5.5.0, RouteInfoManager: stateVersion).
    pub term: i64,
}

/// A version of the topics, as that replica tells it.
fn version_in(version: Version, office: Office) -> DataVersion {
    DataVersion { state_version: office.term, ..data_version(version) }
}

/// REGISTER_BROKER (103) with this body.
pub(super) fn register_command(identity: &Identity, office: Office, body: &Encoded) -> Command {
    let (addr, ha_addr) = (identity.address.to_string(), ha_addr(identity));
    let header = RegisterBrokerHeader {
        broker_name: &identity.name,
        broker_addr: &addr,
        cluster_name: &identity.cluster,
        ha_server_addr: &ha_addr,
        broker_id: office.broker_id,
        heartbeat_timeout_millis: None,
        enable_acting_master: Some(false),
        compressed: Some(body.is_compressed),
        body_crc32: Some(body.crc),
    };
    Command::request(RequestCode::RegisterBroker).with_ext(&header).with_body(body.bytes.clone())
}

/// The registration of all topics. It is kept until a topic or the permission changes, for all NameServers, and made
/// in slices between which the shard serves its clients: in one go it would take 100,000 topics a second.
#[derive(Default)]
pub(super) struct AllTopics {
    /// Whoever makes it holds the lock; the others wait for it and send the same.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    version: (Version, Office),
    permission: u32,
    body: Encoded,
}

impl AllTopics {
    /// The body for the present topics. A topic that changes in the meantime may be in it or not; the caller shall
    /// tell the NameServer afterwards. Cancel safe.
    ///
    /// # Errors
    /// There are more topics than a NameServer reads.
    pub(super) async fn encoded(
        &self,
        topics: &RefCell<Topics>,
        (office, permission): (Office, u32),
    ) -> Result<Encoded, RegisterError> {
        let mut kept = self.kept.lock().await;
        let version = (topics.borrow().version(), office);
        if let Some(kept) = &*kept
            && (kept.version, kept.permission) == (version, permission)
        {
            return Ok(kept.body.clone());
        }
        *kept = None;
        let body = encode_all(topics, version, permission).await?;
        *kept = Some(Kept { version, permission, body: body.clone() });
        Ok(body)
    }
}

async fn encode_all(
    topics: &RefCell<Topics>,
    (version, office): (Version, Office),
    permission: u32,
) -> Result<Encoded, RegisterError> {
    let version = version_in(version, office);
    let mut plain = RegisterWriter::plain(version);
    let is_compressed = !write_all(&mut plain, topics, permission, COMPRESS_ABOVE).await?;
    let bytes = if is_compressed {
        drop(plain);
        let mut lines = RegisterWriter::lines(version);
        let written = write_all(&mut lines, topics, permission, usize::MAX).await?;
        assert!(written, "nothing is longer than that");
        let mut squeeze = Squeeze::new(lines.finish());
        while squeeze.step()? {
            runtime::yield_now().await;
        }
        squeeze.finish()?
    } else {
        plain.finish()
    };
    runtime::yield_now().await;
    let crc = body_crc(&bytes);
    Ok(Encoded { bytes: Bytes::from(bytes), crc, is_compressed })
}

/// Writes all topics, slice by slice. False when it is longer than `most` bytes; then it is not complete.
async fn write_all(
    writer: &mut RegisterWriter,
    topics: &RefCell<Topics>,
    permission: u32,
    most: usize,
) -> Result<bool, RegisterError> {
    let mut last: Option<String> = None;
    loop {
        let mut written = 0;
        {
            let topics = topics.borrow();
            for topic in topics.applied_after(last.take().as_deref()).take(TOPICS_A_SLICE) {
                writer.topic(&registered(topic, permission))?;
                written += 1;
                if written == TOPICS_A_SLICE {
                    last = Some(topic.name.clone());
                }
            }
        }
        if writer.bytes() > most {
            return Ok(false);
        }
        if last.is_none() {
            return Ok(true);
        }
        runtime::yield_now().await;
    }
}

/// Where Apache's replicas would ask. The field is required; nobody listens there: members of a Raft group know each other by their log.
fn ha_addr(identity: &Identity) -> String {
    let mut addr = identity.address;
    addr.set_port(addr.port().checked_add(1).unwrap_or(addr.port()));
    addr.to_string()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use remoting::body::{Body, RegisterBrokerBody};

    use super::*;

    const LEADER: Office = Office { broker_id: 0, term: 7 };

    fn topics() -> Topics {
        let mut topics = Topics::default();
        topics.apply(TopicConfig::new("A", 4, 6), true, 10);
        topics.apply(TopicConfig::new("B", 8, 7), true, 11);
        topics
    }

    fn read(body: &Encoded) -> RegisterBrokerBody {
        assert_eq!(body.crc, body_crc(&body.bytes));
        match body.is_compressed {
            true => RegisterBrokerBody::decode_compressed(
                &body.bytes,
                remoting::command::version::V5_5_0,
            ),
            false => Ok(RegisterBrokerBody::decode(&body.bytes).expect("it is a registration")),
        }
        .expect("it is a registration")
    }

    async fn all(kept: &AllTopics, topics: &RefCell<Topics>, permission: u32) -> Encoded {
        kept.encoded(topics, (LEADER, permission)).await.expect("it is short")
    }

    fn in_simulation<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F + Send + 'static) {
        let world = runtime::sim::Simulation::new(1);
        let node = world.node("n", [10, 0, 0, 1].into());
        let done = node.start("main", test);
        world.run_for(std::time::Duration::from_secs(60));
        done.join().expect("the test's node ran to its end");
    }

    #[test]
    fn one_topic_as_of_its_change() {
        let topics = topics();
        let topic = topics.find_applied("B").expect("it is there");
        let version = Version { timestamp: 10, counter: 1 };
        let one = read(&one_topic(topic, (version, LEADER), 4));
        assert_eq!(one.topics.data_version.state_version, 7, "the term");
        assert_eq!(one.topics.topic_config_table.keys().collect::<Vec<_>>(), ["B"]);
        assert_eq!(one.topics.topic_config_table["B"].perm, 4, "a read-only broker says so");
        assert_eq!((one.topics.data_version.counter, one.topics.data_version.timestamp), (1, 10));
    }

    #[test]
    fn all_topics_are_encoded_once_for_each_change() {
        in_simulation(|| async {
            let topics = RefCell::new(topics());
            let kept = AllTopics::default();
            let first = all(&kept, &topics, 6).await;
            let body = read(&first);
            assert_eq!(body.topics.topic_config_table.len(), 2);
            assert_eq!(body.topics.topic_config_table["B"].perm, 7);
            assert_eq!(body.topics.data_version.counter, 2);
            let same = all(&kept, &topics, 6).await;
            assert_eq!(same.bytes.as_ptr(), first.bytes.as_ptr(), "it was kept");
            let restricted = read(&all(&kept, &topics, 4).await);
            assert_eq!(restricted.topics.topic_config_table["B"].perm, 4);
            topics.borrow_mut().apply_delete("A", true, 12);
            let body = read(&all(&kept, &topics, 4).await);
            assert_eq!(body.topics.topic_config_table.keys().collect::<Vec<_>>(), ["B"]);
        });
    }

    #[test]
    fn very_many_topics_are_encoded_in_slices() {
        in_simulation(|| async {
            const MANY: usize = 30_000;
            let mut topics = topics();
            for n in 0..MANY {
                topics.apply(TopicConfig::new(&format!("many-{n}"), 4, 6), true, 12);
            }
            let topics = Rc::new(RefCell::new(topics));
            let turns = Rc::new(Cell::new(0));
            let (seen, at) = (Rc::clone(&turns), Rc::clone(&topics));
            let others = runtime::spawn(async move {
                loop {
                    seen.set(seen.get() + 1);
                    if seen.get() == 10 {
                        at.borrow_mut().apply(TopicConfig::new("zz", 1, 6), true, 13);
                    }
                    runtime::yield_now().await;
                }
            });
            let kept = AllTopics::default();
            let (one, other) = futures::join!(all(&kept, &topics, 6), all(&kept, &topics, 6));
            let turns = turns.get();
            assert!(turns > MANY / TOPICS_A_SLICE, "others had {turns} turns");
            assert!(one.is_compressed && one.bytes.len() < COMPRESS_ABOVE);
            assert_eq!(read(&one).topics.topic_config_table.len(), MANY + 3);
            assert_eq!(read(&one).topics.data_version.counter, 2 + MANY as i64);
            assert_eq!(read(&other).topics.data_version.counter, 3 + MANY as i64, "it is stale");
            drop(others);
        });
    }
}
