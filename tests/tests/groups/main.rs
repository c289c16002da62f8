//! Raft groups of brokers, and NameServers, as simulated machines: who leads, who is told, what outlives the leader.

#![forbid(unsafe_code)]

mod cluster;
mod members;
mod recovery;
mod two_brokers;

use std::time::Duration;

use cluster::{Cluster, SECOND};

#[test]
fn a_group_elects_a_leader_that_registers_as_broker_0_and_followers_under_their_ids() {
    for seed in 1..=3 {
        let mut cluster = Cluster::new(seed, 1);
        cluster.start_all();
        let leader = cluster.until_led(0, &[0, 1, 2]);
        let own = |at: usize| (at as i64 + 1, Cluster::addr(at, 0));
        let mut expected = vec![(0, Cluster::addr(leader, 0))];
        expected.extend((0..3).filter(|at| *at != leader).map(own));
        expected.sort();
        for namesrv in 0..2 {
            cluster.until("all are registered", |cluster| {
                cluster.registered(namesrv, 0) == Some(expected.clone())
            });
        }
    }
}

#[test]
fn messages_go_to_the_leader_by_any_member_and_come_from_every_one() {
    let mut cluster = Cluster::new(5, 1);
    cluster.start_all();
    let leader = cluster.until_led(0, &[0, 1, 2]);
    let mut sent = cluster.send_all(leader, 0, 0..50);
    assert_eq!(sent.len(), 50, "each is acknowledged");
    for (other, first) in (0..3).filter(|at| *at != leader).zip([50, 60]) {
        sent.extend(cluster.send_all(other, 0, first..first + 10));
    }
    for at in 0..3 {
        cluster.until("all have all", |cluster| cluster.read(at, 0) == sent);
    }
}

#[test]
fn a_leader_that_dies_is_replaced_and_nothing_acknowledged_is_lost() {
    for seed in 10..14 {
        let mut cluster = Cluster::new(seed, 1);
        cluster.start_all();
        let mut acknowledged = Vec::new();
        for round in 0..3_u32 {
            let leader = cluster.until_led(0, &[0, 1, 2]);
            let first = round * 1000;
            acknowledged.extend(cluster.send_all(leader, 0, first..first + 40));
            cluster.send_and_die(leader, 0, first + 100..first + 140, &mut acknowledged);
            let others: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
            let next = cluster.until_led(0, &others);
            acknowledged.extend(cluster.send_all(next, 0, first + 200..first + 220));
            cluster.check(next, 0, &acknowledged);
            cluster.start(leader);
            let at_new = cluster.read(next, 0);
            cluster.until("it catches up", |cluster| cluster.read(leader, 0) == at_new);
        }
    }
}

#[test]
fn a_leader_that_is_cut_off_acknowledges_nothing_and_is_overruled_at_the_nameservers() {
    for seed in 20..22 {
        let mut cluster = Cluster::new(seed, 1);
        cluster.start_all();
        let leader = cluster.until_led(0, &[0, 1, 2]);
        let before = cluster.send_all(leader, 0, 0..20);
        let others: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
        others.iter().for_each(|other| cluster.cut(leader, *other));
        // Clients and NameServers still reach it.
        let late = cluster.send_within(leader, 0, 500, SECOND * 4);
        assert!(late.is_err(), "seed {seed}: it acknowledged alone: {late:?}");
        let next = cluster.until_led(0, &others);
        let after = cluster.send_all(next, 0, 100..120);
        assert_eq!(cluster.read(leader, 0), before, "it serves what was committed, and no more");
        let refused = cluster.send(leader, 0, 501).expect_err("it is cut off");
        assert!(refused.contains("a majority of the members does not answer it"), "{refused}");
        cluster.run_for(SECOND * 35); // longer than between two registrations
        for namesrv in 0..2 {
            let registered = cluster.registered(namesrv, 0).expect("it answers");
            assert_eq!(registered[0], (0, Cluster::addr(next, 0)), "seed {seed}");
        }
        others.iter().for_each(|other| cluster.mend(leader, *other));
        let all: Vec<u32> = before.iter().chain(&after).copied().collect();
        cluster.check(next, 0, &all);
        let at_new = cluster.read(next, 0);
        cluster.until("it follows", |cluster| cluster.read(leader, 0) == at_new);
    }
}

#[test]
fn a_leader_that_is_told_to_stop_hands_over_first() {
    for seed in 30..33 {
        let mut cluster = Cluster::new(seed, 1);
        cluster.start_all();
        let leader = cluster.until_led(0, &[0, 1, 2]);
        let sent = cluster.send_all(leader, 0, 0..20);
        let others: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
        let began = cluster.now();
        cluster.stop(leader);
        let next = cluster.until_led(0, &others);
        let took = cluster.now() - began;
        // Nobody waits for the lease to run out. Virtual time: no machine's load is in it.
        assert!(took < Duration::from_millis(100), "seed {seed}: {took:?}");
        cluster.check(next, 0, &sent);
        cluster.until("it has ended", |cluster| cluster.has_stopped(leader));
        for namesrv in 0..2 {
            cluster.until("it has said good-bye", |cluster| {
                let registered = cluster.registered(namesrv, 0).expect("it answers");
                registered.iter().all(|(_, addr)| *addr != Cluster::addr(leader, 0))
            });
        }
        cluster.start(leader);
        let at_new = cluster.read(next, 0);
        cluster.until("it is back", |cluster| cluster.read(leader, 0) == at_new);
    }
}

