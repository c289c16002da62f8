//! Cases `links`: messages are sent when the node of a leader loses its link, and gets it back later. Clients are on a node of
//! their own, and are told nothing: what they send to that node is lost without a word.

use tests::harness::check::Check;
use tests::harness::cluster::group_name;
use tests::harness::failure::Verdict;
use tests::harness::lab::{Client, Lab};
use tests::harness::outage::{Counts, Outage};
use tests::harness::servers::Maker;

use crate::group::{LIMIT, all_is_well};
use crate::land::{self, Land, PROGRAM, Plan};
use crate::sends::IN_FLIGHT;

const SENDS: u32 = 3_000;
/// Answered when the link is lost.
const ANSWERED: u32 = SENDS / 3;
/// Sent when the link is there again.
const AFTERWARDS: u32 = 1_000;
/// A client waits three seconds for each answer that does not come, and for 30 s it asks nobody for another route; twice that,
/// for what is late on a busy machine.
const UNANSWERED: u64 = 20;
/// The same for `async`, where all that is under way waits together: ten times in 30 s, and twice for what is late. Seven times was
/// what it took.
const UNANSWERED_AT_ONCE: u64 = 12 * IN_FLIGHT;
/// When the link is back the node leads again a moment later. A client that asks for routes just then finds no leader, and
/// tries again ten times a second: 59 times where the load of the machine was 25, and never where it was 5.
const WITHOUT_ROUTE: u64 = 100;

const MACHINES: &[&[&str]] = &[&["n0", "n1", "n2", "ns0", "ns1", "client"]];
const ON_ALL: [&str; 3] = ["n0", "n1", "n2"];
/// Each node leads one of three groups.
const THREE: Plan =
    Plan { sites: MACHINES, groups: &[ON_ALL; 3], preferred: &[0, 1, 2], late: None };
const ONE: Plan = Plan { sites: MACHINES, groups: &[ON_ALL], preferred: &[0], late: None };

/// The cases; a broker of three shards needs three cores, so shards are processes of their own here, on any machine.
pub fn cases() -> Vec<Check> {
    use Client::{Go, Java498, Java550};
    vec![
        case("three-leaders/java-5.5.0/sync", &THREE, Java550, "sync"),
        case("three-leaders/java-5.5.0/async", &THREE, Java550, "async"),
        case("three-leaders/java-5.5.0/selector", &THREE, Java550, "selector"),
        case("three-leaders/java-4.9.8/sync", &THREE, Java498, "sync"),
        case("three-leaders/go/sync", &THREE, Go, "sync"),
        case("one-leader/java-5.5.0/sync", &ONE, Java550, "sync"),
    ]
}

fn case(name: &str, plan: &'static Plan, client: Client, how: &'static str) -> Check {
    let name = format!("links/{name}");
    let id = name.replace(['/', '.', '-'], "");
    let body = move |lab: &mut Lab| {
        let mut counted = None;
        let done = land::within(lab, plan, |lab, land| {
            counted = Some(run(lab, land, client, how, &id)?);
            Ok(())
        });
        let Some(counts) = counted else { return done };
        lab.note(&id, &counts);
        done.and(judge(&counts, how))
    };
    Check::new(name, Maker::Ours, &[client.part()], LIMIT, body).with_net(PROGRAM)
}

fn run(lab: &Lab, land: &mut Land, client: Client, how: &str, id: &str) -> Verdict<Counts> {
    let mut outage = Outage::start(lab, &land.home("client"), client, id, &[])?;
    outage.consume()?;
    let name = group_name(0);
    let leader = land.leader(0, &name)?;
    outage.begin(how, SENDS, ANSWERED)?;
    let node = land.machine(0, leader);
    land.net().drop_link(node)?;
    // While it is away: a group leads without it, and the client finds that one.
    land.other_leader(0, &name, leader)?;
    outage.sent()?;
    outage.recover(how)?;
    land.net().restore_link(node)?;
    land.until_well()?;
    outage.send(how, AFTERWARDS)?;
    outage.end()
}

fn judge(counts: &Counts, how: &str) -> Verdict {
    let (under_way, unanswered) = match how {
        "async" => (IN_FLIGHT, UNANSWERED_AT_ONCE),
        _ => (1, UNANSWERED),
    };
    counts.failed_at_most(unanswered + WITHOUT_ROUTE)?;
    all_is_well(counts, under_way)
}
