//! Cases `sites`: two groups, as in two data centres, and two NameServers; 1,000 messages are sent when one leader dies,
//! both do, or a NameServer does.

use tests::harness::check::Check;
use tests::harness::cluster::group_name;
use tests::harness::failure::{Verdict, expect};
use tests::harness::lab::{Client, Home, Lab};
use tests::harness::outage::{Counts, Outage};
use tests::harness::servers::Maker;

use crate::group::{LIMIT, groups_of_three, kill_leader};

const GROUPS: u16 = 2;
const NAMESRVS: usize = 2;
const SENDS: u32 = 1_000;
const ANSWERED: u32 = 300;

/// The cases, with the client that is the newest.
pub fn cases() -> Vec<Check> {
    let case = |name: &str, body: fn(&mut Lab) -> Verdict| {
        Check::new(format!("sites/{name}"), Maker::Ours, &[Client::Java550.part()], LIMIT, body)
    };
    vec![
        case("one-leader", |lab| leaders(lab, 1)),
        case("both-leaders", |lab| leaders(lab, GROUPS)),
        case("each-nameserver", each_nameserver),
    ]
}

/// One message is under way when the first so many groups lose their leaders in one moment.
fn leaders(lab: &mut Lab, groups: u16) -> Verdict {
    let spec = groups_of_three(GROUPS, 1);
    let home = Home::of(lab.cluster(spec)?);
    let mut outage = Outage::start(lab, &home, Client::Java550, &format!("sites{groups}"), &[])?;
    outage.consume()?;
    let cluster = lab.cluster(spec)?;
    outage.send_and("sync", SENDS, ANSWERED, || {
        (0..groups).try_for_each(|group| kill_leader(cluster, &group_name(group)).map(|_| ()))
    })?;
    let counts = outage.end()?;
    println!("{counts}");
    cluster.start_brokers()?;
    all_is_well(&counts)
}

/// Each in turn dies in the middle of sends, and a client that starts meanwhile does not miss it.
fn each_nameserver(lab: &mut Lab) -> Verdict {
    let spec = groups_of_three(GROUPS, 1);
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
        let counts = outage.end()?;
        println!("{counts}");
        counts.none_failed()?;
        all_is_well(&counts)?;
        let mut outage = Outage::start(lab, &home, Client::Java550, &format!("{id}new"), &[])?;
        outage.consume()?;
        outage.send("sync", SENDS)?;
        let counts = outage.end()?;
        println!("{counts}");
        counts.none_failed()?;
        all_is_well(&counts)?;
        let cluster = lab.started();
        expect(cluster.is_led(), || "the groups have kept their leaders".to_owned())?;
        cluster.start_namesrv(number)?;
        cluster.wait_until_led()?;
    }
    Ok(())
}

fn all_is_well(counts: &Counts) -> Verdict {
    counts.nothing_is_lost()?;
    counts.stored_twice_at_most(1)
}
