//! What brokers ask for.

use std::time::Duration;

use remoting::body::{
    Body, BrokerMemberGroup, DataVersion, KvTable, MemberGroupReply, RegisterBrokerBody,
    TopicConfig, body_crc,
};
use remoting::header::DecodeExt;
use remoting::header::route::{
    AddWritePermReply, BrokerHeader, BrokerHeartbeatHeader, BrokerNameHeader, DataVersionReply,
    MemberGroupHeader, RegisterBrokerHeader, RegisterBrokerReply, WipeWritePermReply,
};
use remoting::route::Perm;
use remoting::{RequestCode, ResponseCode};

use super::answer::{Answer, Failure};
use super::{Request, State, link, tell};
use crate::kv::ORDER_TOPICS;
use crate::routes::{Gone, Process, Queues, Registration, Replaced, Topic, Version};

/// The first byte of a zlib stream, which no JSON begins with. RocketMQ 5.5.0's broker says `compressed=false` of a body that
/// `compressedRegister=true` made it compress, so the body itself is asked.
const ZLIB: u8 = 0x78;

impl State {
    /// 103. The body is JSON, or compressed, or absent (a broker without topics).
    pub(super) fn register(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let header = RegisterBrokerHeader::decode(request.code, &request.command.ext)?;
        let expected = header.body_crc32.unwrap_or(0);
        if expected != 0 && expected != body_crc(request.body) {
            let remark = "crc32 not match: the registration was damaged on its way, send it again";
            return Err(Failure::new(ResponseCode::SystemError, remark));
        }
        let body = if request.body.is_empty() {
            RegisterBrokerBody::default()
        } else if header.compressed == Some(true) || request.body[0] == ZLIB {
            RegisterBrokerBody::decode_compressed(request.body, request.command.version)?
        } else {
            RegisterBrokerBody::decode(request.body)?
        };
        let registration = Registration {
            process: process(header.cluster_name, header.broker_addr),
            name: header.broker_name.to_owned(),
            id: header.broker_id,
            ha_addr: header.ha_server_addr.to_owned(),
            timeout: header.heartbeat_timeout_millis.and_then(timeout),
            acting_master: header.enable_acting_master,
            version: version(body.topics.data_version),
            topics: body.topics.topic_config_table.into_values().map(topic).collect(),
            link: link(request.connection),
        };
        let topics = registration.topics.len();
        let accepted = self.routes.borrow_mut().register(self.moment(), registration)?;
        self.links.borrow_mut().insert(link(request.connection), request.connection.clone());
        if accepted.joined {
            let RegisterBrokerHeader { cluster_name, broker_name, broker_id, broker_addr, .. } =
                header;
            tracing::info!(cluster = %cluster_name, broker = %broker_name, id = broker_id, addr = %broker_addr, topics, "broker registered");
        }
        if let Some(before) = accepted.replaced {
            let RegisterBrokerHeader { broker_name, broker_id, broker_addr, .. } = header;
            let Replaced { addr, in_turn } = before;
            match in_turn {
                true => tracing::info!(
                    "broker {broker_name} id {broker_id} is at {broker_addr} now, and was at {addr}: another member of its group leads"
                ),
                false => tracing::warn!(
                    "broker {broker_name} id {broker_id} was at {addr} and is now at {broker_addr}: are two brokers configured with \
                     the same name and id?"
                ),
            }
        }
        let (ha, master) = accepted.master.unzip();
        let reply =
            RegisterBrokerReply { ha_server_addr: ha.as_deref(), master_addr: master.as_deref() };
        Ok(self.with_order_topics(Answer::ok().with_ext(&reply)))
    }

    fn with_order_topics(&self, answer: Answer) -> Answer {
        match self.kv.borrow().space(ORDER_TOPICS) {
            Some(table) if self.config.order_to_brokers => {
                answer.with_body(&KvTable { table: table.clone() })
            }
            _ => answer,
        }
    }

    /// 104.
    pub(super) fn unregister(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let header = BrokerHeader::decode(request.code, &request.command.ext)?;
        let process = process(header.cluster_name, header.broker_addr);
        if let Some(left) = self.routes.borrow_mut().unregister(&process) {
            tell(&left, Gone::Unregistered);
        }
        Ok(Answer::ok())
    }

    /// 904.
    pub(super) fn heartbeat(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let header = BrokerHeartbeatHeader::decode(request.code, &request.command.ext)?;
        let process = process(header.cluster_name, header.broker_addr);
        if !self.routes.borrow_mut().heard(self.moment(), &process) {
            tracing::debug!(
                broker = header.broker_name,
                addr = header.broker_addr,
                "heartbeat of a broker that has not registered"
            );
        }
        Ok(Answer::ok())
    }

    /// 205 and 327: an operator takes a broker out of the producers' routes before a restart, and puts it back.
    pub(super) fn permit_writing(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let header = BrokerNameHeader::decode(request.code, &request.command.ext)?;
        let allowed = request.code == RequestCode::AddWritePermOfBroker;
        let topics = self.routes.borrow_mut().permit_writing(header.broker_name, allowed);
        tracing::info!(
            broker = header.broker_name, topics, peer = %request.connection.peer(),
            "{}", if allowed { "writing is allowed again" } else { "writing is forbidden" }
        );
        let topics = i32::try_from(topics).expect("there are fewer topics");
        Ok(match allowed {
            true => Answer::ok().with_ext(&AddWritePermReply { topics }),
            false => Answer::ok().with_ext(&WipeWritePermReply { topics }),
        })
    }

    /// 322.
    pub(super) fn query_data_version(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let header = BrokerHeader::decode(request.code, &request.command.ext)?;
        let theirs = version(DataVersion::decode(request.body)?);
        let process = process(header.cluster_name, header.broker_addr);
        let (changed, known) = self.routes.borrow_mut().compare(self.moment(), &process, theirs);
        let answer = Answer::ok().with_ext(&DataVersionReply { changed });
        Ok(match known {
            Some(known) => answer.with_body(&DataVersion {
                counter: known.counter,
                state_version: known.state,
                timestamp: known.timestamp,
            }),
            None => answer,
        })
    }

    /// 901.
    pub(super) fn member_group(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let header = MemberGroupHeader::decode(request.code, &request.command.ext)?;
        let known = self.routes.borrow().broker(header.broker_name);
        let group = BrokerMemberGroup {
            broker_addrs: known.map(|broker| broker.addrs).unwrap_or_default(),
            broker_name: header.broker_name.to_owned(),
            cluster: header.cluster_name.to_owned(),
        };
        Ok(Answer::ok().with_body(&MemberGroupReply { broker_member_group: Some(group) }))
    }
}

fn process(cluster: &str, addr: &str) -> Process {
    Process { cluster: cluster.to_owned(), addr: addr.to_owned() }
}

fn version(version: DataVersion) -> Version {
    Version { state: version.state_version, timestamp: version.timestamp, counter: version.counter }
}

/// A broker that names no sensible time gets the usual one.
fn timeout(millis: i64) -> Option<Duration> {
    u64::try_from(millis).ok().filter(|&millis| millis > 0).map(Duration::from_millis)
}

fn topic(config: TopicConfig) -> Topic {
    let queues = Queues {
        read: config.read_queue_nums,
        write: config.write_queue_nums,
        perm: Perm(config.perm),
        sys_flag: config.topic_sys_flag,
    };
    Topic { name: config.topic_name, queues }
}
