//! The failure of the log, as its clients see it.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::{Settings, Source};
use model::{Draft, QueueId, QueueOffset, Term, UnixMillis};
use remoting::body::{Body, RegisterBrokerBody, TopicConfigs};
use remoting::command::EncodeExt;
use remoting::header::pull::{PullHeader, pull_flag};
use remoting::header::send::SendHeader;
use remoting::{Command, CommandRef, Flags, Language, RequestCode, ResponseHead};
use runtime::sim::Simulation;
use runtime::{IoError, IoOp, Task};
use storage::{AppendError, Store};
use transport::{Connection, Limits, NoRequests, Serve, Server, connect};

use super::*;
use crate::config::{Config, KEYS, Surroundings};
use crate::shard::clients;
use crate::shard::commands::{SubscriptionGroup, TopicConfig};
use crate::shard::dispatch::Requests;
use crate::shard::groups;
use crate::shard::identity::Identity;
use crate::shard::siblings::mailboxes;

const IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// A shard whose apply loop the test plays itself.
struct Stalled {
    shard: Rc<Shard>,
    events: RefCell<Events>,
    client: Connection,
    _server: Server,
}

/// A shard that has read its log, with more in its configuration: one of a group if that says so, whose member does not run.
async fn shard(more: &[(&str, &str)]) -> (Rc<Shard>, Events) {
    let mut settings = Settings::defaults(&KEYS);
    let source = Source::option("test");
    let usual = [
        ("brokerName", "b"),
        ("storePathRootDir", "/store"),
        ("maxMessageSize", "1MiB"),
        ("mappedFileSizeCommitLog", "64MiB"),
        ("maxQueuedBytes", "16MiB"),
        ("namesrvAddr", "10.0.0.1:9876"),
    ];
    for (key, value) in usual.iter().chain(more) {
        settings.set(&source, key, value).expect("a key and its value");
    }
    let around = Surroundings { home: None, host_name: "test".into(), cores: 2 };
    let config = Arc::new(Config::from_settings(&settings, &around).expect("a configuration"));
    let group = config.raft_group.as_ref();
    let layout = group.map(|group| group.layouts(&config, &[Some(IP.into())]).expect("one member"));
    let identity = Identity::of(&config, 0, IP.into());
    let options = config.store_options(PathBuf::from("/store"), PathBuf::from("/store/log"), 0);
    let (store, mut events) = Store::open(options).await.expect("a new store");
    let shard = Shard::new(config, identity, store, mailboxes(1).remove(0));
    let shard = Rc::new(match layout {
        Some(mut layouts) => shard.in_group(layouts.remove(0)),
        None => shard,
    });
    recover(&shard, &mut events).await.expect("nothing to recover");
    shard.phase.set(Phase::Serving);
    (shard, events)
}

impl Stalled {
    async fn start() -> Self {
        let (shard, events) = shard(&[]).await;
        topics::put(&shard, TopicConfig::new("T", 1, 6), Completion::Silent).expect("room");
        let service = Rc::new(Requests(Rc::clone(&shard)));
        let server = Server::bind(shard.identity.listen, Limits::default(), service).await;
        let server = server.expect("a free port");
        server.serve();
        let client = connect(shard.identity.address, Limits::default(), Rc::new(NoRequests)).await;
        let stalled = Self {
            shard,
            events: RefCell::new(events),
            client: client.expect("it listens"),
            _server: server,
        };
        stalled.apply_one().await;
        stalled
    }

