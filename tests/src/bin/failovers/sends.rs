//! Cases `sends`: 10,000 messages, and the node that leads the first shard dies when a third of them is answered.

use tests::harness::check::Check;
use tests::harness::cluster::Spec;
use tests::harness::failure::Verdict;
use tests::harness::lab::{Client, Home, Lab};
use tests::harness::outage::{Counts, Outage};
use tests::harness::servers::{BROKER_NAME, Maker};

use crate::group::{LIMIT, groups_of_three, kill_leader};

const SENDS: u32 = 10_000;
/// Answered when the node dies.
const ANSWERED: u32 = SENDS / 3;
/// Sends of the asynchronous case that are under way at a time.
const IN_FLIGHT: u64 = 64;

type Promise = fn(&Counts) -> Verdict;

/// With three shards each node leads one: two broker names of three are not touched. With one shard there is one name.
pub fn cases() -> Vec<Check> {
    use Client::{Go, Java498, Java550};
    vec![
        case("three-leaders/java-5.5.0/sync", 3, Java550, "sync", none_fails),
        case("three-leaders/java-5.5.0/async", 3, Java550, "async", many_under_way),
        case("three-leaders/java-5.5.0/selector", 3, Java550, "selector", one_under_way),
        case("three-leaders/java-4.9.8/sync", 3, Java498, "sync", one_under_way),
        case("three-leaders/go/sync", 3, Go, "sync", one_under_way),
        case("one-leader/java-5.5.0/sync", 1, Java550, "sync", one_under_way),
    ]
}

fn case(name: &str, shards: u16, client: Client, how: &'static str, promise: Promise) -> Check {
    let name = format!("sends/{name}");
    let id = name.replace(['/', '.', '-'], "");
    Check::new(name, Maker::Ours, &[client.part()], LIMIT, move |lab| {
        run(lab, groups_of_three(1, shards), client, how, &id, promise)
    })
}

fn run(
    lab: &mut Lab,
    spec: Spec,
    client: Client,
    how: &str,
    id: &str,
    promise: Promise,
) -> Verdict {
    let home = Home::of(lab.cluster(spec)?);
    let mut outage = Outage::start(lab, &home, client, id, &[])?;
    outage.consume()?;
    let cluster = lab.cluster(spec)?;
    outage.send_and(how, SENDS, ANSWERED, || kill_leader(cluster, BROKER_NAME).map(|_| ()))?;
    let counts = outage.end()?;
    println!("{counts}");
    cluster.start_brokers()?;
    counts.nothing_is_lost()?;
    promise(&counts)
}

fn none_fails(counts: &Counts) -> Verdict {
    counts.none_failed()?;
    one_under_way(counts)
}

fn one_under_way(counts: &Counts) -> Verdict {
    counts.stored_twice_at_most(1)
}

fn many_under_way(counts: &Counts) -> Verdict {
    counts.stored_twice_at_most(IN_FLIGHT)
}
