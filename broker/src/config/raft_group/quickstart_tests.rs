//! The groups that operators bring: three nodes on one machine, as Apache's quick start has them, and two groups over
//! several machines.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{GroupLayout, Host, PortUse};
use crate::config::{Config, of_text};

fn config(text: &str) -> Config {
    of_text(text).expect("the configuration fits")
}

/// Node `number` of three on one machine: ports for clients lie 10 apart, those of the group 1 apart.
fn quick_start(number: u16, shards: u32) -> Config {
    config(&format!(
        "brokerClusterName = RaftCluster\nbrokerName=RaftNode00\nlistenPort={}\nnamesrvAddr=127.0.0.1:9876\n\
         storePathRootDir=/tmp/rmqstore/node0{number}\nenableDLegerCommitLog=true\ndLegerGroup=RaftNode00\n\
         dLegerPeers=n0-127.0.0.1:40911;n1-127.0.0.1:40912;n2-127.0.0.1:40913\ndLegerSelfId=n{number}\nshards={shards}\n",
        30911 + 10 * number
    ))
}

/// The layouts of a configuration whose members all have addresses in it.
fn layouts(config: &Config) -> Vec<GroupLayout> {
    let group = config.raft_group.as_ref().expect("there is a group");
    let ip = |host: &Host| match host {
        Host::Ip(ip) => Some(*ip),
        Host::Name(name) => panic!("{name} is no address"),
    };
    let ips: Vec<Option<IpAddr>> = group.peers.iter().map(|peer| ip(&peer.host)).collect();
    group.layouts(config, &ips).expect("the addresses fit")
}

fn raft_ports(layout: &GroupLayout) -> Vec<u16> {
    layout.members.iter().map(|member| member.port).collect()
}

/// Panics if two of the nodes, which share a machine, want one port.
#[track_caller]
fn assert_no_port_twice(nodes: &[Config]) {
    let mut taken: HashMap<u16, (usize, PortUse)> = HashMap::new();
    for (node, config) in nodes.iter().enumerate() {
        for one in config.ports() {
            if let Some((other, of)) = taken.insert(one.port, (node, one)) {
                panic!("port {}: {one} of node {node}, and {of} of node {other}", one.port);
            }
        }
    }
}

#[test]
fn the_quick_start_with_one_shard_is_apaches_layout() {
    let nodes = [0, 1, 2].map(|number| quick_start(number, 1));
    assert_no_port_twice(&nodes);
    for (number, node) in nodes.iter().enumerate() {
        let found = layouts(node);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "RaftNode00");
        assert_eq!(raft_ports(&found[0]), [40911, 40912, 40913]);
        assert_eq!(found[0].own().label, format!("n{number}"));
        assert_eq!(found[0].listen.port(), [40911, 40912, 40913][number]);
        assert_eq!(found[0].preferred().label, "n0");
        assert_eq!(node.flush, storage::Flush::Sync, "a group flushes unless told otherwise");
    }
    let ids: Vec<u32> = layouts(&nodes[0])[0].members.iter().map(|m| m.follower_id).collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn the_quick_start_with_two_shards_has_room_for_both() {
    let nodes = [0, 1, 2].map(|number| quick_start(number, 2));
    assert_no_port_twice(&nodes);
    let found = nodes.each_ref().map(layouts);
    for of_node in &found {
        let names: Vec<&str> = of_node.iter().map(|layout| layout.name.as_str()).collect();
        assert_eq!(names, ["RaftNode00", "RaftNode00-1"]);
        assert_eq!(raft_ports(&of_node[0]), [40911, 40912, 40913]);
        assert_eq!(raft_ports(&of_node[1]), [41011, 41012, 41013]);
        let preferred = [&of_node[0], &of_node[1]].map(|layout| layout.preferred().label.as_str());
        assert_eq!(preferred, ["n0", "n1"]);
    }
    // All see the same group, and each another one of it as itself.
    let [first, second, third] = &found;
    for ((first, second), third) in first.iter().zip(second).zip(third) {
        assert_eq!(first.members, second.members);
        assert_eq!(second.members, third.members);
        assert_eq!([first.own, second.own, third.own], [0, 1, 2]);
    }
}

#[test]
fn nodes_with_as_many_shards_as_there_are_before_the_groups_share_a_machine() {
    let nodes = [0, 1, 2].map(|number| quick_start(number, 99));
    assert_no_port_twice(&nodes);
}

#[test]
fn two_groups_over_six_machines_know_nothing_of_each_other() {
    let of = |name: &str, peers: &str, own: &str| {
        config(&format!(
            "brokerName={name}\ndLegerGroup={name}\nlistenPort=30911\nenableDLegerCommitLog=true\ndLegerPeers={peers}\n\
             dLegerSelfId={own}\nshards=2\n\
             namesrvAddr=10.106.161.7:9876;10.106.161.8:9876;10.106.161.9:9876;10.106.160.10:9876;\n"
        ))
    };
    let one = of(
        "suzhou@broker",
        "n0-10.106.161.7:40911;n1-10.106.161.8:40912;n2-10.106.160.10:40913",
        "n2",
    );
    let other = of(
        "shanghai@broker",
        "n0-10.106.160.12:40911;n1-10.106.160.11:40912;n2-10.106.161.9:40913",
        "n0",
    );
    let (one, other) = (layouts(&one), layouts(&other));
    assert_eq!(one[1].name, "suzhou@broker-1");
    assert_eq!(one[1].own_addr().to_string(), "10.106.160.10:41013");
    assert_eq!(other[0].own_addr().to_string(), "10.106.160.12:40911");
    for member in &one[0].members {
        assert!(
            other[0]
                .members
                .iter()
                .all(|there| there.addr.map(|addr| addr.ip()) != member.addr.map(|addr| addr.ip()))
        );
    }
}