    /// Applies the next entry that somebody appended; the one that founds the store is nobody's.
    #[allow(
        clippy::await_holding_refcell_ref,
        reason = "the test is the only one that reads events"
    )]
    async fn apply_one(&self) {
        loop {
            let applied = match self.events.borrow_mut().next().await {
                Event::Committed(applied) => applied,
                Event::StateWanted(wanted) => {
                    wanted.give(state::of(&self.shard).to_bytes());
                    continue;
                }
                other => panic!("the log works: {other:?}"),
            };
            let founding = matches!(applied.what, What::Membership);
            committed(&self.shard, applied).expect("a command of this version");
            if !founding {
                return;
            }
        }
    }

    fn ask(&self, code: RequestCode, header: &dyn EncodeExt, body: &'static [u8]) -> Task<Command> {
        let client = self.client.clone();
        let command = Command::request(code).with_ext(header).with_body(Bytes::from_static(body));
        runtime::spawn(async move {
            client.request(command, Duration::from_secs(60)).await.expect("an answer")
        })
    }

    fn send(&self) -> Task<Command> {
        let header = SendHeader {
            producer_group: "PG",
            topic: "T",
            default_topic: "TBW102",
            default_topic_queue_nums: 4,
            queue_id: 0,
            sys_flag: 0,
            born_timestamp: 1,
            flag: 0,
            properties: None,
            reconsume_times: 0,
            unit_mode: false,
            max_reconsume_times: None,
            batch: false,
            broker_name: None,
        };
        self.ask(RequestCode::SendMessageV2, &header, b"x")
    }

    /// Appends messages until the log takes not even a short one.
    fn fill(&self) {
        let body = vec![7; 1 << 20];
        let mut len = body.len();
        while len > 0 {
            match self.shard.store.append_message(&self.draft(&body[..len])) {
                Ok(()) => {
                    let message = Completion::OnewayMessage(runtime::now());
                    self.shard.completions.borrow_mut().push(message);
                }
                Err(AppendError::Busy { .. }) => len /= 2,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn draft<'a>(&self, body: &'a [u8]) -> Draft<'a> {
        Draft {
            topic: "T",
            queue_id: QueueId(0),
            flag: 0,
            sys_flag: 0,
            born_time: UnixMillis(1),
            born_host: self.client.local(),
            store_host: self.shard.identity.address,
            reconsume_times: 0,
            prepared_offset: 0,
            body,
            properties: b"",
            more_properties: b"",
        }
    }

    fn pull(&self) -> Task<Command> {
        let header = PullHeader {
            consumer_group: "G",
            topic: "T",
            lite_topic: None,
            queue_id: 0,
            queue_offset: 0,
            max_msg_nums: 32,
            sys_flag: pull_flag::SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_millis: 0,
            subscription: Some("*"),
            sub_version: 0,
            expression_type: None,
            max_msg_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
        };
        self.ask(RequestCode::PullMessage, &header, b"")
    }
}

fn in_simulation<F: Future<Output = ()> + 'static>(test: fn() -> F) {
    let simulation = Simulation::new(3);
    let node = simulation.node("node", IP);
    let executor = node.start("test", test);
    simulation.join(executor, Duration::from_secs(600)).expect("the run ends");
}

#[test]
fn a_failed_log_is_told_and_reads_go_on() {
    in_simulation(|| async {
        let stalled = Stalled::start().await;
        let stored = stalled.send();
        stalled.apply_one().await;
        assert_eq!(stored.await.code, 0);
        stalled.pull().await; // makes the group, which is not applied
        let lost = [stalled.send(), stalled.send()];
        runtime::sleep(Duration::from_millis(50)).await;
        assert_eq!(stalled.shard.completions.borrow().len(), 3);

        let error = IoError::path(IoOp::Write, "/store/log/0", std::io::Error::other("test"));
        failed(&stalled.shard, &error.into());
        for lost in lost {
            let answer = lost.await;
            assert_eq!(answer.code, ResponseCode::ServiceNotAvailable.code());
            let remark = answer.remark.expect("a reason");
            assert!(remark.contains("whether it was stored is unknown"), "{remark}");
        }
        let answer = stalled.send().await;
        assert_eq!(answer.code, ResponseCode::ServiceNotAvailable.code());
        let remark = answer.remark.expect("a reason");
        assert!(remark.contains("its log has failed, messages can only be read"), "{remark}");
        let answer = stalled.pull().await;
        assert_eq!((answer.code, answer.remark.as_deref()), (0, Some("FOUND")));
    });
}

