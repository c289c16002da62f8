//! Requests over connections, on both backends.

mod support;

use std::time::Duration;

use namesrv::{Config, start};
use remoting::body::{
    Body, ClusterInfo, KvTable, MemberGroupReply, RegisterBrokerBody, TopicList, body_crc,
};
use remoting::header::DecodeExt;
use remoting::header::route::{
    BrokerHeader, DataVersionReply, MemberGroupHeader, RegisterBrokerHeader, RegisterBrokerReply,
};
use remoting::{Command, RequestCode};
use support::{
    BROKER, Broker, Peer, everywhere, in_simulation, namesrv, namesrv_with, until_addrs,
};
use transport::BindError;

fn topics(answer: &Command) -> Vec<String> {
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
    TopicList::decode(&answer.body).expect("a topic list").topic_list
}

#[test]
fn a_broker_registers_and_a_client_finds_its_topic() {
    everywhere(|addr| async move {
        let server = namesrv(addr).await;
        let (broker, client) = (Peer::to(&server).await, Peer::to(&server).await);
        let (code, _) = client.route("T").await;
        assert_eq!(code, 17);
        assert_eq!(broker.register(&BROKER).await.code, 0);

        let answer = client.ask_with(RequestCode::GetRouteinfoByTopic, &[("topic", "T")]).await;
        let expected = r#"{"brokerDatas":[{"brokerAddrs":{"0":"10.1.1.1:10911"},"brokerName":"b","cluster":"C","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#;
        assert_eq!(std::str::from_utf8(&answer.body).unwrap(), expected);

        let answer = client.ask(Command::request(RequestCode::GetBrokerClusterInfo)).await;
        let info = ClusterInfo::decode(&answer.body).unwrap();
        assert_eq!(info.broker_addr_table["b"].broker_addrs[&0], "10.1.1.1:10911");
        assert!(info.cluster_addr_table["C"].contains("b"));

        let all = client.ask(Command::request(RequestCode::GetAllTopicListFromNameserver)).await;
        assert_eq!(topics(&all), ["T", "U"]);
        let some = client.ask_with(RequestCode::GetTopicsByCluster, &[("cluster", "C")]).await;
        assert_eq!(topics(&some), ["T", "U"]);
        let none = client.ask_with(RequestCode::GetTopicsByCluster, &[("cluster", "D")]).await;
        assert!(topics(&none).is_empty());
        let system = client.ask(Command::request(RequestCode::GetSystemTopicListFromNs)).await;
        assert_eq!(topics(&system), ["C", "b"]);
    });
}

