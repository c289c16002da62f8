//! The rules, one test each, without a socket or a clock.

use std::time::Duration;

use remoting::route::Perm;

use super::*;
use crate::limits::{BROKER_TIMEOUT, MAX_NAME};

const START: Moment = Moment(Duration::from_secs(1000));

fn after(seconds: u64) -> Moment {
    Moment(START.0 + Duration::from_secs(seconds))
}

fn process(addr: &str) -> Process {
    Process { cluster: "C".into(), addr: addr.into() }
}

fn topic(name: &str, queues: i32) -> Topic {
    let queues = Queues { read: queues, write: queues, perm: Perm::READ_WRITE, sys_flag: 0 };
    Topic { name: name.into(), queues }
}

/// Broker `b` of cluster `C` with id 0 and topics T and U.
fn broker(addr: &str, link: u64) -> Registration {
    Registration {
        process: process(addr),
        name: "b".into(),
        id: 0,
        ha_addr: format!("{addr}-ha"),
        timeout: None,
        acting_master: Some(false),
        version: Version { state: 0, timestamp: 1, counter: 1 },
        topics: vec![topic("T", 4), topic("U", 8)],
        link: Link(link),
    }
}

fn slave(addr: &str, link: u64) -> Registration {
    Registration { id: 1, ..broker(addr, link) }
}

fn routes_with(all: impl IntoIterator<Item = Registration>) -> Routes {
    let mut routes = Routes::default();
    for reg in all {
        routes.register(START, reg).unwrap();
    }
    routes
}

fn addrs(routes: &Routes, topic: &str) -> Vec<(i64, String)> {
    let route = routes.route(topic);
    route.into_iter().flat_map(|r| r.brokers).flat_map(|b| b.addrs).collect()
}

fn topics(routes: &Routes) -> Vec<&str> {
    routes.topics().collect()
}

#[test]
fn a_broker_registers_and_its_topics_have_a_route() {
    let routes = routes_with([broker("h:1", 1)]);
    let route = routes.route("T").unwrap();
    assert_eq!(route.brokers.len(), 1);
    assert_eq!(route.brokers[0].cluster, "C");
    assert_eq!(route.queues, [("b".to_owned(), topic("T", 4).queues)]);
    assert_eq!(addrs(&routes, "U"), [(0, "h:1".to_owned())]);
    assert_eq!(routes.route("V"), None);
    assert_eq!(topics(&routes), ["T", "U"]);
    assert_eq!(routes.system_topics(), (vec!["C", "b"], Some("h:1")));
}

#[test]
fn joining_is_told_once() {
    let mut routes = Routes::default();
    assert!(routes.register(START, broker("h:1", 1)).unwrap().joined);
    assert!(!routes.register(after(30), broker("h:1", 1)).unwrap().joined);
    let became_slave = routes.register(after(31), slave("h:1", 1)).unwrap();
    assert!(became_slave.joined);
}

#[test]
fn one_changed_topic_is_added_to_the_others() {
    let mut routes = routes_with([broker("h:1", 1)]);
    let version = Version { counter: 2, ..broker("", 0).version };
    let one = Registration { topics: vec![topic("V", 2)], version, ..broker("h:1", 1) };
    routes.register(after(1), one).unwrap();
    assert_eq!(topics(&routes), ["T", "U", "V"]);
}

#[test]
fn one_topic_of_a_stranger_is_refused() {
    let mut routes = Routes::default();
    let one = Registration { topics: vec![topic("V", 2)], ..broker("h:1", 1) };
    let refused = routes.register(START, one).unwrap_err();
    assert_eq!(refused, Refused::NotRegistered { name: "b".into(), addr: "h:1".into() });
    assert_eq!(routes.brokers().count(), 0);
    assert!(topics(&routes).is_empty());
}

