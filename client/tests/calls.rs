//! Calls against scripted peers, on both backends.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use client::{Client, ClientError, Form, Message, NewTopic, Options, Pull, PullStatus, SendStatus};
use remoting::body::{Body, BrokerData, HeartbeatData, TopicRouteData};
use remoting::header::offset::Boundary;
use remoting::{Command, CommandRef, ExtFields, ResponseHead, batch};
use runtime::sim::Simulation;
use runtime::{Placement, Spec};
use transport::{Connection, Limits, Serve, Server};

fn everywhere<F, Fut>(test: F)
where
    F: FnOnce(SocketAddr) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let limit = Duration::from_secs(60);
    let simulation = Simulation::new(3);
    let node = simulation.node("node", [10, 0, 0, 1].into());
    let in_simulation = test.clone();
    let executor = node.start("test", move || in_simulation(([10, 0, 0, 1], 0).into()));
    simulation.join(executor, limit).expect("the simulated run ends in time");

    let spec = Spec { name: "client-test".into(), placement: Placement::Any, busy_poll: None };
    let bounded =
        move || async move { runtime::timeout(limit, test(([127, 0, 0, 1], 0).into())).await };
    let executor = runtime::start(spec, bounded).expect("an executor");
    executor.join().expect("the run ends").expect("the run ends in time");
}

/// Answers what the script says, and remembers what it was asked.
struct Script {
    answer: Box<dyn Fn(&Command) -> Command>,
    asked: RefCell<Vec<Command>>,
    opened: RefCell<usize>,
}

impl Serve for Script {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, body: Bytes) {
        let request = request.into_owned(body);
        let Command { code, remark, ext, body, .. } = (self.answer)(&request);
        let head =
            ResponseHead { code, opaque: request.opaque, remark: remark.as_deref(), ext: &ext };
        connection.respond(&head, &body);
        self.asked.borrow_mut().push(request);
    }

    fn on_open(&self, _: &Connection) {
        *self.opened.borrow_mut() += 1;
    }
}

impl Script {
    fn last(&self) -> (i32, ExtFields, Bytes) {
        let last = self.asked.borrow().last().cloned().expect("it was asked");
        (last.code, last.ext, last.body)
    }
}

async fn serve(
    addr: SocketAddr,
    answer: impl Fn(&Command) -> Command + 'static,
) -> (Server, String, Rc<Script>) {
    let script = Rc::new(Script {
        answer: Box::new(answer),
        asked: RefCell::default(),
        opened: RefCell::default(),
    });
    let server = Server::bind(addr, Limits::default(), script.clone()).await.expect("a free port");
    server.serve();
    let at = server.local_addr().to_string();
    (server, at, script)
}

fn reply(code: i32, ext: &[(&str, &str)]) -> Command {
    let mut answer = Command::reply_to(0, code);
    for (name, value) in ext {
        answer.ext.insert((*name).to_owned(), (*value).to_owned());
    }
    answer
}

fn route() -> TopicRouteData {
    let broker = BrokerData {
        broker_addrs: [(0, "h:1".to_owned())].into(),
        broker_name: "b".to_owned(),
        cluster: "C".to_owned(),
        ..BrokerData::default()
    };
    TopicRouteData { broker_datas: vec![broker], ..TopicRouteData::default() }
}

#[test]
fn the_next_name_server_is_asked_and_then_first() {
    everywhere(|addr| async move {
        let (dead, dead_at, _) = serve(addr, |_| reply(0, &[])).await;
        let dead_addr = dead.local_addr();
        drop(dead);
        let (_live, live_at, script) = serve(addr, |ask| match ask.ext.get("topic") {
            Some("T") => reply(0, &[]).with_body(route().encode()),
            _ => reply(17, &[]).with_remark("no such topic"),
        })
        .await;
        let client = Client::new(Options::new(&format!("{dead_at}; {live_at};")));
        assert_eq!(client.route("T").await.unwrap(), route());
        let error = client.route("U").await.unwrap_err();
        assert_eq!(error.refused_with(), Some(17));
        let said = error.to_string();
        assert!(
            said.contains(&live_at) && said.contains("105") && said.contains("no such topic"),
            "{said}"
        );
        assert_eq!(*script.opened.borrow(), 1, "the connection is kept");
        let (server, _, risen) = serve(dead_addr, |_| reply(0, &[])).await;
        assert_eq!(client.route("T").await.unwrap(), route());
        assert!(risen.asked.borrow().is_empty(), "who answers stays first");
        drop(server);

        let nobody = Client::new(Options::new(&dead_at));
        let said = nobody.route("T").await.unwrap_err().to_string();
        assert!(said.contains("no NameServer answered") && said.contains(&dead_at), "{said}");
        let none = Client::new(Options::new(" ;"));
        assert!(matches!(none.route("T").await, Err(ClientError::NoNameServers)));
    });
}