#[test]
fn a_broker_is_taken_out_of_the_producers_routes_and_put_back() {
    everywhere(|addr| async move {
        let server = namesrv(addr).await;
        let (broker, tool) = (Peer::to(&server).await, Peer::to(&server).await);
        broker.register(&BROKER).await;
        let (wipe, add) = (RequestCode::WipeWritePermOfBroker, RequestCode::AddWritePermOfBroker);
        for (code, count, perm) in
            [(wipe, "wipeTopicCount", r#""perm":4"#), (add, "addTopicCount", r#""perm":6"#)]
        {
            let answer = tool.ask_with(code, &[("brokerName", "b")]).await;
            let topics = answer.ext.iter().find(|(name, _)| *name == count);
            assert_eq!((answer.code, topics.map(|(_, value)| value)), (0, Some("2")));
            let route = tool.ask_with(RequestCode::GetRouteinfoByTopic, &[("topic", "T")]).await;
            let route = std::str::from_utf8(&route.body).unwrap();
            assert!(route.contains(perm), "{route}");
        }
    });
}

#[test]
fn a_closed_connection_takes_the_route_along_at_once() {
    everywhere(|addr| async move {
        let server = namesrv(addr).await;
        let (broker, client) = (Peer::to(&server).await, Peer::to(&server).await);
        broker.register(&BROKER).await;
        assert_eq!(client.addrs("T").await, [BROKER.addr]);
        let before = runtime::now();
        broker.0.close();
        until_addrs(&client, "T", 0).await;
        assert!(runtime::now() - before < Duration::from_secs(1));
        assert_eq!(client.route("T").await.0, 17);
    });
}

#[test]
fn a_broker_that_came_back_survives_the_end_of_its_old_connection() {
    everywhere(|addr| async move {
        let server = namesrv(addr).await;
        let (old, new) = (Peer::to(&server).await, Peer::to(&server).await);
        old.register(&BROKER).await;
        new.register(&BROKER).await;
        old.0.close();
        old.0.closed().await;
        runtime::sleep(Duration::from_millis(100)).await;
        assert_eq!(new.addrs("T").await, [BROKER.addr]);
    });
}

#[test]
fn a_silent_broker_is_removed_and_its_connection_closed() {
    in_simulation(|addr| async move {
        let server = namesrv(addr).await;
        let (broker, client) = (Peer::to(&server).await, Peer::to(&server).await);
        broker.register(&BROKER).await;
        // Route lookups are traffic of the client, not of the broker.
        for second in 0..115 {
            assert_eq!(client.addrs("T").await.len(), 1, "after {second} seconds");
            runtime::sleep(Duration::from_secs(1)).await;
        }
        // Heartbeats keep it.
        for _ in 0..100 {
            let header = [("brokerName", "b"), ("brokerAddr", BROKER.addr), ("clusterName", "C")];
            broker
                .0
                .oneway(&Command::oneway(RequestCode::BrokerHeartbeat).with_ext(&header))
                .unwrap();
            runtime::sleep(Duration::from_secs(1)).await;
            assert_eq!(client.addrs("T").await.len(), 1);
        }
        runtime::sleep(Duration::from_secs(118)).await;
        assert_eq!(client.addrs("T").await.len(), 1);
        runtime::sleep(Duration::from_secs(8)).await;
        assert!(client.addrs("T").await.is_empty());
        broker.0.closed().await;
    });
}

#[test]
fn a_broker_that_names_a_short_time_goes_sooner() {
    in_simulation(|addr| async move {
        let server = namesrv(addr).await;
        let (broker, client) = (Peer::to(&server).await, Peer::to(&server).await);
        broker.register(&Broker { timeout: Some(3000), ..BROKER }).await;
        runtime::sleep(Duration::from_secs(2)).await;
        assert_eq!(client.addrs("T").await.len(), 1);
        runtime::sleep(Duration::from_secs(7)).await;
        assert!(client.addrs("T").await.is_empty());
        assert!(!broker.0.is_open(), "what is behind the connection is not there any more");
    });
}

#[test]
fn compressed_and_damaged_registrations() {
    everywhere(|addr| async move {
        let server = namesrv(addr).await;
        let peer = Peer::to(&server).await;
        let body = BROKER.body().encode_compressed().unwrap();
        let header = RegisterBrokerHeader {
            compressed: Some(true),
            body_crc32: Some(body_crc(&body)),
            ..BROKER.header()
        };
        let whole = Command::request(RequestCode::RegisterBroker).with_ext(&header);
        let mut damaged = body.clone();
        damaged[10] ^= 1;
        let refused = peer.ask(whole.clone().with_body(damaged.clone())).await;
        assert_eq!(refused.code, 1);
        assert!(refused.remark.unwrap().contains("crc32 not match"));
        let unchecked = RegisterBrokerHeader { body_crc32: None, ..header };
        let unchecked = Command::request(RequestCode::RegisterBroker).with_ext(&unchecked);
        assert_eq!(peer.ask(unchecked.with_body(damaged)).await.code, 1);
        assert!(peer.addrs("T").await.is_empty());
        assert_eq!(peer.ask(whole.with_body(body.clone())).await.code, 0);
        assert_eq!(peer.addrs("T").await, [BROKER.addr]);

        // As a broker of RocketMQ 5.5.0 with compressedRegister=true does it.
        let other = Broker { addr: "10.1.1.7:10911", name: "c", ..BROKER };
        let denied = RegisterBrokerHeader { compressed: Some(false), ..other.header() };
        let denied = Command::request(RequestCode::RegisterBroker).with_ext(&denied);
        assert_eq!(peer.ask(denied.with_body(body)).await.code, 0);
        assert_eq!(peer.addrs("T").await, [BROKER.addr, other.addr]);
    });
}

#[test]
fn versions_members_and_leaving() {
    everywhere(|addr| async move {
        let server = namesrv(addr).await;
        let peer = Peer::to(&server).await;
        let slave = Broker { id: 1, addr: "10.1.1.2:10911", ..BROKER };
        peer.register(&BROKER).await;
        let reply = peer.register(&slave).await;
        let told = RegisterBrokerReply::decode(RequestCode::RegisterBroker, &reply.ext).unwrap();
        assert_eq!(
            (told.master_addr, told.ha_server_addr),
            (Some(BROKER.addr), Some("10.1.1.1:10912"))
        );

        let header = BrokerHeader {
            broker_name: "b",
            broker_addr: BROKER.addr,
            cluster_name: "C",
            broker_id: 0,
        };
        for (counter, changed) in [(1, false), (2, true)] {
            let version = Broker { counter, ..BROKER }.version();
            let ask = Command::request(RequestCode::QueryDataVersion)
                .with_ext(&header)
                .with_body(version.encode());
            let answer = peer.ask(ask).await;
            let reply =
                DataVersionReply::decode(RequestCode::QueryDataVersion, &answer.ext).unwrap();
            assert_eq!(reply.changed, changed);
            assert_eq!(&answer.body[..], &BROKER.version().encode()[..]);
        }

        let ask = MemberGroupHeader { cluster_name: "C", broker_name: "b" };
        let answer = peer.ask_with(RequestCode::GetBrokerMemberGroup, &ask).await;
        let group = MemberGroupReply::decode(&answer.body).unwrap().broker_member_group.unwrap();
        assert_eq!(group.broker_addrs.into_keys().collect::<Vec<_>>(), [0, 1]);

        assert_eq!(peer.unregister(&BROKER).await.code, 0);
        assert_eq!(peer.addrs("T").await, [slave.addr]);
        assert_eq!(peer.unregister(&slave).await.code, 0);
        assert_eq!(peer.unregister(&slave).await.code, 0);
        assert_eq!(peer.route("T").await.0, 17);
    });
}

#[test]
fn topics_are_deleted_and_keys_kept() {
    everywhere(|addr| async move {
        let config = Config { listen: addr, order_in_routes: true, ..Config::default() };
        let server = namesrv_with(config).await;
        let peer = Peer::to(&server).await;
        peer.register(&BROKER).await;
        let key = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "T")];
        assert_eq!(peer.ask_with(RequestCode::GetKvConfig, &key).await.code, 22);
        assert_eq!(peer.ask_with(RequestCode::GetKvlistByNamespace, &key).await.code, 22);
        let put = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "T"), ("value", "b:4")];
        assert_eq!(peer.ask_with(RequestCode::PutKvConfig, &put).await.code, 0);
        let read = peer.ask_with(RequestCode::GetKvConfig, &key).await;
        assert_eq!((read.code, read.ext.get("value")), (0, Some("b:4")));
        let (_, route) = peer.route("T").await;
        assert_eq!(route.unwrap().order_topic_conf.as_deref(), Some("b:4"));
        let reply = peer.register(&BROKER).await;
        assert_eq!(KvTable::decode(&reply.body).unwrap().table["T"], "b:4");
        let list = peer.ask_with(RequestCode::GetKvlistByNamespace, &key).await;
        assert_eq!(KvTable::decode(&list.body).unwrap().table.len(), 1);
        assert_eq!(peer.ask_with(RequestCode::DeleteKvConfig, &key).await.code, 0);
        assert_eq!(peer.ask_with(RequestCode::GetKvConfig, &key).await.code, 22);

        let elsewhere = [("topic", "T"), ("clusterName", "D")];
        assert_eq!(peer.ask_with(RequestCode::DeleteTopicInNamesrv, &elsewhere).await.code, 0);
        assert_eq!(peer.route("T").await.0, 0);
        let here = [("topic", "T"), ("clusterName", "C")];
        assert_eq!(peer.ask_with(RequestCode::DeleteTopicInNamesrv, &here).await.code, 0);
        assert_eq!(peer.route("T").await.0, 17);
        assert_eq!(
            peer.ask_with(RequestCode::DeleteTopicInNamesrv, &[("topic", "U")]).await.code,
            0
        );
        let all = peer.ask(Command::request(RequestCode::GetAllTopicListFromNameserver)).await;
        assert!(topics(&all).is_empty());
    });
}