#[test]
fn an_unchanged_version_changes_no_topic() {
    let mut routes = routes_with([broker("h:1", 1)]);
    let same = Registration { topics: vec![topic("T", 9), topic("U", 9)], ..broker("h:1", 1) };
    routes.register(after(1), same.clone()).unwrap();
    assert_eq!(routes.route("T").unwrap().queues[0].1.read, 4);
    let newer = Registration { version: Version { counter: 2, ..same.version }, ..same };
    routes.register(after(2), newer).unwrap();
    assert_eq!(routes.route("T").unwrap().queues[0].1.read, 9);
}

#[test]
fn vanished_topics_stay_unless_the_rule_says_otherwise() {
    let fewer = Registration {
        topics: vec![topic("T", 4), topic("W", 1)],
        version: Version { counter: 2, ..Version::default() },
        ..broker("h:1", 1)
    };
    let mut routes = routes_with([broker("h:1", 1)]);
    routes.register(after(1), fewer.clone()).unwrap();
    assert_eq!(topics(&routes), ["T", "U", "W"]);

    let rules = Rules { registration_replaces_topics: true, ..Rules::default() };
    let mut routes = Routes::new(rules);
    routes.register(START, broker("h:1", 1)).unwrap();
    routes.register(after(1), fewer).unwrap();
    assert_eq!(topics(&routes), ["T", "W"]);
    let one = Registration { topics: vec![topic("X", 1)], ..broker("h:1", 1) };
    routes.register(after(2), one).unwrap();
    assert_eq!(topics(&routes), ["T", "W", "X"], "one topic is an addition");
}

#[test]
fn silence_ends_a_broker_at_its_timeout_and_not_before() {
    let mut routes = routes_with([broker("h:1", 1)]);
    let limit = BROKER_TIMEOUT.as_secs();
    assert!(routes.expire(after(limit)).is_empty());
    assert!(routes.heard(after(limit), &process("h:1")));
    assert!(routes.expire(after(2 * limit)).is_empty());
    let left = routes.expire(Moment(after(2 * limit).0 + Duration::from_millis(1)));
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].name.as_str(), left[0].id, left[0].link), ("b", 0, Link(1)));
    assert_eq!(routes.route("T"), None);
    assert!(topics(&routes).is_empty() && routes.clusters().is_empty());
    assert!(!routes.heard(after(300), &process("h:1")));
}

#[test]
fn a_broker_may_name_its_own_timeout() {
    let short = Registration { timeout: Some(Duration::from_secs(2)), ..broker("h:1", 1) };
    let mut routes = routes_with([short]);
    assert!(routes.expire(after(2)).is_empty());
    assert_eq!(routes.expire(after(3)).len(), 1);
}

#[test]
fn a_closed_connection_ends_its_brokers_at_once() {
    let other = Registration { name: "c".into(), ..broker("h:2", 1) };
    let third = Registration { name: "d".into(), ..broker("h:3", 2) };
    let mut routes = routes_with([broker("h:1", 1), other, third]);
    assert_eq!(routes.disconnected(Link(1)).len(), 2);
    assert_eq!(addrs(&routes, "T"), [(0, "h:3".to_owned())]);
    assert!(routes.disconnected(Link(1)).is_empty());
}

#[test]
fn a_broker_that_came_back_over_another_connection_stays() {
    let mut routes = routes_with([broker("h:1", 1), broker("h:1", 2)]);
    assert!(routes.disconnected(Link(1)).is_empty());
    assert!(routes.route("T").is_some());
}

#[test]
fn unregistering_leaves_the_replicas() {
    let mut routes = routes_with([broker("h:1", 1), slave("h:2", 2)]);
    assert_eq!(addrs(&routes, "T"), [(0, "h:1".to_owned()), (1, "h:2".to_owned())]);
    assert!(routes.unregister(&process("h:1")).is_some());
    assert!(routes.unregister(&process("h:1")).is_none());
    assert_eq!(addrs(&routes, "T"), [(1, "h:2".to_owned())]);
    assert!(routes.unregister(&process("h:2")).is_some());
    assert_eq!(routes.route("T"), None);
}