#[test]
fn a_member_that_has_ended_by_itself_stops_its_shard_as_a_failed_log_does() {
    in_simulation(|| async {
        let stalled = Stalled::start().await;
        let stored = stalled.send();
        stalled.apply_one().await;
        assert_eq!(stored.await.code, 0);
        let waits = stalled.send();
        runtime::sleep(Duration::from_millis(50)).await;
        member_failed(&stalled.shard, "panicked");
        let code = ResponseCode::ServiceNotAvailable.code();
        assert_eq!(waits.await.code, code);
        assert_eq!(stalled.send().await.code, code);
        let answer = stalled.pull().await;
        assert_eq!((answer.code, answer.remark.as_deref()), (0, Some("FOUND")));
        // A log that fails later changes nothing.
        let error = IoError::path(IoOp::Write, "/store/log/0", std::io::Error::other("test"));
        failed(&stalled.shard, &error.into());
        assert_eq!(stalled.shard.phase.get(), Phase::Failed);
    });
}

#[test]
fn what_a_newer_leader_writes_ends_the_member_and_not_the_process() {
    in_simulation(|| async {
        let Stalled { shard, events, client, _server: server } = Stalled::start().await;
        drop(client);
        let text = "enableDLegerCommitLog=true\ndLegerSelfId=n0\nbrokerName=b\ndLegerPeers=n0-10.0.0.1:40911\n";
        let config = crate::config::of_text(text).expect("the configuration fits");
        let group = config.raft_group.as_ref().expect("there is a group");
        let layout = group.layouts(&config, &[Some(IP.into())]).expect("it fits").remove(0);
        // The same store, of which a group's leader writes the log.
        drop(server);
        let store = shard.store.clone();
        let (config, identity) = (Arc::clone(&shard.config), shard.identity.clone());
        let member = Shard::new(config, identity, store, mailboxes(1).remove(0)).in_group(layout);
        let member = Rc::new(member);
        member.phase.set(Phase::Serving);
        let applying = runtime::spawn(run(Rc::clone(&member), events.into_inner()));
        let topic = TopicConfig::new("U", 1, 6);
        member.store.append_command(storage::CommandKind(99), b"from the future").expect("room");
        member.store.append_create_topic("U", 1, &topic.to_bytes()).expect("room");
        runtime::sleep(Duration::from_millis(50)).await;
        assert_eq!(member.phase.get(), Phase::Failed);
        assert!(member.topics.borrow().find("U").is_none(), "nothing behind it is applied");
        member.store.stop().await;
        applying.await;
    });
}

#[test]
fn a_member_that_has_ended_by_itself_leaves_office_before_anything_comes_back() {
    in_simulation(|| async {
        let group = [
            ("enableDLegerCommitLog", "true"),
            ("dLegerPeers", "n4-10.0.0.1:40911"),
            ("dLegerSelfId", "n4"),
        ];
        let (shard, _events) = shard(&group).await;
        shard.replica.as_ref().expect("it is one of a group").put_into_office(Term(1));
        assert_eq!((shard.present_office().broker_id, shard.present_office().term), (0, 1));
        shard.completions.borrow_mut().push(Completion::OnewayMessage(runtime::now()));
        member_failed(&shard, "its disk could not be read");
        assert!(shard.completions.borrow().is_empty(), "nobody waits any more");
        // What is committed all the same is another one's from now on, and asks for nobody who waits.
        assert_eq!((shard.present_office().broker_id, shard.present_office().term), (5, 0));
    });
}

#[test]
fn the_last_offsets_wait_for_a_busy_log() {
    in_simulation(|| async {
        let stalled = Stalled::start().await;
        let shard = Rc::clone(&stalled.shard);
        let group = "G".repeat(120);
        let created = groups::put(&shard, SubscriptionGroup::new(&group), Completion::Silent);
        created.expect("room");
        stalled.apply_one().await;
        stalled.fill();
        offsets::note(&shard, &group, "T", 0, 5).expect("there is such a queue");
        offsets::propose(&shard, None);
        assert_eq!(shard.offsets.borrow().pending(), 1, "the log is busy");

        let all = Rc::clone(&shard);
        let all = runtime::spawn(async move { offsets::propose_all(&all).await });
        while shard.offsets.borrow().pending() > 0 || !shard.completions.borrow().is_empty() {
            stalled.apply_one().await;
        }
        all.await;
        let committed = shard.offsets.borrow().find(&group, "T", QueueId(0));
        assert_eq!(committed, Some(QueueOffset(5)));
    });
}

