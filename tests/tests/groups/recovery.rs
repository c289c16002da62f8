//! A group whose majority is lost for good: one member becomes it by force, and those that were given up stay out when they come back.

use std::time::Duration;

use crate::cluster::{Cluster, SECOND};
use crate::members::{admin, begin};

const COMMAND: Duration = Duration::from_secs(200);

/// A group of which all members have all of these messages, and all but one are dead.
fn bereft(seed: u64, survivor: usize) -> (Cluster, Vec<u32>) {
    let mut cluster = Cluster::new(seed, 1);
    cluster.start_all();
    let leader = cluster.until_led(0, &[0, 1, 2]);
    let sent = cluster.send_all(leader, 0, 0..40);
    cluster.until("all have all", |cluster| (0..3).all(|at| cluster.read(at, 0) == sent));
    others(survivor).for_each(|at| cluster.crash(at));
    cluster.run_for(SECOND * 2);
    (cluster, sent)
}

fn others(survivor: usize) -> impl Iterator<Item = usize> {
    (0..3).filter(move |at| *at != survivor)
}

/// The command that makes this member the group.
fn force(survivor: usize) -> String {
    let lost: Vec<String> = others(survivor).map(|at| format!(" --lost n{at}")).collect();
    format!("forceRecover -b {}{} --go-on", Cluster::addr(survivor, 0), lost.concat())
}

/// It takes messages, and has these.
fn goes_on(cluster: &mut Cluster, survivor: usize, sent: &mut Vec<u32>, first: u32) {
    cluster.until("it leads", |cluster| cluster.leads(survivor, 0));
    sent.extend(cluster.send_all(survivor, 0, first..first + 20));
    cluster.check(survivor, 0, sent);
}

#[test]
fn one_member_of_three_becomes_the_group_and_others_join_it() {
    for seed in 200..202 {
        let survivor = (seed % 3) as usize;
        let (mut cluster, mut sent) = bereft(seed, survivor);
        let refused = cluster.send_within(survivor, 0, 900, SECOND * 3);
        assert!(refused.is_err(), "seed {seed}: {refused:?}");
        let at = Cluster::addr(survivor, 0);

        let told =
            admin(&cluster, &format!("forceRecover -b {at}")).assert_done("Nothing was changed");
        let told = told.join("\n");
        for other in others(survivor) {
            assert!(told.contains(&format!("n{other}  voter  ")), "seed {seed}: {told}");
        }
        assert!(told.contains("does not answer"), "seed {seed}: {told}");
        assert!(told.contains("What may be lost"), "seed {seed}: {told}");
        let typed = told.lines().last().expect("it says what to type").trim();
        assert_eq!(typed, format!("mqadmin {}", force(survivor)), "seed {seed}");
        let one = others(survivor).next().expect("there are two");
        let half = format!("forceRecover -b {at} --lost n{one} --go-on");
        admin(&cluster, &half).assert_refused("does not answer and not named as lost");
        assert!(!cluster.leads(survivor, 0), "nothing was changed");

        admin(&cluster, &force(survivor)).assert_done("alone is the group now");
        goes_on(&mut cluster, survivor, &mut sent, 100);
        admin(&cluster, &force(survivor)).assert_done("nothing to do");

        for (new, spare) in [(3, "it cannot lose a node"), (4, "it can lose 1 node")] {
            cluster.start(new);
            cluster.run_for(SECOND);
            let add = format!("addLearner -b {at} --new {}", Cluster::addr(new, 0));
            admin(&cluster, &add).assert_done("has caught up");
            let promote = format!("promote -b {at} --member n{new}");
            admin(&cluster, &promote).assert_done(spare);
        }
        sent.extend(cluster.send_all(survivor, 0, 200..220));
        let state = admin(&cluster, &format!("groupState -b {at}"));
        state.assert_done("it was recovered by force once");
        cluster.crash(survivor);
        let next = cluster.until_led(0, &[3, 4]);
        sent.extend(cluster.send_all(next, 0, 300..310));
        cluster.check(next, 0, &sent);
        // Who was gone for a while belongs to it as ever.
        cluster.start(survivor);
        cluster.until("it follows", |cluster| cluster.read(survivor, 0) == cluster.read(next, 0));
    }
}

