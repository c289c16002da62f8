//! A NameServer and broker in one, small enough to be wrong on purpose.
//!
//! It keeps messages in memory, answers what the load generator asks, and can be told to break promises.
#![allow(dead_code, reason = "each user takes a part")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use model::{Draft, PhysicalOffset, QueueId, QueueOffset, UnixMillis, record};
use remoting::body::{Body, BrokerData, ClusterInfo, KvTable, QueueData, TopicRouteData};
use remoting::command::EncodeExt;
use remoting::header::DecodeExt;
use remoting::header::offset::{OffsetReply, QueryOffsetHeader, QueueHeader, UpdateOffsetHeader};
use remoting::header::pull::{PullHeader, PullReply};
use remoting::header::route::RouteHeader;
use remoting::header::send::{SendHeader, SendReply};
use remoting::header::topic::CreateTopicHeader;
use remoting::{CommandRef, RequestCode, ResponseHead};
use transport::{Connection, Limits, Serve, Server, not_supported};

/// What it does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Every n-th send is refused with code 2.
    Busy(u64),
    /// Every n-th send gets the offset of the one before.
    SameOffset(u64),
    /// Every n-th message is left out of pulls.
    Skip(u64),
    /// Every n-th message is damaged.
    Damage(u64),
    /// Every n-th message is stored twice.
    Twice(u64),
    /// The connection of the n-th send is closed without an answer, once.
    Close(u64),
    /// Topics are not created by code 17, and sends create them.
    CreatesOnDemand,
}

/// A pull that waits for a message.
struct Held {
    connection: Connection,
    opaque: i32,
    queue: (String, i32),
    offset: usize,
}

/// The fake. One value is NameServer and broker on one port.
#[derive(Default)]
pub struct Fake {
    pub addr: Cell<Option<SocketAddr>>,
    pub fault: Cell<Fault>,
    /// Messages kept for each queue; beyond that, only counted.
    pub keep: usize,
    /// Queues by topic.
    pub topics: RefCell<BTreeMap<String, i32>>,
    pub queues: RefCell<BTreeMap<(String, i32), Vec<Bytes>>>,
    pub offsets: RefCell<BTreeMap<(String, i32), u64>>,
    pub committed: RefCell<BTreeMap<(String, String, i32), i64>>,
    /// Other brokers that its NameServer knows: name and address.
    pub others: RefCell<Vec<(String, String)>>,
    held: RefCell<Vec<Held>>,
    pub sends: Cell<u64>,
    /// Where its log begins and ends, if it tells.
    pub log: Cell<Option<(u64, u64)>>,
}

pub const BROKER: &str = "fake";

impl Fake {
    pub async fn start(addr: SocketAddr, keep: usize, fault: Fault) -> (Server, Rc<Fake>) {
        let fake = Rc::new(Fake { keep, fault: Cell::new(fault), ..Fake::default() });
        fake.topics.borrow_mut().insert("TBW102".to_owned(), 4);
        let limits = Limits { in_flight: 1 << 20, ..Limits::default() };
        let server = Server::bind(addr, limits, fake.clone()).await.expect("a free port");
        fake.addr.set(Some(server.local_addr()));
        server.serve();
        (server, fake)
    }

    pub fn addr(&self) -> String {
        self.addr.get().expect("it listens").to_string()
    }

    /// Messages stored in all queues of a topic.
    pub fn stored(&self, topic: &str) -> u64 {
        let offsets = self.offsets.borrow();
        offsets.iter().filter(|((name, _), _)| name == topic).map(|(_, count)| count).sum()
    }

    fn route(&self, topic: &str) -> Option<TopicRouteData> {
        let queues = *self.topics.borrow().get(topic)?;
        let brokers = self.brokers();
        let queue_data = |broker: &BrokerData| QueueData {
            broker_name: broker.broker_name.clone(),
            perm: if topic == "TBW102" { 7 } else { 6 },
            read_queue_nums: queues,
            write_queue_nums: queues,
            ..QueueData::default()
        };
        Some(TopicRouteData {
            queue_datas: brokers.iter().map(queue_data).collect(),
            broker_datas: brokers,
            ..TopicRouteData::default()
        })
    }

    fn brokers(&self) -> Vec<BrokerData> {
        let mut all = vec![(BROKER.to_owned(), self.addr())];
        all.extend(self.others.borrow().iter().cloned());
        let broker = |(broker_name, addr)| BrokerData {
            broker_addrs: [(0, addr)].into(),
            broker_name,
            cluster: "c".to_owned(),
            ..BrokerData::default()
        };
        all.into_iter().map(broker).collect()
    }

    fn every(&self, n: u64) -> bool {
        self.sends.get().is_multiple_of(n)
    }

