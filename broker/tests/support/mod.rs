//! A shard under test, and a client that speaks plain remoting to it.

#![allow(
    clippy::disallowed_methods,
    reason = "a test makes its own directories and finds its own port"
)]
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod answers;
pub mod cluster;
pub mod log;
pub mod member;
pub mod process;
pub mod turns;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use broker::config::{Config, KEYS, Surroundings};
use broker::shard::siblings::{Mailbox, mailboxes};
use broker::shard::{Start, StartError, Started};
use bytes::Bytes;
use config::{Settings, Source};
use model::{Record, properties};
use remoting::command::EncodeExt;
use remoting::header::DecodeExt;
use remoting::header::offset::{OffsetReply, QueryOffsetHeader, QueueHeader, UpdateOffsetHeader};
use remoting::header::pull::{PullHeader, PullReply, pull_flag};
use remoting::header::send::{SendHeader, SendReply};
use remoting::header::topic::CreateTopicHeader;
use remoting::{Command, RequestCode, ResponseCode};
use runtime::channel::{Promise, promise};
use runtime::sim::Simulation;
use runtime::{Placement, Spec, Task};
use transport::{Connection, Limits, NoRequests, connect};

/// Longest time of one test: virtual in a simulation, real on a machine.
pub const LIMIT: Duration = Duration::from_secs(120);
/// Where the shards of simulated tests live.
pub const IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PORT: u16 = 10_911;

/// Where a test's shard lives.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// Its directory.
    pub dir: PathBuf,
}

impl Place {
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip.into(), self.port)
    }
}

/// Runs the test in a simulation and on io_uring.
pub fn everywhere<F, Fut>(name: &'static str, test: F)
where
    F: FnOnce(Place) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    in_simulation(7, test.clone());
    on_machine(name, test);
}

/// Runs the test in a simulation, and says what its trace is.
pub fn in_simulation<F, Fut>(seed: u64, test: F) -> u64
where
    F: FnOnce(Place) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", IP);
    let executor = node.start("test", move || test(simulated()));
    simulation.join(executor, LIMIT).expect("the simulated run ends in time");
    simulation.trace_hash()
}

/// The place of a simulated shard.
pub fn simulated() -> Place {
    Place { ip: IP, port: PORT, dir: PathBuf::from("/store") }
}

fn on_machine<F, Fut>(name: &'static str, test: F)
where
    F: FnOnce(Place) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let dir = fresh_dir(name);
    let place = Place { ip: Ipv4Addr::LOCALHOST, port: free_port(), dir: dir.join("store") };
    let spec = Spec { name: "broker-test".into(), placement: Placement::Any, busy_poll: None };
    let bounded = move || async move { runtime::timeout(LIMIT, test(place)).await };
    let executor = runtime::start(spec, bounded).expect("an executor");
    executor.join().expect("the run ends").expect("the run ends in time");
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
}