#[test]
fn members_that_were_given_up_are_refused_and_join_with_an_empty_store_only() {
    for seed in 210..212 {
        let survivor = (seed % 3) as usize;
        let (mut cluster, mut sent) = bereft(seed, survivor);
        admin(&cluster, &force(survivor)).assert_done("alone is the group now");
        goes_on(&mut cluster, survivor, &mut sent, 100);

        // Together they are a majority of the group as it was.
        others(survivor).for_each(|at| cluster.start(at));
        cluster.run_for(SECOND * 10);
        for at in others(survivor) {
            let taken = cluster.send_within(at, 0, 900, SECOND * 2);
            assert!(taken.is_err(), "seed {seed}: n{at} takes messages: {taken:?}");
        }
        for namesrv in 0..2 {
            let registered = cluster.registered(namesrv, 0).expect("it answers");
            assert_eq!(registered, [(0, Cluster::addr(survivor, 0))], "seed {seed}");
        }
        goes_on(&mut cluster, survivor, &mut sent, 200);

        for (at, spare) in others(survivor).zip(["it cannot lose a node", "it can lose 1 node"]) {
            cluster.stop(at);
            cluster.until("it ends", |cluster| cluster.has_stopped(at));
            cluster.start(at);
            let why = cluster.until_refused(at);
            for part in ["was recovered by force", "given up", "with an empty directory"] {
                assert!(why.contains(part), "seed {seed}, {part}: {why}");
            }
            cluster.move_store(at);
            cluster.start(at);
            cluster.run_for(SECOND);
            let leader = Cluster::addr(survivor, 0);
            let add = format!("addLearner -b {leader} --new {}", Cluster::addr(at, 0));
            admin(&cluster, &add).assert_done("has caught up");
            let promote = format!("promote -b {leader} --member n{at}");
            admin(&cluster, &promote).assert_done(spare);
        }
        let leader = cluster.until_led(0, &[0, 1, 2]);
        sent.extend(cluster.send_all(leader, 0, 300..310));
        for at in 0..3 {
            cluster.until("it has all", |cluster| cluster.read(at, 0).len() == sent.len());
            cluster.check(at, 0, &sent);
        }
    }
}

/// How long a recovery takes when nothing comes in between. The same seed is the same history until then.
fn time_of_a_recovery(seed: u64, survivor: usize) -> Duration {
    let (cluster, _) = bereft(seed, survivor);
    let begin = cluster.now();
    admin(&cluster, &force(survivor)).assert_done("alone is the group now");
    cluster.now() - begin
}

/// Kills the survivor so long after the command, and starts it again; whether it was the group already. Asked for again, it is.
fn recovers_although_interrupted(seed: u64, survivor: usize, after: Duration) -> bool {
    let (mut cluster, mut sent) = bereft(seed, survivor);
    let forcing = begin(&cluster, &force(survivor), COMMAND);
    cluster.run_for(after);
    cluster.crash(survivor);
    drop(forcing);
    cluster.start(survivor);
    cluster.run_for(SECOND * 3);
    let was_done = cluster.leads(survivor, 0);
    let due = if was_done { "nothing to do" } else { "alone is the group now" };
    admin(&cluster, &force(survivor)).assert_done(due);
    goes_on(&mut cluster, survivor, &mut sent, 100);
    others(survivor).for_each(|at| cluster.start(at));
    cluster.run_for(SECOND * 5);
    goes_on(&mut cluster, survivor, &mut sent, 200);
    was_done
}

#[test]
fn a_recovery_that_is_interrupted_anywhere_may_be_asked_for_again() {
    for survivor in 0..2 {
        let seed = 300 + survivor as u64;
        // Most of the time goes by with waiting for those that are dead: the moment in which it is done is searched for.
        let (mut before, mut behind) = (Duration::ZERO, time_of_a_recovery(seed, survivor));
        let whole = behind;
        while behind - before > Duration::from_micros(200) {
            let middle = (before + behind) / 2;
            match recovers_although_interrupted(seed, survivor, middle) {
                true => behind = middle,
                false => before = middle,
            }
        }
        assert!(before > Duration::ZERO && behind < whole, "seed {seed}: {before:?}, {behind:?}");
        let step = Duration::from_micros(100);
        for after in (0..5).map(|steps| before + step * steps) {
            recovers_although_interrupted(seed, survivor, after);
        }
    }
}

#[test]
fn a_group_that_can_go_on_is_not_recovered_by_force() {
    let mut cluster = Cluster::new(240, 1);
    cluster.start_all();
    let leader = cluster.until_led(0, &[0, 1, 2]);
    let sent = cluster.send_all(leader, 0, 0..10);
    let lost = (leader + 1) % 3;
    for at in 0..3 {
        admin(&cluster, &force(at)).assert_refused("hears of a leader, or leads");
    }
    cluster.crash(lost);
    for at in others(lost) {
        admin(&cluster, &force(at)).assert_refused("the group goes on");
    }
    cluster.check(leader, 0, &sent);
    // One that is empty has nothing to become a group with.
    cluster.start(3);
    cluster.run_for(SECOND);
    let empty = format!("forceRecover -b {}", Cluster::addr(3, 0));
    admin(&cluster, &empty).assert_done("belongs to no group with others");
}
