//! Members come and go, by `mqadmin`: what it says, what it refuses, and that nothing acknowledged is lost meanwhile.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use admin::args::CommandLine;
use admin::{Kept, carry_out};
use client::{Client, Options};
use runtime::Executor;

use crate::cluster::{Cluster, SECOND, send};

/// A command that waits for a node to catch up takes its time, which is virtual.
const COMMAND: Duration = Duration::from_secs(200);

/// What a command came to, and what it said.
pub struct Said {
    done: Result<(), String>,
    lines: Vec<String>,
}

impl Said {
    /// It was done, and said this.
    #[track_caller]
    pub fn assert_done(self, what: &str) -> Vec<String> {
        assert_eq!(self.done, Ok(()), "{:#?}", self.lines);
        assert!(self.lines.iter().any(|line| line.contains(what)), "{what}: {:#?}", self.lines);
        self.lines
    }

    /// It was refused for this.
    #[track_caller]
    pub fn assert_refused(self, why: &str) {
        let error = self.done.expect_err("it is refused");
        let all = format!("{}\n{error}", self.lines.join("\n"));
        assert!(all.contains(why), "{why}: {all}");
    }
}

/// Runs `mqadmin` with these words, for so long at most.
fn admin_within(cluster: &Cluster, words: &str, limit: Duration) -> Option<Said> {
    cluster.join(begin(cluster, words, limit), limit + SECOND)
}

/// The same beside whatever else happens.
pub fn begin(cluster: &Cluster, words: &str, limit: Duration) -> Executor<Option<Said>> {
    let words = format!("mqadmin {words}");
    let CommandLine { command } =
        clap_parse(&words).unwrap_or_else(|error| panic!("{words}: {error}"));
    cluster.on_client(move || async move {
        let kept = Kept::default();
        let done = runtime::timeout(limit, carry_out(&command, &kept)).await.ok()?;
        Some(Said { done: done.map_err(|error| error.to_string()), lines: kept.lines() })
    })
}

fn clap_parse(words: &str) -> Result<CommandLine, String> {
    CommandLine::of_words(words.split(' ')).map_err(|error| error.to_string())
}

pub fn admin(cluster: &Cluster, words: &str) -> Said {
    admin_within(cluster, words, COMMAND).expect("it ends by itself")
}

/// A client that sends all the time, to whoever takes it.
struct Load {
    acknowledged: Arc<Mutex<Vec<u32>>>,
    over: Arc<AtomicBool>,
    sending: Executor<()>,
}