    fn send(&self, connection: &Connection, request: &CommandRef<'_>, body: &[u8]) {
        self.sends.set(self.sends.get() + 1);
        let header = SendHeader::decode(RequestCode::SendMessageV2, &request.ext).expect("a send");
        match self.fault.get() {
            Fault::Busy(n) if self.every(n) => {
                return answer(
                    connection,
                    request,
                    2,
                    Some("[REJECTREQUEST]busy: 7ms\nat here"),
                    &(),
                );
            }
            Fault::Close(n) if self.sends.get() == n => return connection.close(),
            _ => {}
        }
        let mut topics = self.topics.borrow_mut();
        let queues = *topics.entry(header.topic.to_owned()).or_insert_with(|| {
            assert_eq!(header.default_topic, "TBW102");
            header.default_topic_queue_nums.min(4)
        });
        assert!((0..queues).contains(&header.queue_id), "a queue of the topic");
        let key = (header.topic.to_owned(), header.queue_id);
        let mut offsets = self.offsets.borrow_mut();
        let next = offsets.entry(key.clone()).or_default();
        let repeats = matches!(self.fault.get(), Fault::SameOffset(n) if self.every(n));
        let offset = if repeats && *next > 0 { *next - 1 } else { *next };
        let doubles = matches!(self.fault.get(), Fault::Twice(n) if self.every(n));
        *next = offset + 1 + u64::from(doubles);
        let reply = SendReply {
            msg_id: "7F000001000078BF00000000000002C7",
            queue_id: header.queue_id,
            queue_offset: i64::try_from(offset).expect("few messages"),
            transaction_id: header.properties.and_then(|p| p.get(9..41)),
            batch_uniq_id: None,
            recall_handle: None,
            region: Some("DefaultRegion"),
            trace_on: Some(true),
        };
        answer(connection, request, 0, None, &reply);
        let mut queues = self.queues.borrow_mut();
        let queue = queues.entry(key.clone()).or_default();
        if queue.len() < self.keep && !repeats {
            queue.push(self.record(&header, offset, connection.peer(), body));
            if doubles {
                queue.push(self.record(&header, offset + 1, connection.peer(), body));
            }
            drop(queues);
            self.release(&key);
        }
    }

    fn record(&self, header: &SendHeader<'_>, offset: u64, peer: SocketAddr, body: &[u8]) -> Bytes {
        let draft = Draft {
            topic: header.topic,
            queue_id: QueueId(u32::try_from(header.queue_id).expect("checked")),
            flag: 0,
            sys_flag: 0,
            born_time: UnixMillis(u64::try_from(header.born_timestamp).expect("since 1970")),
            born_host: peer,
            store_host: self.addr.get().expect("it listens"),
            reconsume_times: 0,
            prepared_offset: 0,
            body,
            properties: header.properties.unwrap_or_default().as_bytes(),
            more_properties: b"",
        };
        let mut bytes = vec![0; draft.encoded_len()];
        draft.encode(&mut bytes);
        let stored = UnixMillis(runtime::unix_millis());
        record::stamp(&mut bytes, QueueOffset(offset), PhysicalOffset(offset * 4096), stored);
        if matches!(self.fault.get(), Fault::Damage(n) if self.every(n)) {
            // The first byte of the body: behind 84 fixed bytes and the body's length.
            bytes[88] ^= 1;
        }
        bytes.into()
    }

    fn pull(&self, connection: &Connection, request: &CommandRef<'_>) {
        let header = PullHeader::decode(RequestCode::PullMessage, &request.ext).expect("a pull");
        assert_eq!((header.sys_flag & 4, header.subscription), (4, Some("*")));
        let waits = header.sys_flag & 2 != 0;
        let offset = usize::try_from(header.queue_offset).expect("an offset");
        let queue = (header.topic.to_owned(), header.queue_id);
        let held = Held { connection: connection.clone(), opaque: request.opaque, queue, offset };
        if self.found(&held, header.max_msg_nums) {
            return;
        }
        if waits {
            self.held.borrow_mut().push(held);
        } else {
            let end = i64::try_from(held.offset).expect("few messages");
            answer(connection, request, 19, None, &pull_reply(end, end));
        }
    }