#[test]
fn one_address_has_one_id() {
    let mut routes = routes_with([slave("h:1", 1)]);
    assert_eq!(routes.broker("b").unwrap().addrs.len(), 1);
    routes.register(after(1), broker("h:1", 1)).unwrap();
    let addrs = routes.broker("b").unwrap().addrs;
    assert_eq!(addrs.into_iter().collect::<Vec<_>>(), [(0, "h:1".to_owned())]);
}

#[test]
fn topics_come_from_the_master() {
    let odd = Registration {
        topics: vec![topic("T", 99), topic("only-there", 1)],
        acting_master: None,
        ..slave("h:2", 2)
    };
    let routes = routes_with([broker("h:1", 1), odd]);
    assert_eq!(routes.route("T").unwrap().queues[0].1.read, 4);
    assert_eq!(routes.route("only-there"), None);
}

#[test]
fn a_slave_hears_where_its_master_is() {
    let mut routes = Routes::default();
    let alone = routes.register(START, slave("h:2", 2)).unwrap();
    assert_eq!(alone.master, None);
    let master = routes.register(START, broker("h:1", 1)).unwrap();
    assert_eq!(master.master, None);
    let told = routes.register(after(1), slave("h:2", 2)).unwrap();
    assert_eq!(told.master, Some(("h:1-ha".to_owned(), "h:1".to_owned())));
}

#[test]
fn an_older_state_never_replaces_a_newer_one() {
    let newer =
        Registration { version: Version { state: 5, ..Version::default() }, ..broker("h:1", 1) };
    let mut routes = routes_with([newer]);
    let older =
        Registration { version: Version { state: 4, ..Version::default() }, ..broker("h:2", 2) };
    assert!(matches!(
        routes.register(after(1), older.clone()),
        Err(Refused::Outdated { theirs: 4, live: 5, .. })
    ));
    assert_eq!(addrs(&routes, "T"), [(0, "h:1".to_owned())]);
    assert!(!routes.heard(after(1), &process("h:2")), "a refused broker is not registered");

    let same = Registration { version: Version { state: 5, ..Version::default() }, ..older };
    let accepted = routes.register(after(2), same).unwrap();
    assert_eq!(accepted.replaced, Some(Replaced { addr: "h:1".to_owned(), in_turn: false }));
    assert_eq!(addrs(&routes, "T"), [(0, "h:2".to_owned())]);
    assert!(routes.disconnected(Link(1)).len() == 1 && routes.route("T").is_some());
}

#[test]
fn a_leader_that_was_elected_later_is_told_from_a_second_broker_of_one_name() {
    let of_term = |addr, link, state| {
        let version = Version { state, ..Version::default() };
        Registration { version, ..broker(addr, link) }
    };
    let mut routes = routes_with([of_term("h:1", 1, 5)]);
    let next = routes.register(after(1), of_term("h:2", 2, 6)).unwrap();
    assert_eq!(next.replaced, Some(Replaced { addr: "h:1".to_owned(), in_turn: true }));
    let double = routes.register(after(2), of_term("h:3", 3, 6)).unwrap();
    assert_eq!(double.replaced, Some(Replaced { addr: "h:2".to_owned(), in_turn: false }));
}

#[test]
fn an_acting_master_is_shown_and_cannot_be_written_to() {
    let master = Registration { acting_master: Some(true), ..broker("h:1", 1) };
    let stand_in = Registration { acting_master: Some(true), ..slave("h:2", 2) };
    for shown in [true, false] {
        let mut routes = Routes::new(Rules { acting_master: shown, ..Rules::default() });
        routes.register(START, master.clone()).unwrap();
        routes.register(START, stand_in.clone()).unwrap();
        assert_eq!(routes.route("T").unwrap().queues[0].1.perm, Perm::READ_WRITE);
        routes.unregister(&process("h:1"));
        assert_eq!(routes.route("T").unwrap().queues[0].1.perm, Perm::READ);
        let id = i64::from(!shown);
        assert_eq!(addrs(&routes, "T"), [(id, "h:2".to_owned())]);
        // The slave registers again and may now add topics, without the right to write.
        let mut again = stand_in.clone();
        again.topics.push(topic("N", 1));
        again.version.counter += 1;
        routes.register(after(1), again).unwrap();
        assert_eq!(routes.route("N").unwrap().queues[0].1.perm, Perm::READ);
        routes.register(after(2), master.clone()).unwrap();
        assert_eq!(routes.route("T").unwrap().queues[0].1.perm, Perm::READ_WRITE);
    }
}