#[test]
fn what_is_not_served_or_not_understood_says_so() {
    everywhere(|addr| async move {
        let config = Config {
            listen: addr,
            list_all_topics: false,
            list_topics: false,
            ..Config::default()
        };
        let server = namesrv_with(config).await;
        let peer = Peer::to(&server).await;
        for code in [10, 310, 99_999] {
            let answer = peer.ask(Command::request(code)).await;
            assert_eq!(answer.code, 3);
            assert_eq!(answer.remark.unwrap(), format!(" request type {code} not supported"));
        }
        let answer = peer.ask(Command::request(RequestCode::GetRouteinfoByTopic)).await;
        assert_eq!(answer.code, 1);
        assert!(answer.remark.unwrap().contains("`topic`"));
        let garbage = Command::request(RequestCode::RegisterBroker).with_ext(&BROKER.header());
        assert_eq!(peer.ask(garbage.with_body("no JSON")).await.code, 1);
        for code in [206, 304, 224] {
            let answer = peer.ask(Command::request(code).with_ext(&[("cluster", "C")])).await;
            assert_eq!(answer.code, 16);
        }
        let (_, remark) =
            (17, peer.ask_with(RequestCode::GetRouteinfoByTopic, &[("topic", "X")]).await.remark);
        assert!(remark.unwrap().starts_with("No topic route info in name server for the topic: X"));
    });
}