fn fresh_dir(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{name}-{}-{number}", std::process::id());
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(std::fs::remove_dir_all(&dir));
    std::fs::create_dir_all(&dir).expect("a writable target directory");
    dir
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// A configuration for `place`, with these keys on top.
pub fn config(place: &Place, keys: &[(&str, &str)]) -> Arc<Config> {
    let port = place.port.to_string();
    let dir = place.dir.display().to_string();
    let basics = [
        ("brokerName", "broker-a"),
        ("listenPort", &port),
        ("storePathRootDir", &dir),
        ("flushDiskType", "SYNC_FLUSH"),
        ("maxMessageSize", "1MiB"),
        ("mappedFileSizeCommitLog", "16MiB"),
    ];
    let mut settings = Settings::defaults(&KEYS);
    let source = Source::option("test");
    for (key, value) in basics.iter().chain(keys) {
        settings.set(&source, key, value).expect("a key and a value for it");
    }
    let around = Surroundings { home: None, host_name: "test".into(), cores: 2 };
    Arc::new(Config::from_settings(&settings, &around).expect("a configuration"))
}

/// A shard that serves, as tasks of the test's executor.
pub struct Running {
    stop: Promise<()>,
    task: Task<Result<(), StartError>>,
    /// What it said when it was ready.
    pub started: Started,
}

impl Running {
    /// Starts shard 0 of a broker with one shard.
    pub async fn start(config: &Arc<Config>, place: &Place) -> Self {
        let mailbox = mailboxes(1).remove(0);
        Self::start_shard(config, place, 0, mailbox).await
    }

    /// Starts shard 0 of a broker with one shard, or says why not.
    pub async fn try_start_alone(config: &Arc<Config>, place: &Place) -> Result<Self, StartError> {
        Self::try_start(config, place, 0, mailboxes(1).remove(0)).await
    }

    /// Starts one of several shards.
    pub async fn start_shard(
        config: &Arc<Config>,
        place: &Place,
        number: u32,
        mailbox: Mailbox,
    ) -> Self {
        match Self::try_start(config, place, number, mailbox).await {
            Ok(running) => running,
            Err(error) => panic!("the shard did not start: {error}"),
        }
    }

    /// Starts one of several shards, or says why not.
    pub async fn try_start(
        config: &Arc<Config>,
        place: &Place,
        number: u32,
        mailbox: Mailbox,
    ) -> Result<Self, StartError> {
        let (ready, is_ready) = promise();
        let (stop, stopped) = promise();
        let start = Start {
            config: Arc::clone(config),
            number,
            advertised: IpAddr::V4(place.ip),
            group: None,
            mailbox,
            ready,
            stop: stopped,
        };
        let task = runtime::spawn(broker::shard::run(start));
        match is_ready.await {
            Ok(started) => Ok(Self { stop, task, started }),
            Err(_) => Err(task.await.expect_err("a shard that is not ready has an error")),
        }
    }

    /// Stops it in good order.
    pub async fn stop(self) {
        self.stop.fulfil(()).expect("it runs");
        self.task.await.expect("it stops in good order");
    }
}

/// A client with one connection.
pub struct Client {
    pub connection: Connection,
}

/// What a pull came back with.
#[derive(Debug)]
pub struct Pulled {
    pub code: ResponseCode,
    pub remark: String,
    pub next: i64,
    pub min: i64,
    pub max: i64,
    pub bodies: Vec<Vec<u8>>,
    pub offsets: Vec<u64>,
}

/// What a send came back with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub id: String,
    pub queue: i32,
    pub offset: i64,
    pub transaction: Option<String>,
}

/// The header of a plain send.
pub fn send_header(topic: &str, queue: i32) -> SendHeader<'_> {
    SendHeader {
        producer_group: "PG",
        topic,
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id: queue,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        flag: 0,
        properties: None,
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
        broker_name: None,
    }
}

/// The header of a pull that asks for everything and does not wait.
pub fn pull_header(topic: &str, queue: i32, offset: i64) -> PullHeader<'_> {
    PullHeader {
        consumer_group: "G",
        topic,
        lite_topic: None,
        queue_id: queue,
        queue_offset: offset,
        max_msg_nums: 32,
        sys_flag: pull_flag::SUBSCRIPTION,
        commit_offset: 0,
        suspend_timeout_millis: 0,
        subscription: Some("*"),
        sub_version: 0,
        expression_type: Some("TAG"),
        max_msg_bytes: None,
        request_source: None,
        proxy_forward_client_id: None,
    }
}

/// What a pull was answered with.
pub fn pulled(answer: &Command) -> Pulled {
    let reply = PullReply::decode(RequestCode::PullMessage, &answer.ext).expect("a pull's reply");
    let (mut bodies, mut offsets, mut rest) = (Vec::new(), Vec::new(), &answer.body[..]);
    while !rest.is_empty() {
        let record = Record::parse(rest).expect("a whole record");
        record.check_body().expect("the body is as it was sent");
        bodies.push(record.body().to_vec());
        offsets.push(record.queue_offset().0);
        rest = &rest[record.bytes().len()..];
    }
    Pulled {
        code: ResponseCode::from_code(answer.code).expect("a known code"),
        remark: answer.remark.clone().unwrap_or_default(),
        next: reply.next_begin_offset,
        min: reply.min_offset,
        max: reply.max_offset,
        bodies,
        offsets,
    }
}

