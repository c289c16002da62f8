//! Suite `trio`: three brokers of two shards each as Raft groups, seen by clients as two broker names.

use std::collections::BTreeMap;
use std::time::Duration;

use ::tests::harness::check::Check;
use ::tests::harness::cluster::Spec;
use ::tests::harness::drivers::Part;
use ::tests::harness::failure::{Failure, Verdict, expect};
use ::tests::harness::lab::{Client, Home, Lab};
use ::tests::harness::outage::{Outage, Returned};
use ::tests::harness::servers::{BROKER_NAME, Maker, PATIENT_MILLIS};

use crate::clients;
use crate::mqadmin::cluster_list;

const LIMIT: u64 = 240;
const SPEC: Spec =
    Spec { members: 3, shards: 2, millis: Some(PATIENT_MILLIS), ..Spec::of(Maker::Ours) };
/// What the other clients send; the 5.5.0 client sends five times as many.
const FEW: &str = "count=2000";
/// The driver's own.
const QUEUES_PER_BROKER: u64 = 4;
/// Messages that a consumer gets before it leaves; half of them lie where the leader dies.
const BEFOREHAND: u32 = 1_000;
/// Messages that are sent while the leader dies, over all queues; so many of all are answered when it does.
const SENT: u32 = 3_000;
const ANSWERED: u32 = BEFOREHAND + 750;
/// Messages that both consumers must get when the killed one is back.
const AFTERWARDS: u32 = 400;
/// A leader proposes the offsets that it is told within a second.
const OFFSETS_ARE_COMMITTED: Duration = Duration::from_secs(2);
/// Until a message is acknowledged, over all its attempts: to elect another leader takes at most half of it with these times.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// Two pulls of a client. What was delivered again was not committed when the leader died, or was the broker's fault.
const DELIVERED_AGAIN: u64 = 64;

/// The suite. Apache's groups are compared in `bench`.
pub fn checks() -> Vec<Check> {
    let java = Client::Java550.part();
    let mut checks: Vec<Check> = ["order", "tags"]
        .into_iter()
        .chain(clients::JAVA)
        .chain(["twonames"])
        .map(|name| driven(name, Client::Java550, (name, "trio"), &[]))
        .collect();
    checks.push(driven("java-4.9.8-order", Client::Java498, ("order", "trio498"), &[FEW]));
    checks.push(driven("go-order", Client::Go, ("order", "triogo"), &[FEW]));
    checks.push(Check::new("trio/clusterList", Maker::Ours, &[Part::Apache], LIMIT, roles));
    checks.push(Check::new("trio/offsets", Maker::Ours, &[java], LIMIT, |lab| {
        lab.cluster(SPEC)?;
        clients::restarted(lab, SPEC)
    }));
    checks.push(Check::new("trio/kill-leader", Maker::Ours, &[java], LIMIT, kill_leader));
    checks.into_iter().map(|check| check.with_cores(usize::from(SPEC.shards))).collect()
}

/// `id` is in the names of its topics and groups: the cluster is not a new one for each.
fn driven(
    name: &str,
    client: Client,
    (check, id): (&'static str, &'static str),
    options: &'static [&'static str],
) -> Check {
    Check::new(format!("trio/{name}"), Maker::Ours, &[client.part()], LIMIT, move |lab| {
        lab.cluster(SPEC)?;
        lab.drive(client, check, id, options)
    })
}

/// Apache's `clusterList` has one master and two others for each broker name, all where they listen.
fn roles(lab: &mut Lab) -> Verdict {
    let cluster = lab.cluster(SPEC)?;
    let (masters, mut wanted) = (cluster.masters(), BTreeMap::new());
    for (name, all) in cluster.addresses() {
        let id = |(at, addr): (i64, &String)| if *addr == masters[&name] { 0 } else { at };
        let ids = (1..).zip(&all).map(|member| (id(member), member.1.clone())).collect();
        wanted.insert(name.clone(), ids);
    }
    let mut seen: BTreeMap<String, BTreeMap<i64, String>> = BTreeMap::new();
    let rows = cluster_list(lab)?.rows;
    for row in &rows {
        let wrong = || Failure::Wrong(format!("name, id and address in {row:?}"));
        let [_, name, id, addr, ..] = &row[..] else { return Err(wrong()) };
        let id: i64 = id.parse().map_err(|_| wrong())?;
        seen.entry(name.clone()).or_default().insert(id, addr.clone());
    }
    expect(seen == wanted, || format!("expected {wanted:?}, saw {seen:?} in {rows:?}"))
}

/// A leader is killed while each queue is sent to and read: another one leads, and all that was acknowledged arrives in
/// order at the consumer that was there all the time. One of another group leaves before, and its offsets are committed at the
/// leader that dies; a new client of that group gets what was sent meanwhile from the next leader, and next to nothing of what the
/// group had. The killed one comes back and leads again.
fn kill_leader(lab: &mut Lab) -> Verdict {
    let home = Home::of(lab.cluster(SPEC)?);
    // The default of 30 s between two looks for routes would be most of what this takes.
    let mut outage = Outage::start(lab, &home, Client::Java550, "trio", &["poll=1000"])?;
    outage.consume()?;
    outage.join()?;
    outage.send("queue", BEFOREHAND)?;
    outage.leave()?;
    std::thread::sleep(OFFSETS_ARE_COMMITTED);
    let cluster = lab.cluster(SPEC)?;
    let before = cluster.leader_of(BROKER_NAME);
    let first = before.ok_or_else(|| Failure::Wrong(format!("nobody leads {BROKER_NAME}")))?;
    outage.send_and("queue", SENT, ANSWERED, || {
        cluster.kill_broker(first);
        Ok(())
    })?;
    let second = cluster.leader_of(BROKER_NAME);
    expect(second.is_some_and(|second| second != first), || {
        format!("another one leads than {first}: {second:?}")
    })?;
    let returned = outage.come_back()?;
    cluster.start_brokers()?;
    outage.send("queue", AFTERWARDS)?;
    let counts = outage.end()?;
    println!("{counts} {returned:?}");
    counts.none_failed()?;
    counts.nothing_is_lost()?;
    counts.order_is_kept()?;
    counts.each_sent_within(SEND_LIMIT)?;
    counts.delivered_twice_at_most(DELIVERED_AGAIN)?;
    offsets_are_kept(returned)?;
    // One message of each queue is under way when the leader dies. Who is stored without an answer is sent again.
    counts.stored_twice_at_most(u64::from(SPEC.shards) * QUEUES_PER_BROKER)
}

/// A group without offsets would get everything again; one with offsets that are too far would miss what was sent meanwhile.
fn offsets_are_kept(returned: Returned) -> Verdict {
    let Returned { new, again } = returned;
    expect(again <= DELIVERED_AGAIN && new >= u64::from(SENT), || {
        format!("of {SENT} new messages {new} came, and {again} of {BEFOREHAND} came again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_that_are_lost_or_too_far_are_seen() {
        let returned = |new, again| Returned { new, again };
        let sent = u64::from(SENT);
        assert!(offsets_are_kept(returned(sent, 0)).is_ok());
        assert!(offsets_are_kept(returned(sent, DELIVERED_AGAIN)).is_ok());
        // The half of what lay at the leader that died.
        assert!(offsets_are_kept(returned(sent, u64::from(BEFOREHAND / 2))).is_err());
        assert!(offsets_are_kept(returned(sent - 1, 0)).is_err());
    }
}