    fn release(&self, key: &(String, i32)) {
        let held = std::mem::take(&mut *self.held.borrow_mut());
        let (of_this_queue, others): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|held| held.queue == *key);
        *self.held.borrow_mut() = others;
        for held in of_this_queue {
            assert!(self.found(&held, 32), "a message has come");
        }
    }

    fn found(&self, held: &Held, max: i32) -> bool {
        let queues = self.queues.borrow();
        let queue = queues.get(&held.queue).map(Vec::as_slice).unwrap_or_default();
        let max = usize::try_from(max).expect("positive");
        let end = queue.len().min(held.offset + max);
        if held.offset >= end {
            return false;
        }
        let mut body = Vec::new();
        for (offset, record) in queue[held.offset..end].iter().enumerate() {
            let number = u64::try_from(held.offset + offset).expect("few messages");
            let skipped = matches!(self.fault.get(), Fault::Skip(n) if number % n == n - 1);
            if !skipped {
                body.extend_from_slice(record);
            }
        }
        let signed = |n: usize| i64::try_from(n).expect("few messages");
        let reply = pull_reply(signed(end), signed(queue.len()));
        let head =
            ResponseHead { code: 0, opaque: held.opaque, remark: Some("FOUND"), ext: &reply };
        held.connection.respond(&head, &body);
        true
    }

    fn end(&self, connection: &Connection, request: &CommandRef<'_>) {
        let header = QueueHeader::decode(RequestCode::GetMaxOffset, &request.ext).expect("a queue");
        let queues = self.queues.borrow();
        let queue = queues.get(&(header.topic.to_owned(), header.queue_id));
        let offset = queue.map_or(0, Vec::len);
        let offset = i64::try_from(offset).expect("few messages");
        answer(connection, request, 0, None, &OffsetReply { offset });
    }

    fn runtime_info(&self, connection: &Connection, request: &CommandRef<'_>) {
        let Some((begin, end)) = self.log.get() else {
            return not_supported(connection, request);
        };
        let offsets = [("commitLogMinOffset", begin), ("commitLogMaxOffset", end)];
        let table = offsets.map(|(key, offset)| (key.to_owned(), offset.to_string())).into();
        let head = ResponseHead { code: 0, opaque: request.opaque, remark: None, ext: &() };
        connection.respond(&head, &KvTable { table }.encode());
    }

    fn progress(&self, connection: &Connection, request: &CommandRef<'_>) {
        let code = RequestCode::QueryConsumerOffset;
        let header = QueryOffsetHeader::decode(code, &request.ext).expect("a question");
        let (group, topic) = (header.consumer_group.to_owned(), header.topic.to_owned());
        match self.committed.borrow().get(&(group, topic, header.queue_id)) {
            Some(offset) => {
                answer(connection, request, 0, None, &OffsetReply { offset: *offset });
            }
            None => answer(connection, request, 22, Some("Not found"), &()),
        }
    }

    fn store_progress(&self, connection: &Connection, request: &CommandRef<'_>) {
        let code = RequestCode::UpdateConsumerOffset;
        let header = UpdateOffsetHeader::decode(code, &request.ext).expect("an offset");
        let (group, topic) = (header.consumer_group.to_owned(), header.topic.to_owned());
        let key = (group, topic, header.queue_id);
        self.committed.borrow_mut().insert(key, header.commit_offset);
        answer(connection, request, 0, None, &());
    }

    fn create(&self, connection: &Connection, request: &CommandRef<'_>) {
        let code = RequestCode::UpdateAndCreateTopic;
        let header = CreateTopicHeader::decode(code, &request.ext).expect("a topic");
        if self.fault.get() == Fault::CreatesOnDemand {
            return answer(connection, request, 16, Some("not by you"), &());
        }
        self.topics.borrow_mut().insert(header.topic.to_owned(), header.write_queue_nums);
        answer(connection, request, 0, None, &());
    }
}

fn pull_reply(next_begin_offset: i64, max_offset: i64) -> PullReply {
    PullReply {
        suggest_which_broker_id: 0,
        next_begin_offset,
        min_offset: 0,
        max_offset,
        offset_delta: None,
        topic_sys_flag: Some(0),
        group_sys_flag: Some(0),
        forbidden_type: None,
    }
}

fn answer(
    connection: &Connection,
    request: &CommandRef<'_>,
    code: i32,
    remark: Option<&str>,
    ext: &dyn EncodeExt,
) {
    connection.respond(&ResponseHead { code, opaque: request.opaque, remark, ext }, &[]);
}

impl Serve for Fake {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, body: Bytes) {
        let Some(code) = RequestCode::from_code(request.code) else {
            return not_supported(connection, &request);
        };
        match code {
            RequestCode::SendMessageV2 => self.send(connection, &request, &body),
            RequestCode::PullMessage => self.pull(connection, &request),
            RequestCode::GetRouteinfoByTopic => {
                let header = RouteHeader::decode(code, &request.ext).expect("a topic");
                match self.route(header.topic) {
                    Some(route) => {
                        let head = ResponseHead {
                            code: 0,
                            opaque: request.opaque,
                            remark: None,
                            ext: &(),
                        };
                        connection.respond(&head, &route.encode());
                    }
                    None => answer(connection, &request, 17, Some("No topic route info"), &()),
                }
            }
            RequestCode::GetBrokerClusterInfo => {
                let named = self.brokers().into_iter().map(|b| (b.broker_name.clone(), b));
                let info =
                    ClusterInfo { broker_addr_table: named.collect(), ..ClusterInfo::default() };
                let head = ResponseHead { code: 0, opaque: request.opaque, remark: None, ext: &() };
                connection.respond(&head, &info.encode());
            }
            RequestCode::UpdateAndCreateTopic => self.create(connection, &request),
            RequestCode::GetBrokerRuntimeInfo => self.runtime_info(connection, &request),
            RequestCode::GetMaxOffset => self.end(connection, &request),
            RequestCode::GetMinOffset => {
                answer(connection, &request, 0, None, &OffsetReply { offset: 0 });
            }
            RequestCode::QueryConsumerOffset => self.progress(connection, &request),
            RequestCode::UpdateConsumerOffset => self.store_progress(connection, &request),
            _ => not_supported(connection, &request),
        }
    }

    fn on_close(&self, connection: &Connection) {
        self.held.borrow_mut().retain(|held| held.connection.id() != connection.id());
    }
}
