//! Cases `sites`: two groups, as in two data centres, and two NameServers; 1,000 messages are sent when one leader dies,
//! both do, or a NameServer does.

use std::process::Command;
use std::time::Duration;

use tests::harness::check::Check;
use tests::harness::cluster::group_name;
use tests::harness::drivers::Part;
use tests::harness::failure::{Failure, Verdict, expect};
use tests::harness::lab::{Client, Home, Lab};
use tests::harness::outage::Outage;
use tests::harness::process::{self, Finished};
use tests::harness::servers::Maker;
use tests::harness::table::{self, Table};
use tests::net::group::State;

use crate::group::{
    FAILED_UNTIL_ROUTES_ARE_NEW, LIMIT, all_is_well, another_leads, groups_of_three, kill_leader,
};

const GROUPS: u16 = 2;
const NAMESRVS: usize = 2;
const SENDS: u32 = 1_000;
const ANSWERED: u32 = 300;
/// A tool tries one NameServer after the other, each for some seconds.
const TOOL_LIMIT: Duration = Duration::from_secs(60);
/// It meets the dead one of two each time by chance: one in a thousand.
const CALLS: u32 = 10;

/// The cases, with the client that is the newest.
pub fn cases() -> Vec<Check> {
    let case = |name: &str, body: fn(&mut Lab) -> Verdict| {
        let parts = [Client::Java550.part(), Part::Apache];
        Check::new(format!("sites/{name}"), Maker::Ours, &parts, LIMIT, body)
    };
    vec![
        case("one-leader", |lab| leaders(lab, 1)),
        case("both-leaders", |lab| leaders(lab, GROUPS)),
        case("each-nameserver", each_nameserver),
    ]
}

/// One message is under way when the first so many groups lose their leaders in one moment.
fn leaders(lab: &mut Lab, groups: u16) -> Verdict {
    let (spec, id) = (groups_of_three(GROUPS), format!("sites{groups}"));
    // A new one each time: a member that has led and died gets its office back later each time.
    lab.end_cluster()?;
    let home = Home::of(lab.cluster(spec)?);
    let mut outage = Outage::start(lab, &home, Client::Java550, &id, &[])?;
    outage.consume()?;
    let cluster = lab.cluster(spec)?;
    outage.begin("sync", SENDS, ANSWERED)?;
    let killed = (0..groups)
        .map(|group| kill_leader(cluster, &group_name(group)))
        .collect::<Verdict<Vec<_>>>()?;
    outage.sent()?;
    outage.recover("sync")?;
    for (group, killed) in (0..groups).zip(killed) {
        another_leads(cluster, &group_name(group), killed)?;
    }
    let counts = outage.end()?;
    lab.note(&id, &counts);
    lab.started().start_brokers()?;
    counts.failed_at_most(FAILED_UNTIL_ROUTES_ARE_NEW)?;
    all_is_well(&counts, 1)
}

/// Each in turn dies in the middle of sends, and a client that starts meanwhile does not miss it.
fn each_nameserver(lab: &mut Lab) -> Verdict {
    let spec = groups_of_three(GROUPS);
    for number in 0..NAMESRVS {
        let home = Home::of(lab.cluster(spec)?);
        let id = format!("namesrv{number}");
        let mut outage = Outage::start(lab, &home, Client::Java550, &id, &[])?;
        outage.consume()?;
        let cluster = lab.cluster(spec)?;
        outage.send_and("sync", SENDS, ANSWERED, || {
            cluster.kill_namesrv(number);
            Ok(())
        })?;
        nothing_happened(lab, &id, outage)?;
        let id = format!("{id}new");
        let mut outage = Outage::start(lab, &home, Client::Java550, &id, &[])?;
        outage.consume()?;
        outage.send("sync", SENDS)?;
        nothing_happened(lab, &id, outage)?;
        tools_work(lab)?;
        let cluster = lab.started();
        expect(cluster.is_led(), || "the groups have kept their leaders".to_owned())?;
        cluster.start_namesrv(number)?;
        cluster.wait_until_led()?;
    }
    Ok(())
}

/// Tools that are told of all NameServers find both groups, whichever of the two is dead.
fn tools_work(lab: &Lab) -> Verdict {
    let cluster = lab.cluster_at_hand().expect("the case has asked for one");
    let names: Vec<String> = (0..GROUPS).map(group_name).collect();
    let mut ours = Command::new(lab.shop.bin.join("mqadmin"));
    ours.args(["groupState", "--json", "-n", &cluster.namesrv_address()]);
    ours.env_remove("NAMESRV_ADDR");
    let seen = process::run("groupState", &mut ours, &cluster.dir, TOOL_LIMIT)?.clean("mqadmin")?;
    let mut found: Vec<String> = State::all(&seen.out).into_iter().map(|one| one.name).collect();
    found.sort_unstable();
    expect(found == names, || format!("groups {names:?}; mqadmin groupState said:\n{}", seen.out))?;
    let mut seen = Err(Failure::Wrong("not called".to_owned()));
    for _ in 0..CALLS {
        let mut apaches = lab.apache_mqadmin("clusterList");
        seen = process::run("clusterList", &mut apaches, &cluster.dir, TOOL_LIMIT);
        if !seen.as_ref().is_ok_and(has_met_the_dead) {
            break;
        }
    }
    let seen = seen?.clean("clusterList")?;
    let rows = Table::of(&table::said(&seen.out)).map(|table| table.rows).unwrap_or_default();
    let has = |name: &String| rows.iter().any(|row| row.get(1) == Some(name));
    expect(names.iter().all(has), || {
        format!("rows of {names:?}; mqadmin clusterList said:\n{}{}", seen.out, seen.err)
    })
}

/// Apache's tool asks one NameServer, picked by chance, and fails if that one is dead; whoever calls it calls again.
fn has_met_the_dead(seen: &Finished) -> bool {
    seen.out.contains("RemotingConnectException") || seen.err.contains("RemotingConnectException")
}

fn nothing_happened(lab: &mut Lab, id: &str, outage: Outage) -> Verdict {
    let counts = outage.end()?;
    lab.note(id, &counts);
    counts.none_failed()?;
    counts.delivered_twice_at_most(0)?;
    all_is_well(&counts, 0)
}