#[test]
fn shards_have_groups_of_their_own_with_leaders_on_all_nodes() {
    let mut cluster = Cluster::new(40, 3);
    cluster.start_all();
    for shard in 0..3 {
        cluster.until("those lead that should", |cluster| cluster.leads(shard as usize, shard));
    }
    // Created by the first shard's leader, on its node, and by those of the others on theirs.
    cluster.send_all(0, 0, 0..10);
    for shard in 1..3 {
        let has_it = |cluster: &mut Cluster| cluster.queues_of(shard as usize, shard, "T") == 4;
        cluster.until("its topic is there too", has_it);
        cluster.send_all(shard as usize, shard, 0..10);
    }
    cluster.crash(1);
    let next = cluster.until_led(1, &[0, 2]);
    cluster.send_all(next, 1, 10..20);
    cluster.start(1);
    cluster.until("the one that should lead does again", |cluster| cluster.leads(1, 1));
    cluster.check(1, 1, &(0..20).collect::<Vec<u32>>());
}

#[test]
fn a_topic_of_a_sibling_shard_is_created_once_that_shard_has_a_leader() {
    let mut cluster = Cluster::new(45, 2);
    for at in 0..3 {
        // Two of them look for a leader of the second shard, which has none without the third.
        cluster.start_without(at, (at == 2).then_some(1));
    }
    let leader = cluster.until_led(0, &[0, 1, 2]);
    for topic in ["one", "two", "three"] {
        cluster.create_by_send(leader, topic);
    }
    cluster.run_for(SECOND * 60);
    cluster.start_late(2);
    let leader = cluster.until_led(1, &[0, 1, 2]);
    for topic in ["one", "two", "three"] {
        cluster.until("it is there too", |cluster| cluster.queues_of(leader, 1, topic) > 0);
    }
}

#[test]
fn topics_groups_and_offsets_outlive_the_leader_and_never_go_back() {
    for seed in 50..53 {
        let mut cluster = Cluster::new(seed, 1);
        cluster.start_all();
        let leader = cluster.until_led(0, &[0, 1, 2]);
        cluster.create_topic(leader, "made", 7);
        cluster.send_all(leader, 0, 0..30);
        cluster.read(leader, 0); // a pull creates its group
        for offset in [5, 17] {
            cluster.commit(leader, "G", offset);
        }
        cluster.crash(leader);
        let others: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
        let next = cluster.until_led(0, &others);
        assert_eq!(cluster.committed(next, "G"), Ok(Some(17)), "seed {seed}");
        assert_eq!(cluster.queues_of(next, 0, "made"), 7, "seed {seed}");
        let other = others.into_iter().find(|at| *at != next).expect("there are two");
        assert_eq!(cluster.committed(other, "G"), Ok(Some(17)), "seed {seed}: as the leader knows");
    }
}

#[test]
fn a_node_that_was_wiped_founds_no_second_group() {
    for wiped in [0, 2] {
        let mut cluster = Cluster::new(60 + wiped as u64, 1);
        cluster.start_all();
        let leader = cluster.until_led(0, &[0, 1, 2]);
        let sent = cluster.send_all(leader, 0, 0..20);
        cluster.crash(wiped);
        cluster.move_store(wiped);
        cluster.start(wiped);
        let others: Vec<usize> = (0..3).filter(|at| *at != wiped).collect();
        let next = cluster.until_led(0, &others);
        cluster.run_for(SECOND * 40);
        cluster.check(next, 0, &sent);
        assert!(cluster.send(wiped, 0, 1000).is_err(), "it belongs to no group");
        assert!(cluster.read(wiped, 0).is_empty());
        // Not even when the one that is left of the others is away.
        cluster.crash(next);
        cluster.run_for(SECOND * 5);
        assert!((0..3).all(|at| at == next || cluster.send(at, 0, 1001).is_err()));
    }
}

#[test]
fn a_members_store_is_refused_by_a_broker_without_a_group() {
    let mut cluster = Cluster::new(80, 1);
    cluster.start_all();
    let leader = cluster.until_led(0, &[0, 1, 2]);
    let sent = cluster.send_all(leader, 0, 0..20);
    cluster.crash(leader);
    let error = cluster.start_alone(leader);
    assert!(error.contains("belongs to one of a group"), "{error}");
    cluster.start(leader);
    cluster.until("it is a member as before", |cluster| cluster.read(leader, 0) == sent);
}

#[test]
fn a_group_is_founded_only_once_all_its_members_are_there() {
    let mut cluster = Cluster::new(70, 1);
    cluster.start(0);
    cluster.start(2);
    cluster.run_for(SECOND * 10);
    assert!(cluster.send(0, 0, 0).is_err() && cluster.send(2, 0, 0).is_err());
    cluster.start(1);
    let leader = cluster.until_led(0, &[0, 1, 2]);
    let sent = cluster.send_all(leader, 0, 0..5);
    cluster.check(leader, 0, &sent);
}