/// What a send was answered with.
pub fn sent(answer: &Command) -> Result<Sent, (ResponseCode, String)> {
    let code = ResponseCode::from_code(answer.code).expect("a known code");
    if code != ResponseCode::Success {
        return Err((code, answer.remark.clone().unwrap_or_default()));
    }
    let reply = SendReply::decode(RequestCode::SendMessageV2, &answer.ext).expect("a send's reply");
    assert_eq!(reply.region, Some("DefaultRegion"));
    assert_eq!(reply.trace_on, Some(true));
    Ok(Sent {
        id: reply.msg_id.to_owned(),
        queue: reply.queue_id,
        offset: reply.queue_offset,
        transaction: reply.transaction_id.map(str::to_owned),
    })
}

/// A property text.
pub fn text(pairs: &[(&str, &str)]) -> String {
    let mut bytes = Vec::new();
    pairs.iter().for_each(|(name, value)| properties::append(&mut bytes, name, value));
    String::from_utf8(bytes).expect("names and values are text")
}

impl Client {
    pub async fn connect(addr: SocketAddr) -> Self {
        let connection = connect(addr, Limits::default(), Rc::new(NoRequests)).await;
        Self { connection: connection.expect("the shard listens") }
    }

    pub async fn ask(&self, command: Command) -> Command {
        self.connection.request(command, LIMIT).await.expect("an answer")
    }

    pub async fn request(&self, code: RequestCode, header: &dyn EncodeExt) -> Command {
        self.ask(Command::request(code).with_ext(header)).await
    }

    pub async fn send_with(
        &self,
        header: &SendHeader<'_>,
        body: &[u8],
    ) -> Result<Sent, (ResponseCode, String)> {
        let command = Command::request(RequestCode::SendMessageV2).with_ext(header);
        sent(&self.ask(command.with_body(Bytes::copy_from_slice(body))).await)
    }

    pub async fn send(&self, topic: &str, queue: i32, body: &[u8]) -> Sent {
        self.send_with(&send_header(topic, queue), body).await.expect("it is stored")
    }

    pub async fn pull_with(&self, header: &PullHeader<'_>) -> Pulled {
        pulled(&self.request(RequestCode::PullMessage, header).await)
    }

    pub async fn pull(&self, topic: &str, queue: i32, offset: i64) -> Pulled {
        self.pull_with(&pull_header(topic, queue, offset)).await
    }

    pub async fn create_topic(&self, topic: &str, queues: i32) {
        let answer =
            self.request(RequestCode::UpdateAndCreateTopic, &create_header(topic, queues)).await;
        assert_eq!((answer.code, answer.remark), (0, None));
    }

    pub async fn max_offset(&self, topic: &str, queue: i32) -> i64 {
        self.offset(RequestCode::GetMaxOffset, &QueueHeader { topic, queue_id: queue }).await
    }

    async fn offset(&self, code: RequestCode, header: &dyn EncodeExt) -> i64 {
        let answer = self.request(code, header).await;
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        OffsetReply::decode(code, &answer.ext).expect("an offset").offset
    }

    pub async fn commit(&self, group: &str, topic: &str, queue: i32, offset: i64) -> Command {
        let header = UpdateOffsetHeader {
            consumer_group: group,
            topic,
            queue_id: queue,
            commit_offset: offset,
        };
        self.request(RequestCode::UpdateConsumerOffset, &header).await
    }

    pub async fn committed(&self, group: &str, topic: &str, queue: i32) -> Option<i64> {
        let answer = self.ask(offset_question(group, topic, queue)).await;
        match ResponseCode::from_code(answer.code) {
            Some(ResponseCode::Success) => Some(
                OffsetReply::decode(RequestCode::QueryConsumerOffset, &answer.ext)
                    .expect("an offset")
                    .offset,
            ),
            Some(ResponseCode::QueryNotFound) => None,
            _ => panic!("{answer:?}"),
        }
    }
}

/// The question for a group's offset.
pub fn offset_question(group: &str, topic: &str, queue: i32) -> Command {
    let header = QueryOffsetHeader {
        consumer_group: group,
        topic,
        queue_id: queue,
        set_zero_if_not_found: Some(false),
    };
    Command::request(RequestCode::QueryConsumerOffset).with_ext(&header)
}

/// The header that creates a topic.
pub fn create_header(topic: &str, queues: i32) -> CreateTopicHeader<'_> {
    CreateTopicHeader {
        topic,
        default_topic: "TBW102",
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm: 6,
        topic_filter_type: "SINGLE_TAG",
        topic_sys_flag: None,
        order: false,
        attributes: None,
        force: None,
    }
}