#[test]
fn routes_wait_for_the_brokers_if_asked_to() {
    in_simulation(|addr| async move {
        let config = Config { listen: addr, warm_up: Duration::from_secs(45), ..Config::default() };
        let server = namesrv_with(config).await;
        let peer = Peer::to(&server).await;
        peer.register(&BROKER).await;
        assert_eq!(peer.route("T").await.0, 1);
        runtime::sleep(Duration::from_secs(46)).await;
        assert_eq!(peer.route("T").await.0, 0);
    });
}

#[test]
fn name_servers_side_by_side_know_nothing_of_each_other() {
    everywhere(|addr| async move {
        let (one, two) = (namesrv(addr).await, namesrv(addr).await);
        let (first, second) = (Peer::to(&one).await, Peer::to(&two).await);
        first.register(&BROKER).await;
        assert_eq!(second.route("T").await.0, 17);
        second.register(&BROKER).await;
        one.stop().await;
        assert_eq!(second.addrs("T").await, [BROKER.addr]);
        let taken = start(Config { listen: two.local_addr(), ..Config::default() }).await.err();
        assert!(matches!(taken, Some(BindError::InUse { .. })));
        two.stop().await;
    });
}

#[test]
fn an_empty_registration_is_a_broker_without_topics() {
    everywhere(|addr| async move {
        let server = namesrv(addr).await;
        let peer = Peer::to(&server).await;
        let bare = Command::request(RequestCode::RegisterBroker).with_ext(&BROKER.header());
        assert_eq!(peer.ask(bare).await.code, 0);
        let answer = peer.ask(Command::request(RequestCode::GetBrokerClusterInfo)).await;
        assert!(ClusterInfo::decode(&answer.body).unwrap().broker_addr_table.contains_key("b"));
        let one = Broker { topics: &["V"], counter: 2, ..BROKER };
        assert_eq!(peer.register(&one).await.code, 0, "one changed topic of a known broker");
        assert_eq!(peer.addrs("V").await, [BROKER.addr]);
        let strange = Broker { name: "new", addr: "10.1.1.9:10911", topics: &["V"], ..BROKER };
        assert_eq!(peer.register(&strange).await.code, 1, "one topic of a broker nobody knows");
        assert_eq!(RegisterBrokerBody::decode(&strange.body().encode()).unwrap(), strange.body());
    });
}

#[test]
fn the_death_of_a_broker_machine_is_news() {
    let simulation = runtime::sim::Simulation::new(5);
    let [names, machine, client] = [(5, "names"), (6, "broker"), (7, "client")]
        .map(|(last, name)| simulation.node(name, [10, 0, 0, last].into()));
    let listen = ([10, 0, 0, 5], 9876).into();
    drop(names.start("namesrv", move || async move {
        let server = namesrv(listen).await;
        runtime::sleep(Duration::from_secs(100)).await;
        drop(server);
    }));
    simulation.run_for(Duration::from_millis(10));
    drop(machine.start("broker", move || async move {
        let peer = Peer::at(listen).await;
        peer.register(&BROKER).await;
        runtime::sleep(Duration::from_secs(100)).await;
    }));
    simulation.run_for(Duration::from_secs(1));
    let brokers = || {
        let asked = client
            .start("client", move || async move { Peer::at(listen).await.addrs("T").await.len() });
        simulation.join(asked, Duration::from_secs(1)).unwrap()
    };
    assert_eq!(brokers(), 1);
    machine.crash();
    simulation.run_for(Duration::from_millis(100));
    assert_eq!(brokers(), 0);
}