#[test]
fn a_lost_connection_is_made_again() {
    everywhere(|addr| async move {
        let (server, at, _) = serve(addr, |_| reply(0, &[("offset", "7")])).await;
        let client = Client::new(Options::new(""));
        assert_eq!(client.max_offset(&at, "T", 0).await.unwrap(), 7);
        let listen = server.local_addr();
        server.shutdown(Duration::from_secs(1)).await;
        client.connection(&at).await.expect_err("nobody is there");
        let (_server, _, script) = serve(listen, |_| reply(0, &[("offset", "8")])).await;
        assert_eq!(client.max_offset(&at, "T", 0).await.unwrap(), 8);
        assert_eq!(*script.opened.borrow(), 1);
    });
}

#[test]
fn many_calls_share_one_connection() {
    everywhere(|addr| async move {
        let (_server, at, script) =
            serve(addr, |ask| reply(0, &[("offset", ask.ext.get("queueId").unwrap_or(""))])).await;
        let client = Client::new(Options::new(""));
        let tasks: Vec<_> = (0..100)
            .map(|queue| {
                let (client, at) = (client.clone(), at.clone());
                runtime::spawn(async move {
                    client.min_offset(&at, "T", queue).await.map(|o| (queue, o))
                })
            })
            .collect();
        for task in tasks {
            let (queue, offset) = task.await.unwrap();
            assert_eq!(i64::from(queue), offset);
        }
        assert_eq!(*script.opened.borrow(), 1);
    });
}

#[test]
fn callers_that_wait_for_a_dial_learn_that_it_failed() {
    everywhere(|addr| async move {
        let (gone, at, _) = serve(addr, |_| reply(0, &[])).await;
        gone.shutdown(Duration::from_secs(1)).await;
        let client = Client::new(Options::new(""));
        let dials: Vec<_> = (0..10)
            .map(|_| {
                let (client, at) = (client.clone(), at.clone());
                runtime::spawn(async move { client.connection(&at).await.map(drop) })
            })
            .collect();
        for dial in dials {
            assert!(matches!(dial.await, Err(ClientError::Connect(_))));
        }
        let unknown = client.connection("no-such-host.invalid:1").await.unwrap_err();
        assert!(matches!(unknown, ClientError::Resolve { .. }), "{unknown}");
    });
}