#[test]
fn writing_is_forbidden_until_it_is_allowed_or_the_broker_registers_a_change() {
    let perm = |routes: &Routes| routes.route("T").unwrap().queues[0].1.perm;
    let mut routes = routes_with([broker("h:1", 1)]);
    assert_eq!((routes.permit_writing("x", false), perm(&routes)), (0, Perm::READ_WRITE));
    assert_eq!((routes.permit_writing("b", false), perm(&routes)), (2, Perm::READ));
    routes.register(after(30), broker("h:1", 1)).unwrap();
    assert_eq!(perm(&routes), Perm::READ, "it has registered what is known");
    assert_eq!((routes.permit_writing("b", true), perm(&routes)), (2, Perm::READ_WRITE));

    routes.permit_writing("b", false);
    let mut change = broker("h:1", 1);
    change.version.counter += 1;
    routes.register(after(60), change).unwrap();
    assert_eq!(perm(&routes), Perm::READ_WRITE);
}

#[test]
fn versions_are_compared() {
    let mut routes = Routes::default();
    let version = broker("h:1", 1).version;
    assert_eq!(routes.compare(START, &process("h:1"), version), (true, None));
    routes.register(START, broker("h:1", 1)).unwrap();
    assert_eq!(routes.compare(after(100), &process("h:1"), version), (false, Some(version)));
    assert!(routes.expire(after(200)).is_empty(), "an equal version counts as being heard of");
    let newer = Version { counter: 2, ..version };
    assert_eq!(routes.compare(after(219), &process("h:1"), newer), (true, Some(version)));
    assert_eq!(routes.expire(after(221)).len(), 1, "another version does not");
}

#[test]
fn topics_are_dropped_in_one_cluster_or_everywhere() {
    let mut elsewhere = Registration { name: "c".into(), ..broker("h:2", 2) };
    elsewhere.process.cluster = "D".into();
    let mut routes = routes_with([broker("h:1", 1), elsewhere]);
    assert_eq!(routes.topics_of_cluster("D").into_iter().collect::<Vec<_>>(), ["T", "U"]);
    assert!(!routes.drop_topic("T", Some("nowhere")));
    assert!(routes.drop_topic("T", Some("C")));
    assert!(!routes.drop_topic("T", Some("C")));
    assert_eq!(addrs(&routes, "T"), [(0, "h:2".to_owned())]);
    assert!(routes.drop_topic("U", None));
    assert_eq!(topics(&routes), ["T"]);
}

#[test]
fn a_process_that_changes_its_name_or_cluster_leaves_the_old_place() {
    let mut routes = routes_with([broker("h:1", 1)]);
    routes.register(after(1), Registration { name: "new".into(), ..broker("h:1", 1) }).unwrap();
    assert_eq!(routes.brokers().map(|b| b.name).collect::<Vec<_>>(), ["new"]);
    let mut moved = Registration { name: "new".into(), ..broker("h:1", 1) };
    moved.process.cluster = "D".into();
    routes.register(after(2), moved).unwrap();
    assert_eq!(routes.clusters().keys().collect::<Vec<_>>(), ["D"]);
}

#[test]
fn names_have_a_length() {
    let mut routes = Routes::default();
    let long = "x".repeat(MAX_NAME + 1);
    for bad in ["", long.as_str()] {
        let reg = Registration { name: bad.into(), ..broker("h:1", 1) };
        assert!(matches!(
            routes.register(START, reg),
            Err(Refused::BadName { what: "broker", .. })
        ));
        let reg = Registration { topics: vec![topic(bad, 1), topic("T", 1)], ..broker("h:1", 1) };
        assert!(matches!(routes.register(START, reg), Err(Refused::BadName { what: "topic", .. })));
    }
}