#[test]
fn a_busy_log_shuts_no_consumer_out() {
    in_simulation(|| async {
        let stalled = Stalled::start().await;
        let shard = &stalled.shard;
        let group = "G".repeat(120);
        stalled.fill();
        let request = CommandRef {
            code: RequestCode::HeartBeat.code(),
            flag: Flags::REQUEST,
            opaque: 1,
            version: 0,
            language: Language::default(),
            remark: None,
            ext: remoting::ExtRef::new(),
        };
        let beat = format!(r#"{{"clientID":"c","consumerDataSet":[{{"groupName":"{group}"}}]}}"#);
        clients::heartbeat(shard, &stalled.client, &request, Bytes::from(beat));
        assert!(shard.groups.borrow().find(&group).is_none(), "the log is busy");
        let members = shard.clients.borrow().consumers(&group).map(|group| group.ids().len());
        assert_eq!(members, Some(1));
    });
}

#[test]
fn a_topic_beyond_the_queues_of_a_shard_is_refused() {
    in_simulation(|| async {
        let stalled = Stalled::start().await;
        let shard = &stalled.shard;
        let most = u32::try_from(crate::limits::MAX_QUEUES_TOTAL).expect("a small number");
        shard.topics.borrow_mut().apply(TopicConfig::new("Big", most - 3, 6), true, 1);
        let one = |name: &str| TopicConfig::new(name, 1, 6);
        topics::put(shard, one("Fits"), Completion::Silent).expect("there is room");
        topics::ensure(shard, one("Fits too"), Completion::Silent).expect("there is room");
        for refused in [
            topics::put(shard, one("Over"), Completion::Silent).map(drop),
            topics::ensure(shard, one("Over"), Completion::Silent),
        ] {
            let refusal = refused.expect_err("there is no room");
            assert!(refusal.remark.contains("the limit is 1000000"), "{}", refusal.remark);
        }
        assert!(shard.topics.borrow().find("Over").is_none());
        stalled.apply_one().await;
        stalled.apply_one().await;
        assert!(shard.completions.borrow().is_empty(), "nothing was appended for the refused");
    });
}

/// A NameServer that keeps the last registration.
#[derive(Default)]
struct LastRegistration(RefCell<Option<TopicConfigs>>);

impl Serve for LastRegistration {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, body: Bytes) {
        assert_eq!(request.code, RequestCode::RegisterBroker.code());
        let body = RegisterBrokerBody::decode(&body).expect("a body");
        self.0.replace(Some(body.topics));
        let head = ResponseHead { code: 0, opaque: request.opaque, remark: None, ext: &() };
        connection.respond(&head, &[]);
    }
}

#[test]
fn a_failed_log_is_registered_as_read_only_at_once() {
    in_simulation(|| async {
        let stalled = Stalled::start().await;
        let last = Rc::new(LastRegistration::default());
        let listen = (IP, 9876).into();
        let namesrv = Server::bind(listen, Limits::default(), Rc::clone(&last)).await;
        let namesrv = namesrv.expect("a free port");
        namesrv.serve();
        register::start(&stalled.shard);
        runtime::sleep(Duration::from_secs(1)).await;
        let before = last.0.take().expect("a registration");
        assert_eq!(before.topic_config_table["T"].perm, 6);

        let error = IoError::path(IoOp::Write, "/store/log/0", std::io::Error::other("test"));
        failed(&stalled.shard, &error.into());
        runtime::sleep(Duration::from_secs(1)).await;
        let after = last.0.take().expect("a registration");
        assert_eq!(after.topic_config_table.keys().collect::<Vec<_>>(), ["T"]);
        assert_eq!(after.topic_config_table["T"].perm, 4);
        // A NameServer looks at the topics of a registration only when their version is another one.
        assert!(after.data_version.counter > before.data_version.counter);
        runtime::sleep(Duration::from_secs(60)).await;
        let later = last.0.take().expect("the regular registration");
        assert_eq!(later.topic_config_table["T"].perm, 4, "it stays so");
    });
}