#[test]
fn messages_are_sent_in_every_form() {
    everywhere(|addr| async move {
        let receipt = [("msgId", "ID"), ("queueId", "3"), ("queueOffset", "42")];
        let (_server, at, script) =
            serve(addr, move |ask| match ask.ext.get("b").or(ask.ext.get("topic")) {
                Some("slow") => reply(10, &receipt),
                Some("full") => reply(14, &[]).with_remark("disk full"),
                _ => reply(0, &receipt),
            })
            .await;
        let client = Client::new(Options::new(""));
        let message = Message {
            topic: "T",
            queue: Some(3),
            properties: &[("TAGS", "A"), ("KEYS", "k")],
            body: b"hello",
            ..Message::default()
        };
        let sent = client.send(&at, "G", &message, Form::Short).await.unwrap();
        assert_eq!((sent.status, sent.message_id.as_str()), (SendStatus::Ok, "ID"));
        assert_eq!((sent.queue_id, sent.queue_offset), (3, 42));
        let (code, short, body) = script.last();
        assert_eq!((code, &body[..]), (310, &b"hello"[..]));
        client.send(&at, "G", &message, Form::Long).await.unwrap();
        let (code, long, _) = script.last();
        assert_eq!(code, 10);
        let names = [
            ("a", "producerGroup"),
            ("b", "topic"),
            ("c", "defaultTopic"),
            ("e", "queueId"),
            ("i", "properties"),
        ];
        for (letter, name) in names {
            assert_eq!(short.get(letter), long.get(name), "{name}");
        }
        assert_eq!(short.get("i"), Some("TAGS\u{1}A\u{2}KEYS\u{1}k\u{2}"));
        assert_eq!(short.get("e"), Some("3"));

        let slow = Message { topic: "slow", queue: None, ..message };
        let sent = client.send(&at, "G", &slow, Form::Short).await.unwrap();
        assert_eq!(sent.status, SendStatus::FlushDiskTimeout);
        assert_eq!(script.last().1.get("e"), Some("-1"));
        let full = client.send(&at, "G", &Message { topic: "full", ..message }, Form::Short).await;
        assert_eq!(full.unwrap_err().refused_with(), Some(14));
        let bad = Message { properties: &[("a\u{1}", "b")], ..message };
        assert!(matches!(
            client.send(&at, "G", &bad, Form::Short).await,
            Err(ClientError::Property { .. })
        ));

        client.send_batch(&at, "G", &[message, Message { body: b"two", ..message }]).await.unwrap();
        let (code, ext, body) = script.last();
        assert_eq!((code, ext.get("m"), ext.get("b")), (320, Some("true"), Some("T")));
        let parts: Vec<_> = batch::messages(&body).map(|part| part.unwrap().body).collect();
        assert_eq!(parts, [&b"hello"[..], &b"two"[..]]);
    });
}

#[test]
fn a_pull_has_four_good_ends() {
    everywhere(|addr| async move {
        let (_server, at, script) = serve(addr, |ask| {
            let code = ask.ext.get("queueOffset").and_then(|text| text.parse().ok()).unwrap_or(1);
            let fields = [
                ("suggestWhichBrokerId", "0"),
                ("nextBeginOffset", "5"),
                ("minOffset", "1"),
                ("maxOffset", "9"),
            ];
            reply(code, &fields).with_body("records").with_remark("as told")
        })
        .await;
        let client = Client::new(Options::new(""));
        let pull = Pull {
            group: "G",
            topic: "T",
            queue: 1,
            offset: 0,
            max: 32,
            tags: None,
            hold: None,
            commit: None,
        };
        let ends = [
            (0, PullStatus::Found),
            (19, PullStatus::End),
            (20, PullStatus::NothingFits),
            (21, PullStatus::Moved),
        ];
        for (code, status) in ends {
            let pulled = client.pull(&at, &Pull { offset: code, ..pull }).await.unwrap();
            assert_eq!(pulled.status, status);
            assert_eq!((pulled.reply.next_begin_offset, pulled.reply.max_offset), (5, 9));
            assert_eq!(&pulled.records[..], b"records");
            assert_eq!(script.last().1.get("sysFlag"), Some("0"));
        }
        let refused = client.pull(&at, &Pull { offset: 24, ..pull }).await.unwrap_err();
        assert_eq!(refused.refused_with(), Some(24));
        let all = Pull {
            tags: Some("A || B"),
            hold: Some(Duration::from_secs(15)),
            commit: Some(4),
            ..pull
        };
        client.pull(&at, &all).await.unwrap();
        let (_, ext, _) = script.last();
        assert_eq!(
            (ext.get("sysFlag"), ext.get("suspendTimeoutMillis")),
            (Some("7"), Some("15000"))
        );
        assert_eq!((ext.get("commitOffset"), ext.get("subscription")), (Some("4"), Some("A || B")));
    });
}

