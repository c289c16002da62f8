//! Cases `sites/late` and `sites/cut`: two groups over two sites, two members of each at one and the third at the other, so
//! that each site has a majority of one group. A packet takes 5 ms from one site to the other, or does not come at all.

use std::thread;
use std::time::{Duration, Instant};

use tests::harness::check::Check;
use tests::harness::cluster::group_name;
use tests::harness::failure::{Verdict, expect};
use tests::harness::lab::{Client, Lab};
use tests::harness::outage::{Counts, Outage};
use tests::harness::servers::Maker;

use crate::group::{FAILED_UNTIL_ROUTES_ARE_NEW, LIMIT, all_is_well};
use crate::land::{self, Land, PROGRAM, Plan};

const SENDS: u32 = 1_000;
const ANSWERED: u32 = 300;
/// One way.
const LATE: Duration = Duration::from_millis(5);
/// The link is away for longer than clients go on with the routes they have.
const CUT: Duration = Duration::from_secs(45);
/// Milliseconds between two sends of these clients, so that they send until the link is there again; and how many are
/// answered when it is cut.
const PACE: &str = "pace=60";
const ANSWERED_BEFORE_THE_CUT: u32 = 100;
/// Sends that fail while the link is cut, each of which waits three seconds for its answer; and when it is there again, for
/// some seconds up to ten in each: the second group's leader goes home, and a NameServer forgets a broker whose old connection
/// ends, until that one registers anew. A client that asks for routes just then finds no leader at all.
const FAILED_AROUND_A_CUT: u64 = 100;

const SITES: &[&[&str]] =
    &[&["a0", "a1", "b2", "ns0", "client0"], &["b0", "b1", "a2", "ns1", "client1"]];
const GROUPS: &[[&str; 3]] = &[["a0", "a1", "a2"], ["b0", "b1", "b2"]];
/// Each group is led at the site with its majority.
const AT_HOME: Plan = Plan { sites: SITES, groups: GROUPS, preferred: &[0, 0], late: Some(LATE) };
/// The second group is led where the fewer of its members are: a cut takes its leader from it.
const ABROAD: Plan = Plan { sites: SITES, groups: GROUPS, preferred: &[0, 2], late: Some(LATE) };

/// The cases, with the client that is the newest.
pub fn cases() -> Vec<Check> {
    vec![
        case("late/one-leader", &AT_HOME, |lab, land| leaders(lab, land, 1), found_another),
        case("late/both-leaders", &AT_HOME, |lab, land| leaders(lab, land, 2), found_another),
        case("cut", &ABROAD, cut, went_on),
    ]
}

type Counted = Vec<(String, Counts)>;

fn case(
    name: &str,
    plan: &'static Plan,
    run: fn(&Lab, &mut Land) -> Verdict<Counted>,
    promise: fn(&Counts) -> Verdict,
) -> Check {
    let body = move |lab: &mut Lab| {
        let mut counted = Counted::new();
        let done = land::within(lab, plan, |lab, land| {
            distances(land)?;
            counted = run(lab, land)?;
            // It was so all the time: what carries the packets has not given up meanwhile.
            land.look()?;
            distances(land)
        });
        counted.iter().for_each(|(what, counts)| lab.note(what, counts));
        done?;
        counted.iter().try_for_each(|(_, counts)| promise(counts).and(all_is_well(counts, 1)))
    };
    let parts = [Client::Java550.part()];
    Check::new(format!("sites/{name}"), Maker::Ours, &parts, LIMIT, body).with_net(PROGRAM)
}

fn found_another(counts: &Counts) -> Verdict {
    counts.failed_at_most(FAILED_UNTIL_ROUTES_ARE_NEW)
}

/// Something was acknowledged at each site while the link was cut.
fn went_on(counts: &Counts) -> Verdict {
    counts.paused_at_most(CUT / 2)?;
    counts.failed_at_most(FAILED_AROUND_A_CUT)
}

/// There and back takes a connection twice the time of one way, and next to none within a site.
fn distances(land: &Land) -> Verdict {
    let seen = land.distances("client0")?;
    let text = format!("to the NameServers of both sites: {seen:?}");
    println!("{text}");
    let [near, far] = seen[..] else { return expect(false, || text) };
    expect(near < 2 * LATE && far >= 2 * LATE, || text)
}

/// One message is under way when the first so many groups lose their leaders in one moment.
fn leaders(lab: &Lab, land: &mut Land, groups: u16) -> Verdict<Counted> {
    let id = format!("late{groups}");
    let mut outage = Outage::start(lab, &land.home("client0"), Client::Java550, &id, &[])?;
    outage.consume()?;
    let names: Vec<String> = (0..groups).map(group_name).collect();
    let mut killed = Vec::new();
    for name in &names {
        killed.push(land.leader(0, name)?);
    }
    outage.begin("sync", SENDS, ANSWERED)?;
    for (group, member) in killed.iter().enumerate() {
        land.kill(group, *member);
    }
    for (name, member) in names.iter().zip(&killed) {
        land.other_leader(0, name, *member)?;
    }
    outage.sent()?;
    outage.recover("sync")?;
    let counts = outage.end()?;
    for (group, member) in killed.iter().enumerate() {
        land.start_again(group, *member)?;
    }
    land.until_well()?;
    Ok(vec![(id, counts)])
}

/// Waits until each has sent all, and goes on until none of its sends fails. Each by itself: time in which one waits for the other
/// would count as its pause.
fn recover(outages: &mut [(String, Outage)]) -> Verdict {
    thread::scope(|scope| {
        let recover = |outage: &mut Outage| outage.sent().and_then(|()| outage.recover("sync"));
        let each: Vec<_> =
            outages.iter_mut().map(|(_, outage)| scope.spawn(move || recover(outage))).collect();
        let ended = each.into_iter().map(|one| one.join().expect("it does not panic"));
        ended.fold(Ok(()), Verdict::and)
    })
}

/// A client at each site sends to both groups when the link between the sites is cut. The first group is led where most of it
/// is, and is led there on; the second one is led from the other site, and must find another leader at its own.
fn cut(lab: &Lab, land: &mut Land) -> Verdict<Counted> {
    let [first, second] = [0, 1].map(group_name);
    let mut outages = Vec::new();
    for machine in ["client0", "client1"] {
        let id = format!("cut{machine}");
        let mut outage = Outage::start(lab, &land.home(machine), Client::Java550, &id, &[PACE])?;
        outage.consume()?;
        outages.push((id, outage));
    }
    let before = [land.leader(0, &first)?, land.leader(0, &second)?];
    expect(before == [0, 2], || format!("the leaders before the cut: {before:?}"))?;
    for (_, outage) in &mut outages {
        outage.begin("sync", SENDS, ANSWERED_BEFORE_THE_CUT)?;
    }
    land.net().cut_sites()?;
    let begun = Instant::now();
    land.other_leader(1, &second, before[1])?;
    let stays = land.leader(0, &first)?;
    expect(stays == before[0], || format!("{first} is led by {stays} behind the cut"))?;
    while begun.elapsed() < CUT {
        land.look()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    land.net().mend_sites()?;
    recover(&mut outages)?;
    land.until_well()?;
    outages.into_iter().map(|(id, outage)| Ok((id, outage.end()?))).collect()
}