impl Load {
    fn begin(cluster: &Cluster, nodes: usize) -> Self {
        let (acknowledged, over): (Arc<Mutex<Vec<u32>>>, Arc<AtomicBool>) = Default::default();
        let (told, stop) = (Arc::clone(&acknowledged), Arc::clone(&over));
        let addrs: Vec<String> = (0..nodes).map(|at| Cluster::addr(at, 0)).collect();
        let sending = cluster.on_client(move || async move {
            let client = Client::new(Options::new("10.0.0.1:9876"));
            let (mut number, mut at) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                let sent = runtime::timeout(SECOND, send(&client, &addrs[at], number)).await;
                match sent {
                    Ok(Ok(_)) => told.lock().expect("nobody panics").push(number),
                    _ => at = (at + 1) % addrs.len(),
                }
                number += 1;
                runtime::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { acknowledged, over, sending }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().expect("nobody panics").len()
    }

    fn end(self, cluster: &Cluster) -> Vec<u32> {
        self.over.store(true, Ordering::Relaxed);
        cluster.join(self.sending, SECOND * 5);
        let acknowledged = self.acknowledged.lock().expect("nobody panics");
        acknowledged.clone()
    }
}

/// Messages go on being acknowledged.
fn until_progress(cluster: &mut Cluster, load: &Load) {
    let due = load.count() + 50;
    cluster.until("messages are acknowledged", |_| load.count() >= due);
}

#[test]
fn members_come_and_lead_and_go_while_clients_send_and_nothing_acknowledged_is_lost() {
    for seed in 100..102 {
        let mut cluster = Cluster::new(seed, 1);
        cluster.start_all();
        cluster.until_led(0, &[0, 1, 2]);
        let load = Load::begin(&cluster, 4);
        until_progress(&mut cluster, &load);
        cluster.start(3);
        cluster.run_for(SECOND);
        let (at, new) = (Cluster::addr(1, 0), Cluster::addr(3, 0));

        let add = format!("addLearner -b {at} --new {new}");
        let added = admin(&cluster, &add).assert_done("is a learner now");
        let line = added.last().expect("it says what it did");
        assert!(line.contains("n3 has caught up in "), "{line}");
        admin(&cluster, &add).assert_done("n3 (10.0.1.4:40911, store ");
        let promote = format!("promote -b {at} --member n3");
        admin(&cluster, &promote).assert_done("n3 votes now; it can lose 1 node");
        admin(&cluster, &promote).assert_done("nothing to do, n3 votes already");
        until_progress(&mut cluster, &load);

        let transfer = format!("transferLeader -b {at} --to n3");
        admin(&cluster, &transfer).assert_done("n3 leads now");
        admin(&cluster, &transfer).assert_done("nothing to do, n3 leads already");
        cluster.until("it leads", |cluster| cluster.leads(3, 0));
        cluster.run_for(SECOND * 20);
        assert!(
            cluster.leads(3, 0),
            "seed {seed}: nobody makes place for the one that should lead"
        );
        until_progress(&mut cluster, &load);

        let remove = format!("removeMember -b {at} --member n0");
        admin(&cluster, &remove).assert_done("n0 is no member any more; it can lose 1 node");
        admin(&cluster, &remove).assert_done("nothing to do, no member is called n0");
        // The leader makes place first.
        let remove = format!("removeMember -b {at} --member n3");
        let lines =
            admin(&cluster, &remove).assert_done("n3 is no member any more; it cannot lose a node");
        assert!(lines[0].ends_with(" leads now"), "{lines:?}");
        until_progress(&mut cluster, &load);

        let acknowledged = load.end(&cluster);
        assert!(acknowledged.len() >= 200, "seed {seed}: {}", acknowledged.len());
        for left in [1, 2] {
            cluster.until("it has all", |cluster| {
                let found: BTreeSet<u32> = cluster.read(left, 0).into_iter().collect();
                acknowledged.iter().all(|number| found.contains(number))
            });
            cluster.check(left, 0, &acknowledged);
        }
    }
}

#[test]
fn a_lost_node_is_replaced_by_one_command_that_may_be_interrupted_anywhere() {
    for seed in 110..114 {
        let mut cluster = Cluster::new(seed, 1);
        cluster.start_all();
        cluster.until_led(0, &[0, 1, 2]);
        let load = Load::begin(&cluster, 3);
        until_progress(&mut cluster, &load);
        // Its disk is gone, and it comes back as it was called and where it was.
        let lost = (seed % 3) as usize;
        cluster.crash(lost);
        cluster.move_store(lost);
        cluster.start(lost);
        let others: Vec<usize> = (0..3).filter(|at| *at != lost).collect();
        cluster.until_led(0, &others);
        until_progress(&mut cluster, &load);

        let (at, new) = (Cluster::addr(others[0], 0), Cluster::addr(lost, 0));
        let replace = format!("replaceMember -b {at} --old n{lost} --new {new}");
        let mut cuts = 0;
        let said = loop {
            let limit = Duration::from_millis(2 + cuts * cuts * 7);
            match admin_within(&cluster, &replace, limit) {
                Some(said) => break said,
                None => cuts += 1,
            }
        };
        assert!(cuts > 0, "it was interrupted");
        let lines = said.lines.join("\n");
        assert_eq!(said.done, Ok(()), "seed {seed}: {lines}");
        admin(&cluster, &replace).assert_done(&format!("nothing to do, n{lost} votes"));
        let state =
            admin(&cluster, &format!("groupState -b {at}")).assert_done("it can lose 1 node");
        assert_eq!(state[0].matches("voter").count(), 3, "seed {seed}: {}", state[0]);
        until_progress(&mut cluster, &load);

        // It counts: with one of the others gone the group goes on.
        cluster.crash(others[1]);
        cluster.until_led(0, &[others[0], lost]);
        until_progress(&mut cluster, &load);
        let acknowledged = load.end(&cluster);
        let next = cluster.until_led(0, &[others[0], lost]);
        cluster.check(next, 0, &acknowledged);
    }
}

#[test]
fn who_comes_to_lead_while_the_new_one_copies_makes_place_before_it_goes() {
    let mut cluster = Cluster::new(115, 1);
    cluster.keys.push(("raftCatchUpRate", "64KiB".to_owned()));
    cluster.start_all();
    let leader = cluster.until_led(0, &[0, 1, 2]);
    for round in 0..8 {
        cluster.send_large(leader, 0, 64 * 1024, round * 10..round * 10 + 10);
    }
    cluster.start(3);
    cluster.run_for(SECOND);
    let old = (leader + 1) % 3;
    let (at, new) = (Cluster::addr(leader, 0), Cluster::addr(3, 0));
    let replace = format!("replaceMember -b {at} --old n{old} --new {new}");
    let replacing = begin(&cluster, &replace, COMMAND);
    // 5 MiB at 64 KiB a second are 80 s.
    cluster.run_for(SECOND * 10);
    admin(&cluster, &format!("transferLeader -b {at} --to n{old}")).assert_done("leads now");
    let hurry = format!("addLearner -b {at} --new {new} --rate 64MiB --no-wait");
    admin(&cluster, &hurry).assert_done("is a member already");
    let said = cluster.join(replacing, COMMAND).expect("it ends by itself");
    said.assert_done("is replaced by n3");
}

#[test]
fn a_member_whose_address_has_changed_goes_on_with_its_store() {
    let mut cluster = Cluster::new(116, 1);
    cluster.start_all();
    let leader = cluster.until_led(0, &[0, 1, 2]);
    let mut sent = cluster.send_all(leader, 0, 0..20);
    let (moved, other) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.crash(moved);
    sent.extend(cluster.send_all(leader, 0, 20..40));
    cluster.raft_ports[moved] = 40_950;
    cluster.start(moved);
    cluster.run_for(SECOND * 3);
    let (at, new) = (Cluster::addr(leader, 0), Cluster::addr(moved, 0));
    let state = format!("groupState -b {at}");
    admin(&cluster, &state).assert_done("it cannot lose a node now");
    // A store that is no member's does not come in so.
    cluster.start(3);
    cluster.run_for(SECOND);
    admin(&cluster, &format!("moveMember -b {at} --new {}", Cluster::addr(3, 0)))
        .assert_refused("is no member's");
    let tell = format!("moveMember -b {at} --new {new}");
    admin(&cluster, &format!("{tell} --raft-host 10.9.9.9"))
        .assert_refused("the leader cannot reach the member at 10.9.9.9:40950");
    admin(&cluster, &tell).assert_done(":40950 now, and was at ");
    admin(&cluster, &tell).assert_done("nothing to do");
    cluster.until("it counts again", |cluster| {
        admin(cluster, &state).lines.concat().contains("it can lose 1 node")
    });
    cluster.crash(other);
    let leader = cluster.until_led(0, &[leader, moved]);
    sent.extend(cluster.send_all(leader, 0, 40..60));
    cluster.check(leader, 0, &sent);
}

#[test]
fn what_would_harm_a_group_is_refused_with_what_to_do() {
    let mut cluster = Cluster::new(120, 1);
    cluster.start_all();
    let leader = cluster.until_led(0, &[0, 1, 2]);
    let at = Cluster::addr(0, 0);
    let said = |cluster: &Cluster, words: &str| admin(cluster, words);
    let new = |at: usize| Cluster::addr(at, 0);

    said(&cluster, &format!("addLearner -b {at} --new {}", new(3)))
        .assert_refused("the new node's broker does not answer");
    said(&cluster, &format!("promote -b {at} --member n7")).assert_refused("nobody is called n7");
    said(&cluster, &format!("transferLeader -b {at} --to n7"))
        .assert_refused("nobody is called n7");

    cluster.start(3);
    cluster.start(4);
    cluster.run_for(SECOND);
    let add = format!("addLearner -b {at} --new {}", new(3));
    said(&cluster, &format!("{add} --label {}", "x".repeat(256)))
        .assert_refused("it has 256 bytes, and a label is 1 to 255 letters");
    for label in ["n-3", "n:3", "n3;n4", "nö"] {
        said(&cluster, &format!("{add} --label {label}")).assert_refused("is no label of a member");
    }
    said(&cluster, &format!("{add} --label n1")).assert_refused("n1 is the label of ");
    said(&cluster, &format!("{add} --raft-host 10.0.1.2"))
        .assert_refused("at 10.0.1.2:40911 is the store ");
    said(&cluster, &format!("{add} --raft-host 10.9.9.9"))
        .assert_refused("the leader cannot reach the member at 10.9.9.9:40911");
    said(&cluster, &add).assert_done("n3 has caught up");
    said(&cluster, &format!("transferLeader -b {at} --to n3")).assert_refused("it does not vote");
    let state = said(&cluster, &format!("groupState -b {at}")).assert_done("leader n");
    assert!(!state[0].contains("is held"), "what is refused holds nothing: {}", state[0]);

    // The group that it is a learner of goes on without it, and does not let it vote when it is gone.
    cluster.crash(3);
    cluster.run_for(SECOND * 3);
    said(&cluster, &format!("promote -b {at} --member n3"))
        .assert_refused("does not answer the leader");
    said(&cluster, &format!("removeMember -b {at} --member n3")).assert_done("n3 is no member");
    cluster.start(3);
    cluster.run_for(SECOND);
    said(&cluster, &add).assert_refused("belongs to a group already and is no member of this one");

    // With one of three gone, the other two are needed.
    let others: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
    cluster.crash(others[0]);
    cluster.run_for(SECOND * 3);
    let at = Cluster::addr(leader, 0);
    said(&cluster, &format!("removeMember -b {at} --member n{}", others[1])).assert_refused(
        "of the 2 members that would vote then, 1 answer the leader, and 2 are needed",
    );
    let state =
        said(&cluster, &format!("groupState -b {at}")).assert_done("it cannot lose a node now");
    assert!(state[0].contains("does not answer: cannot connect"), "{}", state[0]);
    cluster.until("messages are still taken", |cluster| cluster.send(leader, 0, 1).is_ok());
}

#[test]
fn a_learner_gets_no_more_than_its_rate_and_the_rate_can_be_raised() {
    let mut cluster = Cluster::new(130, 1);
    cluster.keys.push(("raftCatchUpRate", "64KiB".to_owned()));
    cluster.start_all();
    let leader = cluster.until_led(0, &[0, 1, 2]);
    for round in 0..8 {
        cluster.send_large(leader, 0, 64 * 1024, round * 10..round * 10 + 10);
    }
    cluster.start(3);
    cluster.run_for(SECOND);
    let (at, new) = (Cluster::addr(leader, 0), Cluster::addr(3, 0));
    let add = format!("addLearner -b {at} --new {new} --no-wait");
    admin(&cluster, &add).assert_done("is a learner now");
    // What is refused changes no rate either.
    admin(&cluster, &format!("{add} --rate 1023")).assert_refused("65536 to ");
    cluster.start(4);
    cluster.run_for(SECOND);
    let taken = format!("addLearner -b {at} --new {} --label n1 --rate 1GiB", Cluster::addr(4, 0));
    admin(&cluster, &taken).assert_refused("n1 is the label of ");
    // 5 MiB at 64 KiB a second are 80 s.
    cluster.run_for(SECOND * 40);
    // A learner is not registered: whoever wants to hear itself names it.
    let state = format!("groupState -b {at};{new} --json");
    let state = admin(&cluster, &state).assert_done("behindBytes");
    let behind = behind_bytes(&state[0], "n3");
    assert!((1 << 20..4 << 20).contains(&behind), "half of it is left: {behind}");
    let began = cluster.now();
    admin(&cluster, &format!("addLearner -b {at} --new {new} --rate 64MiB"))
        .assert_done("n3 has caught up");
    assert!(cluster.now() - began < SECOND * 10, "it takes {:?}", cluster.now() - began);
}

#[test]
fn who_has_no_vote_is_not_registered() {
    let mut cluster = Cluster::new(150, 1);
    cluster.start_all();
    let is_known = |cluster: &Cluster, at: usize| {
        let known = [0, 1].map(|namesrv| cluster.registered(namesrv, 0).expect("it answers"));
        known.map(|known| known.iter().any(|(_, addr)| *addr == Cluster::addr(at, 0)))
    };
    cluster.until_led(0, &[0, 1, 2]);
    for at in 0..3 {
        cluster.until("a voter is known", |cluster| is_known(cluster, at) == [true; 2]);
    }
    cluster.start(3);
    cluster.run_for(SECOND * 35); // longer than between two registrations
    assert_eq!(is_known(&cluster, 3), [false; 2], "it belongs to no group");
    let (at, new) = (Cluster::addr(0, 0), Cluster::addr(3, 0));
    admin(&cluster, &format!("addLearner -b {at} --new {new}")).assert_done("n3 has caught up in ");
    cluster.run_for(SECOND * 35);
    assert_eq!(is_known(&cluster, 3), [false; 2], "it learns");
    admin(&cluster, &format!("promote -b {at} --member n3")).assert_done("n3 votes now");
    cluster.until("it is known", |cluster| is_known(cluster, 3) == [true; 2]);
    admin(&cluster, &format!("transferLeader -b {at} --to n0")).assert_done("");
    admin(&cluster, &format!("removeMember -b {at} --member n3")).assert_done("n3 is no member");
    cluster.until("it is known no more", |cluster| is_known(cluster, 3) == [false; 2]);
    cluster.run_for(SECOND * 35);
    assert_eq!(is_known(&cluster, 3), [false; 2], "nor does it come back");
    assert_eq!(is_known(&cluster, 1), [true; 2], "others stay");
}

/// A group whose log has lost its beginning, and the messages that are left of it; who leads.
fn old_group(seed: u64) -> (Cluster, usize, Vec<u32>) {
    let mut cluster = Cluster::new(seed, 1);
    for (key, value) in [
        ("fileReservedTime", "1"),
        ("deleteWhen", "00;01;02;03;04;05;06;07;08;09;10;11;12;13;14;15;16;17;18;19;20;21;22;23"),
        // Hours go by: few heartbeats make them shorter here.
        ("raftHeartbeatMillis", "1000"),
        ("raftElectionMinMillis", "3000"),
        ("raftElectionMaxMillis", "6000"),
    ] {
        cluster.keys.push((key, value.to_owned()));
    }
    cluster.start_all();
    let leader = cluster.until_led(0, &[0, 1, 2]);
    for round in 0..8 {
        cluster.send_large(leader, 0, 900_000, round * 5..round * 5 + 5);
    }
    cluster.run_for(SECOND * 4500);
    let leader = cluster.until_led(0, &[0, 1, 2]);
    let sent = cluster.send_all(leader, 0, 100..120);
    assert!(cluster.read(leader, 0).is_empty(), "the beginning is gone");
    (cluster, leader, sent)
}

#[test]
fn a_node_whose_port_is_taken_while_it_opens_a_snapshot_waits_for_it() {
    let (mut cluster, leader, sent) = old_group(136);
    cluster.start(3);
    cluster.run_for(SECOND);
    let stolen = cluster.steal_port(3, SECOND * 3);
    let (at, new) = (Cluster::addr(leader, 0), Cluster::addr(3, 0));
    let replace = format!("replaceMember -b {at} --old n{} --new {new}", (leader + 1) % 3);
    admin(&cluster, &replace).assert_done("is replaced by n3");
    assert!(stolen.is_finished(), "somebody had the port meanwhile");
    assert_eq!(cluster.read_from(3, 0, 40), sent);
}

#[test]
fn a_new_node_gets_what_is_left_of_an_old_log() {
    let (mut cluster, leader, sent) = old_group(135);
    cluster.start(3);
    cluster.run_for(SECOND);
    let (at, new) = (Cluster::addr(leader, 0), Cluster::addr(3, 0));
    let replace = format!("replaceMember -b {at} --old n{} --new {new}", (leader + 1) % 3);
    admin(&cluster, &replace).assert_done("is replaced by n3");
    assert_eq!(cluster.read_from(3, 0, 40), sent);
    let more = cluster.send_all(leader, 0, 200..220);
    let all: Vec<u32> = sent.into_iter().chain(more).collect();
    cluster.until("it has what came after", |cluster| cluster.read_from(3, 0, 40) == all);
}

#[test]
fn a_member_whose_disk_is_full_is_named_and_the_group_goes_on() {
    let mut cluster = Cluster::new(145, 1);
    cluster.start_all();
    let leader = cluster.until_led(0, &[0, 1, 2]);
    let full = (leader + 1) % 3;
    cluster.refuse_files(full);
    for round in 0..20 {
        cluster.send_large(leader, 0, 900_000, round * 5..round * 5 + 5);
    }
    let state = format!("groupState -b {}", Cluster::addr(leader, 0));
    let line = |cluster: &Cluster| {
        let text = admin(cluster, &state).lines.concat();
        let line = text.lines().find(|line| line.starts_with(&format!("n{full} ")));
        (line.unwrap_or_default().to_owned(), text.contains("it can lose 1 node"))
    };
    const NO_ROOM: &str = "; the disk has no room for the log's next segment";
    cluster.until("it is named", |cluster| line(cluster).0.ends_with(NO_ROOM));
    cluster.until("it does not count", |cluster| {
        let (line, can_lose) = line(cluster);
        !can_lose && line.contains("it takes no entries: its disk has no room")
    });
    cluster.send_all(leader, 0, 200..210);
    cluster.heal_disk(full);
    cluster.until("it gets what it missed", |cluster| {
        let (line, can_lose) = line(cluster);
        can_lose && !line.contains("no room")
    });
}

#[test]
fn a_leader_whose_disk_is_full_makes_place_for_one_that_has_room() {
    let mut cluster = Cluster::new(146, 1);
    // Nothing old goes to make room: what is full stays full.
    cluster.keys.push(("cleanFileForciblyEnable", "false".to_owned()));
    cluster.start_all();
    let full = cluster.until_led(0, &[0, 1, 2]);
    cluster.refuse_files(full);
    let others: Vec<usize> = (0..3).filter(|at| *at != full).collect();
    let leads_another = |cluster: &Cluster| others.iter().copied().find(|at| cluster.leads(*at, 0));
    let mut next = None;
    for number in 0..300 {
        if !cluster.try_large(full, 0, 900_000, number) {
            cluster.run_for(SECOND);
        }
        next = leads_another(&cluster);
        if next.is_some() {
            break;
        }
    }
    let next = next.expect("it makes place");
    cluster.send_all(next, 0, 400..410);
    // It is the one that should lead, and is given the lead again when there is room.
    cluster.heal_disk(full);
    cluster.run_for(SECOND * 5);
    cluster.until("somebody leads", |cluster| (0..3).any(|at| cluster.leads(at, 0)));
}

fn behind_bytes(json: &str, label: &str) -> i64 {
    let groups: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
    let members = groups[0]["members"].as_array().expect("there are members");
    let member = members.iter().find(|member| member["label"] == label).expect("it is there");
    member["behindBytes"].as_i64().expect("both have answered")
}

#[test]
fn before_maintenance_a_node_leads_none_of_its_groups() {
    let mut cluster = Cluster::new(140, 3);
    cluster.start_all();
    for shard in 0..3 {
        cluster.until("those lead that should", |cluster| cluster.leads(shard as usize, shard));
    }
    // Who has left office is known to the NameServers again, and can be asked, a second later.
    cluster.run_for(SECOND * 2);
    let words = "transferLeader -n 10.0.0.1:9876;10.0.0.2:9876 --all-away n1 --hold 20s";
    let lines = admin(&cluster, words).assert_done("leads now");
    assert_eq!(lines.len(), 6, "two lines a group: {lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("is held for 20.0 s (--hold)")).count(), 3);
    assert_eq!(lines.iter().filter(|line| line.contains("nothing to do")).count(), 2, "{lines:?}");
    let state = admin(&cluster, "groupState -n 10.0.0.1:9876").assert_done("leader n");
    assert_eq!(state[0].matches("leadership is held for 1").count(), 3, "19 s: {}", state[0]);
    cluster.run_for(SECOND * 10);
    assert!((0..3).all(|shard| !cluster.leads(1, shard)), "it leads none as long as it is held");
    cluster.until("it leads again when the hold is over", |cluster| {
        cluster.run_for(SECOND);
        cluster.leads(1, 1)
    });
    let state = admin(&cluster, "groupState -n 10.0.0.1:9876").assert_done("leader n");
    assert!(!state[0].contains("is held"), "{}", state[0]);
}