#[test]
fn a_held_pull_may_take_longer_than_the_timeout() {
    everywhere(|addr| async move {
        struct Slow;
        impl Serve for Slow {
            fn on_request(&self, connection: &Connection, request: CommandRef<'_>, _: Bytes) {
                let (connection, opaque) = (connection.clone(), request.opaque);
                runtime::spawn(async move {
                    runtime::sleep(Duration::from_millis(300)).await;
                    let ext = [
                        ("suggestWhichBrokerId", "0"),
                        ("nextBeginOffset", "0"),
                        ("minOffset", "0"),
                        ("maxOffset", "0"),
                    ];
                    let head = ResponseHead { code: 19, opaque, remark: None, ext: &ext };
                    connection.respond(&head, &[]);
                })
                .detach();
            }
        }
        let server = Server::bind(addr, Limits::default(), Rc::new(Slow)).await.unwrap();
        server.serve();
        let at = server.local_addr().to_string();
        let client =
            Client::new(Options { timeout: Duration::from_millis(100), ..Options::new("") });
        let pull = Pull {
            group: "G",
            topic: "T",
            queue: 0,
            offset: 0,
            max: 1,
            tags: None,
            hold: Some(Duration::from_secs(1)),
            commit: None,
        };
        assert_eq!(client.pull(&at, &pull).await.unwrap().status, PullStatus::End);
        let short = client.pull(&at, &Pull { hold: None, ..pull }).await.unwrap_err();
        assert!(matches!(short, ClientError::Request(_)), "{short}");
    });
}

#[test]
fn offsets_groups_and_topics() {
    everywhere(|addr| async move {
        let (_server, at, script) = serve(addr, |ask| match ask.code {
            14 if ask.ext.get("consumerGroup") == Some("new") => reply(22, &[]),
            38 => reply(0, &[]).with_body(r#"{"consumerIdList":["a@1"]}"#),
            33 => reply(0, &[]).with_body("record"),
            32 => reply(0, &[("timestamp", "-1")]),
            30 => reply(0, &[]),
            _ => reply(0, &[("offset", "11")]),
        })
        .await;
        let client = Client::new(Options::new(&at));
        assert_eq!(client.group_offset(&at, "new", "T", 0).await.unwrap(), None);
        assert_eq!(client.group_offset(&at, "G", "T", 0).await.unwrap(), Some(11));
        client.commit_offset(&at, "G", "T", 2, 12).await.unwrap();
        assert_eq!(script.last().1.get("commitOffset"), Some("12"));
        assert_eq!(client.search_offset(&at, "T", 0, 5, Boundary::Upper).await.unwrap(), 11);
        assert_eq!(script.last().1.get("boundaryType"), Some("UPPER"));
        assert_eq!(client.earliest_store_time(&at, "T", 0).await.unwrap(), -1);
        assert_eq!(client.consumer_ids(&at, "G").await.unwrap(), ["a@1"]);
        assert_eq!(&client.view(&at, 0).await.unwrap()[..], b"record");
        let broken = client.max_offset(&at, "T", 0).await.unwrap_err();
        assert!(broken.to_string().contains("`offset`"), "{broken}");

        let beat = HeartbeatData { client_id: "me".into(), ..HeartbeatData::default() };
        client.heartbeat(&at, &beat).await.unwrap();
        assert_eq!(HeartbeatData::decode(&script.last().2).unwrap(), beat);
        client.leave(&at, "me", "G").await.unwrap();
        assert_eq!(script.last().1.get("consumerGroup"), Some("G"));
        client.create_topic(&at, &NewTopic::new("T", 8)).await.unwrap();
        let (code, ext, _) = script.last();
        assert_eq!(
            (code, ext.get("topic"), ext.get("readQueueNums"), ext.get("perm")),
            (17, Some("T"), Some("8"), Some("6"))
        );
        client.delete_topic(&at, "T").await.unwrap();
        assert_eq!(script.last().0, 215);
        client.forget_topic("T", Some("C")).await.unwrap();
        let (code, ext, _) = script.last();
        assert_eq!((code, ext.get("clusterName")), (216, Some("C")));
    });
}

/// Names are those of the simulated machines.
#[test]
fn name_servers_may_have_names() {
    let simulation = Simulation::new(8);
    let names = simulation.node("names-1", [10, 0, 0, 2].into());
    let machine = simulation.node("client", [10, 0, 0, 3].into());
    drop(names.start("names", || async {
        let listen = ([10, 0, 0, 2], 9876).into();
        let _served = serve(listen, |_| reply(0, &[]).with_body(route().encode())).await;
        runtime::sleep(Duration::from_secs(60)).await;
    }));
    simulation.run_for(Duration::from_millis(10));
    let asked = machine.start("client", || async {
        Client::new(Options::new("names-1:9876")).route("T").await.expect("a route")
    });
    assert_eq!(simulation.join(asked, Duration::from_secs(5)).expect("it ends"), route());
}
