//! Cases `sends`: 10,000 messages, and the node that leads the first broker name dies when a third of them is answered.

use tests::harness::check::Check;
use tests::harness::cluster::Spec;
use tests::harness::failure::Verdict;
use tests::harness::lab::{Client, Home, Lab};
use tests::harness::outage::{Counts, Outage};
use tests::harness::servers::{BROKER_NAME, Maker};

use crate::group::{
    FAILED_UNTIL_ROUTES_ARE_NEW, LIMIT, all_is_well, another_leads, groups_of_three,
    kill_leaders_node, three_leaders,
};

const SENDS: u32 = 10_000;
/// Answered when the node dies.
const ANSWERED: u32 = SENDS / 3;
/// Sends of the asynchronous case that are under way at a time.
pub const IN_FLIGHT: u64 = 64;

type Promise = fn(&Counts) -> Verdict;

/// With three leaders two broker names of three are not touched. With one there is one name.
pub fn cases() -> Vec<Check> {
    use Client::{Go, Java498, Java550};
    vec![
        case("three-leaders/java-5.5.0/sync", three_leaders(), Java550, "sync", none_fails),
        case("three-leaders/java-5.5.0/async", three_leaders(), Java550, "async", many_under_way),
        case("three-leaders/java-5.5.0/selector", three_leaders(), Java550, "selector", some_fail),
        case("three-leaders/java-4.9.8/sync", three_leaders(), Java498, "sync", some_fail),
        case("three-leaders/go/sync", three_leaders(), Go, "sync", some_fail),
        case("one-leader/java-5.5.0/sync", groups_of_three(1), Java550, "sync", some_fail),
    ]
}

fn case(name: &str, spec: Spec, client: Client, how: &'static str, promise: Promise) -> Check {
    let name = format!("sends/{name}");
    let id = name.replace(['/', '.', '-'], "");
    Check::new(name, Maker::Ours, &[client.part()], LIMIT, move |lab| {
        run(lab, spec, client, how, &id, promise)
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
    // A new one each time: a member that has led and died gets its office back later each time.
    lab.end_cluster()?;
    let home = Home::of(lab.cluster(spec)?);
    let mut outage = Outage::start(lab, &home, client, id, &[])?;
    outage.consume()?;
    let cluster = lab.cluster(spec)?;
    outage.begin(how, SENDS, ANSWERED)?;
    let killed = kill_leaders_node(cluster, BROKER_NAME)?;
    outage.sent()?;
    outage.recover(how)?;
    another_leads(cluster, BROKER_NAME, killed)?;
    let counts = outage.end()?;
    lab.note(id, &counts);
    lab.started().start_brokers()?;
    promise(&counts)
}

fn none_fails(counts: &Counts) -> Verdict {
    counts.none_failed()?;
    all_is_well(counts, 1)
}

fn some_fail(counts: &Counts) -> Verdict {
    counts.failed_at_most(FAILED_UNTIL_ROUTES_ARE_NEW)?;
    all_is_well(counts, 1)
}

fn many_under_way(counts: &Counts) -> Verdict {
    counts.failed_at_most(FAILED_UNTIL_ROUTES_ARE_NEW + IN_FLIGHT)?;
    all_is_well(counts, IN_FLIGHT)
}
